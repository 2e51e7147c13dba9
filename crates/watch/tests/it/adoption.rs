//! Versions: who puts one up, who approves it, from when it is in effect, and who is asked to acknowledge it.

use std::collections::BTreeMap;

use access::Role;
use base::{Actor, Duration, Fault, Kind, OperatorId, Timestamp};
use ledger::{Act, Activity, EventQuery, EventView, ObjectRef};
use policy::{Files, Observed, Seen};
use store::Realm;
use testkit::on_both_engines;
use watch::{Adoption, Standing, WatchError};

use crate::support::{House, day, edited, files, hex, worded};

const DAY: &str = "2026-02-01";

fn put_up(version: u32, sha256: &str) -> Act {
    Act::new(Activity::PolicyPropose, ObjectRef::new("policy", version))
        .detail("sha256", sha256.to_owned())
        .detail("content", "c".repeat(64))
        .detail("effective", "2026-01-01T00:00:00Z")
        .detail("next_review", "2027-01-01T00:00:00Z")
}

fn said(activity: Activity, version: u32, sha256: &str) -> Act {
    Act::new(activity, ObjectRef::new("policy", version)).detail("sha256", sha256.to_owned())
}

on_both_engines! {
    async fn a_version_is_adopted_by_others_than_its_author(h: Harness) {
        let house = House::open(h).await;
        let bob = house.invite(Role::Administrator, 2).await;
        let eve = house.invite(Role::Auditor, 3).await;
        let error = house.propose(&eve, files(1, DAY)).await.unwrap_err();
        assert_eq!((error.kind(), house.last_act().as_str()), (Kind::Denied, "access.deny refused nothing-permits"));

        let one = house.propose(&house.ann, files(1, DAY)).await.unwrap();
        assert_eq!((one.proposed_by.as_str(), one.adopted_at, one.effective), (house.ann.id.as_str(), None, day(DAY)));
        let by = house.by(&eve).await;
        let read = house.watch.version(&by, Some(1), None).await.unwrap();
        assert_eq!((read.summary.standing, read.files, &read.manifest.sha256), (Standing::Proposed, files(1, DAY), &one.sha256));
        assert!(read.outstanding.people.is_empty(), "nobody is asked to acknowledge what is not adopted");
        let error = house.watch.acknowledge(&by, 1, &one.sha256).await.unwrap_err();
        assert_eq!((error.code(), error.clause()), ("not-adopted", Some("PD-2")));

        let error = house.approve(&house.ann, &one).await.unwrap_err();
        assert_eq!((error.code(), error.kind(), error.clause()), ("own-version", Kind::Denied, Some("PD-2")));
        assert_eq!(house.last_act(), "policy.approve refused own-version");
        assert_eq!(house.approve(&eve, &one).await.unwrap_err().kind(), Kind::Denied);
        // What was looked at is what is approved.
        let by = house.by(&bob).await;
        let error = house.watch.approve(&by, 1, &"0".repeat(64)).await.unwrap_err();
        assert_eq!((error.code(), error.field()), ("version-changed", Some("sha256")));
        assert_eq!(house.last_act(), "policy.approve refused version-changed");
        let error = house.watch.approve(&by, 2, &one.sha256).await.unwrap_err();
        assert_eq!((error.kind(), house.last_act().as_str()), (Kind::NotFound, "policy.approve refused not-found"));
        let from = house.events().len();
        let adopted = house.watch.approve(&by, 1, &one.sha256).await.unwrap();
        assert_eq!((adopted.adopted_at, adopted.approvals[0].by.as_str()), (Some(house.now()), bob.id.as_str()));
        assert_eq!(house.acts_since(from), ["policy.approve ok", "policy.adopt ok"]);
        let error = house.watch.approve(&by, 1, &one.sha256).await.unwrap_err();
        assert_eq!((error.code(), house.last_act().as_str()), ("adopted-already", "policy.approve refused adopted-already"));
        // The log says the same as was answered, in the log as before it is there.
        for _ in 0..2 {
            let listed = house.watch.versions(&house.by(&eve).await).await.unwrap();
            assert_eq!((listed.len(), &listed[0].version, listed[0].standing), (1, &adopted, Standing::Adopted));
            house.sequence().await;
        }

        // An auditor is a member of staff, and acknowledges: once, and what was looked at.
        let by = house.by(&eve).await;
        assert_eq!(house.watch.acknowledge(&by, 1, &"0".repeat(64)).await.unwrap_err().code(), "version-changed");
        assert_eq!(house.watch.acknowledge(&by, 2, &one.sha256).await.unwrap_err().code(), "not-found");
        house.watch.acknowledge(&by, 1, &one.sha256).await.unwrap();
        let error = house.watch.acknowledge(&by, 1, &one.sha256).await.unwrap_err();
        assert_eq!((error.code(), house.last_act().as_str()), ("done-already", "policy.acknowledge refused done-already"));
        let read = house.watch.version(&by, None, None).await.unwrap();
        let who: Vec<_> = read.acknowledgements.iter().map(|one| one.by.as_str()).collect();
        assert_eq!((who, read.acknowledgements[0].sha256.as_str()), (vec![eve.id.as_str()], one.sha256.as_str()));
        let mut waiting: Vec<_> = read.outstanding.waiting().map(|one| one.who.as_str()).collect();
        waiting.sort_unstable();
        let mut expected = [house.ann.id.as_str(), bob.id.as_str()];
        expected.sort_unstable();
        assert_eq!(waiting, expected);
    }

    /// Whoever governs a customer's account works for the customer: nothing of the organisation's policy is theirs.
    async fn nobody_of_a_customer_is_staff(h: Harness) {
        let house = House::open(h).await;
        let bob = house.invite(Role::Administrator, 2).await;
        let admin = house.by(&house.ann).await;
        let account = house.access.account_create(&admin, "Globex").await.unwrap().id;
        let link = house.access.customer_invite(&admin, account, None).await.unwrap().into_inner();
        let cora = crate::support::enrol(&house.h, &house.access, link.secret, 3).await;
        house.adopt(&house.ann, &bob, files(1, DAY)).await;
        let read = house.watch.version(&admin, None, None).await.unwrap();
        let mut asked: Vec<_> = read.outstanding.people.iter().map(|one| one.who.as_str()).collect();
        asked.sort_unstable();
        let mut staff = [house.ann.id.as_str(), bob.id.as_str()];
        staff.sort_unstable();
        assert_eq!(asked, staff);
        let by = house.by(&cora).await;
        let read = house.watch.version(&by, None, None).await.err().map(|error| error.code());
        assert_eq!(read, Some("access-denied"));
        let said = house.watch.acknowledge(&by, 1, "x").await.err().map(|error| error.code());
        assert_eq!(said, Some("access-denied"));
        let known = house.watch.assess(&by, None, None).await.err().map(|error| error.code());
        assert_eq!(known, Some("access-denied"));
    }

    async fn a_new_version_asks_again_only_those_whose_clauses_changed(h: Harness) {
        let house = House::open(h).await;
        let bob = house.invite(Role::Administrator, 2).await;
        let eve = house.invite(Role::Auditor, 3).await;
        let one = house.adopt(&house.ann, &bob, files(1, DAY)).await;
        for person in [&bob, &eve] {
            house.watch.acknowledge(&house.by(person).await, 1, &one.sha256).await.unwrap();
        }
        let asked = async |version: u32| -> BTreeMap<String, Vec<String>> {
            let read = house.watch.version(&house.by(&house.ann).await, Some(version), None).await.unwrap();
            let of = |one: &watch::Asked| (one.who.clone(), one.clauses.iter().map(ToString::to_string).collect());
            read.outstanding.people.iter().map(of).collect()
        };
        let of_one = asked(1).await;
        let all = of_one[&house.ann.id].len();
        assert!(all > 50 && of_one[&bob.id].is_empty() && of_one[&eve.id].is_empty(), "{of_one:?}");

        // Another number and another day change no clause: nobody is asked again.
        house.pass_days(1);
        house.adopt(&bob, &house.ann, files(2, "2026-03-01")).await;
        let of_two = asked(2).await;
        assert_eq!((of_two[&house.ann.id].len(), of_two[&bob.id].len(), of_two[&eve.id].len()), (all, 0, 0));

        // Two clauses read otherwise: those two are asked for, of who acknowledged the rest.
        house.pass_days(1);
        let changed = edited(files(3, "2026-03-02"), "parameters.toml", "\"eu-west-1\"", "\"us-east-1\"");
        let three = house.adopt(&house.ann, &bob, worded(changed, "RR-4", "Only what is needed runs.")).await;
        let fay = house.invite(Role::Auditor, 4).await;
        let of_three = asked(3).await;
        assert_eq!((&of_three[&eve.id], &of_three[&bob.id]), (&vec!["RR-4".to_owned(), "CD-1".to_owned()], &of_three[&eve.id]));
        assert_eq!((of_three[&house.ann.id].len(), of_three[&fay.id].len()), (all, all));
        house.watch.acknowledge(&house.by(&eve).await, 3, &three.sha256).await.unwrap();

        // Words that come back are known still.
        house.pass_days(1);
        house.adopt(&bob, &house.ann, files(4, "2026-03-03")).await;
        let of_four = asked(4).await;
        assert_eq!((of_four[&eve.id].len(), of_four[&bob.id].len()), (0, 0));
        // Who is not there any more is not asked; of then, they still are.
        let before = house.now();
        house.pass_days(1);
        let gone = eve.id.parse().unwrap();
        house.access.operator_revoke(&house.by(&house.ann).await, gone).await.unwrap().into_inner();
        assert!(!asked(4).await.contains_key(&eve.id));
        let then = house.watch.version(&house.by(&bob).await, Some(4), Some(before)).await.unwrap();
        assert!(then.outstanding.people.iter().any(|one| one.who == eve.id));
    }

    async fn what_is_faulty_or_not_so_is_refused(h: Harness) {
        let one_region = Observed { regions: Some(vec!["eu-central-1".into(), "eu-west-1".into()]), ..Observed::default() };
        let house = House::running(h, one_region, &[]).await;
        let bob = house.invite(Role::Administrator, 2).await;
        let broken = edited(files(1, DAY), "parameters.toml", "company = \"Acme, Inc.\"\n", "companny = \"Acme, Inc.\"\n");
        let broken = edited(broken, "policy.toml", "version = 1\n", "version = 0\n");
        let broken = worded(broken, "CD-99", "It is so.");
        let lint = policy::lint(&broken, house.watch.catalogue(), house.watch.running());
        let from = house.events().len();
        let Err(WatchError::Faulty(found)) = house.propose(&house.ann, broken).await else { panic!("it is faulty") };
        assert_eq!(found, lint, "everything that is wrong is told");
        assert!(found.len() >= 4, "{found:?}");
        assert_eq!(house.acts_since(from), ["policy.propose refused policy-faulty"]);
        let event = house.events().pop().unwrap();
        let count = i64::try_from(found.len()).unwrap();
        assert!(event.details.contains(&("findings".to_owned(), ledger::DetailValue::Number(count))), "{event:?}");

        let elsewhere = edited(files(1, DAY), "parameters.toml", "\"eu-west-1\"", "\"us-east-1\"");
        let Err(WatchError::Faulty(found)) = house.propose(&house.ann, elsewhere).await else { panic!("it is not so") };
        assert_eq!(found.iter().map(|one| (one.code.as_str(), one.key.as_str())).collect::<Vec<_>>(), [("contradicted", "regions")]);
        let large = Files::from([("policy.toml".to_owned(), "#".repeat(watch::MAX_FILES_BYTES))]);
        let error = house.propose(&house.ann, large).await.unwrap_err();
        assert_eq!((error.field(), house.last_act().as_str()), (Some("files"), "policy.propose refused too-large"));
        assert_eq!(house.h.tamper(Realm::Data, "SELECT count(*) FROM policy_content"), ["0"]);

        // What was so when it was put up may not be so when it is approved.
        let one = house.propose(&house.ann, files(1, DAY)).await.unwrap();
        let moved = Observed { regions: Some(vec!["eu-central-1".into()]), ..Observed::default() };
        let moved = house.watch_that_runs(moved);
        let error = moved.approve(&house.by(&bob).await, 1, &one.sha256).await.unwrap_err();
        assert!(matches!(error, WatchError::Faulty(_)), "{error}");
        assert_eq!(house.last_act(), "policy.approve refused policy-faulty");
        assert_eq!(house.watch.adoption(house.now()).await.unwrap().versions[&1].adopted_at, None);
        house.approve(&bob, &one).await.unwrap();
    }

    async fn a_version_has_a_number_above_the_adopted_one(h: Harness) {
        let house = House::open(h).await;
        let bob = house.invite(Role::Administrator, 2).await;
        let three = house.propose(&house.ann, files(3, DAY)).await.unwrap();
        house.adopt(&house.ann, &bob, files(5, DAY)).await;
        for number in [4, 5] {
            let error = house.propose(&house.ann, files(number, DAY)).await.unwrap_err();
            assert!(matches!(error, WatchError::NotNew { given, adopted: 5 } if given == number), "{error}");
            assert_eq!((error.kind(), house.last_act().as_str()), (Kind::Conflict, "policy.propose refused version-not-new"));
        }
        // One that was put up before is overtaken.
        let error = house.approve(&bob, &three).await.unwrap_err();
        assert_eq!((error.code(), house.last_act().as_str()), ("version-not-new", "policy.approve refused version-not-new"));
        house.adopt(&bob, &house.ann, files(6, DAY)).await;
    }

    async fn put_up_again_it_replaces_what_was_there_and_takes_approvals_away(h: Harness) {
        let house = House::open(h).await;
        let bob = house.invite(Role::Administrator, 2).await;
        let old = house.propose(&house.ann, files(1, DAY)).await.unwrap();
        house.pass_days(1);
        let new = house.propose(&house.ann, worded(files(1, DAY), "RR-4", "Only what is needed runs.")).await.unwrap();
        assert_ne!(old.sha256, new.sha256);
        let error = house.approve(&bob, &old).await.unwrap_err();
        assert_eq!(error.code(), "version-changed");
        let (by, then) = (house.by(&bob).await, new.proposed_at.minus(Duration::from_micros(1)));
        let then = house.watch.version(&by, Some(1), Some(then)).await.unwrap();
        assert_eq!(then.manifest.sha256, old.sha256, "what was there then is there still");
        // Whoever puts up the words of another is who does not approve them.
        let bobs = house.propose(&bob, files(1, DAY)).await.unwrap();
        assert_eq!(house.approve(&bob, &bobs).await.unwrap_err().code(), "own-version");
        house.approve(&house.ann, &bobs).await.unwrap();

        // An approval that was given is not one of what came after.
        let [ann, bob] = [&house.ann, &bob].map(|one| Actor::Operator(one.id.parse::<OperatorId>().unwrap()));
        let (one, two) = ("1".repeat(64), "2".repeat(64));
        let events: Vec<EventView> = [
            (ann, put_up(7, &one)),
            (bob, said(Activity::PolicyApprove, 7, &one)),
            (ann, put_up(7, &two)),
            (ann, said(Activity::PolicyAdopt, 7, &two)),
        ]
        .into_iter()
        .map(|(who, act)| house.made_up(who, act))
        .collect();
        let adoption = Adoption::fold(&events, house.now());
        assert_eq!((adoption.versions[&7].approvals.len(), adoption.versions[&7].adopted_at), (0, None));
        // The same again, word for word: approvals are gone all the same.
        let again: Vec<EventView> = events[..2].iter().cloned().chain([house.made_up(ann, put_up(7, &one))]).collect();
        assert!(Adoption::fold(&again, house.now()).versions[&7].approvals.is_empty());
    }

    async fn a_version_is_in_effect_from_its_day(h: Harness) {
        let house = House::open(h).await;
        let bob = house.invite(Role::Administrator, 2).await;
        let before = house.now();
        house.pass_days(1);
        house.adopt(&house.ann, &bob, files(1, DAY)).await;
        let standing = async |version: u32, at: &str| {
            house.watch.version(&house.by(&bob).await, Some(version), Some(day(at))).await.map(|one| one.summary.standing)
        };
        assert_eq!(standing(1, "2026-01-31").await.unwrap(), Standing::Adopted);
        assert_eq!(standing(1, DAY).await.unwrap(), Standing::InEffect);
        // One for March is put up and adopted meanwhile; one for January is adopted in April.
        house.adopt(&house.ann, &bob, files(2, "2026-03-01")).await;
        house.h.clock.set(day("2026-04-01"));
        house.adopt(&house.ann, &bob, files(3, "2026-01-15")).await;
        for (version, at, expected) in [
            (1, "2026-02-28", Standing::InEffect),
            (2, "2026-02-28", Standing::Adopted),
            (1, "2026-03-01", Standing::Superseded),
            (2, "2026-03-01", Standing::InEffect),
            (2, "2026-03-31", Standing::InEffect),
            (3, "2026-04-01", Standing::InEffect),
            (2, "2026-04-01", Standing::Superseded),
        ] {
            assert_eq!(standing(version, at).await.unwrap(), expected, "version {version} on {at}");
        }
        // Of then, it was not there; and nothing was.
        assert_eq!(standing(3, "2026-03-31").await.unwrap_err().kind(), Kind::NotFound);
        let by = house.by(&bob).await;
        let error = house.watch.version(&by, None, Some(before)).await.unwrap_err();
        assert_eq!((error.kind(), house.last_act().as_str()), (Kind::NotFound, "policy.read refused not-found"));
        assert_eq!(house.known(Some(before)).await.standing, Standing::Specimen);
        let known = house.known(Some(day("2026-03-05"))).await;
        assert_eq!((known.standing, known.assessment.version), (Standing::InEffect, 2));
        let error = house.watch.assess(&by, None, Some(house.now().plus(Duration::from_seconds(1)))).await.unwrap_err();
        assert_eq!((error.field(), house.last_act().as_str()), (Some("as_of"), "evidence.read refused invalid"));
        assert_eq!(house.watch.assess(&by, Some(9), None).await.unwrap_err().kind(), Kind::NotFound);
    }

    async fn what_was_changed_behind_the_stores_back_is_never_served(h: Harness) {
        let house = House::open(h).await;
        let bob = house.invite(Role::Administrator, 2).await;
        let one = house.adopt(&house.ann, &bob, files(1, DAY)).await;
        let two = house.propose(&house.ann, files(2, DAY)).await.unwrap();
        let tamper = |sql: &str| house.h.tamper(Realm::Data, &sql.replace("$two", &two.content).replace("$one", &one.content));
        let damaged = async |number: u32| {
            let by = house.by(&bob).await;
            let read = house.watch.version(&by, Some(number), None).await.unwrap_err();
            let assessed = house.watch.assess(&by, Some(number), None).await.unwrap_err();
            assert_eq!((read.code(), read.kind(), assessed.code()), ("damaged", Kind::Internal, "damaged"));
        };
        // A word of it; then all of another version's; then none at all.
        tamper("UPDATE policy_content SET content = replace(content, 'eu-west-1', 'us-east-1') WHERE sha256 = '$two'");
        damaged(2).await;
        assert_eq!(house.approve(&bob, &two).await.unwrap_err().code(), "damaged");
        tamper("UPDATE policy_content SET content = (SELECT content FROM policy_content WHERE sha256 = '$one') WHERE sha256 = '$two'");
        damaged(2).await;
        // Put up again, it is whole again.
        let again = house.propose(&house.ann, files(2, DAY)).await.unwrap();
        assert_eq!(again.content, two.content);
        assert_eq!(house.watch.version(&house.by(&bob).await, Some(2), None).await.unwrap().files, files(2, DAY));
        tamper("DELETE FROM policy_content WHERE sha256 = '$one'");
        damaged(1).await;
        // What the log says is there all the same, and a row more makes no version.
        tamper("INSERT INTO policy_content (sha256, content, at) VALUES ('$one', '{}', 0)");
        damaged(1).await;
        let listed = house.watch.versions(&house.by(&bob).await).await.unwrap();
        assert_eq!(listed.iter().map(|one| one.version.version).collect::<Vec<_>>(), [2, 1]);
    }

    async fn nobodys_word_alone_adopts(h: Harness) {
        let house = House::open(h).await;
        let who = || Actor::Operator(OperatorId::new(&house.h.context).unwrap());
        let (ann, bob) = (who(), who());
        let (one, other) = ("1".repeat(64), "2".repeat(64));
        let fold = |acts: Vec<(Actor, Act)>| {
            let events: Vec<EventView> = acts.into_iter().map(|(who, act)| house.made_up(who, act)).collect();
            Adoption::fold(&events, house.now())
        };
        let is_adopted = |acts| fold(acts).newest_adopted().is_some();
        let propose = || (ann, put_up(1, &one));
        let approve = |who: Actor, hash: &str| (who, said(Activity::PolicyApprove, 1, hash));
        let adopt = |who: Actor, hash: &str| (who, said(Activity::PolicyAdopt, 1, hash));
        assert!(is_adopted(vec![propose(), approve(bob, &one), adopt(bob, &one)]));
        assert!(!is_adopted(vec![propose(), adopt(bob, &one)]), "without an approval");
        assert!(!is_adopted(vec![propose(), approve(ann, &one), adopt(ann, &one)]), "by who put it up");
        assert!(!is_adopted(vec![propose(), approve(bob, &other), adopt(bob, &other)]), "of another hash");
        assert!(!is_adopted(vec![propose(), approve(bob, &one), adopt(bob, &other)]), "adopted is another");
        assert!(!is_adopted(vec![approve(bob, &one), adopt(bob, &one), propose()]), "before it was there");
        assert!(!is_adopted(vec![propose(), adopt(bob, &one), approve(bob, &one)]), "approved afterwards");
        let refused = Act::refused(Activity::PolicyApprove, ObjectRef::new("policy", 1), "own-version", None).detail("sha256", one.clone());
        assert!(!is_adopted(vec![propose(), (bob, refused), adopt(bob, &one)]), "an approval that was refused");
        let elsewhere = Act::new(Activity::PolicyApprove, ObjectRef::new("record", 1)).detail("sha256", one.clone());
        assert!(!is_adopted(vec![propose(), (bob, elsewhere), adopt(bob, &one)]), "of another kind of thing");
        // What is adopted stays as it is, whatever comes after.
        let whole = vec![propose(), approve(bob, &one), adopt(bob, &one), (bob, put_up(1, &other)), adopt(bob, &other)];
        assert_eq!(fold(whole).versions[&1].sha256, one);
        // Nobody acknowledges what is not adopted, or reads otherwise.
        let acknowledge = |hash: &str| (bob, said(Activity::PolicyAcknowledge, 1, hash));
        let early = fold(vec![propose(), acknowledge(&one), approve(bob, &one), adopt(bob, &one), acknowledge(&other)]);
        assert!(early.acknowledgements.is_empty(), "{early:?}");

        // A row of `event` that is in no log and waits for none is no event.
        let id = base::EventId::new(&house.h.context).unwrap();
        let bobs = house.invite(Role::Administrator, 2).await;
        let two = house.propose(&house.ann, files(2, DAY)).await.unwrap();
        let by = Actor::Operator(bobs.id.parse().unwrap());
        let leaf = house.leaf(id, by, said(Activity::PolicyApprove, 2, &two.sha256));
        house.h.tamper(Realm::Data, &format!(
            "INSERT INTO event (id, at, activity, leaf) VALUES (x'{}', {}, 'policy.approve', x'{}')",
            hex(id.as_bytes()), house.now().micros(), hex(&leaf),
        ));
        assert!(house.watch.adoption(house.now()).await.unwrap().versions[&2].approvals.is_empty());
    }

    /// What is read of a kind of activities has a limit, and who reads a version is recorded: readers don't use it up.
    async fn who_reads_the_policy_does_not_count(h: Harness) {
        let house = House::open(h).await;
        let bob = house.invite(Role::Administrator, 2).await;
        let by = house.by(&bob).await;
        let one = house.propose(&house.ann, files(1, DAY)).await.unwrap();
        house.watch.versions(&by).await.unwrap();
        house.sequence().await;
        house.watch.versions(&by).await.unwrap();
        house.approve(&bob, &one).await.unwrap();
        house.watch.acknowledge(&by, 1, &one.sha256).await.unwrap();
        house.saw("log-keeps-up", Seen::Pass).await;
        let acts = [Activity::PolicyAcknowledge, Activity::PolicyPropose, Activity::PolicyAdopt, Activity::PolicyApprove];
        let names = async || -> Vec<String> {
            let found = house.h.data.recorded_of(&acts, &EventQuery::default()).await.unwrap();
            found.into_iter().map(|event| event.activity).collect()
        };
        let expected = ["policy.propose", "policy.approve", "policy.adopt", "policy.acknowledge"];
        assert_eq!(names().await, expected);
        house.sequence().await;
        assert_eq!(names().await, expected, "in the log's order, whatever was asked for first");
        assert_eq!(house.watch.adoption(Timestamp::from_micros(i64::MAX)).await.unwrap().acknowledgements.len(), 1);
    }
}

//! Observations: when they count, that the log alone says so, and the findings that follow.

use access::Role;
use base::{Actor, Duration, EventId, Fault, Kind, Timestamp};
use ledger::{Act, Activity, DetailValue, ObjectRef};
use policy::{Catalogue, Registry, Seen, State};
use store::Realm;
use testkit::on_both_engines;
use watch::{Attestation, Sight};

use crate::support::{House, Person, attestation, clause, day, files, hex, state, worded};

const MANUAL: &str = "media-disposed";
const AUTOMATIC: &str = "log-keeps-up";
const OTHER: &str = "rows-explained";

async fn attest(house: &House, by: &Person, given: &Attestation) {
    house.watch.attest(&house.by(by).await, given).await.unwrap().into_inner();
    house.h.clock.advance(Duration::from_micros(1));
}

/// What was so then, found out now.
fn late(effective: Timestamp, holds: bool) -> Attestation {
    let failed = u64::from(!holds);
    Attestation { effective: Some(effective), holds, failed, ..attestation(MANUAL) }
}

/// A row in the table, behind the store's back.
fn plant(house: &House, check: &str, definite: bool, effective: Timestamp, event: &str) {
    let (definite, at) = (i64::from(definite), effective.micros());
    house.h.tamper(
        Realm::Data,
        &format!("INSERT INTO observation (check_id, definite, effective, received, event) VALUES ('{check}', {definite}, {at}, {at}, x'{event}')"),
    );
}

/// A true event that says that a check was made, in no log.
fn plant_event(house: &House, check: &str, seen: Seen) -> String {
    let id = EventId::new(&house.h.context).unwrap();
    let now = house.now().to_string();
    let act = Act::new(Activity::EvidenceObserve, ObjectRef::new("check", check))
        .detail("seen", seen.as_str())
        .detail("examined", 1u64)
        .detail("failed", u64::from(seen == Seen::Fail))
        .detail("summary", "all is well")
        .detail("effective", now.clone())
        .detail("collected", now);
    let leaf = house.leaf(id, Actor::System(house.h.data.server()), act);
    let (event, leaf, at) = (hex(id.as_bytes()), hex(&leaf), house.now().micros());
    house.h.tamper(
        Realm::Data,
        &format!("INSERT INTO event (id, at, activity, leaf) VALUES (x'{event}', {at}, 'evidence.observe', x'{leaf}')"),
    );
    event
}

/// The findings, the newest first: which check, and whether it is closed.
async fn findings(house: &House) -> Vec<(String, bool)> {
    let known = house.known(None).await;
    known.findings.into_iter().map(|one| (one.check, one.closed.is_some())).collect()
}

on_both_engines! {
    async fn manual_evidence_has_its_three_times(h: Harness) {
        let house = House::open(h).await;
        let eve = house.invite(Role::Auditor, 2).await;
        house.h.clock.set(day("2026-03-01"));
        assert_eq!(house.state(MANUAL).await, State::NeverObserved);
        let given = Attestation {
            effective: Some(day("2026-02-01")),
            collected: Some(day("2026-02-20")),
            document: Some("ab".repeat(32)),
            ..attestation(MANUAL)
        };
        attest(&house, &eve, &given).await;
        let known = house.known(None).await;
        let seen = known.assessment.check(MANUAL).unwrap();
        let one = seen.observation.as_ref().unwrap();
        assert_eq!((one.effective, one.collected, one.received), (day("2026-02-01"), day("2026-02-20"), day("2026-03-01")));
        assert_eq!((one.by.as_str(), one.examined, one.failed, one.seen), (eve.id.as_str(), 3, 0, Seen::Pass));
        assert_eq!((one.summary.as_str(), one.document.as_deref()), ("three were looked at", given.document.as_deref()));
        // It is good for a hundred days from when it was so, not from when it was written down.
        assert_eq!((seen.state, seen.valid_until), (State::Satisfied, Some(day("2026-05-12"))));
        // The clause is as its worst check is.
        let others: Vec<_> = clause(&known, "SD-5").sentences.iter().flat_map(|one| one.checks.clone()).filter(|id| id != MANUAL).collect();
        for other in &others {
            assert_eq!(clause(&house.known(None).await, "SD-5").state, State::NeverObserved, "{other} is missing");
            house.saw(other, Seen::Pass).await;
        }
        assert_eq!(clause(&house.known(None).await, "SD-5").state, State::Satisfied);

        // Known only from March on: what was known in February is not changed by it.
        let in_february = house.known(Some(day("2026-02-25"))).await;
        assert_eq!(state(&in_february, MANUAL), State::NeverObserved);
        assert_eq!(in_february.assessment.check(MANUAL).unwrap().observation, None);
        assert_eq!(state(&house.known(Some(day("2026-03-01"))).await, MANUAL), State::Satisfied);
        assert_eq!(state(&house.known(Some(day("2026-03-01").minus(Duration::from_micros(1)))).await, MANUAL), State::NeverObserved);

        // In April it turns out that it was not so in the middle of February: from then on that counts.
        house.h.clock.set(day("2026-04-01"));
        attest(&house, &eve, &late(day("2026-02-15"), false)).await;
        assert_eq!(house.state(MANUAL).await, State::NotSatisfied);
        assert_eq!(state(&house.known(Some(day("2026-03-15"))).await, MANUAL), State::Satisfied, "as it was known then");
        // What was so before that is no news.
        attest(&house, &eve, &late(day("2026-02-10"), true)).await;
        assert_eq!(house.state(MANUAL).await, State::NotSatisfied);
        attest(&house, &eve, &late(day("2026-03-20"), true)).await;
        assert_eq!(house.state(MANUAL).await, State::Satisfied);
        house.h.clock.set(day("2026-03-20").plus(Duration::from_days(100)));
        assert_eq!(house.state(MANUAL).await, State::Stale);
        assert_eq!(state(&house.known(Some(house.now().minus(Duration::from_micros(1)))).await, MANUAL), State::Satisfied);
        // Of a page too, the newest is what was written down last.
        let page = house.watch.observations(&house.by(&eve).await, MANUAL, None, 10).await.unwrap();
        let days: Vec<_> = page.items.iter().map(|one| one.effective).collect();
        assert_eq!(days, ["2026-03-20", "2026-02-10", "2026-02-15", "2026-02-01"].map(day));
    }

    async fn a_state_follows_from_the_log_alone(h: Harness) {
        let house = House::open(h).await;
        house.pass_days(1);
        house.saw(AUTOMATIC, Seen::Pass).await;
        house.saw(OTHER, Seen::Pass).await;
        let passed = house.h.tamper(Realm::Data, "SELECT event FROM observation ORDER BY received").swap_remove(0);
        house.h.clock.advance(Duration::from_seconds(60));
        house.saw(AUTOMATIC, Seen::Fail).await;
        let failed = house.h.tamper(Realm::Data, "SELECT event FROM observation ORDER BY received DESC LIMIT 1").remove(0);
        // In the log as well as on the way there.
        for round in 0..2 {
            house.h.clock.advance(Duration::from_seconds(60));
            let now = house.now();
            // An event that is not there; one of another check; the pass of before, as if it were of now.
            plant(&house, AUTOMATIC, true, now, &"07".repeat(16));
            plant(&house, AUTOMATIC, true, now, "07");
            let others = house.h.tamper(Realm::Data, &format!("SELECT event FROM observation WHERE check_id = '{OTHER}'")).remove(0);
            plant(&house, AUTOMATIC, true, now, &others);
            plant(&house, AUTOMATIC, true, now, &passed);
            // One of an event that is written as it should be, and that no server recorded; and that nobody could tell.
            let event = plant_event(&house, AUTOMATIC, Seen::Pass);
            plant(&house, AUTOMATIC, true, now, &event);
            plant(&house, AUTOMATIC, false, now, &event);
            let manual = plant_event(&house, MANUAL, Seen::Pass);
            plant(&house, MANUAL, true, now, &manual);
            let known = house.known(None).await;
            assert_eq!((state(&known, AUTOMATIC), state(&known, OTHER)), (State::NotSatisfied, State::Satisfied), "round {round}");
            assert_eq!(state(&known, MANUAL), State::NeverObserved);
            assert_eq!(known.assessment.check(AUTOMATIC).unwrap().could_not_tell, None);
            let page = house.watch.observations(&house.by(&house.ann).await, AUTOMATIC, None, 100).await.unwrap();
            assert_eq!(page.items.iter().map(|one| one.seen).collect::<Vec<_>>(), [Seen::Fail, Seen::Pass], "round {round}");
            house.sequence().await;
        }
        // More of them than are read at once hide nothing.
        let at = house.now().micros();
        let row = |number: u8| format!("('{OTHER}', 1, {at}, {at}, x'{}')", hex(&[number; 16]));
        let rows: Vec<_> = (0..150u8).map(row).collect();
        house.h.tamper(
            Realm::Data,
            &format!("INSERT INTO observation (check_id, definite, effective, received, event) VALUES {}", rows.join(", ")),
        );
        assert_eq!(house.state(OTHER).await, State::Satisfied);
        // Pages of which nothing counts lead on to those that do.
        let mut seen = Vec::new();
        let mut before = None;
        loop {
            let page = house.watch.observations(&house.by(&house.ann).await, OTHER, before, 40).await.unwrap();
            seen.extend(page.items);
            before = page.next;
            if before.is_none() { break }
        }
        assert_eq!(seen.len(), 1);
        // Moved to another check, it counts for neither.
        house.h.tamper(Realm::Data, &format!("UPDATE observation SET check_id = '{MANUAL}' WHERE check_id = '{OTHER}'"));
        let known = house.known(None).await;
        assert_eq!((state(&known, OTHER), state(&known, MANUAL)), (State::NeverObserved, State::NeverObserved));
        // The failure is said to have been one of those that could not tell: it is not, and nothing else is either.
        house.h.tamper(Realm::Data, &format!("UPDATE observation SET definite = 0 WHERE check_id = '{AUTOMATIC}' AND event = x'{failed}'"));
        assert_eq!(house.known(None).await.assessment.check(AUTOMATIC).unwrap().could_not_tell, None);
    }

    async fn an_observation_that_was_taken_out_is_missed(h: Harness) {
        let house = House::open(h).await;
        let eve = house.invite(Role::Auditor, 2).await;
        house.pass_days(10);
        let missing = async || house.watch.incomplete(&house.server()).await.unwrap().1;
        for seen in [Seen::Pass, Seen::Fail, Seen::Unknown] {
            house.saw(AUTOMATIC, seen).await;
        }
        house.saw(OTHER, Seen::Pass).await;
        attest(&house, &eve, &attestation(MANUAL)).await;
        // What is the last in the log is not always what was so last.
        attest(&house, &eve, &late(house.now().minus(Duration::from_days(5)), true)).await;
        assert_eq!(missing().await, [""; 0]);
        house.sequence().await;
        assert_eq!(missing().await, [""; 0]);
        // The failure is taken out, so that the pass before it is the newest: behind it, nobody could tell.
        house.h.tamper(Realm::Data, &format!(
            "DELETE FROM observation WHERE check_id = '{AUTOMATIC}' AND definite = 1 AND effective = \
             (SELECT MAX(effective) FROM observation WHERE check_id = '{AUTOMATIC}' AND definite = 1)"
        ));
        assert_eq!((house.state(AUTOMATIC).await, missing().await), (State::Satisfied, vec![AUTOMATIC.to_owned()]));
        house.h.tamper(Realm::Data, &format!("UPDATE observation SET effective = effective + 1 WHERE check_id = '{OTHER}'"));
        assert_eq!(missing().await.len(), 2);
    }

    async fn a_finding_opens_at_the_first_failure_and_closes_at_the_next_pass(h: Harness) {
        let house = House::open(h).await;
        let from = house.events().len();
        for seen in [Seen::Pass, Seen::Unknown, Seen::Fail, Seen::Fail, Seen::Unknown, Seen::Fail] {
            house.saw(AUTOMATIC, seen).await;
        }
        house.saw(OTHER, Seen::Pass).await;
        let opened: Vec<_> = house.events().into_iter().skip(from).filter(|one| one.activity.starts_with("finding")).collect();
        assert_eq!(opened.len(), 1);
        let known = house.known(None).await;
        let first = house.events().into_iter().find(|one| one.details.contains(&("seen".into(), DetailValue::Text("fail".into())))).unwrap();
        let one = &known.findings[0];
        assert_eq!((&one.event, one.check.as_str(), one.closed), (&first.id.to_string(), AUTOMATIC, None), "it is called by what failed first");
        assert_eq!((one.opened, one.summary.as_str()), (first.time, "not as it should be"));
        let while_open = house.now();
        house.h.clock.advance(Duration::from_seconds(1));
        house.saw(AUTOMATIC, Seen::Pass).await;
        house.saw(AUTOMATIC, Seen::Pass).await;
        assert_eq!(findings(&house).await, [(AUTOMATIC.to_owned(), true)]);
        assert_eq!(house.known(Some(while_open)).await.findings[0].closed, None, "as it was then");
        house.saw(AUTOMATIC, Seen::Fail).await;
        assert_eq!(findings(&house).await, [(AUTOMATIC.to_owned(), false), (AUTOMATIC.to_owned(), true)]);
        let acts: Vec<_> = house.acts_since(from).into_iter().filter(|one| one.starts_with("finding")).collect();
        assert_eq!(acts, ["finding.open ok", "finding.close ok", "finding.open ok"]);
    }

    async fn late_evidence_neither_opens_a_finding_nor_closes_one(h: Harness) {
        let house = House::open(h).await;
        let eve = house.invite(Role::Auditor, 2).await;
        house.pass_days(10);
        let now = house.now();
        attest(&house, &eve, &Attestation { holds: false, failed: 1, ..attestation(MANUAL) }).await;
        assert_eq!(findings(&house).await, [(MANUAL.to_owned(), false)]);
        attest(&house, &eve, &late(now.minus(Duration::from_days(5)), true)).await;
        assert_eq!((house.state(MANUAL).await, findings(&house).await), (State::NotSatisfied, vec![(MANUAL.to_owned(), false)]));
        attest(&house, &eve, &attestation(MANUAL)).await;
        assert_eq!(findings(&house).await, [(MANUAL.to_owned(), true)]);
        attest(&house, &eve, &late(now.minus(Duration::from_days(5)), false)).await;
        assert_eq!((house.state(MANUAL).await, findings(&house).await), (State::Satisfied, vec![(MANUAL.to_owned(), true)]));
    }

    async fn whoever_edits_the_table_of_findings_silences_none(h: Harness) {
        let house = House::open(h).await;
        house.saw(AUTOMATIC, Seen::Pass).await;
        // Planted, as if it were known already.
        for check in [AUTOMATIC, OTHER] {
            house.h.tamper(Realm::Data, &format!("INSERT INTO open_finding (check_id, event, at) VALUES ('{check}', x'{}', 0)", "07".repeat(16)));
            house.saw(check, Seen::Fail).await;
            house.saw(check, Seen::Fail).await;
        }
        assert_eq!(findings(&house).await, [(OTHER.to_owned(), false), (AUTOMATIC.to_owned(), false)]);
        // Taken out, as if nothing were open.
        house.h.tamper(Realm::Data, "DELETE FROM open_finding");
        house.saw(AUTOMATIC, Seen::Pass).await;
        house.saw(OTHER, Seen::Fail).await;
        assert_eq!(findings(&house).await, [(OTHER.to_owned(), false), (AUTOMATIC.to_owned(), true)]);
        house.saw(OTHER, Seen::Pass).await;
        assert_eq!(findings(&house).await, [(OTHER.to_owned(), true), (AUTOMATIC.to_owned(), true)]);
    }

    async fn nobody_attests_what_they_can_not_know(h: Harness) {
        let house = House::open(h).await;
        let bob = house.invite(Role::Administrator, 2).await;
        house.pass_days(30);
        house.adopt(&house.ann, &bob, worded(files(1, "2026-01-02"), "CD-5", "Disks are encrypted.")).await;
        let now = house.now();
        let (soon, ago) = (now.plus(Duration::from_micros(1)), now.minus(Duration::from_days(1)));
        let good = || attestation(MANUAL);
        let own = "wording/CD-5";
        let long = "é".repeat(126);
        for (what, given, code, field) in [
            ("a machine's check", attestation(AUTOMATIC), "not-manual", Some("check")),
            ("a drill", attestation("drill-cross-account"), "not-manual", Some("check")),
            ("no check", attestation("no-such-check"), "not-found", None),
            ("a control", attestation("media-disposal"), "not-found", None),
            ("no clause", attestation("wording/CD-99"), "not-found", None),
            ("no clause at all", attestation("wording/"), "not-found", None),
            ("what will be", Attestation { effective: Some(soon), ..good() }, "invalid", Some("effective")),
            ("a look to come", Attestation { collected: Some(soon), ..good() }, "invalid", Some("collected")),
            ("a look before it was so", Attestation { effective: Some(now), collected: Some(ago), ..good() }, "invalid", Some("collected")),
            ("more than all", Attestation { holds: false, examined: 1, failed: 2, ..good() }, "invalid", Some("failed")),
            ("some, and yet so", Attestation { failed: 1, ..good() }, "invalid", Some("failed")),
            ("two lines", Attestation { summary: "a\nb".into(), ..good() }, "invalid", Some("summary")),
            ("quotation marks", Attestation { summary: "a \"b\"".into(), ..good() }, "invalid", Some("summary")),
            ("nothing said", Attestation { summary: " ".into(), ..good() }, "invalid", Some("summary")),
            ("too much said", Attestation { summary: "a".repeat(201), ..good() }, "invalid", Some("summary")),
            ("too many bytes", Attestation { summary: long, ..good() }, "invalid", Some("summary")),
            ("half a hash", Attestation { document: Some("ab".repeat(31)), ..good() }, "invalid", Some("document")),
            ("capital digits", Attestation { document: Some("AB".repeat(32)), ..good() }, "invalid", Some("document")),
        ] {
            let error = house.watch.attest(&house.by(&bob).await, &given).await.expect_err(what);
            assert_eq!((error.code(), error.field()), (code, field), "{what}");
            assert_eq!(house.last_act(), format!("evidence.observe refused {code}"), "{what}");
        }
        assert_eq!(house.h.tamper(Realm::Data, "SELECT count(*) FROM observation"), ["1"]);
        // That one: own words were adopted, and wait for somebody to attest them.
        // Whoever worded a clause does not say that it is held as it is worded.
        assert_eq!(clause(&house.known(None).await, "CD-5").sentences[0].checks.last().unwrap(), own);
        let error = house.watch.attest(&house.by(&house.ann).await, &attestation(own)).await.unwrap_err();
        assert_eq!((error.code(), error.kind(), error.clause()), ("own-wording", Kind::Denied, Some("PD-2")));
        assert_eq!(house.last_act(), "evidence.observe refused own-wording");
        // What was seen when it was adopted is older than what somebody attests now.
        house.h.clock.advance(Duration::from_micros(1));
        attest(&house, &bob, &attestation(own)).await;
        assert_eq!(house.state(own).await, State::Satisfied);
        // The longest that there is; nothing that failed where it does not hold.
        attest(&house, &house.ann, &Attestation { holds: false, summary: "a".repeat(200), ..good() }).await;
        let known = house.known(None).await;
        let seen = known.assessment.check(MANUAL).unwrap().observation.as_ref().unwrap();
        assert_eq!((seen.seen, seen.summary.len()), (Seen::Fail, 200));
        // What is asked of a check that is none is said so.
        for none in ["no-such-check", "wording/CD-99"] {
            let error = house.watch.observations(&house.by(&bob).await, none, None, 10).await.unwrap_err();
            assert_eq!((error.kind(), house.last_act().as_str()), (Kind::NotFound, "evidence.read refused not-found"), "{none}");
        }
    }

    async fn observations_are_read_page_by_page(h: Harness) {
        let house = House::open(h).await;
        let server = house.server();
        // Three of one instant, as two servers may record them, and four more.
        for number in 0..7u64 {
            let sight = Sight { seen: Seen::Pass, examined: number, failed: 0, summary: "so many".into() };
            house.watch.observe(&server, AUTOMATIC, &sight).await.unwrap().into_inner();
            if number >= 2 {
                house.h.clock.advance(Duration::from_micros(1));
            }
        }
        house.saw(OTHER, Seen::Pass).await;
        let by = house.by(&house.ann).await;
        for limit in 1..=8 {
            let mut all = Vec::new();
            let mut before = None;
            let mut pages = 0;
            loop {
                let page = house.watch.observations(&by, AUTOMATIC, before, limit).await.unwrap();
                assert!(page.items.len() <= limit.max(3) + 2, "of one instant, all");
                all.extend(page.items.iter().map(|one| one.examined));
                pages += 1;
                before = page.next;
                if before.is_none() { break }
            }
            assert_eq!(all[..4], [6, 5, 4, 3], "{limit} on a page");
            let mut last = all[4..].to_vec();
            last.sort_unstable();
            assert_eq!(last, [0, 1, 2], "{limit} on a page");
            assert!(pages <= 7usize.div_ceil(limit), "{limit} on a page: {pages}");
        }
        // A limit of none is one, and a huge one is bounded.
        assert_eq!(house.watch.observations(&by, AUTOMATIC, None, 0).await.unwrap().items.len(), 1);
        assert_eq!(house.watch.observations(&by, AUTOMATIC, None, usize::MAX).await.unwrap().items.len(), 7);
    }

    async fn what_is_not_there_observes_nothing(h: Harness) {
        let registry = Registry::load(&Catalogue::load().unwrap()).unwrap();
        let absent: Vec<_> = registry.of_clause(&"SD-5".parse().unwrap()).map(|one| one.id.as_str()).collect();
        let house = House::running(h, policy::Observed::default(), &absent).await;
        let eve = house.invite(Role::Auditor, 2).await;
        attest(&house, &eve, &attestation(MANUAL)).await;
        let known = house.known(None).await;
        assert_eq!((known.assessment.check(MANUAL), clause(&known, "SD-5").state), (None, State::Gap));
        assert!(known.absent.iter().any(|one| one == "media-disposal"));
        assert!(!known.assessment.is_satisfied());
    }
}

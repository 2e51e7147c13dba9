//! What is known of a document follows from observations: each state, how it is reached and left, and that nothing is satisfied
//! that was not seen to be so.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::{collections::BTreeSet, sync::OnceLock};

use base::{Duration, Timestamp};
use policy::{
    Assessment, Catalogue, Check, CheckState, ClauseId, ClauseState, Document, Exception, Known, Observation,
    Registry, Seen, State, assess, check_state, latest, specimen,
};
use proptest::prelude::*;

/// The smallest span that there is.
const TICK: Duration = Duration::from_micros(1);

fn registry() -> &'static Registry {
    static LOADED: OnceLock<Registry> = OnceLock::new();
    LOADED.get_or_init(|| Registry::load(&Catalogue::load().unwrap()).unwrap())
}

/// A document with every clause.
fn document() -> &'static Document {
    static MADE: OnceLock<Document> = OnceLock::new();
    MADE.get_or_init(|| specimen(&Catalogue::load().unwrap()).unwrap())
}

/// The same, with these clauses in the organisation's own words.
fn worded(clauses: &BTreeSet<&str>) -> Document {
    let mut document = document().clone();
    let all = document.sections.iter_mut().flat_map(|section| &mut section.clauses);
    all.filter(|clause| clauses.contains(clause.id.as_str())).for_each(|clause| clause.own_wording = true);
    document
}

fn id(clause: &str) -> ClauseId {
    clause.parse().unwrap()
}

fn check(id: &str) -> &'static Check {
    registry().check(id).unwrap_or_else(|| panic!("there is no check `{id}`"))
}

/// An instant, in seconds from one that all tests share.
fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(1_800_000_000 + seconds)
}

/// An observation that is true, made and recorded at once.
fn seen(check: &str, seconds: i64, seen: Seen) -> Observation {
    Observation {
        event: format!("{check} {seconds}"),
        check: check.to_owned(),
        effective: at(seconds),
        collected: at(seconds),
        received: at(seconds),
        by: "a server".to_owned(),
        seen,
        examined: 1,
        failed: u64::from(seen == Seen::Fail),
        summary: "it was looked at".to_owned(),
        document: None,
    }
}

/// A passing observation of each check of the registry, and of each wording that is the organisation's own.
fn all_passing(document: &Document, seconds: i64) -> Vec<Observation> {
    let own = document.clauses().filter(|clause| clause.own_wording);
    let wordings = own.map(|clause| Registry::own_wording(&clause.id).id);
    let checks = registry().checks().map(|(_, check)| check.id.clone());
    checks.chain(wordings).map(|id| seen(&id, seconds, Seen::Pass)).collect()
}

fn known(observations: &[Observation], now: Timestamp) -> Known {
    Known { latest: latest(observations, now), ..Known::default() }
}

fn assessed(observations: &[Observation], now: Timestamp) -> Assessment {
    assess(document(), registry(), &known(observations, now), now)
}

fn clause<'a>(assessment: &'a Assessment, wanted: &str) -> &'a ClauseState {
    assessment.clauses.iter().find(|one| one.clause.as_str() == wanted).unwrap()
}

/// What is known of a check by these observations.
fn state(of: &str, observations: &[Observation], now: Timestamp) -> CheckState {
    check_state(Some("a-control"), check(of), latest(observations, now).get(of), now)
}

/// What Sam answers for from then until then.
fn exception(clause: &str, not_applicable: bool, from: i64, until: i64) -> Exception {
    Exception {
        event: "an event".to_owned(),
        clause: id(clause),
        not_applicable,
        reason: "there is nothing of the kind".to_owned(),
        owner: "Sam".to_owned(),
        by: "Ann".to_owned(),
        from: at(from),
        until: at(until),
        ended: None,
    }
}

#[test]
fn a_check_is_never_observed_then_satisfied_then_stale_to_the_instant() {
    const CHECK: &str = "drill-missing-scope";
    let end = at(0).plus(check(CHECK).valid);
    let all = [seen(CHECK, 0, Seen::Pass)];
    let before = state(CHECK, &all, at(0).minus(TICK));
    assert_eq!((before.state, before.valid_until, &before.observation), (State::NeverObserved, None, &None));
    for (now, expected) in [
        (at(0), State::Satisfied),
        (end.minus(TICK), State::Satisfied),
        (end, State::Stale),
        (end.plus(Duration::from_days(9_999)), State::Stale),
    ] {
        let found = state(CHECK, &all, now);
        assert_eq!((found.state, found.valid_until), (expected, Some(end)), "{now}");
        assert_eq!(found.observation.as_ref(), all.first());
        assert_eq!(clause(&assessed(&all, now), "SD-1").state, expected, "{now}");
    }
    // It is valid from when it is true, not from when that was recorded.
    let [mut late] = all;
    (late.collected, late.received) = (at(100), at(200));
    let found = state(CHECK, &[late], at(200));
    assert_eq!((found.state, found.valid_until), (State::Satisfied, Some(end)));
}

#[test]
fn what_fails_is_not_satisfied_until_it_passes_again() {
    const CHECK: &str = "drill-missing-scope";
    let mut all = vec![seen(CHECK, 0, Seen::Pass), seen(CHECK, 10, Seen::Fail)];
    assert_eq!(state(CHECK, &all, at(9)).state, State::Satisfied);
    assert_eq!(state(CHECK, &all, at(10)).state, State::NotSatisfied);
    assert_eq!(clause(&assessed(&all, at(10)), "SD-1").state, State::NotSatisfied);
    all.push(seen(CHECK, 20, Seen::Pass));
    assert_eq!(state(CHECK, &all, at(19)).state, State::NotSatisfied);
    assert_eq!(state(CHECK, &all, at(20)).state, State::Satisfied);
    // What failed is forgotten no later than what passed.
    let failed = [seen(CHECK, 0, Seen::Fail)];
    assert_eq!(state(CHECK, &failed, at(0).plus(check(CHECK).valid)).state, State::Stale);
}

#[test]
fn who_can_not_tell_keeps_what_was_seen_before_only_while_that_is_valid() {
    const CHECK: &str = "tls-only";
    let valid = check(CHECK).valid;
    let hour = 3_600;
    let unknowns = (1..100).map(|hours| seen(CHECK, hours * hour, Seen::Unknown));
    for (first, meanwhile) in [(Seen::Pass, State::Satisfied), (Seen::Fail, State::NotSatisfied)] {
        let all: Vec<_> = std::iter::once(seen(CHECK, 0, first)).chain(unknowns.clone()).collect();
        assert_eq!(state(CHECK, &all, at(0)).could_not_tell, None);
        let found = state(CHECK, &all, at(2 * hour));
        assert_eq!((found.state, found.observation.as_ref()), (meanwhile, all.first()));
        assert_eq!(found.could_not_tell, Some(seen(CHECK, 2 * hour, Seen::Unknown)));
        // A collector that goes on saying that it can't tell is never green.
        assert_eq!(state(CHECK, &all, at(0).plus(valid).minus(TICK)).state, meanwhile);
        for now in [at(0).plus(valid), at(99 * hour)] {
            let found = state(CHECK, &all, now);
            assert_eq!(found.state, State::Stale);
            assert!(found.could_not_tell.is_some());
        }
    }
    let alone = state(CHECK, &[seen(CHECK, 0, Seen::Unknown)], at(1));
    assert_eq!((alone.state, alone.observation, alone.valid_until), (State::NeverObserved, None, None));
    assert!(alone.could_not_tell.is_some());
    // It is not shown any more once somebody could tell.
    let after = [seen(CHECK, 0, Seen::Unknown), seen(CHECK, 1, Seen::Pass)];
    let found = state(CHECK, &after, at(1));
    assert_eq!((found.state, found.could_not_tell), (State::Satisfied, None));
}

#[test]
fn what_no_control_holds_is_a_gap_whatever_was_observed() {
    let all = all_passing(document(), 0);
    let found = assessed(&all, at(1));
    for clause in &found.clauses {
        let is_held = registry().of_clause(&clause.clause).next().is_some();
        assert!(is_held || clause.state == State::Gap, "{}: {:?}", clause.clause, clause.state);
        assert_eq!(
            clause.state == State::Satisfied,
            clause.sentences.iter().all(|one| one.state == State::Satisfied),
            "{}",
            clause.clause
        );
    }
    let gap = clause(&found, "RR-4");
    assert!(gap.sentences.iter().all(|one| one.state == State::Gap && one.checks.is_empty()));
    assert_eq!(clause(&found, "CD-8").state, State::Satisfied);
    assert!(!found.is_satisfied());
    // One sentence that nothing observes makes a gap of its clause.
    let shared = clause(&found, "EL-3");
    let states: Vec<_> = shared.sentences.iter().map(|one| one.state).collect();
    assert_eq!((shared.state, states), (State::Gap, vec![State::Satisfied, State::Gap]));
}

#[test]
fn a_control_that_is_not_configured_holds_nothing() {
    let all = all_passing(document(), 0);
    let with = |absent: &[&str]| {
        let absent = absent.iter().map(|one| (*one).to_owned()).collect();
        assess(document(), registry(), &Known { absent, ..known(&all, at(1)) }, at(1))
    };
    assert_eq!(clause(&with(&[]), "EL-5").state, State::Satisfied);
    let found = with(&["clock"]);
    assert_eq!(clause(&found, "EL-5").state, State::Gap);
    assert!(found.check("clock-right").is_none(), "what is not there is not asked");
    // What others hold of a clause counts.
    let found = with(&["detection-at-the-witness"]);
    assert_eq!(clause(&found, "AO-3").state, State::Gap);
    assert_eq!(clause(&found, "CD-3").state, State::Satisfied);
}

#[test]
fn not_applicable_is_a_clause_while_somebody_answers_for_it() {
    let ended = Exception { ended: Some(at(50)), ..exception("RR-4", true, 10, 100) };
    for (set, not_applicable) in [
        (exception("RR-4", true, 10, 100), vec![(9, false), (10, true), (99, true), (100, false)]),
        (ended, vec![(9, false), (10, true), (49, true), (50, false), (99, false)]),
    ] {
        for (now, expected) in not_applicable {
            let known = Known { exceptions: vec![set.clone()], ..Known::default() };
            let found = assess(document(), registry(), &known, at(now));
            let clause = clause(&found, "RR-4");
            assert_eq!(clause.state == State::NotApplicable, expected, "{now}");
            assert_eq!(clause.exceptions.len(), usize::from(expected), "{now}");
            // Of its sentences nothing else becomes true.
            assert!(clause.sentences.iter().all(|one| one.state == State::Gap));
            let others = found.clauses.iter().filter(|one| one.clause.as_str() != "RR-4");
            assert!(others.clone().all(|one| one.state != State::NotApplicable));
        }
    }
}

#[test]
fn an_exception_says_who_answers_and_changes_no_state() {
    let failed = [seen("drill-missing-scope", 0, Seen::Fail)];
    let set = exception("SD-1", false, 0, 100);
    let known = Known { exceptions: vec![set.clone()], ..known(&failed, at(1)) };
    let found = assess(document(), registry(), &known, at(1));
    let clause = clause(&found, "SD-1");
    assert_eq!((clause.state, &clause.exceptions), (State::NotSatisfied, &vec![set]));
    let without = assessed(&failed, at(1));
    assert_eq!(found.counts, without.counts);
}

#[test]
fn own_words_are_attested_and_hold_nothing_by_themselves() {
    let document = worded(&["SD-1", "CD-8", "RR-4"].into());
    let wording = |clause: &str| Registry::own_wording(&id(clause)).id;
    let mut all = all_passing(&document, 0);
    let found = |all: &[Observation], now| assess(&document, registry(), &known(all, now), now);
    let satisfied = found(&all, at(1));
    let asked = clause(&satisfied, "SD-1");
    assert_eq!(asked.state, State::Satisfied);
    assert_eq!(asked.sentences.first().unwrap().checks, ["drill-missing-scope", "wording/SD-1"]);
    assert_eq!(satisfied.check("wording/SD-1").unwrap().control, None);
    assert!(satisfied.check("wording/SD-2").is_none(), "its words are ours");
    // Of own words nobody knows which sentence says what: each check of the clause counts for each of them.
    for sentence in &clause(&satisfied, "CD-8").sentences {
        assert!(sentence.checks.iter().any(|one| one == "drill-expired-token"), "{}", sentence.id);
    }
    // Where no control holds anything, a person's word makes nothing of it.
    assert_eq!(clause(&satisfied, "RR-4").state, State::Gap);
    all.push(seen(&wording("RR-4"), 1, Seen::Fail));
    assert_eq!(clause(&found(&all, at(1)), "RR-4").state, State::NotSatisfied);
    // Without the person, the controls are not enough.
    all.retain(|one| one.check != wording("SD-1"));
    assert_eq!(clause(&found(&all, at(1)), "SD-1").state, State::NeverObserved);
    all.push(seen(&wording("SD-1"), 1, Seen::Fail));
    assert_eq!(clause(&found(&all, at(1)), "SD-1").state, State::NotSatisfied);
    assert_eq!(Registry::own_wording(&id("SD-1")).valid, Duration::from_days(365));
}

#[test]
fn a_clause_is_as_its_worst_sentence_and_that_as_its_worst_check() {
    let worse = State::ALL.windows(2).all(|two| matches!(two, [one, next] if one < next));
    assert!(worse, "they stand from the best to the worst");
    // CD-8 has three checks, of which one observes the second sentence alone.
    let at_last = at(0).plus(check("drill-cross-account").valid).minus(TICK);
    let pass = |id: &str, seconds| seen(id, seconds, Seen::Pass);
    let (apart, cross, token) = ("accounts-apart", "drill-cross-account", "drill-expired-token");
    let fresh = 2 * 86_400 - 1;
    let states = |all: &[Observation]| {
        let found = assessed(all, at_last);
        let clause = clause(&found, "CD-8");
        (clause.state, clause.sentences.iter().map(|one| one.state).collect::<Vec<_>>())
    };
    use State::{NeverObserved, NotSatisfied, Satisfied, Stale};
    let mut all = vec![pass(apart, fresh), pass(cross, 0), pass(token, 0)];
    assert_eq!(states(&all), (Satisfied, vec![Satisfied, Satisfied]));
    all = vec![pass(apart, 0), pass(cross, 0), pass(token, 0)];
    assert_eq!(states(&all), (Stale, vec![Stale, Stale]), "one that is stale among those that pass");
    all = vec![pass(apart, 0), pass(cross, 0)];
    assert_eq!(states(&all), (NeverObserved, vec![Stale, NeverObserved]));
    all = vec![pass(apart, fresh), pass(cross, 0), seen(token, 0, Seen::Fail)];
    assert_eq!(states(&all), (NotSatisfied, vec![Satisfied, NotSatisfied]));
    all = vec![pass(apart, 0), seen(token, 0, Seen::Fail)];
    assert_eq!(states(&all), (NotSatisfied, vec![NeverObserved, NotSatisfied]));
}

#[test]
fn late_evidence_does_not_rewrite_the_past() {
    const CHECK: &str = "media-disposed";
    let mut late = seen(CHECK, 10, Seen::Fail);
    (late.collected, late.received) = (at(20), at(50));
    let all = [seen(CHECK, 0, Seen::Pass), late.clone()];
    let of = |now| state(CHECK, &all, now).state;
    assert_eq!(of(at(49)), State::Satisfied, "what was known then was that it passed");
    assert_eq!(of(at(50)), State::NotSatisfied);
    // What is true as of an earlier instant does not stand above what is true as of a later one, whenever it comes in.
    let newer = seen(CHECK, 30, Seen::Pass);
    let all = [late.clone(), newer.clone()];
    for now in [at(40), at(50), at(60)] {
        assert_eq!(state(CHECK, &all, now).observation, Some(newer.clone()), "{now}");
    }
    // What is said of a time to come does not count before that.
    let mut early = seen(CHECK, 100, Seen::Pass);
    early.received = at(0);
    assert_eq!(state(CHECK, std::slice::from_ref(&early), at(99)).state, State::NeverObserved);
    assert_eq!(state(CHECK, &[early], at(100)).state, State::Satisfied);
    // Of two as of one instant, the one that was recorded later counts, in whatever order they are given.
    let mut again = seen(CHECK, 10, Seen::Pass);
    again.received = at(60);
    for all in [[late.clone(), again.clone()], [again, late]] {
        assert_eq!(state(CHECK, &all, at(60)).state, State::Satisfied);
    }
}

#[test]
fn an_assessment_is_whole_and_reads_back() {
    let exceptions = vec![exception("RR-4", true, 0, 100)];
    let mut all = all_passing(document(), 0);
    all.push(seen("tls-only", 1, Seen::Fail));
    all.retain(|one| one.check != "drill-missing-scope");
    let found = assess(document(), registry(), &Known { exceptions, ..known(&all, at(1)) }, at(1));
    assert_eq!(found.counts.values().sum::<usize>(), document().clauses().count());
    for (state, count) in &found.counts {
        assert_eq!(found.clauses.iter().filter(|one| one.state == *state).count(), *count);
    }
    for state in [State::NotApplicable, State::NotSatisfied, State::NeverObserved] {
        assert_eq!(found.counts.get(&state), Some(&1), "{}", state.as_str());
    }
    let ids: Vec<_> = found.checks.iter().map(|one| one.check.as_str()).collect();
    assert!(ids.is_sorted(), "{ids:?}");
    assert_eq!(ids.len(), registry().checks().count(), "each check once");
    assert_eq!((found.version, found.sha256.as_str()), (1, document().manifest().sha256.as_str()));
    let text = serde_json::to_string(&found).unwrap();
    assert_eq!(serde_json::from_str::<Assessment>(&text).unwrap(), found);
}

/// Where and how something was seen: of which check, true since when, recorded how much later, and what.
type Drawn = (proptest::sample::Index, i64, i64, u8);

fn drawn() -> impl Strategy<Value = Vec<Drawn>> {
    // Mostly what passes, and recently: otherwise hardly anything would be satisfied.
    let one = (any::<proptest::sample::Index>(), -400_000..1_000i64, 0..500i64, 0..8u8);
    proptest::collection::vec(one, 0..60)
}

/// Whether the newest observation of a check that could tell passed and is valid then: found by looking at each of them, as
/// nothing in the product does it.
fn passes(all: &[Observation], check: &Check, now: Timestamp) -> bool {
    let is_known = |one: &&Observation| one.check == check.id && one.received <= now && one.effective <= now;
    let definite = all.iter().filter(is_known).filter(|one| one.seen != Seen::Unknown);
    let newest = definite.max_by_key(|one| (one.effective, one.received, one.event.clone()));
    newest.is_some_and(|one| one.seen == Seen::Pass && now.since(one.effective) < check.valid)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(192) })]

    /// Whatever was observed, in whatever order it came in: a clause is satisfied if and only if each of its sentences is
    /// observed by a control that is there, and each check of each passed and is valid.
    #[test]
    fn nothing_is_satisfied_that_was_not_seen_to_be_so(
        drawn in drawn(),
        some_absent in any::<bool>(),
        own in proptest::sample::subsequence(vec!["SD-1", "CD-8", "CD-3", "RR-4", "EL-3"], 0..=5),
        exempt in any::<bool>(),
    ) {
        let now = at(0);
        let document = worded(&own.iter().copied().collect());
        // Everything passed a while ago, so that what is drawn decides.
        let mut all = all_passing(&document, -1_000);
        let ids: Vec<String> = all.iter().map(|one| one.check.clone()).collect();
        for (number, (which, since, later, what)) in drawn.into_iter().enumerate() {
            let what = match what { 0 => Seen::Fail, 1 => Seen::Unknown, _ => Seen::Pass };
            let mut one = seen(which.get::<String>(&ids), since, what);
            (one.received, one.event) = (at(since + later), format!("{number}"));
            // Of what is old, nothing newer is there.
            if since < -100_000 {
                all.retain(|other| other.check != one.check || other.effective <= one.effective);
            }
            all.push(one);
        }
        let absent: BTreeSet<String> = registry()
            .controls()
            .iter()
            .filter(|control| some_absent && !control.needs.is_empty())
            .map(|control| control.id.clone())
            .collect();
        let exceptions = if exempt { vec![exception("SD-1", false, -10, 10), exception("RR-1", true, -10, 10)] } else { vec![] };
        let known = Known { latest: latest(&all, now), absent: absent.clone(), exceptions };
        let found = assess(&document, registry(), &known, now);
        prop_assert_eq!(found.clauses.len(), document.clauses().count());
        for (state, clause) in found.clauses.iter().zip(document.clauses()) {
            let mut is_so = !clause.sentences.is_empty();
            for number in 1..=clause.sentences.len() {
                let asked: Vec<_> = registry()
                    .checks()
                    .filter(|(control, _)| !absent.contains(&control.id))
                    .filter(|(_, check)| check.holds.iter().any(|one| {
                        one.covers(&clause.id, number) || clause.own_wording && one.clause == clause.id
                    }))
                    .collect();
                is_so &= !asked.is_empty() && asked.iter().all(|(_, check)| passes(&all, check, now));
            }
            if clause.own_wording {
                is_so &= passes(&all, &Registry::own_wording(&clause.id), now);
            }
            let is_exempt = exempt && clause.id.as_str() == "RR-1";
            prop_assert_eq!(state.state == State::NotApplicable, is_exempt);
            prop_assert_eq!(state.state == State::Satisfied, is_so && !is_exempt, "{}: {:?}", clause.id, state);
        }
        // Whoever is given the same in another order finds the same.
        all.reverse();
        prop_assert_eq!(latest(&all, now), known.latest);
    }
}

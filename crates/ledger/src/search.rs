//! What is asked of the log, and whether an event answers it. Pure: a server asks its index first and this afterwards,
//! a reader of a copy asks this alone, and both find the same.

use base::{AccountId, Actor, Timestamp};

use crate::{DetailValue, EventView, OutcomeView, tree::leaf_hash};

/// Most words of a search.
pub const MAX_SEARCH_WORDS: usize = 8;
/// Most bytes of a word; what is longer is cut there.
const MAX_WORD_BYTES: usize = 64;

/// How an act ended, as a search asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutcomeWord {
    /// Allowed, and done.
    Success,
    /// Not allowed.
    Refused,
    /// Allowed, and failed.
    Failed,
}

impl OutcomeWord {
    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
    /// The outcome of that word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Success, Self::Refused, Self::Failed].into_iter().find(|one| one.as_str() == word)
    }
    fn of(outcome: &OutcomeView) -> Self {
        match outcome {
            OutcomeView::Success => Self::Success,
            OutcomeView::Refused { .. } => Self::Refused,
            OutcomeView::Failed { .. } => Self::Failed,
        }
    }
}

/// A search. What is left out is not asked for; everything that is asked for must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventQuery {
    /// Not before this, by the server's clock.
    pub from: Option<Timestamp>,
    /// Before this, by the server's clock.
    pub until: Option<Timestamp>,
    /// The activity's name, such as `record.read`, or its first half, such as `record`.
    pub activity: Option<String>,
    /// Who acted: an id, or one of `client`, `operator`, `system`, `anonymous`.
    pub actor: Option<String>,
    /// The object's id, or the word for its kind.
    pub object: Option<String>,
    /// The account in which it happened, or whose the object is.
    pub account: Option<AccountId>,
    /// How it ended.
    pub outcome: Option<OutcomeWord>,
    /// At least this severity: 1 (informational) to 5 (critical).
    pub severity: Option<u8>,
    /// Words that all stand somewhere in the event; see [`words`].
    pub words: Vec<String>,
}

impl EventQuery {
    /// Whether the event is asked for.
    pub fn matches(&self, event: &EventView) -> bool {
        let asked = |asked: &Option<String>, holds: &dyn Fn(&str) -> bool| asked.as_deref().is_none_or(holds);
        self.from.is_none_or(|from| event.time >= from)
            && self.until.is_none_or(|until| event.time < until)
            && asked(&self.activity, &|name| name == event.activity || name == noun(&event.activity))
            && asked(&self.actor, &|who| who == event.actor.to_string() || who == event.actor.kind().as_str())
            && asked(&self.object, &|what| what == event.object.id || what == event.object.kind)
            && self.account.is_none_or(|account| accounts(event).any(|one| one == account))
            && self.outcome.is_none_or(|outcome| outcome == OutcomeWord::of(&event.outcome))
            && self.severity.is_none_or(|severity| event.severity_id >= severity)
            && self.has_words(event)
    }

    fn has_words(&self, event: &EventView) -> bool {
        if self.words.is_empty() {
            return true;
        }
        let mut found = vec![false; self.words.len()];
        event_words(event, |word| {
            for (wanted, found) in self.words.iter().zip(&mut found) {
                *found |= wanted == word;
            }
        });
        found.into_iter().all(|found| found)
    }

    /// The terms that an event must have, for an index. An event that has them need not match.
    pub(crate) fn terms(&self) -> Vec<u64> {
        let mut terms = Vec::new();
        if let Some(name) = &self.activity {
            terms.push(term(if name.contains('.') { 'a' } else { 'n' }, name));
        }
        if let Some(who) = &self.actor {
            terms.push(term('s', who));
        }
        if let Some(what) = &self.object {
            each_word(what, |word| terms.push(term('w', word)));
        }
        if let Some(account) = &self.account {
            terms.push(term('c', &account.to_string()));
        }
        if let Some(outcome) = self.outcome {
            terms.push(term('r', outcome.as_str()));
        }
        if let Some(severity) = self.severity.filter(|severity| *severity > 2) {
            terms.push(term('v', &severity.min(6).to_string()));
        }
        terms.extend(self.words.iter().map(|word| term('w', word)));
        terms.sort_unstable();
        terms.dedup();
        terms
    }
}

/// The words of a text, in lower case: what stands between characters that are neither letters, digits nor `_`. So an
/// id is one word, and an address is several.
pub fn words(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    each_word(text, |word| found.push(word.to_owned()));
    found
}

fn each_word(text: &str, mut take: impl FnMut(&str)) {
    let is_part = |letter: char| letter.is_alphanumeric() || letter == '_';
    for word in text.split(|letter| !is_part(letter)).filter(|word| !word.is_empty()) {
        let cut = word.get(..word.floor_char_boundary(MAX_WORD_BYTES)).unwrap_or(word);
        if cut.bytes().any(|byte| byte.is_ascii_uppercase() || !byte.is_ascii()) {
            take(&cut.to_lowercase());
        } else {
            take(cut);
        }
    }
}

fn noun(activity: &str) -> &str {
    activity.split_once('.').map_or(activity, |(noun, _)| noun)
}

fn accounts(event: &EventView) -> impl Iterator<Item = AccountId> {
    event.account.into_iter().chain(event.object.account)
}

/// Every word of what an event says: not of commitments, nor of what is the same in all.
fn event_words(event: &EventView, mut take: impl FnMut(&str)) {
    let mut of = |text: &str| each_word(text, &mut take);
    of(&event.id.to_string());
    of(&event.activity);
    if !matches!(event.actor, Actor::Anonymous) {
        of(&event.actor.to_string());
    }
    of(event.actor.kind().as_str());
    if let Some(account) = event.account {
        of(&account.to_string());
    }
    of(&event.request.to_string());
    of(&event.server.to_string());
    of(&event.subsystem);
    of(event.interface.as_str());
    of(&event.object.kind);
    of(&event.object.id);
    if let Some(account) = event.object.account {
        of(&account.to_string());
    }
    if let Some(repository) = event.object.repository {
        of(&repository.to_string());
    }
    if let Some(classification) = &event.object.classification {
        of(classification);
    }
    match &event.outcome {
        OutcomeView::Success => {}
        OutcomeView::Refused { reason, clause } => {
            of(reason);
            clause.iter().for_each(|clause| of(clause));
        }
        OutcomeView::Failed { reason } => of(reason),
    }
    if event.clock_doubtful {
        of(crate::event::CLOCK_DOUBTFUL);
    }
    event.policies.iter().for_each(|policy| of(policy));
    if let Some((key, purpose)) = &event.key {
        of(key);
        of(purpose);
    }
    for (name, value) in &event.details {
        of(name);
        match value {
            DetailValue::Text(text) => of(text),
            DetailValue::Number(number) => of(&number.to_string()),
            DetailValue::Flag(flag) => of(if *flag { "true" } else { "false" }),
        }
    }
}

/// The terms by which an index finds an event, in no order, some perhaps twice.
pub(crate) fn event_terms(event: &EventView) -> Vec<u64> {
    let mut terms = vec![
        term('a', &event.activity),
        term('n', noun(&event.activity)),
        term('s', event.actor.kind().as_str()),
        term('r', OutcomeWord::of(&event.outcome).as_str()),
    ];
    if !matches!(event.actor, Actor::Anonymous) {
        terms.push(term('s', &event.actor.to_string()));
    }
    terms.extend(accounts(event).map(|account| term('c', &account.to_string())));
    terms.extend((3..=event.severity_id).map(|severity| term('v', &severity.to_string())));
    event_words(event, |word| terms.push(term('w', word)));
    terms
}

/// A term: the kind of what is said, and what is said. Two of them may have one number; who asks checks the event.
fn term(kind: char, value: &str) -> u64 {
    let mut text = String::with_capacity(value.len() + 1);
    text.push(kind);
    text.push_str(value);
    let [a, b, c, d, e, f, g, h, ..] = leaf_hash(text.as_bytes());
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Act, Activity, Event, Interface, ObjectRef, Origin};
    use base::{EventId, OperatorId, RequestId, ServerId};

    fn event(act: Act) -> EventView {
        let origin = Origin {
            actor: Actor::Operator(OperatorId::from_bytes([3; 16])),
            account: Some(AccountId::from_bytes([1; 16])),
            request: RequestId::from_bytes([5; 16]),
            server: ServerId::from_bytes([6; 16]),
            subsystem: "vault",
            interface: Interface::Api,
            sealed: None,
        };
        let leaf =
            Event::new(EventId::from_bytes([7; 16]), Timestamp::from_seconds(50), origin, act).encode();
        Event::decode(&leaf).unwrap()
    }

    fn sample() -> EventView {
        let object = ObjectRef::new("listener", "10.0.0.1:8440").in_account(AccountId::from_bytes([2; 16]));
        event(
            Act::refused(Activity::AccessDeny, object, "Policy-Forbids", Some("SD-1"))
                .detail("Why", "Größe über 7")
                .detail("count", 42i64),
        )
    }

    #[test]
    fn words_are_what_people_would_type() {
        assert_eq!(words("acc_01J, 10.0.0.1:8440"), ["acc_01j", "10", "0", "0", "1", "8440"]);
        assert_eq!(words("  - "), [""; 0]);
        assert_eq!(words(&"ä".repeat(80)), ["ä".repeat(32)]);
    }

    #[test]
    fn each_part_is_asked_for_and_whatever_matches_has_the_terms() {
        let (event, account) = (sample(), AccountId::from_bytes([1; 16]));
        let operator = event.actor.to_string();
        let word = |text: &str| EventQuery { words: words(text), ..EventQuery::default() };
        let some = |text: &str| Some(text.to_owned());
        let base = EventQuery::default;
        let yes = [
            base(),
            EventQuery { from: Some(Timestamp::from_seconds(50)), ..base() },
            EventQuery { until: Some(Timestamp::from_seconds(51)), ..base() },
            EventQuery { activity: some("access.deny"), ..base() },
            EventQuery { activity: some("access"), ..base() },
            EventQuery { actor: some("operator"), ..base() },
            EventQuery { actor: Some(operator), ..base() },
            EventQuery { object: some("listener"), ..base() },
            EventQuery { object: some("10.0.0.1:8440"), ..base() },
            EventQuery { account: Some(account), ..base() },
            EventQuery { account: Some(AccountId::from_bytes([2; 16])), ..base() },
            EventQuery { outcome: Some(OutcomeWord::Refused), ..base() },
            EventQuery { severity: Some(3), ..base() },
            EventQuery { severity: Some(1), ..base() },
            word("größe 42 policy"),
            word("SD-1 8440 why"),
            word(&event.request.to_string()),
        ];
        let terms = event_terms(&event);
        for query in yes {
            assert!(query.matches(&event), "{query:?}");
            assert!(query.terms().iter().all(|term| terms.contains(term)), "{query:?}");
        }
        let no = [
            EventQuery { from: Some(Timestamp::from_seconds(51)), ..base() },
            EventQuery { until: Some(Timestamp::from_seconds(50)), ..base() },
            EventQuery { activity: some("access.den"), ..base() },
            EventQuery { actor: some("client"), ..base() },
            EventQuery { object: some("10.0.0.1"), ..base() },
            EventQuery { account: Some(AccountId::from_bytes([3; 16])), ..base() },
            EventQuery { outcome: Some(OutcomeWord::Failed), ..base() },
            EventQuery { severity: Some(4), ..base() },
            word("größe 43"),
            word("gröss"),
        ];
        for query in no {
            assert!(!query.matches(&event), "{query:?}");
        }
    }
}

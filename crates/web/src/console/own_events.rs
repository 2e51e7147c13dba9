//! What happened in one's own account, for somebody of a customer: who did what and when, what was deleted and what is kept.
//! Whose account it is follows from the session; a search from here has no place where another could stand.

use access::{OwnEvent, OwnEventQuery, Who};
use askama::Template;
use axum::extract::State;
use base::CertificateId;
use ledger::{Activity, OutcomeView, OutcomeWord};

use super::{
    frame::Frame,
    page::{Page, quoted},
    time::When,
    visitor::Visitor,
};
use crate::{
    App,
    extract::{Pairs, Query, QueryParameters},
    problem::Problem,
};

/// Events on a page.
const SHOWN: usize = 50;
/// Events that a page is made of: those who govern an account look at it often, which is left out unless asked for.
const READ: usize = 400;
/// What is no more than a look at these pages, when an administrator of the account did it.
const LOOKS: [&str; 9] = [
    "account.read",
    "client.list",
    "repository.list",
    "repository.read",
    "key.status",
    "log.search",
    "hold.list",
    "certificate.read",
    "session.continue",
];
/// Of a kind, on the page of deletions.
const SHOWN_DELETIONS: usize = 40;

/// Acts that read otherwise from within an account than the catalogue of activities has them.
const WORDS: [(&str, &str); 14] = [
    ("access.deny", "an act is not allowed"),
    ("account.read", "the account is looked at"),
    ("client.create", "an application is registered"),
    ("client.list", "the account's applications are listed"),
    ("client.revoke", "an application is revoked"),
    ("log.search", "what happened in the account is looked at"),
    ("operator.enrol", "an administrator of the account joins"),
    ("operator.link-create", "somebody is invited to govern the account"),
    ("operator.list", "the account's administrators are listed"),
    ("operator.revoke", "an administrator of the account is revoked"),
    ("passkey.add", "an administrator of the account adds a passkey"),
    ("passkey.remove", "an administrator of the account removes a passkey"),
    ("session.code", "an administrator of the account asks for a code that opens the console once"),
    ("session.prove", "in a session, an administrator of the account proves once more who they are"),
];

/// What can be asked for: the first half of activities' names, and words for them.
const KINDS: [(&str, &str); 9] = [
    ("record", "Records"),
    ("object", "Files"),
    ("repository", "Repositories"),
    ("client", "Applications"),
    ("auth", "Sign-ins"),
    ("access", "Refusals"),
    ("hold", "Legal holds"),
    ("account", "The account"),
    ("operator", "Its administrators"),
];
const OUTCOMES: [(OutcomeWord, &str); 3] =
    [(OutcomeWord::Success, "Done"), (OutcomeWord::Refused, "Refused"), (OutcomeWord::Failed, "Failed")];

/// What is searched for.
pub(crate) struct Search {
    query: OwnEventQuery,
    kind: String,
    looks: bool,
    cursor: Option<u64>,
}

impl QueryParameters for Search {
    fn take(pairs: &mut Pairs) -> Result<Self, Problem> {
        pairs.take("done");
        pairs.drop_empty();
        let kind = pairs.take("kind").unwrap_or_default();
        let known = KINDS.iter().any(|(name, _)| *name == kind);
        if !kind.is_empty() && !known {
            return Err(Problem::invalid(
                "invalid-parameter",
                "kind",
                "expected one of the kinds of the form",
            ));
        }
        let outcome = pairs.take("outcome");
        let word = outcome.as_deref().map(|text| {
            let wrong =
                || Problem::invalid("invalid-parameter", "outcome", "expected an outcome of the form");
            OutcomeWord::from_word(text).ok_or_else(wrong)
        });
        let query = OwnEventQuery {
            activity: known.then(|| kind.clone()),
            outcome: word.transpose()?,
            ..OwnEventQuery::default()
        };
        let looks = pairs.take("looks").is_some();
        Ok(Self { query, kind, looks, cursor: pairs.take_parsed("cursor")? })
    }
}

struct Row {
    at: When,
    clock: String,
    who: String,
    quiet: bool,
    what: String,
    activity: String,
    object: String,
    outcome: &'static str,
    class: &'static str,
    reason: String,
}

struct Choice {
    value: &'static str,
    text: &'static str,
    chosen: bool,
}

#[derive(Template)]
#[template(path = "own_events.html")]
struct EventsPage {
    frame: Frame,
    kinds: Vec<Choice>,
    outcomes: Vec<Choice>,
    looks: bool,
    rows: Vec<Row>,
    next: Option<String>,
}

/// Who acted, in words; and whether that is nobody of the account.
fn named(who: &Who) -> (String, bool) {
    match who {
        Who::You => ("you".to_owned(), false),
        Who::Colleague(name) => (name.clone(), false),
        Who::Application(id, name) if name.is_empty() => (id.to_string(), false),
        Who::Application(_, name) => (name.clone(), false),
        Who::Platform => ("whoever runs Tenet for you".to_owned(), true),
        Who::Tenet => ("Tenet".to_owned(), true),
        Who::Nobody => ("somebody unknown".to_owned(), true),
        Who::Outsider => ("somebody outside your account".to_owned(), true),
    }
}

/// Whether somebody who governs the account only looked at it.
fn is_look(one: &OwnEvent) -> bool {
    matches!(one.who, Who::You | Who::Colleague(_)) && LOOKS.contains(&one.activity.as_str())
}

fn row(one: OwnEvent, now: base::Timestamp) -> Row {
    let (outcome, class, reason) = match &one.outcome {
        OutcomeView::Success => ("done", "good", String::new()),
        OutcomeView::Refused { reason, .. } => ("refused", "warn", reason.clone()),
        OutcomeView::Failed { reason } => ("failed", "bad", reason.clone()),
    };
    let (who, quiet) = named(&one.who);
    let known = WORDS.iter().find(|(name, _)| *name == one.activity).map(|(_, words)| *words);
    let meaning = || Activity::from_name(&one.activity).map_or("", Activity::meaning);
    let meaning = known.unwrap_or_else(meaning);
    let kind = if one.object.0 == "operator" { "person" } else { one.object.0.as_str() };
    Row {
        at: When::new(one.time, now),
        clock: one.time.to_string().get(..19).unwrap_or_default().replace('T', " "),
        who,
        quiet,
        object: format!("{kind} {}", one.object.1),
        what: meaning.split(':').next().unwrap_or_default().trim_end_matches('.').to_owned(),
        activity: one.activity,
        outcome,
        class,
        reason,
    }
}

pub(crate) async fn show(
    State(app): State<App>,
    visitor: Visitor,
    Query(search): Query<Search>,
) -> Result<Page<impl Template>, Problem> {
    let now = app.now();
    let Search { query, kind, looks, cursor } = search;
    let page = app.access().own_events(&visitor.principal, &query, cursor, READ).await?;
    let events: Vec<_> = page.events.into_iter().filter(|one| looks || !is_look(one)).collect();
    // Where the page ends, the next begins: the cursor is the index of its last entry.
    let next = if events.len() > SHOWN { events.get(SHOWN - 1).map(|last| last.index) } else { page.next };
    let mut link = String::new();
    if !kind.is_empty() {
        link += &format!("kind={}&", quoted(&kind));
    }
    if let Some(outcome) = query.outcome {
        link += &format!("outcome={}&", outcome.as_str());
    }
    if looks {
        link += "looks=on&";
    }
    let kinds = KINDS.map(|(value, text)| Choice { value, text, chosen: value == kind });
    let outcomes = OUTCOMES.map(|(word, text)| Choice {
        value: word.as_str(),
        text,
        chosen: Some(word) == query.outcome,
    });
    let page = EventsPage {
        frame: visitor.frame(&app),
        kinds: kinds.into(),
        outcomes: outcomes.into(),
        looks,
        rows: events.into_iter().take(SHOWN).map(|one| row(one, now)).collect(),
        next: next.map(|cursor| format!("{link}cursor={cursor}")),
    };
    Ok(Page(page))
}

struct Deleted {
    at: When,
    what: String,
    who: String,
    why: String,
    refused: Option<String>,
    certificate: Option<CertificateId>,
}

#[derive(Template)]
#[template(path = "own_deletions.html")]
struct DeletionsPage {
    frame: Frame,
    erased: Vec<Deleted>,
    refused: Vec<Deleted>,
    holds: Vec<Deleted>,
}

fn deleted(one: OwnEvent, now: base::Timestamp) -> Deleted {
    let what = match (one.activity.as_str(), &one.target) {
        ("hold.set", Some(target)) => format!("set on {target}"),
        ("hold.lift", Some(target)) => format!("lifted from {target}"),
        _ => format!("{} {}", one.object.0, one.object.1),
    };
    let refused = match one.outcome {
        OutcomeView::Success => None,
        OutcomeView::Refused { reason, .. } | OutcomeView::Failed { reason } => Some(reason),
    };
    Deleted {
        at: When::new(one.time, now),
        what,
        who: named(&one.who).0,
        why: one.cause.unwrap_or_default(),
        refused,
        certificate: one.certificate,
    }
}

pub(crate) async fn deletions(
    State(app): State<App>,
    visitor: Visitor,
) -> Result<Page<impl Template>, Problem> {
    let now = app.now();
    let find = async |activity: &str, outcome: OutcomeWord| -> Result<Vec<OwnEvent>, Problem> {
        let activity = Some(activity.to_owned());
        let query = OwnEventQuery { activity, outcome: Some(outcome), ..OwnEventQuery::default() };
        Ok(app.access().own_events(&visitor.principal, &query, None, SHOWN_DELETIONS).await?.events)
    };
    let both = async |one: &str, other: &str, outcome: OutcomeWord| -> Result<Vec<Deleted>, Problem> {
        let mut found = find(one, outcome).await?;
        found.extend(find(other, outcome).await?);
        found.sort_by_key(|event| std::cmp::Reverse(event.index));
        Ok(found.into_iter().map(|event| deleted(event, now)).collect())
    };
    let page = DeletionsPage {
        frame: visitor.frame(&app),
        erased: both("record.erase", "object.erase", OutcomeWord::Success).await?,
        refused: both("record.erase", "object.erase", OutcomeWord::Refused).await?,
        holds: both("hold.set", "hold.lift", OutcomeWord::Success).await?,
    };
    Ok(Page(page))
}

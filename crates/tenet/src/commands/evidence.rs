//! `tenet evidence`: as an operator; and offline, as an auditor.

use std::path::Path;

use base::Timestamp;
use policy::{CheckState, ClauseState, State};
use serde_json::{Value, json};
use watch::{Assessed, sha256};

use super::Session;
use crate::{
    cli::{Attest, EvidenceCommand, Except, WhichEvidence},
    client::Api,
    failure::{Exit, Failure},
    output::{self, Column},
};

/// How long it is waited for checks that were asked for.
const PATIENCE: base::Duration = base::Duration::from_seconds(120);
const POLL: std::time::Duration = std::time::Duration::from_millis(500);
/// Most bytes of a document whose hash is taken.
const MAX_DOCUMENT_BYTES: u64 = 1 << 30;

const CLAUSES: &[Column] =
    &[("clause", "/clause"), ("state", "/state"), ("title", "/title"), ("why", "/why")];
const CHECKS: &[Column] = &[
    ("check", "/check"),
    ("kind", "/kind"),
    ("state", "/state"),
    ("seen at", "/at"),
    ("looked at", "/examined"),
    ("not so", "/failed"),
    ("what was seen", "/summary"),
];
const OBSERVATIONS: &[Column] = &[
    ("effective", "/effective"),
    ("seen", "/seen"),
    ("looked at", "/examined"),
    ("not so", "/failed"),
    ("by", "/by"),
    ("what was seen", "/summary"),
];
const FINDINGS: &[Column] =
    &[("check", "/check"), ("opened", "/opened"), ("closed", "/closed"), ("what was seen", "/summary")];
const EXCEPTION: &[Column] = &[
    ("exception", "/event"),
    ("clause", "/clause"),
    ("not applicable", "/not_applicable"),
    ("reason", "/reason"),
    ("owner", "/owner"),
    ("until", "/until"),
    ("ended", "/ended"),
];

pub(super) async fn run(session: &Session, command: EvidenceCommand) -> Result<(), Failure> {
    match command {
        EvidenceCommand::State(which) => state(session, &which).await,
        EvidenceCommand::Show { clause, which } => show(session, &clause, &which).await,
        EvidenceCommand::Checks(which) => checks(session, &which).await,
        EvidenceCommand::Observations { check, limit } => observations(session, &check, limit).await,
        EvidenceCommand::Findings(which) => {
            let (value, _) = assessed(session, &session.operator()?, &which).await?;
            let found = value.get("findings").and_then(Value::as_array).cloned().unwrap_or_default();
            session.out.list(&found, FINDINGS)
        }
        EvidenceCommand::Run { checks } => make(session, &checks).await,
        EvidenceCommand::Attest(given) => attest(session, &given).await,
        EvidenceCommand::Except(given) => except(session, &given).await,
        EvidenceCommand::End { exception } => {
            let path = ["v1", "evidence", "exceptions", &exception.to_string(), "end"];
            let done = session.operator()?.post(&path, &Value::Null).await?.body;
            session.out.item(&done, EXCEPTION)
        }
        EvidenceCommand::Pack { which, out } => super::pack::pack(session, &which, &out).await,
        EvidenceCommand::Verify { pack, key, log } => {
            super::pack_verify::verify(session, &pack, key.as_deref(), log.as_deref())
        }
    }
}

/// What is known, as the server says it.
pub(super) async fn assessed(
    session: &Session,
    api: &Api,
    which: &WhichEvidence,
) -> Result<(Value, Assessed), Failure> {
    let mut query = Vec::new();
    if let Some(at) = which.as_of {
        query.push(("as_of", past(session, at).to_string()));
    }
    if let Some(version) = which.version {
        query.push(("version", version.to_string()));
    }
    let found = api.get(&["v1", "evidence"], &query).await?.body;
    let read = serde_json::from_value(found.clone()).map_err(|error| {
        Failure::new(
            Exit::Failure,
            "answer",
            "the server's answer is not what this version of `tenet` expects",
        )
        .why(error.to_string())
        .remedy("use the `tenet` of the server's version")
    })?;
    Ok((found, read))
}

/// The end of today is meant as now.
fn past(session: &Session, at: Timestamp) -> Timestamp {
    let now = session.context.now();
    let is_today = at > now && at.to_string().get(..10) == now.to_string().get(..10);
    if is_today { now } else { at }
}

/// Why a clause is as it is: the first check, or what is missing.
fn why(assessed: &Assessed, clause: &ClauseState) -> String {
    if let Some(exception) = clause.exceptions.first() {
        let until = exception.until.to_string().chars().take(10).collect::<String>();
        return format!("{} (until {until}, {})", exception.reason, exception.owner);
    }
    let Some(worst) = clause.sentences.iter().find(|one| one.state == clause.state) else {
        return String::new();
    };
    if worst.checks.is_empty() {
        return format!("nothing that runs observes {}", worst.id);
    }
    let states = worst.checks.iter().filter_map(|id| assessed.assessment.check(id));
    let found = states.into_iter().find(|check| check.state == clause.state);
    found.map_or_else(String::new, |check| match (&check.observation, check.state) {
        (_, State::Satisfied) => String::new(),
        (Some(seen), _) => format!("{}: {}", check.check, seen.summary),
        (None, _) => check.check.clone(),
    })
}

async fn state(session: &Session, which: &WhichEvidence) -> Result<(), Failure> {
    let (value, assessed) = assessed(session, &session.operator()?, which).await?;
    if session.out.is_json() {
        return session.out.document(&value);
    }
    let standing = assessed.standing;
    let head = match standing {
        watch::Standing::Specimen => {
            "no version of the policy was put up: its clauses, as they would stand".to_owned()
        }
        _ => format!("version {}, {}", assessed.assessment.version, standing.as_str()),
    };
    output::note(&format!("{head}; as of {}", assessed.assessment.at));
    let rows: Vec<Value> = assessed
        .assessment
        .clauses
        .iter()
        .map(|one| json!({ "clause": one.clause, "state": one.state.as_str(), "title": one.title, "why": why(&assessed, one) }))
        .collect();
    session.out.list(&rows, CLAUSES)?;
    let counts: Vec<String> = assessed
        .assessment
        .counts
        .iter()
        .map(|(state, count)| format!("{count} {}", state.as_str()))
        .collect();
    output::note(&counts.join(", "));
    Ok(())
}

fn check_row(check: &CheckState) -> Value {
    let seen = check.observation.as_ref();
    let doubt = check
        .could_not_tell
        .as_ref()
        .map(|one| format!("could not tell at {}: {}", one.received, one.summary));
    json!({
        "check": check.check, "kind": check.kind, "state": check.state.as_str(),
        "at": seen.map(|one| one.effective), "examined": seen.map(|one| one.examined), "failed": seen.map(|one| one.failed),
        "summary": match (seen, doubt) {
            (Some(seen), None) => seen.summary.clone(),
            (Some(seen), Some(doubt)) => format!("{}; {doubt}", seen.summary),
            (None, Some(doubt)) => doubt,
            (None, None) => check.title.clone(),
        },
    })
}

async fn show(session: &Session, clause: &str, which: &WhichEvidence) -> Result<(), Failure> {
    let (_, assessed) = assessed(session, &session.operator()?, which).await?;
    let found = assessed.assessment.clauses.iter().find(|one| one.clause.as_str() == clause);
    let found = found.ok_or_else(|| {
        Failure::new(Exit::NotFound, "not-found", format!("the policy has no clause `{clause}`"))
            .remedy("`tenet evidence state` lists those that it has")
    })?;
    let asked: Vec<&CheckState> = assessed
        .assessment
        .checks
        .iter()
        .filter(|check| found.sentences.iter().any(|sentence| sentence.checks.contains(&check.check)))
        .collect();
    if session.out.is_json() {
        return session
            .out
            .document(&json!({ "clause": found, "checks": asked, "standing": assessed.standing }));
    }
    let mut text = format!("{} {}: {}\n\n", found.clause, found.title, found.state.as_str());
    for sentence in &found.sentences {
        text.push_str(&format!("{}  {}\n  {}", sentence.id, sentence.text, sentence.state.as_str()));
        text.push_str(&match sentence.checks.as_slice() {
            [] => ": nothing that runs observes it\n\n".to_owned(),
            some => format!(": {}\n\n", some.join(", ")),
        });
    }
    for exception in &found.exceptions {
        text.push_str(&format!(
            "excepted until {} by {}: {}\n\n",
            exception.until, exception.owner, exception.reason
        ));
    }
    session.out.text(&text)?;
    session.out.list(&asked.into_iter().map(check_row).collect::<Vec<_>>(), CHECKS)
}

async fn checks(session: &Session, which: &WhichEvidence) -> Result<(), Failure> {
    let (value, assessed) = assessed(session, &session.operator()?, which).await?;
    if session.out.is_json() {
        let found = value.get("checks").and_then(Value::as_array).cloned().unwrap_or_default();
        return session.out.list(&found, CHECKS);
    }
    session.out.list(&assessed.assessment.checks.iter().map(check_row).collect::<Vec<_>>(), CHECKS)
}

async fn observations(session: &Session, check: &str, limit: usize) -> Result<(), Failure> {
    let api = session.operator()?;
    let path = ["v1", "evidence", "observations"];
    let filter = [("check", check.to_owned())];
    let found = api.filtered(&path, &filter, "before", limit).await?;
    session.out.list(&found, OBSERVATIONS)
}

async fn make(session: &Session, wanted: &[String]) -> Result<(), Failure> {
    let api = session.operator()?;
    let before = session.context.now();
    let asked = api.post(&["v1", "evidence", "checks"], &json!({ "checks": wanted })).await?.body;
    let which = WhichEvidence { as_of: None, version: None };
    let give_up = before.plus(PATIENCE);
    loop {
        tokio::time::sleep(POLL).await;
        let (_, assessed) = assessed(session, &api, &which).await?;
        // Of a control that is not there, or of which this policy says nothing, no check is waited for.
        let is_wanted = |check: &&CheckState| match wanted {
            [] => check.kind != policy::CheckKind::Manual,
            some => some.contains(&check.check),
        };
        let is_new = |check: &&CheckState| {
            let mut seen = [&check.observation, &check.could_not_tell].into_iter().flatten();
            seen.any(|one| one.received >= before)
        };
        let made: Vec<&CheckState> = assessed.assessment.checks.iter().filter(is_wanted).collect();
        if made.iter().all(is_new) || session.context.now() >= give_up {
            let rows: Vec<Value> = made
                .iter()
                .map(|check| if session.out.is_json() { json!(check) } else { check_row(check) })
                .collect();
            session.out.list(&rows, CHECKS)?;
            let late = made.iter().filter(|check| !is_new(check)).count();
            if late > 0 {
                let job = asked.get("job").and_then(Value::as_str).unwrap_or_default();
                return Err(Failure::new(
                    Exit::Unavailable,
                    "not-made-yet",
                    format!("{late} checks were not made yet"),
                )
                .why(format!("the job `{job}` waits for others, or failed"))
                .remedy("look again with `tenet evidence checks`"));
            }
            return Ok(());
        }
    }
}

/// SHA-256 of a file.
fn hash_of(path: &Path) -> Result<String, Failure> {
    let failed = |error: std::io::Error| Failure::file("can't read", path, &error);
    let length = std::fs::metadata(path).map_err(failed)?.len();
    if length > MAX_DOCUMENT_BYTES {
        return Err(Failure::usage(format!("`{}` is larger than 1 GiB", path.display())));
    }
    Ok(sha256(&std::fs::read(path).map_err(failed)?))
}

async fn attest(session: &Session, given: &Attest) -> Result<(), Failure> {
    let document = given.document.as_deref().map(hash_of).transpose()?;
    let (effective, collected) =
        (given.effective.map(|at| past(session, at)), given.collected.map(|at| past(session, at)));
    let body = json!({
        "check": given.check, "holds": !given.fails, "summary": given.summary, "effective": effective,
        "collected": collected, "examined": given.examined, "failed": given.failed, "document": document,
    });
    let done = session.operator()?.post(&["v1", "evidence", "observations"], &body).await?.body;
    let event = done.get("event").and_then(Value::as_str).unwrap_or_default();
    session.out.say(&format!("recorded as {event}"), &done)
}

async fn except(session: &Session, given: &Except) -> Result<(), Failure> {
    let api = session.operator()?;
    let me = api.profile().map(|profile| profile.subject.id()).unwrap_or_default();
    let owner = given.owner.map_or(me, |owner| owner.to_string());
    let body = json!({
        "clause": given.clause, "reason": given.reason, "until": given.until, "owner": owner,
        "not_applicable": given.not_applicable,
    });
    let done = api.post(&["v1", "evidence", "exceptions"], &body).await?.body;
    session.out.item(&done, EXCEPTION)
}

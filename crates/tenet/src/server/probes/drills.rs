//! Drills: what is forbidden is attempted for real, over the network as any client would, in accounts of Tenet's own; and
//! what has to be possible is done and looked at. That it was refused, and recorded, is the evidence.

use access::{AccessError, DrillClient, Drilled, PublicKey};
use base::{Duration, SecretBytes, Timestamp};
use ledger::{Activity, EventQuery, EventView, LogVerifier, OutcomeView, verify_statement};
use reqwest::Method;
use serde_json::{Value, json};
use store::SystemScope;
use watch::{Sight, sha256};

use super::{Grounds, Looked, why};
use crate::{
    client::{Api, ClientKey, Profile, Subject},
    failure::{Exit, Failure},
};

/// The repositories of the drills, by name and classification.
const KEPT: (&str, &str) = ("drill-confidential", "confidential");
const PUBLIC: (&str, &str) = ("drill-public", "public");
/// For how long what they store is kept.
const KEPT_DAYS: u32 = 35;
/// Within which time something is to be had, where the policy in effect says nothing else.
const RETRIEVAL: Duration = Duration::from_seconds(3_600);

/// Who attempts, with what to do it over.
struct Stage {
    drilled: Drilled,
    first: Api,
    reader: Api,
    second: Api,
    begun: Timestamp,
}

fn said(failure: Failure) -> String {
    failure.what.clone()
}

async fn stage(grounds: &Grounds, scope: &SystemScope) -> Result<Stage, String> {
    let begun = grounds.context.now();
    let make = |context: &base::Context| Ok(SecretBytes::new(context.random::<32>()?.to_vec()));
    let seed = grounds.keys.secret("drill-seed", make).await.map_err(why)?;
    let seed: [u8; 32] = seed.expose().as_slice().try_into().map_err(why)?;
    let key = || ClientKey::from_seed(&base::Secret::new(seed)).map_err(why);
    let public = PublicKey::parse(&key()?.public_text()).ok_or("the drills' key is none")?;
    let drilled = grounds.access.drill_clients(scope, public).await.map_err(why)?;
    let api = |of: &DrillClient| {
        let profile = Profile {
            server: format!("https://{}", grounds.address),
            subject: Subject::Client { id: of.client, account: of.account },
            authority: grounds.authority.clone(),
            log_key: grounds.signer.vkey(),
        };
        Api::of(profile, key()?, &grounds.context).map_err(said)
    };
    let (first, reader, second) = (api(&drilled.first)?, api(&drilled.reader)?, api(&drilled.second)?);
    Ok(Stage { drilled, first, reader, second, begun })
}

impl Stage {
    /// The repository of that name, made if it is not there.
    async fn repository(&self, (name, classification): (&str, &str)) -> Result<String, String> {
        let known = self.first.all(&["v1", "repositories"], "cursor", 100).await.map_err(said)?;
        let text =
            |value: &Value, pointer: &str| value.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        let found = known.iter().find(|one| text(one, "/name").as_deref() == Some(name));
        if let Some(id) = found.and_then(|one| text(one, "/id")) {
            return Ok(id);
        }
        let declaration = json!({
            "name": name, "classification": classification,
            "retention": {
                "period_days": KEPT_DAYS, "basis": "business", "reason": "drills of Tenet itself",
                "data_type": "made-up text", "media": "database",
            },
        });
        let made = self.first.post(&["v1", "repositories"], &declaration).await.map_err(said)?.body;
        text(&made, "/id").ok_or_else(|| "the answer names no repository".to_owned())
    }

    /// Stores a record that shows whether it is whole; its id.
    async fn store(&self, grounds: &Grounds, repository: &str) -> Result<String, String> {
        let random = grounds.context.random::<16>().map_err(why)?;
        let words: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        let body = json!({ "words": words, "sha256": sha256(words.as_bytes()), "at": grounds.context.now().to_string() });
        let path = ["v1", "repositories", repository, "records"];
        let made = self.first.post(&path, &body).await.map_err(said)?.body;
        made.pointer("/id")
            .and_then(Value::as_str)
            .map(str::to_owned)
            .ok_or_else(|| "the answer names no record".to_owned())
    }
}

/// What came of an attempt at what is forbidden: refused as it should be, done, or something else that tells nothing.
fn refused(outcome: Result<impl Sized, Failure>, exits: &[Exit], clause: Option<&str>, what: &str) -> Looked {
    match outcome {
        Ok(_) => Ok(Sight::whether(false, format!("{what}: it was done"))),
        Err(failure) if matches!(failure.exit, Exit::Unavailable | Exit::Failure) => {
            Err(failure.what.clone())
        }
        Err(failure) => {
            let by_clause = clause.is_none_or(|clause| failure.clause.as_deref() == Some(clause));
            let is_so = exits.contains(&failure.exit) && by_clause;
            let clause = failure.clause.as_deref().unwrap_or("no clause");
            Ok(Sight::whether(is_so, format!("{what}: refused with `{}` by {clause}", failure.code)))
        }
    }
}

pub(super) async fn restricted_in_public(grounds: &Grounds, scope: &SystemScope) -> Looked {
    let stage = stage(grounds, scope).await?;
    let repository = stage.repository(PUBLIC).await?;
    let highest = grounds.vault.scheme().levels().last().map(|level| level.name.clone()).unwrap_or_default();
    let query = [("classification", highest.clone())];
    let url = stage.first.url(&["v1", "repositories", &repository, "records"], &query);
    let call = stage.first.call(Method::POST, url).await.map_err(said)?;
    let outcome = call.json(&json!({ "words": "made up" })).send().await;
    refused(outcome, &[Exit::Usage], Some("RR-2"), &format!("a `{highest}` record into a public repository"))
}

pub(super) async fn operator_reads_data(grounds: &Grounds, scope: &SystemScope) -> Looked {
    let stage = stage(grounds, scope).await?;
    let repository = stage.repository(KEPT).await?;
    let record = stage.store(grounds, &repository).await?;
    let account = stage.drilled.first.account;
    Ok(match grounds.access.drill_operator(scope, account, &record).await {
        Ok(()) => Sight::whether(false, "an administrator asks for a customer's record: allowed"),
        Err(AccessError::Denied { clause, policies }) => {
            let by = policies.join(", ");
            Sight::whether(
                clause == "RR-3",
                format!("an administrator asks for a customer's record: refused by {clause} ({by})"),
            )
        }
        Err(error) => return Err(why(error)),
    })
}

pub(super) async fn weak_session(grounds: &Grounds, scope: &SystemScope) -> Looked {
    let asked = grounds.access.drill_weak_session(scope).await.map_err(why)?;
    let failed = asked.iter().filter(|one| one.is_none()).count() as u64;
    let said = asked.map(|one| one.map_or("allowed".to_owned(), |reason| format!("refused with `{reason}`")));
    let [outside, stale] = said;
    Ok(Sight::counted(
        2,
        failed,
        format!(
            "a code's session from a public address: {outside}; an account without a fresh proof: {stale}"
        ),
    ))
}

pub(super) async fn cross_account(grounds: &Grounds, scope: &SystemScope) -> Looked {
    let stage = stage(grounds, scope).await?;
    let repository = stage.repository(KEPT).await?;
    let record = stage.store(grounds, &repository).await?;
    let path = ["v1", "repositories", &repository, "records", &record];
    stage.first.get(&path, &[]).await.map_err(said)?;
    let read = refused(
        stage.second.get(&path, &[]).await,
        &[Exit::NotFound],
        None,
        "read another account's record",
    )?;
    let url = stage.second.url(&path, &[]);
    let call = stage.second.call(Method::PUT, url).await.map_err(said)?;
    let changed = refused(call.json(&json!({})).send().await, &[Exit::NotFound], None, "change it")?;
    let examined = read.examined + changed.examined;
    Ok(Sight::counted(
        examined,
        read.failed + changed.failed,
        format!("{}; {}", read.summary, changed.summary),
    ))
}

pub(super) async fn expired_token(grounds: &Grounds, scope: &SystemScope) -> Looked {
    let stage = stage(grounds, scope).await?;
    let token = grounds.access.drill_expired_token(&stage.drilled.first).map_err(why)?;
    let tls = crate::client::Pinned::by_pem(&grounds.authority).map_err(said)?;
    let server = format!("https://{}", grounds.address);
    let nobody = Api::anonymous(&server, tls, &grounds.context).map_err(said)?;
    let call = nobody.call(Method::GET, nobody.url(&["v1", "repositories"], &[])).await.map_err(said)?;
    let outcome = call.header("authorization", &format!("Bearer {token}")).send().await;
    refused(outcome, &[Exit::Denied], None, "a token that ended an hour ago")
}

pub(super) async fn missing_scope(grounds: &Grounds, scope: &SystemScope) -> Looked {
    let stage = stage(grounds, scope).await?;
    let repository = stage.repository(KEPT).await?;
    let path = ["v1", "repositories", &repository, "records"];
    let outcome = stage.reader.post(&path, &json!({ "words": "made up" })).await;
    refused(outcome, &[Exit::Denied], Some("SD-1"), "a client that may only read stores a record")
}

pub(super) async fn row_edit(grounds: &Grounds, _: &SystemScope) -> Looked {
    let (attempts, done) = grounds.data.drill_edits().await.map_err(why)?;
    let summary = match done.as_slice() {
        [] => format!(
            "{attempts} attempts to change or shorten the log by the server's own connection: refused"
        ),
        some => format!("not refused: {}", some.join(", ")),
    };
    Ok(Sight::counted(attempts as u64, done.len() as u64, summary))
}

/// The events of an activity about an object or by somebody, since the drill began; those that wait for the log too.
async fn events(
    grounds: &Grounds,
    stage: &Stage,
    activity: Activity,
    mut query: EventQuery,
) -> Result<Vec<EventView>, String> {
    query.activity = Some(activity.name().to_owned());
    query.from = Some(stage.begun);
    grounds.data.recorded(&query).await.map_err(why)
}

pub(super) async fn read_recorded(grounds: &Grounds, scope: &SystemScope) -> Looked {
    let stage = stage(grounds, scope).await?;
    let repository = stage.repository(KEPT).await?;
    let record = stage.store(grounds, &repository).await?;
    stage.first.get(&["v1", "repositories", &repository, "records", &record], &[]).await.map_err(said)?;
    let about = EventQuery { object: Some(record.clone()), ..EventQuery::default() };
    let found = events(grounds, &stage, Activity::RecordRead, about).await?;
    let Some(event) = found.first() else {
        return Ok(Sight::whether(false, "a confidential record was read, and no event says so"));
    };
    let has = [
        ("what", event.object.id == record && event.object.account == Some(stage.drilled.first.account)),
        ("who", event.actor.to_string() == stage.drilled.first.client.to_string()),
        ("when", event.time >= stage.begun && event.time <= grounds.context.now()),
        ("from where", event.context.is_some()),
        ("how", !event.policies.is_empty() && !event.subsystem.is_empty()),
        ("outcome", event.outcome == OutcomeView::Success),
        ("classification", event.object.classification.as_deref() == Some(KEPT.1)),
    ];
    let missing: Vec<_> = has.iter().filter(|(_, is_there)| !is_there).map(|(name, _)| *name).collect();
    let summary = match missing.as_slice() {
        [] => "a confidential record was read: its event says what, who, when, from where, how and with what outcome".to_owned(),
        some => format!("the event of a read lacks {}", some.join(", ")),
    };
    Ok(Sight::counted(has.len() as u64, missing.len() as u64, summary))
}

pub(super) async fn acts_recorded(grounds: &Grounds, scope: &SystemScope) -> Looked {
    let stage = stage(grounds, scope).await?;
    let repository = stage.repository(KEPT).await?;
    let record = stage.store(grounds, &repository).await?;
    let path = ["v1", "repositories", &repository, "records", &record];
    let url = stage.first.url(&path, &[]);
    let call = stage.first.call(Method::PUT, url).await.map_err(said)?;
    call.json(&json!({ "words": "anew" })).send().await.map_err(said)?;
    stage.first.get(&path, &[]).await.map_err(said)?;
    let denied = stage.reader.post(&["v1", "repositories", &repository, "records"], &json!({})).await;
    if denied.is_ok() {
        return Ok(Sight::whether(false, "an act that is not allowed was done"));
    }
    let url = stage.first.url(&path, &[]);
    stage.first.call(Method::DELETE, url).await.map_err(said)?.send().await.map_err(said)?;
    let of_record = || EventQuery { object: Some(record.clone()), ..EventQuery::default() };
    let by = |who: &DrillClient| EventQuery { actor: Some(who.client.to_string()), ..EventQuery::default() };
    let wanted = [
        (Activity::TokenIssue, by(&stage.drilled.first)),
        (Activity::RecordCreate, of_record()),
        (Activity::RecordUpdate, of_record()),
        (Activity::RecordRead, of_record()),
        (Activity::RecordDelete, of_record()),
        (Activity::AccessDeny, by(&stage.drilled.reader)),
    ];
    let (count, mut missing) = (wanted.len() as u64, Vec::new());
    for (activity, query) in wanted {
        if events(grounds, &stage, activity, query).await?.is_empty() {
            missing.push(activity.name());
        }
    }
    let summary = match missing.as_slice() {
        [] => format!("{count} acts, one of them refused: each has its event"),
        some => format!("no event says that this was done: {}", some.join(", ")),
    };
    Ok(Sight::counted(count, missing.len() as u64, summary))
}

pub(super) async fn read_back(grounds: &Grounds, scope: &SystemScope) -> Looked {
    let stage = stage(grounds, scope).await?;
    let repository = stage.repository(KEPT).await?;
    let path = ["v1", "repositories", &repository, "records"];
    let items = stage.first.all(&path, "cursor", 1).await.map_err(said)?;
    let oldest = items.first().and_then(|one| one.get("id")).and_then(Value::as_str);
    let record = match oldest {
        Some(record) => record.to_owned(),
        None => stage.store(grounds, &repository).await?,
    };
    let began = grounds.context.now();
    let read = stage.first.get(&["v1", "repositories", &repository, "records", &record], &[]).await;
    let took = grounds.context.now().since(began);
    let body = match read {
        Ok(reply) => reply.body,
        Err(failure) if failure.exit == Exit::Unavailable => return Err(failure.what.clone()),
        Err(failure) => {
            return Ok(Sight::whether(false, format!("a record is not to be had: {}", failure.what)));
        }
    };
    let body = body.get("body").cloned().unwrap_or_default();
    let text = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default();
    let is_whole = text("sha256") == sha256(text("words").as_bytes());
    let within = grounds.watch.retrieval_time(scope).await.map_err(why)?.unwrap_or(RETRIEVAL);
    let age =
        text("at").parse::<Timestamp>().map_or(0, |at| grounds.context.now().since(at).seconds() / 86_400);
    let summary = format!(
        "a record of {age} days ago was {} and had in {} ms, of {} s",
        if is_whole { "whole" } else { "not what was stored" },
        took.micros() / 1_000,
        within.seconds()
    );
    Ok(Sight::whether(is_whole && took <= within, summary))
}

pub(super) async fn erasure(grounds: &Grounds, scope: &SystemScope) -> Looked {
    let stage = stage(grounds, scope).await?;
    let repository = stage.repository(KEPT).await?;
    let record = stage.store(grounds, &repository).await?;
    let path = ["v1", "repositories", &repository, "records", &record];
    let certificate =
        stage.first.post(&[&path[..], &["erase"]].concat(), &Value::Null).await.map_err(said)?.body;
    let note = certificate.get("note").and_then(Value::as_str).unwrap_or_default();
    let key = LogVerifier::from_vkey(&grounds.signer.vkey()).map_err(why)?;
    let statement =
        verify_statement(&key, note).ok().and_then(|text| serde_json::from_str::<Value>(text).ok());
    let is_certified =
        statement.is_some_and(|one| one.get("id").and_then(Value::as_str) == Some(record.as_str()));
    let after = refused(stage.first.get(&path, &[]).await, &[Exit::NotFound], None, "read what was erased")?;
    let failed = after.failed + u64::from(!is_certified);
    let certified =
        if is_certified { "its certificate verifies" } else { "it has no certificate that verifies" };
    Ok(Sight::counted(2, failed, format!("a record was stored and erased: {certified}; {}", after.summary)))
}

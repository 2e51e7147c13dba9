//! Keys: versions, what each wraps, rotations. No key material.

use askama::Template;
use axum::extract::State;

use super::{frame::Frame, page::Page, time::When, visitor::Visitor};
use crate::{App, problem::Problem};

struct VersionRow {
    version: u32,
    provider: String,
    state: String,
    wraps: u64,
    created: When,
    account_keys: u64,
    subject_keys: u64,
    secrets: u64,
}

struct RotationRow {
    name: String,
    from: u32,
    to: u32,
    done: u64,
    total: u64,
    started: When,
    finished: Option<When>,
}

#[derive(Template)]
#[template(path = "keys.html")]
struct KeysPage {
    frame: Frame,
    provider: String,
    accounts: u64,
    versions: Vec<VersionRow>,
    rotations: Vec<RotationRow>,
}

pub(crate) async fn show(State(app): State<App>, visitor: Visitor) -> Result<Page<impl Template>, Problem> {
    let now = app.now();
    let resource = access::Resource::new();
    let (scope, decision) =
        app.access().operate(&visitor.principal, access::Action::KeyStatus, &resource).await?;
    let status = app.keys().decided_by(decision.policies()).status(scope).await?;
    let version = |one: keys::ProviderVersion| VersionRow {
        version: one.version,
        provider: one.provider,
        state: one.state,
        wraps: one.wraps,
        created: When::new(one.created, now),
        account_keys: one.account_keys,
        subject_keys: one.subject_keys,
        secrets: one.secrets,
    };
    let rotation = |one: keys::RotationStatus| RotationRow {
        name: one.name,
        from: one.rotation.from,
        to: one.rotation.to,
        done: one.done,
        total: one.total,
        started: When::new(one.started, now),
        finished: one.finished.map(|at| When::new(at, now)),
    };
    let page = KeysPage {
        frame: visitor.frame(&app),
        provider: status.provider,
        accounts: status.accounts,
        versions: status.versions.into_iter().map(version).collect(),
        rotations: status.rotations.into_iter().take(30).map(rotation).collect(),
    };
    Ok(Page(page))
}

//! Accounts: that they are there, who connects to them, and how their keys are. Never what they hold.

use access::{Account, Action, Client};
use askama::Template;
use axum::{extract::State, response::Response};
use base::{AccountId, RepositoryId, Timestamp, kinds};
use vault::{AccountLook, Amount, RepositoryLook};

use super::{
    customers::{PersonRow, people},
    frame::Frame,
    page::{Page, see},
    time::When,
    visitor::{Posted, Visitor},
};
use crate::{
    App,
    extract::{Pairs, Path, Query, QueryParameters},
    problem::Problem,
};

/// Accounts or clients on a page.
const SHOWN: u32 = 100;

struct Row {
    id: AccountId,
    name: String,
    created: When,
    suspended: Option<When>,
}

struct ClientRow {
    id: String,
    name: String,
    scopes: String,
    proof: &'static str,
    created: When,
    revoked: Option<When>,
}

struct RepositoryRow {
    id: RepositoryId,
    classification: String,
    days: Option<u32>,
    basis: &'static str,
    has_schema: bool,
    records: String,
    objects: String,
    bytes: String,
    holds: u64,
    created: When,
}

/// The repositories, and where the next page of them begins.
struct LookView {
    rows: Vec<RepositoryRow>,
    next: Option<RepositoryId>,
    objects: u64,
    bytes: String,
}

impl LookView {
    fn new(look: AccountLook, now: Timestamp) -> Self {
        let number = |amount: &Amount| match amount.more {
            true => format!("over {}", amount.count),
            false => amount.count.to_string(),
        };
        let row = |one: RepositoryLook| {
            let more = one.records.more || one.objects.more;
            let bytes = size(one.records.bytes + one.objects.bytes);
            RepositoryRow {
                id: one.id,
                classification: one.classification,
                days: one.retention.map(|(days, _)| days),
                basis: one.retention.map_or("", |(_, basis)| basis.as_str()),
                has_schema: one.has_schema,
                records: number(&one.records),
                objects: number(&one.objects),
                bytes: if more { format!("over {bytes}") } else { bytes },
                holds: one.holds + one.records.holds + one.objects.holds,
                created: When::new(one.created, now),
            }
        };
        Self {
            rows: look.repositories.into_iter().map(row).collect(),
            next: look.next,
            objects: look.objects.count,
            bytes: size(look.objects.bytes),
        }
    }
}

/// `3.4 MiB`.
fn size(bytes: u64) -> String {
    let mut rest = bytes as f64;
    for unit in ["bytes", "KiB", "MiB", "GiB", "TiB"] {
        if rest < 1024.0 || unit == "TiB" {
            return if unit == "bytes" { format!("{bytes} bytes") } else { format!("{rest:.1} {unit}") };
        }
        rest /= 1024.0;
    }
    String::new()
}

#[derive(Template)]
#[template(path = "accounts.html")]
struct AccountsPage {
    frame: Frame,
    rows: Vec<Row>,
    next: Option<AccountId>,
    may: bool,
}

#[derive(Template)]
#[template(path = "account.html")]
struct AccountPage {
    frame: Frame,
    id: AccountId,
    name: String,
    suspended: Option<When>,
    clients: Vec<ClientRow>,
    people: Vec<PersonRow>,
    active: u32,
    live: u64,
    destroyed: u64,
    /// What may be seen of its repositories, for whoever may see it.
    look: Option<LookView>,
    may_invite: bool,
    may_revoke: bool,
    may_suspend: bool,
    may_resume: bool,
    may_read_log: bool,
}

/// Where the page begins.
pub(crate) struct From {
    after: Option<AccountId>,
}

impl QueryParameters for From {
    fn take(pairs: &mut Pairs) -> Result<Self, Problem> {
        pairs.take("done");
        Ok(Self { after: pairs.take_parsed::<base::Id<kinds::Account>>("after")? })
    }
}

/// From which repository on an account's page shows them.
pub(crate) struct FromRepository {
    after: Option<RepositoryId>,
}

impl QueryParameters for FromRepository {
    fn take(pairs: &mut Pairs) -> Result<Self, Problem> {
        pairs.take("done");
        Ok(Self { after: pairs.take_parsed::<base::Id<kinds::Repository>>("after")? })
    }
}

pub(crate) async fn list(
    State(app): State<App>,
    visitor: Visitor,
    Query(from): Query<From>,
) -> Result<Page<impl Template>, Problem> {
    let now = app.now();
    let found = app.access().account_list(&visitor.principal, from.after, SHOWN).await?;
    let row = |one: Account| Row {
        id: one.id,
        name: one.name,
        created: When::new(one.created, now),
        suspended: one.suspended.map(|at| When::new(at, now)),
    };
    let rows = found.items.into_iter().map(row).collect();
    let may = visitor.may(&app, Action::AccountCreate);
    Ok(Page(AccountsPage { frame: visitor.frame(&app), rows, next: found.next, may }))
}

pub(crate) async fn show(
    State(app): State<App>,
    visitor: Visitor,
    Path(id): Path<AccountId>,
    Query(from): Query<FromRepository>,
) -> Result<Page<impl Template>, Problem> {
    let now = app.now();
    let account = app.access().account_get(&visitor.principal, id).await?;
    let clients = app.access().client_list(&visitor.principal, id, None, SHOWN).await?;
    let resource = access::Resource::new().id(id).in_account(id);
    let (scope, decision) = app.access().operate(&visitor.principal, Action::KeyStatus, &resource).await?;
    let keys = app.keys().decided_by(decision.policies()).account_status(scope, id).await?;
    let people = people(&app, &visitor, id, now).await?;
    let look = if visitor.may(&app, Action::AccountSurvey) {
        let (scope, decision) =
            app.access().operate(&visitor.principal, Action::AccountSurvey, &resource).await?;
        let look = app.vault().account_look(scope, decision.policies(), id, from.after).await?;
        Some(LookView::new(look, now))
    } else {
        None
    };
    let row = |one: Client| ClientRow {
        id: one.id.to_string(),
        name: one.name,
        scopes: one.scopes.to_string(),
        proof: if one.signs { "signs with its key" } else { "has a secret" },
        created: When::new(one.created, now),
        revoked: one.revoked.map(|at| When::new(at, now)),
    };
    let sum = |of: fn(&(u32, u64, u64)) -> u64| keys.data_keys.iter().map(of).sum();
    let page = AccountPage {
        frame: visitor.frame(&app),
        id,
        name: account.name,
        suspended: account.suspended.map(|at| When::new(at, now)),
        clients: clients.items.into_iter().map(row).collect(),
        people,
        active: keys.active,
        look,
        live: sum(|one| one.1),
        destroyed: sum(|one| one.2),
        may_invite: visitor.may(&app, Action::CustomerInvite),
        may_revoke: visitor.may(&app, Action::OperatorRevoke),
        may_suspend: visitor.may(&app, Action::AccountSuspend),
        may_resume: visitor.may(&app, Action::AccountResume),
        may_read_log: visitor.may(&app, Action::LogRead),
    };
    Ok(Page(page))
}

pub(crate) async fn create(
    State(app): State<App>,
    Posted { visitor, mut form }: Posted,
) -> Result<Response, Problem> {
    let name = form.take("name").unwrap_or_default();
    let made = app.access().account_create(&visitor.principal, &name).await?;
    Ok(see(&format!("/accounts/{}?done=created", made.id)))
}

pub(crate) async fn suspend(
    State(app): State<App>,
    Path(account): Path<AccountId>,
    Posted { visitor, .. }: Posted,
) -> Result<Response, Problem> {
    app.access().account_suspend(&visitor.principal, account).await?.into_inner();
    Ok(see(&format!("/accounts/{account}?done=suspended")))
}

pub(crate) async fn resume(
    State(app): State<App>,
    Path(account): Path<AccountId>,
    Posted { visitor, .. }: Posted,
) -> Result<Response, Problem> {
    app.access().account_resume(&visitor.principal, account).await?.into_inner();
    Ok(see(&format!("/accounts/{account}?done=resumed")))
}

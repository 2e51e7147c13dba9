//! Accounts: that they are there, who connects to them, and how their keys are. Never what they hold.

use access::{Account, Client};
use askama::Template;
use axum::{extract::State, response::Response};
use base::{AccountId, kinds};

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
    may: bool,
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

fn may(visitor: &Visitor) -> bool {
    visitor.session.role == access::Role::Administrator
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
    Ok(Page(AccountsPage { frame: visitor.frame(&app), rows, next: found.next, may: may(&visitor) }))
}

pub(crate) async fn show(
    State(app): State<App>,
    visitor: Visitor,
    Path(id): Path<AccountId>,
) -> Result<Page<impl Template>, Problem> {
    let now = app.now();
    let clients = app.access().client_list(&visitor.principal, id, None, SHOWN).await?;
    let resource = access::Resource::new().id(id).in_account(id);
    let (scope, decision) =
        app.access().operate(&visitor.principal, access::Action::KeyStatus, &resource).await?;
    let keys = app.keys().decided_by(decision.policies()).account_status(scope, id).await?;
    let people = people(&app, &visitor, id, now).await?;
    // The one before it in the list is asked for, so that it is the first.
    let before = before(id);
    let account = app.access().account_list(&visitor.principal, before, 1).await?.items;
    let account = account.into_iter().find(|one| one.id == id);
    let account = account.ok_or(access::AccessError::NotFound("account"))?;
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
        live: sum(|one| one.1),
        destroyed: sum(|one| one.2),
        may: may(&visitor),
        may_read_log: visitor.session.role != access::Role::Engineer,
    };
    Ok(Page(page))
}

/// The id just before it, in the order of the list.
fn before(id: AccountId) -> Option<AccountId> {
    let number = u128::from_be_bytes(*id.as_bytes());
    number.checked_sub(1).map(|one| AccountId::from_bytes(one.to_be_bytes()))
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

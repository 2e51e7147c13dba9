//! One's own account, for somebody of a customer: who governs it, its applications, how its repositories are declared, and how
//! its keys are. No page here takes an account: it is the one of whoever is in the session.

use access::{Action, Client, NewClient, NewCredential, Operator, Resource, ScopeSet, TokenScope};
use askama::Template;
use axum::{extract::State, response::Response};
use base::{CertificateId, ClientId, kinds};
use ledger::{Act, Activity, ObjectRef};
use vault::Decided;

use super::{
    frame::Frame,
    page::{Page, see},
    time::{When, day},
    visitor::{Posted, Visitor},
};
use crate::{
    App,
    extract::{Pairs, Path, Query, QueryParameters},
    problem::Problem,
    routes::enrol::public_key,
};

/// Applications on a page.
const SHOWN: u32 = 100;
/// Repositories on a page.
const SHOWN_REPOSITORIES: usize = 50;

struct PersonRow {
    name: String,
    since: When,
    gone: Option<When>,
    ends: Option<String>,
    is_me: bool,
}

struct ClientRow {
    id: ClientId,
    name: String,
    scopes: String,
    clearance: String,
    proof: &'static str,
    created: When,
    revoked: Option<When>,
}

struct RepositoryRow {
    id: String,
    name: String,
    level: String,
    days: u32,
    basis: &'static str,
    kind: String,
    holds: u64,
}

/// What a scope is for, in a few words.
struct ScopeRow {
    name: &'static str,
    text: &'static str,
}

#[derive(Template)]
#[template(path = "own_account.html")]
struct OwnPage {
    frame: Frame,
    name: String,
    since: When,
    people: Vec<PersonRow>,
    clients: Vec<ClientRow>,
    next: Option<ClientId>,
    repositories: Vec<RepositoryRow>,
    more_repositories: Option<String>,
    active: u32,
    live: u64,
    destroyed: u64,
    scopes: Vec<ScopeRow>,
    levels: Vec<String>,
}

#[derive(Template)]
#[template(path = "own_client.html")]
struct CreatedPage {
    frame: Frame,
    name: String,
    id: ClientId,
    secret: Option<String>,
    scopes: String,
}

#[derive(Template)]
#[template(path = "own_certificate.html")]
struct CertificatePage {
    frame: Frame,
    id: CertificateId,
    kind: &'static str,
    of: String,
    versions: u64,
    method: String,
    erased: When,
    note: String,
}

/// Where the lists of the page begin.
pub(crate) struct From {
    after: Option<ClientId>,
    repositories: Option<String>,
}

impl QueryParameters for From {
    fn take(pairs: &mut Pairs) -> Result<Self, Problem> {
        pairs.take("done");
        let after = pairs.take_parsed::<base::Id<kinds::Client>>("after")?;
        Ok(Self { after, repositories: pairs.take("repositories") })
    }
}

const fn meaning(scope: TokenScope) -> &'static str {
    match scope {
        TokenScope::RecordsRead => "read and search records",
        TokenScope::RecordsWrite => "create and change records",
        TokenScope::RecordsDelete => "delete records, and restore them",
        TokenScope::RecordsErase => "erase records beyond recovery",
        TokenScope::ObjectsRead => "read files",
        TokenScope::ObjectsWrite => "store files",
        TokenScope::ObjectsDelete => "delete files, and restore them",
        TokenScope::ObjectsErase => "erase files beyond recovery",
        TokenScope::HoldsWrite => "set and lift legal holds",
        TokenScope::RepositoriesRead => "see how repositories are declared",
        TokenScope::RepositoriesWrite => "make repositories, and change them",
    }
}

pub(crate) async fn show(
    State(app): State<App>,
    visitor: Visitor,
    Query(from): Query<From>,
) -> Result<Page<impl Template>, Problem> {
    let now = app.now();
    let by = &visitor.principal;
    let own = app.access().own_account(by).await?;
    let clients = app.access().own_client_list(by, from.after, SHOWN).await?;
    let (scope, decision) = app.access().within(by, Action::RepositoryList, &Resource::new()).await?;
    let decided = Decided { policies: decision.policies() };
    // A declaration says nothing of what is stored: whoever governs the account sees each.
    let cursor = from.repositories.as_deref();
    let found = app.vault().repository_list(scope, SHOWN_REPOSITORIES, cursor, i64::MAX, &decided).await?;
    let (scope, decision) = app.access().within(by, Action::OwnKeys, &Resource::new()).await?;
    let keys = app.keys().decided_by(decision.policies()).own_status(scope).await?;
    let person = |one: Operator| PersonRow {
        is_me: one.id == visitor.session.operator,
        name: one.name,
        since: When::new(one.enrolled, now),
        gone: one.revoked.or(one.ends.filter(|ends| *ends <= now)).map(|at| When::new(at, now)),
        ends: one.ends.map(day),
    };
    let client = |one: Client| ClientRow {
        id: one.id,
        name: one.name,
        scopes: one.scopes.to_string(),
        clearance: one.clearance.unwrap_or_else(|| "every level".to_owned()),
        proof: if one.signs { "signs with its key" } else { "has a secret" },
        created: When::new(one.created, now),
        revoked: one.revoked.map(|at| When::new(at, now)),
    };
    let repository = |one: vault::Repository| RepositoryRow {
        id: one.id.to_string(),
        level: one.classification.name().to_owned(),
        days: one.retention.period_days,
        basis: one.retention.basis.as_str(),
        kind: one.retention.data_type,
        holds: one.holds,
        name: one.name,
    };
    let sum = |of: fn(&(u32, u64, u64)) -> u64| keys.data_keys.iter().map(of).sum();
    let page = OwnPage {
        frame: visitor.frame(&app),
        name: own.account.name,
        since: When::new(own.account.created, now),
        people: own.people.into_iter().map(person).collect(),
        clients: clients.items.into_iter().map(client).collect(),
        next: clients.next,
        repositories: found.repositories.into_iter().map(repository).collect(),
        more_repositories: found.next,
        active: keys.active,
        live: sum(|one| one.1),
        destroyed: sum(|one| one.2),
        scopes: TokenScope::ALL.map(|one| ScopeRow { name: one.name(), text: meaning(one) }).into(),
        levels: app.scheme().levels().iter().map(|level| level.name.clone()).collect(),
    };
    Ok(Page(page))
}

/// What the form says of a new application.
fn wanted(app: &App, form: &mut Pairs) -> Result<NewClient, Problem> {
    form.drop_empty();
    let asked = TokenScope::ALL.into_iter().filter(|one| form.take(one.name()).is_some());
    let scopes: ScopeSet = asked.collect();
    let clearance = form.take("clearance").map(|name| app.scheme().parse(&name)).transpose();
    let clearance =
        clearance.map_err(|error| Problem::invalid("invalid-field", "clearance", error.to_string()))?;
    let credential = match form.take("public_key") {
        Some(text) => NewCredential::PublicKey(public_key("public_key", text.trim())?),
        None => NewCredential::Secret,
    };
    Ok(NewClient { name: form.take("name").unwrap_or_default(), scopes, clearance, credential })
}

pub(crate) async fn create(
    State(app): State<App>,
    Posted { visitor, mut form }: Posted,
) -> Result<Page<impl Template>, Problem> {
    let by = &visitor.principal;
    let new = match wanted(&app, &mut form) {
        Ok(new) => new,
        Err(problem) => {
            let (scope, decision) =
                app.access().within(by, Action::OwnClientCreate, &Resource::new()).await?;
            let object = ObjectRef::new("client", "-").in_account(scope.account());
            let act = Act::refused(Activity::ClientCreate, object, problem.code(), None);
            app.store().record(scope, act.decided_by(decision.policies())).await?;
            return Err(problem);
        }
    };
    let made = app.access().own_client_create(by, new).await?.into_inner();
    let page = CreatedPage {
        frame: visitor.frame(&app),
        name: made.client.name,
        id: made.client.id,
        secret: made.secret.map(|secret| secret.expose().clone()),
        scopes: made.client.scopes.to_string(),
    };
    Ok(Page(page))
}

pub(crate) async fn revoke(
    State(app): State<App>,
    Path(client): Path<ClientId>,
    Posted { visitor, .. }: Posted,
) -> Result<Response, Problem> {
    app.access().own_client_revoke(&visitor.principal, client).await?.into_inner();
    Ok(see("/account?done=disconnected"))
}

pub(crate) async fn certificate(
    State(app): State<App>,
    visitor: Visitor,
    Path(id): Path<CertificateId>,
) -> Result<Page<impl Template>, Problem> {
    let resource = Resource::new().id(id);
    let (scope, decision) =
        app.access().within(&visitor.principal, Action::CertificateRead, &resource).await?;
    let found = app.vault().certificate_get(scope, id, &Decided { policies: decision.policies() }).await?;
    let says = found.statement;
    let page = CertificatePage {
        frame: visitor.frame(&app),
        id: found.id,
        kind: says.kind.as_str(),
        of: says.id,
        versions: says.versions,
        method: says.method,
        erased: When::new(says.erased_at, app.now()),
        note: found.note,
    };
    Ok(Page(page))
}

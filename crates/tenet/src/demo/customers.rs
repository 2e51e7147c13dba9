//! The customers of the story: accounts with applications and repositories, and what their applications do all day.

use std::{collections::BTreeMap, sync::Mutex};

use access::{Action, NewClient, NewCredential, Principal, Resource, ScopeSet};
use base::{AccountId, Classification, ClientId, EventId, ObjectId, RecordId, RepositoryId, Timestamp};
use store::Scope;
use vault::{Basis, Decided, NewRepository, Retention};

use super::{
    failed,
    people::{Person, Who, new_key, public},
};
use crate::{client::ClientKey, failure::Failure, server::stage::Stage};

/// What a repository is to be.
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) classification: &'static str,
    pub(crate) days: u32,
    pub(crate) basis: Basis,
    pub(crate) reason: &'static str,
    /// Members of its records that are searched.
    pub(crate) searchable: &'static str,
}

/// A customer, before it is one.
pub(crate) struct Plan {
    pub(crate) name: &'static str,
    pub(crate) tool: &'static str,
    /// The last number of the address that its applications come from.
    pub(crate) address: u8,
    /// How much its applications do at a time.
    pub(crate) busy: u64,
    pub(crate) kinds: &'static [Kind],
}

/// Each customer, in the order in which they come.
pub(crate) const CUSTOMERS: [Plan; 4] = [
    Plan {
        name: "acme",
        tool: "acme-practice/4.2",
        address: 50,
        busy: 16,
        kinds: &[
            kind(("patient-files", "restricted"), 3_650, Basis::Law, "medical records act", "/patient"),
            kind(("correspondence", "confidential"), 365, Basis::Business, "letters to patients", "/to"),
            kind(("appointments", "internal"), 10, Basis::Business, "the practice's calendar", "/patient"),
        ],
    },
    Plan {
        name: "globex",
        tool: "globex-lab/1.9",
        address: 60,
        busy: 12,
        kinds: &[
            kind(("lab-results", "restricted"), 3_650, Basis::Law, "medical records act", "/order"),
            kind(("orders", "confidential"), 730, Basis::Contract, "orders by practices", "/order"),
        ],
    },
    Plan {
        name: "contoso",
        tool: "contoso-claims/7.0",
        address: 70,
        busy: 8,
        kinds: &[kind(("claims", "confidential"), 1_825, Basis::Contract, "claims by insured", "/claim")],
    },
    Plan {
        name: "fabrikam",
        tool: "fabrikam-site/2.3",
        address: 80,
        busy: 5,
        kinds: &[
            kind(("newsletter", "public"), 365, Basis::Business, "what the site shows", "/slug"),
            kind(("visits", "internal"), 8, Basis::Business, "how the site is used", "/page"),
        ],
    },
];

const fn kind(
    (name, classification): (&'static str, &'static str),
    days: u32,
    basis: Basis,
    reason: &'static str,
    searchable: &'static str,
) -> Kind {
    Kind { name, classification, days, basis, reason, searchable }
}

/// A repository, and what its application remembers to have stored there.
pub(crate) struct Repository {
    pub(crate) id: RepositoryId,
    pub(crate) kind: &'static Kind,
    pub(crate) label: Classification,
    pub(crate) records: Mutex<Vec<(RecordId, String, Timestamp)>>,
    pub(crate) objects: Mutex<Vec<(ObjectId, Timestamp)>>,
}

/// An application of a customer.
pub(crate) struct Application {
    pub(crate) id: ClientId,
    /// The event that registered it.
    pub(crate) event: EventId,
    pub(crate) who: Who,
}

/// A customer.
pub(crate) struct Customer {
    pub(crate) plan: &'static Plan,
    pub(crate) account: AccountId,
    /// The one that does the daily work, with every scope.
    pub(crate) application: Application,
    /// One that may look at what is internal, and no more.
    pub(crate) portal: Application,
    pub(crate) repositories: BTreeMap<&'static str, Repository>,
}

impl Customer {
    /// An account, its applications and its repositories. `key` is the application's; a new one if none is given.
    pub(crate) async fn come(
        stage: &Stage,
        plan: &'static Plan,
        by: &Person,
        key: Option<ClientKey>,
    ) -> Result<Self, Failure> {
        let operator = by.principal(stage).await?;
        let made = stage.access.account_create(&operator, plan.name).await;
        let account = made.map_err(|error| failed(&error))?.into_inner().id;
        stage.pass(base::Duration::from_seconds(45)).await?;
        let key = key.map_or_else(|| new_key(stage), Ok)?;
        let application =
            register(stage, by, (account, plan), ("application", ScopeSet::all(), None), key).await?;
        let reads = ScopeSet::parse("records:read repositories:read")
            .map_err(|error| Failure::usage(error.to_string()))?;
        let internal = stage.vault.scheme().parse("internal").ok();
        let portal =
            register(stage, by, (account, plan), ("portal", reads, internal), new_key(stage)?).await?;
        let mut customer = Self { plan, account, application, portal, repositories: BTreeMap::new() };
        for kind in plan.kinds {
            stage.pass(base::Duration::from_seconds(30)).await?;
            let repository = customer.declare(stage, kind).await?;
            customer.repositories.insert(kind.name, repository);
        }
        Ok(customer)
    }

    async fn declare(&self, stage: &Stage, kind: &'static Kind) -> Result<Repository, Failure> {
        let retention = Retention {
            period_days: kind.days,
            basis: kind.basis,
            reason: kind.reason.to_owned(),
            data_type: kind.name.to_owned(),
            media: "database".to_owned(),
        };
        let new = NewRepository {
            name: kind.name.to_owned(),
            classification: kind.classification.to_owned(),
            fields: BTreeMap::new(),
            retention: Some(retention),
            schema: None,
            searchable: vec![kind.searchable.to_owned()],
        };
        let caller = self.application.who.principal(stage, "repositories").await?;
        let (scope, decided) = allowed(stage, &caller, Action::RepositoryCreate, Resource::new()).await?;
        let made = stage.vault.repository_create(&scope, new, &decided).await;
        let made = made.map_err(|error| failed(&error))?.into_inner();
        Ok(Repository {
            id: made.id,
            kind,
            label: made.classification,
            records: Mutex::default(),
            objects: Mutex::default(),
        })
    }

    /// A repository by its name.
    pub(crate) fn repository(&self, name: &str) -> Result<&Repository, Failure> {
        self.repositories
            .get(name)
            .ok_or_else(|| Failure::usage(format!("the story has no repository `{name}`")))
    }

    /// The application in one request, allowed to do that in the repository.
    pub(crate) async fn within(
        &self,
        stage: &Stage,
        repository: &Repository,
        action: Action,
    ) -> Result<(Scope, Decided), Failure> {
        let caller = self.application.who.principal(stage, "records").await?;
        let resource = Resource::new().in_repository(repository.id).classified(&repository.label);
        allowed(stage, &caller, action, resource).await
    }
}

/// Registers an application.
pub(crate) async fn register(
    stage: &Stage,
    by: &Person,
    (account, plan): (AccountId, &Plan),
    (name, scopes, clearance): (&str, ScopeSet, Option<Classification>),
    key: ClientKey,
) -> Result<Application, Failure> {
    let credential = NewCredential::PublicKey(public(&key)?);
    let new = NewClient { name: name.to_owned(), scopes, clearance, credential };
    let operator = by.principal(stage).await?;
    let made = stage.access.client_create(&operator, account, new).await.map_err(|error| failed(&error))?;
    let event = made.event_id();
    let id = made.into_inner().client.id;
    Ok(Application { id, event, who: Who::new(id.to_string(), key, plan.address, plan.tool) })
}

/// Asks the policies, and gives the scope of the caller's account.
pub(crate) async fn allowed(
    stage: &Stage,
    caller: &Principal,
    action: Action,
    resource: Resource,
) -> Result<(Scope, Decided), Failure> {
    let decision = stage.access.authorize(caller, action, &resource).await.map_err(|error| failed(&error))?;
    let scope =
        caller.scope().ok_or_else(|| Failure::usage("the policies allowed an operator a client's act"))?;
    Ok((scope.clone(), Decided { policies: decision.policies() }))
}

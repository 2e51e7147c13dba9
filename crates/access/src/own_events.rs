//! What happened in an account, for its own administrator: who did what, when, and with what outcome. Who acts for the platform
//! or for another customer is not named, and no part of an entry that tells of the platform leaves here.

use std::collections::{BTreeMap, BTreeSet};

use base::{Actor, CertificateId, ClientId, OperatorId, Timestamp};
use ledger::{Act, Activity, EventView, ObjectRef, OutcomeView};
use store::{OwnQuery, platform};

use crate::{Access, AccessError, Action, Principal, Resource, customer_list::PEOPLE, own::Governed};

/// What is asked of one's own account.
pub type OwnEventQuery = OwnQuery;

/// Who acted, as the account's administrator is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// Whoever asks.
    You,
    /// Another administrator of the account, by name.
    Colleague(String),
    /// An application of the account, by id and name.
    Application(ClientId, String),
    /// Whoever runs Tenet.
    Platform,
    /// Tenet itself.
    Tenet,
    /// Nobody who proved who they are.
    Nobody,
    /// Somebody who is not of the account.
    Outsider,
}

/// Something that happened in the account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnEvent {
    /// Its place in the log, by which a page goes on.
    pub index: u64,
    /// When.
    pub time: Timestamp,
    /// Who acted.
    pub who: Who,
    /// What was done: the name of an activity.
    pub activity: String,
    /// To what: the word for its kind, and its id.
    pub object: (String, String),
    /// With what outcome. Of a refusal of the platform's own making, no more than that it was one.
    pub outcome: OutcomeView,
    /// Why, where a reason was recorded: such as that of an erasure.
    pub cause: Option<String>,
    /// What is held, of a legal hold.
    pub target: Option<String>,
    /// The certificate, of an erasure.
    pub certificate: Option<CertificateId>,
}

/// A page of what happened in the account.
#[derive(Debug, Default)]
pub struct OwnEventPage {
    /// What happened, the newest first.
    pub events: Vec<OwnEvent>,
    /// Where the next page starts; none on the last.
    pub next: Option<u64>,
}

/// Reasons that tell how the platform is, and not what was wrong with the act.
const OF_THE_PLATFORM: [&str; 4] =
    ["log-unwitnessed", "safeguard-weakened", "policy-forbids", "nothing-permits"];

impl Access {
    /// What happened in the caller's own account, at most `limit` (1 to 1,000), before `cursor`. A customer's administrator's
    /// act.
    pub async fn own_events(
        &self,
        by: &Principal,
        query: &OwnEventQuery,
        cursor: Option<u64>,
        limit: usize,
    ) -> Result<OwnEventPage, AccessError> {
        let of = self.govern(by, Action::OwnLog, &Resource::new()).await?;
        let page = self.0.store.search_own_events(of.scope(), query, cursor, limit).await?;
        let act = Act::new(Activity::LogSearch, ObjectRef::new("log", "events").in_account(of.account()))
            .decided_by(of.policies.clone())
            .detail("count", page.found.len());
        self.0.store.record(of.scope(), act).await?;
        let known = Known {
            people: self.colleagues(&of, &page).await?,
            clients: self.applications(&of, &page).await?,
        };
        let event = |one: store::FoundEvent| seen(&of, &known, one.index, &one.event);
        Ok(OwnEventPage { events: page.found.into_iter().map(event).collect(), next: page.next })
    }

    /// Those of the account's administrators who did something of this: whom the log says to have been enrolled for it. A row
    /// alone names nobody.
    async fn colleagues(
        &self,
        of: &Governed<'_>,
        page: &store::EventPage,
    ) -> Result<BTreeMap<OperatorId, String>, AccessError> {
        let mut read = self.0.store.system_read(&of.system).await?;
        let rows = read.rows(PEOPLE, &[(&of.account()).into()]).await?;
        drop(read);
        let mut people = BTreeMap::new();
        for row in &rows {
            let id: OperatorId = row.id(0)?;
            let did = page.found.iter().any(|one| one.event.actor == Actor::Operator(id));
            if did && self.was_enrolled_for(id, of.account()).await? {
                people.insert(id, row.text(1)?.to_owned());
            }
        }
        Ok(people)
    }

    /// The names of those of the account's applications that did something of this.
    async fn applications(
        &self,
        of: &Governed<'_>,
        page: &store::EventPage,
    ) -> Result<BTreeMap<ClientId, String>, AccessError> {
        let name = platform!("SELECT name FROM client WHERE id = $1 AND account = $2");
        let account = of.account();
        let did = page.found.iter().filter(|one| one.event.account == Some(account));
        let clients: BTreeSet<ClientId> = did
            .filter_map(|one| match one.event.actor {
                Actor::Client(client) => Some(client),
                _ => None,
            })
            .collect();
        let mut read = self.0.store.system_read(&of.system).await?;
        let mut names = BTreeMap::new();
        for client in clients {
            if let Some(row) = read.row(name, &[(&client).into(), (&account).into()]).await? {
                names.insert(client, row.text(0)?.to_owned());
            }
        }
        Ok(names)
    }
}

/// Those who may be named.
struct Known {
    people: BTreeMap<OperatorId, String>,
    clients: BTreeMap<ClientId, String>,
}

/// An entry, as the account's administrator is told of it.
fn seen(of: &Governed<'_>, known: &Known, index: u64, event: &EventView) -> OwnEvent {
    let is_within = event.account == Some(of.account());
    let who = match event.actor {
        Actor::Operator(person) if person == of.person => Who::You,
        Actor::Operator(person) => match known.people.get(&person).filter(|_| is_within) {
            Some(name) => Who::Colleague(name.clone()),
            // Who acts from within another account is of that one; whoever else acts is of the platform.
            None if event.account.is_some() && !is_within => Who::Outsider,
            None => Who::Platform,
        },
        Actor::Client(client) if is_within => {
            Who::Application(client, known.clients.get(&client).cloned().unwrap_or_default())
        }
        Actor::Client(_) => Who::Outsider,
        Actor::System(_) => Who::Tenet,
        Actor::Anonymous => Who::Nobody,
    };
    let outcome = match &event.outcome {
        OutcomeView::Refused { reason, .. } => {
            let hidden = OF_THE_PLATFORM.contains(&reason.as_str());
            let reason = if hidden { "not-allowed".to_owned() } else { reason.clone() };
            OutcomeView::Refused { reason, clause: None }
        }
        other => other.clone(),
    };
    OwnEvent {
        index,
        time: event.time,
        who,
        activity: event.activity.clone(),
        object: (event.object.kind.clone(), event.object.id.clone()),
        outcome,
        cause: event.text("cause").map(str::to_owned),
        target: event.text("target").map(str::to_owned),
        certificate: event.text("certificate").and_then(|text| text.parse().ok()),
    }
}

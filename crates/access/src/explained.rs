//! Whom no event explains has no power (RR-5). Whoever can write to the database could make a row in `operator` or `client`,
//! raise a role or scopes, or put a key of their own in place of another's; only what the log says counts. So a new
//! administrator is in the log, at the witness and before whoever watches there, or is none.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use base::{AccountId, ClientId, Duration, OperatorId, Timestamp};
use ledger::{Act, Activity, EventQuery, EventView, ObjectRef, OutcomeView, OutcomeWord};

use crate::{Access, AccessError, Standing};

/// How long what the log said is taken for true: a revocation that somebody undid in the database ends by then.
const LIFE: Duration = Duration::from_seconds(60);
/// The same of clients: there are many, and each is within its account.
const CLIENT_LIFE: Duration = Duration::from_seconds(600);
/// Most operators that are remembered, and most clients.
const MAX_REMEMBERED: usize = 65_536;

/// What the log says of an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Made {
    /// The role, or the account, that it was enrolled with.
    pub(crate) role: Standing,
    /// The thumbprint of the key that it enrolled; none for who enrolled with a passkey alone.
    pub(crate) key: Option<String>,
    /// When its access ends by itself.
    pub(crate) ends: Option<Timestamp>,
}

/// What a link gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Given {
    /// The role, or the account.
    pub(crate) role: Standing,
    /// When access ends by itself.
    pub(crate) ends: Option<Timestamp>,
}

impl Given {
    fn read(event: &EventView) -> Option<Self> {
        let ends = event.text("access-ends").map(str::parse).transpose().ok()?;
        Some(Self { role: standing(event)?, ends })
    }
}

/// What the log says of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MadeClient {
    /// Its account.
    pub(crate) account: AccountId,
    /// The scopes that it was registered with.
    pub(crate) scopes: String,
    /// Its clearance, as the event says it.
    pub(crate) clearance: String,
    /// The thumbprint of its key, or the digest of its secret's hash.
    pub(crate) credential: String,
}

/// What the log said of late: when it was asked, by the clock that nobody sets, and the answer.
type Asked<Id, Said> = HashMap<Id, (Duration, Option<Arc<Said>>)>;
type Answers<Id, Said> = Mutex<Asked<Id, Said>>;

/// What the log said of late.
#[derive(Debug, Default)]
pub(crate) struct Explained {
    operators: Answers<OperatorId, Made>,
    clients: Answers<ClientId, MadeClient>,
}

/// Answers of the log, each whole: a panic elsewhere spoils none.
fn held<Id, Said>(of: &Answers<Id, Said>) -> std::sync::MutexGuard<'_, Asked<Id, Said>> {
    of.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl Access {
    /// What made that operator, and has not been undone; none if nothing in the log did, which is then an event.
    pub(crate) async fn made(&self, operator: OperatorId) -> Result<Option<Arc<Made>>, AccessError> {
        self.asked(&self.0.explained.operators, operator, LIFE, "operator", fold).await
    }

    /// What made that client, and has not been undone; as [`Self::made`].
    pub(crate) async fn made_client(&self, client: ClientId) -> Result<Option<Arc<MadeClient>>, AccessError> {
        self.asked(&self.0.explained.clients, client, CLIENT_LIFE, "client", fold_client).await
    }

    async fn asked<K: base::IdKind, Said>(
        &self,
        answers: &Answers<base::Id<K>, Said>,
        id: base::Id<K>,
        life: Duration,
        kind: &'static str,
        fold: impl FnOnce(&[EventView]) -> Option<Said>,
    ) -> Result<Option<Arc<Said>>, AccessError>
    where
        base::Id<K>: std::hash::Hash + Eq + Copy,
    {
        let now = self.0.context.elapsed();
        let known = held(answers).get(&id).cloned();
        if let Some((at, said)) = known
            && now < at + life
        {
            return Ok(said);
        }
        let about =
            EventQuery { activity: Some(kind.to_owned()), object: Some(id.to_string()), ..succeeded() };
        let said = fold(&self.0.store.recorded(&about).await?).map(Arc::new);
        if said.is_none() {
            let act = Act::new(Activity::IntegrityViolation, ObjectRef::new(kind, id))
                .detail("why", "no event explains it as it stands in the database");
            self.0.store.record_system(&self.0.reader, act).await?;
        }
        let mut answers = held(answers);
        if answers.len() >= MAX_REMEMBERED {
            answers.clear();
        }
        answers.insert(id, (now, said.clone()));
        Ok(said)
    }

    /// The role that a link gives, and when access ends by it, as the event that made it says; none if no event did, or somebody enrolled by it, which
    /// is then an event. Whoever can write to the database could make a link of their own, or one that was used anew.
    pub(crate) async fn link_role(&self, link: &ObjectRef) -> Result<Option<Given>, AccessError> {
        let made = EventQuery {
            activity: Some(Activity::OperatorLinkCreate.name().to_owned()),
            object: Some(link.id().to_owned()),
            ..succeeded()
        };
        let used = EventQuery {
            activity: Some(Activity::OperatorEnrol.name().to_owned()),
            words: ledger::words(link.id()),
            ..succeeded()
        };
        let made = self.0.store.recorded(&made).await?;
        let given = done(&made, Activity::OperatorLinkCreate).and_then(Given::read);
        let is_used = self
            .0
            .store
            .recorded(&used)
            .await?
            .iter()
            .any(|event| event.outcome == OutcomeView::Success && event.text("link") == Some(link.id()));
        let given = given.filter(|_| !is_used);
        if given.is_none() {
            let act = Act::new(Activity::IntegrityViolation, link.clone())
                .detail("why", "no event explains it as it stands in the database");
            self.0.store.record_system(&self.0.reader, act).await?;
        }
        Ok(given)
    }

    /// Whether the log says that somebody was enrolled to govern that account, whatever became of them.
    pub(crate) async fn was_enrolled_for(
        &self,
        person: OperatorId,
        account: AccountId,
    ) -> Result<bool, AccessError> {
        let enrolled = EventQuery {
            activity: Some(Activity::OperatorEnrol.name().to_owned()),
            object: Some(person.to_string()),
            ..succeeded()
        };
        let events = self.0.store.recorded(&enrolled).await?;
        let first = done(&events, Activity::OperatorEnrol);
        Ok(first.and_then(standing) == Some(Standing::Customer(account)))
    }

    /// Forgets what the log said of an operator: it has said more since.
    pub(crate) fn forget_made(&self, operator: OperatorId) {
        held(&self.0.explained.operators).remove(&operator);
    }

    /// Forgets what the log said of a client.
    pub(crate) fn forget_made_client(&self, client: ClientId) {
        held(&self.0.explained.clients).remove(&client);
    }
}

/// What was done, and not what was refused: whoever is refused often enough must not hide anything.
pub(crate) fn succeeded() -> EventQuery {
    EventQuery { outcome: Some(OutcomeWord::Success), ..EventQuery::default() }
}

/// The first event of success of an activity.
fn done(events: &[EventView], activity: Activity) -> Option<&EventView> {
    events.iter().find(|event| event.outcome == OutcomeView::Success && event.activity == activity.name())
}

/// The role that an event gives, or the account that it gives somebody to govern: the one that its object is of.
fn standing(event: &EventView) -> Option<Standing> {
    Standing::of(event.text("role")?, event.object.account)
}

/// Enrolled once, with this role and key, and not revoked.
fn fold(events: &[EventView]) -> Option<Made> {
    if done(events, Activity::OperatorRevoke).is_some() {
        return None;
    }
    let enrolled = done(events, Activity::OperatorEnrol)?;
    let ends = enrolled.text("ends").map(str::parse).transpose().ok()?;
    let key = enrolled.text("key").map(str::to_owned);
    Some(Made { role: standing(enrolled)?, key, ends })
}

/// Registered once, in this account, with these scopes and this credential, and not revoked.
fn fold_client(events: &[EventView]) -> Option<MadeClient> {
    if done(events, Activity::ClientRevoke).is_some() {
        return None;
    }
    let created = done(events, Activity::ClientCreate)?;
    Some(MadeClient {
        account: created.object.account?,
        scopes: created.text("scope")?.to_owned(),
        clearance: created.text("clearance")?.to_owned(),
        credential: created.text("key").or_else(|| created.text("secret"))?.to_owned(),
    })
}

//! Transactions. The ones that may write end only with an event: [`Tx::commit`] writes it in the
//! same transaction, or nothing happens (RR-5).

use std::ops::Deref;

use base::{AccountId, Actor, EventId, JobId};
use ledger::{Act, Origin};

use crate::{
    NewJob, Platform, Realm, Row, Scope, Scoped, Store, StoreError, SystemScope, Value, engine, job, outbox,
};

/// A change that is durable together with its event. Only a commit builds one.
#[derive(Debug)]
#[must_use = "a change is worth naming: take the value with `into_inner`"]
pub struct Committed<T> {
    value: T,
    event: EventId,
}

/// An event that is durable: a read that may now answer, or a change in another realm that may now go on.
#[derive(Debug)]
pub struct Recorded(EventId);

/// A refusal that is durable.
#[derive(Debug)]
pub struct Refused(EventId);

/// Changes within one account. Dropped without a commit, it leaves nothing behind.
///
/// What it reads may not be durable yet: on SQLite it stands in the batch of transactions that are committed
/// together, and sees those before it. That is safe for a change, which is then lost with them; it is not for
/// a decision that outlives this transaction. For that, read by [`Store::read`].
pub struct Tx {
    write: engine::Write,
    store: Store,
    scope: Scope,
}

/// Reads within one account, of one snapshot.
pub struct ReadTx {
    read: engine::Read,
    scope: Scope,
}

/// Changes on platform tables. As with [`Tx`], what it reads may not be durable yet.
pub struct SystemTx {
    write: engine::Write,
    store: Store,
    scope: SystemScope,
    /// The id of the first event that it commits, if a row names it.
    first: Option<EventId>,
    /// Whether a reader of the log was moved.
    pub(crate) moved: bool,
}

/// Reads of platform tables, of one snapshot.
pub struct SystemReadTx {
    read: engine::Read,
}

/// Most own parameters of a statement.
const MAX_PARAMETERS: usize = 23;

/// Puts the account before the statement's own parameters.
fn bound<'a>(
    scope: &'a [u8; 16],
    values: &[Value<'a>],
    to: &mut [Value<'a>; MAX_PARAMETERS + 1],
) -> Result<usize, StoreError> {
    let count = values.len() + 1;
    let Some((first, rest)) = to.split_first_mut() else { return Err(StoreError::Shape("a parameter")) };
    *first = Value::Blob(scope);
    let room = rest.get_mut(..values.len());
    room.ok_or_else(|| StoreError::Statement("more than 23 parameters".to_owned()))?.copy_from_slice(values);
    Ok(count)
}

macro_rules! scoped_statement {
    ($self:ident, $method:ident, $target:ident, $statement:ident, $values:ident) => {{
        let account = $self.scope.account();
        let mut all = [Value::Null; MAX_PARAMETERS + 1];
        let count = bound(account.as_bytes(), $values, &mut all)?;
        $self.$target.$method($statement.sql(), all.get(..count).unwrap_or_default()).await
    }};
}

impl Tx {
    /// Runs a change; the number of rows it touched.
    pub async fn execute(&mut self, statement: Scoped, values: &[Value<'_>]) -> Result<u64, StoreError> {
        let outcome = scoped_statement!(self, execute, write, statement, values);
        self.store.note(outcome)
    }
    /// The rows of an answer.
    pub async fn rows(&mut self, statement: Scoped, values: &[Value<'_>]) -> Result<Vec<Row>, StoreError> {
        let outcome = scoped_statement!(self, rows, write, statement, values);
        let rows = self.store.note(outcome)?;
        Ok(rows.into_iter().map(Row).collect())
    }
    /// The first row of an answer, if any.
    pub async fn row(&mut self, statement: Scoped, values: &[Value<'_>]) -> Result<Option<Row>, StoreError> {
        Ok(self.rows(statement, values).await?.into_iter().next())
    }
    /// Adds a job of this account, leased only once this transaction committed. A job with the same
    /// dedupe key that still waits is left as it is.
    pub async fn enqueue(&mut self, job: NewJob) -> Result<Option<JobId>, StoreError> {
        job::add(&mut self.write, self.store.context(), Some(self.scope.account()), job).await
    }
    /// Makes everything durable, with the event that says so.
    pub async fn commit<T>(self, value: T, act: Act) -> Result<Committed<T>, StoreError> {
        self.commit_all(value, vec![act]).await
    }
    /// Makes everything durable, with the events that say so; at least one. The committed value
    /// carries the last event's id.
    pub async fn commit_all<T>(self, value: T, acts: Vec<Act>) -> Result<Committed<T>, StoreError> {
        let event = finish(self.write, &self.store, self.scope.origin(), acts, None).await?;
        Ok(Committed { value, event })
    }
    /// Makes changes of the keys' realm durable under an event that the data realm already holds.
    pub async fn commit_recorded<T>(self, value: T, recorded: &Recorded) -> Result<Committed<T>, StoreError> {
        commit_under(self.write, &self.store, value, recorded).await
    }
    /// Undoes everything, and makes the refusal durable.
    pub async fn refuse(self, act: Act) -> Result<Refused, StoreError> {
        refuse(self.write, &self.store, self.scope.origin(), act).await
    }
    /// The scope.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }
}

impl ReadTx {
    /// The account.
    pub fn account(&self) -> AccountId {
        self.scope.account()
    }
    pub(crate) fn engine(&mut self) -> &mut engine::Read {
        &mut self.read
    }
    /// The rows of an answer.
    pub async fn rows(&mut self, statement: Scoped, values: &[Value<'_>]) -> Result<Vec<Row>, StoreError> {
        let rows = scoped_statement!(self, rows, read, statement, values)?;
        Ok(rows.into_iter().map(Row).collect())
    }
    /// The first row of an answer, if any.
    pub async fn row(&mut self, statement: Scoped, values: &[Value<'_>]) -> Result<Option<Row>, StoreError> {
        Ok(self.rows(statement, values).await?.into_iter().next())
    }
}

impl SystemTx {
    /// Runs a change; the number of rows it touched.
    pub async fn execute(&mut self, statement: Platform, values: &[Value<'_>]) -> Result<u64, StoreError> {
        let outcome = self.write.execute(statement.sql(), values).await;
        self.store.note(outcome)
    }
    /// The rows of an answer.
    pub async fn rows(&mut self, statement: Platform, values: &[Value<'_>]) -> Result<Vec<Row>, StoreError> {
        let outcome = self.write.rows(statement.sql(), values).await;
        Ok(self.store.note(outcome)?.into_iter().map(Row).collect())
    }
    /// The first row of an answer, if any.
    pub async fn row(
        &mut self,
        statement: Platform,
        values: &[Value<'_>],
    ) -> Result<Option<Row>, StoreError> {
        Ok(self.rows(statement, values).await?.into_iter().next())
    }
    /// Adds a job of the platform.
    pub async fn enqueue(&mut self, job: NewJob) -> Result<Option<JobId>, StoreError> {
        job::add(&mut self.write, self.store.context(), None, job).await
    }
    /// The id of the first event that it will commit, for rows that name it.
    pub fn event_id(&mut self) -> Result<EventId, StoreError> {
        let id = self.first.map_or_else(|| EventId::new(self.store.context()), Ok)?;
        self.first = Some(id);
        Ok(id)
    }
    /// Makes everything durable, with the event that says so.
    pub async fn commit<T>(self, value: T, act: Act) -> Result<Committed<T>, StoreError> {
        self.commit_all(value, vec![act]).await
    }
    /// Makes everything durable, with the events that say so; at least one.
    pub async fn commit_all<T>(self, value: T, acts: Vec<Act>) -> Result<Committed<T>, StoreError> {
        let event = finish(self.write, &self.store, self.scope.origin(), acts, self.first).await?;
        Ok(Committed { value, event })
    }
    /// Makes changes of the keys' realm durable under an event that the data realm already holds.
    pub async fn commit_recorded<T>(self, value: T, recorded: &Recorded) -> Result<Committed<T>, StoreError> {
        commit_under(self.write, &self.store, value, recorded).await
    }
    /// Undoes everything, and makes the refusal durable.
    pub async fn refuse(self, act: Act) -> Result<Refused, StoreError> {
        refuse(self.write, &self.store, self.scope.origin(), act).await
    }
    /// Only for the sequencer, the server's own row and job bookkeeping: changes that move events or
    /// leases and are themselves no act of anybody.
    pub(crate) async fn commit_bookkeeping(self) -> Result<(), StoreError> {
        self.store.note(self.write.commit().await)
    }
    /// The time, by the clock of the store.
    pub(crate) fn now(&self) -> base::Timestamp {
        self.store.context().now()
    }
    /// Who runs it.
    pub fn actor(&self) -> Actor {
        self.scope.actor()
    }
}

impl SystemReadTx {
    pub(crate) fn engine(&mut self) -> &mut engine::Read {
        &mut self.read
    }
    /// The rows of an answer.
    pub async fn rows(&mut self, statement: Platform, values: &[Value<'_>]) -> Result<Vec<Row>, StoreError> {
        Ok(self.read.rows(statement.sql(), values).await?.into_iter().map(Row).collect())
    }
    /// The first row of an answer, if any.
    pub async fn row(
        &mut self,
        statement: Platform,
        values: &[Value<'_>],
    ) -> Result<Option<Row>, StoreError> {
        Ok(self.rows(statement, values).await?.into_iter().next())
    }
}

async fn finish(
    mut write: engine::Write,
    store: &Store,
    origin: &Origin,
    acts: Vec<Act>,
    mut first: Option<EventId>,
) -> Result<EventId, StoreError> {
    if store.realm() != Realm::Data {
        return Err(StoreError::Statement("events live in the data realm: use commit_recorded".to_owned()));
    }
    let mut last = None;
    for act in acts {
        let added = outbox::append(&mut write, store, origin, act, first.take()).await;
        last = Some(store.note(added)?);
    }
    let event = last.ok_or_else(|| StoreError::Event("a change needs at least one".to_owned()))?;
    store.note(write.commit().await)?;
    store.wake_sequencer();
    Ok(event)
}

async fn refuse(
    mut write: engine::Write,
    store: &Store,
    origin: &Origin,
    act: Act,
) -> Result<Refused, StoreError> {
    write.undo().await?;
    finish(write, store, origin, vec![act], None).await.map(Refused)
}

async fn commit_under<T>(
    write: engine::Write,
    store: &Store,
    value: T,
    recorded: &Recorded,
) -> Result<Committed<T>, StoreError> {
    if store.realm() != Realm::Keys {
        return Err(StoreError::Statement("the data realm commits with the event itself".to_owned()));
    }
    store.note(write.commit().await)?;
    // The data realm says in its events that space ran out; this one has none of its own.
    store.clear_full();
    Ok(Committed { value, event: recorded.0 })
}

impl Store {
    /// Starts changes within the scope's account.
    pub async fn begin(&self, scope: &Scope) -> Result<Tx, StoreError> {
        let write = self.note(self.database().write(Some(scope.account().as_bytes())).await)?;
        Ok(Tx { write, store: self.clone(), scope: scope.clone() })
    }
    /// Starts reads within the scope's account.
    pub async fn read(&self, scope: &Scope) -> Result<ReadTx, StoreError> {
        let read = self.database().read(Some(scope.account().as_bytes())).await?;
        Ok(ReadTx { read, scope: scope.clone() })
    }
    /// Starts changes on platform tables.
    pub async fn system(&self, scope: &SystemScope) -> Result<SystemTx, StoreError> {
        let write = self.note(self.database().write(None).await)?;
        Ok(SystemTx { write, store: self.clone(), scope: scope.clone(), first: None, moved: false })
    }
    /// Starts reads of platform tables.
    pub async fn system_read(&self, _scope: &SystemScope) -> Result<SystemReadTx, StoreError> {
        Ok(SystemReadTx { read: self.database().read(None).await? })
    }
    /// Makes an event durable by itself: what a read of confidential data calls before data leaves.
    pub async fn record(&self, scope: &Scope, act: Act) -> Result<Recorded, StoreError> {
        self.record_all(scope, vec![act]).await
    }
    /// Makes several events durable at once; at least one.
    pub async fn record_all(&self, scope: &Scope, acts: Vec<Act>) -> Result<Recorded, StoreError> {
        let write = self.note(self.database().write(Some(scope.account().as_bytes())).await)?;
        finish(write, self, scope.origin(), acts, None).await.map(Recorded)
    }
    /// Makes an event of the platform durable by itself.
    pub async fn record_system(&self, scope: &SystemScope, act: Act) -> Result<Recorded, StoreError> {
        let write = self.note(self.database().write(None).await)?;
        finish(write, self, scope.origin(), vec![act], None).await.map(Recorded)
    }
}

impl<T> Committed<T> {
    /// The value.
    pub fn into_inner(self) -> T {
        self.value
    }
    /// The event that records the change.
    pub fn event_id(&self) -> EventId {
        self.event
    }
    /// The same commitment to another value.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Committed<U> {
        Committed { value: change(self.value), event: self.event }
    }
}

impl<T> Deref for Committed<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

impl Recorded {
    /// The event.
    pub fn event_id(&self) -> EventId {
        self.0
    }
}

impl Refused {
    /// The event.
    pub fn event_id(&self) -> EventId {
        self.0
    }
}

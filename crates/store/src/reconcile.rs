//! Holding what is stored against what the log says: each row that a crate protects is explained by events, and each
//! event's row is there. So a row that somebody put in, changed or took out behind Tenet's back is found and named.
//!
//! The log is read once from its start, and what it says of each row is kept; then the rows of each account are read in
//! one snapshot, with the events that the snapshot has and the reading had not. So a change that is under way is never
//! taken for one that no event explains. The entries that are read are held against the signed checkpoint, and those
//! that wait against their seals: who edits the log's tables as well as a row is found by that.
//!
//! Memory is bounded: if there are more rows than fit, the log is read several times, each time for a part of them.

use std::{
    collections::{HashMap, HashSet},
    future::Future,
    pin::Pin,
    sync::Arc,
};

use base::{AccountId, EventId};
use ledger::{Activity, Event, EventView, Frontier, LogVerifier, OutcomeView, leaf_hash};

use crate::{
    Mint, Platform, ReadTx, Row, Store, StoreError, SystemReadTx, SystemScope, engine::Read,
    log::INDEXED_ENTRIES, platform, review_rows::Reviews, sequencer::as_int,
};

/// Rows of which what the log says is kept at a time. About 120 bytes each.
const MAX_KEPT: usize = 250_000;
/// Most parts that the rows are divided into: 64 million rows.
const MAX_PARTS: u16 = 256;
/// Rows that are read at once.
const PAGE: i64 = 500;
/// Entries that are read at once.
const ENTRIES: u64 = 1_024;
/// Most findings that are named. Further ones are counted.
pub const MAX_UNEXPLAINED: usize = 1_000;
/// The kind of row that stands for an account.
const ACCOUNT: &str = "account";

const HEAD: Platform = platform!("SELECT size, checkpoint FROM log_head WHERE id = 0");
const WAITING: Platform = platform!(
    "SELECT o.seq, o.seal, e.leaf FROM outbox o JOIN event e ON e.seq = o.seq WHERE o.seq > $1 ORDER BY o.seq LIMIT $2"
);

/// What a row holds, or what the log says that it holds. Members that mean nothing for a kind of row are left as they
/// are by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RowState {
    /// A digest of its content.
    pub content: [u8; 32],
    /// The number of its version.
    pub version: u64,
    /// A digest of its classification's name: [`RowState::label_of`].
    pub label: u64,
    /// Legal holds in force on it.
    pub holds: u32,
    /// In which state it is, such as deleted: bits that the kind of row gives a meaning to.
    pub marks: u8,
}

impl RowState {
    /// What stands for a word, such as a classification.
    pub fn label_of(word: &str) -> u64 {
        let digest = leaf_hash(word.as_bytes());
        digest.iter().take(8).fold(0, |number, byte| (number << 8) | u64::from(*byte))
    }

    fn difference(&self, said: &Self) -> Option<&'static str> {
        let members = [
            (self.version != said.version, "its version"),
            (self.label != said.label, "its classification"),
            (self.marks != said.marks, "its state"),
            (self.holds != said.holds, "its legal holds"),
            (self.content != said.content, "its content"),
        ];
        members.into_iter().find_map(|(differs, what)| differs.then_some(what))
    }
}

/// Which row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RowKey {
    /// The word for its kind.
    pub kind: &'static str,
    /// Its id.
    pub id: [u8; 16],
    /// Which part of it, such as a version; 0 for the whole.
    pub part: u64,
}

/// What the log says of rows, as far as it was read.
#[derive(Debug)]
pub struct Said {
    accounts: HashMap<Option<AccountId>, HashMap<RowKey, RowState>>,
    done: HashSet<Option<AccountId>>,
    part: u16,
    parts: u16,
    kept: usize,
}

impl Said {
    fn new(part: u16, parts: u16) -> Self {
        Self { accounts: HashMap::new(), done: HashSet::new(), part, parts, kept: 0 }
    }

    fn is_kept(&self, key: &RowKey) -> bool {
        let [.., high, low] = key.id;
        u16::from_be_bytes([high, low]) % self.parts == self.part
    }

    /// A row is there from now on.
    pub fn made(&mut self, account: Option<AccountId>, key: RowKey, state: RowState) {
        if !self.is_kept(&key) || self.done.contains(&account) {
            return;
        }
        if self.accounts.entry(account).or_default().insert(key, state).is_none() {
            self.kept += 1;
        }
    }

    /// What is said of a row so far; none if nothing is, or it is not looked at in this pass.
    pub fn row(&mut self, account: Option<AccountId>, key: &RowKey) -> Option<&mut RowState> {
        self.accounts.get_mut(&account)?.get_mut(key)
    }

    /// A row is gone from now on.
    pub fn gone(&mut self, account: Option<AccountId>, key: &RowKey) {
        if let Some(rows) = self.accounts.get_mut(&account)
            && rows.remove(key).is_some()
        {
            self.kept -= 1;
        }
    }

    /// Ends an account: what is left of it is not in the database.
    fn end(&mut self, account: Option<AccountId>) -> Vec<RowKey> {
        self.done.insert(account);
        let mut left: Vec<_> = self.accounts.remove(&account).unwrap_or_default().into_keys().collect();
        self.kept -= left.len();
        left.sort_unstable();
        left
    }
}

/// A page of rows.
#[derive(Debug, Default)]
pub struct RowPage {
    /// The rows.
    pub rows: Vec<(RowKey, RowState)>,
    /// What the next page starts behind; none on the last.
    pub next: Option<Vec<u8>>,
}

/// A page of rows, once it is read.
pub type RowsFuture<'a> = Pin<Box<dyn Future<Output = Result<RowPage, StoreError>> + Send + 'a>>;

/// Rows that events explain, of one crate.
pub trait Protected: Send + Sync {
    /// The kinds of rows that accounts have.
    fn of_accounts(&self) -> &'static [&'static str];
    /// The kinds of rows of the platform.
    fn of_platform(&self) -> &'static [&'static str];
    /// The activities whose events say something of its rows: no others are read.
    fn activities(&self) -> &'static [Activity];
    /// Takes up what an event says. It was a success.
    fn take(&self, event: &EventView, said: &mut Said);
    /// The rows of a kind behind `next` of the page before (at first: nothing), at most `limit`, within an account.
    fn account_rows<'a>(
        &'a self,
        read: &'a mut ReadTx,
        kind: &'static str,
        after: &'a [u8],
        limit: i64,
    ) -> RowsFuture<'a>;
    /// The same of the platform.
    fn platform_rows<'a>(
        &'a self,
        read: &'a mut SystemReadTx,
        kind: &'static str,
        after: &'a [u8],
        limit: i64,
    ) -> RowsFuture<'a>;
    /// The id as people write it, with its prefix.
    fn id_text(&self, kind: &'static str, id: [u8; 16]) -> String;
}

/// What is wrong with a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// It is there, and no event says that it should be.
    Unexplained,
    /// An event says that it is there, and it is not.
    Missing,
    /// It is not what the last event says: this differs.
    Differs(&'static str),
}

impl std::fmt::Display for Wrong {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unexplained => f.write_str("no event explains it"),
            Self::Missing => f.write_str("it is missing: no event took it away"),
            Self::Differs(what) => write!(f, "{what} is not what the last event says"),
        }
    }
}

/// A row that events do not explain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unexplained {
    /// The account whose it is.
    pub account: Option<AccountId>,
    /// The word for its kind.
    pub kind: &'static str,
    /// Its id.
    pub id: String,
    /// Which part, such as a version; 0 for the whole.
    pub part: u64,
    /// What is wrong.
    pub wrong: Wrong,
}

/// What came of holding the rows against the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reconciled {
    /// Entries of the log that were read.
    pub entries: u64,
    /// Rows that were held against them.
    pub rows: u64,
    /// How often the log was read.
    pub passes: u64,
    /// What was found, at most [`MAX_UNEXPLAINED`].
    pub unexplained: Vec<Unexplained>,
    /// How much was found in all.
    pub count: u64,
}

/// Holds rows against the log.
pub struct Reconciler {
    store: Store,
    verifier: LogVerifier,
    protected: Vec<Arc<dyn Protected>>,
    mint: Mint,
    scope: SystemScope,
    keep: usize,
    /// The names of activities that say something of a row.
    relevant: HashSet<&'static str>,
}

/// How far the log was read.
struct Reading {
    said: Said,
    tree: Frontier,
    /// Events of the outbox that were taken up before the log had them.
    ahead: HashSet<EventId>,
}

impl Reconciler {
    /// Of a store's rows, in the crates that `protected` speaks for, against its log.
    pub fn new(
        store: Store,
        verifier: LogVerifier,
        mut protected: Vec<Arc<dyn Protected>>,
    ) -> Result<Self, StoreError> {
        protected.push(Arc::new(Reviews));
        let origin = store.own_origin("reconciler")?;
        let mint = Mint::new();
        let scope =
            mint.system(origin, store.context().now(), "rows of all accounts are held against the log");
        let activities = protected.iter().flat_map(|one| one.activities());
        let relevant = activities.map(|activity| activity.name()).collect();
        Ok(Self { store, verifier, protected, mint, scope, keep: MAX_KEPT, relevant })
    }

    /// Keeps what the log says of that many rows at a time, instead of 250,000: less memory, more readings of the log.
    #[must_use]
    pub fn keeping(mut self, rows: usize) -> Self {
        self.keep = rows.max(1);
        self
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }
    pub(crate) fn scope(&self) -> &SystemScope {
        &self.scope
    }

    /// Holds every row against the log. Changes nothing, and records nothing.
    ///
    /// # Errors
    /// [`StoreError::Log`] if the log's tables are not what was signed: then nothing explains anything.
    pub async fn run(&self) -> Result<Reconciled, StoreError> {
        let mut parts = 1;
        loop {
            if let Some(all) = self.in_parts(parts).await? {
                return Ok(all);
            }
            parts *= 2;
            if parts > MAX_PARTS {
                return Err(StoreError::Statement("more rows than can be held against the log".to_owned()));
            }
        }
    }

    /// Every part, one after the other; none if one is too large.
    async fn in_parts(&self, parts: u16) -> Result<Option<Reconciled>, StoreError> {
        let mut all = Reconciled::default();
        for part in 0..parts {
            if !self.pass(part, parts, &mut all).await? {
                return Ok(None);
            }
            all.passes += 1;
        }
        Ok(Some(all))
    }

    /// One reading of the log, for a part of the rows; false if those are too many.
    async fn pass(&self, part: u16, parts: u16, all: &mut Reconciled) -> Result<bool, StoreError> {
        let said = Said::new(part, parts);
        let mut reading = Reading { said, tree: Frontier::empty(), ahead: HashSet::new() };
        let head = self.store.log_rows(HEAD, &[]).await?;
        let size =
            head.first().ok_or_else(|| StoreError::Log("the head's row is gone".to_owned()))?.count(0)?;
        while reading.tree.size() < size {
            let at = reading.tree.size();
            let leaves = self.store.leaves(at, (at + ENTRIES).min(size)).await?;
            if leaves.is_empty() {
                return Err(StoreError::Log(format!("entry {at} is missing")));
            }
            for (index, leaf) in &leaves {
                self.take(&mut reading, *index, leaf)?;
            }
            if reading.said.kept > self.keep {
                return Ok(false);
            }
            tokio::task::yield_now().await;
        }
        let mut accounts = Vec::new();
        self.platform(&mut reading, all, &mut accounts).await?;
        for known in reading.said.accounts.keys().flatten() {
            accounts.push(*known);
        }
        accounts.sort_unstable();
        accounts.dedup();
        for account in accounts {
            self.account(account, &mut reading, all).await?;
            if reading.said.kept > self.keep {
                return Ok(false);
            }
        }
        all.entries = reading.tree.size();
        Ok(true)
    }

    fn take(&self, reading: &mut Reading, index: u64, leaf: &[u8]) -> Result<(), StoreError> {
        if index != reading.tree.size() {
            return Err(StoreError::Log(format!("entry {} is missing", reading.tree.size())));
        }
        reading.tree.append(leaf_hash(leaf));
        if index % 256 == 255 {
            // They are in the tables; here only the root counts.
            drop(reading.tree.take_changed());
        }
        if !activity_of(leaf).is_some_and(|name| self.relevant.contains(name)) {
            return Ok(());
        }
        // One that is no event explains nothing; whether it is the one that was signed, the root shows.
        let Ok(event) = Event::decode(leaf) else { return Ok(()) };
        if !reading.ahead.remove(&event.id) {
            self.fold(&event, &mut reading.said);
        }
        Ok(())
    }

    fn fold(&self, event: &EventView, said: &mut Said) {
        if event.outcome == OutcomeView::Success {
            for one in &self.protected {
                one.take(event, said);
            }
        }
    }

    /// Takes up what a snapshot knows of the log and the reading does not, and compares what was read with what was
    /// signed.
    async fn catch_up(&self, read: &mut Read, reading: &mut Reading) -> Result<(), StoreError> {
        let head = rows(read, HEAD, &[]).await?;
        let head = head.first().ok_or_else(|| StoreError::Log("the head's row is gone".to_owned()))?;
        let (size, checkpoint) = (head.count(0)?, head.text(1)?.to_owned());
        while reading.tree.size() < size {
            let at = reading.tree.size();
            let values = [as_int(at)?.into(), as_int((at + ENTRIES).min(size))?.into()];
            let leaves = rows(read, INDEXED_ENTRIES, &values).await?;
            if leaves.is_empty() {
                return Err(StoreError::Log(format!("entry {at} is missing")));
            }
            for row in &leaves {
                self.take(reading, row.count(0)?, row.blob(1)?)?;
            }
        }
        if size > 0 {
            let signed =
                self.verifier.verify(&checkpoint).map_err(|error| StoreError::Log(error.to_string()))?;
            if signed.size != size || signed.root != reading.tree.root() {
                return Err(StoreError::Log(format!(
                    "the {size} entries in the tables are not the {} that were signed: run `tenet log verify`",
                    signed.size
                )));
            }
        }
        let mut after = 0i64;
        loop {
            let waiting = rows(read, WAITING, &[after.into(), PAGE.into()]).await?;
            for row in &waiting {
                after = row.int(0)?;
                let (seal, leaf) = (row.opt_blob(1)?, row.blob(2)?);
                if !activity_of(leaf).is_some_and(|name| self.relevant.contains(name)) {
                    continue;
                }
                // What was planted explains nothing.
                let is_ours = self.store.seals().hold(leaf, seal);
                let Ok(event) = Event::decode(leaf) else { continue };
                if is_ours && reading.ahead.insert(event.id) {
                    self.fold(&event, &mut reading.said);
                }
            }
            if waiting.len() < PAGE.unsigned_abs() as usize {
                return Ok(());
            }
        }
    }

    /// The kinds of rows of accounts, or of the platform, each with the crate that speaks for it.
    fn kinds(&self, of_accounts: bool) -> Vec<(Arc<dyn Protected>, &'static str)> {
        let mut all = Vec::new();
        for one in &self.protected {
            let kinds = if of_accounts { one.of_accounts() } else { one.of_platform() };
            for kind in kinds {
                all.push((Arc::clone(one), *kind));
            }
        }
        all
    }

    async fn platform(
        &self,
        reading: &mut Reading,
        all: &mut Reconciled,
        accounts: &mut Vec<AccountId>,
    ) -> Result<(), StoreError> {
        let mut read = self.store.system_read(&self.scope).await?;
        self.catch_up(read.engine(), reading).await?;
        for (one, kind) in self.kinds(false) {
            let mut after = Some(Vec::new());
            while let Some(from) = after {
                let page = one.platform_rows(&mut read, kind, &from, PAGE).await?;
                if kind == ACCOUNT {
                    accounts.extend(page.rows.iter().map(|(key, _)| AccountId::from_bytes(key.id)));
                }
                compare(None, &page.rows, &mut reading.said, all, &one);
                after = page.next;
            }
        }
        drop(read);
        self.missing(None, reading, all);
        Ok(())
    }

    async fn account(
        &self,
        account: AccountId,
        reading: &mut Reading,
        all: &mut Reconciled,
    ) -> Result<(), StoreError> {
        let scope = self.mint.scope(account, self.scope.origin().clone(), self.store.context().now());
        let mut read = self.store.read(&scope).await?;
        self.catch_up(read.engine(), reading).await?;
        for (one, kind) in self.kinds(true) {
            let mut after = Some(Vec::new());
            while let Some(from) = after {
                let page = one.account_rows(&mut read, kind, &from, PAGE).await?;
                compare(Some(account), &page.rows, &mut reading.said, all, &one);
                after = page.next;
                tokio::task::yield_now().await;
            }
        }
        drop(read);
        self.missing(Some(account), reading, all);
        Ok(())
    }

    fn missing(&self, account: Option<AccountId>, reading: &mut Reading, all: &mut Reconciled) {
        for key in reading.said.end(account) {
            let of = |one: &&Arc<dyn Protected>| {
                one.of_accounts().contains(&key.kind) || one.of_platform().contains(&key.kind)
            };
            if let Some(one) = self.protected.iter().find(of) {
                found(all, account, &key, Wrong::Missing, one);
            }
        }
    }
}

/// The activity of a leaf, without reading all of it. Within text a quotation mark is escaped, so that these characters
/// stand where the member is and nowhere else.
fn activity_of(leaf: &[u8]) -> Option<&str> {
    const MEMBER: &[u8] = b"\"event_code\":\"";
    let at = leaf.windows(MEMBER.len()).position(|some| some == MEMBER)?;
    let rest = leaf.get(at + MEMBER.len()..)?;
    let end = rest.iter().position(|byte| *byte == b'"')?;
    std::str::from_utf8(rest.get(..end)?).ok()
}

async fn rows(
    read: &mut Read,
    statement: Platform,
    values: &[crate::Value<'_>],
) -> Result<Vec<Row>, StoreError> {
    Ok(read.rows(statement.sql(), values).await?.into_iter().map(Row).collect())
}

fn compare(
    account: Option<AccountId>,
    page: &[(RowKey, RowState)],
    said: &mut Said,
    all: &mut Reconciled,
    one: &Arc<dyn Protected>,
) {
    for (key, state) in page {
        if !said.is_kept(key) {
            continue;
        }
        all.rows += 1;
        let wrong = match said.row(account, key) {
            None => Some(Wrong::Unexplained),
            Some(expected) => state.difference(expected).map(Wrong::Differs),
        };
        // What is left in the end is missing.
        said.gone(account, key);
        if let Some(wrong) = wrong {
            found(all, account, key, wrong, one);
        }
    }
}

fn found(
    all: &mut Reconciled,
    account: Option<AccountId>,
    key: &RowKey,
    wrong: Wrong,
    one: &Arc<dyn Protected>,
) {
    all.count += 1;
    if all.unexplained.len() < MAX_UNEXPLAINED {
        let id = one.id_text(key.kind, key.id);
        all.unexplained.push(Unexplained { account, kind: key.kind, id, part: key.part, wrong });
    }
}

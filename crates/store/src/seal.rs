//! Seals of events that wait for the log. Whoever can write to the database could add an event to the outbox, and the
//! sequencer would sign over it. So each is sealed by the server that recorded it, under a key of the keys' realm, and
//! one whose seal is not right is set aside, with an event that names it.

use std::sync::Mutex;

use aws_lc_rs::hmac;
use base::{EventId, SecretBytes};
use ledger::{Act, Activity, ObjectRef};

use crate::{Platform, Store, StoreError, SystemScope, SystemTx, platform};

/// Bytes of a seal.
const SEAL_BYTES: usize = 32;
/// Most events that a server records before it has the key: those of a first start.
const MAX_EARLY: usize = 1_024;
const DOMAIN: &[u8] = b"tenet event waiting 1\0";

const WAITS: Platform = platform!(
    "SELECT e.leaf FROM outbox o JOIN event e ON e.seq = o.seq WHERE o.seq = $1 AND o.seal IS NULL"
);
const SEAL: Platform = platform!("UPDATE outbox SET seal = $2 WHERE seq = $1 AND seal IS NULL");
const SET_ASIDE: Platform = platform!("INSERT INTO outbox_refused (seq, at) VALUES ($1, $2)");
const TAKE_OUT: Platform = platform!("DELETE FROM outbox WHERE seq = $1");

/// The key, once there is one, and the events that were recorded before.
#[derive(Default)]
pub(crate) struct Seals {
    key: std::sync::OnceLock<hmac::Key>,
    early: Mutex<Vec<i64>>,
}

impl Seals {
    /// The seal of a leaf; none as long as there is no key.
    pub(crate) fn seal(&self, leaf: &[u8]) -> Option<[u8; SEAL_BYTES]> {
        let mut context = hmac::Context::with_key(self.key.get()?);
        context.update(DOMAIN);
        context.update(leaf);
        context.sign().as_ref().try_into().ok()
    }

    /// Whether there is a key, so that seals are asked for.
    pub(crate) fn are_made(&self) -> bool {
        self.key.get().is_some()
    }

    /// Whether this server's own, or another's that has the key, wrote the leaf.
    pub(crate) fn hold(&self, leaf: &[u8], seal: Option<&[u8]>) -> bool {
        match (self.seal(leaf), seal) {
            (Some(right), Some(seal)) => base::constant_time_eq(&right, seal),
            (Some(_), None) => false,
            (None, _) => true,
        }
    }

    /// Remembers an event that has no seal yet.
    pub(crate) fn early(&self, seq: i64) {
        let mut early = self.early.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if early.len() < MAX_EARLY {
            early.push(seq);
        }
    }
}

impl Store {
    /// Seals events with this key from now on, and those that this server recorded before; the sequencer takes no
    /// others into the log, but for those of a log that is empty still. The same key on every server, and not in this
    /// database. A second call changes nothing.
    pub async fn seal_events(&self, scope: &SystemScope, key: &SecretBytes) -> Result<(), StoreError> {
        let _ = self.seals().key.set(hmac::Key::new(hmac::HMAC_SHA256, key.expose()));
        let early = std::mem::take(
            &mut *self.seals().early.lock().unwrap_or_else(std::sync::PoisonError::into_inner),
        );
        if early.is_empty() {
            return Ok(());
        }
        let mut tx = self.system(scope).await?;
        for seq in early {
            let Some(row) = tx.row(WAITS, &[seq.into()]).await? else { continue };
            let seal = self.seals().seal(row.blob(0)?);
            tx.execute(SEAL, &[seq.into(), seal.as_ref().map(<[u8; SEAL_BYTES]>::as_slice).into()]).await?;
        }
        tx.commit_bookkeeping().await
    }

    /// Takes events that nobody who may record events did out of the way of the others: they stay where a person can
    /// look at them, and never enter the log.
    pub(crate) async fn set_aside(
        &self,
        mut tx: SystemTx,
        planted: &[(i64, Option<EventId>)],
    ) -> Result<(), StoreError> {
        let mut acts = Vec::with_capacity(planted.len());
        for (seq, id) in planted {
            tx.execute(TAKE_OUT, &[(*seq).into()]).await?;
            tx.execute(SET_ASIDE, &[(*seq).into(), self.context().now().into()]).await?;
            let name = id.map_or_else(|| "-".to_owned(), |id| id.to_string());
            tracing::error!(event = name, seq, "an event that no server recorded was found, and set aside");
            let act = Act::failed(Activity::IntegrityViolation, ObjectRef::new("event", name), "planted");
            acts.push(act.detail("seq", *seq).detail("why", "no server of this installation recorded it"));
        }
        tx.commit_all((), acts).await?.into_inner();
        Ok(())
    }
}

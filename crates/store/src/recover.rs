//! Taking entries back that the log once had: from a mirror, into a database that is an older copy.

use base::{Duration, EventId};
use ledger::{Event, LogSigner, leaf_hash};

use crate::{
    Platform, Store, StoreError, SystemScope, SystemTx, platform,
    sequencer::{as_int, load_edge, put_tiles},
};

const HOLD: Platform = platform!(
    "UPDATE log_head SET holder = $1, held_until = $2 WHERE id = 0 AND (holder = $1 OR held_until < $3) RETURNING size"
);
const LET_GO: Platform =
    platform!("UPDATE log_head SET size = $1, checkpoint = $2, held_until = 0 WHERE id = 0 AND holder = $3");
const KNOWN: Platform = platform!("SELECT seq, leaf FROM event WHERE id = $1");
const ADD: Platform = platform!(
    "INSERT INTO event (id, account_id, at, activity, leaf, sealed) VALUES ($1, $2, $3, $4, $5, NULL) RETURNING seq"
);
const NUMBER: Platform = platform!("INSERT INTO log_entry (idx, seq) VALUES ($1, $2)");
const CLEAR: Platform = platform!("DELETE FROM outbox WHERE seq = $1");
const TIME: Duration = Duration::from_seconds(60);

impl Store {
    /// Appends entries that the log had at this place, in one transaction, and signs the head that they make: the
    /// size now. The caller has verified that they continue the log. One that still waits in the outbox of this
    /// copy takes its place, with what is sealed in it; of the others only the entry itself comes back. Refused
    /// while another server sequences.
    pub async fn take_back(
        &self,
        scope: &SystemScope,
        signer: &LogSigner,
        entries: &[Vec<u8>],
    ) -> Result<u64, StoreError> {
        let now = self.context().now();
        let server = self.server();
        let mut tx = self.system(scope).await?;
        let values = [(&server).into(), now.plus(TIME).into(), now.into()];
        let held = tx.row(HOLD, &values).await?;
        let held =
            held.ok_or_else(|| StoreError::Log("another server writes the log: stop it first".to_owned()))?;
        let mut tree = load_edge(&mut tx, held.count(0)?).await?;
        for entry in entries {
            let index = as_int(tree.size())?;
            let seq = place(&mut tx, entry).await?;
            tx.execute(NUMBER, &[index.into(), seq.into()]).await?;
            tx.execute(CLEAR, &[seq.into()]).await?;
            tree.append(leaf_hash(entry));
        }
        put_tiles(&mut tx, &mut tree).await?;
        let checkpoint = signer.sign(tree.size(), tree.root());
        tx.execute(LET_GO, &[as_int(tree.size())?.into(), (&checkpoint).into(), (&server).into()]).await?;
        tx.commit_bookkeeping().await?;
        Ok(tree.size())
    }
}

/// The number of the event of an entry: its own if it is here, a new one if it is not.
async fn place(tx: &mut SystemTx, entry: &Vec<u8>) -> Result<i64, StoreError> {
    let event = Event::decode(entry).map_err(|error| StoreError::Log(error.to_string()))?;
    let id: EventId = event.id;
    if let Some(known) = tx.row(KNOWN, &[(&id).into()]).await? {
        if known.blob(1)? != entry.as_slice() {
            return Err(StoreError::Log(format!("event {id} is here with another content")));
        }
        return known.int(0);
    }
    let values = [
        (&id).into(),
        event.account.as_ref().into(),
        event.time.into(),
        event.activity.as_str().into(),
        entry.into(),
    ];
    let row = tx.row(ADD, &values).await?;
    row.ok_or(StoreError::Shape("the event's number"))?.int(0)
}

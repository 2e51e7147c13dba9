//! The servers that run, and what each start finds of the stops before it: announced, or not (a crash
//! or a kill). Also the moment when space ran out and came back, which can only be written afterwards.

use base::{Duration, ServerId, Timestamp, kinds};
use ledger::{Act, Activity, ObjectRef};

use crate::{Platform, Store, StoreError, SystemScope, platform};

/// A server that has not shown itself for this long, and did not say that it stopped, has crashed.
const SILENCE: Duration = Duration::from_seconds(15);

const ADD: Platform =
    platform!("INSERT INTO server (id, started_at, seen_at, stopped_at) VALUES ($1, $2, $2, NULL)");
const SEEN: Platform = platform!("UPDATE server SET seen_at = $2, stopped_at = NULL WHERE id = $1");
const STOPPED: Platform = platform!("UPDATE server SET stopped_at = $2 WHERE id = $1");
const SILENT: Platform = platform!(
    "UPDATE server SET stopped_at = $1 WHERE stopped_at IS NULL AND id <> $2 AND seen_at < $3 RETURNING id, seen_at"
);

/// A server that stopped without saying so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastStop {
    /// Which.
    pub server: ServerId,
    /// When it last showed itself.
    pub seen_at: Timestamp,
}

/// This server's row.
#[derive(Debug)]
pub struct ServerRow {
    store: Store,
}

impl ServerRow {
    /// Announces this server, with the event of its start, and finds the ones that stopped without a
    /// word: each is an event. With `alone`, every other row is such a one, for nobody else can have
    /// the data directory open.
    pub async fn start(
        store: &Store,
        scope: &SystemScope,
        alone: bool,
        version: &str,
    ) -> Result<(Self, Vec<LastStop>), StoreError> {
        let now = store.context().now();
        let before = if alone { Timestamp::from_micros(i64::MAX) } else { now.minus(SILENCE) };
        let mut tx = store.system(scope).await?;
        let server = store.server();
        let silent = tx.rows(SILENT, &[now.into(), (&server).into(), before.into()]).await?;
        let mut acts = Vec::new();
        let mut stops = Vec::new();
        for row in silent {
            let stop = LastStop { server: row.id::<kinds::Server>(0)?, seen_at: row.time(1)? };
            let object = ObjectRef::new("server", stop.server);
            acts.push(
                Act::failed(Activity::ServerCrashDetected, object, "stopped-unannounced")
                    .detail("last_seen", stop.seen_at.to_string()),
            );
            stops.push(stop);
        }
        tx.execute(ADD, &[(&server).into(), now.into()]).await?;
        acts.push(
            Act::new(Activity::ServerStart, ObjectRef::new("server", server))
                .detail("version", version.to_owned()),
        );
        tx.commit_all((), acts).await?.into_inner();
        Ok((Self { store: store.clone() }, stops))
    }

    /// Shows that this server is alive; to be called every few seconds. Writes what could not be
    /// written while space had run out.
    pub async fn beat(&self, scope: &SystemScope) -> Result<(), StoreError> {
        let mut tx = self.store.system(scope).await?;
        let server = self.store.server();
        let now = self.store.context().now();
        tx.execute(SEEN, &[(&server).into(), now.into()]).await?;
        if !self.store.is_full() {
            return tx.commit_bookkeeping().await;
        }
        let object = || ObjectRef::new("server", server);
        let acts = vec![
            Act::failed(Activity::StorageFull, object(), "storage-full"),
            Act::new(Activity::StorageRecover, object()),
        ];
        tx.commit_all((), acts).await?.into_inner();
        // Only now: whatever went wrong before this line leaves it to be said at the next beat.
        self.store.clear_full();
        Ok(())
    }

    /// Announces the stop, with its event.
    pub async fn stop(&self, scope: &SystemScope) -> Result<(), StoreError> {
        let mut tx = self.store.system(scope).await?;
        let server = self.store.server();
        tx.execute(STOPPED, &[(&server).into(), self.store.context().now().into()]).await?;
        tx.commit((), Act::new(Activity::ServerStop, ObjectRef::new("server", server))).await?.into_inner();
        Ok(())
    }
}

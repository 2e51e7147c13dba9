//! What rotations of provider and account keys share: their progress, and their jobs.

use base::Timestamp;
use serde::Serialize;
use store::{JobHandler, Recorded, SystemScope, platform};

use crate::{KeyError, Keys, keys::signed, rotate_account::RotateAccount, rotate_provider::RotateProvider};

/// A rotation is never given up: a token may be away for days, and nothing is lost meanwhile.
pub(crate) const MAX_ATTEMPTS: u32 = 1_000_000;

const STARTED: store::Platform = platform!(
    "INSERT INTO key_rotation (name, from_version, to_version, done, total, damaged, started_at, finished_at) \
     VALUES ($1, $2, $3, 0, $4, 0, $5, NULL) ON CONFLICT (name) DO UPDATE SET from_version = $2, to_version = $3, \
     done = 0, total = $4, damaged = 0, started_at = $5, finished_at = NULL WHERE key_rotation.to_version <> $3"
);
pub(crate) const DONE: store::Platform =
    platform!("UPDATE key_rotation SET done = done + $2 WHERE name = $1");
const FINISHED: store::Platform =
    platform!("UPDATE key_rotation SET finished_at = $2, damaged = $3 WHERE name = $1");

/// From which version to which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// The version before.
    pub from: u32,
    /// The version that takes over.
    pub to: u32,
}

/// How far a rotation is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RotationStatus {
    /// `provider`, or `account` and the account's id.
    pub name: String,
    /// From which version to which.
    pub rotation: Rotation,
    /// How many keys were wrapped anew, at least.
    pub done: u64,
    /// How many there were when it began. Keys destroyed meanwhile need no wrapping.
    pub total: u64,
    /// How many did not open and were passed over, once it ended: `key.refuse` events name them.
    pub damaged: u64,
    /// When it began.
    pub started: Timestamp,
    /// When it ended, if it did.
    pub finished: Option<Timestamp>,
}

impl Keys {
    /// The handlers of the jobs that rotations enqueue, for the server's job runner.
    pub fn job_handlers(&self) -> Vec<Box<dyn JobHandler>> {
        vec![Box::new(RotateAccount(self.clone())), Box::new(RotateProvider(self.clone()))]
    }

    pub(crate) async fn note_started(
        &self,
        system: &SystemScope,
        name: &str,
        rotation: Rotation,
        total: u64,
        recorded: &Recorded,
    ) -> Result<(), KeyError> {
        let mut tx = self.store().system(system).await?;
        let now = self.context().now();
        let values =
            [name.into(), rotation.from.into(), rotation.to.into(), signed(total).into(), now.into()];
        tx.execute(STARTED, &values).await?;
        tx.commit_recorded((), recorded).await?.into_inner();
        Ok(())
    }

    pub(crate) async fn note_progress(
        &self,
        system: &SystemScope,
        name: &str,
        done: u64,
        recorded: &Recorded,
    ) -> Result<(), KeyError> {
        let mut tx = self.store().system(system).await?;
        tx.execute(DONE, &[name.into(), signed(done).into()]).await?;
        tx.commit_recorded((), recorded).await?.into_inner();
        Ok(())
    }

    pub(crate) async fn note_finished(
        &self,
        system: &SystemScope,
        name: &str,
        damaged: u64,
        recorded: &Recorded,
    ) -> Result<(), KeyError> {
        let mut tx = self.store().system(system).await?;
        let values = [name.into(), self.context().now().into(), signed(damaged).into()];
        tx.execute(FINISHED, &values).await?;
        tx.commit_recorded((), recorded).await?.into_inner();
        Ok(())
    }
}

/// A job's payload.
pub(crate) fn to_json(progress: &impl Serialize) -> Result<String, KeyError> {
    serde_json::to_string(progress).map_err(|_| KeyError::Damaged("the payload of a rotation"))
}

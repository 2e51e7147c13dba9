//! `Idempotency-Key`: a request that is sent twice is done once. The key stands for one client of one
//! account, one route and one body, for 24 hours; the answer is kept with the change, in the same
//! transaction, and holds ids and versions, never content.

use base::Timestamp;
use ledger::{Act, Activity, ObjectRef};
use serde::{Serialize, de::DeserializeOwned};
use store::{Committed, Scope, Scoped, Tx, delete, insert, select};

use crate::{
    Decided, IDEMPOTENCY_PERIOD, MAX_IDEMPOTENCY_KEY_BYTES, Vault, VaultError,
    reader::{Attempt, Reader},
    vault::{digest, stale},
};

/// What the client sent.
#[derive(Clone, Copy, Debug)]
pub struct IdempotencyKey<'a> {
    /// The key: 1 to 255 visible ASCII characters.
    pub key: &'a str,
    /// Method, path and whatever else decides what the request does, preconditions included.
    pub route: &'a str,
    /// The body.
    pub body: &'a [u8],
}

/// The digests under which an answer is kept.
pub(crate) struct Once {
    digest: [u8; 32],
    fingerprint: [u8; 32],
}

/// An answer that can be kept.
pub(crate) trait Answer: Serialize + DeserializeOwned {
    /// Says that it was given before.
    fn replayed(&mut self);
    /// What it is about, for the event of its replay.
    fn object(&self) -> ObjectRef;
    /// The ids of the records and objects that it names: it goes when one of them is erased.
    fn targets(&self) -> Vec<[u8; 16]>;
}

const KNOWN: Scoped =
    select!(["fingerprint, response"] from "idempotency" where "digest = $2 AND expires_at > $3");
const CLAIM: Scoped = insert!(
    "idempotency" ("digest, fingerprint, response, expires_at") values "$2, $3, $4, $5"
    then "ON CONFLICT (account_id, digest) DO UPDATE SET fingerprint = excluded.fingerprint, response = excluded.response, expires_at = excluded.expires_at WHERE idempotency.expires_at <= $6"
);

const CLAIM_TARGET: Scoped = insert!("idempotency_target" ("digest, target_id") values "$2, $3"
    then "ON CONFLICT (account_id, digest, target_id) DO NOTHING");
const DROP_TARGETS: Scoped = delete!("idempotency_target" where "digest = $2");
const OF_TARGET: Scoped = select!(["digest"] from "idempotency_target" where "target_id = $2");
const DROP_EXPIRED: Scoped = delete!("idempotency" where "digest = $2 AND expires_at <= $3");
const DROP: Scoped = delete!("idempotency" where "digest = $2");

/// Deletes an answer that expired, unless its key was used again meanwhile.
pub(crate) async fn drop_expired(tx: &mut Tx, digest: &[u8], now: Timestamp) -> Result<(), VaultError> {
    if tx.execute(DROP_EXPIRED, &[digest.into(), now.into()]).await? == 1 {
        tx.execute(DROP_TARGETS, &[digest.into()]).await?;
    }
    Ok(())
}

/// Deletes the answers that name a record or an object, with the digests of their requests.
pub(crate) async fn drop_answers_about(tx: &mut Tx, target: &[u8; 16]) -> Result<(), VaultError> {
    for row in tx.rows(OF_TARGET, &[target.into()]).await? {
        tx.execute(DROP, &[row.blob(0)?.into()]).await?;
        tx.execute(DROP_TARGETS, &[row.blob(0)?.into()]).await?;
    }
    Ok(())
}

impl Vault {
    /// Prepares a request's key, if it has one.
    pub(crate) fn once(
        &self,
        scope: &Scope,
        key: Option<IdempotencyKey<'_>>,
    ) -> Result<Option<Once>, VaultError> {
        let Some(IdempotencyKey { key, route, body }) = key else { return Ok(None) };
        let visible = key.bytes().all(|byte| (0x21..=0x7e).contains(&byte));
        if !visible || key.is_empty() || key.len() > MAX_IDEMPOTENCY_KEY_BYTES {
            let reason = "give 1 to 255 visible ASCII characters, such as a UUID";
            return Err(VaultError::field("Idempotency-Key", reason));
        }
        // Keyed: a plain hash of a body would let whoever reads the database guess it.
        let secret = &self.0.secrets.idempotency;
        let account = scope.account();
        let client = scope.actor().to_string();
        Ok(Some(Once {
            digest: digest(secret, &[b"key", account.as_bytes(), client.as_bytes(), key.as_bytes()]),
            fingerprint: digest(secret, &[b"request", account.as_bytes(), route.as_bytes(), body]),
        }))
    }

    /// The answer that was given to this request before, with the event that says so.
    pub(crate) async fn answered<T: Answer>(
        &self,
        scope: &Scope,
        once: Option<&Once>,
        decided: &Decided,
        attempt: Attempt,
    ) -> Result<Option<Committed<T>>, VaultError> {
        let Some(once) = once else { return Ok(None) };
        let values = [(&once.digest).into(), self.context().now().into()];
        let mut reader = self.reader(scope, attempt).await?;
        let Some(row) = reader.row(KNOWN, &values).await? else { return Ok(None) };
        if row.blob(0)? != once.fingerprint {
            return Err(VaultError::KeyReused);
        }
        let mut answer: T = serde_json::from_str(row.text(1)?).map_err(|_| VaultError::Shape("an answer"))?;
        answer.replayed();
        let act = Act::new(Activity::IdempotencyReplay, answer.object().in_account(scope.account()))
            .decided_by(decided.policies.clone());
        let tx = match reader {
            // Perhaps not durable yet: in the same transaction, or the answer could outlive its change.
            Reader::Newest(tx) => tx,
            Reader::Snapshot(read) => {
                drop(read);
                self.store().begin(scope).await?
            }
        };
        Ok(Some(tx.commit(answer, act).await?))
    }

    /// Keeps the answer, inside the transaction of the change. An error that makes the operation
    /// start afresh if the request was answered meanwhile.
    pub(crate) async fn claim<T: Answer>(
        &self,
        tx: &mut Tx,
        once: Option<&Once>,
        answer: &T,
    ) -> Result<(), VaultError> {
        let Some(once) = once else { return Ok(()) };
        let response = serde_json::to_string(answer).map_err(|_| VaultError::Shape("an answer"))?;
        let now = self.context().now();
        let values = [
            (&once.digest).into(),
            (&once.fingerprint).into(),
            (&response).into(),
            now.plus(IDEMPOTENCY_PERIOD).into(),
            now.into(),
        ];
        if tx.execute(CLAIM, &values).await? != 1 {
            return Err(stale());
        }
        // Of an expired answer under the same key.
        tx.execute(DROP_TARGETS, &[(&once.digest).into()]).await?;
        for target in answer.targets() {
            tx.execute(CLAIM_TARGET, &[(&once.digest).into(), (&target).into()]).await?;
        }
        Ok(())
    }
}

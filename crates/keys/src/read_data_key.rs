//! Data keys in use. They are read from the store at each use and never kept, so that a destruction
//! on one server holds on every server at once.

use std::collections::BTreeMap;

use base::{DataKeyId, Timestamp, kinds};
use ledger::{Act, Activity, ObjectRef};
use store::{ReadTx, Row, Scope, Value, select};

use crate::{
    DataKey, KeyError, Keys, Purpose,
    binding::length_prefixed,
    envelope::{self, Label},
    keys::version,
};

/// Keys that one statement reads; a statement has no more than 23 parameters.
const KEYS_AT_ONCE: usize = 16;

const ONE: store::Scoped = select!(["d.id, d.account_key_version, d.wrapped, r.suspended_at"]
    from "data_key d JOIN account_ring r ON r.account_id = d.account_id" on "d" where "d.id = $2");
const SOME: store::Scoped = select!(["d.id, d.account_key_version, d.wrapped, r.suspended_at"]
    from "data_key d JOIN account_ring r ON r.account_id = d.account_id" on "d"
    where "d.id IN ($2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)");

const STATES: store::Scoped = select!(["id, destroyed_at"] from "data_key"
    where "id IN ($2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)");

/// What became of a data key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataKeyState {
    /// It is there.
    Live,
    /// It was destroyed, then.
    Destroyed(Timestamp),
    /// The account has no such key.
    Absent,
}

/// A row of a data key.
struct Wrapped {
    version: u32,
    /// None once it was destroyed.
    bytes: Option<Vec<u8>>,
}

impl Keys {
    /// The data key of that id.
    ///
    /// # Errors
    /// [`KeyError::Destroyed`] once it was destroyed; [`KeyError::NoSuchKey`] if the account has none
    /// of that id, be it another's; [`KeyError::Suspended`].
    pub async fn data_key(
        &self,
        scope: &Scope,
        id: DataKeyId,
        purpose: Purpose,
    ) -> Result<DataKey, KeyError> {
        let mut read = self.store().read(scope).await?;
        let row = read.row(ONE, &[(&id).into()]).await?.ok_or(KeyError::NoSuchKey)?;
        drop(read);
        let (_, wrapped) = parse(&row)?;
        self.unwrap_data_key(scope, id, &wrapped, purpose).await
    }

    /// The data keys of those ids, in their order; none for an id that was destroyed or that the
    /// account does not have.
    ///
    /// # Errors
    /// [`KeyError::Suspended`]; [`KeyError::DoesNotOpen`] if any of them is damaged.
    pub async fn data_keys(
        &self,
        scope: &Scope,
        ids: &[DataKeyId],
        purpose: Purpose,
    ) -> Result<Vec<Option<DataKey>>, KeyError> {
        let mut read = self.store().read(scope).await?;
        let mut found = BTreeMap::new();
        for some in ids.chunks(KEYS_AT_ONCE) {
            read_some(&mut read, some, &mut found).await?;
        }
        drop(read);
        let mut keys = Vec::with_capacity(ids.len());
        for id in ids {
            keys.push(match found.get(id) {
                Some(wrapped @ Wrapped { bytes: Some(_), .. }) => {
                    Some(self.unwrap_data_key(scope, *id, wrapped, purpose).await?)
                }
                _ => None,
            });
        }
        Ok(keys)
    }

    /// What became of the data keys of those ids, in their order. Nothing is unwrapped.
    pub async fn data_key_states(
        &self,
        scope: &Scope,
        ids: &[DataKeyId],
    ) -> Result<Vec<DataKeyState>, KeyError> {
        let mut read = self.store().read(scope).await?;
        let mut found = BTreeMap::new();
        for some in ids.chunks(KEYS_AT_ONCE) {
            let Some(last) = some.last() else { continue };
            for row in read.rows(STATES, &places(some, last)).await? {
                let state = row.opt_time(1)?.map_or(DataKeyState::Live, DataKeyState::Destroyed);
                found.insert(row.id::<kinds::DataKey>(0)?, state);
            }
        }
        Ok(ids.iter().map(|id| found.get(id).copied().unwrap_or(DataKeyState::Absent)).collect())
    }

    async fn unwrap_data_key(
        &self,
        scope: &Scope,
        id: DataKeyId,
        wrapped: &Wrapped,
        purpose: Purpose,
    ) -> Result<DataKey, KeyError> {
        let account = scope.account();
        let bytes = wrapped.bytes.as_ref().ok_or(KeyError::Destroyed)?;
        let key = self.account_key(scope, wrapped.version, purpose).await?;
        let associated = data_key_associated(account, id, wrapped.version);
        let opened = envelope::open_key(&key, Label::DATA_KEY, &associated, bytes);
        if matches!(opened, Err(KeyError::DoesNotOpen)) {
            // A row that was changed, or moved here from another account.
            let object = ObjectRef::new("data_key", id).in_account(account);
            let act = Act::refused(Activity::KeyRefuse, object, "wrapped-key-damaged", Some("CD-8"));
            self.data().record(scope, act).await?;
        }
        self.inner().uses.count(account, purpose, 1);
        Ok(DataKey::new(id, opened?, self.context().clone()))
    }
}

async fn read_some(
    read: &mut ReadTx,
    ids: &[DataKeyId],
    found: &mut BTreeMap<DataKeyId, Wrapped>,
) -> Result<(), KeyError> {
    let Some(last) = ids.last() else { return Ok(()) };
    let rows = if ids.len() == 1 {
        read.rows(ONE, &[last.into()]).await?
    } else {
        read.rows(SOME, &places(ids, last)).await?
    };
    for row in &rows {
        let (id, wrapped) = parse(row)?;
        found.insert(id, wrapped);
    }
    Ok(())
}

/// The statements have a fixed number of places: the last id fills those that are left.
fn places<'a>(ids: &'a [DataKeyId], last: &'a DataKeyId) -> [Value<'a>; KEYS_AT_ONCE] {
    let mut values = [Value::from(last); KEYS_AT_ONCE];
    values.iter_mut().zip(ids).for_each(|(value, id)| *value = id.into());
    values
}

fn parse(row: &Row) -> Result<(DataKeyId, Wrapped), KeyError> {
    if row.opt_int(3)?.is_some() {
        return Err(KeyError::Suspended);
    }
    let bytes = row.opt_blob(2)?.map(<[u8]>::to_vec);
    Ok((row.id::<kinds::DataKey>(0)?, Wrapped { version: version(row.int(1)?)?, bytes }))
}

/// What a wrapped data key is bound to: its account, id, and the account key's version.
pub(crate) fn data_key_associated(account: base::AccountId, id: DataKeyId, version: u32) -> Vec<u8> {
    length_prefixed(b"", &[account.as_bytes(), id.as_bytes(), &version.to_be_bytes()])
}

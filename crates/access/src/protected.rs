//! What the log says of accounts, clients and operators, and what their rows say: for the reconciler, which compares the
//! two. At each use a client's and an operator's row is held against the log besides (`explained.rs`).

use std::str::FromStr;

use aws_lc_rs::hmac;
use base::{AccountId, ClientId, Id, IdKind, OperatorId, Timestamp};
use keys::Keys;
use ledger::{Activity, Commitment, EventView};
use store::{
    Platform, Protected, ReadTx, Row, RowKey, RowPage, RowState, RowsFuture, Said, StoreError, SystemReadTx,
    platform,
};

use crate::{Access, AccessError, jws::framed_mac};

const ACCOUNT: &str = "account";
const CLIENT: &str = "client";
const OPERATOR: &str = "operator";

const SUSPENDED: u8 = 1;
const REVOKED: u8 = 2;

const ACCOUNTS: Platform =
    platform!("SELECT id, name, suspended_at FROM account WHERE id > $1 ORDER BY id LIMIT $2");
const CLIENTS: Platform = platform!(
    "SELECT id, account, name, scopes, clearance, secret_hash, public_key, revoked_at FROM client \
     WHERE id > $1 ORDER BY id LIMIT $2"
);
const OPERATORS: Platform = platform!(
    "SELECT id, name, role, public_key, revoked_at, ends_at, account FROM operator WHERE id > $1 ORDER BY id LIMIT $2"
);

/// Commits to what a row says of an account, a client or an operator: names are of people, and stay out of the log.
pub(crate) struct RowDigest(hmac::Key);

impl RowDigest {
    pub(crate) async fn open(keys: &Keys) -> Result<Self, AccessError> {
        let key = keys.platform_key("access row commitment").await?;
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, key.expose())))
    }

    fn of(&self, kind: &str, parts: &[&[u8]]) -> Commitment {
        Commitment::from_bytes(framed_mac(&self.0, kind, parts))
    }

    pub(crate) fn account(&self, id: AccountId, name: &str) -> Commitment {
        self.of(ACCOUNT, &[id.as_bytes(), name.as_bytes()])
    }

    /// `secret` is the secret's stored hash, `key` the public key: one of them is empty.
    pub(crate) fn client(
        &self,
        (id, account): (ClientId, AccountId),
        (name, scopes, clearance): (&str, &str, Option<&str>),
        (secret, key): (&[u8], &[u8]),
    ) -> Commitment {
        let has_clearance = [u8::from(clearance.is_some())];
        let clearance = clearance.unwrap_or_default().as_bytes();
        let parts: [&[u8]; 8] = [
            id.as_bytes(),
            account.as_bytes(),
            name.as_bytes(),
            scopes.as_bytes(),
            &has_clearance,
            clearance,
            secret,
            key,
        ];
        self.of(CLIENT, &parts)
    }

    /// `key`: empty for who enrolled with a passkey.
    pub(crate) fn operator(
        &self,
        id: OperatorId,
        name: &str,
        (role, ends, account): (&str, Option<Timestamp>, Option<AccountId>),
        key: &[u8],
    ) -> Commitment {
        let end = ends.map(|ends| ends.micros().to_be_bytes());
        let mut parts: Vec<&[u8]> = vec![id.as_bytes(), name.as_bytes(), role.as_bytes(), key];
        // Where access does not end, as it was committed to before there was an end; and so where there is no account. The
        // two differ in length.
        parts.extend(end.as_ref().map(<[u8; 8]>::as_slice));
        parts.extend(account.as_ref().map(|account| account.as_bytes().as_slice()));
        self.of(OPERATOR, &parts)
    }
}

fn key_of<K: IdKind>(kind: &'static str, event: &EventView) -> Option<RowKey> {
    Id::<K>::from_str(&event.object.id).ok().map(|id| RowKey { kind, id: *id.as_bytes(), part: 0 })
}

fn made(event: &EventView, said: &mut Said, at: Option<RowKey>) {
    if let (Some(at), Some(after)) = (at, event.after) {
        said.made(None, at, RowState { content: *after.as_bytes(), ..RowState::default() });
    }
}

fn mark(said: &mut Said, at: Option<RowKey>, bit: u8, set: bool) {
    if let Some(at) = at
        && let Some(row) = said.row(None, &at)
    {
        row.marks = if set { row.marks | bit } else { row.marks & !bit };
    }
}

impl Protected for Access {
    fn of_accounts(&self) -> &'static [&'static str] {
        &[]
    }

    fn of_platform(&self) -> &'static [&'static str] {
        &[ACCOUNT, CLIENT, OPERATOR]
    }

    fn activities(&self) -> &'static [Activity] {
        &[
            Activity::AccountCreate,
            Activity::AccountSuspend,
            Activity::AccountResume,
            Activity::ClientCreate,
            Activity::ClientRevoke,
            Activity::OperatorEnrol,
            Activity::OperatorRevoke,
        ]
    }

    fn take(&self, event: &EventView, said: &mut Said) {
        let account = || key_of::<base::kinds::Account>(ACCOUNT, event);
        let client = || key_of::<base::kinds::Client>(CLIENT, event);
        let operator = || key_of::<base::kinds::Operator>(OPERATOR, event);
        match Activity::from_name(&event.activity) {
            Some(Activity::AccountCreate) => made(event, said, account()),
            Some(Activity::AccountSuspend) => mark(said, account(), SUSPENDED, true),
            Some(Activity::AccountResume) => mark(said, account(), SUSPENDED, false),
            Some(Activity::ClientCreate) => made(event, said, client()),
            Some(Activity::ClientRevoke) => mark(said, client(), REVOKED, true),
            Some(Activity::OperatorEnrol) => made(event, said, operator()),
            Some(Activity::OperatorRevoke) => mark(said, operator(), REVOKED, true),
            _ => {}
        }
    }

    fn account_rows<'a>(
        &'a self,
        _read: &'a mut ReadTx,
        _kind: &'static str,
        _after: &'a [u8],
        _limit: i64,
    ) -> RowsFuture<'a> {
        Box::pin(async { Ok(RowPage::default()) })
    }

    fn platform_rows<'a>(
        &'a self,
        read: &'a mut SystemReadTx,
        kind: &'static str,
        after: &'a [u8],
        limit: i64,
    ) -> RowsFuture<'a> {
        Box::pin(async move {
            let statement = match kind {
                ACCOUNT => ACCOUNTS,
                CLIENT => CLIENTS,
                _ => OPERATORS,
            };
            let rows = read.rows(statement, &[after.into(), limit.into()]).await?;
            let is_full = rows.len() as i64 >= limit;
            let next =
                rows.last().filter(|_| is_full).map(|row| row.blob(0).map(<[u8]>::to_vec)).transpose()?;
            let rows = rows.iter().map(|row| self.row_state(kind, row)).collect::<Result<_, _>>()?;
            Ok(RowPage { rows, next })
        })
    }

    fn id_text(&self, kind: &'static str, id: [u8; 16]) -> String {
        match kind {
            ACCOUNT => AccountId::from_bytes(id).to_string(),
            CLIENT => ClientId::from_bytes(id).to_string(),
            _ => OperatorId::from_bytes(id).to_string(),
        }
    }
}

impl Access {
    fn row_state(&self, kind: &'static str, row: &Row) -> Result<(RowKey, RowState), StoreError> {
        let digest = &self.0.rows;
        let (content, mark) = match kind {
            ACCOUNT => (
                digest.account(row.id(0)?, row.text(1)?),
                if row.opt_int(2)?.is_some() { SUSPENDED } else { 0 },
            ),
            CLIENT => {
                let says = (row.text(2)?, row.text(3)?, row.opt_text(4)?);
                let proof = (row.opt_blob(5)?.unwrap_or_default(), row.opt_blob(6)?.unwrap_or_default());
                let revoked = if row.opt_int(7)?.is_some() { REVOKED } else { 0 };
                (digest.client((row.id(0)?, row.id(1)?), says, proof), revoked)
            }
            _ => {
                let revoked = if row.opt_int(4)?.is_some() { REVOKED } else { 0 };
                let key = row.opt_blob(3)?.unwrap_or_default();
                let says = (row.text(2)?, row.opt_time(5)?, row.opt_id(6)?);
                (digest.operator(row.id(0)?, row.text(1)?, says, key), revoked)
            }
        };
        let id = row.blob(0)?.try_into().map_err(|_| StoreError::Shape("an id of 16 bytes"))?;
        let state = RowState { content: *content.as_bytes(), marks: mark, ..RowState::default() };
        Ok((RowKey { kind, id, part: 0 }, state))
    }
}

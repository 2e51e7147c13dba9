//! Account keys in use: from memory, or unwrapped by the provider with an event of its own (CD-6).

use std::sync::Arc;

use base::AccountId;
use ledger::{Act, Activity};
use store::{Scope, select};

use crate::{
    IndexKey, KeyError, Keys, ProviderError, Purpose,
    account::{INDEX_SECRET, account_object, secret_associated},
    envelope::{self, Label, RawKey},
    keys::version,
};

const SECRET: store::Scoped = select!(["s.account_key_version, s.wrapped, r.suspended_at"]
    from "account_secret s JOIN account_ring r ON r.account_id = s.account_id" on "s" where "s.name = $2");

impl Keys {
    /// The blind index key of a searchable field.
    ///
    /// # Errors
    /// [`KeyError::NoSuchAccount`], [`KeyError::Suspended`].
    pub async fn index_key(
        &self,
        scope: &Scope,
        repository: base::RepositoryId,
        field: &str,
    ) -> Result<IndexKey, KeyError> {
        let account = scope.account();
        let secret = self.index_secret(scope).await?;
        self.inner().uses.count(account, Purpose::Index, 1);
        IndexKey::derive(&secret, account, repository, field)
    }

    async fn index_secret(&self, scope: &Scope) -> Result<Arc<RawKey>, KeyError> {
        let account = scope.account();
        let cache = &self.inner().index_secrets;
        if let Some(secret) = cache.get(&account, self.context().now()) {
            return Ok(secret);
        }
        let row = self.store().read(scope).await?.row(SECRET, &[INDEX_SECRET.into()]).await?;
        let row = row.ok_or(KeyError::NoSuchAccount)?;
        if row.opt_int(2)?.is_some() {
            return Err(KeyError::Suspended);
        }
        let wrapped_by = version(row.int(0)?)?;
        let key = self.account_key(scope, wrapped_by, Purpose::Index).await?;
        let associated = secret_associated(account, INDEX_SECRET, wrapped_by);
        let opened = envelope::open_key(&key, Label::ACCOUNT_SECRET, &associated, row.blob(1)?);
        if matches!(opened, Err(KeyError::DoesNotOpen)) {
            self.refuse_wrapped(scope, account, wrapped_by).await?;
        }
        Ok(cache.insert(account, opened?, self.context().now()))
    }

    /// A version of the scope's account key, from memory or the provider.
    pub(crate) async fn account_key(
        &self,
        scope: &Scope,
        key_version: u32,
        purpose: Purpose,
    ) -> Result<Arc<RawKey>, KeyError> {
        let account = scope.account();
        let (cache, name) = (&self.inner().account_keys, (account, key_version));
        if let Some(key) = cache.get(&name, self.context().now()) {
            return Ok(key);
        }
        let _loading = cache.loading(&name).await;
        if let Some(key) = cache.get(&name, self.context().now()) {
            return Ok(key);
        }
        // The event first: no unwrap without its record.
        let object = account_object(account, key_version);
        let act =
            Act::new(Activity::KeyUse, object).key(format_args!("{account}/{key_version}"), purpose.as_str());
        self.data().record(scope, act.detail("unwrapped", true)).await?;
        let system = self.system_of(scope, "an account's key is unwrapped for the account's own request");
        let fetched = self.fetch_account_key(&system, account, key_version).await;
        if matches!(fetched, Err(KeyError::Provider(ProviderError::DoesNotOpen(_)) | KeyError::NoSuchAccount))
        {
            self.refuse_wrapped(scope, account, key_version).await?;
        }
        Ok(cache.insert(name, fetched?, self.context().now()))
    }

    /// Writes that a wrapped key did not open: changed, moved here from another account, or lost.
    pub(crate) async fn refuse_wrapped(
        &self,
        scope: &Scope,
        account: AccountId,
        key_version: u32,
    ) -> Result<(), KeyError> {
        let object = account_object(account, key_version);
        let act = Act::refused(Activity::KeyRefuse, object, "wrapped-key-damaged", Some("CD-6"));
        self.data().record(scope, act).await?;
        Ok(())
    }
}

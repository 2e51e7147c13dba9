//! Secrets that Tenet's servers share: signing keys, certificate authority, the root of cursor keys.
//! Made once, wrapped by the provider, the same for every server.

use base::{Context, SecretBytes};
use ledger::{Act, Activity, Interface, ObjectRef};
use store::{SystemScope, platform};

use crate::{
    KeyError, Keys, Purpose, Wrapped,
    binding::length_prefixed,
    envelope::{self, Label},
    keys::version,
};

/// The secret that events are sealed with while they wait for the log.
const SEAL: &str = "event-seal";
/// The secret that [`Keys::platform_key`] derives from.
const ROOT: &str = "platform";

const SECRET: store::Platform =
    platform!("SELECT provider_version, wrapped FROM platform_secret WHERE name = $1");
const ADD: store::Platform = platform!(
    "INSERT INTO platform_secret (name, provider_version, wrapped, created_at) VALUES ($1, $2, $3, $4) \
     ON CONFLICT (name) DO NOTHING"
);

impl Keys {
    /// The platform's secret of that name; made by `make` if there is none yet. Two servers that start
    /// at once get the same one: whoever stores it first.
    pub async fn secret(
        &self,
        name: &'static str,
        make: impl FnOnce(&Context) -> Result<SecretBytes, KeyError>,
    ) -> Result<SecretBytes, KeyError> {
        let system = self.own_system(Interface::Startup, "a secret that servers share is opened")?;
        if let Some(secret) = self.stored_secret(&system, name).await? {
            return Ok(secret);
        }
        let made = make(self.context())?;
        loop {
            self.store_secret(&system, name, &made).await?;
            if let Some(secret) = self.stored_secret(&system, name).await? {
                return Ok(secret);
            }
        }
    }

    /// A key of 32 bytes for a purpose of the platform, such as `cursor`: the same on every server.
    /// Derived from a platform secret with HKDF-SHA-512.
    pub async fn platform_key(&self, label: &str) -> Result<SecretBytes, KeyError> {
        let cache = &self.inner().platform_secrets;
        let name = ROOT.to_owned();
        let root = match cache.get(&name, self.context().now()) {
            Some(root) => root,
            None => {
                let _loading = cache.loading(&name).await;
                match cache.get(&name, self.context().now()) {
                    Some(root) => root,
                    None => {
                        let root = self
                            .secret(ROOT, |context| {
                                Ok(SecretBytes::new(envelope::random_key(context)?.expose().to_vec()))
                            })
                            .await?;
                        cache.insert(name, envelope::raw_key(&root)?, self.context().now())
                    }
                }
            }
        };
        let key = envelope::subkey(&root, Label::PLATFORM, label.as_bytes())?;
        Ok(SecretBytes::new(key.expose().to_vec()))
    }

    /// Seals the events of the data realm, before anything else is recorded there. The use of this one secret is
    /// recorded behind it and not before it: its event needs the seal. It opens nothing but the way to record.
    pub(crate) async fn seal_events(&self, system: &SystemScope) -> Result<(), KeyError> {
        if let Some(wrapped) = self.wrapped_secret(system, SEAL).await? {
            let key = self.unwrap_secret(SEAL, wrapped).await?;
            self.data().seal_events(system, &key).await?;
            self.note_use(system, SEAL).await?;
            return Ok(());
        }
        let key = self
            .secret(SEAL, |context| Ok(SecretBytes::new(envelope::random_key(context)?.expose().to_vec())))
            .await?;
        Ok(self.data().seal_events(system, &key).await?)
    }

    async fn stored_secret(
        &self,
        system: &SystemScope,
        name: &'static str,
    ) -> Result<Option<SecretBytes>, KeyError> {
        let Some(wrapped) = self.wrapped_secret(system, name).await? else { return Ok(None) };
        self.note_use(system, name).await?;
        self.unwrap_secret(name, wrapped).await.map(Some)
    }

    async fn wrapped_secret(
        &self,
        system: &SystemScope,
        name: &'static str,
    ) -> Result<Option<Wrapped>, KeyError> {
        let row = self.store().system_read(system).await?.row(SECRET, &[name.into()]).await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(Wrapped { version: version(row.int(0)?)?, bytes: row.blob(1)?.to_vec() }))
    }

    async fn note_use(&self, system: &SystemScope, name: &'static str) -> Result<(), KeyError> {
        let act = Act::new(Activity::KeyUse, ObjectRef::new("platform_secret", name));
        self.data().record_system(system, act.key(name, Purpose::Platform.as_str())).await?;
        Ok(())
    }

    async fn unwrap_secret(&self, name: &'static str, wrapped: Wrapped) -> Result<SecretBytes, KeyError> {
        self.with_provider(move |provider| provider.unwrap(&secret_purpose(name), &wrapped)).await
    }

    /// One attempt: the caller looks again, and comes back if the provider key was rotated meanwhile.
    async fn store_secret(
        &self,
        system: &SystemScope,
        name: &'static str,
        secret: &SecretBytes,
    ) -> Result<(), KeyError> {
        let act = || Act::new(Activity::KeyCreate, ObjectRef::new("platform_secret", name));
        let recorded = self.intend_system(system, act()).await?;
        let wrapped = self.wrap_by_provider(system, secret_purpose(name), secret.clone()).await?;
        let mut tx = self.store().system(system).await?;
        if !self.count_wraps(&mut tx, wrapped.version, 1).await? {
            drop(tx);
            return self.why_not_counted(system, wrapped.version).await;
        }
        let now = self.context().now();
        let values = [name.into(), wrapped.version.into(), (&wrapped.bytes).into(), now.into()];
        tx.execute(ADD, &values).await?;
        tx.commit_recorded((), &recorded).await?.into_inner();
        self.complete_system(system, act()).await?;
        Ok(())
    }
}

/// What a wrapped platform secret is bound to.
pub(crate) fn secret_purpose(name: &str) -> Vec<u8> {
    length_prefixed(b"tenet platform secret 1\0", &[name.as_bytes()])
}

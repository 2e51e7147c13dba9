//! From where and with which tool somebody acts is personal data. It is sealed under a key of the one
//! who acts, and the log holds a commitment only: destroy the key, and nobody can tell any more.

use std::sync::Arc;

use aws_lc_rs::hmac;
use base::{Actor, SecretBytes, Timestamp};
use ledger::{Act, Activity, Commitment, Interface, ObjectRef, SealedContext};
use store::{SystemScope, platform};

use crate::{
    KeyError, Keys, Purpose, Wrapped,
    binding::length_prefixed,
    envelope::{self, HEADER_BYTES, Label, RawKey, SALT_BYTES},
    keys::version,
};

const SUBJECT_KEY: store::Platform =
    platform!("SELECT provider_version, wrapped FROM subject_key WHERE subject = $1");
const ADD: store::Platform = platform!(
    "INSERT INTO subject_key (subject, provider_version, wrapped, created_at) VALUES ($1, $2, $3, $4) \
     ON CONFLICT (subject) DO NOTHING"
);
// Names of days are in order of the days.
const ANONYMOUS: store::Platform = platform!(
    "SELECT subject FROM subject_key WHERE subject >= 'anonymous ' AND subject < $1 ORDER BY subject LIMIT 16"
);
const DESTROY: store::Platform = platform!("DELETE FROM subject_key WHERE subject = $1");

/// Whose key seals where somebody acts from: an actor's own, or for those who are nobody established,
/// one for each day (UTC).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Subject(String);

impl Subject {
    /// The subject of an act at that instant.
    pub fn of(actor: Actor, at: Timestamp) -> Self {
        match actor {
            Actor::Anonymous => {
                let day: String = at.to_string().chars().take_while(|letter| *letter != 'T').collect();
                Self(format!("anonymous {day}"))
            }
            known => Self(known.to_string()),
        }
    }

    /// Its name, as stored and shown.
    pub fn name(&self) -> &str {
        &self.0
    }

    fn associated(&self) -> Vec<u8> {
        length_prefixed(b"tenet context 1\0", &[self.0.as_bytes()])
    }

    fn object(&self) -> ObjectRef {
        ObjectRef::new("subject_key", &self.0)
    }
}

/// What a wrapped subject key is bound to.
pub(crate) fn subject_purpose(subject: &str) -> Vec<u8> {
    length_prefixed(b"tenet subject key 1\0", &[subject.as_bytes()])
}

impl Keys {
    /// Seals from where and with which tool an actor acts, under the actor's own key, with a salted
    /// commitment for the event's leaf.
    pub async fn seal_context(&self, actor: Actor, plaintext: &[u8]) -> Result<SealedContext, KeyError> {
        let subject = Subject::of(actor, self.context().now());
        let key = self.subject_key(&subject).await?;
        let bytes = envelope::seal(self.context(), &key, Label::SUBJECT, &subject.associated(), plaintext)?;
        let commitment = commitment(&key, &bytes, plaintext)?;
        Ok(SealedContext { commitment, bytes })
    }

    /// Opens what [`Keys::seal_context`] sealed at that instant, for who answers for the log. An event
    /// says so before it is opened.
    ///
    /// # Errors
    /// [`KeyError::Destroyed`] if the subject's key is gone; [`KeyError::DoesNotOpen`] if it was
    /// changed, or is not what the leaf commits to.
    pub async fn open_context(
        &self,
        system: &SystemScope,
        subject: &Subject,
        sealed: &SealedContext,
    ) -> Result<SecretBytes, KeyError> {
        let act = Act::new(Activity::KeyUse, subject.object()).key(subject.name(), Purpose::Context.as_str());
        self.data().record_system(system, act).await?;
        let key = self.stored_subject_key(system, subject).await?.ok_or(KeyError::Destroyed)?;
        let opened = envelope::open(&key, Label::SUBJECT, &subject.associated(), &sealed.bytes)?;
        let expected = commitment(&key, &sealed.bytes, opened.expose())?;
        if !base::constant_time_eq(expected.as_bytes(), sealed.commitment.as_bytes()) {
            return Err(KeyError::DoesNotOpen);
        }
        Ok(opened)
    }

    /// Destroys a subject's key: where the subject acted from can't be read any more. Other servers
    /// may seal under it for as long as it stays in their memory ([`crate::Limits::cache_time`]), and
    /// that can't be read either. Whether there was one. Idempotent.
    pub async fn destroy_subject(&self, system: &SystemScope, subject: &Subject) -> Result<bool, KeyError> {
        let act = || Act::new(Activity::KeyDestroy, subject.object());
        let recorded = self.intend_system(system, act()).await?;
        let mut tx = self.store().system(system).await?;
        let destroyed = tx.execute(DESTROY, &[subject.name().into()]).await?;
        tx.commit_recorded((), &recorded).await?.into_inner();
        self.inner().subject_keys.sweep(self.context().now(), |name| name != subject.name());
        self.store().fold().await?;
        self.complete_system(system, act()).await?;
        Ok(destroyed == 1)
    }

    /// Destroys the keys of days that are over for longer than [`crate::Limits::anonymous_time`], some at
    /// a time: from where nobody established acted then can't be read any more. Each is an event. A crash
    /// between two leaves the rest for the next time. How many.
    pub(crate) async fn expire_anonymous(&self) -> Result<usize, KeyError> {
        let system = self.own_system(Interface::Job, "keys of days long over are destroyed")?;
        let oldest = Subject::of(Actor::Anonymous, self.context().now().minus(self.limits().anonymous_time));
        let rows = self.store().system_read(&system).await?.rows(ANONYMOUS, &[oldest.name().into()]).await?;
        let mut expired = 0;
        for row in &rows {
            let subject = Subject(row.text(0)?.to_owned());
            // A database that sorts otherwise than by bytes must not make others' keys end.
            if subject.0.starts_with("anonymous ") && subject.0 < oldest.0 {
                self.destroy_subject(&system, &subject).await?;
                expired += 1;
            }
        }
        Ok(expired)
    }

    async fn subject_key(&self, subject: &Subject) -> Result<Arc<RawKey>, KeyError> {
        let cache = &self.inner().subject_keys;
        if let Some(key) = cache.get(&subject.0, self.context().now()) {
            return Ok(key);
        }
        let _loading = cache.loading(&subject.0).await;
        if let Some(key) = cache.get(&subject.0, self.context().now()) {
            return Ok(key);
        }
        let system = self.own_system(Interface::Api, "a subject's key seals where a request comes from")?;
        let key = loop {
            if let Some(key) = self.stored_subject_key(&system, subject).await? {
                break key;
            }
            self.make_subject_key(&system, subject).await?;
        };
        Ok(cache.insert(subject.0.clone(), key, self.context().now()))
    }

    async fn stored_subject_key(
        &self,
        system: &SystemScope,
        subject: &Subject,
    ) -> Result<Option<RawKey>, KeyError> {
        let row = self.store().system_read(system).await?.row(SUBJECT_KEY, &[subject.name().into()]).await?;
        let Some(row) = row else { return Ok(None) };
        let wrapped = Wrapped { version: version(row.int(0)?)?, bytes: row.blob(1)?.to_vec() };
        let purpose = subject_purpose(subject.name());
        let opened = self.with_provider(move |provider| provider.unwrap(&purpose, &wrapped)).await?;
        envelope::raw_key(&opened).map(Some)
    }

    /// Makes the subject's key durable, unless another server was faster. One attempt: the caller looks
    /// again, and comes back if the provider key was rotated meanwhile.
    async fn make_subject_key(&self, system: &SystemScope, subject: &Subject) -> Result<(), KeyError> {
        let act = || Act::new(Activity::KeyCreate, subject.object());
        let recorded = self.intend_system(system, act()).await?;
        let secret = SecretBytes::new(envelope::random_key(self.context())?.expose().to_vec());
        let wrapped = self.wrap_by_provider(system, subject_purpose(subject.name()), secret).await?;
        let mut tx = self.store().system(system).await?;
        if !self.count_wraps(&mut tx, wrapped.version, 1).await? {
            drop(tx);
            return self.why_not_counted(system, wrapped.version).await;
        }
        let now = self.context().now();
        let values = [subject.name().into(), wrapped.version.into(), (&wrapped.bytes).into(), now.into()];
        tx.execute(ADD, &values).await?;
        tx.commit_recorded((), &recorded).await?.into_inner();
        self.complete_system(system, act()).await?;
        Ok(())
    }
}

/// HMAC-SHA-256 of the plaintext, under a key derived from the subject's and the message's salt: equal
/// contexts do not look alike in the log.
fn commitment(key: &RawKey, sealed: &[u8], plaintext: &[u8]) -> Result<Commitment, KeyError> {
    let header = sealed.get(..HEADER_BYTES).ok_or(KeyError::DoesNotOpen)?;
    let salt = header.get(1..=SALT_BYTES).ok_or(KeyError::DoesNotOpen)?;
    let derived = envelope::subkey(key, Label::SUBJECT_COMMIT, salt)?;
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, derived.expose()), plaintext);
    let digest = tag.as_ref().try_into().map_err(|_| KeyError::Crypto)?;
    Ok(Commitment::from_bytes(digest))
}

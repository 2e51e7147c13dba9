//! Challenges and codes of the console: sealed by a key that all servers share, so that handing one out stores nothing and any
//! server takes it back. Each is for one purpose, for minutes, and is spent once.

use aws_lc_rs::hmac;
use base::{Duration, OperatorId, Timestamp};
use keys::Keys;
use ledger::{Act, Activity};
use store::{SystemTx, platform};

use crate::{
    Access, AccessError,
    jws::{decode, encode, framed_mac, sha256},
};

/// How long a challenge of a ceremony may be answered.
pub const CHALLENGE_LIFE: Duration = Duration::from_seconds(5 * 60);
/// How long a form may take that somebody fills in by hand.
const FORM_LIFE: Duration = Duration::from_seconds(15 * 60);
/// How long a code that opens the console works.
pub const CODE_LIFE: Duration = Duration::from_seconds(2 * 60);

/// What a challenge is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Purpose {
    /// Signing in with a passkey, by anybody.
    SignIn = 1,
    /// Adding a passkey, by that operator.
    Add = 2,
    /// Becoming an operator.
    Enrol = 3,
    /// Proving once more who one is, by that operator.
    Prove = 4,
    /// Opening the console from the command line, by that operator.
    Code = 5,
    /// Setting a password with an authenticator app, by that operator.
    Password = 6,
    /// Signing in at the company's provider of identities, by anybody.
    ProviderSignIn = 7,
    /// Adding who one is there, by that operator.
    ProviderAdd = 8,
    /// Becoming an operator as who one is there.
    ProviderEnrol = 9,
    /// Proving there once more who one is, by that operator.
    ProviderProve = 10,
}

impl Purpose {
    const fn life(self) -> Duration {
        match self {
            Self::Code => CODE_LIFE,
            // People scan a picture, and look for their telephone.
            Self::Enrol | Self::Password => FORM_LIFE,
            _ => CHALLENGE_LIFE,
        }
    }
}

/// Purpose, end, whom it is for, random bytes, seal.
const BODY_BYTES: usize = 1 + 8 + 16 + 16;
const SEAL_BYTES: usize = 32;

/// A challenge that came back: ours, for this purpose, in time. It still has to be spent.
#[derive(Clone, Debug)]
pub(crate) struct Challenge {
    /// Whom it is for: zeros for anybody.
    pub(crate) operator: OperatorId,
    /// When it was handed out.
    pub(crate) made: Timestamp,
    expires: Timestamp,
    replay: [u8; 32],
}

/// Seals what the console hands out and what it stores.
pub(crate) struct Seals(hmac::Key);

impl Seals {
    pub(crate) async fn open(keys: &Keys) -> Result<Self, AccessError> {
        let key = keys.platform_key("console seals").await?;
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, key.expose())))
    }

    /// Of parts, each with its length.
    pub(crate) fn seal(&self, kind: &str, parts: &[&[u8]]) -> [u8; SEAL_BYTES] {
        framed_mac(&self.0, kind, parts)
    }
}

impl Access {
    /// A challenge, and until when it may be answered. `operator`: whom it is for, if that is known.
    pub fn challenge(
        &self,
        purpose: Purpose,
        operator: Option<OperatorId>,
    ) -> Result<(String, Timestamp), AccessError> {
        let expires = self.0.context.now() + purpose.life();
        let operator = operator.unwrap_or(OperatorId::from_bytes([0; 16]));
        let random = self.0.context.random::<16>()?;
        let mut bytes = vec![purpose as u8];
        bytes.extend_from_slice(&expires.micros().to_be_bytes());
        bytes.extend_from_slice(operator.as_bytes());
        bytes.extend_from_slice(&random);
        let seal = self.0.seals.seal("challenge", &[&bytes]);
        bytes.extend_from_slice(&seal);
        Ok((encode(bytes), expires))
    }

    /// A challenge that came back, if it is ours, for this purpose, and has not ended.
    pub(crate) fn challenged(&self, purpose: Purpose, text: &str) -> Option<Challenge> {
        let bytes = decode(text).filter(|bytes| bytes.len() == BODY_BYTES + SEAL_BYTES)?;
        let (body, seal) = bytes.split_at_checked(BODY_BYTES)?;
        if !base::constant_time_eq(seal, &self.0.seals.seal("challenge", &[body])) {
            return None;
        }
        let (kind, rest) = body.split_first()?;
        let (expires, rest) = rest.split_first_chunk::<8>()?;
        let (operator, _) = rest.split_first_chunk::<16>()?;
        let expires = Timestamp::from_micros(i64::from_be_bytes(*expires));
        let good = *kind == purpose as u8 && self.0.context.now() < expires;
        let operator = OperatorId::from_bytes(*operator);
        let made = Timestamp::from_micros(expires.micros().saturating_sub(purpose.life().micros()));
        good.then(|| Challenge { operator, made, expires, replay: sha256(body) })
    }
}

impl Challenge {
    /// What is its own: unknown to nobody who has it.
    pub(crate) const fn mark(&self) -> &[u8; 32] {
        &self.replay
    }

    /// Spends it, in the transaction of what it is for: no if it was spent before.
    pub(crate) async fn spend(&self, tx: &mut SystemTx, now: Timestamp) -> Result<bool, AccessError> {
        let spend = platform!(
            "INSERT INTO assertion_use (id, expires_at) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING"
        );
        if tx.execute(spend, &[(&self.replay).into(), self.expires.into()]).await? == 0 {
            return Ok(false);
        }
        tx.enqueue(crate::sweep::job(now)).await?;
        Ok(true)
    }
}

/// A step of a session, as an event.
pub(crate) fn act(activity: Activity, session: base::SessionId) -> Act {
    Act::new(activity, ledger::ObjectRef::new("session", session))
}

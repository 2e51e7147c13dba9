//! Passkeys: WebAuthn credentials of operators. One counts as long as the log says that it was added and not that it was
//! removed, with just this key: who writes to the database gives nobody a passkey.

use base::{Actor, OperatorId, PasskeyId, Timestamp};
use ledger::{Act, Activity, ObjectRef};
use store::{Committed, Row, StoreError, SystemTx, platform};

use crate::{
    Access, AccessError, Action, Principal, Resource,
    account::check_name,
    challenge::{Challenge, Purpose},
    jws::{decode, sha256},
    operator::hold,
    origin::Call,
    session::{Method, OpenedSession, Session},
    ways::{Proven, Removal, Spends, Unproven, Way},
    webauthn::{self, Created, MAX_PART_BYTES, WebauthnFault},
};

/// Most passkeys that an operator has.
pub const MAX_PASSKEYS: i64 = 10;

/// A passkey, as its own operator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passkey {
    /// Its id.
    pub id: PasskeyId,
    /// What its operator calls it.
    pub name: String,
    /// When it was added.
    pub added: Timestamp,
}

/// The answer to `navigator.credentials.create`: parts in base64url.
#[derive(Clone, Debug)]
pub struct Registration {
    /// The challenge that was handed out.
    pub challenge: String,
    /// `response.clientDataJSON`.
    pub client_data: String,
    /// `response.attestationObject`.
    pub attestation: String,
}

/// The answer to `navigator.credentials.get`: parts in base64url.
#[derive(Clone, Debug)]
pub struct PasskeyAnswer {
    /// The challenge that was handed out.
    pub challenge: String,
    /// `rawId`.
    pub credential: String,
    /// `response.clientDataJSON`.
    pub client_data: String,
    /// `response.authenticatorData`.
    pub authenticator_data: String,
    /// `response.signature`.
    pub signature: String,
    /// `response.userHandle`: the operator that the authenticator has the credential for.
    pub user_handle: String,
}

/// A passkey as it is stored.
struct Stored {
    id: PasskeyId,
    operator: OperatorId,
    key: Vec<u8>,
    count: u32,
}

impl Registration {
    /// Checks it: what was created, and the challenge to spend.
    pub(crate) fn check(
        &self,
        access: &Access,
        purpose: Purpose,
    ) -> Result<(Created, Challenge), WebauthnFault> {
        let challenge = access.challenged(purpose, &self.challenge).ok_or(WebauthnFault::Challenge)?;
        let (client_data, attestation) = (part(&self.client_data)?, part(&self.attestation)?);
        let addresses = &access.0.config.addresses;
        let created = webauthn::created(&client_data, &attestation, &self.challenge, addresses)?;
        Ok((created, challenge))
    }
}

fn part(text: &str) -> Result<Vec<u8>, WebauthnFault> {
    let bounded = (text.len() <= MAX_PART_BYTES * 4 / 3 + 4).then_some(text);
    bounded.and_then(decode).ok_or(WebauthnFault::Malformed)
}

/// What an event says of a public key.
pub(crate) fn thumbprint(key: &[u8]) -> String {
    sha256(key).iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Access {
    /// The name that passkeys are bound to at that address; none where there can be none.
    pub fn passkey_party<'a>(&self, address: &'a str) -> Option<&'a str> {
        let is_ours = self.0.config.addresses.iter().any(|one| one == address);
        webauthn::party_of(address).filter(|_| is_ours)
    }

    /// The first address of this server at which there can be passkeys.
    pub fn passkey_address(&self) -> Option<String> {
        self.0.config.addresses.iter().find(|address| webauthn::party_of(address).is_some()).cloned()
    }

    /// Adds a passkey to the caller's own.
    pub async fn passkey_add(
        &self,
        by: &Principal,
        name: &str,
        registration: &Registration,
    ) -> Result<Committed<Passkey>, AccessError> {
        let (scope, operator, decision) =
            self.by_oneself(by, Action::PasskeyManage, &Resource::new()).await?;
        let scope = &scope;
        let id = PasskeyId::new(&self.0.context)?;
        let object = || ObjectRef::new("passkey", id);
        let checked = match check_name(name) {
            Ok(_) => registration.check(self, Purpose::Add).map_err(Refusal::Answer),
            Err(error) => Err(Refusal::Name(error)),
        };
        let checked = checked.and_then(|(created, challenge)| {
            let own = challenge.operator == operator;
            if own { Ok((created, challenge)) } else { Err(Refusal::Answer(WebauthnFault::Challenge)) }
        });
        let (created, challenge) = match checked {
            Ok(checked) => checked,
            Err(refusal) => {
                let act = Act::refused(Activity::PasskeyAdd, object(), refusal.reason(), None);
                self.0.store.record_system(scope, act).await?;
                return Err(refusal.into());
            }
        };
        let mut tx = self.0.store.system(scope).await?;
        if !hold(&mut tx, operator.as_bytes(), scope.now()).await?
            || !challenge.spend(&mut tx, scope.now()).await?
        {
            tx.refuse(Act::refused(Activity::PasskeyAdd, object(), "challenge-spent", None)).await?;
            return Err(AccessError::PasskeyInvalid);
        }
        let act = match self.add_passkey(&mut tx, (id, operator), name, &created, scope.now()).await {
            Ok(act) => act.decided_by(decision.policies()),
            Err(error) => {
                let reason = base::Fault::code(&error);
                tx.refuse(Act::refused(Activity::PasskeyAdd, object(), reason, None)).await?;
                return Err(error);
            }
        };
        let passkey = Passkey { id, name: name.to_owned(), added: scope.now() };
        Ok(tx.commit(passkey, act).await?)
    }

    pub(crate) async fn add_passkey(
        &self,
        tx: &mut SystemTx,
        (id, operator): (PasskeyId, OperatorId),
        name: &str,
        created: &Created,
        now: Timestamp,
    ) -> Result<Act, AccessError> {
        let count = platform!("SELECT COUNT(*) FROM passkey WHERE operator = $1 AND removed_at IS NULL");
        let row = tx.row(count, &[(&operator).into()]).await?;
        if row.ok_or(AccessError::Internal("a count has no row"))?.int(0)? >= MAX_PASSKEYS {
            let reason = "you have 10 passkeys, the most there may be: remove one first";
            return Err(AccessError::Invalid { field: "passkey", reason });
        }
        let add = platform!(
            "INSERT INTO passkey (id, operator, name, credential, public_key, sign_count, added_at, removed_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, NULL)"
        );
        let values = [
            (&id).into(),
            (&operator).into(),
            name.into(),
            created.credential.as_slice().into(),
            created.key.as_slice().into(),
            i64::from(created.count).into(),
            now.into(),
        ];
        match tx.execute(add, &values).await {
            Ok(_) => {}
            Err(StoreError::Exists) => return Err(AccessError::KeyTaken),
            Err(error) => return Err(error.into()),
        }
        Ok(Act::new(Activity::PasskeyAdd, ObjectRef::new("passkey", id))
            .detail("operator", operator)
            .detail("key", thumbprint(&created.key)))
    }

    /// The caller's own passkeys, in the order in which they were added.
    pub async fn passkeys(&self, by: &Principal) -> Result<Vec<Passkey>, AccessError> {
        let (scope, operator, _) = self.by_oneself(by, Action::SessionOpen, &Resource::new()).await?;
        let list = platform!(
            "SELECT id, name, added_at FROM passkey WHERE operator = $1 AND removed_at IS NULL ORDER BY added_at, id"
        );
        let mut read = self.0.store.system_read(&scope).await?;
        let rows = read.rows(list, &[(&operator).into()]).await?;
        let passkey = |row: &Row| -> Result<Passkey, StoreError> {
            Ok(Passkey { id: row.id(0)?, name: row.text(1)?.to_owned(), added: row.time(2)? })
        };
        Ok(rows.iter().map(passkey).collect::<Result<_, _>>()?)
    }

    /// Removes one of the caller's own passkeys, and ends the caller's other sessions: who had it may be in one.
    pub async fn passkey_remove(
        &self,
        by: &Principal,
        session: &Session,
        id: PasskeyId,
    ) -> Result<Committed<()>, AccessError> {
        let statement = platform!(
            "UPDATE passkey SET removed_at = $3 WHERE id = $1 AND operator = $2 AND removed_at IS NULL"
        );
        let removal = Removal {
            action: Action::PasskeyManage,
            activity: Activity::PasskeyRemove,
            kind: "passkey",
            id: *id.as_bytes(),
            name: id.to_string(),
            statement,
        };
        self.remove_way((by, session), removal).await
    }

    /// Opens a session by a passkey.
    pub async fn session_by_passkey(
        &self,
        answer: &PasskeyAnswer,
        call: &Call,
    ) -> Result<Committed<OpenedSession>, AccessError> {
        let now = self.0.context.now();
        let proof = self.passkey_proof(answer, Purpose::SignIn).await?;
        self.open_session(Method::Passkey, proof, call, now).await
    }

    /// Proves once more who one is, in a session of one's own: what is dangerous waits for that (MS-7).
    pub async fn session_prove(
        &self,
        by: &Principal,
        session: &Session,
        answer: &PasskeyAnswer,
        call: &Call,
    ) -> Result<Committed<()>, AccessError> {
        let proof = self.passkey_proof(answer, Purpose::Prove).await?;
        self.refresh_session((by, session), Method::Passkey, proof, call).await
    }

    /// Whose passkey answered.
    async fn passkey_proof(
        &self,
        answer: &PasskeyAnswer,
        purpose: Purpose,
    ) -> Result<Result<Proven, Unproven>, AccessError> {
        let anonymous = |fault: WebauthnFault| Ok(Err((Actor::Anonymous, fault.reason())));
        let Some(challenge) = self.challenged(purpose, &answer.challenge) else {
            return anonymous(WebauthnFault::Challenge);
        };
        let parts = [&answer.credential, &answer.client_data, &answer.authenticator_data, &answer.signature];
        let [Ok(credential), Ok(client), Ok(data), Ok(signature)] = parts.map(|text| part(text)) else {
            return anonymous(WebauthnFault::Malformed);
        };
        let Some(stored) = self.stored_passkey(&credential).await? else {
            return Ok(Err((Actor::Anonymous, "passkey-unknown")));
        };
        let operator = stored.operator;
        let subject = Actor::Operator(operator);
        // Level 3, 7.2, step 6: nobody was named, so the authenticator names its user.
        if decode(&answer.user_handle).is_none_or(|handle| handle != operator.as_bytes()) {
            return Ok(Err((subject, "passkey-user")));
        }
        let known = (stored.key.as_slice(), stored.count);
        let parts = (client.as_slice(), data.as_slice(), signature.as_slice());
        let count = match webauthn::asserted(parts, &answer.challenge, &self.0.config.addresses, known) {
            Ok(count) => count,
            Err(fault) => return Ok(Err((subject, fault.reason()))),
        };
        let way = Way {
            object: ObjectRef::new("passkey", stored.id),
            operator,
            key: &thumbprint(&stored.key),
            added: Activity::PasskeyAdd,
            removed: Activity::PasskeyRemove,
        };
        if !self.is_explained_way(way).await? {
            return Ok(Err((subject, "passkey-unexplained")));
        }
        let spends = Spends::Passkey(challenge, stored.id, count);
        Ok(Ok(Proven { operator, method: Method::Passkey, spends }))
    }

    async fn stored_passkey(&self, credential: &[u8]) -> Result<Option<Stored>, AccessError> {
        let statement = platform!(
            "SELECT id, operator, public_key, sign_count FROM passkey WHERE credential = $1 AND removed_at IS NULL"
        );
        let mut read = self.0.store.system_read(&self.0.reader).await?;
        let Some(row) = read.row(statement, &[credential.into()]).await? else { return Ok(None) };
        let count = u32::try_from(row.int(3)?).map_err(|_| StoreError::Shape("a counter"))?;
        Ok(Some(Stored { id: row.id(0)?, operator: row.id(1)?, key: row.blob(2)?.to_vec(), count }))
    }
}

/// Why a passkey is not added.
enum Refusal {
    Name(AccessError),
    Answer(WebauthnFault),
}

impl Refusal {
    fn reason(&self) -> &'static str {
        match self {
            Self::Name(error) => base::Fault::code(error),
            Self::Answer(fault) => fault.reason(),
        }
    }
}

impl From<Refusal> for AccessError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Name(error) => error,
            Refusal::Answer(_) => Self::PasskeyInvalid,
        }
    }
}

//! Passkeys: WebAuthn credentials of operators. One counts as long as the log says that it was added and not that it was
//! removed, with just this key: who writes to the database gives nobody a passkey.

use base::{Actor, OperatorId, PasskeyId, Timestamp};
use ledger::{Act, Activity, EventQuery, ObjectRef};
use store::{Committed, Row, StoreError, SystemTx, platform};

use crate::{
    Access, AccessError, Action, Principal, Resource,
    account::check_name,
    challenge::{Challenge, Purpose, act},
    explained::succeeded,
    jws::{decode, sha256},
    operator::{hold, refuse_revoked},
    origin::Call,
    refuse::Failure,
    session::{Method, OpenedSession, Session},
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
        let resource = Resource::new().id(id);
        let (scope, operator, decision) = self.by_oneself(by, Action::PasskeyManage, &resource).await?;
        let scope = &scope;
        let object = || ObjectRef::new("passkey", id);
        let mut tx = self.0.store.system(scope).await?;
        // Two removals wait for each other here: the second sees what the first left.
        if !hold(&mut tx, operator.as_bytes(), scope.now()).await? {
            return Err(refuse_revoked(tx, Activity::PasskeyRemove, object()).await);
        }
        let remove = platform!(
            "UPDATE passkey SET removed_at = $3 WHERE id = $1 AND operator = $2 AND removed_at IS NULL"
        );
        let values = [(&id).into(), (&operator).into(), scope.now().into()];
        if tx.execute(remove, &values).await? == 0 {
            tx.refuse(Act::refused(Activity::PasskeyRemove, object(), "not-found", None)).await?;
            return Err(AccessError::NotFound("passkey"));
        }
        if self.is_last_way_in(&mut tx, operator).await? {
            tx.refuse(Act::refused(Activity::PasskeyRemove, object(), "last-way-in", None)).await?;
            let reason = "it is your only way to sign in: add another passkey first";
            return Err(AccessError::Invalid { field: "passkey", reason });
        }
        let end = platform!(
            "UPDATE console_session SET ended_at = $3 WHERE operator = $1 AND id <> $2 AND ended_at IS NULL"
        );
        let ended = tx.execute(end, &[(&operator).into(), (&session.id).into(), scope.now().into()]).await?;
        let act = Act::new(Activity::PasskeyRemove, object())
            .decided_by(decision.policies())
            .detail("sessions-ended", ended);
        Ok(tx.commit((), act).await?)
    }

    /// Whether nothing is left to sign in with: no passkey, and no key of the command line.
    async fn is_last_way_in(&self, tx: &mut SystemTx, operator: OperatorId) -> Result<bool, AccessError> {
        let left = platform!(
            "SELECT COUNT(*) FROM operator o WHERE o.id = $1 AND (o.public_key IS NOT NULL OR EXISTS \
             (SELECT 1 FROM passkey p WHERE p.operator = o.id AND p.removed_at IS NULL))"
        );
        let row = tx.row(left, &[(&operator).into()]).await?;
        Ok(row.ok_or(AccessError::Internal("a count has no row"))?.int(0)? == 0)
    }

    /// Opens a session by a passkey.
    pub async fn session_by_passkey(
        &self,
        answer: &PasskeyAnswer,
        call: &Call,
    ) -> Result<Committed<OpenedSession>, AccessError> {
        let now = self.0.context.now();
        let refused = |subject, reason| Failure { subject, account: None, reason, call, now };
        let (stored, count, challenge) = match self.proof(answer, Purpose::SignIn).await? {
            Ok(proof) => proof,
            Err((subject, reason)) => {
                return Err(self.fail(refused(subject, reason), AccessError::PasskeyInvalid).await);
            }
        };
        let operator = stored.operator;
        let subject = Actor::Operator(operator);
        let Some(new) = self.session_for(operator, Method::Passkey, now).await? else {
            return Err(self.fail(refused(subject, "operator-unknown"), AccessError::PasskeyInvalid).await);
        };
        let origin = self.origin(subject, new.role.account(), call).await?;
        let scope = self.0.mint.system(origin, now, "a person opens the console");
        let mut tx = self.0.store.system(&scope).await?;
        if !self.take_challenge(&mut tx, &challenge, operator, now).await?
            || !counted(&mut tx, &stored, count).await?
        {
            drop(tx);
            return Err(self.fail(refused(subject, "passkey-replayed"), AccessError::PasskeyInvalid).await);
        }
        let (opened, acts) = self.add_session(&mut tx, new, now).await?;
        Ok(tx.commit_all(opened, acts).await?)
    }

    /// Proves once more who one is, in a session of one's own: what is dangerous waits for that (MS-7).
    pub async fn session_prove(
        &self,
        by: &Principal,
        session: &Session,
        answer: &PasskeyAnswer,
        call: &Call,
    ) -> Result<Committed<()>, AccessError> {
        let (scope, operator) = &self.oneself(by)?;
        let (now, operator) = (scope.now(), *operator);
        let refused =
            |reason| Failure { subject: Actor::Operator(operator), account: None, reason, call, now };
        let (stored, count, challenge) = match self.proof(answer, Purpose::Prove).await? {
            Ok(proof) if proof.0.operator == operator && proof.2.operator == operator => proof,
            Ok(_) => {
                return Err(self.fail(refused("passkey-of-another"), AccessError::PasskeyInvalid).await);
            }
            Err((_, reason)) => {
                return Err(self.fail(refused(reason), AccessError::PasskeyInvalid).await);
            }
        };
        let mut tx = self.0.store.system(scope).await?;
        if !self.take_challenge(&mut tx, &challenge, operator, now).await?
            || !counted(&mut tx, &stored, count).await?
        {
            drop(tx);
            return Err(self.fail(refused("passkey-replayed"), AccessError::PasskeyInvalid).await);
        }
        self.proved(&mut tx, session, now).await?;
        Ok(tx.commit((), act(Activity::SessionProve, session.id)).await?)
    }

    /// Whose passkey answered, with the counter that came; or whom it was about, and why it is refused.
    async fn proof(
        &self,
        answer: &PasskeyAnswer,
        purpose: Purpose,
    ) -> Result<Result<(Stored, u32, Challenge), (Actor, &'static str)>, AccessError> {
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
        let subject = Actor::Operator(stored.operator);
        // Level 3, 7.2, step 6: nobody was named, so the authenticator names its user.
        if decode(&answer.user_handle).is_none_or(|handle| handle != stored.operator.as_bytes()) {
            return Ok(Err((subject, "passkey-user")));
        }
        let known = (stored.key.as_slice(), stored.count);
        let parts = (client.as_slice(), data.as_slice(), signature.as_slice());
        match webauthn::asserted(parts, &answer.challenge, &self.0.config.addresses, known) {
            Err(fault) => Ok(Err((subject, fault.reason()))),
            Ok(_) if !self.is_explained_passkey(&stored).await? => Ok(Err((subject, "passkey-unexplained"))),
            Ok(count) => Ok(Ok((stored, count, challenge))),
        }
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

    /// Whether the log has that just this key was added, for just this operator, and not that it was removed.
    async fn is_explained_passkey(&self, stored: &Stored) -> Result<bool, AccessError> {
        let about = EventQuery {
            activity: Some("passkey".to_owned()),
            object: Some(stored.id.to_string()),
            ..succeeded()
        };
        let events = self.0.store.recorded(&about).await?;
        let of = |activity: Activity| events.iter().find(|event| event.activity == activity.name());
        let operator = stored.operator.to_string();
        let added = of(Activity::PasskeyAdd).is_some_and(|event| {
            event.text("key") == Some(&thumbprint(&stored.key))
                && event.text("operator") == Some(operator.as_str())
        });
        let is_explained = added && of(Activity::PasskeyRemove).is_none();
        if !is_explained {
            let act = Act::new(Activity::IntegrityViolation, ObjectRef::new("passkey", stored.id))
                .detail("why", "no event explains it as it stands in the database");
            self.0.store.record_system(&self.0.reader, act).await?;
        }
        Ok(is_explained)
    }
}

/// Stores the counter that came: no if another answer came first, or the passkey was removed meanwhile.
async fn counted(tx: &mut SystemTx, stored: &Stored, count: u32) -> Result<bool, AccessError> {
    let statement = platform!(
        "UPDATE passkey SET sign_count = $2 WHERE id = $1 AND removed_at IS NULL AND (sign_count < $2 OR $2 = 0)"
    );
    Ok(tx.execute(statement, &[(&stored.id).into(), i64::from(count).into()]).await? == 1)
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

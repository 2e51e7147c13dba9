//! Becoming an operator: the secret of a link, once, and a public key whose private half never leaves the
//! operator's machine; or in a browser a passkey, a password with an app, or the word of the company's provider of identities.

use base::{Actor, Fault as _, IdentityId, OperatorId, PasskeyId, PasswordId, Secret, Timestamp};
use ledger::{Act, Activity, ObjectRef};
use store::{Committed, StoreError, SystemTx, Value, Witnessing, platform};

use crate::{
    Access, AccessError, Operator, PublicKey, Standing,
    account::{check_name, hold_account},
    authorize::{unwitnessed, weakened},
    challenge::{Challenge, Purpose},
    credential::SecretHash,
    explained::Given,
    identity::{IdentityEnrolment, Person},
    link_create::{self, has_administrator},
    operator::hold,
    origin::Call,
    passkey::Registration,
    password::{self, NewPassword},
    refuse::Failure,
    session::{Method, NewSession, OpenedSession},
    webauthn::Created,
};

/// What somebody who enrols brings.
#[derive(Clone, Debug)]
pub struct Enrolment {
    /// The secret of the link.
    pub secret: Secret<String>,
    /// The public key with which the operator's assertions will be verified.
    pub key: PublicKey,
    /// The operator's name.
    pub name: String,
}

/// What somebody who enrols in a browser brings.
#[derive(Clone, Debug)]
pub struct PasskeyEnrolment {
    /// The secret of the link.
    pub secret: Secret<String>,
    /// The operator's name.
    pub name: String,
    /// The passkey, made for a challenge of [`Purpose::Enrol`].
    pub registration: Registration,
}

/// What somebody who enrols in a browser without a passkey brings.
#[derive(Clone, Debug)]
pub struct PasswordEnrolment {
    /// The secret of the link.
    pub secret: Secret<String>,
    /// The operator's name.
    pub name: String,
    /// The password, for a challenge of [`Purpose::Enrol`].
    pub password: NewPassword,
}

/// What an operator proves itself with from here on.
enum Proof {
    Key(PublicKey),
    Passkey(PasskeyId, Created),
    Password(PasswordId, password::Made),
    Identity(IdentityId, Person),
}

/// Somebody who enrols in a browser.
struct Beginning<'a> {
    link: Usable,
    name: &'a str,
    method: Method,
    challenge: Challenge,
    proof: Proof,
}

/// A link that can be used, and what the log says that it gives.
struct Usable {
    hash: SecretHash,
    creator: Option<Vec<u8>>,
    given: Given,
}

impl Access {
    /// Enrols an operator with the role that the link gives. The link is used up; a failure to
    /// present one counts against the address. Only whoever has one hears what is wrong with the rest.
    pub async fn enrol(&self, enrolment: Enrolment, call: &Call) -> Result<Committed<Operator>, AccessError> {
        let now = self.0.context.now();
        let link = self.link(&enrolment.secret, call, now).await?;
        let operator = OperatorId::new(&self.0.context)?;
        self.may_enrol(operator, &enrolment.name, call, now).await?;
        let (mut tx, made) = self.begin_enrolment(&link, operator, &enrolment.name, call, now).await?;
        let acts = self.add_operator(&mut tx, &link, &made, &Proof::Key(enrolment.key)).await;
        let (tx, acts) = enrolled(tx, operator, acts).await?;
        Ok(tx.commit_all(made, acts).await?)
    }

    /// The same in a browser: the operator has a passkey, and is in a session.
    pub async fn enrol_by_passkey(
        &self,
        enrolment: PasskeyEnrolment,
        call: &Call,
    ) -> Result<Committed<OpenedSession>, AccessError> {
        let now = self.0.context.now();
        let link = self.link(&enrolment.secret, call, now).await?;
        let (created, challenge) = match enrolment.registration.check(self, Purpose::Enrol) {
            Ok(checked) => checked,
            Err(fault) => {
                return Err(self.not_enrolled(fault.reason(), AccessError::PasskeyInvalid, call, now).await);
            }
        };
        let proof = Proof::Passkey(PasskeyId::new(&self.0.context)?, created);
        // The browser gave the passkey to just this one.
        let beginning = Beginning { link, name: &enrolment.name, method: Method::Passkey, challenge, proof };
        self.enrol_into_session(beginning, call, now).await
    }

    /// The same with a password and an authenticator app.
    pub async fn enrol_by_password(
        &self,
        enrolment: PasswordEnrolment,
        call: &Call,
    ) -> Result<Committed<OpenedSession>, AccessError> {
        let now = self.0.context.now();
        let link = self.link(&enrolment.secret, call, now).await?;
        if Method::Password.is_too_weak_from(call.peer.address) {
            let reason = "stronger-sign-in-needed";
            return Err(self.not_enrolled(reason, AccessError::StrongerSignIn, call, now).await);
        }
        let made = self.make_password(Purpose::Enrol, &enrolment.password, &enrolment.name, now).await;
        let made = match made {
            Ok(made) => made,
            Err(error) => return Err(self.not_enrolled(error.code(), error, call, now).await),
        };
        let challenge = made.challenge.clone();
        let proof = Proof::Password(PasswordId::new(&self.0.context)?, made);
        let beginning = Beginning { link, name: &enrolment.name, method: Method::Password, challenge, proof };
        self.enrol_into_session(beginning, call, now).await
    }

    /// The same as somebody whom the company's provider of identities knows.
    pub async fn enrol_by_provider(
        &self,
        enrolment: IdentityEnrolment,
        call: &Call,
    ) -> Result<Committed<OpenedSession>, AccessError> {
        let now = self.0.context.now();
        let link = self.link(&enrolment.secret, call, now).await?;
        if link.given.role.account().is_some() {
            return Err(self.not_enrolled("provider-of-the-company", AccessError::WayOff, call, now).await);
        }
        let person = match self.person_there(enrolment.answer, Purpose::ProviderEnrol, now).await? {
            Ok(person) => person,
            Err(reason) => {
                return Err(self.not_enrolled(reason, AccessError::ProviderInvalid, call, now).await);
            }
        };
        if person.method().is_too_weak_from(call.peer.address) {
            let reason = "stronger-sign-in-needed";
            return Err(self.not_enrolled(reason, AccessError::StrongerSignIn, call, now).await);
        }
        let (challenge, method) = (person.challenge.clone(), person.method());
        let proof = Proof::Identity(IdentityId::new(&self.0.context)?, person);
        let beginning = Beginning { link, name: &enrolment.name, method, challenge, proof };
        self.enrol_into_session(beginning, call, now).await
    }

    /// Whether a link can be used now: before somebody is sent elsewhere with it. A failure counts as one to use it.
    /// A customer's administrator is nobody at the company's provider.
    pub async fn enrolment_open(&self, secret: &Secret<String>, call: &Call) -> Result<(), AccessError> {
        let now = self.0.context.now();
        let link = self.link(secret, call, now).await?;
        if link.given.role.account().is_some() {
            return Err(self.not_enrolled("provider-of-the-company", AccessError::WayOff, call, now).await);
        }
        Ok(())
    }

    async fn not_enrolled(
        &self,
        reason: &'static str,
        error: AccessError,
        call: &Call,
        now: Timestamp,
    ) -> AccessError {
        let act = Act::refused(Activity::OperatorEnrol, ObjectRef::new("operator", "-"), reason, None);
        match self.record_refusal(None, act, call, now).await {
            Ok(()) => error,
            Err(unrecorded) => unrecorded,
        }
    }

    /// Enrols whom a challenge is of, and opens a session.
    async fn enrol_into_session(
        &self,
        Beginning { link, name, method, challenge, proof }: Beginning<'_>,
        call: &Call,
        now: Timestamp,
    ) -> Result<Committed<OpenedSession>, AccessError> {
        let operator = challenge.operator;
        self.may_enrol(operator, name, call, now).await?;
        let (mut tx, made) = self.begin_enrolment(&link, operator, name, call, now).await?;
        if !challenge.spend(&mut tx, now).await? {
            drop(tx);
            let object = ObjectRef::new("operator", operator);
            let act = Act::refused(Activity::OperatorEnrol, object, "challenge-spent", None);
            self.record_refusal(None, act, call, now).await?;
            return Err(method.invalid());
        }
        let acts = self.add_operator(&mut tx, &link, &made, &proof).await;
        let (mut tx, mut acts) = enrolled(tx, operator, acts).await?;
        let new = NewSession { operator, name: made.name, role: made.role, method, access_ends: made.ends };
        let (opened, begun) = self.add_session(&mut tx, new, now).await?;
        acts.extend(begun);
        Ok(tx.commit_all(opened, acts).await?)
    }

    /// The link of that secret, if it can be used and an event made it. Looked at before anything is made for whoever asks:
    /// an attempt without a link leaves its event.
    async fn link(
        &self,
        secret: &Secret<String>,
        call: &Call,
        now: Timestamp,
    ) -> Result<Usable, AccessError> {
        let hash = SecretHash::of(secret);
        let Some(creator) = self.usable(hash, now).await? else {
            return Err(self.no_link(call, now).await);
        };
        match self.link_role(&link_create::object(hash.as_bytes())).await? {
            Some(given) => Ok(Usable { hash, creator, given }),
            None => Err(self.no_link(call, now).await),
        }
    }

    /// Whether anybody enrols now, and by that name.
    async fn may_enrol(
        &self,
        operator: OperatorId,
        name: &str,
        call: &Call,
        now: Timestamp,
    ) -> Result<(), AccessError> {
        let object = || ObjectRef::new("operator", operator);
        let (act, error) = if let Witnessing::Stale { last } = self.0.store.witnessing() {
            (unwitnessed(object()), AccessError::Unwitnessed { last })
        } else if self.is_weakened().await? {
            (weakened(object()), AccessError::Weakened)
        } else if let Err(error) = check_name(name) {
            (Act::refused(Activity::OperatorEnrol, object(), error.code(), None), error)
        } else {
            return Ok(());
        };
        self.record_refusal(None, act, call, now).await?;
        Err(error)
    }

    /// Uses the link up, and says who is made. The operator acts from here on: whoever holds the link is who the operator will be.
    async fn begin_enrolment(
        &self,
        link: &Usable,
        operator: OperatorId,
        name: &str,
        call: &Call,
        now: Timestamp,
    ) -> Result<(SystemTx, Operator), AccessError> {
        let origin = self.origin(Actor::Operator(operator), link.given.role.account(), call).await?;
        let scope = self.0.mint.system(origin, now, "somebody enrols");
        let mut tx = self.0.store.system(&scope).await?;
        let used = use_link(&mut tx, link, operator, now).await?;
        let Some(Given { role, ends }) = used.filter(|used| *used == link.given) else {
            drop(tx);
            return Err(self.no_link(call, now).await);
        };
        Ok((tx, Operator { id: operator, name: name.to_owned(), role, enrolled: now, ends, revoked: None }))
    }

    /// Adds the row, and says what was done.
    async fn add_operator(
        &self,
        tx: &mut SystemTx,
        link: &Usable,
        made: &Operator,
        proof: &Proof,
    ) -> Result<Vec<Act>, AccessError> {
        let statement = platform!(
            "INSERT INTO operator (id, name, role, public_key, enrolled_at, ends_at, account, revoked_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, NULL)"
        );
        let key = match proof {
            Proof::Key(key) => Some(key.as_bytes()),
            Proof::Passkey(..) | Proof::Password(..) | Proof::Identity(..) => None,
        };
        let account = made.role.account();
        let values = [
            (&made.id).into(),
            made.name.as_str().into(),
            made.role.as_str().into(),
            key.map_or(Value::Null, Value::from),
            made.enrolled.into(),
            made.ends.map_or(Value::Null, Value::from),
            account.as_ref().map_or(Value::Null, Value::from),
        ];
        match tx.execute(statement, &values).await {
            Ok(_) => {}
            Err(StoreError::Exists) => return Err(AccessError::KeyTaken),
            Err(error) => return Err(error.into()),
        }
        let says = (made.role.as_str(), made.ends, account);
        let key = key.map_or(&[][..], |key| key.as_slice());
        let object = ObjectRef::new("operator", made.id);
        let object = match account {
            Some(account) => object.in_account(account),
            None => object,
        };
        let act = Act::new(Activity::OperatorEnrol, object)
            .after(self.0.rows.operator(made.id, &made.name, says, key))
            .detail("role", made.role.as_str())
            .detail("link", link_create::object(link.hash.as_bytes()).id());
        let act = match made.ends {
            Some(ends) => act.detail("ends", ends),
            None => act,
        };
        Ok(match proof {
            Proof::Key(key) => vec![act.detail("key", key.thumbprint())],
            Proof::Passkey(id, created) => {
                let added =
                    self.add_passkey(tx, (*id, made.id), "First passkey", created, made.enrolled).await?;
                vec![act, added]
            }
            Proof::Password(id, password) => {
                vec![act, self.add_password(tx, (*id, made.id), password, made.enrolled).await?]
            }
            Proof::Identity(id, person) => {
                vec![act, self.add_identity(tx, (*id, made.id), person, made.enrolled).await?]
            }
        })
    }

    /// Whether there is a link to use, and who made it: none for the link of a first start. Only a look:
    /// [`use_link`] decides.
    async fn usable(&self, hash: SecretHash, now: Timestamp) -> Result<Option<Option<Vec<u8>>>, AccessError> {
        let statement = platform!(
            "SELECT created_by FROM enrolment_link WHERE secret_hash = $1 AND used_at IS NULL AND expires_at > $2 \
             AND (created_by IN (SELECT id FROM operator WHERE revoked_at IS NULL AND (ends_at IS NULL OR ends_at > $2)) \
             OR (created_by IS NULL AND NOT EXISTS (SELECT id FROM operator WHERE role = 'administrator' AND revoked_at IS NULL \
             AND (ends_at IS NULL OR ends_at > $2))))"
        );
        let mut read = self.0.store.system_read(&self.0.reader).await?;
        let Some(row) = read.row(statement, &[hash.as_bytes().into(), now.into()]).await? else {
            return Ok(None);
        };
        Ok(Some(row.opt_blob(0)?.map(<[u8]>::to_vec)))
    }

    async fn no_link(&self, call: &Call, now: Timestamp) -> AccessError {
        let failure = Failure { subject: Actor::Anonymous, account: None, reason: "link-invalid", call, now };
        self.fail(failure, AccessError::LinkInvalid).await
    }
}

/// Uses the link up; what it gives, if it could be used. Two that race for one link are put in order by its row.
/// Whoever made it must still be an operator.
async fn use_link(
    tx: &mut SystemTx,
    link: &Usable,
    operator: OperatorId,
    now: Timestamp,
) -> Result<Option<Given>, AccessError> {
    if let Some(creator) = &link.creator
        && !hold(tx, creator, now).await?
    {
        return Ok(None);
    }
    // Nobody comes into a suspended account, and a suspension waits at its row for whoever is on the way in.
    if let Some(account) = link.given.role.account()
        && !hold_account(tx, account).await?
    {
        return Ok(None);
    }
    let statement = platform!(
        "UPDATE enrolment_link SET used_at = $2, used_by = $3 \
         WHERE secret_hash = $1 AND used_at IS NULL AND expires_at > $2 RETURNING role, created_by, access_ends_at, account"
    );
    let Some(row) = tx.row(statement, &[link.hash.as_bytes().into(), now.into(), (&operator).into()]).await?
    else {
        return Ok(None);
    };
    if row.opt_blob(1)?.is_none() {
        // A first administrator's link: two servers may each have printed one. The first that is used
        // ends the others; they wait for each other at these rows.
        let all = platform!("UPDATE enrolment_link SET created_at = created_at WHERE created_by IS NULL");
        tx.execute(all, &[]).await?;
        if has_administrator(tx, now).await? {
            return Ok(None);
        }
    }
    let (ends, account) = (row.opt_time(2)?, row.opt_id(3)?);
    Ok(Standing::of(row.text(0)?, account).map(|role| Given { role, ends }))
}

/// Goes on with what was done, or undoes it: the link can still be used, with a key of one's own.
async fn enrolled(
    tx: SystemTx,
    operator: OperatorId,
    acts: Result<Vec<Act>, AccessError>,
) -> Result<(SystemTx, Vec<Act>), AccessError> {
    match acts {
        Ok(acts) => Ok((tx, acts)),
        Err(error @ (AccessError::KeyTaken | AccessError::LoginTaken | AccessError::IdentityTaken)) => {
            let object = ObjectRef::new("operator", operator);
            tx.refuse(Act::refused(Activity::OperatorEnrol, object, error.code(), None)).await?;
            Err(error)
        }
        Err(error) => Err(error),
    }
}

//! Becoming an operator: the secret of a link, once, and a public key whose private half never leaves the
//! operator's machine.

use base::{Actor, Fault as _, OperatorId, Secret, Timestamp};
use ledger::{Act, Activity, ObjectRef};
use store::{Committed, StoreError, SystemTx, Witnessing, platform};

use crate::{
    Access, AccessError, Operator, PublicKey, Role,
    account::check_name,
    authorize::{unwitnessed, weakened},
    credential::SecretHash,
    link_create::{self, has_administrator},
    operator::hold,
    origin::Call,
    refuse::Failure,
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

impl Access {
    /// Enrols an operator with the role that the link gives. The link is used up; a failure to
    /// present one counts against the address. Only whoever has one hears what is wrong with the rest.
    pub async fn enrol(&self, enrolment: Enrolment, call: &Call) -> Result<Committed<Operator>, AccessError> {
        let now = self.0.context.now();
        let hash = SecretHash::of(&enrolment.secret);
        // Looked at before anything is made for whoever asks: an attempt without a link leaves its event.
        let Some(creator) = self.usable(hash, now).await? else {
            return Err(self.no_link(call, now).await);
        };
        let Some(explained) = self.link_role(&link_create::object(hash.as_bytes())).await? else {
            return Err(self.no_link(call, now).await);
        };
        let operator = OperatorId::new(&self.0.context)?;
        if let Witnessing::Stale { last } = self.0.store.witnessing() {
            let act = unwitnessed(ObjectRef::new("operator", operator));
            self.record_refusal(None, act, call, now).await?;
            return Err(AccessError::Unwitnessed { last });
        }
        if self.is_weakened().await? {
            self.record_refusal(None, weakened(ObjectRef::new("operator", operator)), call, now).await?;
            return Err(AccessError::Weakened);
        }
        let name = match check_name(&enrolment.name) {
            Ok(name) => name,
            Err(error) => {
                let object = ObjectRef::new("operator", operator);
                let act = Act::refused(Activity::OperatorEnrol, object, error.code(), None);
                self.record_refusal(None, act, call, now).await?;
                return Err(error);
            }
        };
        // The operator acts from here on: whoever holds the link is who the operator will be.
        let origin = self.origin(Actor::Operator(operator), None, call).await?;
        let scope = self.0.mint.system(origin, now, "somebody enrols as an operator");
        let mut tx = self.0.store.system(&scope).await?;
        let role = use_link(&mut tx, hash, creator.as_deref(), operator, now).await?;
        let Some(role) = role.filter(|role| *role == explained) else {
            drop(tx);
            return Err(self.no_link(call, now).await);
        };
        let statement = platform!(
            "INSERT INTO operator (id, name, role, public_key, enrolled_at, revoked_at) \
             VALUES ($1, $2, $3, $4, $5, NULL)"
        );
        let key = enrolment.key;
        let values =
            [(&operator).into(), name.into(), role.as_str().into(), key.as_bytes().into(), now.into()];
        let object = ObjectRef::new("operator", operator);
        match tx.execute(statement, &values).await {
            Ok(_) => {}
            Err(StoreError::Exists) => {
                // Undone with the rest: the link can still be used, with a key of one's own.
                tx.refuse(Act::refused(Activity::OperatorEnrol, object, "key-taken", None)).await?;
                return Err(AccessError::KeyTaken);
            }
            Err(error) => return Err(error.into()),
        }
        let act = Act::new(Activity::OperatorEnrol, object)
            .after(self.0.rows.operator(operator, name, role.as_str(), key.as_bytes()))
            .detail("role", role.as_str())
            .detail("link", link_create::object(hash.as_bytes()).id())
            .detail("key", key.thumbprint());
        let made = Operator { id: operator, name: name.to_owned(), role, enrolled: now, revoked: None };
        Ok(tx.commit(made, act).await?)
    }

    /// Whether there is a link to use, and who made it: none for the link of a first start. Only a look:
    /// [`use_link`] decides.
    async fn usable(&self, hash: SecretHash, now: Timestamp) -> Result<Option<Option<Vec<u8>>>, AccessError> {
        let statement = platform!(
            "SELECT created_by FROM enrolment_link WHERE secret_hash = $1 AND used_at IS NULL AND expires_at > $2 \
             AND (created_by IN (SELECT id FROM operator WHERE revoked_at IS NULL) OR (created_by IS NULL \
             AND NOT EXISTS (SELECT id FROM operator WHERE role = 'administrator' AND revoked_at IS NULL)))"
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

/// Uses the link up; its role, if it could be used. Two that race for one link are put in order by its row.
/// Whoever made it must still be an operator.
async fn use_link(
    tx: &mut SystemTx,
    hash: SecretHash,
    creator: Option<&[u8]>,
    operator: OperatorId,
    now: Timestamp,
) -> Result<Option<Role>, AccessError> {
    if let Some(creator) = creator
        && !hold(tx, creator).await?
    {
        return Ok(None);
    }
    let statement = platform!(
        "UPDATE enrolment_link SET used_at = $2, used_by = $3 \
         WHERE secret_hash = $1 AND used_at IS NULL AND expires_at > $2 RETURNING role, created_by"
    );
    let Some(row) = tx.row(statement, &[hash.as_bytes().into(), now.into(), (&operator).into()]).await?
    else {
        return Ok(None);
    };
    if row.opt_blob(1)?.is_none() {
        // A first administrator's link: two servers may each have printed one. The first that is used
        // ends the others; they wait for each other at these rows.
        let all = platform!("UPDATE enrolment_link SET created_at = created_at WHERE created_by IS NULL");
        tx.execute(all, &[]).await?;
        if has_administrator(tx).await? {
            return Ok(None);
        }
    }
    Ok(Role::from_word(row.text(0)?))
}

//! Legal holds: set and lifted by a person with a reason, on a record, an object or a whole repository.
//! While one is in force nothing that it covers is deleted or erased (DD-1). Reasons and persons are
//! sealed under a key of the hold's own.

use base::{DataKeyId, HoldId, RepositoryId, Timestamp};
use keys::{Binding, NewDataKey, Purpose};
use ledger::{Act, Activity, ObjectRef};
use serde::{Serialize, Serializer, ser::SerializeStruct as _};
use store::{Committed, Row, Scope, Scoped, Tx, Value, insert, select, update};

use crate::{
    Decided, MAX_HOLDS, MAX_PERSON_CHARACTERS, MAX_TEXT_BYTES, Target, Vault, VaultError,
    reader::{Attempt, Reader},
    repository::bounded_text,
    target::{add_holds, holds_of},
    vault::{retried, stale},
};

/// What a hold covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HoldTarget {
    /// One record or object.
    One(Target),
    /// All of a repository, what comes later as well.
    Repository(RepositoryId),
}

/// Who decided about a hold, and why. Both are kept sealed.
#[derive(Clone, Copy, Debug)]
pub struct HoldDecision<'a> {
    /// The person who decided: a name or an id, 1 to 200 characters. The client that asks is in the event;
    /// it acts for somebody.
    pub person: &'a str,
    /// Why, 1 to 1,024 bytes.
    pub reason: &'a str,
}

impl HoldDecision<'_> {
    fn check(&self) -> Result<(), VaultError> {
        bounded_text("person", self.person, MAX_PERSON_CHARACTERS * 4)?;
        if self.person.trim().is_empty() || self.person.chars().count() > MAX_PERSON_CHARACTERS {
            let reason = format!("name who decided, in 1 to {MAX_PERSON_CHARACTERS} characters");
            return Err(VaultError::field("person", reason));
        }
        bounded_text("reason", self.reason, MAX_TEXT_BYTES)
    }
}

/// A legal hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Hold {
    /// Its id.
    pub id: HoldId,
    /// What it covers.
    pub target: HoldTarget,
    /// Why it was set.
    pub reason: String,
    /// Which person decided that.
    pub person: String,
    /// When.
    pub set_at: Timestamp,
    /// By which client.
    pub set_by: String,
    /// When it was lifted; none while it is in force.
    pub lifted_at: Option<Timestamp>,
    /// By which client it was lifted.
    pub lifted_by: Option<String>,
    /// Why it was lifted.
    pub lift_reason: Option<String>,
    /// Which person decided that.
    pub lift_person: Option<String>,
}

impl Serialize for HoldTarget {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("HoldTarget", 3)?;
        out.serialize_field("kind", self.kind())?;
        out.serialize_field("repository", &self.repository())?;
        out.serialize_field("id", &self.id_text())?;
        out.end()
    }
}

impl HoldTarget {
    fn kind(&self) -> &'static str {
        match self {
            Self::One(target) => target.kind().as_str(),
            Self::Repository(_) => "repository",
        }
    }
    fn repository(&self) -> RepositoryId {
        match self {
            Self::One(target) => target.repository(),
            Self::Repository(id) => *id,
        }
    }
    fn id(&self) -> &[u8; 16] {
        match self {
            Self::One(target) => target.id(),
            Self::Repository(id) => id.as_bytes(),
        }
    }
    fn id_text(&self) -> String {
        match self {
            Self::One(target) => target.id_text(),
            Self::Repository(id) => id.to_string(),
        }
    }
    fn absent(&self) -> VaultError {
        VaultError::NotFound(self.kind())
    }
}

const ADD_REPOSITORY_HOLDS: Scoped = update!(
    "repository" set "holds = holds + $3" where "id = $2 AND holds + $3 >= 0 AND holds + $3 <= $4"
);
const REPOSITORY_HOLDS: Scoped = select!(["holds"] from "repository" where "id = $2");
const ADD: Scoped = insert!(
    "hold" ("id, repository_id, target_kind, target_id, key_id, reason, lift_reason, set_at, set_by, lifted_at, lifted_by, person, lift_person")
    values "$2, $3, $4, $5, $6, $7, NULL, $8, $9, NULL, NULL, $10, NULL"
);
const LIFT: Scoped = update!(
    "hold" set "lift_reason = $3, lifted_at = $4, lifted_by = $5, lift_person = $6" where "id = $2 AND lifted_at IS NULL"
);
const ONE: Scoped = select!(
    ["id, repository_id, target_kind, target_id, key_id, reason, lift_reason, set_at, set_by, lifted_at, lifted_by, person, lift_person"]
    from "hold" where "id = $2"
);
const OF_REPOSITORY: Scoped = select!(
    ["id, repository_id, target_kind, target_id, key_id, reason, lift_reason, set_at, set_by, lifted_at, lifted_by, person, lift_person"]
    from "hold" where "repository_id = $2 AND id > $3" then "ORDER BY id LIMIT $4"
);
const COVERING: Scoped = select!(
    ["id, repository_id, target_kind, target_id, key_id, reason, lift_reason, set_at, set_by, lifted_at, lifted_by, person, lift_person"]
    from "hold" where "(target_id = $2 OR target_id = $3) AND lifted_at IS NULL" then "ORDER BY id LIMIT 100"
);

impl Vault {
    /// Sets a hold, in the name of the scope's actor.
    ///
    /// # Errors
    /// [`VaultError::NotFound`] if the target is absent, another account's, or being erased;
    /// [`VaultError::Limit`] beyond 1,000 holds in force on it.
    pub async fn hold_set(
        &self,
        scope: &Scope,
        target: HoldTarget,
        why: HoldDecision<'_>,
        decided: &Decided,
    ) -> Result<Committed<Hold>, VaultError> {
        let id = HoldId::new(self.context())?;
        let outcome = retried(|_| self.set_hold(scope, id, target, why, decided)).await;
        let object = hold_ref(scope, id, target.repository());
        self.noted(scope, decided, Activity::HoldSet, object, outcome).await
    }

    async fn set_hold(
        &self,
        scope: &Scope,
        id: HoldId,
        target: HoldTarget,
        why: HoldDecision<'_>,
        decided: &Decided,
    ) -> Result<Committed<Hold>, VaultError> {
        why.check()?;
        let HoldDecision { person, reason } = why;
        let mut fresh = [self.keys().new_data_key(scope).await?];
        let [key] = &fresh;
        let repository = target.repository();
        let sealed = key.seal(&hold_binding(scope, repository, id, "reason"), reason.as_bytes())?;
        let sealed_person = key.seal(&hold_binding(scope, repository, id, "person"), person.as_bytes())?;
        let act = Act::new(Activity::HoldSet, hold_ref(scope, id, repository))
            .after(key.commit("reason", reason.as_bytes())?)
            .key(key.id(), "write")
            .decided_by(decided.policies.clone())
            .detail("target_kind", target.kind())
            .detail("target", target.id_text());
        let (key_id, now) = (key.id(), self.context().now());
        let set_by = scope.actor().to_string();
        let mut tx = self.store().begin(scope).await?;
        count_hold(&mut tx, &target, 1).await?;
        let values = [
            (&id).into(),
            (&repository).into(),
            target.kind().into(),
            target.id().into(),
            (&key_id).into(),
            (&sealed).into(),
            now.into(),
            (&set_by).into(),
            (&sealed_person).into(),
        ];
        tx.execute(ADD, &values).await?;
        let hold = Hold {
            id,
            target,
            reason: reason.to_owned(),
            person: person.to_owned(),
            set_at: now,
            set_by: set_by.clone(),
            lifted_at: None,
            lifted_by: None,
            lift_reason: None,
            lift_person: None,
        };
        Ok(NewDataKey::used_by(&mut fresh, tx.commit(hold, act)).await?)
    }

    /// Lifts a hold, in the name of the scope's actor.
    ///
    /// # Errors
    /// [`VaultError::Lifted`] if it is lifted already, [`VaultError::NotFound`].
    pub async fn hold_lift(
        &self,
        scope: &Scope,
        id: HoldId,
        why: HoldDecision<'_>,
        decided: &Decided,
    ) -> Result<Committed<Hold>, VaultError> {
        let outcome = retried(|attempt| self.lift_hold(scope, id, why, decided, attempt)).await;
        let object = ObjectRef::new("hold", id).in_account(scope.account());
        self.noted(scope, decided, Activity::HoldLift, object, outcome).await
    }

    async fn lift_hold(
        &self,
        scope: &Scope,
        id: HoldId,
        why: HoldDecision<'_>,
        decided: &Decided,
        attempt: Attempt,
    ) -> Result<Committed<Hold>, VaultError> {
        why.check()?;
        let HoldDecision { person, reason } = why;
        let row = self.reader(scope, attempt).await?.row(ONE, &[(&id).into()]).await?;
        let row = row.ok_or(VaultError::NotFound("hold"))?;
        let hold = self.read_hold(scope, &row).await?;
        if hold.lifted_at.is_some() {
            return Err(VaultError::Lifted);
        }
        let repository = hold.target.repository();
        let key_id: DataKeyId = row.id(4)?;
        let key = self.keys().data_key(scope, key_id, Purpose::Write).await?;
        let sealed = key.seal(&hold_binding(scope, repository, id, "lift_reason"), reason.as_bytes())?;
        let sealed_person =
            key.seal(&hold_binding(scope, repository, id, "lift_person"), person.as_bytes())?;
        let act = Act::new(Activity::HoldLift, hold_ref(scope, id, repository))
            .before(key.commit("reason", hold.reason.as_bytes())?)
            .after(key.commit("lift_reason", reason.as_bytes())?)
            .key(key_id, "write")
            .decided_by(decided.policies.clone())
            .detail("target_kind", hold.target.kind())
            .detail("target", hold.target.id_text());
        let now = self.context().now();
        let lifted_by = scope.actor().to_string();
        let mut tx = self.store().begin(scope).await?;
        let values =
            [(&id).into(), (&sealed).into(), now.into(), (&lifted_by).into(), (&sealed_person).into()];
        if tx.execute(LIFT, &values).await? != 1 {
            return Err(stale());
        }
        count_hold(&mut tx, &hold.target, -1).await?;
        let lifted = Hold {
            lifted_at: Some(now),
            lifted_by: Some(lifted_by.clone()),
            lift_reason: Some(reason.to_owned()),
            lift_person: Some(person.to_owned()),
            ..hold
        };
        Ok(tx.commit(lifted, act).await?)
    }

    /// The holds of a repository and of what is in it, in the order they were set, those lifted as
    /// well; after `after`, at most `limit` (1 to 100).
    pub async fn hold_list(
        &self,
        scope: &Scope,
        repository: RepositoryId,
        after: Option<HoldId>,
        limit: usize,
        decided: &Decided,
    ) -> Result<Vec<Hold>, VaultError> {
        let object = ObjectRef::new("repository", repository).in_account(scope.account());
        let outcome = self.list_holds(scope, repository, after, limit).await;
        let holds = self.noted(scope, decided, Activity::HoldList, object.clone(), outcome).await?;
        let act = Act::new(Activity::HoldList, object)
            .decided_by(decided.policies.clone())
            .detail("count", holds.len());
        self.store().record(scope, act).await?;
        Ok(holds)
    }

    async fn list_holds(
        &self,
        scope: &Scope,
        repository: RepositoryId,
        after: Option<HoldId>,
        limit: usize,
    ) -> Result<Vec<Hold>, VaultError> {
        let limit = crate::repository_read::page_limit(limit)?;
        let after = after.map_or([0; 16], |id| *id.as_bytes());
        let mut read = self.snapshot(scope).await?;
        self.label_now(&mut read, repository).await?;
        let values = [(&repository).into(), (&after).into(), (limit as i64).into()];
        let rows = read.rows(OF_REPOSITORY, &values).await?;
        drop(read);
        self.read_holds(scope, &rows).await
    }

    /// The holds in force that cover a target, at most 100.
    pub(crate) async fn covering(
        &self,
        scope: &Scope,
        mut read: Reader,
        target: &Target,
    ) -> Result<Vec<Hold>, VaultError> {
        let repository = target.repository();
        let rows = read.rows(COVERING, &[target.id().into(), (&repository).into()]).await?;
        drop(read);
        self.read_holds(scope, &rows).await
    }

    async fn read_holds(&self, scope: &Scope, rows: &[Row]) -> Result<Vec<Hold>, VaultError> {
        let mut holds = Vec::with_capacity(rows.len());
        for row in rows {
            holds.push(self.read_hold(scope, row).await?);
        }
        Ok(holds)
    }

    async fn read_hold(&self, scope: &Scope, row: &Row) -> Result<Hold, VaultError> {
        let (id, repository): (HoldId, RepositoryId) = (row.id(0)?, row.id(1)?);
        let target = match row.text(2)? {
            "repository" => HoldTarget::Repository(repository),
            "record" => HoldTarget::One(Target::Record(repository, row.id::<base::kinds::Record>(3)?)),
            _ => HoldTarget::One(Target::Object(repository, row.id::<base::kinds::Object>(3)?)),
        };
        let key = self.keys().data_key(scope, row.id(4)?, Purpose::Read).await?;
        let open = |field, sealed: &[u8]| -> Result<String, VaultError> {
            let bytes = key.open(&hold_binding(scope, repository, id, field), sealed)?;
            String::from_utf8(bytes.expose().clone()).map_err(|_| VaultError::Damaged)
        };
        Ok(Hold {
            id,
            target,
            reason: open("reason", row.blob(5)?)?,
            lift_reason: row.opt_blob(6)?.map(|sealed| open("lift_reason", sealed)).transpose()?,
            set_at: row.time(7)?,
            set_by: row.text(8)?.to_owned(),
            lifted_at: row.opt_time(9)?,
            lifted_by: row.opt_text(10)?.map(str::to_owned),
            person: open("person", row.blob(11)?)?,
            lift_person: row.opt_blob(12)?.map(|sealed| open("lift_person", sealed)).transpose()?,
        })
    }
}

/// Counts a hold at its target, so that whoever decides there finds it in the row itself.
async fn count_hold(tx: &mut Tx, target: &HoldTarget, change: i64) -> Result<(), VaultError> {
    let most = MAX_HOLDS as i64;
    let touched = match target {
        HoldTarget::One(one) => {
            let repository = one.repository();
            let values = [(&repository).into(), one.id().into(), change.into(), most.into()];
            tx.execute(add_holds(one.kind()), &values).await?
        }
        HoldTarget::Repository(id) => {
            let values: [Value<'_>; 3] = [id.into(), change.into(), most.into()];
            tx.execute(ADD_REPOSITORY_HOLDS, &values).await?
        }
    };
    if touched == 1 {
        return Ok(());
    }
    let holds = match target {
        HoldTarget::One(one) => {
            let repository = one.repository();
            tx.row(holds_of(one.kind()), &[(&repository).into(), one.id().into()]).await?
        }
        HoldTarget::Repository(id) => tx.row(REPOSITORY_HOLDS, &[id.into()]).await?,
    };
    match holds {
        Some(row) if row.int(0)?.saturating_add(change) > most => {
            Err(VaultError::limit("holds", MAX_HOLDS as u64, "in force on one thing"))
        }
        _ => Err(target.absent()),
    }
}

fn hold_ref(scope: &Scope, id: HoldId, repository: RepositoryId) -> ObjectRef {
    ObjectRef::new("hold", id).in_account(scope.account()).in_repository(repository)
}

fn hold_binding(
    scope: &Scope,
    repository: RepositoryId,
    id: HoldId,
    field: &'static str,
) -> Binding<'static> {
    Binding {
        account: scope.account(),
        repository,
        classification: "",
        kind: "hold",
        id: *id.as_bytes(),
        field,
        version: 1,
    }
}

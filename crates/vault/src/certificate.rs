//! Certificates of deletion (DD-2): signed with the log's key, without personal data, verifiable
//! offline by the verifier key alone. The event of the erasure names the certificate, so that log and
//! certificate lead to each other.

use base::{AccountId, CertificateId, DataKeyId, RepositoryId, RequestId, Timestamp};
use ledger::{Act, Activity, ObjectRef, sign_statement, verify_statement};
use serde::{Deserialize, Serialize};
use store::{Row, Scope, Scoped, Tx, select};

use crate::{Cause, Decided, Target, TargetKind, Vault, VaultError, target::Head};

/// The type that stands in each certificate.
pub const CERTIFICATE_TYPE: &str = "tenet.deletion-certificate.v1";
/// How things are erased here (DD-3, SD-5): the key is destroyed (NIST SP 800-88: cryptographic erase),
/// then the rows are deleted. What a disk keeps of deleted rows is sealed under the destroyed key.
const METHOD: &str = "cryptographic erase + row deletion";

/// What a certificate says: the JSON that is signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateStatement {
    /// [`CERTIFICATE_TYPE`].
    #[serde(rename = "type")]
    pub kind_of_statement: String,
    /// Its own id.
    pub certificate: CertificateId,
    /// Whose the data was.
    pub account: AccountId,
    /// In which repository it was.
    pub repository: RepositoryId,
    /// What it was.
    pub kind: TargetKind,
    /// Its id's text.
    pub id: String,
    /// Its classification.
    pub classification: String,
    /// How many versions of it there were.
    pub versions: u64,
    /// The key that was destroyed.
    pub key: DataKeyId,
    /// How it was erased.
    pub method: String,
    /// The clause that asks for the erasure to be certified.
    pub clause: String,
    /// Why it was erased.
    pub cause: Cause,
    /// The basis of its retention period.
    pub retention_basis: String,
    /// The end of its retention period.
    pub retained_until: Timestamp,
    /// When its erasure was decided.
    pub decided_at: Timestamp,
    /// When its key was gone.
    pub erased_at: Timestamp,
    /// The request or job run that finished it, as its events name it.
    pub request: RequestId,
    /// The commitment to its last content, as its events have it. The key of the commitment is gone.
    pub commitment: String,
}

/// A certificate of deletion.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Certificate {
    /// Its id.
    pub id: CertificateId,
    /// What was erased.
    pub statement: CertificateStatement,
    /// The signed note: what `tenet verify-certificate` verifies.
    pub note: String,
}

const OF_TARGET: Scoped = select!(["id, statement"] from "deletion_certificate" where "object_id = $2 AND object_kind = $3 AND repository_id = $4");
const BY_ID: Scoped = select!(["id, statement"] from "deletion_certificate" where "id = $2");

impl Vault {
    /// A certificate by its id.
    pub async fn certificate_get(
        &self,
        scope: &Scope,
        id: CertificateId,
        decided: &Decided,
    ) -> Result<Certificate, VaultError> {
        let object = ObjectRef::new("certificate", id).in_account(scope.account());
        let outcome = self.certificate_by(scope, BY_ID, &[(&id).into()]).await;
        let outcome = outcome.and_then(|found| found.ok_or(VaultError::NotFound("certificate")));
        self.certificate_read(scope, object, outcome, decided).await
    }

    /// The certificate of an erased record or object.
    pub async fn certificate_of(
        &self,
        scope: &Scope,
        target: Target,
        decided: &Decided,
    ) -> Result<Certificate, VaultError> {
        let outcome = self.certificate_now(scope, &target).await;
        let outcome = outcome.and_then(|found| found.ok_or(VaultError::NotFound("certificate")));
        self.certificate_read(scope, target.object_ref(scope), outcome, decided).await
    }

    async fn certificate_read(
        &self,
        scope: &Scope,
        object: ObjectRef,
        outcome: Result<Certificate, VaultError>,
        decided: &Decided,
    ) -> Result<Certificate, VaultError> {
        let activity = Activity::CertificateRead;
        let certificate = self.noted(scope, decided, activity, object.clone(), outcome).await?;
        let act = Act::new(activity, object)
            .decided_by(decided.policies.clone())
            .detail("certificate", certificate.id);
        self.store().record(scope, act).await?;
        Ok(certificate)
    }

    /// The certificate of a target, if it was erased.
    pub(crate) async fn certificate_now(
        &self,
        scope: &Scope,
        target: &Target,
    ) -> Result<Option<Certificate>, VaultError> {
        let repository = target.repository();
        let values = [target.id().into(), target.kind().as_str().into(), (&repository).into()];
        self.certificate_by(scope, OF_TARGET, &values).await
    }

    /// The certificate of a target, as a transaction sees it.
    pub(crate) async fn certificate_in(
        &self,
        tx: &mut Tx,
        target: &Target,
    ) -> Result<Option<Certificate>, VaultError> {
        let repository = target.repository();
        let values = [target.id().into(), target.kind().as_str().into(), (&repository).into()];
        let row = tx.row(OF_TARGET, &values).await?;
        row.map(|row| self.read_certificate(&row)).transpose()
    }

    async fn certificate_by(
        &self,
        scope: &Scope,
        statement: Scoped,
        values: &[store::Value<'_>],
    ) -> Result<Option<Certificate>, VaultError> {
        let row = self.store().read(scope).await?.row(statement, values).await?;
        row.map(|row| self.read_certificate(&row)).transpose()
    }

    fn read_certificate(&self, row: &Row) -> Result<Certificate, VaultError> {
        let note = row.text(1)?.to_owned();
        // What was altered in the database is not passed on as signed.
        let json = verify_statement(self.0.signer.verifier(), &note).map_err(|_| VaultError::Damaged)?;
        let statement: CertificateStatement = serde_json::from_str(json).map_err(|_| VaultError::Damaged)?;
        Ok(Certificate { id: row.id(0)?, statement, note })
    }

    /// Signs the certificate of a target whose key is gone.
    pub(crate) fn certify(
        &self,
        scope: &Scope,
        target: &Target,
        head: &Head,
        erased_at: Timestamp,
    ) -> Result<Certificate, VaultError> {
        let id = CertificateId::new(self.context())?;
        let statement = CertificateStatement {
            kind_of_statement: CERTIFICATE_TYPE.to_owned(),
            certificate: id,
            account: scope.account(),
            repository: target.repository(),
            kind: target.kind(),
            id: target.id_text(),
            classification: head.effective.name().to_owned(),
            versions: head.version,
            key: head.key,
            method: METHOD.to_owned(),
            clause: "DD-2".to_owned(),
            cause: head.cause(),
            retention_basis: head.retention.basis.as_str().to_owned(),
            retained_until: head.retained_until(),
            decided_at: head.erasing_at.unwrap_or(erased_at),
            erased_at,
            request: scope.request(),
            commitment: head.commitment.to_string(),
        };
        let json = serde_json::to_string(&statement).map_err(|_| VaultError::Shape("a certificate"))?;
        let note = sign_statement(&self.0.signer, &json)?;
        Ok(Certificate { id, statement, note })
    }
}

//! Certificates of deletion, by their id. For customers.

use access::Resource;
use axum::{Json, extract::State};
use base::CertificateId;
use utoipa::ToSchema;
use vault::{Certificate, Decided};

use crate::{
    App,
    caller::Caller,
    extract::Path,
    problem::Problem,
    schema::{AccountIdText, CertificateIdText, InstantText, LevelText, RepositoryIdText},
};

/// How certificates look in the OpenAPI document. None is ever built.
pub(crate) mod described {
    use super::{AccountIdText, CertificateIdText, InstantText, LevelText, RepositoryIdText, ToSchema};
    use crate::routes::lifecycle::described::Kind;

    /// Why something was erased.
    #[derive(ToSchema)]
    #[schema(rename_all = "lowercase")]
    #[expect(dead_code, reason = "only describes")]
    pub(crate) enum Cause {
        /// Somebody asked for it.
        Request,
        /// Its retention period ended.
        Retention,
        /// It was deleted, and the window of restoring ended.
        Deleted,
    }

    /// What a certificate says: the JSON that is signed.
    #[derive(ToSchema)]
    #[expect(dead_code, reason = "only describes")]
    pub(crate) struct CertificateStatement {
        /// `tenet.deletion-certificate.v1`.
        r#type: String,
        /// Its own id.
        #[schema(value_type = CertificateIdText)]
        certificate: String,
        /// Whose the data was.
        #[schema(value_type = AccountIdText)]
        account: String,
        /// In which repository it was.
        #[schema(value_type = RepositoryIdText)]
        repository: String,
        /// What it was.
        kind: Kind,
        /// Its id.
        #[schema(pattern = "^(rec|obj)_[0-7][0-9a-hjkmnp-tv-z]{25}$")]
        id: String,
        /// Its classification.
        #[schema(value_type = LevelText)]
        classification: String,
        /// How many versions of it there were.
        versions: u64,
        /// The key that was destroyed.
        #[schema(pattern = "^dek_[0-7][0-9a-hjkmnp-tv-z]{25}$")]
        key: String,
        /// How it was erased.
        method: String,
        /// The clause that asks for the erasure to be certified.
        clause: String,
        /// Why it was erased.
        cause: Cause,
        /// The basis of its retention period.
        retention_basis: String,
        /// The end of its retention period.
        #[schema(value_type = InstantText)]
        retained_until: String,
        /// When its erasure was decided.
        #[schema(value_type = InstantText)]
        decided_at: String,
        /// When its key was gone.
        #[schema(value_type = InstantText)]
        erased_at: String,
        /// The request or job run that finished it.
        #[schema(pattern = "^req_[0-7][0-9a-hjkmnp-tv-z]{25}$")]
        request: String,
        /// The commitment to its last content, as its events have it. The key of the commitment is gone.
        commitment: String,
    }

    /// A certificate of deletion.
    #[derive(ToSchema)]
    #[expect(dead_code, reason = "only describes")]
    pub(crate) struct Certificate {
        /// Its id.
        #[schema(value_type = CertificateIdText)]
        id: String,
        /// What was erased.
        statement: CertificateStatement,
        /// The signed note, which anybody can verify offline with the log's key.
        note: String,
    }
}

/// Reads a certificate of deletion.
#[utoipa::path(get, path = "/v1/certificates/{certificate}", operation_id = "read_certificate",
    params(("certificate" = CertificateIdText, Path)),
    responses((status = 200, description = "The certificate.", body = described::Certificate)))]
pub(crate) async fn read(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<CertificateId>,
) -> Result<Json<Certificate>, Problem> {
    let (scope, decision) = caller.client(&app, &Resource::new().id(id)).await?;
    let decided = Decided { policies: decision.policies() };
    Ok(Json(app.vault().certificate_get(scope, id, &decided).await?))
}

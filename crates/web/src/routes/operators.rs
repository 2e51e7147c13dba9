//! Operators: inviting, listing and revoking them. For operators.

use access::{EnrolmentLink, Operator, Role};
use axum::{Json, extract::State, http::StatusCode};
use base::{AccountId, OperatorId, Timestamp, kinds};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    App,
    caller::Caller,
    extract::{Json as Body, Path, Query},
    problem::Problem,
    routes::page::After,
    schema::{AccountIdText, InstantText, OperatorIdText},
};

/// An operator, or a customer's administrator.
#[derive(Serialize, ToSchema)]
#[schema(as = Operator)]
pub(crate) struct OperatorBody {
    /// Its id.
    #[schema(value_type = OperatorIdText)]
    id: OperatorId,
    /// The name that it enrolled with.
    name: String,
    /// What it may do.
    #[schema(value_type = StandingBody)]
    role: &'static str,
    /// The account that it governs, if its role is `customer`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, required = false, value_type = AccountIdText)]
    account: Option<AccountId>,
    /// When it enrolled.
    #[schema(value_type = InstantText)]
    enrolled_at: Timestamp,
    /// When its access ends by itself, if it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, required = false, value_type = InstantText)]
    ends_at: Option<Timestamp>,
    /// When it was revoked, if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, required = false, value_type = InstantText)]
    revoked_at: Option<Timestamp>,
}

impl From<Operator> for OperatorBody {
    fn from(operator: Operator) -> Self {
        Self {
            id: operator.id,
            name: operator.name,
            role: operator.role.as_str(),
            account: operator.role.account(),
            enrolled_at: operator.enrolled,
            ends_at: operator.ends,
            revoked_at: operator.revoked,
        }
    }
}

/// What an operator may do.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = Role)]
pub(crate) enum RoleBody {
    /// Runs the platform: accounts, clients, operators, keys.
    Administrator,
    /// Keeps the policy and its exceptions, and sees everything about the platform.
    Security,
    /// Connects applications to accounts.
    Engineer,
    /// Reads and acknowledges the policy.
    Employee,
    /// Looks at the platform, and changes nothing.
    Auditor,
}

/// What a person is: an operator in a role, or a customer's administrator.
#[derive(ToSchema)]
#[schema(as = PersonStanding, rename_all = "lowercase")]
#[expect(dead_code, reason = "describes the words of an answer; nothing is parsed into it")]
pub(crate) enum StandingBody {
    /// Runs the platform: accounts, clients, operators, keys.
    Administrator,
    /// Keeps the policy and its exceptions, and sees everything about the platform.
    Security,
    /// Connects applications to accounts.
    Engineer,
    /// Reads and acknowledges the policy.
    Employee,
    /// Looks at the platform, and changes nothing.
    Auditor,
    /// Governs one customer's account, and nothing else.
    Customer,
}

/// An invitation.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"role": "auditor"}))]
pub(crate) struct InvitationBody {
    /// The role of whoever uses the link.
    role: RoleBody,
    /// When the access of whoever uses it ends by itself: an auditor's, most of all. It does not if left out.
    #[serde(default)]
    #[schema(nullable, required = false, value_type = Option<InstantText>)]
    access_ends_at: Option<Timestamp>,
}

/// A link that works once. This is the only time that its secret is seen.
#[derive(Serialize, ToSchema)]
pub(crate) struct LinkBody {
    /// The secret.
    secret: String,
    /// What whoever uses it will be.
    #[schema(value_type = StandingBody)]
    role: &'static str,
    /// The account that whoever uses it governs, if that is `customer`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, required = false, value_type = AccountIdText)]
    account: Option<AccountId>,
    /// Until when it works.
    #[schema(value_type = InstantText)]
    expires_at: Timestamp,
    /// When the access of whoever uses it ends by itself, if it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, required = false, value_type = InstantText)]
    access_ends_at: Option<Timestamp>,
}

impl From<EnrolmentLink> for LinkBody {
    fn from(link: EnrolmentLink) -> Self {
        Self {
            secret: link.secret.expose().clone(),
            role: link.role.as_str(),
            account: link.role.account(),
            expires_at: link.expires,
            access_ends_at: link.access_ends,
        }
    }
}

/// A page of operators.
#[derive(Serialize, ToSchema)]
pub(crate) struct OperatorList {
    /// The operators, in the order in which they enrolled.
    items: Vec<OperatorBody>,
    /// What to send as `after` for the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, required = false, value_type = OperatorIdText)]
    next: Option<OperatorId>,
}

/// Invites somebody to become an operator.
#[utoipa::path(post, path = "/v1/operators/links", operation_id = "invite_operator", request_body = InvitationBody,
    responses((status = 201, description = "The link.", body = LinkBody)))]
pub(crate) async fn invite(
    State(app): State<App>,
    caller: Caller,
    Body(body): Body<InvitationBody>,
) -> Result<(StatusCode, Json<LinkBody>), Problem> {
    let role = match body.role {
        RoleBody::Administrator => Role::Administrator,
        RoleBody::Security => Role::Security,
        RoleBody::Engineer => Role::Engineer,
        RoleBody::Employee => Role::Employee,
        RoleBody::Auditor => Role::Auditor,
    };
    let link = app.access().link_create_until(caller.principal(), role, body.access_ends_at).await?;
    Ok((StatusCode::CREATED, Json(link.into_inner().into())))
}

/// Lists the operators, revoked ones too.
#[utoipa::path(get, path = "/v1/operators", operation_id = "list_operators",
    params(
        ("after" = inline(Option<OperatorIdText>), Query, description = "`next` of the page before."),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 500, description = "Most on the page; 100 if left out."),
    ),
    responses((status = 200, description = "A page.", body = OperatorList)))]
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(page): Query<After<kinds::Operator>>,
) -> Result<Json<OperatorList>, Problem> {
    let found = app.access().operator_list(caller.principal(), page.after, page.limit).await?;
    Ok(Json(OperatorList { items: found.items.into_iter().map(Into::into).collect(), next: found.next }))
}

/// Revokes an operator, or a customer's administrator, for good, at once. The last administrator stays.
#[utoipa::path(post, path = "/v1/operators/{operator}/revoke", operation_id = "revoke_operator",
    params(("operator" = OperatorIdText, Path)),
    responses((status = 200, description = "Revoked.", body = OperatorBody)))]
pub(crate) async fn revoke(
    State(app): State<App>,
    caller: Caller,
    Path(operator): Path<OperatorId>,
) -> Result<Json<OperatorBody>, Problem> {
    let revoked = app.access().operator_revoke(caller.principal(), operator).await?;
    Ok(Json(revoked.into_inner().into()))
}

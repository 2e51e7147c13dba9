//! The token endpoint: OAuth 2 client credentials (RFC 6749 4.4), with a secret or a signed assertion
//! (RFC 7523), and revocation (RFC 7009). What is wrong with the request or the credentials is said in the
//! form of RFC 6749 5.2; what is wrong with the server is a problem like everywhere else.

use access::{AccessError, Credential, TokenRequest};
use axum::{
    Json,
    extract::{FromRequest, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use base::{Fault, Kind, Secret};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    App,
    caller::{call, throttled},
    extract::{Form, Pairs},
    observe::one_header,
    problem::Problem,
    request::RequestContext,
    schema::{AccountIdText, ScopeText},
};

/// Most characters of an error's description.
const MAX_DESCRIPTION: usize = 256;

/// A token request's form.
#[derive(ToSchema)]
#[schema(example = json!({"grant_type": "client_credentials", "scope": "records:read"}))]
#[expect(dead_code, reason = "only describes the form; its pairs are taken one by one")]
pub(crate) struct TokenForm {
    /// `client_credentials`.
    #[schema(pattern = "^client_credentials$")]
    grant_type: String,
    /// The client's id, with `client_secret`.
    #[schema(nullable = false)]
    client_id: Option<String>,
    /// The client's secret, unless it comes by `Authorization: Basic`.
    #[schema(nullable = false)]
    client_secret: Option<String>,
    /// `urn:ietf:params:oauth:client-assertion-type:jwt-bearer`.
    #[schema(nullable = false)]
    client_assertion_type: Option<String>,
    /// A JWT that the client's or the operator's own key signs (RFC 7523 2.2).
    #[schema(nullable = false)]
    client_assertion: Option<String>,
    /// The account to act in. It must be the client's.
    #[schema(nullable = false, required = false, value_type = AccountIdText)]
    account: Option<String>,
    /// The scopes wanted; all that the client has if left out.
    #[schema(nullable = false, required = false, value_type = ScopeText)]
    scope: Option<String>,
    /// The service that the token is for.
    #[schema(nullable = false)]
    audience: Option<String>,
    /// The same, as RFC 8707 names it.
    #[schema(nullable = false)]
    resource: Option<String>,
}

/// An access token (RFC 6749 5.1).
#[derive(Serialize, ToSchema)]
pub(crate) struct TokenAnswer {
    /// The token: a JWT (RFC 9068).
    access_token: String,
    /// `Bearer`.
    #[schema(pattern = "^Bearer$")]
    token_type: &'static str,
    /// Seconds until it ends.
    #[schema(minimum = 1, maximum = 900)]
    expires_in: i64,
    /// What it may be used for; empty for an operator, whose role decides.
    scope: String,
    /// The account that is signed in; none for an operator.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, required = false, value_type = AccountIdText)]
    account: Option<String>,
}

/// Why no token is given (RFC 6749 5.2).
#[derive(Serialize, ToSchema)]
pub(crate) struct OauthError {
    /// The code.
    #[schema(example = "invalid_client")]
    error: &'static str,
    /// The same in words.
    error_description: String,
}

/// A failure in whichever form it has to take.
pub(crate) enum TokenFailure {
    Oauth { status: StatusCode, error: OauthError, basic: bool },
    Problem(Problem),
}

impl From<Problem> for TokenFailure {
    /// What is wrong with the form is told in the form of OAuth.
    fn from(problem: Problem) -> Self {
        if problem.status() == StatusCode::BAD_REQUEST {
            return Self::oauth(StatusCode::BAD_REQUEST, "invalid_request", problem.detail(), false);
        }
        Self::Problem(problem)
    }
}

impl TokenFailure {
    fn oauth(status: StatusCode, error: &'static str, words: &str, basic: bool) -> Self {
        // RFC 6749 5.2: no quotes, no backslashes, ASCII.
        let plain = |c: char| if matches!(c, ' '..='~') && c != '"' && c != '\\' { c } else { '?' };
        let error_description = words.chars().take(MAX_DESCRIPTION).map(plain).collect();
        Self::Oauth { status, error: OauthError { error, error_description }, basic }
    }

    fn malformed(words: &str) -> Self {
        Self::oauth(StatusCode::BAD_REQUEST, "invalid_request", words, false)
    }

    fn refused(error: AccessError, basic: bool) -> Self {
        let code = error.oauth_code();
        match error.kind() {
            Kind::Unauthenticated => Self::oauth(StatusCode::UNAUTHORIZED, code, &error.to_string(), basic),
            Kind::Invalid | Kind::Denied | Kind::NotFound | Kind::Conflict => {
                Self::oauth(StatusCode::BAD_REQUEST, code, &error.to_string(), basic)
            }
            Kind::Limit | Kind::Unavailable | Kind::Internal => {
                let retry = error.retry_after();
                Self::Problem(throttled(error.into(), retry))
            }
        }
    }
}

impl IntoResponse for TokenFailure {
    fn into_response(self) -> Response {
        match self {
            Self::Problem(problem) => problem.into_response(),
            Self::Oauth { status, error, basic } => {
                let mut response = (status, Json(error)).into_response();
                if status == StatusCode::UNAUTHORIZED {
                    let scheme = if basic { "Basic realm=\"tenet\"" } else { "Bearer realm=\"tenet\"" };
                    response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(scheme));
                }
                response
            }
        }
    }
}

/// Gives an access token for a client of an account, or for an operator.
#[utoipa::path(post, path = "/v1/token", operation_id = "issue_token",
    request_body(content = TokenForm, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "A token.", body = TokenAnswer)))]
pub(crate) async fn issue(
    State(app): State<App>,
    context: RequestContext,
    request: Request,
) -> Result<Json<TokenAnswer>, TokenFailure> {
    let headers = request.headers().clone();
    let Form(mut pairs) = Form::from_request(request, &app).await?;
    let basic = headers.contains_key(header::AUTHORIZATION);
    let call = call(&context, "tokens");
    let credential = match credential(&headers, &mut pairs) {
        Ok(credential) => credential,
        Err((reason, failure)) => {
            let refused = app.access().reject(reason, AccessError::InvalidClient, &call).await;
            let told = matches!(refused, AccessError::InvalidClient);
            return Err(if told { failure } else { TokenFailure::refused(refused, basic) });
        }
    };
    let grant = pairs.take("grant_type").ok_or_else(|| TokenFailure::malformed("grant_type is missing"))?;
    let request = TokenRequest {
        grant,
        credential,
        account: pairs.take("account"),
        scope: pairs.take("scope"),
        audiences: ["audience", "resource"].into_iter().filter_map(|name| pairs.take(name)).collect(),
    };
    // RFC 6749 3.2: parameters that are not known are ignored here, and here alone.
    let issued = app.access().token(request, &call).await;
    let issued = issued.map_err(|error| TokenFailure::refused(error, basic))?;
    Ok(Json(TokenAnswer {
        access_token: issued.token.expose().clone(),
        token_type: "Bearer",
        expires_in: issued.life.seconds(),
        scope: issued.scopes.to_string(),
        account: issued.account.map(|account| account.to_string()),
    }))
}

/// The one way in which a client proves who it is; two at once are refused (RFC 6749 2.3). A failure has a
/// word for its event.
fn credential(headers: &HeaderMap, pairs: &mut Pairs) -> Result<Credential, (&'static str, TokenFailure)> {
    let malformed = |words| ("credential-malformed", TokenFailure::malformed(words));
    let header = one_header(headers, &header::AUTHORIZATION);
    let header = header.map_err(|problem| ("authorization-unreadable", problem.into()))?;
    let basic = header.map(basic).transpose().map_err(|failure| ("credential-malformed", failure))?;
    let client = pairs.take("client_id");
    let secret = pairs.take_secret("client_secret");
    let kind = pairs.take("client_assertion_type");
    let assertion = pairs.take_secret("client_assertion");
    match (basic, secret, assertion) {
        (Some((name, secret)), None, None) => {
            if client.is_some_and(|client| client != name) {
                return Err(malformed("client_id is not the client of the header"));
            }
            Ok(Credential::Secret { client: name, secret })
        }
        (None, Some(secret), None) => {
            let client = client.ok_or_else(|| malformed("client_id is missing"))?;
            Ok(Credential::Secret { client, secret })
        }
        (None, None, Some(assertion)) => {
            let assertion_type = kind.ok_or_else(|| malformed("client_assertion_type is missing"))?;
            Ok(Credential::Assertion { client, assertion_type, assertion })
        }
        (None, None, None) => {
            let words = "no client authentication: send a secret or a signed assertion";
            let failure = TokenFailure::oauth(StatusCode::UNAUTHORIZED, "invalid_client", words, false);
            Err(("credential-missing", failure))
        }
        _ => {
            let words = "more than one way of client authentication is used";
            Err(("credential-several", TokenFailure::malformed(words)))
        }
    }
}

/// `Authorization: Basic`: id and secret, each form-encoded (RFC 6749 2.3.1).
fn basic(header: &str) -> Result<(String, Secret<String>), TokenFailure> {
    let wrong = || {
        let words = "the header Authorization is not Basic with an id and a secret";
        TokenFailure::oauth(StatusCode::UNAUTHORIZED, "invalid_client", words, true)
    };
    let (scheme, encoded) = header.split_once(' ').ok_or_else(wrong)?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(wrong());
    }
    let decoded = STANDARD.decode(encoded.trim()).map_err(|_| wrong())?;
    let decoded = Secret::new(String::from_utf8(decoded).map_err(|_| wrong())?);
    let (client, secret) = decoded.expose().split_once(':').ok_or_else(wrong)?;
    let mut halves =
        Pairs::parse(format!("client={client}&secret={secret}").as_bytes()).map_err(|_| wrong())?;
    let client = halves.take("client").ok_or_else(wrong)?;
    let secret = halves.take_secret("secret").ok_or_else(wrong)?;
    if halves.left().is_some() { Err(wrong()) } else { Ok((client, secret)) }
}

/// A set of JSON Web Keys.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only describes what access writes")]
pub(crate) struct JwkSet {
    /// The keys.
    #[schema(value_type = Vec<crate::schema::AnyObject>)]
    keys: Vec<serde_json::Value>,
}

/// The public keys that access tokens are verified with (RFC 7517, RFC 8037).
#[utoipa::path(get, path = "/.well-known/jwks.json", operation_id = "jwks",
    responses((status = 200, description = "The keys.", body = JwkSet)))]
pub(crate) async fn jwks(State(app): State<App>) -> Response {
    ([(header::CACHE_CONTROL, "public, max-age=300")], Json(app.access().jwks())).into_response()
}

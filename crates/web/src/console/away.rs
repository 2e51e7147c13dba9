//! The company's provider of identities: sending somebody there, and taking them back. What they set out with is in a cookie of
//! this host meanwhile; what they come back with is good only beside it.

use access::{AccessError, Action, IdentityEnrolment, ProviderAnswer, ProviderAsked, Purpose, Resource};
use askama::Template;
use axum::{
    extract::State,
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
};
use base::{IdentityId, OperatorId, Secret};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use store::Committed;

use super::{
    enrol::{again, secret_of},
    page::{Page, next_of, quoted, see},
    sign_in::{Address, Next, begun, opened, proven},
    visitor::{Posted, Visitor, cookie, same_site},
};
use crate::{
    App,
    caller::{call, refusal},
    extract::{Form, Pairs, Path, Query, QueryParameters},
    problem::Problem,
    request::RequestContext,
};

const COOKIE: &str = "__Host-tenet-away";
const COOKIE_GONE: &str = "__Host-tenet-away=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0";
/// Most bytes of what a cookie keeps.
const MAX_KEPT_BYTES: usize = 2_048;

/// What a browser keeps while somebody is away.
#[derive(Serialize, Deserialize)]
struct Kept {
    secret: String,
    next: String,
    /// The secret of the link and the name, of somebody who enrols.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    enrol: Option<(String, String)>,
}

impl Kept {
    fn of(headers: &HeaderMap) -> Option<Self> {
        let text = cookie(headers, COOKIE).filter(|text| text.expose().len() <= MAX_KEPT_BYTES)?;
        let json = Secret::new(URL_SAFE_NO_PAD.decode(text.expose()).ok()?);
        serde_json::from_slice(json.expose()).ok()
    }
    fn cookie(&self) -> Result<HeaderValue, Problem> {
        let json = serde_json::to_vec(self).map_err(|_| Problem::internal("a cookie can't be written"))?;
        let json = Secret::new(json);
        let text = Secret::new(format!(
            "{COOKIE}={}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=600",
            URL_SAFE_NO_PAD.encode(json.expose())
        ));
        let mut value = HeaderValue::from_str(text.expose())
            .map_err(|_| Problem::internal("a cookie can't be written"))?;
        value.set_sensitive(true);
        Ok(value)
    }
}

#[derive(Template)]
#[template(path = "away.html")]
struct AwayPage {
    name: String,
    url: String,
}

/// What somebody came back with. A provider may send more than anybody asked for.
pub(crate) struct Came {
    state: String,
    code: Option<Secret<String>>,
    issuer: Option<String>,
}

impl QueryParameters for Came {
    fn take(pairs: &mut Pairs) -> Result<Self, Problem> {
        let came = Self {
            state: pairs.take("state").unwrap_or_default(),
            code: pairs.take_secret("code"),
            issuer: pairs.take("iss"),
        };
        pairs.drop_rest();
        Ok(came)
    }
}

async fn ask(
    app: &App,
    address: &Address,
    context: &RequestContext,
    purpose: Purpose,
    operator: Option<OperatorId>,
) -> Result<ProviderAsked, Problem> {
    let address = address.text().unwrap_or_default();
    let asked = app.access().provider_ask(purpose, operator, address, &call(context, "console")).await;
    asked.map_err(refusal)
}

/// Answers with a page that leads on: a form is not led to another site by itself.
fn leave(app: &App, asked: ProviderAsked, kept: Kept) -> Result<Response, Problem> {
    let name = app.access().provider().map_or_else(String::new, |provider| provider.name.clone());
    let mut response = Page(AwayPage { name, url: asked.url }).into_response();
    response.headers_mut().insert(header::SET_COOKIE, kept.cookie()?);
    Ok(response)
}

/// To the provider, to sign in.
pub(crate) async fn sign_in(
    State(app): State<App>,
    context: RequestContext,
    headers: HeaderMap,
    address: Address,
    Query(next): Query<Next>,
) -> Result<Response, Problem> {
    same_site(&headers)?;
    let asked = ask(&app, &address, &context, Purpose::ProviderSignIn, None).await?;
    let kept = Kept { secret: asked.secret.expose().clone(), next: next.next, enrol: None };
    leave(&app, asked, kept)
}

/// To the provider, to enrol. The link is looked at before, and used afterwards.
pub(crate) async fn enrol(
    State(app): State<App>,
    context: RequestContext,
    headers: HeaderMap,
    address: Address,
    Form(mut form): Form,
) -> Result<Response, Problem> {
    same_site(&headers)?;
    let secret = secret_of(&form.take("secret").unwrap_or_default());
    let name = form.take("name").unwrap_or_default();
    if let Err(error) = app.access().enrolment_open(&secret, &call(&context, "console")).await {
        return again(error);
    }
    let operator = OperatorId::new(app.context()).map_err(AccessError::from)?;
    let asked = ask(&app, &address, &context, Purpose::ProviderEnrol, Some(operator)).await?;
    let enrol = Some((secret.expose().clone(), name.chars().take(access::MAX_NAME_CHARS).collect()));
    let kept = Kept { secret: asked.secret.expose().clone(), next: "/".to_owned(), enrol };
    leave(&app, asked, kept)
}

/// To the provider, to be linked with who one is there. Asks for a fresh proof first.
pub(crate) async fn add(
    State(app): State<App>,
    context: RequestContext,
    address: Address,
    Posted { visitor, .. }: Posted,
) -> Result<Response, Problem> {
    app.access().authorize(&visitor.principal, Action::IdentityManage, &Resource::new()).await?;
    let operator = Some(visitor.session.operator);
    let asked = ask(&app, &address, &context, Purpose::ProviderAdd, operator).await?;
    let kept = Kept { secret: asked.secret.expose().clone(), next: "/me".to_owned(), enrol: None };
    leave(&app, asked, kept)
}

/// To the provider, to prove once more who one is.
pub(crate) async fn prove(
    State(app): State<App>,
    context: RequestContext,
    address: Address,
    Posted { visitor, mut form }: Posted,
) -> Result<Response, Problem> {
    let next = next_of(form.take("next").as_deref()).to_owned();
    let operator = Some(visitor.session.operator);
    let asked = ask(&app, &address, &context, Purpose::ProviderProve, operator).await?;
    let kept = Kept { secret: asked.secret.expose().clone(), next, enrol: None };
    leave(&app, asked, kept)
}

/// Back from the provider.
pub(crate) async fn back(
    State(app): State<App>,
    context: RequestContext,
    headers: HeaderMap,
    address: Address,
    Query(came): Query<Came>,
) -> Result<Response, Problem> {
    let call = call(&context, "console");
    let purpose = app.access().provider_purpose(&came.state);
    if let (Some(Purpose::ProviderAdd | Purpose::ProviderProve), Some(code)) = (purpose, &came.code) {
        // For somebody in a session: as a page of this site, with that session's cookie.
        let issuer = came.issuer.map_or_else(String::new, |issuer| format!("&iss={}", quoted(&issuer)));
        let (state, code) = (quoted(&came.state), quoted(code.expose()));
        return Ok(see(&format!("/me/back?state={state}&code={code}{issuer}")));
    }
    let mut response = match (Kept::of(&headers), came.code.clone()) {
        (Some(kept), Some(code)) => {
            let answer = answer(&came, code, &kept, &address);
            match (purpose, kept.enrol) {
                (Some(Purpose::ProviderEnrol), Some((secret, name))) => {
                    let enrolment = IdentityEnrolment { secret: Secret::new(secret), name, answer };
                    match app.access().enrol_by_provider(enrolment, &call).await.map(Committed::into_inner) {
                        Ok(opened) => begun(&opened, "/"),
                        Err(error) => again(error)?,
                    }
                }
                (Some(Purpose::ProviderSignIn), None) => {
                    opened(app.access().session_by_provider(answer, &call).await, Some(&kept.next))?
                }
                _ => refused(&app, "provider-state", &call).await?,
            }
        }
        (None, _) => refused(&app, "provider-cookie", &call).await?,
        (_, None) => refused(&app, "provider-denied", &call).await?,
    };
    response.headers_mut().append(header::SET_COOKIE, HeaderValue::from_static(COOKIE_GONE));
    Ok(response)
}

/// The same, for somebody in a session.
pub(crate) async fn back_in_session(
    State(app): State<App>,
    context: RequestContext,
    visitor: Visitor,
    headers: HeaderMap,
    address: Address,
    Query(came): Query<Came>,
) -> Result<Response, Problem> {
    let call = call(&context, "console");
    let kept = Kept::of(&headers);
    let (Some(kept), Some(code)) = (kept, came.code.clone()) else {
        return Err(app.access().reject("provider-cookie", AccessError::ProviderInvalid, &call).await.into());
    };
    let answer = answer(&came, code, &kept, &address);
    let mut response = match app.access().provider_purpose(&came.state) {
        Some(Purpose::ProviderAdd) => {
            app.access().identity_add(&visitor.principal, answer).await?.into_inner();
            see("/me?done=linked")
        }
        Some(Purpose::ProviderProve) => {
            let (by, session) = (&visitor.principal, &visitor.session);
            let done = app.access().session_prove_by_provider(by, session, answer, &call).await;
            proven(done, Some(&kept.next))?
        }
        _ => refused(&app, "provider-state", &call).await?,
    };
    response.headers_mut().append(header::SET_COOKIE, HeaderValue::from_static(COOKIE_GONE));
    Ok(response)
}

/// Takes the link with who one is there away.
pub(crate) async fn remove(
    State(app): State<App>,
    Path(identity): Path<IdentityId>,
    Posted { visitor, .. }: Posted,
) -> Result<Response, Problem> {
    app.access().identity_remove(&visitor.principal, &visitor.session, identity).await?.into_inner();
    Ok(see("/me?done=removed"))
}

fn answer(came: &Came, code: Secret<String>, kept: &Kept, address: &Address) -> ProviderAnswer {
    ProviderAnswer {
        state: came.state.clone(),
        code,
        issuer: came.issuer.clone(),
        secret: Secret::new(kept.secret.clone()),
        address: address.text().unwrap_or_default().to_owned(),
    }
}

async fn refused(app: &App, reason: &'static str, call: &access::Call) -> Result<Response, Problem> {
    opened(Err(app.access().reject(reason, AccessError::ProviderInvalid, call).await), None)
}

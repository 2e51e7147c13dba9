//! Becoming an operator in a browser, by a link that works once.

use access::{ALGORITHMS, PasskeyEnrolment, Purpose, Registration};
use askama::Template;
use axum::{extract::State, http::HeaderMap, response::Response};
use base::{OperatorId, Secret};
use store::Committed;

use super::{
    page::{Page, see},
    sign_in::{Address, Asked, asked, begun},
    visitor::same_site,
};
use crate::{
    App,
    caller::{call, throttled},
    extract::{Form, Pairs, Query, QueryParameters},
    problem::Problem,
    request::RequestContext,
};

/// Why somebody is here again.
pub(crate) struct Again {
    wrong: Option<&'static str>,
}

const WRONG: [(&str, &str); 3] = [
    ("link", "The link was used, or has ended. Ask for another."),
    ("passkey", "The passkey did not answer in time, or is one already. Try again."),
    (
        "name",
        "That name can't be taken: 1 to 64 letters, digits and spaces, starting and ending with a letter or digit.",
    ),
];

impl QueryParameters for Again {
    fn take(pairs: &mut Pairs) -> Result<Self, Problem> {
        let word = pairs.take("wrong");
        let found = WRONG.iter().find(|(known, _)| Some(*known) == word.as_deref());
        Ok(Self { wrong: found.map(|(_, text)| *text) })
    }
}

#[derive(Template)]
#[template(path = "enrol.html")]
struct EnrolPage {
    asked: Option<Asked>,
    user: String,
    algorithms: String,
    wrong: Option<&'static str>,
    elsewhere: Option<String>,
}

/// The algorithms that are offered, for the script.
pub(crate) fn algorithms() -> String {
    ALGORITHMS.map(|one| one.to_string()).join(" ")
}

/// An operator's id as the browser takes it.
pub(crate) fn user_handle(operator: OperatorId) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(operator.as_bytes())
}

pub(crate) async fn show(
    State(app): State<App>,
    address: Address,
    Query(again): Query<Again>,
) -> Result<Page<impl Template>, Problem> {
    let operator = OperatorId::new(app.context()).map_err(access::AccessError::from)?;
    let asked = asked(&app, &address, Purpose::Enrol, Some(operator))?;
    let elsewhere = if asked.is_none() { app.access().passkey_address() } else { None };
    let page = EnrolPage {
        asked,
        user: user_handle(operator),
        algorithms: algorithms(),
        wrong: again.wrong,
        elsewhere,
    };
    Ok(Page(page))
}

pub(crate) async fn enrol(
    State(app): State<App>,
    context: RequestContext,
    headers: HeaderMap,
    Form(mut form): Form,
) -> Result<Response, Problem> {
    same_site(&headers)?;
    let enrolment = PasskeyEnrolment {
        secret: secret_of(&form.take("secret").unwrap_or_default()),
        name: form.take("name").unwrap_or_default(),
        registration: registration(&mut form),
    };
    let done = app.access().enrol_by_passkey(enrolment, &call(&context, "console")).await;
    match done.map(Committed::into_inner) {
        Ok(opened) => Ok(begun(&opened, "/")),
        Err(access::AccessError::LinkInvalid) => Ok(see("/enrol?wrong=link")),
        Err(access::AccessError::PasskeyInvalid | access::AccessError::KeyTaken) => {
            Ok(see("/enrol?wrong=passkey"))
        }
        Err(access::AccessError::Invalid { field: "name", .. }) => Ok(see("/enrol?wrong=name")),
        Err(error) => {
            let retry = error.retry_after();
            Err(throttled(error.into(), retry))
        }
    }
}

/// The secret of a link: what stands behind `#`, without the fingerprint of the authority, which a browser checks by itself.
fn secret_of(fragment: &str) -> Secret<String> {
    let fragment = fragment.rsplit_once('#').map_or(fragment, |(_, fragment)| fragment);
    Secret::new(fragment.split_once('.').map_or(fragment, |(secret, _)| secret).to_owned())
}

/// A new passkey out of a form.
pub(crate) fn registration(form: &mut Pairs) -> Registration {
    let mut part = |name| form.take(name).unwrap_or_default();
    Registration {
        challenge: part("challenge"),
        client_data: part("client_data"),
        attestation: part("attestation"),
    }
}

//! Who governs a customer's account, for operators: invitations to it, and their end.

use access::Operator;
use askama::Template;
use axum::{extract::State, response::Response};
use base::{AccountId, Duration, OperatorId, Timestamp};

use super::{
    frame::Frame,
    page::{Page, see},
    people::MAX_DAYS,
    time::{When, day},
    visitor::{Posted, Visitor},
};
use crate::{App, extract::Path, problem::Problem};

/// Somebody who governs the account.
pub(crate) struct PersonRow {
    pub(crate) id: OperatorId,
    pub(crate) name: String,
    pub(crate) enrolled: When,
    pub(crate) ends: Option<String>,
    pub(crate) gone: Option<When>,
}

#[derive(Template)]
#[template(path = "invited_customer.html")]
struct InvitedPage {
    frame: Frame,
    account: AccountId,
    link: String,
    expires: When,
    ends: Option<String>,
}

/// The people of an account, for its page.
pub(crate) async fn people(
    app: &App,
    visitor: &Visitor,
    account: AccountId,
    now: Timestamp,
) -> Result<Vec<PersonRow>, Problem> {
    let row = |one: Operator| PersonRow {
        id: one.id,
        name: one.name,
        enrolled: When::new(one.enrolled, now),
        ends: one.ends.map(day),
        gone: one.revoked.or(one.ends.filter(|ends| *ends <= now)).map(|at| When::new(at, now)),
    };
    Ok(app.access().customer_list(&visitor.principal, account).await?.into_iter().map(row).collect())
}

pub(crate) async fn invite(
    State(app): State<App>,
    Path(account): Path<AccountId>,
    Posted { visitor, mut form }: Posted,
) -> Result<Page<impl Template>, Problem> {
    form.drop_empty();
    let days = form.take_number("days", 1, MAX_DAYS)?;
    let now = app.now();
    let ends = days.map(|days| now.plus(Duration::from_days(i64::from(days))));
    let link = app.access().customer_invite(&visitor.principal, account, ends).await?;
    let address = app.access().passkey_address().unwrap_or_default();
    let page = InvitedPage {
        frame: visitor.frame(&app),
        account,
        link: format!("{address}/enrol#{}.{}", link.secret.expose(), app.authority()),
        expires: When::new(link.expires, now),
        ends: ends.map(day),
    };
    Ok(Page(page))
}

pub(crate) async fn revoke(
    State(app): State<App>,
    Path((account, person)): Path<(AccountId, OperatorId)>,
    Posted { visitor, .. }: Posted,
) -> Result<Response, Problem> {
    app.access().operator_revoke(&visitor.principal, person).await?.into_inner();
    Ok(see(&format!("/accounts/{account}?done=revoked")))
}

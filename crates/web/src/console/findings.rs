//! Findings: what was seen not to be as the policy says, from when to when.

use askama::Template;
use axum::extract::State;
use base::Timestamp;
use policy::CheckFinding;

use super::{
    frame::Frame,
    page::Page,
    time::{When, span},
    visitor::Visitor,
};
use crate::{App, problem::Problem};

/// Most closed findings on the page.
const MAX_CLOSED: usize = 100;

/// A finding, as it is shown.
pub(crate) struct FindingView {
    pub(crate) check: String,
    pub(crate) title: String,
    pub(crate) summary: String,
    pub(crate) opened: When,
    pub(crate) closed: Option<When>,
    pub(crate) lasted: String,
}

impl FindingView {
    pub(crate) fn new(finding: &CheckFinding, title: Option<String>, now: Timestamp) -> Self {
        Self {
            check: finding.check.clone(),
            title: title.unwrap_or_else(|| finding.check.clone()),
            summary: finding.summary.clone(),
            opened: When::new(finding.opened, now),
            closed: finding.closed.map(|at| When::new(at, now)),
            lasted: span(finding.closed.unwrap_or(now).since(finding.opened)),
        }
    }
}

#[derive(Template)]
#[template(path = "findings.html")]
struct FindingsPage {
    frame: Frame,
    open: Vec<FindingView>,
    closed: Vec<FindingView>,
}

pub(crate) async fn show(State(app): State<App>, visitor: Visitor) -> Result<Page<impl Template>, Problem> {
    let now = app.now();
    let assessed = app.watch().assess(&visitor.principal, None, None).await?;
    let title = |id: &str| app.watch().registry().check(id).map(|check| check.title.clone());
    let view = |one: &CheckFinding| FindingView::new(one, title(&one.check), now);
    let (open, closed): (Vec<_>, Vec<_>) = assessed.findings.iter().partition(|one| one.closed.is_none());
    let page = FindingsPage {
        frame: visitor.frame(&app),
        open: open.into_iter().map(view).collect(),
        closed: closed.into_iter().take(MAX_CLOSED).map(view).collect(),
    };
    Ok(Page(page))
}

//! A check: what it shows, what it saw and when, and what follows.

use access::{Action, Names};
use askama::Template;
use axum::{extract::State, response::Response};
use policy::{CheckKind, Observation, Seen};
use watch::Attestation;

use super::{
    findings::FindingView,
    frame::Frame,
    page::{Page, see},
    policy::Shown,
    time::{When, span},
    visitor::{Posted, Visitor},
    who::Who,
};
use crate::{App, extract::Path, problem::Problem};

/// Observations on the page.
const SHOWN: usize = 60;

struct Row {
    seen: &'static str,
    at: When,
    examined: u64,
    failed: u64,
    summary: String,
    by: Who,
    event: String,
    late: bool,
}

struct Tick {
    class: &'static str,
    x: usize,
    height: usize,
    y: usize,
}

#[derive(Template)]
#[template(path = "check.html")]
struct CheckPage {
    frame: Frame,
    id: String,
    title: String,
    kind: &'static str,
    control: String,
    text: String,
    every: String,
    valid: String,
    state: Shown,
    valid_until: Option<When>,
    sentences: Vec<(String, String)>,
    rows: Vec<Row>,
    ticks: Vec<Tick>,
    findings: Vec<FindingView>,
    manual: bool,
    may_ask: bool,
    may_attest: bool,
}

fn row(one: &Observation, names: &Names, when: impl Fn(base::Timestamp) -> When) -> Row {
    Row {
        seen: one.seen.as_str(),
        at: when(one.effective),
        examined: one.examined,
        failed: one.failed,
        summary: one.summary.clone(),
        by: Who::new(names, one.by.as_str()),
        event: one.event.clone(),
        late: one.received.since(one.effective).seconds() > 3_600,
    }
}

/// A mark for each observation, the oldest left; what failed is as tall as what passed, and of another colour and place.
fn ticks(all: &[Observation]) -> Vec<Tick> {
    let mark = |(place, one): (usize, &Observation)| {
        let (class, y, height) = match one.seen {
            Seen::Pass => ("pass", 4, 22),
            Seen::Fail => ("fail", 10, 22),
            Seen::Unknown => ("unknown", 14, 6),
        };
        Tick { class, x: place * 10, height, y }
    };
    all.iter().rev().enumerate().map(mark).collect()
}

pub(crate) async fn show(
    State(app): State<App>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Result<Page<impl Template>, Problem> {
    let now = app.now();
    let when = |at| When::new(at, now);
    let page = app.watch().observations(&visitor.principal, &id, None, SHOWN).await?;
    let names = visitor.names(&app, page.items.iter().map(|one| one.by.as_str())).await?;
    let assessed = app.watch().assess(&visitor.principal, None, None).await?;
    let registry = app.watch().registry();
    let known = assessed.assessment.checks.iter().find(|one| one.check == id);
    let found = registry.checks().find(|(_, check)| check.id == id);
    let sentences = assessed.assessment.clauses.iter().flat_map(|clause| &clause.sentences);
    let sentences = sentences.filter(|one| one.checks.contains(&id));
    let kind = known.map(|one| one.kind).or(found.map(|(_, check)| check.kind));
    let kind = kind.unwrap_or(CheckKind::Manual);
    let title = known.map(|one| one.title.clone()).or(found.map(|(_, check)| check.title.clone()));
    let of_it = assessed.findings.iter().filter(|one| one.check == id).take(SHOWN);
    let page = CheckPage {
        frame: visitor.frame(&app),
        title: title.clone().unwrap_or_else(|| id.clone()),
        kind: kind.as_str(),
        control: found.map(|(control, _)| control.title.clone()).unwrap_or_default(),
        text: found.map(|(control, _)| control.text.clone()).unwrap_or_default(),
        every: found.map(|(_, check)| span(check.every)).unwrap_or_default(),
        valid: found.map(|(_, check)| span(check.valid)).unwrap_or_default(),
        state: Shown(known.map_or(policy::State::NeverObserved, |one| one.state)),
        valid_until: known.and_then(|one| one.valid_until).map(when),
        sentences: sentences.map(|one| (one.id.clone(), one.text.clone())).collect(),
        rows: page.items.iter().map(|one| row(one, &names, when)).collect(),
        ticks: ticks(&page.items),
        findings: of_it.map(|one| FindingView::new(one, title.clone(), now)).collect(),
        manual: kind == CheckKind::Manual,
        may_ask: visitor.may(&app, Action::EvidenceAsk) && kind != CheckKind::Manual,
        may_attest: visitor.may(&app, Action::EvidenceAttest) && kind == CheckKind::Manual,
        id,
    };
    Ok(Page(page))
}

pub(crate) async fn run(
    State(app): State<App>,
    Path(id): Path<String>,
    Posted { visitor, .. }: Posted,
) -> Result<Response, Problem> {
    app.watch().ask(&visitor.principal, std::slice::from_ref(&id)).await?.into_inner();
    Ok(see(&format!("/checks/{}?done=asked", super::page::quoted(&id))))
}

pub(crate) async fn attest(
    State(app): State<App>,
    Path(id): Path<String>,
    Posted { visitor, mut form }: Posted,
) -> Result<Response, Problem> {
    let attestation = Attestation {
        check: id.clone(),
        effective: None,
        collected: None,
        holds: form.take("holds").as_deref() == Some("yes"),
        examined: form.take_number("examined", 1, 1_000_000_000)?.unwrap_or(1).into(),
        failed: form.take_number("failed", 0, 1_000_000_000)?.unwrap_or(0).into(),
        summary: form.take("summary").unwrap_or_default(),
        document: form.take("document").filter(|text| !text.is_empty()),
    };
    app.watch().attest(&visitor.principal, &attestation).await?.into_inner();
    Ok(see(&format!("/checks/{}?done=attested", super::page::quoted(&id))))
}

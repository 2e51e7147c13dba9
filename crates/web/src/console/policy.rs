//! The policy, with what is known of every sentence beside it.

use access::{Action, Names};
use askama::Template;
use axum::extract::State;
use base::Timestamp;
use policy::{CheckState, ClauseState, Document, Exception, SentenceState, State as Known};
use watch::{Assessed, Standing};

use super::{
    frame::Frame,
    page::Page,
    time::{When, day},
    visitor::Visitor,
    who::Who,
};
use crate::{
    App,
    extract::{Pairs, Path, Query, QueryParameters},
    problem::Problem,
};

/// A sentence, and what is beside it.
struct Line {
    id: String,
    text: String,
    state: Shown,
    /// Where one click leads: to its check, or to its clause if there are several or none.
    link: String,
    seen: String,
}

struct ClauseView {
    id: String,
    title: String,
    lines: Vec<Line>,
    exceptions: Vec<Exception>,
}

struct SectionView {
    id: String,
    title: String,
    clauses: Vec<ClauseView>,
}

/// A state, its class and its word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shown(pub(crate) Known);

impl Shown {
    /// For the style sheet.
    pub(crate) const fn class(&self) -> &'static str {
        match self.0 {
            Known::NotApplicable => "not-applicable",
            Known::Satisfied => "satisfied",
            Known::Stale => "stale",
            Known::NeverObserved => "never-observed",
            Known::Gap => "gap",
            Known::NotSatisfied => "not-satisfied",
        }
    }
    /// As it reads on a page.
    pub(crate) const fn word(&self) -> &'static str {
        match self.0 {
            Known::NotApplicable => "Not applicable",
            Known::Satisfied => "True now",
            Known::Stale => "Stale",
            Known::NeverObserved => "Not seen yet",
            Known::Gap => "Nothing holds it",
            Known::NotSatisfied => "Not true now",
        }
    }
}

/// A part of the bar at the top.
pub(crate) struct Part {
    pub(crate) state: Shown,
    pub(crate) count: usize,
    x: f64,
    width: f64,
}

impl Part {
    pub(crate) fn x(&self) -> String {
        format!("{:.3}", self.x)
    }
    pub(crate) fn width(&self) -> String {
        format!("{:.3}", self.width)
    }
}

#[derive(Template)]
#[template(path = "policy.html")]
struct PolicyPage {
    frame: Frame,
    title: String,
    company: String,
    version: u32,
    standing: &'static str,
    is_specimen: bool,
    effective: String,
    next_review: String,
    sections: Vec<SectionView>,
    parts: Vec<Part>,
    total: usize,
    open: usize,
    as_of: Option<When>,
    may_propose: bool,
}

/// As of when.
pub(crate) struct AsOf {
    pub(crate) at: Option<Timestamp>,
}

impl QueryParameters for AsOf {
    fn take(pairs: &mut Pairs) -> Result<Self, Problem> {
        pairs.take("done");
        let at = pairs.take("as_of").filter(|text| !text.is_empty());
        let at = at.map(|text| instant(&text)).transpose()?;
        Ok(Self { at })
    }
}

/// An instant as a form gives it: a day, whose end is meant, a minute, or an exact one.
fn instant(text: &str) -> Result<Timestamp, Problem> {
    let whole = match text.len() {
        10 => format!("{text}T23:59:59Z"),
        16 => format!("{text}:00Z"),
        _ => text.to_owned(),
    };
    whole
        .parse()
        .map_err(|_| Problem::invalid("invalid-parameter", "as_of", "expected a day such as `2026-11-20`"))
}

/// What was last seen of the checks of a sentence, in a few words.
fn seen(checks: &[&CheckState], state: Known, now: Timestamp) -> String {
    let newest = checks.iter().filter_map(|one| one.observation.as_ref()).map(|one| one.effective).max();
    match (state, newest) {
        (Known::Gap, _) => "no check".to_owned(),
        (Known::NotApplicable, _) => "by exception".to_owned(),
        (_, None) => "waiting for the first look".to_owned(),
        (_, Some(at)) => format!("seen {}", When::new(at, now)),
    }
}

fn line(sentence: &SentenceState, clause: &ClauseState, checks: &[CheckState], now: Timestamp) -> Line {
    let of: Vec<&CheckState> = checks.iter().filter(|one| sentence.checks.contains(&one.check)).collect();
    let state = if clause.state == Known::NotApplicable { Known::NotApplicable } else { sentence.state };
    let link = match of.as_slice() {
        [one] => format!("/checks/{}", super::page::quoted(&one.check)),
        _ => format!("/clauses/{}#{}", clause.clause, sentence.id),
    };
    Line {
        id: sentence.id.clone(),
        text: sentence.text.clone(),
        state: Shown(state),
        link,
        seen: seen(&of, state, now),
    }
}

/// The bar of all sentences, the best first.
pub(crate) fn parts<'a>(states: impl Iterator<Item = &'a Known> + Clone) -> Vec<Part> {
    let order = [
        Known::Satisfied,
        Known::Stale,
        Known::NeverObserved,
        Known::NotSatisfied,
        Known::Gap,
        Known::NotApplicable,
    ];
    let total = states.clone().count().max(1) as f64;
    let mut x = 0.0;
    let part = |state: Known| {
        let count = states.clone().filter(|one| **one == state).count();
        let width = 100.0 * count as f64 / total;
        let part = Part { state: Shown(state), count, x, width };
        x += width;
        part
    };
    order.into_iter().map(part).filter(|part| part.count > 0).collect()
}

fn sections(document: &Document, assessed: &Assessed, now: Timestamp) -> Vec<SectionView> {
    let known = |id: &policy::ClauseId| assessed.assessment.clauses.iter().find(|one| one.clause == *id);
    let clause = |one: &policy::DocumentClause| {
        let state = known(&one.id)?;
        let lines =
            state.sentences.iter().map(|text| line(text, state, &assessed.assessment.checks, now)).collect();
        let exceptions = state.exceptions.iter().filter(|one| one.is_in_force(now)).cloned().collect();
        Some(ClauseView { id: one.id.to_string(), title: one.title.clone(), lines, exceptions })
    };
    let section = |one: &policy::DocumentSection| SectionView {
        id: one.id.clone(),
        title: one.title.clone(),
        clauses: one.clauses.iter().filter_map(clause).collect(),
    };
    document.sections.iter().map(section).collect()
}

pub(crate) async fn show(
    State(app): State<App>,
    visitor: Visitor,
    Query(AsOf { at }): Query<AsOf>,
) -> Result<Page<impl Template>, Problem> {
    let now = app.now();
    let (document, assessed) = app.watch().assess_document(&visitor.principal, None, at).await?;
    let seen_from = at.unwrap_or(now);
    let states: Vec<Known> = assessed
        .assessment
        .clauses
        .iter()
        .flat_map(|clause| clause.sentences.iter().map(move |one| (clause.state, one.state)))
        .map(|(clause, one)| if clause == Known::NotApplicable { clause } else { one })
        .collect();
    let page = PolicyPage {
        frame: visitor.frame(&app),
        title: document.title.clone(),
        company: document.company.clone(),
        version: document.version,
        standing: assessed.standing.as_str(),
        is_specimen: assessed.standing == Standing::Specimen,
        effective: document.effective.clone(),
        next_review: document.next_review.clone(),
        sections: sections(&document, &assessed, seen_from),
        parts: parts(states.iter()),
        total: states.len(),
        open: assessed.findings.iter().filter(|one| one.closed.is_none()).count(),
        as_of: at.map(|at| When::new(at, now)),
        may_propose: visitor.may(&app, Action::PolicyPropose),
    };
    Ok(Page(page))
}

/// A check of a clause, with the sentences that it is about.
struct CheckView {
    id: String,
    title: String,
    kind: &'static str,
    state: Shown,
    seen: Option<When>,
    summary: String,
    valid_until: Option<When>,
    sentences: Vec<String>,
}

struct ControlView {
    title: String,
    text: String,
    evidence: String,
    open: String,
    absent: Option<String>,
}

#[derive(Template)]
#[template(path = "clause.html")]
struct ClausePage {
    frame: Frame,
    id: String,
    title: String,
    state: Shown,
    lines: Vec<Line>,
    checks: Vec<CheckView>,
    controls: Vec<ControlView>,
    frameworks: Vec<(String, String)>,
    findings: Vec<super::findings::FindingView>,
    exceptions: Vec<super::exceptions::ExceptionView>,
    history: Vec<Change>,
}

/// That a clause read otherwise from a version on.
struct Change {
    version: u32,
    /// Who put it up; nobody of the specimen.
    by: Option<Who>,
    standing: &'static str,
    from: String,
    text: String,
}

pub(crate) async fn clause(
    State(app): State<App>,
    visitor: Visitor,
    Path(id): Path<String>,
    Query(AsOf { at }): Query<AsOf>,
) -> Result<Page<impl Template>, Problem> {
    let now = app.now();
    let (document, assessed) = app.watch().assess_document(&visitor.principal, None, at).await?;
    let state = assessed.assessment.clauses.iter().find(|one| one.clause.as_str() == id);
    let Some(state) = state else { return Err(watch::WatchError::NotFound("clause").into()) };
    let seen_from = at.unwrap_or(now);
    let lines: Vec<Line> =
        state.sentences.iter().map(|one| line(one, state, &assessed.assessment.checks, seen_from)).collect();
    let asked = |check: &CheckState| state.sentences.iter().any(|one| one.checks.contains(&check.check));
    let checks: Vec<&CheckState> = assessed.assessment.checks.iter().filter(|one| asked(one)).collect();
    let when = |at| When::new(at, seen_from);
    let view = |check: &&CheckState| CheckView {
        id: check.check.clone(),
        title: check.title.clone(),
        kind: check.kind.as_str(),
        state: Shown(check.state),
        seen: check.observation.as_ref().map(|one| when(one.effective)),
        summary: check.observation.as_ref().map(|one| one.summary.clone()).unwrap_or_default(),
        valid_until: check.valid_until.map(when),
        sentences: state
            .sentences
            .iter()
            .filter(|one| one.checks.contains(&check.check))
            .map(|one| one.id.clone())
            .collect(),
    };
    let controls = app.watch().registry().of_clause(&state.clause).map(|control| ControlView {
        title: control.title.clone(),
        text: control.text.clone(),
        evidence: control.evidence.clone(),
        open: control.open.clone(),
        absent: app.watch().absent().contains(&control.id).then(|| control.needs.clone()),
    });
    let in_catalogue = app.watch().catalogue().clause(&state.clause);
    let frameworks = in_catalogue.into_iter().flat_map(|clause| &clause.frameworks);
    let frameworks = frameworks.map(|(one, ids)| (one.title().to_owned(), ids.join(", "))).collect();
    let of_it = |check: &str| checks.iter().any(|one| one.check == check);
    let findings = assessed.findings.iter().filter(|one| of_it(&one.check)).take(20);
    let title = |id: &str| checks.iter().find(|one| one.check == id).map(|one| one.title.clone());
    let versions = app.watch().adopted_documents(&visitor.principal).await?;
    let writers = versions.iter().map(|(summary, _)| summary.version.proposed_by.as_str());
    let owners = state.exceptions.iter().map(|one| one.owner.as_str());
    let names = visitor.names(&app, writers.chain(owners)).await?;
    let page = ClausePage {
        frame: visitor.frame(&app),
        id: id.clone(),
        title: state.title.clone(),
        state: Shown(state.state),
        lines,
        checks: checks.iter().map(view).collect(),
        controls: controls.collect(),
        frameworks,
        findings: findings
            .map(|one| super::findings::FindingView::new(one, title(&one.check), seen_from))
            .collect(),
        exceptions: state
            .exceptions
            .iter()
            .map(|one| super::exceptions::ExceptionView::new(one, &names, seen_from))
            .collect(),
        history: history(versions, &names, &state.clause, &document),
    };
    Ok(Page(page))
}

/// How a clause read from version to version, the newest first: what did not change is left out.
fn history(
    versions: Vec<(watch::VersionSummary, Document)>,
    names: &Names,
    clause: &policy::ClauseId,
    document: &Document,
) -> Vec<Change> {
    let mut changes: Vec<Change> = Vec::new();
    let text_in = |document: &Document| {
        let found = document.clauses().find(|one| one.id == *clause);
        found.map(|one| one.sentences.iter().map(|one| one.text.as_str()).collect::<Vec<_>>().join(" "))
    };
    if versions.is_empty() {
        return vec![Change {
            version: document.version,
            by: None,
            standing: Standing::Specimen.as_str(),
            from: "not adopted yet".to_owned(),
            text: text_in(document).unwrap_or_default(),
        }];
    }
    for (summary, document) in versions {
        let text = text_in(&document).unwrap_or_else(|| "It was not part of this version.".to_owned());
        // The same words as before: only the first version that had them is shown.
        if changes.last().is_some_and(|last: &Change| last.text == text) {
            changes.pop();
        }
        changes.push(Change {
            version: summary.version.version,
            by: Some(Who::new(names, summary.version.proposed_by.as_str())),
            standing: summary.standing.as_str(),
            from: summary.version.in_effect_from().map(day).unwrap_or_default(),
            text,
        });
    }
    changes
}

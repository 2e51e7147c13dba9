//! Versions of the policy: put up, approved, acknowledged; and the form that makes the first.

use std::collections::{BTreeMap, BTreeSet};

use access::Action;
use askama::Template;
use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use base::{Duration, Timestamp};
use policy::{Answers, Filled, Finding, Framework, ParameterKind};
use watch::{Standing, VersionSummary, WatchError};

use super::{
    frame::Frame,
    page::{Page, see},
    time::{When, day},
    visitor::{Posted, Visitor},
    who::Who,
};
use crate::{
    App,
    extract::{Pairs, Path},
    problem::Problem,
};

struct Row {
    version: u32,
    standing: &'static str,
    class: &'static str,
    proposed: When,
    by: Who,
    approved: usize,
    effective: String,
    next_review: String,
    review_overdue: bool,
}

#[derive(Template)]
#[template(path = "versions.html")]
struct VersionsPage {
    frame: Frame,
    rows: Vec<Row>,
    may: bool,
}

struct SectionView {
    id: String,
    title: String,
    clauses: Vec<(String, String, String)>,
}

#[derive(Template)]
#[template(path = "version.html")]
struct VersionPage {
    frame: Frame,
    version: u32,
    title: String,
    company: String,
    author: String,
    standing: &'static str,
    class: &'static str,
    sha256: String,
    proposed_by: Who,
    proposed: When,
    approvals: Vec<(Who, When)>,
    effective: String,
    next_review: String,
    acknowledged: usize,
    waiting: usize,
    mine: Vec<String>,
    sections: Vec<SectionView>,
    may_approve: bool,
    own: bool,
    may_invite: bool,
    may_acknowledge: bool,
}

struct Field {
    name: String,
    label: String,
    hint: String,
    value: String,
    choices: Vec<String>,
    wrong: Option<String>,
}

struct Decision {
    clause: String,
    title: String,
    guidance: String,
    holds: bool,
    reason: String,
    wrong: Option<String>,
}

#[derive(Template)]
#[template(path = "setup.html")]
struct SetupPage {
    frame: Frame,
    version: u32,
    company: String,
    effective: String,
    next_review: String,
    frameworks: Vec<(&'static str, &'static str, bool)>,
    fields: Vec<Field>,
    decisions: Vec<Decision>,
    wrong: Vec<String>,
    begun: bool,
}

fn class(standing: Standing) -> &'static str {
    match standing {
        Standing::InEffect => "good",
        Standing::Proposed | Standing::Adopted => "warn",
        Standing::Superseded | Standing::Specimen => "",
    }
}

pub(crate) async fn list(State(app): State<App>, visitor: Visitor) -> Result<Page<impl Template>, Problem> {
    let now = app.now();
    let all = app.watch().versions(&visitor.principal).await?;
    let names = visitor.names(&app, all.iter().map(|one| one.version.proposed_by.as_str())).await?;
    let may = visitor.may(&app, Action::PolicyPropose);
    let row = |one: VersionSummary| Row {
        by: Who::new(&names, one.version.proposed_by.as_str()),
        version: one.version.version,
        standing: one.standing.as_str(),
        class: class(one.standing),
        proposed: When::new(one.version.proposed_at, now),
        approved: one.version.approvals.len(),
        effective: day(one.version.effective),
        next_review: day(one.version.next_review),
        review_overdue: one.standing == Standing::InEffect && one.version.next_review < now,
    };
    let rows = all.into_iter().map(row).collect();
    Ok(Page(VersionsPage { frame: visitor.frame(&app), rows, may }))
}

pub(crate) async fn show(
    State(app): State<App>,
    visitor: Visitor,
    Path(number): Path<u32>,
) -> Result<Page<impl Template>, Problem> {
    let now = app.now();
    let found = app.watch().version(&visitor.principal, Some(number), None).await?;
    let version = &found.summary.version;
    let me = visitor.session.operator.to_string();
    let asked = found.outstanding.people.iter().find(|one| one.who == me);
    let clause = |one: &policy::DocumentClause| {
        let text = one.sentences.iter().map(|one| one.text.as_str()).collect::<Vec<_>>().join(" ");
        (one.id.to_string(), one.title.clone(), text)
    };
    let section = |one: &policy::DocumentSection| SectionView {
        id: one.id.clone(),
        title: one.title.clone(),
        clauses: one.clauses.iter().map(clause).collect(),
    };
    let mine: Vec<String> =
        asked.map(|one| one.clauses.iter().map(ToString::to_string).collect()).unwrap_or_default();
    let is_proposed = found.summary.standing == Standing::Proposed;
    let own = version.proposed_by == me;
    let approvers = version.approvals.iter().map(|one| one.by.as_str());
    let names = visitor.names(&app, approvers.chain([version.proposed_by.as_str()])).await?;
    let page = VersionPage {
        frame: visitor.frame(&app),
        version: number,
        title: found.document.title.clone(),
        company: found.document.company.clone(),
        author: found.document.author.clone(),
        standing: found.summary.standing.as_str(),
        class: class(found.summary.standing),
        sha256: version.sha256.clone(),
        proposed_by: Who::new(&names, version.proposed_by.as_str()),
        proposed: When::new(version.proposed_at, now),
        approvals: version
            .approvals
            .iter()
            .map(|one| (Who::new(&names, one.by.as_str()), When::new(one.at, now)))
            .collect(),
        effective: day(version.effective),
        next_review: day(version.next_review),
        acknowledged: found.acknowledgements.iter().map(|one| &one.by).collect::<BTreeSet<_>>().len(),
        waiting: found.outstanding.waiting().count(),
        may_acknowledge: !mine.is_empty(),
        mine,
        sections: found.document.sections.iter().map(section).collect(),
        may_approve: is_proposed && visitor.may(&app, Action::PolicyApprove) && !own,
        own: own && is_proposed,
        may_invite: visitor.may(&app, Action::OperatorInvite),
    };
    Ok(Page(page))
}

pub(crate) async fn approve(
    State(app): State<App>,
    Path(version): Path<u32>,
    Posted { visitor, mut form }: Posted,
) -> Result<Response, Problem> {
    let sha256 = form.take("sha256").unwrap_or_default();
    app.watch().approve(&visitor.principal, version, &sha256).await?;
    Ok(see(&format!("/versions/{version}?done=approved")))
}

pub(crate) async fn acknowledge(
    State(app): State<App>,
    Path(version): Path<u32>,
    Posted { visitor, mut form }: Posted,
) -> Result<Response, Problem> {
    let sha256 = form.take("sha256").unwrap_or_default();
    app.watch().acknowledge(&visitor.principal, version, &sha256).await?;
    Ok(see(&format!("/versions/{version}?done=acknowledged")))
}

/// What stands in the form.
#[derive(Clone, Debug, Default)]
struct Form {
    answers: Answers,
    filled: Filled,
}

/// A day from now.
fn in_days(now: Timestamp, days: i64) -> String {
    now.plus(Duration::from_days(days)).to_string().get(..10).unwrap_or_default().to_owned()
}

/// The form as it stands before anybody has written in it: what a version that was put up before says, or nothing.
async fn begun(app: &App, visitor: &Visitor) -> Result<Form, Problem> {
    let now = app.now();
    let mut form = Form {
        answers: Answers {
            author: visitor.session.name.clone(),
            frameworks: vec![Framework::Iso27001, Framework::Soc2],
            effective: in_days(now, 0),
            next_review: in_days(now, 365),
            ..Answers::default()
        },
        filled: Filled { version: 1, ..Filled::default() },
    };
    let latest = app.watch().versions(&visitor.principal).await?.into_iter().next();
    let Some(latest) = latest else { return Ok(form) };
    let number = latest.version.version;
    let found = app.watch().version(&visitor.principal, Some(number), None).await?;
    let document = &found.document;
    form.filled.version = if latest.standing == Standing::Proposed { number } else { number + 1 };
    form.answers.company = document.company.clone();
    form.answers.frameworks = document.frameworks.iter().copied().collect();
    form.filled.parameters =
        document.parameters.iter().map(|(name, value)| (name.clone(), value.names().join(", "))).collect();
    for clause in document.clauses() {
        if let Some(feasible) = &clause.feasible {
            form.filled.feasible.insert(clause.id.clone(), (feasible.holds, feasible.decided.reason.clone()));
        }
    }
    Ok(form)
}

/// The form as it was sent.
fn sent(app: &App, visitor: &Visitor, pairs: &mut Pairs) -> Result<Form, Problem> {
    let now = app.now();
    let mut text = |name: &str| pairs.take(name).unwrap_or_default().trim().to_owned();
    let mut frameworks = Vec::new();
    for one in Framework::ALL {
        if text(&format!("framework-{one}")) == "on" {
            frameworks.push(one);
        }
    }
    let answers = Answers {
        company: text("company"),
        author: visitor.session.name.clone(),
        frameworks,
        effective: text("effective"),
        next_review: text("next_review"),
    };
    let mut filled = Filled {
        version: pairs.take_number("version", 1, 1_000_000)?.unwrap_or(1),
        by: visitor.session.name.clone(),
        date: in_days(now, 0),
        ..Filled::default()
    };
    for parameter in app.watch().catalogue().parameters() {
        if let Some(value) = pairs.take(&format!("parameter-{}", parameter.name)) {
            filled.parameters.insert(parameter.name.clone(), value);
        }
    }
    for clause in policy::to_decide(app.watch().catalogue(), &Framework::ALL) {
        let holds = pairs.take(&format!("holds-{}", clause.id)).as_deref() != Some("no");
        let reason = pairs.take(&format!("reason-{}", clause.id)).unwrap_or_default();
        filled.feasible.insert(clause.id.clone(), (holds, reason));
    }
    Ok(Form { answers, filled })
}

/// A page of the form, with what is wrong beside each field.
fn page(app: &App, visitor: &Visitor, form: &Form, found: &[Finding]) -> SetupPage {
    let mut left: Vec<&Finding> = found.iter().collect();
    let mut wrong = |file: &str, key: &str| {
        let place = left.iter().position(|one| one.file == file && one.key == key)?;
        Some(left.remove(place).message.clone())
    };
    let catalogue = app.watch().catalogue();
    let mut fields = Vec::new();
    for parameter in catalogue.parameters().iter().filter(|one| one.name != "company") {
        let example = parameter.shown_example();
        fields.push(Field {
            name: parameter.name.clone(),
            label: parameter.about.clone(),
            hint: match parameter.kind {
                ParameterKind::Names => format!("Separated by commas, such as {example}"),
                _ => format!("Such as {example}"),
            },
            value: form.filled.parameters.get(&parameter.name).cloned().unwrap_or_default(),
            choices: parameter.choices.clone(),
            wrong: wrong("parameters.toml", &parameter.name),
        });
    }
    let mut decisions = Vec::new();
    for clause in policy::to_decide(catalogue, &Framework::ALL) {
        let given = form.filled.feasible.get(&clause.id).cloned();
        let (holds, reason) = given.unwrap_or((true, String::new()));
        decisions.push(Decision {
            clause: clause.id.to_string(),
            title: clause.title.clone(),
            guidance: clause.guidance.clone(),
            holds,
            reason,
            wrong: wrong("decisions.toml", clause.id.as_str()),
        });
    }
    let chosen = |one: Framework| (one.as_str(), one.title(), form.answers.frameworks.contains(&one));
    SetupPage {
        frame: visitor.frame(app),
        version: form.filled.version,
        company: form.answers.company.clone(),
        effective: form.answers.effective.clone(),
        next_review: form.answers.next_review.clone(),
        frameworks: Framework::ALL.into_iter().map(chosen).collect(),
        fields,
        decisions,
        begun: found.is_empty(),
        wrong: left.iter().map(|one| format!("{}: {}", one.key, one.message)).collect(),
    }
}

pub(crate) async fn setup(State(app): State<App>, visitor: Visitor) -> Result<Page<impl Template>, Problem> {
    let form = begun(&app, &visitor).await?;
    Ok(Page(page(&app, &visitor, &form, &[])))
}

pub(crate) async fn propose(
    State(app): State<App>,
    Posted { visitor, mut form }: Posted,
) -> Result<Response, Problem> {
    let form = sent(&app, &visitor, &mut form)?;
    let catalogue = app.watch().catalogue();
    // Only what the chosen frameworks ask for is decided on.
    let needed: BTreeMap<_, _> = policy::to_decide(catalogue, &form.answers.frameworks)
        .into_iter()
        .filter_map(|clause| form.filled.feasible.get_key_value(&clause.id))
        .map(|(id, given)| (id.clone(), given.clone()))
        .filter(|(_, (_, reason))| !reason.trim().is_empty())
        .collect();
    let filled = Filled { feasible: needed, ..form.filled.clone() };
    let files = policy::filled(catalogue, &form.answers, &filled);
    match app.watch().propose(&visitor.principal, files).await {
        Ok(version) => Ok(see(&format!("/versions/{}?done=proposed", version.version))),
        Err(WatchError::Faulty(found)) => Ok(Page(page(&app, &visitor, &form, &found)).into_response()),
        Err(error) => Err(error.into()),
    }
}

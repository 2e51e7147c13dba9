//! The policy of the fictitious company, in two versions, and what its people do about it: put up, approve, adopt,
//! acknowledge, attest, answer for what is not held, and look at what is known.

use access::Principal;
use base::{Duration, EventId, Timestamp};
use ledger::EventQuery;
use policy::{Answers, Catalogue, Files, Framework};
use store::EventOrder;
use watch::{Attestation, NewException};

use super::{failed, people::Person};
use crate::{
    failure::{Exit, Failure},
    server::stage::Stage,
};

/// Of whom the story tells.
pub const COMPANY: &str = "Northwind Clinics";

/// What the second version says in the company's own words: one is attested, the other still waits for somebody.
const WORDINGS: &str = "[text]\n\
    \"CD-8\" = \"At {company}, each practice, laboratory and insurer signs in for its own account, and reaches nothing outside it.\"\n\
    \"DD-2\" = \"{company} keeps a signed certificate of each erasure of patients' data, and gives it to whoever asked for the erasure.\"\n";

fn day(instant: Timestamp) -> String {
    instant.to_string().chars().take(10).collect()
}

/// The files of a version, put up now.
fn files(catalogue: &Catalogue, version: u32, now: Timestamp) -> Files {
    let mut frameworks = vec![Framework::Hipaa, Framework::Gdpr];
    if version > 1 {
        frameworks.push(Framework::Soc2);
    }
    let answers = Answers {
        company: COMPANY.to_owned(),
        author: "Tomasz Wrona".to_owned(),
        frameworks,
        effective: day(now),
        next_review: day(now + Duration::from_days(365)),
    };
    let mut files = policy::starter(catalogue, &answers);
    if let Some(policy) = files.get_mut("policy.toml") {
        *policy = policy.replacen("version = 1\n", &format!("version = {version}\n"), 1);
    }
    if let Some(parameters) = files.get_mut("parameters.toml") {
        for parameter in catalogue.parameters() {
            let name = &parameter.name;
            *parameters = parameters
                .replace(&format!("\n{name} = \"TODO\""), &format!("\n{name} = {}", parameter.example));
            // What only a clause that is kept says.
            let is_said = kept(version).iter().any(|(_, _, said)| *said == name);
            if is_said && !parameters.contains(&format!("\n{name} = ")) {
                parameters.push_str(&format!("\n{name} = {}\n", parameter.example));
            }
        }
    }
    if let Some(decisions) = files.get_mut("decisions.toml") {
        *decisions = decisions
            .replace(
                "reason = \"TODO\"",
                "reason = \"in every repository; the portal's caches are emptied each night\"",
            )
            .replace("by = \"TODO\"", "by = \"Mira Halvorsen\"")
            .replace("date = \"TODO\"", &format!("date = \"{}\"", day(now)));
        // No witness is configured, so none is claimed.
        for clause in ["AO-2", "AO-3"] {
            *decisions = decisions.replace(
                &format!("clause = \"{clause}\"\nholds = true"),
                &format!("clause = \"{clause}\"\nholds = false"),
            );
        }
        for (clause, reason, _) in kept(version) {
            decisions.push_str(&format!(
                "\n[[keep]]\nclause = \"{clause}\"\nreason = \"{reason}\"\nby = \"Mira Halvorsen\"\ndate = \"{}\"\n",
                day(now)
            ));
        }
    }
    if version > 1 {
        files.insert("wording.toml".to_owned(), WORDINGS.to_owned());
    }
    files
}

/// Clauses that no framework of the version asks for, why they are kept, and the parameter that they speak of.
fn kept(version: u32) -> &'static [(&'static str, &'static str, &'static str)] {
    const KEPT: [(&str, &str, &str); 4] = [
        ("SD-3", "patients' files are read decades after they were written", ""),
        ("SD-4", "a practice can't wait a day for a file", "retrieval_time"),
        ("SD-5", "disks of imaging devices leave the house with patients' data on them", ""),
        (
            "AO-4",
            "administrators can make accounts, so a second person looks at what they do",
            "privileged_review_time",
        ),
    ];
    if version > 1 { &KEPT } else { KEPT.split_at(3).0 }
}

/// Puts a version up; its hash.
pub(crate) async fn propose(stage: &Stage, by: &Person, version: u32) -> Result<String, Failure> {
    let files = files(stage.watch.catalogue(), version, stage.now());
    let put = stage.watch.propose(&by.principal(stage).await?, files).await;
    let put = put.map_err(|error| {
        Failure::fault("the demonstration's policy was refused", &error)
            .remedy("what is configured contradicts it: try `--demo` with the default configuration")
    })?;
    Ok(put.into_inner().sha256)
}

/// Approves a version, which adopts it.
pub(crate) async fn approve(stage: &Stage, by: &Person, version: u32, sha256: &str) -> Result<(), Failure> {
    let approved = stage.watch.approve(&by.principal(stage).await?, version, sha256).await;
    approved.map(|_| ()).map_err(|error| failed(&error))
}

/// Acknowledges a version.
pub(crate) async fn acknowledge(
    stage: &Stage,
    by: &Person,
    version: u32,
    sha256: &str,
) -> Result<(), Failure> {
    let acknowledged = stage.watch.acknowledge(&by.principal(stage).await?, version, sha256).await;
    acknowledged.map(|_| ()).map_err(|error| failed(&error))
}

/// Attests that a check holds, of so many things, as of then.
pub(crate) async fn attest(
    stage: &Stage,
    by: &Person,
    check: &str,
    (examined, summary): (u64, &str),
    effective: Option<Timestamp>,
) -> Result<(), Failure> {
    let given = Attestation {
        check: check.to_owned(),
        effective,
        collected: None,
        holds: true,
        examined,
        failed: 0,
        summary: summary.to_owned(),
        document: Some(watch::sha256(summary.as_bytes())),
    };
    let attested = stage.watch.attest(&by.principal(stage).await?, &given).await;
    attested.map(|_| ()).map_err(|error| failed(&error))
}

/// Answers for a clause that is not held, until then; the exception's id.
pub(crate) async fn except(
    stage: &Stage,
    (by, owner): (&Person, &Person),
    clause: &str,
    reason: &str,
    until: Timestamp,
) -> Result<EventId, Failure> {
    let given = NewException {
        clause: clause.to_owned(),
        not_applicable: false,
        reason: reason.to_owned(),
        owner: owner.id.to_string(),
        until,
    };
    let set = stage.watch.except(&by.principal(stage).await?, &given).await;
    Ok(set.map_err(|error| failed(&error))?.event_id())
}

/// Ends an exception before its day.
pub(crate) async fn end_exception(stage: &Stage, by: &Person, id: EventId) -> Result<(), Failure> {
    let ended = stage.watch.end_exception(&by.principal(stage).await?, id).await;
    ended.map(|_| ()).map_err(|error| failed(&error))
}

/// The auditor looks: at the policy, at what is known of it, at the log; and is refused what auditors may not do.
pub(crate) async fn audit(stage: &Stage, auditor: &Person, account: base::AccountId) -> Result<(), Failure> {
    let as_auditor: Principal = auditor.principal(stage).await?;
    stage.watch.versions(&as_auditor).await.map_err(|error| failed(&error))?;
    stage.pass(Duration::from_seconds(40)).await?;
    stage.watch.assess(&as_auditor, None, None).await.map_err(|error| failed(&error))?;
    stage.pass(Duration::from_seconds(90)).await?;
    stage
        .watch
        .observations(&as_auditor, "reviews-in-time", None, 50)
        .await
        .map_err(|error| failed(&error))?;
    let query = EventQuery { activity: Some("record.erase".to_owned()), ..EventQuery::default() };
    let page = stage.access.log_search(&as_auditor, &query, EventOrder::NewestFirst, None, 20).await;
    page.map_err(|error| failed(&error))?;
    stage.pass(Duration::from_seconds(30)).await?;
    match stage.access.account_suspend(&as_auditor, account).await {
        Err(access::AccessError::Denied { .. }) => Ok(()),
        Err(error) => Err(failed(&error)),
        Ok(_) => Err(Failure::new(Exit::Failure, "demo", "an auditor was allowed an administrator's act")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::Config, running};
    use policy::Document;

    #[test]
    fn both_versions_are_without_fault_under_the_default_configuration() {
        let catalogue = Catalogue::load().unwrap();
        let running = running::observed(&Config::default()).unwrap();
        let now = Timestamp::from_seconds(1_767_225_600);
        for version in [1, 2] {
            let document = Document::read(&files(&catalogue, version, now), &catalogue, &running).unwrap();
            assert_eq!(document.version, version);
            let own = document.clauses().filter(|clause| clause.own_wording).count();
            assert_eq!(own, if version == 1 { 0 } else { 2 });
        }
    }
}

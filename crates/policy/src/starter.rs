//! The files of a new policy: what is known is filled in, what is not says what to put there, and lint refuses it until
//! somebody has.

use std::{collections::BTreeMap, fmt::Write as _};

use crate::{Catalogue, Clause, ClauseId, Document, Files, Framework, Observed, ParameterKind};

/// What is known of whoever begins a policy.
#[derive(Clone, Debug, Default)]
pub struct Answers {
    /// The organisation's name.
    pub company: String,
    /// Who writes it.
    pub author: String,
    /// The frameworks.
    pub frameworks: Vec<Framework>,
    /// From which day it is in effect: `2026-12-01`.
    pub effective: String,
    /// The day of its next review.
    pub next_review: String,
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// The files.
pub fn starter(catalogue: &Catalogue, answers: &Answers) -> Files {
    let mut policy = String::from(
        "# A data protection policy. It lives well in git: `tenet policy lint` says what is wrong with it.\nformat = 1\n",
    );
    let frameworks: Vec<_> = answers.frameworks.iter().map(|one| quoted(one.as_str())).collect();
    // Writing to a `String` never fails.
    let _ = write!(
        policy,
        "title = \"Data Protection Policy\"\n# Each adopted version has a higher number.\nversion = 1\nauthor = {}\n\
         # Any of iso27001, soc2, nist80053, hipaa, gdpr. Several are a union.\nframeworks = [{}]\neffective = {}\nnext_review = {}\n",
        quoted(&answers.author),
        frameworks.join(", "),
        quoted(&answers.effective),
        quoted(&answers.next_review),
    );
    let mut parameters = String::from("# What the clauses say of you. Fill in each that is `TODO`.\n");
    let of_chosen = |name: &str| {
        let mut chosen = catalogue
            .clauses()
            .filter(|clause| clause.frameworks.keys().any(|one| answers.frameworks.contains(one)));
        chosen.any(|clause| clause.wording.names().contains(&name))
    };
    for parameter in catalogue.parameters().iter().filter(|parameter| of_chosen(&parameter.name)) {
        let value =
            if parameter.name == "company" { quoted(&answers.company) } else { "\"TODO\"".to_owned() };
        let choices = if parameter.choices.is_empty() {
            String::new()
        } else {
            format!(" One of {}.", parameter.choices.join(", "))
        };
        let _ = write!(
            parameters,
            "\n# {}{choices}\n# Such as: {} = {}\n{} = {value}\n",
            parameter.about, parameter.name, parameter.example, parameter.name
        );
    }
    let mut decisions = String::from(
        "# What somebody decided, with the reason, who, and when.\n\
         # [[keep]] keeps a clause that no chosen framework requires; [[drop]] notes that one was left out on purpose;\n\
         # [[feasible]] says what `where feasible` means here: whether it holds, and where; or why it does not.\n",
    );
    let needed = catalogue.clauses().filter(|clause| {
        clause.feasible && clause.frameworks.keys().any(|framework| answers.frameworks.contains(framework))
    });
    for clause in needed {
        let _ = write!(
            decisions,
            "\n# {}: {}\n[[feasible]]\nclause = \"{}\"\nholds = true\nreason = \"TODO\"\nby = \"TODO\"\ndate = \"TODO\"\n",
            clause.id, clause.guidance, clause.id
        );
    }
    let wording = "# Your own words for a clause, instead of those that Tenet brings. {name} puts a parameter in.\n[text]\n# \"RR-4\" = \"On our production hosts, nothing runs that the host's purpose does not need.\"\n";
    Files::from([
        ("policy.toml".to_owned(), policy),
        ("parameters.toml".to_owned(), parameters),
        ("decisions.toml".to_owned(), decisions),
        ("wording.toml".to_owned(), wording.to_owned()),
    ])
}

/// What somebody filled in, in a form.
#[derive(Clone, Debug, Default)]
pub struct Filled {
    /// The version's number.
    pub version: u32,
    /// Of each parameter, by name; names of a list are separated by commas.
    pub parameters: BTreeMap<String, String>,
    /// Of each clause that holds "where feasible": whether it holds, and where or why not.
    pub feasible: BTreeMap<ClauseId, (bool, String)>,
    /// Who decided that.
    pub by: String,
    /// On which day.
    pub date: String,
}

/// The clauses of those frameworks that hold "where feasible", on which somebody has to decide.
pub fn to_decide<'a>(catalogue: &'a Catalogue, frameworks: &[Framework]) -> Vec<&'a Clause> {
    let is_chosen = |clause: &&Clause| clause.frameworks.keys().any(|one| frameworks.contains(one));
    catalogue.clauses().filter(|clause| clause.feasible).filter(is_chosen).collect()
}

/// The files of a policy that was filled in, in a form. What is missing stays to be filled in, and lint says so.
pub fn filled(catalogue: &Catalogue, answers: &Answers, given: &Filled) -> Files {
    let mut files = starter(catalogue, answers);
    if let Some(policy) = files.get_mut("policy.toml") {
        *policy = policy.replace("\nversion = 1\n", &format!("\nversion = {}\n", given.version));
    }
    if let Some(parameters) = files.get_mut("parameters.toml") {
        for parameter in catalogue.parameters() {
            let Some(text) = given.parameters.get(&parameter.name).filter(|text| !text.trim().is_empty())
            else {
                continue;
            };
            let value = match parameter.kind {
                ParameterKind::Names => {
                    let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
                    format!("[{}]", names.map(quoted).collect::<Vec<_>>().join(", "))
                }
                _ => quoted(text.trim()),
            };
            let left = format!("\n{} = \"TODO\"", parameter.name);
            *parameters = parameters.replace(&left, &format!("\n{} = {value}", parameter.name));
        }
    }
    if let Some(decisions) = files.get_mut("decisions.toml") {
        for (clause, (holds, reason)) in &given.feasible {
            let left = format!(
                "clause = \"{clause}\"\nholds = true\nreason = \"TODO\"\nby = \"TODO\"\ndate = \"TODO\"\n"
            );
            let made = format!(
                "clause = \"{clause}\"\nholds = {holds}\nreason = {}\nby = {}\ndate = {}\n",
                quoted(reason.trim()),
                quoted(&given.by),
                quoted(&given.date)
            );
            *decisions = decisions.replace(&left, &made);
        }
    }
    files
}

/// A document with every clause, and examples for what an organisation fills in: what is shown while none was put up. None
/// if the catalogue's own examples are refused, which a test rules out.
pub fn specimen(catalogue: &Catalogue) -> Option<Document> {
    Document::read(&specimen_files(catalogue), catalogue, &Observed::default()).ok()
}

/// The files of that document.
pub fn specimen_files(catalogue: &Catalogue) -> Files {
    let answers = Answers {
        company: "Example organisation".to_owned(),
        author: "nobody".to_owned(),
        frameworks: Framework::ALL.to_vec(),
        effective: "2026-01-01".to_owned(),
        next_review: "2027-01-01".to_owned(),
    };
    let mut files = starter(catalogue, &answers);
    if let Some(parameters) = files.get_mut("parameters.toml") {
        for parameter in catalogue.parameters() {
            let (left, filled) = (
                format!("\n{} = \"TODO\"", parameter.name),
                format!("\n{} = {}", parameter.name, parameter.example),
            );
            *parameters = parameters.replace(&left, &filled);
        }
    }
    if let Some(decisions) = files.get_mut("decisions.toml") {
        *decisions = decisions
            .replace("date = \"TODO\"", "date = \"2026-01-01\"")
            .replace("\"TODO\"", "\"An example: nobody has decided yet.\"");
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_filled_in_is_a_document() {
        let catalogue = Catalogue::load().unwrap();
        let answers = Answers {
            company: "A \"quoted\" company".to_owned(),
            author: "Ada".to_owned(),
            frameworks: Framework::ALL.to_vec(),
            effective: "2026-12-01".to_owned(),
            next_review: "2027-12-01".to_owned(),
        };
        let text = |value: &toml::Value| match value {
            toml::Value::Array(all) => {
                all.iter().filter_map(|one| one.as_str()).collect::<Vec<_>>().join(", ")
            }
            other => other.as_str().unwrap_or_default().to_owned(),
        };
        let mut given = Filled {
            version: 3,
            parameters: catalogue
                .parameters()
                .iter()
                .map(|one| (one.name.clone(), text(&one.example)))
                .collect(),
            by: "Ada".to_owned(),
            date: "2026-11-27".to_owned(),
            ..Filled::default()
        };
        for clause in to_decide(&catalogue, &Framework::ALL) {
            given.feasible.insert(clause.id.clone(), (true, "On every host.".to_owned()));
        }
        let files = filled(&catalogue, &answers, &given);
        let document = Document::read(&files, &catalogue, &Observed::default());
        let document = document.map_err(|found| format!("{found:?}\n{files:#?}")).unwrap();
        assert_eq!((document.version, document.company.as_str()), (3, "A \"quoted\" company"));
        given.parameters.remove("providers");
        let files = filled(&catalogue, &answers, &given);
        let found = Document::read(&files, &catalogue, &Observed::default()).unwrap_err();
        assert!(found.iter().any(|one| one.key == "providers"), "{found:?}");
    }

    #[test]
    fn the_specimen_has_every_clause() {
        let catalogue = Catalogue::load().unwrap();
        let specimen = specimen(&catalogue).expect("examples are values");
        assert_eq!(specimen.clauses().count(), catalogue.clauses().count());
    }
}

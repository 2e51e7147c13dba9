//! The clauses that there are, in our words. They stand in `catalogue/`, one file a section.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{Framework, Parameter, ParameterKind, Template};

macro_rules! sections {
    ($($name:literal),* $(,)?) => {
        const SECTIONS: &[(&str, &str)] = &[$((concat!($name, ".toml"), include_str!(concat!("../catalogue/", $name, ".toml")))),*];
    };
}
sections!["rr", "cd", "nd", "ar", "sd", "dd", "tr", "ix", "ms", "el", "ao", "di", "pd"];
const PARAMETERS: &str = include_str!("../catalogue/parameters.toml");

/// The id of a clause: `CD-8`. Never reused, and the same everywhere.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct ClauseId(String);

impl ClauseId {
    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
    fn parts(&self) -> (&str, u32) {
        let (section, number) = self.0.split_once('-').unwrap_or((&self.0, "0"));
        (section, number.parse().unwrap_or(0))
    }
}

impl PartialOrd for ClauseId {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// `ND-9` before `ND-10`.
impl Ord for ClauseId {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.parts().cmp(&other.parts())
    }
}

impl FromStr for ClauseId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_id = text.split_once('-').is_some_and(|(section, number)| {
            section.len() == 2
                && section.bytes().all(|byte| byte.is_ascii_uppercase())
                && (1..=2).contains(&number.len())
                && !number.starts_with('0')
                && number.bytes().all(|byte| byte.is_ascii_digit())
        });
        if is_id {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!("`{text}` is no clause's id, such as `CD-8`"))
        }
    }
}

impl fmt::Display for ClauseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// How Tenet holds a clause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Hold {
    /// A violation can't happen, or is refused.
    Enforced,
    /// A violation raises a finding and an alarm.
    Detected,
    /// A person's dated, signed review.
    Attested,
}

/// A wording that holds when facts are so.
#[derive(Clone, Debug)]
pub struct Variant {
    /// The facts: a choice of each parameter.
    pub when: BTreeMap<String, String>,
    /// The wording then.
    pub text: Template,
}

/// How a clause reads.
#[derive(Clone, Debug)]
pub enum Wording {
    /// Always so.
    One(Template),
    /// As facts are: exactly one fits.
    Variants(Vec<Variant>),
}

impl Wording {
    /// The wording for these facts; none if a fact is not known.
    pub fn choose(&self, fact: impl Fn(&str) -> Option<String>) -> Option<&Template> {
        match self {
            Self::One(template) => Some(template),
            Self::Variants(all) => {
                let fits = |variant: &&Variant| {
                    variant.when.iter().all(|(name, wanted)| fact(name).as_ref() == Some(wanted))
                };
                all.iter().find(fits).map(|variant| &variant.text)
            }
        }
    }
    /// Every parameter that it names or depends on.
    pub fn names(&self) -> Vec<&str> {
        let mut names = self.facts();
        match self {
            Self::One(template) => names.extend(template.parameters()),
            Self::Variants(all) => names.extend(all.iter().flat_map(|one| one.text.parameters())),
        }
        names
    }
    /// The facts that it depends on.
    pub fn facts(&self) -> Vec<&str> {
        match self {
            Self::One(_) => Vec::new(),
            Self::Variants(all) => all.iter().flat_map(|one| one.when.keys().map(String::as_str)).collect(),
        }
    }
}

/// A clause.
#[derive(Clone, Debug)]
pub struct Clause {
    /// Its id.
    pub id: ClauseId,
    /// Its title.
    pub title: String,
    /// How it is held, the strongest first.
    pub hold: Vec<Hold>,
    /// How it reads.
    pub wording: Wording,
    /// Whether it holds "where feasible", so that somebody has to have decided where that is.
    pub feasible: bool,
    /// For whoever writes the policy. Never published.
    pub guidance: String,
    /// The controls of the frameworks that require it.
    pub frameworks: BTreeMap<Framework, Vec<String>>,
}

/// A section.
#[derive(Clone, Debug)]
pub struct Section {
    /// Its id: `CD`.
    pub id: String,
    /// Its title.
    pub title: String,
    /// Its clauses, in order.
    pub clauses: Vec<Clause>,
}

/// Every clause and every parameter.
#[derive(Clone, Debug)]
pub struct Catalogue {
    sections: Vec<Section>,
    parameters: Vec<Parameter>,
}

/// A catalogue that contradicts itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{file}`: {why}")]
pub struct CatalogueError {
    /// Which file.
    pub file: &'static str,
    /// What is wrong.
    pub why: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SectionFile {
    id: String,
    title: String,
    clause: Vec<ClauseFile>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClauseFile {
    id: String,
    title: String,
    hold: Vec<Hold>,
    text: Option<String>,
    #[serde(default)]
    variant: Vec<VariantFile>,
    #[serde(default)]
    feasible: bool,
    #[serde(default)]
    guidance: String,
    frameworks: BTreeMap<Framework, Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct VariantFile {
    when: BTreeMap<String, String>,
    text: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ParametersFile {
    parameter: Vec<Parameter>,
}

impl Catalogue {
    /// The catalogue that Tenet brings.
    pub fn load() -> Result<Self, CatalogueError> {
        let wrong = |file, why: String| CatalogueError { file, why };
        let parsed: ParametersFile =
            toml::from_str(PARAMETERS).map_err(|error| wrong("parameters.toml", error.to_string()))?;
        let parameters = parsed.parameter;
        let mut sections = Vec::new();
        for (file, text) in SECTIONS {
            let parsed: SectionFile =
                toml::from_str(text).map_err(|error| wrong(*file, error.to_string()))?;
            let mut clauses = Vec::new();
            for clause in parsed.clause {
                let id = clause.id.clone();
                let clause =
                    read_clause(clause, &parameters).map_err(|why| wrong(*file, format!("{id}: {why}")))?;
                if clause.id.parts().0 != parsed.id || clauses.iter().any(|one: &Clause| one.id >= clause.id)
                {
                    return Err(wrong(
                        *file,
                        format!("{id}: ids are of their section, in order, and none twice"),
                    ));
                }
                clauses.push(clause);
            }
            sections.push(Section { id: parsed.id, title: parsed.title, clauses });
        }
        Ok(Self { sections, parameters })
    }

    /// Its sections, in order.
    pub fn sections(&self) -> &[Section] {
        &self.sections
    }
    /// Its parameters.
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }
    /// Every clause.
    pub fn clauses(&self) -> impl Iterator<Item = &Clause> {
        self.sections.iter().flat_map(|section| &section.clauses)
    }
    /// The clause of that id.
    pub fn clause(&self, id: &ClauseId) -> Option<&Clause> {
        self.clauses().find(|clause| clause.id == *id)
    }
    /// The parameter of that name.
    pub fn parameter(&self, name: &str) -> Option<&Parameter> {
        self.parameters.iter().find(|parameter| parameter.name == name)
    }
}

fn read_clause(file: ClauseFile, parameters: &[Parameter]) -> Result<Clause, String> {
    let named = |name: &str| parameters.iter().find(|parameter| parameter.name == name);
    let read = |text: &str| -> Result<Template, String> {
        let template = Template::parse(text).map_err(|error| error.to_string())?;
        let unknown = template.parameters().find(|name| named(name).is_none()).map(str::to_owned);
        unknown.map_or(Ok(template), |name| Err(format!("`{name}` is no parameter")))
    };
    let wording = match (&file.text, file.variant.as_slice()) {
        (Some(text), []) => Wording::One(read(text)?),
        (None, variants) if variants.len() > 1 => {
            let variants =
                variants.iter().map(|one| Ok(Variant { when: one.when.clone(), text: read(&one.text)? }));
            let variants = variants.collect::<Result<Vec<_>, String>>()?;
            exactly_one(&variants, parameters)?;
            Wording::Variants(variants)
        }
        _ => return Err("it has either a text or several variants".to_owned()),
    };
    if file.frameworks.is_empty() || file.frameworks.values().any(Vec::is_empty) || file.hold.is_empty() {
        return Err("it names the frameworks that require it, with controls, and how it is held".to_owned());
    }
    Ok(Clause {
        id: file.id.parse()?,
        title: file.title,
        hold: file.hold,
        wording,
        feasible: file.feasible,
        guidance: file.guidance,
        frameworks: file.frameworks,
    })
}

/// For each choice of the fact there is one variant. All variants are by the same one fact.
fn exactly_one(variants: &[Variant], parameters: &[Parameter]) -> Result<(), String> {
    let fact = variants.first().and_then(|one| one.when.keys().next()).ok_or("a variant has no `when`")?;
    let parameter = parameters.iter().find(|parameter| parameter.name == *fact);
    let parameter = parameter
        .filter(|parameter| parameter.kind == ParameterKind::Choice)
        .ok_or_else(|| format!("`{fact}` is no parameter with choices"))?;
    for choice in &parameter.choices {
        let fits = variants.iter().filter(|one| one.when.get(fact) == Some(choice)).count();
        if fits != 1 {
            return Err(format!("{fits} variants fit `{fact} = {choice}`: one must"));
        }
    }
    let others = variants.iter().any(|one| one.when.len() != 1 || !one.when.contains_key(fact));
    if others || variants.len() != parameter.choices.len() {
        return Err(format!("every variant is by `{fact}` alone"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Value;

    #[test]
    fn it_agrees_with_itself() {
        let catalogue = Catalogue::load().unwrap();
        assert_eq!(catalogue.sections().len(), 13);
        assert_eq!(catalogue.clauses().count(), 63);
        let ids: std::collections::BTreeSet<_> = catalogue.clauses().map(|clause| &clause.id).collect();
        assert_eq!(ids.len(), 63);
        for parameter in catalogue.parameters() {
            Value::read(parameter, &parameter.example)
                .unwrap_or_else(|why| panic!("{}: {why}", parameter.name));
            let used =
                catalogue.clauses().any(|clause| clause.wording.names().contains(&parameter.name.as_str()));
            assert!(used, "{} is asked for and used nowhere", parameter.name);
        }
        // What all frameworks require is required by each.
        for id in ["RR-1", "CD-8", "ND-10", "DD-2", "TR-4", "PD-3"] {
            let clause = catalogue.clause(&id.parse().unwrap()).unwrap();
            assert_eq!(clause.frameworks.len(), Framework::ALL.len(), "{id}");
        }
        let only = |id: &str| {
            catalogue.clause(&id.parse().unwrap()).unwrap().frameworks.keys().copied().collect::<Vec<_>>()
        };
        assert_eq!((only("EL-1"), only("IX-1")), (vec![Framework::Iso27001], vec![Framework::Nist80053]));
    }

    #[test]
    fn ids_are_in_the_order_of_their_numbers() {
        let id = |text: &str| text.parse::<ClauseId>().unwrap();
        assert!(id("ND-9") < id("ND-10") && id("AO-4") < id("CD-1"));
        for wrong in ["", "CD", "CD-", "cd-1", "CD-01", "CD-100", "C-1", "CD-x"] {
            assert!(wrong.parse::<ClauseId>().is_err(), "{wrong}");
        }
    }
}

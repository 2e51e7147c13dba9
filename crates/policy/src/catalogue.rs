//! The clauses that there are, in our words. They stand in `catalogue/`, one file a section.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{
    Framework, Parameter, ParameterKind, Template, Value,
    control::Controls,
    document::says_feasible,
    published::{Guidance, is_placeholder},
};

macro_rules! sections {
    ($($name:literal),* $(,)?) => {
        const SECTIONS: &[(&str, &str)] = &[$((concat!($name, ".toml"), include_str!(concat!("../catalogue/", $name, ".toml")))),*];
    };
}
sections!["rr", "cd", "nd", "ar", "sd", "dd", "tr", "ix", "ms", "el", "ao", "di", "pd"];
const PARAMETERS: (&str, &str) = ("parameters.toml", include_str!("../catalogue/parameters.toml"));
const FRAMEWORKS: (&str, &str) = ("frameworks.toml", include_str!("../catalogue/frameworks.toml"));

/// The id of a clause: `CD-8`. Never reused, and the same everywhere.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
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

impl TryFrom<String> for ClauseId {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<ClauseId> for String {
    fn from(id: ClauseId) -> Self {
        id.0
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

impl Hold {
    /// Its letter in lists of clauses.
    pub const fn letter(self) -> &'static str {
        match self {
            Self::Enforced => "E",
            Self::Detected => "D",
            Self::Attested => "A",
        }
    }
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
    /// Every wording that there is.
    pub(crate) fn templates(&self) -> Vec<&Template> {
        match self {
            Self::One(template) => vec![template],
            Self::Variants(all) => all.iter().map(|one| &one.text).collect(),
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

impl Clause {
    fn publishes(&self, guidance: &Guidance) -> bool {
        let texts =
            self.wording.templates().into_iter().filter_map(|one| one.fill(|_| Some("...".to_owned())));
        guidance.is_in(&self.title) || texts.flatten().any(|text| guidance.is_in(&text))
    }
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
    ///
    /// # Errors
    /// It is not TOML of the right form, or contradicts itself: a fault of the build.
    pub fn load() -> Result<Self, CatalogueError> {
        Self::parse(SECTIONS, PARAMETERS, FRAMEWORKS)
    }

    fn parse(
        section_files: &[(&'static str, &str)],
        (parameters_file, parameters): (&'static str, &str),
        (frameworks_file, frameworks): (&'static str, &str),
    ) -> Result<Self, CatalogueError> {
        let wrong = |file, why: String| CatalogueError { file, why };
        let controls = Controls::parse(frameworks).map_err(|why| wrong(frameworks_file, why))?;
        let parsed: ParametersFile =
            toml::from_str(parameters).map_err(|error| wrong(parameters_file, error.to_string()))?;
        let parameters = parsed.parameter;
        whole(&parameters).map_err(|why| wrong(parameters_file, why))?;
        let mut sections: Vec<Section> = Vec::new();
        for (file, text) in section_files {
            let parsed: SectionFile = toml::from_str(text).map_err(|error| wrong(file, error.to_string()))?;
            if sections.iter().any(|section| section.id == parsed.id) {
                return Err(wrong(file, format!("the section `{}` is there twice", parsed.id)));
            }
            let mut clauses: Vec<Clause> = Vec::new();
            for clause in parsed.clause {
                let id = clause.id.clone();
                let clause = read_clause(clause, &parameters, &controls)
                    .map_err(|why| wrong(file, format!("{id}: {why}")))?;
                if clause.id.parts().0 != parsed.id || clauses.last().is_some_and(|one| one.id >= clause.id) {
                    let why = format!("{id}: ids are of their section, in order, and none twice");
                    return Err(wrong(file, why));
                }
                clauses.push(clause);
            }
            sections.push(Section { id: parsed.id, title: parsed.title, clauses });
        }
        let catalogue = Self { sections, parameters };
        let is_used = |name: &str| catalogue.clauses().any(|clause| clause.wording.names().contains(&name));
        if let Some(unused) = catalogue.parameters.iter().find(|one| !is_used(&one.name)) {
            return Err(wrong(parameters_file, format!("`{}` is asked for and used nowhere", unused.name)));
        }
        let guidance = Guidance::of(&catalogue);
        for ((file, _), section) in section_files.iter().zip(&catalogue.sections) {
            if let Some(clause) = section.clauses.iter().find(|clause| clause.publishes(&guidance)) {
                return Err(wrong(file, format!("{}: its title or wording holds guidance", clause.id)));
            }
        }
        Ok(catalogue)
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

/// Parameters have names of their own, examples that are values of them, and choices exactly if they are a choice.
fn whole(parameters: &[Parameter]) -> Result<(), String> {
    for (at, parameter) in parameters.iter().enumerate() {
        let name = &parameter.name;
        if parameters.iter().take(at).any(|other| other.name == *name) {
            return Err(format!("`{name}` is there twice"));
        }
        if (parameter.kind == ParameterKind::Choice) != (parameter.choices.len() > 1) {
            return Err(format!("`{name}`: a choice has several choices, and nothing else has any"));
        }
        if parameter.about.trim().is_empty() {
            return Err(format!("`{name}` does not say what it is"));
        }
        Value::read(parameter, &parameter.example)
            .map_err(|(_, why)| format!("`{name}`: its example is wrong: {why}"))?;
    }
    Ok(())
}

fn read_clause(file: ClauseFile, parameters: &[Parameter], controls: &Controls) -> Result<Clause, String> {
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
    for (framework, named) in &file.frameworks {
        if let Some(unknown) = named.iter().find(|control| !controls.has(*framework, control)) {
            return Err(format!("{} has no control `{unknown}`", framework.title()));
        }
    }
    if is_placeholder(&file.title) {
        return Err("it has no title".to_owned());
    }
    for template in wording.templates() {
        if says_feasible(template) != file.feasible {
            return Err("`feasible` is true exactly if every wording says `where feasible`".to_owned());
        }
        if template.fill(|_| Some("one".to_owned())).into_iter().flatten().any(|text| is_placeholder(&text)) {
            return Err("its wording was left to be filled in".to_owned());
        }
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

    #[test]
    fn it_agrees_with_itself() {
        let catalogue = Catalogue::load().unwrap();
        assert_eq!(catalogue.sections().len(), 13);
        assert_eq!(catalogue.clauses().count(), 63);
        let ids: std::collections::BTreeSet<_> = catalogue.clauses().map(|clause| &clause.id).collect();
        assert_eq!(ids.len(), 63);
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

    const FILES: (&str, &str) = ("frameworks.toml", FRAMEWORKS.1);
    const COMPANY: &str = "[[parameter]]\nname = \"company\"\nkind = \"name\"\nabout = \"Who.\"\nexample = \"Acme\"\n\
                           [[parameter]]\nname = \"watch\"\nkind = \"choice\"\nchoices = [\"in\", \"out\"]\n\
                           about = \"How.\"\nexample = \"in\"\n";
    const SECTION: &str = "id = \"RR\"\ntitle = \"Roles\"\n\
        [[clause]]\nid = \"RR-1\"\ntitle = \"One\"\nhold = [\"enforced\"]\ntext = \"At {company}, it is.\"\n\
        guidance = \"This is for nobody but the author.\"\n[clause.frameworks]\nsoc2 = [\"CC6.1\"]\n\
        [[clause]]\nid = \"RR-2\"\ntitle = \"Two\"\nhold = [\"enforced\"]\n[clause.frameworks]\nsoc2 = [\"CC6.1\"]\n\
        [[clause.variant]]\nwhen = { watch = \"in\" }\ntext = \"From in.\"\n\
        [[clause.variant]]\nwhen = { watch = \"out\" }\ntext = \"From out.\"\n";

    fn parse(section: &str, parameters: &str) -> Result<Catalogue, CatalogueError> {
        Catalogue::parse(&[("rr.toml", section)], ("parameters.toml", parameters), FILES)
    }

    #[test]
    fn a_catalogue_that_contradicts_itself_is_refused() {
        parse(SECTION, COMPANY).unwrap();
        for (from, to, why) in [
            ("{company}", "{nobody}", "`nobody` is no parameter"),
            ("{company}", "{company", "character 4"),
            ("At {company}, it is.", "At {company}, [say how].", "left to be filled in"),
            ("At {company}, it is.", "At {company}, this is for nobody but the author!", "holds guidance"),
            ("At {company}, it is.", "Where feasible, at {company}.", "`feasible` is true exactly if"),
            ("title = \"One\"", "title = \"One\"\nfeasible = true", "`feasible` is true exactly if"),
            ("title = \"One\"", "title = \"TODO\"", "it has no title"),
            ("title = \"One\"", "titel = \"One\"", "unknown field"),
            ("hold = [\"enforced\"]", "hold = [\"hoped\"]", "unknown variant"),
            ("hold = [\"enforced\"]", "hold = []", "how it is held"),
            ("soc2 = [\"CC6.1\"]", "soc2 = []", "with controls"),
            ("soc2 = [\"CC6.1\"]", "soc2 = [\"CC6.9\"]", "SOC 2 has no control `CC6.9`"),
            ("soc2 = [\"CC6.1\"]", "soc3 = [\"CC6.1\"]", "unknown variant"),
            ("RR-2", "RR-1", "none twice"),
            ("RR-2", "CD-2", "of their section"),
            ("RR-2", "RR2", "no clause's id"),
            ("watch = \"out\"", "watch = \"in\"", "2 variants fit `watch = in`"),
            ("watch = \"out\"", "watch = \"up\"", "0 variants fit `watch = out`"),
            ("watch = \"out\"", "watch = \"out\", company = \"A\"", "by `watch` alone"),
            ("watch = \"in\"", "company = \"in\"", "no parameter with choices"),
            ("when = { watch = \"in\" }", "when = { }", "has no `when`"),
        ] {
            assert!(SECTION.contains(from), "{from}");
            let error = parse(&SECTION.replacen(from, to, 1), COMPANY).unwrap_err();
            assert!(error.file == "rr.toml" && error.why.contains(why), "{to}: {error}");
        }
        for (from, to, why) in [
            ("name = \"watch\"", "name = \"company\"", "there twice"),
            ("choices = [\"in\", \"out\"]\n", "", "a choice has several choices"),
            ("kind = \"name\"", "kind = \"name\"\nchoices = [\"a\", \"b\"]", "nothing else has any"),
            ("example = \"in\"", "example = \"up\"", "its example is wrong"),
            ("about = \"Who.\"", "about = \" \"", "does not say what it is"),
            ("about =", "abuot =", "unknown field"),
        ] {
            assert!(COMPANY.contains(from), "{from}");
            let error = parse(SECTION, &COMPANY.replacen(from, to, 1)).unwrap_err();
            assert!(error.file == "parameters.toml" && error.why.contains(why), "{to}: {error}");
        }
        let unused = COMPANY.to_owned()
            + "[[parameter]]\nname = \"idle\"\nkind = \"name\"\nabout = \"Who.\"\nexample = \"Acme\"\n";
        assert!(parse(SECTION, &unused).unwrap_err().why.contains("used nowhere"));
        let twice = [("rr.toml", SECTION), ("cd.toml", SECTION)];
        let error = Catalogue::parse(&twice, ("parameters.toml", COMPANY), FILES).unwrap_err();
        assert!(error.file == "cd.toml" && error.why.contains("there twice"), "{error}");
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

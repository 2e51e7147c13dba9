//! The four files of a policy, each with its fields, as they were written. What they mean is held against the catalogue
//! elsewhere.

use std::collections::BTreeMap;

use crate::{
    Code, Finding,
    source::{At, Fields},
};

pub(crate) const POLICY: &str = "policy.toml";
pub(crate) const PARAMETERS: &str = "parameters.toml";
pub(crate) const DECISIONS: &str = "decisions.toml";
pub(crate) const WORDING: &str = "wording.toml";
/// Every file, in the order in which findings are told.
pub(crate) const NAMES: [&str; 4] = [POLICY, PARAMETERS, DECISIONS, WORDING];

/// The files of a policy, by name.
pub type Files = BTreeMap<String, String>;

/// `policy.toml`. A field is none if it is missing or is no such thing.
pub(crate) struct PolicyFile {
    pub(crate) format: Option<At<i64>>,
    pub(crate) title: Option<At<String>>,
    pub(crate) version: Option<At<i64>>,
    pub(crate) author: Option<At<String>>,
    pub(crate) frameworks: Option<At<Vec<String>>>,
    pub(crate) effective: Option<At<String>>,
    pub(crate) next_review: Option<At<String>>,
}

/// What somebody decided of a clause.
pub(crate) struct Decision {
    pub(crate) clause: At<String>,
    /// Whether it is so here: of `[[feasible]]` alone.
    pub(crate) holds: Option<At<bool>>,
    pub(crate) reason: Option<At<String>>,
    pub(crate) by: Option<At<String>>,
    pub(crate) date: Option<At<String>>,
}

/// `decisions.toml`.
#[derive(Default)]
pub(crate) struct DecisionsFile {
    pub(crate) keep: Vec<Decision>,
    pub(crate) drop: Vec<Decision>,
    pub(crate) feasible: Vec<Decision>,
}

/// All files. One that can't be read is none: what follows from it is not told.
pub(crate) struct Written {
    pub(crate) policy: Option<PolicyFile>,
    pub(crate) parameters: Option<BTreeMap<String, At<toml::Value>>>,
    pub(crate) decisions: Option<DecisionsFile>,
    pub(crate) wordings: Option<BTreeMap<String, At<toml::Value>>>,
}

impl Written {
    /// Reads the files, and tells what is wrong with their form.
    pub(crate) fn read(files: &Files, findings: &mut Vec<Finding>) -> Self {
        for name in files.keys().filter(|name| !NAMES.contains(&name.as_str())) {
            let message = format!("a policy has {}, and no other file", NAMES.join(", "));
            findings.push(Finding::new(Code::FileUnknown, name, "-", None, message));
        }
        for name in [POLICY, PARAMETERS].into_iter().filter(|name| !files.contains_key(*name)) {
            let message = "it is missing: `tenet policy init` makes it";
            findings.push(Finding::new(Code::FileMissing, name, "-", None, message));
        }
        let mut fields = |name: &'static str| Some(Fields::parse(name, files.get(name)?, findings));
        let (policy, parameters) = (fields(POLICY).flatten(), fields(PARAMETERS).flatten());
        let (decisions, wordings) = (fields(DECISIONS), fields(WORDING));
        Self {
            policy: policy.map(|fields| PolicyFile::of(fields, findings)),
            parameters: parameters.map(|fields| fields.values(findings)),
            decisions: match decisions {
                None => Some(DecisionsFile::default()),
                Some(fields) => fields.map(|fields| DecisionsFile::of(fields, findings)),
            },
            wordings: match wordings {
                None => Some(BTreeMap::new()),
                Some(fields) => fields.map(|mut fields| {
                    let text = fields.table("text", findings);
                    fields.finish(findings);
                    text.map(|text| text.values(findings)).unwrap_or_default()
                }),
            },
        }
    }
}

impl PolicyFile {
    fn of(mut fields: Fields, findings: &mut Vec<Finding>) -> Self {
        let file = Self {
            format: fields.integer("format", findings),
            title: fields.text("title", findings),
            version: fields.integer("version", findings),
            author: fields.text("author", findings),
            frameworks: fields.texts("frameworks", findings),
            effective: fields.text("effective", findings),
            next_review: fields.text("next_review", findings),
        };
        fields.finish(findings);
        file
    }
}

impl DecisionsFile {
    fn of(mut fields: Fields, findings: &mut Vec<Finding>) -> Self {
        let mut decisions = |kind: &str, has_holds: bool| {
            let tables = fields.tables(kind, findings);
            tables.into_iter().filter_map(|one| Decision::of(one, has_holds, findings)).collect()
        };
        let file = Self {
            keep: decisions("keep", false),
            drop: decisions("drop", false),
            feasible: decisions("feasible", true),
        };
        fields.finish(findings);
        file
    }
}

impl Decision {
    fn of(mut fields: Fields, has_holds: bool, findings: &mut Vec<Finding>) -> Option<Self> {
        let clause = fields.text("clause", findings);
        let holds = if has_holds { fields.flag("holds", findings) } else { None };
        let (reason, by, date) =
            (fields.text("reason", findings), fields.text("by", findings), fields.text("date", findings));
        fields.finish(findings);
        // Without a clause there is nothing of which the rest could be said.
        Some(Self { clause: clause?, holds, reason, by, date })
    }
}

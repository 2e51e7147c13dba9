//! Rules, read strictly: a rule that can never fire, since it names a field that no event has, is an error and not a
//! silence.

use rsigma_eval::{CorrelationConfig, CorrelationEngine, fields::RuleFieldSet};
use rsigma_parser::{SigmaCollection, parse_sigma_yaml};

use crate::strict;

/// Most bytes of a file of rules.
pub const MAX_RULE_FILE_BYTES: usize = 262_144;
/// Most rules of a set.
pub const MAX_RULES: usize = 2_000;

macro_rules! starter {
    ($($name:literal),* $(,)?) => {
        /// The rules that Tenet brings: the file's name and its text.
        pub const STARTER: &[(&str, &str)] = &[$((concat!($name, ".yml"), include_str!(concat!("../starter/", $name, ".yml")))),*];
    };
}
starter![
    "log-tampering",
    "new-administrator",
    "administrator-removed",
    "control-disabled",
    "legal-hold-lifted",
    "cross-account-attempts",
    "mass-reads",
    "mass-erasure",
    "failed-sign-ins",
    "privileged-misuse",
];

/// What an event has, besides details of any name under `unmapped.detail`.
const FIELDS: &[&str] = &[
    "tenet.index",
    "tenet.activity",
    "tenet.actor",
    "tenet.actor_kind",
    "tenet.account",
    "tenet.object",
    "tenet.object_kind",
    "tenet.outcome",
    "tenet.reason",
    "tenet.clause",
    "tenet.server",
    "tenet.source",
    "activity_id",
    "activity_name",
    "category_uid",
    "class_uid",
    "class_name",
    "type_uid",
    "severity_id",
    "time",
    "time_dt",
    "metadata.uid",
    "metadata.event_code",
    "metadata.version",
    "metadata.log_version",
    "metadata.product.version",
    "metadata.product.feature.name",
    "metadata.correlation_uid",
    "metadata.tenant_uid",
    "actor.user.uid",
    "actor.user.type",
    "actor.user.type_id",
    "actor.authorizations.decision",
    "actor.authorizations.policy.uid",
    "device.uid",
    "src_endpoint.uid",
    "dst_endpoint.uid",
    "api.operation",
    "resources.type",
    "resources.uid",
    "resources.data.account",
    "resources.data.repository",
    "resources.data.classification",
    "entity.type",
    "entity.uid",
    "entity.data.account",
    "entity.data.repository",
    "entity.data.classification",
    "finding_info.title",
    "finding_info.uid",
    "is_alert",
    "user.uid",
    "service.name",
    "app.name",
    "status_id",
    "status",
    "status_code",
    "action_id",
    "action",
    "unmapped.interface",
    "unmapped.object.type",
    "unmapped.object.uid",
    "unmapped.before",
    "unmapped.after",
    "unmapped.key.uid",
    "unmapped.key.purpose",
    "unmapped.clause",
    "unmapped.clock",
];

/// A rule that can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// The file is too large.
    #[error("`{file}` has {bytes} bytes: a file of rules has at most {MAX_RULE_FILE_BYTES}")]
    Long {
        /// Which file.
        file: String,
        /// Its bytes.
        bytes: usize,
    },
    /// There are too many rules.
    #[error("`{file}` makes it more than {MAX_RULES} rules")]
    Many {
        /// Which file.
        file: String,
    },
    /// It is not a rule of Sigma, or of a kind that is not known.
    #[error("`{file}`: {why}")]
    Shape {
        /// Which file.
        file: String,
        /// What is wrong.
        why: String,
    },
    /// It asks for what no event has: it could never fire.
    #[error("`{file}`: `{rule}` asks for `{field}`, which no event has; did you mean `{near}`?")]
    Field {
        /// Which file.
        file: String,
        /// The rule's title.
        rule: String,
        /// The field.
        field: String,
        /// A field that events have.
        near: &'static str,
    },
}

/// Rules that can be run.
#[derive(Clone, Debug, Default)]
pub struct RuleSet {
    collection: SigmaCollection,
}

impl RuleSet {
    /// None.
    pub fn new() -> Self {
        Self::default()
    }

    /// The rules that Tenet brings.
    pub fn starter() -> Result<Self, RuleError> {
        let mut set = Self::new();
        set.add_all(STARTER.iter().copied())?;
        Ok(set)
    }

    /// Adds the rules of a file, all of them or none.
    pub fn add(&mut self, file: &str, text: &str) -> Result<(), RuleError> {
        self.add_all([(file, text)])
    }

    /// Adds the rules of files, all of them or none: each by its name, with its text. A rule may count one that stands in
    /// a file behind its own.
    pub fn add_all<'a>(
        &mut self,
        files: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<(), RuleError> {
        let mut all = self.collection.clone();
        let mut counted = Vec::new();
        for (file, text) in files {
            let parsed = parse(file, text)?;
            counted.push((file, parsed.correlations.clone()));
            all.rules.extend(parsed.rules);
            all.correlations.extend(parsed.correlations);
            all.filters.extend(parsed.filters);
            if all.rules.len() + all.correlations.len() > MAX_RULES {
                return Err(RuleError::Many { file: file.to_owned() });
            }
        }
        let mut last = "the rules";
        for (file, correlations) in &counted {
            last = file;
            if let Some((rule, wanted)) = strict::dangling(&all, correlations) {
                let why = format!("`{rule}` counts `{wanted}`, and no rule has that name or id");
                return Err(RuleError::Shape { file: (*file).to_owned(), why });
            }
        }
        // What does not compile is known now and not when it should fire.
        let mut engine = CorrelationEngine::new(CorrelationConfig::default());
        let shape = |why: String| RuleError::Shape { file: last.to_owned(), why };
        engine.add_collection(&all).map_err(|error| shape(error.to_string()))?;
        self.collection = all;
        Ok(())
    }

    /// How many rules there are, correlations included.
    pub fn len(&self) -> usize {
        self.collection.rules.len() + self.collection.correlations.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The rules' titles, with their levels where they have one.
    pub fn titles(&self) -> Vec<(String, String)> {
        let level = |level: Option<rsigma_parser::Level>| {
            level.map(|level| level.as_str().to_owned()).unwrap_or_default()
        };
        let rules = self.collection.rules.iter().map(|rule| (rule.title.clone(), level(rule.level)));
        rules
            .chain(self.collection.correlations.iter().map(|rule| (rule.title.clone(), level(rule.level))))
            .collect()
    }

    pub(crate) fn collection(&self) -> &SigmaCollection {
        &self.collection
    }
}

/// The rules of a file, each of which could fire.
fn parse(file: &str, text: &str) -> Result<SigmaCollection, RuleError> {
    let file = file.to_owned();
    if text.len() > MAX_RULE_FILE_BYTES {
        return Err(RuleError::Long { file, bytes: text.len() });
    }
    let shape = |why: String| RuleError::Shape { file: file.clone(), why };
    let parsed = parse_sigma_yaml(text).map_err(|error| shape(error.to_string()))?;
    if let Some(error) = parsed.errors.first() {
        return Err(shape(error.clone()));
    }
    if parsed.rules.is_empty() && parsed.correlations.is_empty() && parsed.filters.is_empty() {
        return Err(shape("it holds no rule".to_owned()));
    }
    // Without a level an alarm has none, and would not be told.
    let levels = parsed.rules.iter().map(|rule| (&rule.title, rule.level));
    let levels = levels.chain(parsed.correlations.iter().map(|rule| (&rule.title, rule.level)));
    for (title, level) in levels {
        if level.is_none() {
            return Err(shape(format!(
                "`{title}` has no `level`: give low, medium, high, critical or informational"
            )));
        }
    }
    // What a correlation counts is found by id: a rule with a name alone would be counted never.
    if let Some(rule) = parsed.rules.iter().find(|rule| rule.name.is_some() && rule.id.is_none()) {
        return Err(shape(format!("`{}` has a `name` and no `id`: give it one", rule.title)));
    }
    for (field, origin) in RuleFieldSet::collect(&parsed, &[], true).iter() {
        if !is_known(field) {
            let rule = origin.rule_titles.first().cloned().unwrap_or_default();
            let near = nearest(field);
            return Err(RuleError::Field { file, rule, field: field.to_owned(), near });
        }
    }
    strict::check(&parsed).map_err(shape)?;
    Ok(parsed)
}

fn is_known(field: &str) -> bool {
    FIELDS.contains(&field) || field.strip_prefix("unmapped.detail.").is_some_and(|name| !name.is_empty())
}

fn nearest(field: &str) -> &'static str {
    let near = FIELDS.iter().copied().min_by_key(|known| strsim::damerau_levenshtein(known, field));
    near.unwrap_or("tenet.activity")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RULE: &str =
        "title: T\nlogsource: {product: tenet}\ndetection:\n  s:\n    FIELD: x\n  condition: s\nlevel: low\n";

    fn add(text: &str) -> Result<(), RuleError> {
        RuleSet::new().add("r.yml", text)
    }

    #[test]
    fn what_could_never_fire_is_an_error() {
        add(&RULE.replace("FIELD", "tenet.activity|startswith")).unwrap();
        add(&RULE.replace("FIELD", "unmapped.detail.role")).unwrap();
        let error = add(&RULE.replace("FIELD", "tenet.activty")).unwrap_err();
        assert!(matches!(&error, RuleError::Field { field, .. } if field == "tenet.activty"), "{error}");
        assert!(error.to_string().contains("tenet.activity"), "{error}");
        for wrong in ["", "title: T", "- 1", "title: T\ndetection: {condition: s}\nlogsource: {}", ": :"] {
            assert!(matches!(add(wrong), Err(RuleError::Shape { .. })), "{wrong}");
        }
        let unlevelled = RULE.replace("FIELD", "tenet.activity").replace("level: low\n", "");
        assert!(add(&unlevelled).unwrap_err().to_string().contains("`level`"));
        let unnumbered = RULE.replace("FIELD", "tenet.activity").replace("title: T\n", "title: T\nname: t\n");
        assert!(add(&unnumbered).unwrap_err().to_string().contains("`id`"));
        assert!(add(&RULE.replace("FIELD", "tenet.activity|nonsense")).is_err());
        assert!(add(&RULE.replace("FIELD: x", "tenet.activity|re: '('")).is_err());
        assert!(add(&RULE.replace("condition: s", "condition: t")).is_err());
        assert!(matches!(add(&"#".repeat(MAX_RULE_FILE_BYTES + 1)), Err(RuleError::Long { .. })));
        let nowhere = "title: C\ncorrelation:\n  type: event_count\n  rules: [nowhere]\n  group-by: [tenet.actor]\n  timespan: 1m\n  condition: {gte: 2}\n";
        assert!(add(nowhere).is_err(), "a correlation of a rule that is not there");
    }

    #[test]
    fn what_the_engine_would_take_and_never_find_is_refused_by_name() {
        let base = "title: B\nid: b\nname: base\nlogsource: {product: tenet}\ndetection:\n  s:\n    tenet.activity: x\n  condition: s\nlevel: low\n";
        let counting = |count: u64| {
            format!(
                "title: C\ncorrelation:\n  type: event_count\n  rules: [base]\n  group-by: [tenet.actor]\n  timespan: 1m\n  condition: {{gte: {count}}}\nlevel: high\n"
            )
        };
        let with = |count| RuleSet::new().add("r.yml", &format!("{base}---\n{}", counting(count)));
        with(5_000).unwrap();
        let error = with(5_001).unwrap_err().to_string();
        assert!(error.contains("`C` waits for 5001") && error.contains("at most 5000"), "{error}");
        // In whichever order the files are.
        let (first, second) = (counting(5), base.to_owned());
        RuleSet::new().add_all([("a.yml", first.as_str()), ("b.yml", second.as_str())]).unwrap();
        let error = RuleSet::new().add_all([("b.yml", first.as_str())]).unwrap_err().to_string();
        assert!(error.contains("b.yml") && error.contains("`base`"), "{error}");
        let rule = RULE.replace("FIELD", "tenet.activity");
        for pattern in ["1 of q*", "all of q*", "s and not 1 of q*"] {
            let error =
                add(&rule.replace("condition: s", &format!("condition: {pattern}"))).unwrap_err().to_string();
            assert!(error.contains("`of q*`"), "{error}");
        }
        add(&rule.replace("condition: s", "condition: 1 of s*")).unwrap();
        let error = add(&(rule.clone() + "rsigma.suppress: 5m\n")).unwrap_err().to_string();
        assert!(error.contains("`rsigma.suppress`"), "{error}");
        let error =
            add(&rule.replace("title: T", &format!("title: {}", "t".repeat(201)))).unwrap_err().to_string();
        assert!(error.contains("201 characters"), "{error}");
    }

    #[test]
    fn a_file_that_is_refused_leaves_the_set_as_it_was() {
        let mut set = RuleSet::starter().unwrap();
        let before = set.len();
        assert!(before > STARTER.len());
        assert!(set.add("r.yml", "title: T").is_err());
        assert_eq!(set.len(), before);
        assert!(set.titles().iter().any(|(title, level)| title == "A new administrator" && level == "high"));
    }

    proptest! {
        #[test]
        fn whatever_is_read_does_no_harm(text in "[a-z:\\-|{}\\[\\] \n'\"*?()&!]{0,200}") {
            let _ = add(&text);
        }
    }
}

//! What is refused of rules that Sigma allows: what could never fire, and what changes how the engine works.

use rsigma_parser::{
    ConditionExpr, ConditionOperator, CorrelationCondition, CorrelationRule, CorrelationType,
    SelectorPattern, SigmaCollection, SigmaRule, detection_name_matches,
};

/// Most events that are counted in one group, so the largest number that a correlation may wait for.
pub(crate) const MAX_IN_GROUP: usize = 5_000;
/// Most characters of a title: it stands in every alarm.
pub(crate) const MAX_TITLE_CHARS: usize = 200;
/// Most fields that a correlation groups by.
const MAX_GROUP_FIELDS: usize = 8;
/// Attributes by which a rule would change the engine's settings.
const ENGINE: &str = "rsigma.";

/// What is wrong with the rules of a file, if something is.
pub(crate) fn check(parsed: &SigmaCollection) -> Result<(), String> {
    for rule in &parsed.rules {
        title(&rule.title)?;
        attributes(&rule.title, rule.custom_attributes.keys())?;
        conditions(rule)?;
    }
    for rule in &parsed.correlations {
        title(&rule.title)?;
        attributes(&rule.title, rule.custom_attributes.keys())?;
        threshold(rule)?;
        if rule.group_by.len() > MAX_GROUP_FIELDS {
            return Err(format!("`{}` groups by more than {MAX_GROUP_FIELDS} fields", rule.title));
        }
    }
    Ok(())
}

/// A rule that a correlation counts and that is not there, if there is one.
pub(crate) fn dangling<'a>(
    all: &SigmaCollection,
    correlations: &'a [CorrelationRule],
) -> Option<(&'a str, &'a str)> {
    let named = |wanted: &str| {
        let is = |id: &Option<String>, name: &Option<String>| {
            id.as_deref() == Some(wanted) || name.as_deref() == Some(wanted)
        };
        all.rules.iter().any(|rule| is(&rule.id, &rule.name) || rule.title == wanted)
            || all.correlations.iter().any(|rule| is(&rule.id, &rule.name) || rule.title == wanted)
    };
    correlations.iter().find_map(|rule| {
        rule.rules.iter().find(|wanted| !named(wanted)).map(|wanted| (rule.title.as_str(), wanted.as_str()))
    })
}

fn title(title: &str) -> Result<(), String> {
    let count = title.chars().count();
    if count > MAX_TITLE_CHARS || title.chars().any(char::is_control) {
        let start: String = title.chars().filter(|letter| !letter.is_control()).take(40).collect();
        return Err(format!(
            "the title `{start}…` has {count} characters: give one line of at most {MAX_TITLE_CHARS}"
        ));
    }
    Ok(())
}

fn attributes<'a>(title: &str, names: impl Iterator<Item = &'a String>) -> Result<(), String> {
    match names.into_iter().find(|name| name.starts_with(ENGINE)) {
        Some(name) => {
            Err(format!("`{title}` sets `{name}`: a rule does not change how rules are run; leave it out"))
        }
        None => Ok(()),
    }
}

fn conditions(rule: &SigmaRule) -> Result<(), String> {
    rule.detection.conditions.iter().try_for_each(|condition| selections(rule, condition))
}

fn selections(rule: &SigmaRule, condition: &ConditionExpr) -> Result<(), String> {
    match condition {
        ConditionExpr::And(all) | ConditionExpr::Or(all) => {
            all.iter().try_for_each(|one| selections(rule, one))
        }
        ConditionExpr::Not(one) => selections(rule, one),
        ConditionExpr::Identifier(_) => Ok(()),
        ConditionExpr::Selector { pattern, .. } => match pattern {
            SelectorPattern::Them => Ok(()),
            SelectorPattern::Pattern(pattern) => {
                let is_there = rule.detection.named.keys().any(|name| detection_name_matches(pattern, name));
                let wrong =
                    || format!("`{}` asks for `of {pattern}`, and no selection is named so", rule.title);
                is_there.then_some(()).ok_or_else(wrong)
            }
        },
    }
}

fn threshold(rule: &CorrelationRule) -> Result<(), String> {
    if !matches!(rule.correlation_type, CorrelationType::EventCount | CorrelationType::ValueCount) {
        return Ok(());
    }
    let CorrelationCondition::Threshold { predicates, .. } = &rule.condition else { return Ok(()) };
    let most = MAX_IN_GROUP as u64;
    for (operator, value) in predicates {
        let least = match operator {
            ConditionOperator::Gt => value.saturating_add(1),
            ConditionOperator::Gte | ConditionOperator::Eq => *value,
            _ => continue,
        };
        if least > most {
            return Err(format!(
                "`{}` waits for {least} events in one group, and at most {most} are counted: it could never fire",
                rule.title
            ));
        }
    }
    Ok(())
}

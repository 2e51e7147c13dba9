//! Identifiers of the frameworks' controls: which there are. What a control says is in the framework's own text, never here.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::Framework;

/// The controls that there are.
pub(crate) struct Controls(BTreeMap<Framework, Series>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Series {
    parts: bool,
    series: BTreeMap<String, (u32, u32)>,
}

impl Controls {
    /// Reads the list; it has every framework.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let all: BTreeMap<Framework, Series> = toml::from_str(text).map_err(|error| error.to_string())?;
        match Framework::ALL.into_iter().find(|framework| !all.contains_key(framework)) {
            Some(missing) => Err(format!("`{missing}` is missing")),
            None => Ok(Self(all)),
        }
    }

    /// Whether the framework has a control of that identifier.
    pub(crate) fn has(&self, framework: Framework, control: &str) -> bool {
        let Some(all) = self.0.get(&framework) else { return false };
        all.series.iter().any(|(prefix, (first, last))| {
            let Some(rest) = control.strip_prefix(prefix.as_str()) else { return false };
            let digits = rest.len() - rest.trim_start_matches(|letter: char| letter.is_ascii_digit()).len();
            let (number, parts) = rest.split_at(digits);
            let is_number = !number.starts_with('0')
                && number.parse::<u32>().is_ok_and(|number| (*first..=*last).contains(&number));
            is_number && (parts.is_empty() || all.parts && are_parts(parts))
        })
    }
}

/// `(a)(2)(iv)`.
fn are_parts(text: &str) -> bool {
    let Some(inner) = text.strip_prefix('(').and_then(|text| text.strip_suffix(')')) else { return false };
    inner.split(")(").all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_of_their_framework() {
        let controls = Controls::parse(include_str!("../catalogue/frameworks.toml")).unwrap();
        for (framework, good) in [
            (Framework::Iso27001, "A.8.34"),
            (Framework::Soc2, "CC7.2"),
            (Framework::Soc2, "C1.1"),
            (Framework::Nist80053, "AC-6(5)"),
            (Framework::Nist80053, "SC-51"),
            (Framework::Hipaa, "164.312(a)(2)(iv)"),
            (Framework::Gdpr, "Art. 5(1)(f)"),
        ] {
            assert!(controls.has(framework, good), "{good}");
            for other in Framework::ALL.into_iter().filter(|other| *other != framework) {
                assert!(!controls.has(other, good), "{good} is not of {other}");
            }
        }
        for (framework, wrong) in [
            (Framework::Iso27001, "A.8.35"),
            (Framework::Iso27001, "A.8.1(2)"),
            (Framework::Iso27001, "A.8.01"),
            (Framework::Iso27001, "A.12.4"),
            (Framework::Soc2, "CC7.9"),
            (Framework::Nist80053, "AC-26"),
            (Framework::Nist80053, "XX-1"),
            (Framework::Nist80053, "AC-6("),
            (Framework::Nist80053, "AC-6()"),
            (Framework::Hipaa, "164.400"),
            (Framework::Gdpr, "Art. 100"),
            (Framework::Gdpr, "Art. 32.1"),
            (Framework::Gdpr, ""),
        ] {
            assert!(!controls.has(framework, wrong), "{wrong}");
        }
        assert!(Controls::parse("").is_err_and(|why| why.contains("iso27001")));
    }
}

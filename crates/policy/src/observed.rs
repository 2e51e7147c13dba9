//! What is known of the running system, and what of a policy it contradicts.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    Chosen, ClauseId, Value,
    document::{DECISIONS, PARAMETERS, POLICY, Reader},
};

/// What is known of the running system. What is not known contradicts nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// Who manages the keys: `company` or `provider`.
    pub key_management: Option<String>,
    /// Where the data is hosted.
    pub providers: Option<Vec<String>>,
    /// The regions in which the data is.
    pub regions: Option<Vec<String>>,
    /// The ways by which data is deleted.
    pub deletion_methods: Option<Vec<String>>,
    /// The ways by which alarms go out.
    pub alarm_channels: Option<Vec<String>>,
    /// Hosts with a live agent.
    pub agents: Option<u64>,
    /// Witnesses that copy the log.
    pub witnesses: Option<u64>,
    /// NTP servers that the clock is measured against.
    pub time_servers: Option<u64>,
    /// How long a privileged act may wait for its review, in seconds.
    pub privileged_review_seconds: Option<u64>,
}

impl Reader<'_> {
    /// Holds what the policy says against what is so.
    pub(crate) fn observe(
        &mut self,
        observed: &Observed,
        values: &BTreeMap<String, Value>,
        used: &BTreeSet<String>,
        (chosen, feasible): (&BTreeMap<ClauseId, Chosen>, &BTreeMap<ClauseId, String>),
    ) {
        let said = |name: &str| values.get(name).filter(|_| used.contains(name));
        let mut found: Vec<(&'static str, &'static str, String)> = Vec::new();
        if let (Some(value), Some(is)) = (said("key_management"), &observed.key_management)
            && value.to_string() != *is
        {
            found.push((PARAMETERS, "key_management", format!("the policy says that the {value} manages the keys; the running configuration says the {is} does")));
        }
        for (name, is) in [
            ("providers", &observed.providers),
            ("regions", &observed.regions),
            ("deletion_methods", &observed.deletion_methods),
            ("alarm_channels", &observed.alarm_channels),
        ] {
            let (Some(value), Some(is)) = (said(name), is) else { continue };
            let missing: Vec<_> =
                value.names().into_iter().filter(|one| !is.iter().any(|other| other == one)).collect();
            let unsaid: Vec<_> =
                is.iter().filter(|one| !value.names().contains(&one.as_str())).cloned().collect();
            if !missing.is_empty() {
                found.push((
                    PARAMETERS,
                    name,
                    format!(
                        "the policy names {}, and that is not so; what is: {}",
                        missing.join(", "),
                        list(is)
                    ),
                ));
            } else if !unsaid.is_empty() && name != "deletion_methods" {
                found.push((
                    PARAMETERS,
                    name,
                    format!("{} is so too, and the policy does not say it", unsaid.join(", ")),
                ));
            }
        }
        if said("regions").is_some_and(|value| value.names().len() < 2) {
            found.push((PARAMETERS, "regions", "CD-1 says that data is replicated to more than one region: name them, or word the clause anew".to_owned()));
        }
        let agents = observed.agents;
        if said("monitoring").is_some_and(|value| value.to_string() == "agent") && agents == Some(0) {
            found.push((
                PARAMETERS,
                "monitoring",
                "the policy says that agents watch the systems; no agent is alive".to_owned(),
            ));
        }
        if said("monitoring").is_some_and(|value| value.to_string() == "agentless")
            && agents.is_some_and(|count| count > 0)
        {
            found.push((
                PARAMETERS,
                "monitoring",
                "the policy says that there are no agents; some are alive".to_owned(),
            ));
        }
        if let (Some(value), Some(is)) = (said("privileged_review_time"), observed.privileged_review_seconds)
            && value.seconds().is_some_and(|said| is > said)
        {
            found.push((
                PARAMETERS,
                "privileged_review_time",
                format!("the policy gives a reviewer {value}; `review.due` gives {} hours", is / 3_600),
            ));
        }
        for key in ["AO-2", "AO-3"] {
            let reason = key.parse().ok().and_then(|id: ClauseId| feasible.get(&id));
            if observed.witnesses == Some(0)
                && reason.is_some_and(|reason| !reason.to_lowercase().starts_with("not feasible"))
            {
                let message = "the decision says that it is so, and no witness is configured (`ledger.witness_policy`); \
                               begin the reason with `not feasible` if there is to be none";
                found.push((DECISIONS, key, message.to_owned()));
            }
        }
        for (file, key, message) in found {
            self.wrong("contradicted", file, key, message);
        }
        let has_clocks = "EL-5".parse().is_ok_and(|id: ClauseId| chosen.contains_key(&id));
        if observed.time_servers == Some(0) && has_clocks {
            let message =
                "EL-5 says that clocks are synchronised, and no NTP server is configured (`clock.servers`)";
            self.wrong("contradicted", POLICY, "EL-5", message);
        }
    }
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

//! What is known of the running system, and what of a policy it contradicts. Only what the policy says is held against it: a
//! parameter that no clause names says nothing.

use std::collections::BTreeMap;

use crate::{
    ClauseId, Code, Value,
    decide::Decisions,
    document::Reader,
    files::{DECISIONS, PARAMETERS, POLICY},
    source::At,
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
    /// Regions in which some of the data is known to be: the policy names each of them.
    pub stored_in: Vec<String>,
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

type Values = BTreeMap<String, At<Value>>;

impl Reader<'_> {
    /// Holds what the policy says against what is so.
    pub(crate) fn observe(&mut self, observed: &Observed, values: &Values, decisions: &Decisions) {
        self.keys(observed, values);
        self.names(observed, values);
        self.places(observed, values);
        self.replication(values, decisions);
        self.agents(observed, values);
        self.reviews(observed, values);
        self.witnesses(observed, decisions);
        self.clocks(observed, decisions);
    }

    /// What the policy says by a parameter; none if it does not say it.
    fn said<'v>(&self, values: &'v Values, name: &str) -> Option<&'v At<Value>> {
        values.get(name).filter(|_| self.used.contains(name))
    }

    fn contradicted(&mut self, name: &str, at: &At<Value>, message: impl AsRef<str>) {
        self.wrong((Code::Contradicted, PARAMETERS), name, Some(at.line), message);
    }

    fn keys(&mut self, observed: &Observed, values: &Values) {
        let name = "key_management";
        let (Some(at), Some(is)) = (self.said(values, name), &observed.key_management) else { return };
        let said = at.value.to_string();
        if said != *is {
            let message = format!(
                "the policy says that the {said} manages the keys; what runs says that the {is} does"
            );
            self.contradicted(name, at, message);
        }
    }

    fn names(&mut self, observed: &Observed, values: &Values) {
        for (name, is, is_all) in [
            ("providers", &observed.providers, true),
            ("regions", &observed.regions, true),
            // A method more than those that are stated contradicts none of them.
            ("deletion_methods", &observed.deletion_methods, false),
            ("alarm_channels", &observed.alarm_channels, true),
        ] {
            let (Some(at), Some(is)) = (self.said(values, name), is) else { continue };
            let said = at.value.names();
            let wrong: Vec<_> = said.iter().filter(|one| !is.iter().any(|other| other == *one)).collect();
            let unsaid: Vec<_> = is.iter().filter(|one| !said.contains(&one.as_str())).collect();
            let mut messages = Vec::new();
            if !wrong.is_empty() {
                let is: Vec<_> = is.iter().collect();
                messages.push(format!(
                    "the policy names {}, and that is not so; what is so: {}",
                    list(&wrong),
                    list(&is)
                ));
            }
            if is_all && !unsaid.is_empty() {
                messages.push(format!("{} is so too, and the policy does not say it", list(&unsaid)));
            }
            if !messages.is_empty() {
                self.contradicted(name, at, messages.join("; "));
            }
        }
    }

    fn places(&mut self, observed: &Observed, values: &Values) {
        let name = "regions";
        let Some(at) = self.said(values, name) else { return };
        let said = at.value.names();
        let unsaid: Vec<_> = observed.stored_in.iter().filter(|one| !said.contains(&one.as_str())).collect();
        if !unsaid.is_empty() {
            let message = format!("data is stored in {}, and the policy does not name it", list(&unsaid));
            self.contradicted(name, at, message);
        }
    }

    /// CD-1 says in our words that one region's loss is survived, which no other fact is needed to contradict.
    fn replication(&mut self, values: &Values, decisions: &Decisions) {
        let (id, at) = ("CD-1".parse::<ClauseId>(), self.said(values, "regions"));
        let is_ours = id.is_ok_and(|id| decisions.chosen.contains_key(&id) && !self.own.contains(&id));
        let Some(at) = at.filter(|at| is_ours && at.value.names().len() < 2) else { return };
        let message = "CD-1 says that data is replicated to more than one region: name them, or word the clause anew in \
                       wording.toml";
        self.contradicted("regions", at, message);
    }

    fn agents(&mut self, observed: &Observed, values: &Values) {
        let name = "monitoring";
        let (Some(at), Some(agents)) = (self.said(values, name), observed.agents) else { return };
        match (at.value.to_string().as_str(), agents) {
            ("agent", 0) => {
                self.contradicted(
                    name,
                    at,
                    "the policy says that agents watch the systems; no agent is alive",
                );
            }
            ("agentless", 1..) => {
                let message = format!("the policy says that there are no agents; {agents} are alive");
                self.contradicted(name, at, message);
            }
            _ => {}
        }
    }

    fn reviews(&mut self, observed: &Observed, values: &Values) {
        let name = "privileged_review_time";
        let (Some(at), Some(is)) = (self.said(values, name), observed.privileged_review_seconds) else {
            return;
        };
        if at.value.seconds().is_some_and(|said| is > said) {
            let message = format!(
                "the policy gives a reviewer {}; `review.due` gives {} minutes",
                at.value,
                is.div_ceil(60)
            );
            self.contradicted(name, at, message);
        }
    }

    fn witnesses(&mut self, observed: &Observed, decisions: &Decisions) {
        if observed.witnesses != Some(0) {
            return;
        }
        for key in ["AO-2", "AO-3"] {
            let decided = key.parse().ok().and_then(|id: ClauseId| decisions.feasible.get(&id));
            if let Some(at) = decided.filter(|at| at.value.holds) {
                let message = "the decision says that it is so, and no witness is configured (`ledger.witness_policy`): \
                               configure one, or decide `holds = false` with the reason";
                self.wrong((Code::Contradicted, DECISIONS), key, Some(at.line), message);
            }
        }
    }

    fn clocks(&mut self, observed: &Observed, decisions: &Decisions) {
        let key = "EL-5";
        if observed.time_servers == Some(0) && is_in(decisions, key) {
            let message =
                "EL-5 says that clocks are synchronised, and no NTP server is configured (`clock.servers`)";
            self.wrong((Code::Contradicted, POLICY), key, None, message);
        }
    }
}

fn is_in(decisions: &Decisions, clause: &str) -> bool {
    clause.parse().is_ok_and(|id: ClauseId| decisions.chosen.contains_key(&id))
}

fn list(names: &[impl AsRef<str>]) -> String {
    let names: Vec<_> = names.iter().map(AsRef::as_ref).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

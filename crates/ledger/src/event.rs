//! The event, and its one encoding: canonical JSON in the naming of OCSF 1.x.
//!
//! Names come in a fixed order, without white space, strings escaped as RFC 8785 says. `time` is
//! milliseconds since 1970 as OCSF has it; `time_dt` is the same instant in RFC 3339, UTC, to the
//! microsecond (OCSF's `datetime` profile). What OCSF has no room for is under `unmapped`, where OCSF
//! wants it. The elements of EL-3 are found thus:
//!
//! | element | where |
//! |---|---|
//! | type of action | `metadata.event_code`, `type_uid`, `activity_name` |
//! | subsystem | `metadata.product.feature.name` |
//! | subject | `actor.user.uid`, `actor.user.type`, `metadata.tenant_uid` |
//! | object | `resources[0]`, `entity` or `unmapped.object`, by class: `type`, `uid`, `data` |
//! | before and after | `unmapped.before`, `unmapped.after`: commitments |
//! | time, zone | `time`, `time_dt` |
//! | allowed or denied, and why | `action_id`, `status_id`, `status_code`, `unmapped.clause` |
//!
//! Where: `device.uid` (the server), `src_endpoint.uid` or `unmapped.context` (a commitment to the
//! peer's address and tool). How: `unmapped.interface`.

use base::{Actor, EventId, Timestamp};

use crate::{
    Act, Activity, Class, DetailValue, ObjectRef, Origin, Outcome, SealedContext, Severity, json::Json,
};

/// The version of OCSF whose names are used.
pub const OCSF_VERSION: &str = "1.5.0";
/// The version of what this file writes: `metadata.log_version`.
pub(crate) const FORMAT_VERSION: &str = "1";
/// Most bytes of an encoded event. Every part is bounded, so that none is larger.
pub const MAX_EVENT_BYTES: usize = 60_000;
/// What stands in `metadata` before the product's version.
pub(crate) const PRODUCT: &str = ",\"version\":\"1.5.0\",\"log_version\":\"1\",\
    \"product\":{\"name\":\"Tenet\",\"vendor_name\":\"Tenet\",\"version\":\"";
/// And after it.
pub(crate) const FEATURE: &str = ",\"feature\":{\"name\":";
/// Bytes that most events need.
const USUAL_BYTES: usize = 1_536;

/// Who did what to which object, when, where, how, and with what outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    id: EventId,
    time: Timestamp,
    origin: Origin,
    act: Act,
    clock_doubtful: bool,
}

/// What an event says of its time while the server's clock is not known to be right: `unmapped.clock`.
pub(crate) const CLOCK_DOUBTFUL: &str = "unsynchronised";

impl Event {
    /// An event of all its parts; there is no other way to make one.
    pub fn new(id: EventId, time: Timestamp, origin: Origin, act: Act) -> Self {
        Self { id, time, origin, act, clock_doubtful: false }
    }

    /// Says in the event that the server's clock is not known to be right (EL-5). Its place in the log is, and so are
    /// the times that witnesses give.
    #[must_use]
    pub fn with_doubtful_clock(mut self) -> Self {
        self.clock_doubtful = true;
        self
    }

    /// Its id.
    pub fn id(&self) -> EventId {
        self.id
    }

    /// When it happened.
    pub fn time(&self) -> Timestamp {
        self.time
    }

    /// What was done.
    pub fn activity(&self) -> Activity {
        self.act.activity
    }

    /// Who, for which account, where and how.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// What was done to which object, with what outcome.
    pub fn act(&self) -> &Act {
        &self.act
    }

    /// The sealed address and tool of the peer, to be kept beside the log.
    pub fn sealed(&self) -> Option<&SealedContext> {
        self.origin.sealed.as_ref()
    }

    /// Its severity: the activity's, and at least low if refused, medium if failed.
    pub fn severity(&self) -> Severity {
        let least = match self.act.outcome {
            Outcome::Success => Severity::Informational,
            Outcome::Refused { .. } => Severity::Low,
            Outcome::Failed { .. } => Severity::Medium,
        };
        self.act.activity.severity().max(least)
    }

    /// The leaf of the log: canonical JSON of at most [`MAX_EVENT_BYTES`] bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut json = Json::with_capacity(USUAL_BYTES);
        self.head(&mut json);
        self.metadata(&mut json);
        self.actor(&mut json);
        self.by_class(&mut json);
        self.outcome(&mut json);
        self.unmapped(&mut json);
        json.raw("}");
        json.into_bytes()
    }

    fn head(&self, json: &mut Json) {
        let activity = self.act.activity;
        json.raw("{\"activity_id\":").number(activity.activity_id());
        json.raw(",\"activity_name\":").literal(activity.activity_name());
        json.raw(",\"category_uid\":").number(activity.class().category_uid());
        json.raw(",\"class_uid\":").number(activity.class_uid());
        json.raw(",\"class_name\":").literal(activity.class_name());
        json.raw(",\"type_uid\":").number(activity.type_uid());
        json.raw(",\"severity_id\":").number(self.severity().id());
        json.raw(",\"time\":").number(self.time.micros().div_euclid(1_000));
        json.raw(",\"time_dt\":").plain(self.time);
    }

    fn metadata(&self, json: &mut Json) {
        json.raw(",\"metadata\":{\"uid\":").plain(self.id);
        json.raw(",\"event_code\":").literal(self.act.activity.name());
        json.raw(PRODUCT).raw(env!("CARGO_PKG_VERSION")).raw("\"").raw(FEATURE).word(self.origin.subsystem);
        json.raw("}},\"profiles\":[\"host\",\"datetime\",\"security_control\"],\"correlation_uid\":");
        json.plain(self.origin.request);
        if let Some(account) = self.origin.account {
            json.raw(",\"tenant_uid\":").plain(account);
        }
        json.raw("}");
    }

    fn actor(&self, json: &mut Json) {
        json.raw(",\"actor\":{\"user\":");
        user(json, &self.origin.actor);
        for (index, policy) in self.act.policies.iter().enumerate() {
            json.raw(if index == 0 { ",\"authorizations\":[" } else { "," });
            json.raw("{\"decision\":")
                .raw(self.decision())
                .raw(",\"policy\":{\"uid\":")
                .text(policy)
                .raw("}}");
        }
        json.raw(if self.act.policies.is_empty() { "}" } else { "]}" });
        json.raw(",\"device\":{\"uid\":").plain(self.origin.server).raw(",\"type_id\":1}");
    }

    /// What OCSF asks of each class, and the object where the class has room for it.
    fn by_class(&self, json: &mut Json) {
        match &self.origin.sealed {
            Some(sealed) => {
                json.raw(",\"src_endpoint\":{\"uid\":").plain(sealed.commitment).raw("}");
            }
            // Required by the class; without a peer, the server itself is where the act comes from.
            None if self.act.activity.class() == Class::ApiActivity => {
                json.raw(",\"src_endpoint\":{\"uid\":").plain(self.origin.server).raw("}");
            }
            None => {}
        }
        let name = self.act.activity.name();
        match self.act.activity.class() {
            Class::ApiActivity => {
                json.raw(",\"api\":{\"operation\":").literal(name).raw("},\"resources\":[");
                object(json, &self.act.object);
                json.raw("]");
            }
            Class::DetectionFinding => {
                json.raw(",\"finding_info\":{\"title\":").literal(name).raw(",\"uid\":").plain(self.id);
                json.raw("},\"is_alert\":true,\"resources\":[");
                object(json, &self.act.object);
                json.raw("]");
            }
            Class::EntityManagement => {
                json.raw(",\"entity\":");
                object(json, &self.act.object);
            }
            Class::Authentication => {
                json.raw(",\"user\":");
                user(json, &self.origin.actor);
                json.raw(",\"service\":{\"name\":").word(self.origin.subsystem).raw("}");
            }
            Class::ApplicationLifecycle => {
                json.raw(",\"app\":{\"name\":\"Tenet\",\"vendor_name\":\"Tenet\"}");
            }
            Class::NetworkActivity => {
                json.raw(",\"dst_endpoint\":{\"uid\":").plain(self.origin.server).raw("}");
            }
            Class::ApplicationError => {}
        }
    }

    fn outcome(&self, json: &mut Json) {
        let (status, reason) = match self.act.outcome {
            Outcome::Success => (",\"status_id\":1,\"status\":\"Success\"", None),
            Outcome::Refused { reason, .. } | Outcome::Failed { reason } => {
                (",\"status_id\":2,\"status\":\"Failure\"", Some(reason))
            }
        };
        json.raw(status);
        if let Some(reason) = reason {
            json.raw(",\"status_code\":").word(reason);
        }
        json.raw(match self.act.outcome {
            Outcome::Refused { .. } => ",\"action_id\":2,\"action\":",
            Outcome::Success | Outcome::Failed { .. } => ",\"action_id\":1,\"action\":",
        });
        json.raw(self.decision());
    }

    fn unmapped(&self, json: &mut Json) {
        let act = &self.act;
        json.raw(",\"unmapped\":{\"interface\":").literal(self.origin.interface.as_str());
        if self.clock_doubtful {
            json.raw(",\"clock\":").literal(CLOCK_DOUBTFUL);
        }
        if !has_object(act.activity.class()) {
            json.raw(",\"object\":");
            object(json, &act.object);
        }
        if let Some(before) = act.before {
            json.raw(",\"before\":").plain(before);
        }
        if let Some(after) = act.after {
            json.raw(",\"after\":").plain(after);
        }
        if let Some((key, purpose)) = &act.key {
            json.raw(",\"key\":{\"uid\":").text(key).raw(",\"purpose\":").word(purpose).raw("}");
        }
        if let Outcome::Refused { clause: Some(clause), .. } = act.outcome {
            json.raw(",\"clause\":").word(clause);
        }
        for (index, (name, value)) in act.details.iter().enumerate() {
            json.raw(if index == 0 { ",\"detail\":{" } else { "," }).word(name).raw(":");
            match value {
                DetailValue::Flag(value) => json.raw(if *value { "true" } else { "false" }),
                DetailValue::Number(value) => json.number(value),
                DetailValue::Text(value) => json.text(value),
            };
        }
        json.raw(if act.details.is_empty() { "" } else { "}" });
        if act.details_omitted > 0 {
            json.raw(",\"detail_omitted\":").number(act.details_omitted);
        }
        json.raw("}");
    }

    /// OCSF's word for whether the act was allowed, quoted.
    fn decision(&self) -> &'static str {
        match self.act.outcome {
            Outcome::Refused { .. } => "\"Denied\"",
            Outcome::Success | Outcome::Failed { .. } => "\"Allowed\"",
        }
    }
}

/// Whether OCSF gives the class an attribute for the object.
pub(crate) fn has_object(class: Class) -> bool {
    matches!(class, Class::ApiActivity | Class::DetectionFinding | Class::EntityManagement)
}

fn user(json: &mut Json, actor: &Actor) {
    // OCSF's `type_id`: 0 unknown, 2 administrator, 3 system, 99 other.
    let type_id = match actor {
        Actor::Client(_) => 99,
        Actor::Operator(_) => 2,
        Actor::System(_) => 3,
        Actor::Anonymous => 0,
    };
    json.raw("{\"uid\":").plain(actor).raw(",\"type_id\":").number(type_id);
    json.raw(",\"type\":").literal(actor.kind().as_str()).raw("}");
}

fn object(json: &mut Json, object: &ObjectRef) {
    json.raw("{\"type\":").word(object.kind).raw(",\"uid\":").text(&object.id);
    let mut lead = ",\"data\":{";
    if let Some(account) = object.account {
        json.raw(lead).raw("\"account\":").plain(account);
        lead = ",";
    }
    if let Some(repository) = object.repository {
        json.raw(lead).raw("\"repository\":").plain(repository);
        lead = ",";
    }
    if let Some(classification) = &object.classification {
        json.raw(lead).raw("\"classification\":").text(classification);
        lead = ",";
    }
    json.raw(if lead == "," { "}}" } else { "}" });
}

//! What a message says: fixed words, ids, counts, clauses, and where to look. Nothing of a person, of data, or of what an event
//! says in words of its own.

use base::{AlarmId, MessageId, Timestamp};
use store::SystemScope;

use crate::{Alarm, AlarmSeverity, AlarmState, Alarms, MessageKind, WatchError};

/// A message about an alarm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// The same in each attempt.
    pub message: MessageId,
    /// The same in each message about one alarm.
    pub alarm: AlarmId,
    /// What it says of it.
    pub kind: MessageKind,
    /// How grave it is.
    pub severity: AlarmSeverity,
    /// The rule that raised it.
    pub rule: String,
    /// What is wrong.
    pub title: String,
    /// What it is about; `-` if nothing in particular.
    pub about: String,
    /// The clauses that it touches.
    pub clauses: Vec<String>,
    /// How often it happened so far.
    pub count: u64,
    /// When it happened first.
    pub first_at: Timestamp,
    /// Where the server is found.
    pub server: String,
}

impl Notice {
    /// What stands before the title.
    fn mark(&self) -> &'static str {
        match (self.kind, self.severity) {
            (MessageKind::Acknowledge, _) => "acknowledged",
            (MessageKind::Resolve, _) => "resolved",
            (MessageKind::Test, _) => "test",
            (_, severity) => severity.as_str(),
        }
    }

    /// One line: `[critical] Stored data is not what was stored (CD-2)`.
    pub fn subject(&self) -> String {
        let clauses = match self.clauses.as_slice() {
            [] => String::new(),
            some => format!(" ({})", some.join(", ")),
        };
        let about = if self.about == "-" || self.kind == MessageKind::Test {
            String::new()
        } else {
            format!(": {}", self.about)
        };
        format!("[{}] {}{about}{clauses}", self.mark(), self.title)
    }

    /// A line for a telephone.
    pub fn short(&self) -> String {
        format!("Tenet {} {}", self.subject(), self.alarm)
    }

    /// A few lines.
    pub fn text(&self) -> String {
        let how = match self.kind {
            MessageKind::Raise => "It was raised now.",
            MessageKind::Again => "Whoever acknowledged it did not end it in time.",
            MessageKind::Escalate => "Nobody acknowledged it in time.",
            MessageKind::Acknowledge => "Somebody has taken it on.",
            MessageKind::Resolve => "It is over.",
            MessageKind::Test => "Somebody, or the schedule, tries whether alarms arrive here.",
        };
        let times = if self.count == 1 { "once".to_owned() } else { format!("{} times", self.count) };
        let mut text = format!("{}\n{how}\n", self.subject());
        if self.kind != MessageKind::Test {
            text.push_str(&format!("It happened {times}, first at {}.\n", self.first_at));
        }
        if !self.server.is_empty() {
            text.push_str(&format!("Server: {}\n", self.server));
        }
        text.push_str(&format!("Look: tenet alarm show {}\n", self.alarm));
        text
    }
}

impl Alarms {
    /// What a message says now; none if its alarm is gone.
    pub(crate) async fn notice(
        &self,
        scope: &SystemScope,
        message: MessageId,
        alarm: AlarmId,
        kind: MessageKind,
    ) -> Result<Option<Notice>, WatchError> {
        let mut read = self.store().system_read(scope).await?;
        let found = self.alarm(&mut read, alarm).await?;
        Ok(found.map(|alarm| {
            let server = self.plan().server.clone();
            let Alarm { id, rule, title, about, severity, clauses, count, first_at, state, .. } = alarm;
            let kind = if state == AlarmState::Test { MessageKind::Test } else { kind };
            Notice {
                message,
                alarm: id,
                kind,
                severity,
                rule,
                title,
                about,
                clauses,
                count,
                first_at,
                server,
            }
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ALARM_RULES;

    #[test]
    fn a_message_says_what_is_wrong_where_and_which_clause() {
        let mut notice = Notice {
            message: MessageId::from_bytes([1; 16]),
            alarm: AlarmId::from_bytes([2; 16]),
            kind: MessageKind::Escalate,
            severity: AlarmSeverity::Warning,
            rule: "finding".into(),
            title: "A check of the policy failed".into(),
            about: "tls-only".into(),
            clauses: vec!["TR-4".into()],
            count: 3,
            first_at: "2026-11-27T09:00:00Z".parse().unwrap(),
            server: "https://tenet.example".into(),
        };
        assert_eq!(
            notice.text(),
            format!(
                "[warning] A check of the policy failed: tls-only (TR-4)\nNobody acknowledged it in time.\nIt happened 3 times, \
                 first at 2026-11-27T09:00:00.000000Z.\nServer: https://tenet.example\nLook: tenet alarm show {}\n",
                notice.alarm
            )
        );
        notice.kind = MessageKind::Resolve;
        assert_eq!(notice.subject(), "[resolved] A check of the policy failed: tls-only (TR-4)");
        // One message of a telephone.
        for rule in ALARM_RULES {
            notice.title = rule.title.into();
            assert!(notice.short().len() <= 160, "{}", notice.short());
        }
    }
}

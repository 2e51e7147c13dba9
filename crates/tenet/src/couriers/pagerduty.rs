//! PagerDuty, Events API v2: an alarm is an incident there by its id, acknowledged and resolved with it.

use base::Secret;
use reqwest::Url;
use rustls_pki_types::CertificateDer;
use serde_json::json;
use watch::{AlarmSeverity, CarryFuture, Courier, MessageKind, Notice};

use super::http;
use crate::config::RouteConfig;

const ADDRESS: &str = "https://events.pagerduty.com/v2/enqueue";

pub(super) struct PagerDuty {
    route: String,
    url: Url,
    key: Secret<String>,
    http: reqwest::Client,
}

impl PagerDuty {
    /// Its file holds the integration's routing key.
    pub(super) fn new(
        route: &RouteConfig,
        lines: &[String],
        authorities: &[CertificateDer<'static>],
    ) -> Result<Self, String> {
        let server = if route.server.is_empty() { ADDRESS.to_owned() } else { route.server.clone() };
        let url = http::address(Some(&server))?;
        let key = lines.first().cloned().ok_or("its file holds no routing key")?;
        Ok(Self { route: route.name.clone(), url, key: Secret::new(key), http: http::client(authorities)? })
    }

    fn body(&self, notice: &Notice) -> serde_json::Value {
        let action = match notice.kind {
            MessageKind::Raise | MessageKind::Again | MessageKind::Escalate | MessageKind::Test => "trigger",
            MessageKind::Acknowledge => "acknowledge",
            MessageKind::Resolve => "resolve",
        };
        let severity = match notice.severity {
            AlarmSeverity::Info => "info",
            AlarmSeverity::Warning => "warning",
            AlarmSeverity::Critical => "critical",
        };
        let source = if notice.server.is_empty() { "tenet" } else { notice.server.as_str() };
        let mut body = json!({
            "routing_key": self.key.expose(), "event_action": action, "dedup_key": notice.alarm.to_string(),
        });
        if action == "trigger"
            && let Some(members) = body.as_object_mut()
        {
            let payload = json!({
                "summary": notice.subject(), "source": source, "severity": severity, "component": "tenet",
                "class": notice.rule,
                "custom_details": {
                    "clauses": notice.clauses, "count": notice.count, "first_at": notice.first_at,
                    "look": format!("tenet alarm show {}", notice.alarm),
                },
            });
            members.insert("payload".to_owned(), payload);
        }
        body
    }
}

impl Courier for PagerDuty {
    fn route(&self) -> &str {
        &self.route
    }
    fn carry<'a>(&'a self, notice: &'a Notice) -> CarryFuture<'a> {
        let body = self.body(notice);
        Box::pin(async move {
            http::send(self.http.post(self.url.clone()).json(&body)).await?;
            if notice.kind != MessageKind::Test {
                return Ok(());
            }
            // A test leaves no incident behind.
            let over = Notice { kind: MessageKind::Resolve, ..notice.clone() };
            http::send(self.http.post(self.url.clone()).json(&self.body(&over))).await
        })
    }
}

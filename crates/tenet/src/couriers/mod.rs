//! Brings messages about alarms to their receivers: e-mail (SMTP), incoming webhooks of Slack and Mattermost, Matrix, gateways
//! for text messages, PagerDuty. What went wrong is said in fixed words: an address may be a secret, and an answer may be
//! anything.

pub(crate) mod http;
mod matrix;
mod pagerduty;
mod slack;
mod sms;
mod smtp;

use std::{path::Path, sync::Arc};

use rustls_pki_types::{CertificateDer, pem::PemObject};
use watch::{AlarmPlan, AlarmRoute, AlarmStep, Courier};

use crate::{
    config::{AlarmsConfig, Config, RouteConfig, RouteKind, read_secret_lines},
    failure::Failure,
};

/// How alarms go out, as it is configured. `address` is where this server is found.
pub(crate) fn plan(config: &Config, address: &str) -> AlarmPlan {
    let AlarmsConfig { route, step, quiet_hours, test_every } = &config.alarms;
    let named = |one: &RouteConfig| AlarmRoute { name: one.name.clone(), kind: one.kind.as_str().to_owned() };
    AlarmPlan {
        routes: route.0.iter().map(named).collect(),
        steps: step
            .0
            .iter()
            .map(|one| AlarmStep { routes: one.routes.clone(), wait: one.wait.value })
            .collect(),
        quiet: quiet_hours.0,
        test_every: test_every.value,
        server: address.to_owned(),
    }
}

/// A courier for each route. Secrets are read now.
pub(crate) fn all(config: &Config) -> Result<Vec<Arc<dyn Courier>>, Failure> {
    config.alarms.route.0.iter().map(one).collect()
}

fn one(route: &RouteConfig) -> Result<Arc<dyn Courier>, Failure> {
    let wrong = |why: String| {
        Failure::usage(format!("alarms can't go by the route `{}`", route.name))
            .why(why)
            .remedy("docs/alarms.md says what its file holds")
    };
    let authorities = route.ca.as_deref().map(authorities).transpose()?.unwrap_or_default();
    let lines = match &route.secret_file {
        Some(path) => read_secret_lines(path).map_err(|error| wrong(error.to_string()))?,
        None => base::Secret::new(Vec::new()),
    };
    Ok(match route.kind {
        RouteKind::Smtp => Arc::new(smtp::Smtp::new(route, lines.expose(), &authorities).map_err(wrong)?),
        RouteKind::Slack => Arc::new(slack::Slack::new(route, lines.expose(), &authorities).map_err(wrong)?),
        RouteKind::Matrix => {
            Arc::new(matrix::Matrix::new(route, lines.expose(), &authorities).map_err(wrong)?)
        }
        RouteKind::Sms => Arc::new(sms::Sms::new(route, lines.expose(), &authorities).map_err(wrong)?),
        RouteKind::Pagerduty => {
            Arc::new(pagerduty::PagerDuty::new(route, lines.expose(), &authorities).map_err(wrong)?)
        }
    })
}

/// The certificates in a file.
pub(crate) fn authorities(path: &Path) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let pem = std::fs::read(path).map_err(|error| Failure::file("can't read", path, &error))?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    found.map_err(|_| Failure::usage(format!("`{}` is not certificates in PEM", path.display())))
}

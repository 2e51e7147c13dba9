//! The settings that keep the record of what is done, with how strong each is (AO-1).

use access::Safeguard;

use crate::{
    config::{Config, Span},
    failure::Failure,
    input::read_text,
};

const MAX_POLICY_BYTES: usize = 65_536;

/// The safeguards of a configuration.
pub(crate) fn of(config: &Config) -> Result<Vec<Safeguard>, Failure> {
    let ledger = &config.ledger;
    let witnesses = match &ledger.witness_policy {
        None => ("none".to_owned(), 0),
        Some(path) => {
            let text = read_text(path, MAX_POLICY_BYTES)?;
            let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
            let hex: String = digest.as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
            (format!("sha256:{hex}"), 1)
        }
    };
    let everything = i64::from(ledger.unwitnessed.value == "everything");
    let servers = &config.clock.servers;
    let clock = if servers.is_empty() { ("none".to_owned(), 0) } else { (servers.join(" "), 1) };
    Ok(vec![
        Safeguard {
            name: "ledger.witness_policy",
            value: witnesses.0,
            strength: witnesses.1,
            exchangeable: false,
        },
        at_most("ledger.witness_limit", &ledger.witness_limit),
        at_most("ledger.heartbeat", &ledger.heartbeat),
        at_most("ledger.reconcile", &ledger.reconcile),
        Safeguard {
            name: "ledger.unwitnessed",
            value: ledger.unwitnessed.value.to_string(),
            strength: everything,
            exchangeable: true,
        },
        Safeguard { name: "clock.servers", value: clock.0, strength: clock.1, exchangeable: true },
        at_most("clock.limit", &config.clock.limit),
        at_most("review.due", &config.review.due),
    ])
}

/// A time that is the stronger the shorter it is.
fn at_most(name: &'static str, span: &Span) -> Safeguard {
    let strength = span.value.micros().saturating_neg();
    Safeguard { name, value: span.to_string(), strength, exchangeable: true }
}

//! `tenet console`: the console in a browser, as the operator of this machine.

use std::process::Stdio;

use serde_json::{Value, json};
use tokio::process::Command;

use super::Session;
use crate::{
    cli::Console,
    failure::{Exit, Failure},
    output,
};

pub(super) async fn run(session: &Session, arguments: &Console) -> Result<(), Failure> {
    let api = session.operator()?;
    let made = api.post(&["v1", "console", "codes"], &Value::Null).await?.body;
    let incomplete = || Failure::new(Exit::Failure, "answer", "the server's answer holds no code");
    let text = |name: &str| made.get(name).and_then(Value::as_str).ok_or_else(incomplete);
    let (code, expires) = (text("code")?, text("expires_at")?);
    // Behind `#`: no browser sends that, and no server's log has it.
    let address = format!("{}/sign-in#{code}", api.server());
    if arguments.open && opened(&address).await {
        return session.out.say("opened in the browser", &json!({ "opened": true, "expires_at": expires }));
    }
    if !session.out.is_json() {
        output::note(&format!("opens the console as you, once, until {expires}:"));
    }
    session.out.say(&address, &json!({ "address": address, "expires_at": expires }))
}

/// Whether this desktop's browser took it. The address is a secret until it is used: it is given as the standard asks, as an
/// argument, which others on this machine may see for the moment that it takes.
async fn opened(address: &str) -> bool {
    let mut command = Command::new("xdg-open");
    command.arg(address).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().await.is_ok_and(|status| status.success())
}

//! `tenet up`.

use serde_json::json;

use super::Session;
use crate::{
    cli::SettingArgs,
    config,
    failure::{Exit, Failure},
    output,
    server::{self, Ready},
};

pub(super) fn run(session: &Session, arguments: &SettingArgs) -> Result<(), Failure> {
    let loaded = config::load_to_start(&arguments.arguments(), &session.environment)?;
    server::init_logging(&loaded.config.logging);
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|error| {
        Failure::new(Exit::Failure, "runtime", "the server can't start").why(error.to_string())
    })?;
    runtime.block_on(server::run(&loaded, &session.context, |ready| announce(session, ready)))?;
    if !session.out.is_json() {
        output::note("stopped");
    }
    Ok(())
}

fn announce(session: &Session, ready: &Ready) -> Result<(), Failure> {
    let link = ready.link.as_ref();
    if session.out.is_json() {
        let line = json!({
            "address": ready.address, "listeners": ready.listeners, "data": ready.data, "ca": ready.ca,
            "log_key": ready.log_key, "crashed_before": ready.crashed,
            "enrolment_link": link.map(|(link, _)| link.expose()),
            "enrolment_link_expires_at": link.map(|(_, expires)| expires),
        });
        return session.out.text(&format!("{line}\n"));
    }
    let mut text = format!(
        "tenet {} is ready\n\n  address    {}\n  data       {}\n  authority  {}\n  log key    {}\n",
        env!("CARGO_PKG_VERSION"),
        ready.address,
        ready.data.display(),
        ready.ca.display(),
        ready.log_key
    );
    if let Some((link, expires)) = link {
        text.push_str(&format!(
            "\nThere is no administrator yet. Once, before {expires}, open this in a browser that trusts the authority above:\n\n  {}\n\nor give it to `tenet enrol` in another terminal, and `tenet console` opens the console;\nor let `tenet quickstart` do that and walk through the rest.\n",
            link.expose()
        ));
    }
    if link.is_none() {
        text.push_str("\n`tenet console` opens the console in a browser.\n");
    }
    text.push_str("\nCtrl-C stops the server.\n");
    session.out.text(&text)
}

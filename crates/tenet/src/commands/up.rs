//! `tenet up`.

use serde_json::json;

use super::Session;
use crate::{
    cli::UpArgs,
    config::{self, Loaded},
    demo,
    failure::{Exit, Failure},
    output,
    server::{self, Ready},
};

pub(super) fn run(session: &Session, arguments: &UpArgs) -> Result<(), Failure> {
    let loaded = config::load_to_start(&arguments.settings.arguments(), &session.environment)?;
    // Before the process logs: what went wrong in a told history is nobody's concern today.
    if arguments.demo {
        fill(session, &loaded, arguments.demo_days)?;
    }
    server::init_logging(&loaded.config.logging);
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    runtime()?.block_on(server::run(&loaded, &session.context, |ready| {
        let profile = if ready.demo { demo::follow(&session.home()?, ready)? } else { None };
        announce(session, ready, profile)
    }))?;
    if !session.out.is_json() {
        output::note("stopped");
    }
    Ok(())
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|error| {
        Failure::new(Exit::Failure, "runtime", "the server can't start").why(error.to_string())
    })
}

/// Fills a demonstration, if it is to be filled. On a runtime of its own: with that, whatever it left under way ends.
fn fill(session: &Session, loaded: &Loaded, days: u32) -> Result<(), Failure> {
    let filled = runtime()?.block_on(demo::fill(loaded, &session.home()?, days, &session.context))?;
    match filled {
        Some(demo::Filled { entries, took }) => {
            output::note(&format!("filled: {entries} entries of the log in {} s", took.seconds()));
        }
        None => output::note("the demonstration is there already: it is served as it is"),
    }
    Ok(())
}

fn announce(session: &Session, ready: &Ready, profile: Option<&str>) -> Result<(), Failure> {
    let link = ready.link.as_ref();
    if session.out.is_json() {
        let line = json!({
            "address": ready.address, "listeners": ready.listeners, "data": ready.data, "ca": ready.ca,
            "log_key": ready.log_key, "crashed_before": ready.crashed,
            "enrolment_link": link.map(|(link, _)| link.expose()),
            "enrolment_link_expires_at": link.map(|(_, expires)| expires), "demonstration": ready.demo,
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
    if ready.demo {
        text.push_str(&demonstration(profile));
    }
    text.push_str("\nCtrl-C stops the server.\n");
    session.out.text(&text)
}

/// What is said of a demonstration.
fn demonstration(profile: Option<&str>) -> String {
    let company = demo::COMPANY;
    let mut text = format!(
        "\nThis is a DEMONSTRATION. {company}, its people, customers and weeks of history are invented;\nkeep nothing in it that matters.\n"
    );
    match profile {
        Some(name) => text.push_str(&format!(
            "\nYou are Mira Halvorsen, its security lead (the profile `{name}`). In another terminal:\n\n  tenet evidence state --as {name}\n  tenet policy acknowledge --as {name}\n  tenet review list --as {name}\n  tenet repository list --as demo-acme\n\ndocs/demo.md is a walk through all of it.\n"
        )),
        None => text.push_str("\nIts profiles are in another home than this: set `TENET_HOME` to that.\n"),
    }
    text
}

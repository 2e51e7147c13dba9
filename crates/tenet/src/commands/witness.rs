//! `tenet witness`.

use std::sync::Arc;

use rules::RuleSet;
use serde_json::json;

use super::Session;
use crate::{
    cli::WitnessArgs,
    config::{Address, Config},
    failure::{Exit, Failure},
    offline::read_vkey,
    output,
    server::{self, Route, WitnessReady, WitnessSettings},
};

pub(super) fn run(session: &Session, arguments: &WitnessArgs) -> Result<(), Failure> {
    let mut logging = Config::default().logging;
    if arguments.log_format == "json" {
        logging.format.value = "json";
    }
    server::init_logging(&logging);
    let mut rules = RuleSet::new();
    if !arguments.only_these_rules {
        rules = RuleSet::starter().map_err(|error| Failure::usage(error.to_string()))?;
    }
    if let Some(place) = &arguments.rules {
        super::rules::add(&mut rules, std::slice::from_ref(place))?;
    }
    let route = arguments.alerts_to.as_deref().map(|path| Route::read(path, arguments.alerts_ca.as_deref()));
    let settings = WitnessSettings {
        rules,
        silence: base::Duration::from_seconds(arguments.silence.into()),
        route: route.transpose()?.map(Arc::new),
        data: match &arguments.data {
            Some(data) => data.clone(),
            None => home(session)?,
        },
        listen: Address::parse(&arguments.listen).ok_or_else(|| {
            Failure::usage(format!("`--listen {}` is not a host and a port", arguments.listen))
                .remedy("give such as `localhost:8441`, `0.0.0.0:8441` or `[::]:8441`")
        })?,
        public_url: arguments.public_url.clone(),
        name: arguments.name.clone(),
        logs: arguments.log.iter().map(|log| read_vkey(log)).collect::<Result<_, _>>()?,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|error| {
        Failure::new(Exit::Failure, "runtime", "the witness can't start").why(error.to_string())
    })?;
    runtime.block_on(server::run_witness(&settings, &session.context, |ready| announce(session, ready)))?;
    if !session.out.is_json() {
        output::note("stopped");
    }
    Ok(())
}

/// Beside the server's own directory, by the same rules.
fn home(session: &Session) -> Result<std::path::PathBuf, Failure> {
    let of = |name: &str| session.environment.get(name).filter(|value| !value.is_empty());
    let base = of("XDG_DATA_HOME").map(std::path::PathBuf::from);
    let base = base.or_else(|| of("HOME").map(|home| std::path::Path::new(home).join(".local/share")));
    base.map(|base| base.join("tenet-witness"))
        .ok_or_else(|| Failure::usage("where is the witness's directory to be?").remedy("give `--data DIR`"))
}

fn announce(session: &Session, ready: &WitnessReady) -> Result<(), Failure> {
    let logs: Vec<_> =
        ready.logs.iter().map(|(origin, copy)| json!({ "origin": origin, "copy": copy })).collect();
    if session.out.is_json() {
        let line = json!({
            "address": ready.address, "name": ready.name, "witness_key": ready.witness_key,
            "mirror_key": ready.mirror_key, "ca": ready.ca, "logs": logs,
        });
        return session.out.text(&format!("{line}\n"));
    }
    let mut text = format!(
        "the witness `{}` is ready\n\n  address    {}\n  authority  {}\n",
        ready.name,
        ready.address,
        ready.ca.display()
    );
    for (origin, copy) in &ready.logs {
        text.push_str(&format!("  log        {origin}\n  copy       {}\n", copy.display()));
    }
    text.push_str(&format!(
        "\nFor the server, a file that `ledger.witness_policy` names:\n\n  witness {0} {1} {2}\n  quorum {0}\n\n\
         and `ledger.witness_ca` names a copy of the authority's file above.\n\nCtrl-C stops the witness.\n",
        ready.name, ready.mirror_key, ready.address
    ));
    session.out.text(&text)
}

//! How each check of the registry is made: by looking at what this server has, or by attempting what is forbidden. A probe
//! that fails to look says that it could not tell.

mod data;
mod drills;
mod host;
mod log;
mod policy;

use std::{future::Future, net::SocketAddr, path::PathBuf, pin::Pin, sync::Arc};

use ::policy::Registry;
use access::Access;
use base::Context;
use keys::Keys;
use ledger::LogSigner;
use store::{Store, SystemScope};
use vault::Vault;
use watch::{Alarms, LookFuture, Probe, Sight, Watch};

use crate::config::Config;

/// What probes look at.
pub(crate) struct Grounds {
    pub(crate) data: Store,
    pub(crate) keys_store: Store,
    pub(crate) keys: Keys,
    pub(crate) access: Access,
    pub(crate) vault: Vault,
    pub(crate) watch: Watch,
    pub(crate) alarms: Alarms,
    pub(crate) signer: Arc<LogSigner>,
    pub(crate) context: Context,
    pub(crate) config: Config,
    /// The data directory.
    pub(crate) directory: PathBuf,
    /// Where this server listens, as it is reached from this machine.
    pub(crate) address: SocketAddr,
    /// The certificate of its authority, PEM.
    pub(crate) authority: String,
}

/// What a probe returns: what it saw, or why it could not look.
type Looked = Result<Sight, String>;
type Looking<'a> = Pin<Box<dyn Future<Output = Looked> + Send + 'a>>;
type Look = for<'a> fn(&'a Grounds, &'a SystemScope) -> Looking<'a>;

macro_rules! looks {
    ($($check:literal => $look:path;)*) => {
        /// Every check that Tenet makes by itself, in the order in which they are made.
        const LOOKS: &[(&str, Look)] = &[$(($check, |grounds, scope| Box::pin($look(grounds, scope))),)*];
    };
}

looks! {
    "log-keeps-up" => log::keeps_up;
    "log-verifies" => log::verifies;
    "log-witnessed" => log::witnessed;
    "heartbeats-unbroken" => log::heartbeats;
    "clock-right" => log::clock;
    "rows-explained" => log::rows_explained;
    "safeguards-kept" => policy::safeguards;
    "reviews-in-time" => policy::reviews;
    "alarms-arrive" => log::alarms_arrive;
    "policy-uncontradicted" => policy::uncontradicted;
    "policy-acknowledged" => policy::acknowledged;
    "evidence-complete" => policy::complete;
    "accounts-apart" => host::accounts_apart;
    "key-files-private" => host::key_files;
    "tls-only" => host::tls_only;
    "repositories-classified" => data::classified;
    "repositories-scheduled" => data::scheduled;
    "nothing-overdue" => data::nothing_overdue;
    "data-encrypted" => data::encrypted;
    "erasures-certified" => data::erasures_certified;
    "drill-restricted-in-public" => drills::restricted_in_public;
    "drill-operator-reads-data" => drills::operator_reads_data;
    "drill-weak-session" => drills::weak_session;
    "drill-cross-account" => drills::cross_account;
    "drill-expired-token" => drills::expired_token;
    "drill-missing-scope" => drills::missing_scope;
    "drill-row-edit" => drills::row_edit;
    "drill-read-recorded" => drills::read_recorded;
    "drill-acts-recorded" => drills::acts_recorded;
    "drill-read-back" => drills::read_back;
    "drill-erasure" => drills::erasure;
}

struct Wired {
    check: &'static str,
    look: Look,
    grounds: Arc<Grounds>,
}

impl Probe for Wired {
    fn check(&self) -> &'static str {
        self.check
    }
    fn look<'a>(&'a self, scope: &'a SystemScope) -> LookFuture<'a> {
        Box::pin(async move { (self.look)(&self.grounds, scope).await.unwrap_or_else(Sight::unknown) })
    }
}

/// The probes of the checks whose control is there.
pub(crate) fn all(grounds: Arc<Grounds>) -> Vec<Box<dyn Probe>> {
    let registry = grounds.watch.registry();
    let is_there = |check: &str| {
        let control = registry.checks().find(|(_, one)| one.id == check).map(|(control, _)| &control.id);
        control.is_some_and(|control| !grounds.watch.absent().contains(control))
    };
    let there: Vec<_> = LOOKS.iter().filter(|(check, _)| is_there(check)).collect();
    there
        .into_iter()
        .map(|(check, look)| {
            Box::new(Wired { check, look: *look, grounds: Arc::clone(&grounds) }) as Box<dyn Probe>
        })
        .collect()
}

/// The controls that this configuration does not install.
pub(crate) fn absent(config: &Config, registry: &Registry) -> std::collections::BTreeSet<String> {
    let is_absent = |needs: &str| match needs {
        "ledger.witness_policy" => config.ledger.witness_policy.is_none(),
        "alarms.route" => config.alarms.route.0.is_empty(),
        "clock.servers" => config.clock.servers.is_empty(),
        _ => false,
    };
    let absent =
        registry.controls().iter().filter(|control| is_absent(control.needs.trim_matches(['`', '.'])));
    absent.map(|control| control.id.clone()).collect()
}

/// An error in words.
fn why(error: impl std::fmt::Display) -> String {
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::policy::{Catalogue, CheckKind};
    use std::collections::BTreeSet;

    #[test]
    fn every_check_that_tenet_makes_has_its_probe_and_no_other_has() {
        let registry = Registry::load(&Catalogue::load().unwrap()).unwrap();
        let made = registry.checks().filter(|(_, check)| check.kind != CheckKind::Manual);
        let made: BTreeSet<&str> = made.map(|(_, check)| check.id.as_str()).collect();
        let wired: BTreeSet<&str> = LOOKS.iter().map(|(check, _)| *check).collect();
        assert_eq!(wired.len(), LOOKS.len(), "a check is wired twice");
        assert_eq!(made, wired);
    }

    #[test]
    fn what_a_control_needs_is_a_setting_that_is_looked_at() {
        let registry = Registry::load(&Catalogue::load().unwrap()).unwrap();
        let absent = absent(&Config::default(), &registry);
        for control in registry.controls().iter().filter(|control| !control.needs.is_empty()) {
            assert!(
                absent.contains(&control.id),
                "`{}` needs `{}`, and is there without it",
                control.id,
                control.needs
            );
        }
    }
}

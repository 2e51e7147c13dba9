//! `tenet profile`: the identities that are saved on this machine. The server is not asked.

use serde_json::{Value, json};

use super::Session;
use crate::{
    cli::ProfileCommand,
    client::{Profile, Subject},
    failure::Failure,
    output::{self, Column},
};

const COLUMNS: &[Column] = &[
    ("name", "/name"),
    ("kind", "/kind"),
    ("id", "/id"),
    ("account", "/account"),
    ("server", "/server"),
    ("unusable", "/unusable"),
];

pub(super) fn run(session: &Session, command: ProfileCommand) -> Result<(), Failure> {
    let home = session.home()?;
    match command {
        ProfileCommand::List => {
            let shown: Vec<Value> =
                home.list().into_iter().map(|(name, read)| describe(&name, read)).collect();
            session.out.list(&shown, COLUMNS)
        }
        ProfileCommand::Remove { names } => {
            for name in &names {
                home.remove(name)?;
            }
            if !session.out.is_json() {
                output::note(
                    "the server still knows whoever was removed here, until an administrator revokes them",
                );
            }
            session.out.say(&format!("removed {}", names.join(", ")), &json!({ "removed": names }))
        }
    }
}

/// One line of the list. A profile that can't be read is in it, so that it can be removed.
fn describe(name: &str, read: Result<Profile, Failure>) -> Value {
    let (kind, account) = match read.as_ref().map(|profile| &profile.subject) {
        Ok(Subject::Operator { .. }) => (Some("operator"), None),
        Ok(Subject::Client { account, .. }) => (Some("client"), Some(account.to_string())),
        Err(_) => (None, None),
    };
    let profile = read.as_ref().ok();
    json!({
        "name": name, "kind": kind, "id": profile.map(|profile| profile.subject.id()), "account": account,
        "server": profile.map(|profile| &profile.server), "unusable": read.as_ref().err().map(|why| &why.what),
    })
}

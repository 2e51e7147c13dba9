//! The visitor, who takes the part of the security lead: their keys are in the client's home before the story begins, and
//! their profiles when it has ended, so that commands work at once. So are those of two customers' applications.

use base::Context;

use super::{customers::Customer, people::Person, story::VisitorsKeys};
use crate::{
    client::{ClientKey, Home, Profile, Reserved, Subject},
    config::Loaded,
    failure::{Exit, Failure},
    server::{Ready, public_url, stage::Stage},
};

/// The profile of the security lead.
const OPERATOR: &str = "demo";
/// Those of applications, in the order in which the customers come.
const APPLICATIONS: [&str; 2] = ["demo-acme", "demo-globex"];

/// Names that are taken in the client's home, each with its key.
pub(crate) struct Visitor {
    home: Home,
    reserved: std::sync::Mutex<Vec<Reserved>>,
    keys: Vec<ClientKey>,
}

fn names() -> impl Iterator<Item = &'static str> {
    std::iter::once(OPERATOR).chain(APPLICATIONS)
}

impl Visitor {
    /// Takes the names, and makes the keys.
    ///
    /// # Errors
    /// A profile of such a name is there already: of an earlier demonstration.
    pub(crate) fn prepare(home: &Home, context: &Context) -> Result<Self, Failure> {
        if let Some(taken) = names().find(|name| home.has(name)) {
            let old: Vec<_> = names().filter(|name| home.has(name)).collect();
            let what = format!("there is a profile `{taken}` already");
            return Err(Failure::new(Exit::Conflict, "profile-exists", what)
                .why(format!("it is of an earlier demonstration, in `{}`", home.path().display()))
                .remedy(format!(
                    "remove what is left of that with `tenet profile remove {}`, or set `TENET_HOME` to another directory",
                    old.join(" ")
                )));
        }
        let visitor = Self { home: home.clone(), reserved: std::sync::Mutex::default(), keys: Vec::new() };
        let mut reserved = Vec::new();
        for name in names() {
            match home.reserve(name, context) {
                Ok(one) => reserved.push(one),
                Err(failure) => {
                    reserved.into_iter().for_each(Reserved::abandon);
                    return Err(failure);
                }
            }
        }
        let keys = reserved.iter().map(|one| copy(one.key())).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { reserved: std::sync::Mutex::new(reserved), keys, ..visitor })
    }

    /// The keys, for the story.
    pub(crate) fn keys(&self) -> Result<VisitorsKeys, Failure> {
        let mut keys = self.keys.iter().map(copy).collect::<Result<Vec<_>, _>>()?.into_iter();
        let operator = keys.next();
        let operator = operator.ok_or_else(|| Failure::new(Exit::Failure, "demo", "no key was made"))?;
        // The last is taken first.
        let applications = keys.rev().collect();
        Ok(VisitorsKeys { operator, applications })
    }

    /// Completes the profiles. A crash here leaves some of them, in an installation that is marked as not filled.
    pub(crate) fn save(
        &self,
        stage: &Stage,
        loaded: &Loaded,
        lead: &Person,
        customers: &[&Customer],
    ) -> Result<(), Failure> {
        let server = public_url(&loaded.config.server, loaded.config.server.listen.port)?;
        let mut subjects = vec![Subject::Operator { id: lead.id }];
        subjects.extend(
            customers.iter().map(|one| Subject::Client { id: one.application.id, account: one.account }),
        );
        for (reserved, subject) in self.take().into_iter().zip(subjects) {
            reserved.save(&Profile {
                server: server.clone(),
                subject,
                authority: stage.authority.clone(),
                log_key: stage.signer.vkey(),
            })?;
        }
        Ok(())
    }

    fn take(&self) -> Vec<Reserved> {
        let mut reserved = self.reserved.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        std::mem::take(&mut *reserved)
    }

    /// Gives the names back.
    pub(crate) fn abandon(&self) {
        self.take().into_iter().for_each(Reserved::abandon);
        for name in names().filter(|name| self.home.has(name)) {
            let _ = self.home.remove(name);
        }
    }
}

fn copy(key: &ClientKey) -> Result<ClientKey, Failure> {
    ClientKey::from_pem(&key.to_pem()).map_err(|error| Failure::new(Exit::Failure, "key", error.to_string()))
}

/// Has the profiles follow the server to the address where it is now, and says which of them is the operator's; none if
/// they are in another home.
pub fn follow(home: &Home, ready: &Ready) -> Result<Option<&'static str>, Failure> {
    let mut found = None;
    for name in names().filter(|name| home.has(name)) {
        let (profile, _) = home.load(name)?;
        if profile.log_key != ready.log_key {
            continue;
        }
        if name == OPERATOR {
            found = Some(OPERATOR);
        }
        if profile.server != ready.address {
            home.readdress(name, &Profile { server: ready.address.clone(), ..profile })?;
        }
    }
    Ok(found)
}

//! The command line's own directory: profiles and their keys, for the caller alone.

use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
};

use base::Secret;

use crate::{
    client::{ClientKey, Profile, Subject},
    config::Environment,
    data_dir::write_private,
    failure::{Exit, Failure},
};

const MAX_PROFILE_NAME_BYTES: usize = 64;
/// The code of the failure of whoever has no operator's profile.
pub const NOT_ENROLLED: &str = "not-enrolled";

/// `$TENET_HOME`, else `$XDG_CONFIG_HOME/tenet`, else `~/.config/tenet`.
#[derive(Clone, Debug)]
pub struct Home(PathBuf);

impl Home {
    /// The directory, which need not exist yet.
    pub fn find(environment: &Environment) -> Result<Self, Failure> {
        let set = |name: &str| environment.get(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let path = set("TENET_HOME")
            .or_else(|| set("XDG_CONFIG_HOME").map(|base| base.join("tenet")))
            .or_else(|| set("HOME").map(|home| home.join(".config/tenet")));
        path.map(Self).ok_or_else(|| {
            Failure::usage("no place for your keys: neither `HOME` nor `TENET_HOME` is set")
                .remedy("set `TENET_HOME` to a directory of your own")
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    pub(super) fn profile_path(&self, name: &str, ending: &str) -> PathBuf {
        self.0.join(format!("{name}.{ending}"))
    }

    /// Whether a profile of that name is saved.
    pub fn has(&self, name: &str) -> bool {
        self.profile_path(name, "json").exists()
    }

    /// A profile by its name, with its key.
    pub fn load(&self, name: &str) -> Result<(Profile, ClientKey), Failure> {
        check_name(name)?;
        Ok((self.read(name)?, self.read_key(name)?))
    }

    /// The key of that name, whether or not there is a profile of it.
    pub(super) fn read_key(&self, name: &str) -> Result<ClientKey, Failure> {
        let path = self.profile_path(name, "key");
        let pem = private_text(&path)?;
        ClientKey::from_pem(&pem).map_err(|error| {
            Failure::new(Exit::Failure, "key-file", format!("`{}` can't be used", path.display()))
                .why(error.to_string())
                .remedy("restore it, or remove the profile with `tenet profile remove` and enrol again")
        })
    }

    fn read(&self, name: &str) -> Result<Profile, Failure> {
        let path = self.profile_path(name, "json");
        if !path.exists() {
            return Err(Failure::new(
                Exit::NotFound,
                "profile-unknown",
                format!("there is no profile `{name}`"),
            )
            .why(format!("`{}` is not there", path.display()))
            .remedy(self.known()));
        }
        let text = private_text(&path)?;
        serde_json::from_str(text.expose()).map_err(|error| {
            Failure::new(Exit::Failure, "profile", format!("`{}` can't be used", path.display()))
                .why(error.to_string())
                .remedy("restore it, or remove it with `tenet profile remove` and enrol again")
        })
    }

    /// The name of the profile to act as: the one named, or the only one of its kind.
    pub fn choose(&self, named: Option<&str>, operator: bool) -> Result<String, Failure> {
        if let Some(name) = named {
            return Ok(name.to_owned());
        }
        let mut fitting: Vec<String> = Vec::new();
        for name in self.names() {
            if matches!(self.read(&name)?.subject, Subject::Operator { .. }) == operator {
                fitting.push(name);
            }
        }
        let kind = if operator { "operator" } else { "client" };
        match fitting.as_slice() {
            [only] => Ok(only.clone()),
            [] if operator => {
                Err(Failure::new(Exit::Denied, NOT_ENROLLED, "you are not enrolled as an operator").remedy(
                    "run `tenet enrol LINK`, with the link that `tenet up` printed at its first start or that an administrator gave you",
                ))
            }
            [] => Err(Failure::new(Exit::Denied, "no-client", "no client of a customer is saved here")
                .why("operators can't read or write customers' data; a client of the account does")
                .remedy("run `tenet client create --account ID --save NAME ...`")),
            several => Err(Failure::usage(format!("which {kind}? there are `{}`", several.join("`, `")))
                .remedy("name one with `--as NAME`, or set `TENET_PROFILE`")),
        }
    }

    /// A profile of that server, or of the only server that there is a profile of: for what is served
    /// to anybody.
    pub fn serving(&self, named: Option<&str>, server: Option<&str>) -> Result<Profile, Failure> {
        if let Some(name) = named.filter(|_| server.is_none()) {
            check_name(name)?;
            return self.read(name);
        }
        let mut fitting: Vec<Profile> = Vec::new();
        for name in self.names() {
            let profile = self.read(&name)?;
            let same = |other: &Profile| {
                (&other.server, &other.authority, &other.log_key)
                    == (&profile.server, &profile.authority, &profile.log_key)
            };
            if !fitting.iter().any(same) && server.is_none_or(|server| server == profile.server) {
                fitting.push(profile);
            }
        }
        match (fitting.pop(), server) {
            (Some(profile), _) if fitting.is_empty() => Ok(profile),
            (None, Some(server)) => {
                Err(Failure::new(Exit::NotFound, "profile-unknown", format!("no profile is of `{server}`"))
                    .remedy("give the server's certificate authority with `--ca FILE`, or enrol there"))
            }
            (None, None) => {
                Err(Failure::new(Exit::NotFound, "profile-unknown", "there is no profile")
                    .remedy(self.known()))
            }
            // One address with two authorities: the server was set up anew, and old profiles are left.
            (Some(last), _) if fitting.iter().all(|other| other.server == last.server) => {
                Err(Failure::usage(format!("which server? profiles of `{}` trust different ones", last.server))
                    .remedy("name a profile with `--as NAME`; `tenet profile list` shows them, and `tenet profile remove` removes those of an earlier server"))
            }
            (Some(_), _) => Err(Failure::usage("which server? there are profiles of several")
                .remedy("give its address, or a profile with `--as NAME`")),
        }
    }

    /// Writes a profile that is there anew, as its server is at another address: key and subject stay.
    pub fn readdress(&self, name: &str, profile: &Profile) -> Result<(), Failure> {
        check_name(name)?;
        let path = self.profile_path(name, "json");
        let text = serde_json::to_string(profile)
            .map_err(|error| Failure::new(Exit::Failure, "profile", error.to_string()))?;
        write_private(&path, text.as_bytes()).map_err(|error| Failure::file("can't write", &path, &error))
    }

    /// The profiles that trust this authority, by name.
    pub fn of_authority(&self, authority: &str) -> Vec<String> {
        let trusts = |name: &String| self.read(name).is_ok_and(|profile| profile.authority == authority);
        self.names().into_iter().filter(trusts).collect()
    }

    /// Each profile by its name, or why it can't be used.
    pub fn list(&self) -> Vec<(String, Result<Profile, Failure>)> {
        self.names().into_iter().map(|name| (name.clone(), self.read(&name))).collect()
    }

    /// Removes a profile, and then its key: a crash in between leaves a key that nothing names.
    pub fn remove(&self, name: &str) -> Result<(), Failure> {
        check_name(name)?;
        let (profile, key) = (self.profile_path(name, "json"), self.profile_path(name, "key"));
        if !profile.exists() && !key.exists() {
            let what = format!("there is no profile `{name}`");
            return Err(Failure::new(Exit::NotFound, "profile-unknown", what).remedy(self.known()));
        }
        for path in [profile, key] {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(Failure::file("can't remove", &path, &error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Where the newest checkpoint that verified under a key is kept.
    pub fn seen_checkpoint(&self, vkey: &str) -> PathBuf {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, vkey.as_bytes());
        let name: String = digest.as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        self.0.join(format!("{name}.checkpoint"))
    }

    /// The names of the profiles, in order.
    pub fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).into_iter().flatten().flatten();
        let mut names: Vec<String> = entries
            .filter_map(|entry| entry.file_name().to_str()?.strip_suffix(".json").map(str::to_owned))
            .filter(|name| check_name(name).is_ok())
            .collect();
        names.sort();
        names
    }

    fn known(&self) -> String {
        match self.names().as_slice() {
            [] => "run `tenet enrol LINK` first".to_owned(),
            names => format!("use one of `{}`", names.join("`, `")),
        }
    }

    pub(super) fn prepare(&self) -> Result<(), Failure> {
        let failed = |error: &io::Error| Failure::file("can't make", &self.0, error);
        if let Some(parent) = self.0.parent() {
            fs::create_dir_all(parent).map_err(|error| failed(&error))?;
        }
        match DirBuilder::new().mode(0o700).create(&self.0) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(failed(&error)),
            _ => Ok(()),
        }
    }
}

fn private_text(path: &Path) -> Result<Secret<String>, Failure> {
    let failed = |error: &io::Error| Failure::file("can't read", path, error);
    let mode = fs::metadata(path).map_err(|error| failed(&error))?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        let what = format!("`{}` is open to others (mode {mode:04o})", path.display());
        return Err(Failure::new(Exit::Denied, "key-file-exposed", what).remedy(format!(
            "run `chmod 600 {}`; if others may have read it, ask an administrator to revoke you and enrol again",
            path.display()
        )));
    }
    fs::read_to_string(path).map(Secret::new).map_err(|error| failed(&error))
}

pub(super) fn check_name(name: &str) -> Result<(), Failure> {
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if (1..=MAX_PROFILE_NAME_BYTES).contains(&name.len()) && name.bytes().all(fine) {
        return Ok(());
    }
    Err(Failure::usage(format!("`{name}` is not a profile's name"))
        .remedy("use 1 to 64 letters, digits, `-` and `_`"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::Context;

    fn home() -> (tempfile::TempDir, Home) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("deep/tenet").display().to_string();
        let home = Home::find(&[("TENET_HOME".to_owned(), path)].into()).unwrap();
        (directory, home)
    }

    fn profile(subject: Subject) -> Profile {
        Profile {
            server: "https://localhost:1".to_owned(),
            subject,
            authority: "pem".to_owned(),
            log_key: "k".to_owned(),
        }
    }

    fn operator() -> Subject {
        Subject::Operator { id: base::OperatorId::from_bytes([1; 16]) }
    }

    /// Saves one; the public half of its key.
    fn save(home: &Home, name: &str, subject: Subject) -> String {
        let reserved = home.reserve(name, &Context::system()).unwrap();
        let public = reserved.key().public_text();
        reserved.save(&profile(subject)).unwrap();
        public
    }

    #[test]
    fn profiles_are_private_and_found_again() {
        let (_directory, home) = home();
        let public = save(&home, "default", operator());
        assert_eq!(home.choose(None, true).unwrap(), "default");
        let (loaded, same) = home.load("default").unwrap();
        assert_eq!((loaded, same.public_text()), (profile(operator()), public));
        for file in ["default.key", "default.json"] {
            let path = home.path().join(file);
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
            fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
            assert_eq!(home.load("default").unwrap_err().exit, Exit::Denied);
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        }
        assert_eq!(home.load("other").unwrap_err().exit, Exit::NotFound);
        assert_eq!(home.load("../x").unwrap_err().exit, Exit::Usage);
    }

    #[test]
    fn a_removed_profile_is_gone_with_its_key() {
        let (_directory, home) = home();
        save(&home, "default", operator());
        home.remove("default").unwrap();
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
        assert_eq!(home.remove("default").unwrap_err().exit, Exit::NotFound);
        assert_eq!(home.remove("../x").unwrap_err().exit, Exit::Usage);
    }

    #[test]
    fn profiles_of_an_earlier_server_are_not_taken_for_those_of_todays() {
        let (_directory, home) = home();
        save(&home, "a", operator());
        assert_eq!(home.serving(None, None).unwrap().authority, "pem");
        let anew = Profile { authority: "other".to_owned(), ..profile(operator()) };
        home.reserve("b", &Context::system()).unwrap().save(&anew).unwrap();
        let failure = home.serving(None, None).unwrap_err();
        assert!(failure.remedy.as_ref().unwrap().contains("tenet profile remove"), "{failure:?}");
        assert_eq!(home.serving(Some("b"), None).unwrap().authority, "other");
        assert_eq!(home.of_authority("other"), ["b"]);
    }

    #[test]
    fn the_only_one_of_its_kind_is_chosen() {
        let (_directory, home) = home();
        assert_eq!(home.choose(None, true).unwrap_err().code, "not-enrolled");
        assert_eq!(home.choose(None, false).unwrap_err().code, "no-client");
        save(&home, "default", operator());
        for name in ["a", "b"] {
            let client = Subject::Client {
                id: base::ClientId::from_bytes([2; 16]),
                account: base::AccountId::from_bytes([3; 16]),
            };
            save(&home, name, client);
        }
        assert_eq!(home.choose(None, true).unwrap(), "default");
        let error = home.choose(None, false).unwrap_err();
        assert_eq!(error.what, "which client? there are `a`, `b`");
        assert_eq!(home.choose(Some("b"), false).unwrap(), "b");
    }
}

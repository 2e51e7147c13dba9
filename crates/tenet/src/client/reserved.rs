//! A profile in the making: its key is on disk before the server is told of it, so that nothing that
//! can go wrong on this machine uses up a link or leaves a registration whose key is lost.

use std::{fs, path::PathBuf};

use base::Context;

use super::{ClientKey, Home, Profile};
use crate::{
    data_dir::write_private,
    failure::{Exit, Failure},
};

/// Bytes that a draft takes up, so that the profile surely has room: more than any profile.
const DRAFT_BYTES: usize = 8_192;

/// A name with a key that is durable, and no profile yet.
#[derive(Debug)]
pub struct Reserved {
    home: Home,
    name: String,
    key: ClientKey,
    /// Whether the key was made now; one that was there before is never removed.
    is_new: bool,
}

impl Home {
    /// Takes a name: checks it, makes the key, and writes it beside a draft of the profile.
    ///
    /// A crash here leaves a key that nothing names and a draft; the same command goes on with that key.
    /// So does one that could not tell whether the server had registered it.
    pub fn reserve(&self, name: &str, context: &Context) -> Result<Reserved, Failure> {
        self.check_free(name)?;
        self.prepare()?;
        let path = self.profile_path(name, "key");
        let is_new = !path.exists();
        let key = if is_new {
            let key = ClientKey::generate(context)
                .map_err(|error| Failure::new(Exit::Failure, "entropy", error.to_string()))?;
            let written = write_private(&path, key.to_pem().expose().as_bytes());
            written.map_err(|error| unwritable(&path, &error))?;
            key
        } else {
            self.read_key(name)?
        };
        let reserved = Reserved { home: self.clone(), name: name.to_owned(), key, is_new };
        let draft = reserved.draft();
        match write_private(&draft, &[b' '; DRAFT_BYTES]) {
            Ok(()) => Ok(reserved),
            Err(error) => {
                reserved.abandon();
                Err(unwritable(&draft, &error))
            }
        }
    }

    fn check_free(&self, name: &str) -> Result<(), Failure> {
        super::home::check_name(name)?;
        if !self.has(name) {
            return Ok(());
        }
        let what = format!("there is a profile `{name}` already");
        Err(Failure::new(Exit::Conflict, "profile-exists", what)
            .why(format!("it is in `{}`", self.path().display()))
            .remedy(format!(
                "give the new one another name with `--save NAME`, or remove the old one with `tenet profile remove {name}`"
            )))
    }
}

fn unwritable(path: &std::path::Path, error: &std::io::Error) -> Failure {
    Failure::file("can't write", path, error)
        .remedy("make room or choose another directory with `TENET_HOME`; nothing was sent to the server")
}

impl Reserved {
    /// The key.
    pub fn key(&self) -> &ClientKey {
        &self.key
    }

    /// Completes the profile. Whatever stands in the way now, what is needed is told: the server knows
    /// the key already.
    pub fn save(self, profile: &Profile) -> Result<(), Failure> {
        let path = self.home.profile_path(&self.name, "json");
        let text = serde_json::to_string(profile)
            .map_err(|error| Failure::new(Exit::Failure, "profile", error.to_string()))?;
        let _ = fs::remove_file(self.draft());
        write_private(&path, text.as_bytes()).map_err(|error| {
            Failure::file("can't write", &path, &error).remedy(format!(
                "the server has registered `{}` and its key is saved: write this line to that file, with mode 0600: {text}",
                profile.subject.id()
            ))
        })
    }

    /// Gives the name back, as the server knows nothing of the key.
    pub fn abandon(self) {
        self.remove_draft();
        if self.is_new {
            let _ = fs::remove_file(self.home.profile_path(&self.name, "key"));
        }
    }

    /// Gives the name back unless the server may have registered the key: if no answer came, the key
    /// stays for the next attempt.
    pub fn abandon_after(self, failure: Failure) -> Failure {
        if failure.code != crate::client::UNREACHABLE {
            self.abandon();
            return failure;
        }
        self.remove_draft();
        let path = self.home.profile_path(&self.name, "key");
        let remedy = format!("run the same command again: it goes on with the key in `{}`", path.display());
        failure.remedy(remedy)
    }

    fn remove_draft(&self) {
        let _ = fs::remove_file(self.draft());
    }

    fn draft(&self) -> PathBuf {
        self.home.profile_path(&self.name, "draft")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Subject;

    fn home() -> (tempfile::TempDir, Home) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("tenet").display().to_string();
        let home = Home::find(&[("TENET_HOME".to_owned(), path)].into()).unwrap();
        (directory, home)
    }

    fn files(home: &Home) -> Vec<String> {
        let entries = fs::read_dir(home.path()).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn the_key_is_there_before_the_profile_and_gone_if_it_was_for_nothing() {
        let (_directory, home) = home();
        let context = Context::system();
        let reserved = home.reserve("a", &context).unwrap();
        assert_eq!(files(&home), ["a.draft", "a.key"]);
        reserved.abandon();
        assert!(files(&home).is_empty());
        let reserved = home.reserve("a", &context).unwrap();
        let profile = Profile {
            server: "https://localhost:1".to_owned(),
            subject: Subject::Operator { id: base::OperatorId::from_bytes([1; 16]) },
            authority: "pem".to_owned(),
            log_key: "k".to_owned(),
        };
        let public = reserved.key().public_text();
        reserved.save(&profile).unwrap();
        assert_eq!(files(&home), ["a.json", "a.key"]);
        assert_eq!(home.load("a").unwrap().1.public_text(), public);
        assert_eq!(home.reserve("a", &context).unwrap_err().code, "profile-exists");
        assert_eq!(home.reserve("../a", &context).unwrap_err().exit, Exit::Usage);
    }

    #[test]
    fn a_key_that_the_server_may_know_is_kept_and_used_again() {
        let (_directory, home) = home();
        let context = Context::system();
        let reserved = home.reserve("a", &context).unwrap();
        let public = reserved.key().public_text();
        let silent = Failure::new(Exit::Unavailable, crate::client::UNREACHABLE, "no answer");
        assert!(reserved.abandon_after(silent).remedy.as_ref().unwrap().contains("run the same command"));
        assert_eq!(files(&home), ["a.key"]);
        let again = home.reserve("a", &context).unwrap();
        assert_eq!(again.key().public_text(), public);
        let refused = Failure::new(Exit::Denied, "link-invalid", "no");
        assert_eq!(again.abandon_after(refused).remedy, None);
        assert_eq!(files(&home), ["a.key"], "it was there before");
    }
}

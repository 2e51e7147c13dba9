//! The database's address and its password, brought together from where each may stand.

use std::path::Path;

use base::Secret;

use super::{Config, ConfigError, Environment, read_secret_file};

/// The URLs that the store opens.
#[derive(Clone, Debug)]
pub struct DatabaseUrls {
    /// Of the application's role.
    pub url: Secret<String>,
    /// Of the schema's owner.
    pub owner_url: Option<Secret<String>>,
}

/// Whether a URL holds a password, as `user:password@` or as a parameter.
pub(crate) fn has_password(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let in_authority = authority.rsplit_once('@').is_some_and(|(user, _)| user.contains(':'));
    in_authority || rest.to_ascii_lowercase().contains("password=")
}

impl DatabaseUrls {
    /// The host and port of the database, without who connects to it.
    pub fn host(&self) -> String {
        let rest = self.url.expose().split_once("://").map_or("", |(_, rest)| rest);
        let rest = rest.rsplit_once('@').map_or(rest, |(_, rest)| rest);
        let host = rest.split(['/', '?']).next().unwrap_or_default();
        if host.is_empty() { "local socket".to_owned() } else { host.to_owned() }
    }
}

fn is_postgres(url: &str) -> bool {
    url.starts_with("postgres://") || url.starts_with("postgresql://")
}

/// What can be said about the settings without reading the secrets.
pub(super) fn check(config: &Config, environment: &Environment, faults: &mut Vec<String>) {
    let database = &config.database;
    let from_environment = environment.contains_key("TENET_DATABASE_URL");
    if !database.url.is_empty() && !is_postgres(&database.url) {
        faults.push(
            "database.url: expected `postgres://user@host/database`; leave it out for SQLite in the data directory"
                .to_owned(),
        );
    }
    if has_password(&database.url) && !from_environment {
        faults.push(
            "database.url: secrets do not stand in the configuration; leave the password out and use `database.password_file` or `database.url_file`"
                .to_owned(),
        );
    }
    if !database.url.is_empty() && database.url_file.is_some() {
        faults.push("database.url_file: `database.url` is set too: leave one out".to_owned());
    }
    let none = database.url.is_empty() && database.url_file.is_none();
    for (key, set) in [
        ("database.password_file", database.password_file.is_some()),
        ("database.owner_url_file", database.owner_url_file.is_some()),
        ("database.root_ca", database.root_ca.is_some()),
    ] {
        if none && set {
            faults.push(format!("{key}: has no use without `database.url`"));
        }
    }
}

/// The URLs with their passwords; none for SQLite.
pub fn database_urls(
    config: &Config,
    environment: &Environment,
) -> Result<Option<DatabaseUrls>, ConfigError> {
    let database = &config.database;
    let read = |key: &str, path: &Path| {
        read_secret_file(path).map_err(|error| ConfigError { faults: vec![format!("{key}: {error}")] })
    };
    let url = match &database.url_file {
        Some(path) => read("database.url_file", path)?,
        None if database.url.is_empty() => return Ok(None),
        None => Secret::new(database.url.clone()),
    };
    if !is_postgres(url.expose()) {
        let fault = "database.url_file: the file does not hold `postgres://user@host/database`".to_owned();
        return Err(ConfigError { faults: vec![fault] });
    }
    let password = match &database.password_file {
        Some(path) => Some(read("database.password_file", path)?),
        None => environment.get("PGPASSWORD").cloned().map(Secret::new),
    };
    let owner_url =
        database.owner_url_file.as_deref().map(|path| read("database.owner_url_file", path)).transpose()?;
    let url = match password {
        Some(password) if !has_password(url.expose()) => with_password(&url, &password)?,
        _ => url,
    };
    Ok(Some(DatabaseUrls { url, owner_url }))
}

/// `user@` becomes `user:password@`, with the password's bytes percent-encoded.
fn with_password(url: &Secret<String>, password: &Secret<String>) -> Result<Secret<String>, ConfigError> {
    let split = url.expose().split_once('@').filter(|(before, _)| before.contains("://"));
    let Some((before, after)) = split else {
        let fault = "database.url: a password is given, and no user: write `postgres://user@host/database`";
        return Err(ConfigError { faults: vec![fault.to_owned()] });
    };
    let mut whole = String::with_capacity(url.expose().len() + password.expose().len() * 3 + 1);
    whole.push_str(before);
    whole.push(':');
    for byte in password.expose().bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            whole.push(char::from(byte));
        } else {
            whole.push_str(&format!("%{byte:02X}"));
        }
    }
    whole.push('@');
    whole.push_str(after);
    Ok(Secret::new(whole))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_seen_wherever_they_stand() {
        for with in [
            "postgres://u:p@h/d",
            "postgres://u:@h/d",
            "postgres://u@h/d?password=x",
            "postgres://u@h/d?a=b&PASSWORD=x",
        ] {
            assert!(has_password(with), "{with}");
        }
        for without in ["postgres://u@h:5432/d", "postgres://h/d", "postgres://h:1/d?x=a@b:c", ""] {
            assert!(!has_password(without), "{without}");
        }
    }

    #[test]
    fn the_password_is_put_in_encoded() {
        let url = Secret::new("postgres://u@h/d".to_owned());
        let whole = with_password(&url, &Secret::new("a/b@c %".to_owned())).unwrap();
        assert_eq!(whole.expose(), "postgres://u:a%2Fb%40c%20%25@h/d");
        assert!(with_password(&Secret::new("postgres://h/d".to_owned()), &url).is_err());
    }

    #[test]
    fn contradictions_are_found() {
        let mut config = Config::default();
        config.database.url = "mysql://h".to_owned();
        config.database.url_file = Some("x".into());
        let mut faults = Vec::new();
        check(&config, &Environment::new(), &mut faults);
        assert_eq!(faults.len(), 2, "{faults:?}");
        config = Config::default();
        config.database.password_file = Some("x".into());
        faults.clear();
        check(&config, &Environment::new(), &mut faults);
        assert_eq!(faults, ["database.password_file: has no use without `database.url`"]);
    }
}

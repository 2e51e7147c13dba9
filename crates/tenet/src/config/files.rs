//! The files that settings name, looked at before a server starts: secrets must be there and be the
//! owner's alone, certificates must be certificates.

use std::{os::unix::fs::PermissionsExt, path::Path};

use rustls_pki_types::{CertificateDer, pem::PemObject};

use super::{Arguments, ConfigError, Environment, Loaded, database_urls, load, read_secret_file};

/// Reads the configuration for a server that is about to start, and finds everything that would keep it
/// from starting and can be known before: what `tenet up` does first, and all that `tenet config check`
/// does.
pub fn load_to_start(arguments: &Arguments, environment: &Environment) -> Result<Loaded, ConfigError> {
    let loaded = load(arguments, environment)?;
    let faults = faults(&loaded);
    if faults.is_empty() { Ok(loaded) } else { Err(ConfigError { faults }) }
}

fn faults(loaded: &Loaded) -> Vec<String> {
    let config = &loaded.config;
    let mut faults = Vec::new();
    if let Err(error) = database_urls(config, &loaded.environment) {
        faults.extend(error.faults);
    }
    for (key, path) in [
        ("database.root_ca", &config.database.root_ca),
        ("objects.s3_root_ca", &config.objects.s3_root_ca),
        ("ledger.witness_ca", &config.ledger.witness_ca),
        ("sign_in.provider_ca", &config.sign_in.provider_ca),
    ] {
        faults.extend(path.as_deref().and_then(|path| not_an_authority(key, path)));
    }
    for (key, path) in [
        ("keys.pkcs11_pin_file", &config.keys.pkcs11_pin_file),
        ("objects.s3_secret_key_file", &config.objects.s3_secret_key_file),
        ("sign_in.provider_secret_file", &config.sign_in.provider_secret_file),
    ] {
        let read = path.as_deref().map(read_secret_file);
        faults.extend(read.and_then(Result::err).map(|error| format!("{key}: {error}")));
    }
    faults.extend(super::alarms::files(&config.alarms, not_an_authority));
    if let Some(path) = &config.ledger.witness_policy {
        faults.extend(witnesses(path, config.ledger.witness_ca.as_deref()).err());
    }
    if config.keys.provider.value == "pkcs11" {
        let module = config.keys.pkcs11_module.as_deref().filter(|module| !module.is_file());
        faults
            .extend(module.map(|path| format!("keys.pkcs11_module: there is no file `{}`", path.display())));
    } else {
        let path = config.keys.file.clone().unwrap_or_else(|| loaded.data.join("provider.key"));
        faults.extend(exposed_key(&path));
    }
    faults
}

fn not_an_authority(key: &str, path: &Path) -> Option<String> {
    let shown = path.display();
    let pem = match std::fs::read(path) {
        Ok(pem) => pem,
        Err(error) => return Some(format!("{key}: `{shown}` can't be read: {error}")),
    };
    let mut found = CertificateDer::pem_slice_iter(&pem).peekable();
    let fine = found.peek().is_some() && found.all(|certificate| certificate.is_ok());
    (!fine).then(|| format!("{key}: `{shown}` does not hold a certificate in PEM"))
}

/// The witnesses must have a quorum that can be reached, at addresses that can be spoken to.
fn witnesses(path: &Path, authorities: Option<&Path>) -> Result<(), String> {
    let fault = |failure: crate::failure::Failure| {
        let why = failure.why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        format!("ledger.witness_policy: {}{why}", failure.what)
    };
    let policy = crate::witnesses::read_policy(path).map_err(fault)?;
    let clients = crate::witnesses::clients(&policy, authorities).map_err(fault)?;
    let mut reached = vec![None; policy.witnesses().len()];
    for (place, _) in &clients {
        if let Some(slot) = reached.get_mut(*place) {
            *slot = Some(1);
        }
    }
    if !policy.needs_witnesses() || policy.quorum_at(&reached).is_none() {
        return Err(format!(
            "ledger.witness_policy: the quorum in `{}` can't be reached: give a quorum, and an address to each witness that it needs",
            path.display()
        ));
    }
    Ok(())
}

/// One that is not there is made at the first start.
fn exposed_key(path: &Path) -> Option<String> {
    let mode = std::fs::metadata(path).ok()?.permissions().mode() & 0o777;
    let shown = path.display();
    (mode & 0o077 != 0).then(|| {
        format!("keys.file: `{shown}` is open to others (mode {mode:04o}): run `chmod 600 {shown}`, and rotate the key if they may have read it")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn files_that_are_missing_exposed_or_something_else_are_found() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name).display().to_string();
        for (name, mode) in [("provider.key", 0o640), ("secret", 0o644), ("ca.pem", 0o644)] {
            fs::write(path(name), "x").unwrap();
            fs::set_permissions(path(name), fs::Permissions::from_mode(mode)).unwrap();
        }
        let environment = |pairs: &[(&str, &str)]| -> Environment {
            let all = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            all.chain([("TENET_DATA".to_owned(), directory.path().display().to_string())]).collect()
        };
        let (missing, exposed, authority) = (path("missing"), path("secret"), path("ca.pem"));
        let found = load_to_start(
            &Arguments::default(),
            &environment(&[
                ("TENET_DATABASE_URL", "postgres://u@h/d"),
                ("TENET_DATABASE_PASSWORD_FILE", &missing),
                ("TENET_DATABASE_ROOT_CA", &authority),
                ("TENET_OBJECTS_S3_BUCKET", "b"),
                ("TENET_OBJECTS_S3_ROOT_CA", &missing),
                ("TENET_OBJECTS_S3_ACCESS_KEY_ID", "id"),
                ("TENET_OBJECTS_S3_SECRET_KEY_FILE", &exposed),
            ]),
        );
        let found = found.unwrap_err().faults;
        for part in [
            "database.password_file: the secret file",
            "database.root_ca: `",
            "objects.s3_root_ca: `",
            "objects.s3_secret_key_file: the secret file",
            "keys.file: `",
        ] {
            assert!(found.iter().any(|fault| fault.starts_with(part)), "{part}: {found:?}");
        }
        assert_eq!(found.len(), if cfg!(feature = "s3") { 5 } else { 6 }, "{found:?}");
        fs::set_permissions(path("provider.key"), fs::Permissions::from_mode(0o600)).unwrap();
        load_to_start(&Arguments::default(), &environment(&[])).unwrap();
    }
}

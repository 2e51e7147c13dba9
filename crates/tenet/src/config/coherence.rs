//! What can be wrong between settings that are each fine, and with values whose form only their use
//! gives. Nothing is read here: what stands in the files that settings name is looked at by `files`.

use base::Secret;
use ledger::LogSigner;
use reqwest::Url;

use super::{Config, Environment};

/// Most bytes of a host name (RFC 1035 2.3.4).
const MAX_NAME_BYTES: usize = 253;

/// Finds everything that would keep a server from starting.
pub(super) fn check(config: &Config, environment: &Environment, faults: &mut Vec<String>) {
    server(config, faults);
    keys(config, environment, faults);
    objects(config, environment, faults);
    super::sign_in::check(&config.sign_in, faults);
    let origin = &config.ledger.origin;
    // The signer itself decides what a log may be called; the key does not matter to it.
    if !origin.is_empty()
        && let Err(error) = LogSigner::new(origin, &Secret::new([0; 32]))
    {
        faults.push(format!("ledger.origin: `{origin}` can't be a log's name: {error}"));
    }
    if config.ledger.witness_ca.is_some() && config.ledger.witness_policy.is_none() {
        faults.push("ledger.witness_ca: there are no witnesses: set `ledger.witness_policy` too".to_owned());
    }
}

/// The address without a slash at its end, if it is `https://`, a host and perhaps a port.
pub(crate) fn public_url(text: &str) -> Option<&str> {
    let bare = text.trim_end_matches('/');
    let host = bare.strip_prefix("https://").filter(|host| !host.contains(['/', '?', '#', '@']))?;
    let url = Url::parse(bare).ok()?;
    // What the parser would have to change (upper case, other scripts) would differ from what tokens say.
    let whole = match url.port() {
        Some(port) => format!("{}:{port}", url.host_str()?),
        None => url.host_str()?.to_owned(),
    };
    (whole == host || host.strip_suffix(":443") == Some(&whole)).then_some(bare)
}

/// Whether an address is of this machine itself: the only one that is spoken to in the clear (TR-4).
pub(crate) fn is_clear_and_near(endpoint: &str) -> bool {
    let Some(url) = Url::parse(endpoint).ok().filter(|url| url.scheme() == "http") else { return false };
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

fn server(config: &Config, faults: &mut Vec<String>) {
    let url = &config.server.public_url;
    if !url.is_empty() && public_url(url).is_none() {
        faults.push(format!(
            "server.public_url: `{url}` can't be used: give `https://`, a host in lower case and perhaps a port, such as `https://tenet.example.com`"
        ));
    }
    for name in &config.server.names {
        if !is_certificate_name(name) {
            faults.push(format!(
                "server.names: `{name}` can't stand in a certificate: use host names and addresses"
            ));
        }
    }
}

fn is_certificate_name(name: &str) -> bool {
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let bare = name.strip_prefix("*.").unwrap_or(name);
    let host = (1..=MAX_NAME_BYTES).contains(&bare.len()) && bare.bytes().all(fine);
    host || name.parse::<std::net::IpAddr>().is_ok()
}

fn keys(config: &Config, environment: &Environment, faults: &mut Vec<String>) {
    let keys = &config.keys;
    if keys.provider.value != "pkcs11" {
        return;
    }
    if !cfg!(feature = "pkcs11") {
        faults.push(
            "keys.provider: this build has no support for hardware tokens: build with `--features pkcs11`, or use `\"file\"`"
                .to_owned(),
        );
    }
    let pin = keys.pkcs11_pin_file.is_some() || environment.contains_key("TENET_PKCS11_PIN");
    for (key, is_set, what) in [
        ("keys.pkcs11_module", keys.pkcs11_module.is_some(), "the path of the token vendor's module"),
        ("keys.pkcs11_token", !keys.pkcs11_token.is_empty(), "the token's label"),
        ("keys.pkcs11_pin_file", pin, "a file with the token's PIN, or the variable `TENET_PKCS11_PIN`"),
    ] {
        if !is_set {
            faults.push(format!("{key}: is not set, and `keys.provider` is `\"pkcs11\"`: give {what}"));
        }
    }
}

fn objects(config: &Config, environment: &Environment, faults: &mut Vec<String>) {
    let objects = &config.objects;
    if objects.s3_bucket.is_empty() {
        return;
    }
    if objects.directory.is_some() {
        faults.push("objects.directory: `objects.s3_bucket` is set too: leave one out".to_owned());
    }
    if !cfg!(feature = "s3") {
        faults.push(
            "objects.s3_bucket: this build has no support for S3-compatible stores: build with the feature `s3`"
                .to_owned(),
        );
    }
    let endpoint = objects.s3_endpoint.as_str();
    let is_address = Url::parse(endpoint).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
    if !endpoint.is_empty() && !is_address {
        faults.push(format!(
            "objects.s3_endpoint: `{endpoint}` is not an address such as `https://s3.example.com`"
        ));
    } else if !endpoint.is_empty() && !endpoint.starts_with("https://") && !is_clear_and_near(endpoint) {
        faults.push(format!(
            "objects.s3_endpoint: `{endpoint}` is another machine, and the connection would not be encrypted: use `https`"
        ));
    }
    let set = |value: &str, variable: &str| {
        !value.is_empty() || environment.get(variable).is_some_and(|value| !value.is_empty())
    };
    let id = set(&objects.s3_access_key_id, "AWS_ACCESS_KEY_ID");
    let secret = objects.s3_secret_key_file.is_some() || set("", "AWS_SECRET_ACCESS_KEY");
    if id != secret {
        faults.push(
            "objects.s3_access_key_id: the bucket's key id and its secret go together: set both it and `objects.s3_secret_key_file`, or neither"
                .to_owned(),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(change: impl Fn(&mut Config)) -> Vec<String> {
        let mut config = Config::default();
        change(&mut config);
        let mut faults = Vec::new();
        check(&config, &Environment::new(), &mut faults);
        faults
    }

    #[test]
    fn only_this_machine_is_spoken_to_in_the_clear() {
        for near in ["http://localhost:9000", "http://127.0.0.1:5000/x", "http://[::1]:9000"] {
            assert!(is_clear_and_near(near), "{near}");
        }
        for far in [
            "https://localhost",
            "http://localhost.example.com",
            "http://10.0.0.1",
            "http://127.0.0.1.example.com:80",
            "",
        ] {
            assert!(!is_clear_and_near(far), "{far}");
        }
    }

    #[test]
    fn a_public_address_is_a_scheme_a_host_and_perhaps_a_port() {
        for right in
            ["https://t.example", "https://t.example:8440/", "https://[::1]:1", "https://t.example:443"]
        {
            assert_eq!(public_url(right), Some(right.trim_end_matches('/')), "{right}");
        }
        for wrong in [
            "http://t.example",
            "https://",
            "https://t/x",
            "t.example",
            "https://a b",
            "https://t:x",
            "https://u@t",
        ] {
            assert_eq!(public_url(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_keeps_a_server_from_starting_is_found() {
        assert!(faults(|_| {}).is_empty());
        let found = faults(|c| {
            c.server.public_url = "http://t".to_owned();
            c.server.names = vec!["a b".to_owned(), "10.0.0.7".to_owned(), "*.t.example".to_owned()];
            c.ledger.origin = "a b".to_owned();
            c.keys.provider.value = "pkcs11";
            c.objects.directory = Some("x".into());
            c.objects.s3_bucket = "b".to_owned();
            c.objects.s3_endpoint = "http://10.0.0.1:9000".to_owned();
            c.objects.s3_access_key_id = "id".to_owned();
        });
        let has = |part: &str| assert!(found.iter().any(|fault| fault.contains(part)), "{part}: {found:?}");
        for part in [
            "server.public_url: `http://t`",
            "server.names: `a b`",
            "ledger.origin: `a b`",
            "keys.pkcs11_module: is not set",
            "keys.pkcs11_token: is not set",
            "keys.pkcs11_pin_file: is not set",
            "objects.directory: `objects.s3_bucket` is set too",
            "would not be encrypted",
            "go together",
        ] {
            has(part);
        }
        let without_features = usize::from(!cfg!(feature = "pkcs11")) + usize::from(!cfg!(feature = "s3"));
        assert_eq!(found.len(), 9 + without_features, "{found:?}");
    }
}

//! Ways into the console besides passkeys and codes of the command line: `sign_in`. Secrets are in private files.

use std::path::PathBuf;

use reqwest::Url;

use super::{coherence::is_clear_and_near, field::Choice, settings::Setting};

/// Ways into the console besides passkeys and codes of the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignInConfig {
    /// Whether people may set a password, with an authenticator app.
    pub passwords: Choice,
    /// The issuer of the company's provider of identities; empty for none.
    pub provider: String,
    /// What people call it.
    pub provider_name: String,
    /// What Tenet is there.
    pub provider_client_id: String,
    /// A file with the secret by which Tenet proves there who it is.
    pub provider_secret_file: Option<PathBuf>,
    /// The certificate authority of the provider.
    pub provider_ca: Option<PathBuf>,
    /// Words by which it says that it took something that can't be handed on.
    pub provider_strong: Vec<String>,
}

impl Default for SignInConfig {
    fn default() -> Self {
        Self {
            passwords: Choice::new("on", &["on", "off"]),
            provider: String::new(),
            provider_name: String::new(),
            provider_client_id: String::new(),
            provider_secret_file: None,
            provider_ca: None,
            provider_strong: ["hwk", "phr", "phrh", "sc"].map(str::to_owned).to_vec(),
        }
    }
}

/// The settings, for the one list of them.
pub(super) const PASSWORDS: Setting = Setting {
    key: "sign_in.passwords",
    about: "Whether people may set a password that, together with an authenticator app, opens the console: for where they have no passkey at hand. From public addresses it never does.",
    unset: "",
    field: |c| &mut c.sign_in.passwords,
};
pub(super) const PROVIDER: Setting = Setting {
    key: "sign_in.provider",
    about: "The company's provider of identities (OpenID Connect): its issuer, to the letter, such as `https://login.example.com/realms/staff`. Register Tenet there with the redirect address `https://TENET/sign-in/back`. People are linked one by one; the provider makes no operators. See docs/console.md.",
    unset: "none",
    field: |c| &mut c.sign_in.provider,
};
pub(super) const NAME: Setting = Setting {
    key: "sign_in.provider_name",
    about: "What people call it: stands on the button.",
    unset: "`your company's sign-in`",
    field: |c| &mut c.sign_in.provider_name,
};
pub(super) const CLIENT_ID: Setting = Setting {
    key: "sign_in.provider_client_id",
    about: "The client id that it gave Tenet.",
    unset: "none",
    field: |c| &mut c.sign_in.provider_client_id,
};
pub(super) const SECRET_FILE: Setting = Setting {
    key: "sign_in.provider_secret_file",
    about: "A file, readable by its owner alone, that holds the client secret. Without one Tenet is a public client there; PKCE is used either way.",
    unset: "none",
    field: |c| &mut c.sign_in.provider_secret_file,
};
pub(super) const CA: Setting = Setting {
    key: "sign_in.provider_ca",
    about: "The certificate authority (PEM) of the provider, instead of those that the system trusts.",
    unset: "none",
    field: |c| &mut c.sign_in.provider_ca,
};
pub(super) const STRONG: Setting = Setting {
    key: "sign_in.provider_strong",
    about: "The words of `amr` (RFC 8176) or `acr` by which the provider says that it took something that can't be handed on to another site. Only then does it open the console from a public address (MS-7).",
    unset: "",
    field: |c| &mut c.sign_in.provider_strong,
};

/// What the settings say of each other.
pub(super) fn check(of: &SignInConfig, faults: &mut Vec<String>) {
    if of.provider.is_empty() {
        let given = [
            ("provider_name", !of.provider_name.is_empty()),
            ("provider_client_id", !of.provider_client_id.is_empty()),
            ("provider_secret_file", of.provider_secret_file.is_some()),
            ("provider_ca", of.provider_ca.is_some()),
        ];
        for (key, _) in given.into_iter().filter(|(_, is_given)| *is_given) {
            faults.push(format!("sign_in.{key}: there is no provider: set `sign_in.provider` too"));
        }
        return;
    }
    let is_address = Url::parse(&of.provider)
        .is_ok_and(|url| url.scheme() == "https" && url.query().is_none() && url.fragment().is_none());
    if !is_address && !is_clear_and_near(&of.provider) {
        faults.push(format!(
            "sign_in.provider: `{}` is no issuer: give its `https://` address, to the letter, as its `.well-known/openid-configuration` has it",
            of.provider
        ));
    }
    if of.provider_client_id.is_empty() {
        faults.push(
            "sign_in.provider_client_id: the provider has to know Tenet: give the client id that it gave"
                .to_owned(),
        );
    }
    if of.provider_name.chars().count() > 40 {
        faults.push("sign_in.provider_name: it stands on a button: give at most 40 characters".to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(change: impl FnOnce(&mut SignInConfig)) -> Vec<String> {
        let (mut of, mut faults) = (SignInConfig::default(), Vec::new());
        change(&mut of);
        check(&of, &mut faults);
        faults
    }

    #[test]
    fn a_provider_is_an_issuer_that_knows_tenet() {
        assert!(faults(|_| {}).is_empty());
        let whole = |issuer: &str| {
            faults(|of| {
                of.provider = issuer.to_owned();
                of.provider_client_id = "tenet".to_owned();
            })
        };
        for fine in ["https://login.example.com/realms/staff", "http://127.0.0.1:9000"] {
            assert_eq!(whole(fine), Vec::<String>::new(), "{fine}");
        }
        for wrong in ["http://login.example.com", "login.example.com", "https://login.example.com/?a=1"] {
            assert!(whole(wrong)[0].starts_with("sign_in.provider: "), "{wrong}");
        }
        let unknown = faults(|of| of.provider = "https://login.example.com".to_owned());
        assert!(unknown[0].starts_with("sign_in.provider_client_id: "), "{unknown:?}");
        let alone = faults(|of| of.provider_client_id = "tenet".to_owned());
        assert!(alone[0].contains("set `sign_in.provider` too"), "{alone:?}");
    }
}

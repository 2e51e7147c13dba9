//! The provider key: a file, or a hardware token.

use std::sync::Arc;

use base::Context;
use keys::{FileProvider, Provider, ProviderError};

use crate::{
    config::{Environment, KeysConfig},
    data_dir::DataDir,
    failure::{Exit, Failure},
};

pub(crate) fn open(
    config: &KeysConfig,
    environment: &Environment,
    directory: &DataDir,
    context: &Context,
) -> Result<Arc<dyn Provider>, Failure> {
    if config.provider.value == "pkcs11" {
        return token(config, environment, context);
    }
    let path = config.file.clone().unwrap_or_else(|| directory.file("provider.key"));
    // Whether a new key is acceptable is found out by `Keys::open`: it refuses one that did not wrap
    // the keys that are there.
    let provider = FileProvider::open_or_create(path, context).map_err(|error| failed(&error))?;
    Ok(Arc::new(provider))
}

fn failed(error: &ProviderError) -> Failure {
    Failure::fault("the provider key can't be used", error)
}

#[cfg(feature = "pkcs11")]
fn token(
    config: &KeysConfig,
    environment: &Environment,
    context: &Context,
) -> Result<Arc<dyn Provider>, Failure> {
    use keys::{PinSource, Pkcs11Options, Pkcs11Provider};
    let missing = |key: &str| {
        Failure::new(Exit::Usage, "config", format!("`{key}` is not set")).why("`keys.provider` is `pkcs11`")
    };
    let module = config.pkcs11_module.clone().ok_or_else(|| missing("keys.pkcs11_module"))?;
    if config.pkcs11_token.is_empty() {
        return Err(missing("keys.pkcs11_token"));
    }
    let pin = match (&config.pkcs11_pin_file, environment.contains_key("TENET_PKCS11_PIN")) {
        (Some(path), _) => PinSource::File(path.clone()),
        (None, true) => PinSource::Environment("TENET_PKCS11_PIN".to_owned()),
        (None, false) => return Err(missing("keys.pkcs11_pin_file")),
    };
    let options = Pkcs11Options {
        module,
        token: config.pkcs11_token.clone(),
        pin,
        key_label: config.pkcs11_key_label.clone(),
    };
    let provider = Pkcs11Provider::open(options, context).map_err(|error| failed(&error))?;
    Ok(Arc::new(provider))
}

#[cfg(not(feature = "pkcs11"))]
fn token(_: &KeysConfig, _: &Environment, _: &Context) -> Result<Arc<dyn Provider>, Failure> {
    Err(Failure::new(Exit::Usage, "config", "this build has no support for hardware tokens")
        .why("`keys.provider` is `pkcs11`")
        .remedy("build with `--features pkcs11`, or use `keys.provider = \"file\"`"))
}

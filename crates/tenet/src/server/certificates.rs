//! The authority of an installation, from its keys' realm, and the first certificate of a server that starts.

use std::sync::Arc;

use base::Context;
use keys::Keys;

use super::{
    authority::{Authority, CurrentCertificate},
    listen,
};
use crate::{
    config::Config,
    failure::{Exit, Failure},
};

/// The authority, and a certificate of it for this server's names.
pub(super) async fn of(
    keys: &Keys,
    config: &Config,
    address: &str,
    context: &Context,
) -> Result<(Authority, Arc<CurrentCertificate>), Failure> {
    let authority = authority(keys, context).await?;
    let names = listen::certificate_names(&config.server, address);
    let issued = authority.issue(&names, context).map_err(|error| uncertified(&error))?;
    Ok((authority, CurrentCertificate::new(issued)))
}

fn uncertified(error: &dyn std::error::Error) -> Failure {
    Failure::new(Exit::Failure, "certificate", "the server's certificate can't be made")
        .why(error.to_string())
}

/// The certificate authority. The first server makes it; all others, and every later start, find the same.
pub(super) async fn authority(keys: &Keys, context: &Context) -> Result<Authority, Failure> {
    let made = Authority::make(context).map_err(|error| uncertified(&error))?;
    let stored = keys.secret("certificate-authority", |_| Ok(made)).await;
    let stored =
        stored.map_err(|error| Failure::fault("the certificate authority can't be opened", &error))?;
    Authority::open(&stored).map_err(|error| uncertified(&error))
}

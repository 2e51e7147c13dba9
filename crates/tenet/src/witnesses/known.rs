//! The witness policy and the authorities of the witnesses' addresses, read from their files.

use std::path::Path;

use ledger::{MAX_POLICY_FILE_BYTES, WitnessPolicy};
use rustls_pki_types::{CertificateDer, pem::PemObject};

use super::WitnessClient;
use crate::{failure::Failure, input::read_text};

/// The policy in a file.
pub fn read_policy(path: &Path) -> Result<WitnessPolicy, Failure> {
    let text = read_text(path, MAX_POLICY_FILE_BYTES)?;
    WitnessPolicy::parse(&text).map_err(|error| {
        Failure::usage(format!("the witness policy `{}` can't be used", path.display()))
            .why(error.to_string())
    })
}

/// A client for each witness that has an address, with its place among the policy's witnesses.
pub fn clients(
    policy: &WitnessPolicy,
    authorities: Option<&Path>,
) -> Result<Vec<(usize, WitnessClient)>, Failure> {
    let trusted = match authorities {
        Some(path) => {
            let pem = std::fs::read(path).map_err(|error| Failure::file("can't read", path, &error))?;
            let read: Result<Vec<CertificateDer<'static>>, _> =
                CertificateDer::pem_slice_iter(&pem).collect();
            read.map_err(|_| Failure::usage(format!("`{}` is not of certificates in PEM", path.display())))?
        }
        None => Vec::new(),
    };
    let mut clients = Vec::new();
    for (place, witness) in policy.witnesses().iter().enumerate() {
        if let Some(url) = &witness.url {
            clients.push((place, WitnessClient::new(&witness.name, witness.key.clone(), url, &trusted)?));
        }
    }
    Ok(clients)
}

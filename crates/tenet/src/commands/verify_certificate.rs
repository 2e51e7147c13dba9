//! `tenet verify-certificate`: offline.

use ledger::{MAX_STATEMENT_BYTES, verify_statement};
use serde_json::Value;

use super::{Session, log};
use crate::{
    cli::VerifyCertificate,
    failure::{Exit, Failure},
    input::read_text,
    output,
};

pub(super) fn run(session: &Session, arguments: &VerifyCertificate) -> Result<(), Failure> {
    let key = log::trusted_key(session, arguments.key.as_deref(), None)?;
    let note = read_text(&arguments.file, MAX_STATEMENT_BYTES + 4_096)?;
    let statement = verify_statement(&key, &note).map_err(|error| {
        Failure::new(Exit::NotVerified, "certificate-not-verified", "the certificate does not verify")
            .why(error.to_string())
            .remedy("get it again with `tenet record erase`, and compare the key with the one published for the log")
    })?;
    let json: Value = serde_json::from_str(statement).map_err(|error| {
        Failure::new(Exit::NotVerified, "certificate-not-verified", "the certificate holds no JSON")
            .why(error.to_string())
    })?;
    if !session.out.is_json() {
        output::note(&format!("the certificate is signed by {}", key.vkey()));
    }
    session.out.document(&json)
}

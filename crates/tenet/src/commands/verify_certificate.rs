//! `tenet verify-certificate`: offline.

use std::{
    fs,
    io::{self, Read},
    path::Path,
};

use ledger::{MAX_STATEMENT_BYTES, verify_statement};
use serde_json::Value;

use super::{Session, log};
use crate::{
    cli::VerifyCertificate,
    failure::{Exit, Failure},
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

/// A file of text, or standard input for `-`.
pub(super) fn read_text(path: &Path, most: usize) -> Result<String, Failure> {
    let failed = |error: &io::Error| Failure::file("can't read", path, error);
    let mut text = String::new();
    let limit = most as u64 + 1;
    if path == Path::new("-") {
        io::stdin().lock().take(limit).read_to_string(&mut text).map_err(|error| failed(&error))?;
    } else {
        let file = fs::File::open(path).map_err(|error| failed(&error))?;
        file.take(limit).read_to_string(&mut text).map_err(|error| failed(&error))?;
    }
    if text.len() > most {
        return Err(Failure::usage(format!("`{}` is larger than {most} bytes", path.display())));
    }
    Ok(text)
}

//! Reading a verifier key from the command line: the key itself, or a file that holds it.

use std::{fs, path::Path};

use ledger::LogVerifier;

use crate::failure::Failure;

/// Most bytes of a file with a key.
const MAX_FILE_BYTES: u64 = 4_096;

/// The verifier of that key or file.
pub fn read_vkey(given: &str) -> Result<LogVerifier, Failure> {
    let wrong = |error: ledger::NoteError| {
        Failure::usage("the verifier key can't be used")
            .why(error.to_string())
            .remedy("give the key as `tenet log key` prints it, or a file that holds it")
    };
    if given.contains('+') && !Path::new(given).exists() {
        return LogVerifier::from_vkey(given.trim()).map_err(wrong);
    }
    let path = Path::new(given);
    let length =
        fs::metadata(path).map_err(|error| Failure::file("can't read the key in", path, &error))?.len();
    if length > MAX_FILE_BYTES {
        return Err(Failure::usage(format!("`{given}` is too long to hold a verifier key")));
    }
    let text =
        fs::read_to_string(path).map_err(|error| Failure::file("can't read the key in", path, &error))?;
    LogVerifier::from_vkey(text.trim()).map_err(wrong)
}

//! Reading what the command line names.

use std::{
    fs,
    io::{self, Read},
    path::Path,
};

use crate::failure::Failure;

/// A file of text, or standard input for `-`.
pub fn read_text(path: &Path, most: usize) -> Result<String, Failure> {
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

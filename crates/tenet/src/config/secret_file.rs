//! Secrets in files: one line, readable by the owner alone.

use std::{
    io::Read,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use base::Secret;

/// Most bytes of a secret's file.
const MAX_SECRET_BYTES: u64 = 4_096;

/// Why a secret's file is not used.
#[derive(Debug, thiserror::Error)]
pub enum SecretFileError {
    /// It can't be read.
    #[error("the secret file `{path}` can't be read: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Others than the owner can read or change it.
    #[error("the secret file `{path}` is open to others (mode {mode:04o}): run `chmod 600 {path}`")]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// It is empty, too long, or not text.
    #[error("the secret file `{path}` does not hold one line of text of at most 4096 bytes")]
    Shape {
        /// The file.
        path: PathBuf,
    },
}

/// The secret in `path`, without the newline at its end.
pub fn read_secret_file(path: &Path) -> Result<Secret<String>, SecretFileError> {
    let text = read(path)?;
    let line = text.expose().trim_end_matches(['\r', '\n']);
    if line.is_empty() || line.contains(['\r', '\n']) {
        return Err(SecretFileError::Shape { path: path.to_owned() });
    }
    Ok(Secret::new(line.to_owned()))
}

/// The lines of a secret in `path`, at least one, without empty ones.
pub fn read_secret_lines(path: &Path) -> Result<Secret<Vec<String>>, SecretFileError> {
    let text = read(path)?;
    let lines: Vec<String> =
        text.expose().lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect();
    if lines.is_empty() {
        return Err(SecretFileError::Shape { path: path.to_owned() });
    }
    Ok(Secret::new(lines))
}

fn read(path: &Path) -> Result<Secret<String>, SecretFileError> {
    let io = |source| SecretFileError::Io { path: path.to_owned(), source };
    let mut file = std::fs::File::open(path).map_err(io)?;
    let mode = file.metadata().map_err(io)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(SecretFileError::Exposed { path: path.to_owned(), mode });
    }
    // Large enough from the start, so that growing leaves no copy behind.
    let mut read = String::with_capacity(MAX_SECRET_BYTES as usize + 1);
    let outcome = (&mut file).take(MAX_SECRET_BYTES + 1).read_to_string(&mut read);
    let text = Secret::new(read);
    outcome.map_err(io)?;
    if text.expose().len() as u64 > MAX_SECRET_BYTES {
        return Err(SecretFileError::Shape { path: path.to_owned() });
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn only_the_owner_may_read_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("password");
        fs::write(&path, "hunter2\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let error = read_secret_file(&path).unwrap_err().to_string();
        assert!(error.contains("(mode 0644): run `chmod 600"), "{error}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(read_secret_file(&path).unwrap().expose(), "hunter2");
        for wrong in ["", "\n", "a\nb\n", &"a".repeat(5_000)] {
            fs::write(&path, wrong).unwrap();
            assert!(matches!(read_secret_file(&path), Err(SecretFileError::Shape { .. })));
        }
    }
}

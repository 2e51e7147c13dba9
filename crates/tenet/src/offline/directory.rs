//! A copy of a log in a directory, laid out as the server serves it.

use std::{fs, io, io::Read, path::PathBuf};

use ledger::{MAX_BUNDLE_BYTES, SourceError, TileSource};

/// The directory that holds `checkpoint` and `tile/`.
#[derive(Clone, Debug)]
pub struct Directory(pub PathBuf);

impl Directory {
    fn read(&self, path: &str) -> Result<Vec<u8>, SourceError> {
        let file = fs::File::open(self.0.join(path)).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => SourceError::Missing,
            _ => SourceError::Unreadable(error.to_string()),
        })?;
        let mut data = Vec::new();
        let most = MAX_BUNDLE_BYTES as u64 + 1;
        file.take(most).read_to_end(&mut data).map_err(|error| SourceError::Unreadable(error.to_string()))?;
        Ok(data)
    }
}

impl TileSource for Directory {
    fn checkpoint(&self) -> Result<String, SourceError> {
        String::from_utf8(self.read("checkpoint")?)
            .map_err(|_| SourceError::Unreadable("the checkpoint is not text".to_owned()))
    }
    fn tile(&self, path: &str) -> Result<Vec<u8>, SourceError> {
        self.read(path)
    }
}

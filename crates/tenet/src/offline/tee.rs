//! A source that reads the checkpoint once, so that everything is about one state of a log that grows;
//! and, for a copy, writes each file that is read.

use std::{cell::OnceCell, fs, path::PathBuf};

use ledger::{SourceError, TILE_WIDTH, TileSource, parse_tile_path};

/// A source at one checkpoint.
pub struct Known<'a> {
    inner: &'a dyn TileSource,
    checkpoint: OnceCell<String>,
}

impl<'a> Known<'a> {
    /// Of that source, at the checkpoint that it has when first asked.
    pub fn new(inner: &'a dyn TileSource) -> Self {
        Self { inner, checkpoint: OnceCell::new() }
    }
}

impl TileSource for Known<'_> {
    fn checkpoint(&self) -> Result<String, SourceError> {
        if let Some(known) = self.checkpoint.get() {
            return Ok(known.clone());
        }
        let read = self.inner.checkpoint()?;
        Ok(self.checkpoint.get_or_init(|| read).clone())
    }
    fn tile(&self, path: &str) -> Result<Vec<u8>, SourceError> {
        self.inner.tile(path)
    }
}

/// Copies what is read into a directory. The checkpoint is not copied: it is written last, by whoever
/// knows that all is there.
pub struct Tee<'a> {
    inner: &'a dyn TileSource,
    directory: PathBuf,
}

impl<'a> Tee<'a> {
    /// Copies from `inner`.
    pub fn new(inner: &'a dyn TileSource, directory: PathBuf) -> Self {
        Self { inner, directory }
    }
}

impl TileSource for Tee<'_> {
    fn checkpoint(&self) -> Result<String, SourceError> {
        self.inner.checkpoint()
    }
    fn tile(&self, path: &str) -> Result<Vec<u8>, SourceError> {
        let unreadable = |error: std::io::Error| SourceError::Unreadable(error.to_string());
        // Only well-formed paths become file names.
        let parsed = parse_tile_path(path).map_err(|error| SourceError::Unreadable(error.to_string()))?;
        let target = self.directory.join(path);
        // A full tile never changes: the copy is read, and verified like any other.
        if parsed.width == TILE_WIDTH
            && let Ok(data) = fs::read(&target)
        {
            return Ok(data);
        }
        let data = self.inner.tile(path)?;
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent).map_err(unreadable)?;
        }
        crate::data_dir::write_private(&target, &data).map_err(unreadable)?;
        Ok(data)
    }
}

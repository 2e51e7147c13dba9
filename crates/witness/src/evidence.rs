//! What a log signed and should not have: kept beside the copy, each note once, so many and no more.

use std::{io, path::PathBuf};

use crate::{files, origin_path};

/// Most notes that are kept of one log. The first are what matters: they show when it began.
pub const MAX_EVIDENCE: usize = 256;

#[derive(Debug)]
pub(crate) struct Evidence {
    directory: PathBuf,
    count: usize,
}

impl Evidence {
    pub(crate) fn open(directory: PathBuf) -> io::Result<Self> {
        let count = match std::fs::read_dir(&directory) {
            Ok(entries) => {
                let mut count = 0;
                for entry in entries {
                    count += usize::from(entry?.path().extension().is_some_and(|kind| kind == "note"));
                }
                count
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(error),
        };
        Ok(Self { directory, count })
    }

    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Keeps a note that the log signed, and with it what the witness knew then.
    pub(crate) fn keep(&mut self, note: &str, known: &str) -> io::Result<()> {
        let path = self.directory.join(format!("{}.note", origin_path(note)));
        if self.count >= MAX_EVIDENCE || path.exists() {
            return Ok(());
        }
        files::make_directory(&self.directory)?;
        files::write(&path.with_extension("known"), known.as_bytes())?;
        files::write(&path, note.as_bytes())?;
        self.count += 1;
        Ok(())
    }
}

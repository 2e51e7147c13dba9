//! Taking entries: package by package, each proved before it is stored, each durable before the next.

use std::sync::Arc;

use base::Timestamp;
use ledger::{
    Cosigner, EntriesHeader, EntryPackage, Frontier, MirrorInfo, SubmissionError, TILE_WIDTH, leaf_hash,
    verify_subtree,
};

use crate::{
    Signed, UploadError,
    log::{Log, into_io},
};

/// An upload under way. It holds no lock: others may upload the same, and the entries are the same.
#[derive(Debug)]
pub struct Upload {
    log: Arc<Log>,
    signed: Signed,
    packages: std::collections::VecDeque<(u64, u64)>,
    saved: bool,
}

/// How an upload ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Finished {
    /// Every entry is here: the mirror's signature line (200).
    Cosigned(String),
    /// There is more to send: from where (202).
    More(MirrorInfo),
}

impl Upload {
    pub(crate) fn begin(log: Arc<Log>, header: &EntriesHeader) -> Result<Self, UploadError> {
        let state = log.state();
        let (mirrored, next) = (state.mirrored_size(), state.copy.next());
        let known = state.recent(header.end).cloned();
        let info = state.info(header.end);
        drop(state);
        let signed = known.filter(|_| header.end >= mirrored).ok_or(UploadError::Conflict(info.clone()))?;
        // From the tile that the mirror is at: what lies before is here, and sending it again is a mistake.
        let earliest = next / u64::from(TILE_WIDTH) * u64::from(TILE_WIDTH);
        if header.start > next || header.start < earliest.min(header.end) {
            return Err(UploadError::Conflict(info));
        }
        // Packages are cut when they are due: so many are not held at once.
        let packages = header.packages().take(usize::from(u16::MAX)).collect();
        Ok(Self { log, signed, packages, saved: false })
    }

    /// How many entries the next package has; `None` when there is no more to take.
    pub fn expects(&self) -> Option<u64> {
        self.packages.front().map(|(start, end)| end - start)
    }

    /// Takes the next package.
    pub fn add(&mut self, package: &EntryPackage<'_>) -> Result<(), UploadError> {
        let wide = u64::from(TILE_WIDTH);
        let Some((start, end)) = self.packages.front().copied() else {
            return Err(SubmissionError("there are more packages than the upload has entries").into());
        };
        if package.entries.len() as u64 != end - start {
            return Err(SubmissionError("a package has not the entries that its place has").into());
        }
        let tile = start / wide;
        let mut state = self.log.state();
        // The subtree from the tile's first entry: those before the package are here.
        let before = (start - tile * wide) as usize;
        let here = state.copy.leaves(tile).map_err(into_io)?;
        let before = here
            .get(..before)
            .ok_or_else(|| UploadError::Conflict(state.info(self.signed.checkpoint.size)))?;
        let mut tree = Frontier::empty();
        before.iter().for_each(|leaf| tree.append(*leaf));
        package.entries.iter().for_each(|entry| tree.append(leaf_hash(entry)));
        let to = &self.signed.checkpoint;
        verify_subtree(tile * wide, end, &tree.root(), to.size, &to.root, &package.proof)
            .map_err(|_| UploadError::NotProved)?;
        // Another upload may have brought some of them meanwhile.
        let next = state.copy.next();
        if next < start {
            return Err(UploadError::Conflict(state.info(to.size)));
        }
        let known = usize::try_from(next - start).unwrap_or(usize::MAX);
        if let Some(new) = package.entries.get(known..).filter(|new| !new.is_empty()) {
            state.copy.append(new)?;
        }
        self.saved = true;
        self.packages.pop_front();
        Ok(())
    }

    pub(crate) fn finish(self, mirror: &Cosigner, now: Timestamp) -> Result<Finished, UploadError> {
        let mut state = self.log.state();
        let size = self.signed.checkpoint.size;
        if !self.packages.is_empty() {
            if self.saved {
                return Ok(Finished::More(state.info(size)));
            }
            return Err(SubmissionError("the body ends before its first package").into());
        }
        if size < state.mirrored_size() {
            return Err(UploadError::Conflict(state.info(size)));
        }
        if state.copy.next() < size {
            return Ok(Finished::More(state.info(size)));
        }
        self.log.publish(&mut state, &self.signed, mirror, now).map(Finished::Cosigned)
    }
}

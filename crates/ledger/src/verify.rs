//! Checks a whole log offline: the checkpoint's signature, every hash tile, every entry.
//!
//! From the top down. The partial tiles at the right edge must give the signed root; each of their
//! hashes, now proven, must be that of the full tile beneath; and so down to the leaves, which must be
//! those of the entries. So a mismatch says at once which side is wrong: what is above is proven. Only
//! where that fails does `blame` look further, from the entries up. Memory is one tile a level and one
//! bundle of entries.

use crate::{
    Checkpoint, Event, Failure, Hash, LogVerifier, SourceError, TILE_WIDTH, bundle_entries,
    canonical::Canonical,
    entries_path, leaf_hash,
    proof::{ProofError, consistency_proof, tile_width, verify_consistency},
    tile::tile_hashes,
    tile_path,
    tree::{edge_root, fold},
};

/// Levels that a tree of `u64` leaves can have.
const LEVELS: u8 = 8;
/// Most bytes of an entry bundle; a source need not read more.
pub const MAX_BUNDLE_BYTES: usize = TILE_WIDTH as usize * (2 + crate::MAX_ENTRY_BYTES);

/// Where a log's files come from: a server, a directory, a database.
pub trait TileSource {
    /// The signed checkpoint.
    fn checkpoint(&self) -> Result<String, SourceError>;
    /// The file of that path, such as `tile/0/000` or `tile/entries/000.p/7`.
    fn tile(&self, path: &str) -> Result<Vec<u8>, SourceError>;
}

/// A log that verifies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Which log.
    pub origin: String,
    /// Its size, in entries.
    pub size: u64,
    /// Its root.
    pub root: Hash,
    /// Entries read, each of them an event.
    pub events: u64,
    /// Hash tiles read.
    pub tiles: u64,
    /// Bytes of entries read.
    pub bytes: u64,
}

/// Checks a whole log by its verifier key. `progress` is told, bundle by bundle, how many entries are
/// done and how many there are.
pub fn verify_log(
    source: &dyn TileSource,
    key: &LogVerifier,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Report, Failure> {
    let note = source.checkpoint().map_err(|error| match error {
        SourceError::Missing => Failure::NoCheckpoint,
        SourceError::Unreadable(reason) => Failure::Unreadable { path: "checkpoint".to_owned(), reason },
    })?;
    let head = key.verify(&note).map_err(Failure::Checkpoint)?;
    Walk::new(source, &head, progress).whole()
}

/// As [`verify_log`], and that the log continues a checkpoint that was verified before: not cut back,
/// not rewritten.
pub fn verify_log_since(
    source: &dyn TileSource,
    key: &LogVerifier,
    known: &Checkpoint,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Report, Failure> {
    let report = verify_log(source, key, progress)?;
    if report.size < known.size {
        return Err(Failure::CutBack { size: report.size, known: known.size });
    }
    let forked = Failure::Forked { known: known.size };
    // What the source shows now need not be what it showed a moment ago: the proof is believed for what it
    // gives, both roots, and not for where its tiles came from.
    let tile = |level, index, width| read_tile(source, level, index, width);
    let proof = match consistency_proof(known.size, report.size, tile) {
        Ok(proof) => proof,
        Err(ProofError::Read(failure)) => return Err(failure),
        Err(ProofError::Range { .. } | ProofError::Length { .. }) => return Err(forked),
    };
    let continues = verify_consistency(known.size, &known.root, report.size, &report.root, &proof).is_ok();
    if continues && report.origin == known.origin { Ok(report) } else { Err(forked) }
}

/// One pass over a log.
pub(crate) struct Walk<'a> {
    pub(crate) source: &'a dyn TileSource,
    pub(crate) head: &'a Checkpoint,
    progress: &'a mut dyn FnMut(u64, u64),
    quick: Canonical,
    events: u64,
    tiles: u64,
    bytes: u64,
}

impl<'a> Walk<'a> {
    fn new(source: &'a dyn TileSource, head: &'a Checkpoint, progress: &'a mut dyn FnMut(u64, u64)) -> Self {
        Self { source, head, progress, quick: Canonical::default(), events: 0, tiles: 0, bytes: 0 }
    }

    fn whole(mut self) -> Result<Report, Failure> {
        let size = self.head.size;
        (self.progress)(0, size);
        let Some(edges) = self.edges()? else {
            return Err(self.blame_edge());
        };
        for (level, hashes) in (0..LEVELS).zip(&edges).rev() {
            // How many hashes of this level lie before the edge tile.
            let before = above(size, level + 1) * u64::from(TILE_WIDTH);
            match level.checked_sub(1) {
                Some(below) => {
                    for (at, hash) in (before..).zip(hashes) {
                        self.full_tile(below, at, hash)?;
                    }
                }
                None if hashes.is_empty() => {}
                None => self.entries(before / u64::from(TILE_WIDTH), hashes)?,
            }
        }
        Ok(Report {
            origin: self.head.origin.clone(),
            size,
            root: self.head.root,
            events: self.events,
            tiles: self.tiles,
            bytes: self.bytes,
        })
    }

    /// The partial tiles at the right edge, lowest level first, empty where the level has none; none
    /// unless all are there and give the signed root.
    fn edges(&mut self) -> Result<Option<Vec<Vec<Hash>>>, Failure> {
        let size = self.head.size;
        let mut edges = Vec::new();
        for level in 0..LEVELS {
            let index = above(size, level + 1);
            let hashes = match tile_width(size, level, index) {
                0 => Vec::new(),
                width => match self.hashes(level, index, width) {
                    Ok(Some(hashes)) => hashes,
                    Ok(None) | Err(Failure::TileMissing { .. }) => return Ok(None),
                    Err(failure) => return Err(failure),
                },
            };
            edges.push(hashes);
        }
        Ok((edge_root(edges.iter().map(Vec::as_slice)) == self.head.root).then_some(edges))
    }

    /// A full tile that is proven to have `root`, and all beneath it.
    fn full_tile(&mut self, level: u8, index: u64, root: &Hash) -> Result<(), Failure> {
        let missing = |failure| match failure {
            Failure::TileMissing { path, index } => self.blame_missing(path, index),
            other => other,
        };
        let read = read_tile(self.source, level, index, TILE_WIDTH).map_err(missing)?;
        self.tiles += 1;
        let hashes =
            tile_hashes(&read, TILE_WIDTH).filter(|hashes| fold(&mut hashes.to_vec()) == Some(*root));
        let Some(hashes) = hashes else {
            return Err(self.blame_tile(level, index, &read, root));
        };
        match level.checked_sub(1) {
            None => self.entries(index, hashes),
            Some(below) => (index.saturating_mul(u64::from(TILE_WIDTH))..)
                .zip(hashes)
                .try_for_each(|(at, hash)| self.full_tile(below, at, hash)),
        }
    }

    /// The entries of a bundle, against their proven hashes.
    fn entries(&mut self, index: u64, hashes: &[Hash]) -> Result<(), Failure> {
        let first = index.saturating_mul(u64::from(TILE_WIDTH));
        // INVARIANT: a tile has at most 256 hashes.
        let bundle = read_bundle(self.source, self.head.size, index, hashes.len() as u16)?;
        let mut entries = bundle_entries(&bundle.data);
        for (at, hash) in (first..).zip(hashes) {
            let entry = match entries.next() {
                Some(Ok(entry)) => entry,
                // The bundle ends before its last entry, or within this one: unless its length was
                // altered, the rest was cut off.
                None | Some(Err(_)) => return Err(self.missing(at)),
            };
            let found = leaf_hash(entry);
            if found != *hash {
                return Err(self.blame_entry(at, &found));
            }
            Event::check(entry, &mut self.quick).map_err(|error| Failure::NotAnEvent { index: at, error })?;
            self.events += 1;
            self.bytes += entry.len() as u64;
        }
        if bundle.exact && entries.next().is_some() {
            return Err(Failure::EntriesAdded { index: first.saturating_add(hashes.len() as u64) });
        }
        (self.progress)(self.events, self.head.size);
        Ok(())
    }

    /// The hashes of a tile; none if its length is not its width.
    fn hashes(&mut self, level: u8, index: u64, width: u16) -> Result<Option<Vec<Hash>>, Failure> {
        let data = read_tile(self.source, level, index, width)?;
        self.tiles += 1;
        Ok(tile_hashes(&data, width).map(<[Hash]>::to_vec))
    }
}

/// How many hashes level `level` has.
fn above(size: u64, level: u8) -> u64 {
    size.checked_shr(u32::from(level) * 8).unwrap_or(0)
}

/// A tile's data. Where a partial one is gone, as a log may let it go once it is full, the beginning
/// of the full one.
pub(crate) fn read_tile(
    source: &dyn TileSource,
    level: u8,
    index: u64,
    width: u16,
) -> Result<Vec<u8>, Failure> {
    let path = tile_path(level, index, width);
    let full = || tile_path(level, index, TILE_WIDTH);
    let covered = index.saturating_mul(1u64.checked_shl(u32::from(level + 1) * 8).unwrap_or(0));
    match read(source, &path, (width < TILE_WIDTH).then(full))? {
        None => Err(Failure::TileMissing { path, index: covered }),
        Some(File { mut data, exact }) => {
            data.truncate(if exact { data.len() } else { usize::from(width) * crate::HASH_BYTES });
            Ok(data)
        }
    }
}

/// A file, and whether it is the one that was asked for rather than the full one in its place.
pub(crate) struct File {
    pub(crate) data: Vec<u8>,
    pub(crate) exact: bool,
}

/// A bundle's data.
pub(crate) fn read_bundle(
    source: &dyn TileSource,
    size: u64,
    index: u64,
    width: u16,
) -> Result<File, Failure> {
    let path = entries_path(index, width);
    let full = (width < TILE_WIDTH).then(|| entries_path(index, TILE_WIDTH));
    read(source, &path, full)?
        .ok_or_else(|| missing(source, size, index.saturating_mul(u64::from(TILE_WIDTH))))
}

fn read(source: &dyn TileSource, path: &str, instead: Option<String>) -> Result<Option<File>, Failure> {
    let unreadable = |path: &str, reason| Failure::Unreadable { path: path.to_owned(), reason };
    match source.tile(path) {
        Ok(data) => return Ok(Some(File { data, exact: true })),
        Err(SourceError::Unreadable(reason)) => return Err(unreadable(path, reason)),
        Err(SourceError::Missing) => {}
    }
    let Some(path) = instead else { return Ok(None) };
    match source.tile(&path) {
        Ok(data) => Ok(Some(File { data, exact: false })),
        Err(SourceError::Unreadable(reason)) => Err(unreadable(&path, reason)),
        Err(SourceError::Missing) => Ok(None),
    }
}

/// That the entries from `index` on are missing, and whether the very last is too.
pub(crate) fn missing(source: &dyn TileSource, size: u64, index: u64) -> Failure {
    let last = size.saturating_sub(1) / u64::from(TILE_WIDTH);
    let same = index / u64::from(TILE_WIDTH) == last;
    let path = entries_path(last, tile_width(size, 0, last));
    let tail = same || matches!(read(source, &path, Some(entries_path(last, TILE_WIDTH))), Ok(None));
    Failure::EntriesMissing { index, tail }
}

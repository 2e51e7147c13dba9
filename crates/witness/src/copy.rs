//! The copy of a log on disk: tiles and bundles (C2SP tlog-tiles), appended to and never changed.

use std::{
    io,
    path::{Path, PathBuf},
};

use ledger::{
    Frontier, Hash, MAX_BUNDLE_BYTES, TILE_WIDTH, TileKind, TilePath, bundle_entries, leaf_hash, push_entry,
};

use crate::files;

const WIDE: u64 = TILE_WIDTH as u64;

/// The copy, up to the last entry that is on disk.
#[derive(Debug)]
pub(crate) struct Copy {
    directory: PathBuf,
    /// The tree of all entries that are on disk.
    tree: Frontier,
    /// The entries of the last, partial bundle, as its file has them.
    edge: Vec<u8>,
}

/// A copy that is not what it should be.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CopyError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("{0}")]
    Damaged(String),
}

impl Copy {
    /// Picks up a copy of `size` entries. What lies on disk beyond was never cosigned, and is sent anew.
    pub(crate) fn open(directory: &Path, size: u64) -> Result<Self, CopyError> {
        let directory = directory.to_owned();
        let read = |level, index, width| {
            let path = TilePath { kind: TileKind::Hashes(level), index, width };
            read_tile(&directory, &path)?.ok_or_else(|| CopyError::Damaged(format!("`{path}` is missing")))
        };
        let tree = Frontier::load(size, read).map_err(|error| match error {
            ledger::LoadError::Read(error) => error,
            other => CopyError::Damaged(other.to_string()),
        })?;
        let mut edge = Vec::new();
        let width = (size % WIDE) as u16;
        if width > 0 {
            let path = TilePath { kind: TileKind::Entries, index: size / WIDE, width };
            edge = read_tile(&directory, &path)?
                .ok_or_else(|| CopyError::Damaged(format!("`{path}` is missing")))?;
        }
        let copy = Self { directory, tree, edge };
        // The last bundle must have the entries whose hashes are in the tree.
        copy.leaves_of_edge().map_err(CopyError::Damaged)?;
        Ok(copy)
    }

    /// How many entries are on disk.
    pub(crate) fn next(&self) -> u64 {
        self.tree.size()
    }

    pub(crate) fn root(&self) -> Hash {
        self.tree.root()
    }

    /// The root of the tree of the first `size` entries that are here.
    pub(crate) fn root_at(&self, size: u64) -> Result<Option<Hash>, CopyError> {
        if size > self.next() {
            return Ok(None);
        }
        if size == self.next() {
            return Ok(Some(self.root()));
        }
        let read = |level, index, width| {
            let path = TilePath { kind: TileKind::Hashes(level), index, width };
            self.tile(&path)?.ok_or_else(|| CopyError::Damaged(format!("`{path}` is missing")))
        };
        match Frontier::load(size, read) {
            Ok(tree) => Ok(Some(tree.root())),
            Err(ledger::LoadError::Read(error)) => Err(error),
            Err(other) => Err(CopyError::Damaged(other.to_string())),
        }
    }

    /// The hashes of the entries of one tile that are on disk already, from the tile's first.
    pub(crate) fn leaves(&self, tile: u64) -> Result<Vec<Hash>, CopyError> {
        let edge = self.next() / WIDE;
        if tile == edge {
            return self.leaves_of_edge().map_err(CopyError::Damaged);
        }
        if tile > edge {
            return Ok(Vec::new());
        }
        let path = TilePath { kind: TileKind::Entries, index: tile, width: TILE_WIDTH };
        let bundle = read_tile(&self.directory, &path)?
            .ok_or_else(|| CopyError::Damaged(format!("`{path}` is missing")))?;
        leaves(&bundle).map_err(CopyError::Damaged)
    }

    fn leaves_of_edge(&self) -> Result<Vec<Hash>, String> {
        let found = leaves(&self.edge)?;
        if found.len() as u64 == self.next() % WIDE {
            Ok(found)
        } else {
            Err(format!("the last bundle has {} entries", found.len()))
        }
    }

    /// Appends entries of the tile in which the copy ends; durable when this returns. They are proved already.
    pub(crate) fn append(&mut self, entries: &[&[u8]]) -> io::Result<()> {
        let mut bundle = self.edge.clone();
        for entry in entries {
            push_entry(&mut bundle, entry)
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error.to_string()))?;
        }
        let index = self.next() / WIDE;
        let width = self.next() % WIDE + entries.len() as u64;
        let width = u16::try_from(width).ok().filter(|width| *width <= TILE_WIDTH);
        let width = width.ok_or(io::ErrorKind::InvalidInput)?;
        self.put(&TilePath { kind: TileKind::Entries, index, width }, &bundle)?;
        for entry in entries {
            self.tree.append(leaf_hash(entry));
        }
        self.edge = if width == TILE_WIDTH { Vec::new() } else { bundle };
        Ok(())
    }

    /// Makes the files of the tree of `size` complete on disk: hash tiles that changed since the last call, and
    /// the narrower beginnings that a tree of that size has.
    pub(crate) fn settle(&mut self, size: u64) -> Result<(), CopyError> {
        // A copy: taking them before they are on disk would lose them with a write that fails.
        let mut tree = self.tree.clone();
        for tile in tree.take_changed() {
            let path = TilePath { kind: TileKind::Hashes(tile.level), index: tile.index, width: tile.width };
            self.put(&path, &tile.data)?;
        }
        self.tree = tree;
        for path in edges(size) {
            if files::read(&self.directory.join(path.to_string()), MAX_BUNDLE_BYTES)?.is_none() {
                let narrow = self.tile(&path)?;
                let narrow = narrow.ok_or_else(|| CopyError::Damaged(format!("`{path}` is missing")))?;
                self.put(&path, &narrow)?;
            }
        }
        Ok(())
    }

    /// Takes away the partial tiles of the tree of `old` that the tree of `new` does not have: wider ones hold
    /// all that they held. A failure leaves files that nobody asks for.
    pub(crate) fn tidy(&self, old: u64, new: u64) {
        let kept: Vec<TilePath> = edges(new).collect();
        for path in edges(old).filter(|path| !kept.contains(path)) {
            let _ = std::fs::remove_file(self.directory.join(path.to_string()));
        }
    }

    /// A tile of what is on disk, also where only a wider one is.
    pub(crate) fn tile(&self, path: &TilePath) -> Result<Option<Vec<u8>>, CopyError> {
        let level = match path.kind {
            TileKind::Hashes(level) => u32::from(level),
            TileKind::Entries => 0,
        };
        let count = self.next().checked_shr(8 * level).unwrap_or(0);
        let there = count.saturating_sub(path.index.saturating_mul(WIDE)).min(WIDE) as u16;
        let mut widths = vec![path.width, there, TILE_WIDTH];
        widths.dedup();
        for width in widths.into_iter().filter(|width| *width >= path.width) {
            let wider = TilePath { width, ..*path };
            if let Some(data) = read_tile(&self.directory, &wider)? {
                return match path.narrow(&data) {
                    Some(data) => Ok(Some(data.to_vec())),
                    None => Err(CopyError::Damaged(format!("`{wider}` is too short"))),
                };
            }
        }
        Ok(None)
    }

    fn put(&self, path: &TilePath, data: &[u8]) -> io::Result<()> {
        let target = self.directory.join(path.to_string());
        if let Some(parent) = target.parent() {
            files::make_directory(parent)?;
        }
        files::write(&target, data)
    }
}

/// The partial tiles and the partial bundle of a tree of `size`.
fn edges(size: u64) -> impl Iterator<Item = TilePath> {
    let at = move |kind, level: u32| {
        let count = size.checked_shr(8 * level).unwrap_or(0);
        let width = (count % WIDE) as u16;
        (width > 0).then_some(TilePath { kind, index: count / WIDE, width })
    };
    let hashes = (0u8..8).filter_map(move |level| at(TileKind::Hashes(level), u32::from(level)));
    hashes.chain(at(TileKind::Entries, 0))
}

fn leaves(bundle: &[u8]) -> Result<Vec<Hash>, String> {
    bundle_entries(bundle)
        .map(|entry| entry.map(leaf_hash))
        .collect::<Result<_, _>>()
        .map_err(|error| error.to_string())
}

fn read_tile(directory: &Path, path: &TilePath) -> Result<Option<Vec<u8>>, CopyError> {
    Ok(files::read(&directory.join(path.to_string()), MAX_BUNDLE_BYTES)?)
}

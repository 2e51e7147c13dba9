//! Who is wrong: once a log does not verify, looks from the entries up to name what was altered, and
//! the first bad entry.

use crate::{
    Failure, Frontier, Hash, TILE_WIDTH, Tile, bundle_entries, leaf_hash,
    proof::tile_width,
    tile::tile_hashes,
    tile_path,
    tree::fold,
    verify::{Walk, missing, read_bundle, read_tile},
};

const WIDTH: u64 = TILE_WIDTH as u64;

impl Walk<'_> {
    pub(crate) fn missing(&self, index: u64) -> Failure {
        missing(self.source, self.head.size, index)
    }

    /// An entry whose hash, `found`, is not the proven one.
    pub(crate) fn blame_entry(&self, index: u64, found: &Hash) -> Failure {
        match self.place_of(index, found) {
            Some(belongs_at) => Failure::EntryMoved { index, belongs_at },
            None => Failure::EntryAltered { index },
        }
    }

    /// Where in the log a leaf hash stands, looking around `near` first.
    fn place_of(&self, near: u64, wanted: &Hash) -> Option<u64> {
        let size = self.head.size;
        let here = near / WIDTH;
        let others = (0..size.div_ceil(WIDTH)).filter(|index| *index != here);
        std::iter::once(here).chain(others).find_map(|index| {
            let width = tile_width(size, 0, index);
            let data = read_tile(self.source, 0, index, width).ok()?;
            let at = tile_hashes(&data, width)?.iter().position(|hash| hash == wanted)?;
            Some(index * WIDTH + at as u64)
        })
    }

    /// A full tile that is not there: its entries may be gone with it.
    pub(crate) fn blame_missing(&self, path: String, index: u64) -> Failure {
        let bundle = index / WIDTH;
        match read_bundle(self.source, self.head.size, bundle, tile_width(self.head.size, 0, bundle)) {
            Err(failure @ Failure::EntriesMissing { .. }) => failure,
            _ => Failure::TileMissing { path, index },
        }
    }

    /// A full tile whose data does not give its proven root.
    pub(crate) fn blame_tile(&self, level: u8, index: u64, data: &[u8], root: &Hash) -> Failure {
        let path = tile_path(level, index, TILE_WIDTH);
        let stored = data.as_chunks::<{ crate::HASH_BYTES }>().0;
        let span = 1u64.checked_shl(u32::from(level) * 8).unwrap_or(0);
        let begin = index.saturating_mul(WIDTH).saturating_mul(span);
        let mut hashes = match self.recompute_tile(level, index) {
            Ok(hashes) => hashes,
            Err(failure) => return failure,
        };
        let differs = (0..)
            .zip(&hashes)
            .find(|(at, hash)| stored.get(*at as usize) != Some(hash))
            .map(|(at, _): (u64, _)| begin.saturating_add(at.saturating_mul(span)));
        // A tile whose hashes are right and that goes on after them: the first entry it covers.
        let first = differs.unwrap_or(begin);
        if fold(&mut hashes) == Some(*root) {
            Failure::TileAltered { path, index: first }
        } else {
            Failure::Together { path, index: first }
        }
    }

    /// The hashes of a full tile, from the entries beneath it alone: each bundle is read once.
    fn recompute_tile(&self, level: u8, index: u64) -> Result<Vec<Hash>, Failure> {
        let Some(below) = level.checked_sub(1) else {
            return self.leaves(index, TILE_WIDTH);
        };
        let first = index.saturating_mul(WIDTH);
        (first..first.saturating_add(WIDTH))
            .map(|at| fold(&mut self.recompute_tile(below, at)?).ok_or_else(|| self.missing(at)))
            .collect()
    }

    /// The leaf hashes of a bundle, from its entries.
    fn leaves(&self, index: u64, width: u16) -> Result<Vec<Hash>, Failure> {
        let bundle = read_bundle(self.source, self.head.size, index, width)?;
        let mut leaves = Vec::with_capacity(usize::from(width));
        for entry in bundle_entries(&bundle.data).take(usize::from(width)) {
            let at = index.saturating_mul(WIDTH).saturating_add(leaves.len() as u64);
            leaves.push(leaf_hash(entry.map_err(|_| self.missing(at))?));
        }
        if leaves.len() == usize::from(width) {
            return Ok(leaves);
        }
        Err(self.missing(index.saturating_mul(WIDTH).saturating_add(leaves.len() as u64)))
    }

    /// The right edge does not give the signed root, or is not all there. Builds the tree again from
    /// the entries, and holds every stored tile against it.
    pub(crate) fn blame_edge(&self) -> Failure {
        let size = self.head.size;
        let mut frontier = Frontier::empty();
        let mut suspects = Suspects::default();
        for index in 0..size.div_ceil(WIDTH) {
            let leaves = match self.leaves(index, tile_width(size, 0, index)) {
                Ok(leaves) => leaves,
                Err(failure) => return failure,
            };
            leaves.into_iter().for_each(|leaf| frontier.append(leaf));
            if let Err(failure) = self.compare(frontier.take_full(), &mut suspects) {
                return failure;
            }
        }
        if let Err(failure) = self.compare(frontier.take_changed(), &mut suspects) {
            return failure;
        }
        if frontier.root() == self.head.root {
            return match suspects.first {
                Some(Suspect { path, index, there: true }) => Failure::TileAltered { path, index },
                Some(Suspect { path, index, there: false }) => Failure::TileMissing { path, index },
                // INVARIANT: entries that give the root give the edge; one that does not is stored otherwise.
                None => Failure::Root { size },
            };
        }
        // A leaf's hash says which entry it is; a hash further up says only where to begin.
        match suspects.leaf.or(suspects.first) {
            Some(Suspect { path, index, .. }) => Failure::Together { path, index },
            None => Failure::Root { size },
        }
    }

    /// Keeps the first difference between what the entries give and what is stored.
    fn compare(&self, tiles: Vec<Tile>, suspects: &mut Suspects) -> Result<(), Failure> {
        for tile in tiles {
            let span = 1u64.checked_shl(u32::from(tile.level) * 8).unwrap_or(0);
            let begin = tile.index.saturating_mul(WIDTH).saturating_mul(span);
            let (there, data) = match read_tile(self.source, tile.level, tile.index, tile.width) {
                Ok(data) => (true, data),
                Err(Failure::TileMissing { .. }) => (false, Vec::new()),
                Err(failure) => return Err(failure),
            };
            if data == tile.data {
                continue;
            }
            let (stored, right) = (data.as_chunks::<{ crate::HASH_BYTES }>().0, tile.data.as_chunks().0);
            let same = right.iter().zip(stored).take_while(|(right, stored)| right == stored).count();
            // A tile that goes on after its last hash: that hash is the last one it should have.
            let at = same.min(right.len().saturating_sub(1)) as u64;
            let index = begin.saturating_add(at.saturating_mul(span));
            let suspect = Suspect { path: tile.path(), index, there };
            if tile.level == 0 && suspects.leaf.is_none() {
                suspects.leaf = Some(suspect.clone());
            }
            if suspects.first.as_ref().is_none_or(|known| index < known.index) {
                suspects.first = Some(suspect);
            }
        }
        Ok(())
    }
}

/// The first differences between what the entries give and what is stored.
#[derive(Default)]
struct Suspects {
    /// Of any level.
    first: Option<Suspect>,
    /// Of the leaves' own hashes.
    leaf: Option<Suspect>,
}

/// A stored tile that is not what the entries give.
#[derive(Clone)]
struct Suspect {
    path: String,
    index: u64,
    there: bool,
}

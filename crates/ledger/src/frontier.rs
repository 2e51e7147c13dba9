//! The rightmost edge of the tree: all that appending needs. Its memory is one partial tile a level,
//! at most 8 KiB times the logarithm of the size to base 256.

use crate::{
    Hash, TILE_WIDTH, Tile,
    tile::tile_hashes,
    tree::{HASH_BYTES, edge_root, fold},
};

const FULL: usize = TILE_WIDTH as usize;

/// The state of a tree that grows.
#[derive(Clone, Debug, Default)]
pub struct Frontier {
    size: u64,
    levels: Vec<Edge>,
    full: Vec<Tile>,
}

/// The rightmost, partial tile of a level: 0 to 255 hashes.
#[derive(Clone, Debug, Default)]
struct Edge {
    hashes: Vec<Hash>,
    /// Whether it has grown since the changes were taken.
    grown: bool,
}

/// A tree that can't be picked up again.
#[derive(Debug, thiserror::Error)]
pub enum LoadError<E> {
    /// A tile can't be read.
    #[error(transparent)]
    Read(E),
    /// A tile is shorter than the tree needs, or not made of whole hashes.
    #[error("tile `{path}` has {bytes} bytes: the tree needs {needed}")]
    Length {
        /// Its path.
        path: String,
        /// What it has.
        bytes: usize,
        /// What the tree needs.
        needed: usize,
    },
}

impl Frontier {
    /// The tree without leaves.
    pub fn empty() -> Self {
        Self::default()
    }

    /// Picks up a tree of `size` leaves: reads the partial tile of each level (level, index, width).
    /// A tile that has since grown is accepted, as its beginning is the tile asked for. Hold
    /// [`Frontier::root`] against the checkpoint before appending.
    pub fn load<E>(
        size: u64,
        mut tile: impl FnMut(u8, u64, u16) -> Result<Vec<u8>, E>,
    ) -> Result<Self, LoadError<E>> {
        let mut levels = Vec::new();
        let mut above = size;
        for level in 0u8.. {
            if above == 0 {
                break;
            }
            let width = (above % u64::from(TILE_WIDTH)) as u16;
            above /= u64::from(TILE_WIDTH);
            let mut hashes = Vec::with_capacity(FULL);
            if width > 0 {
                let data = tile(level, above, width).map_err(LoadError::Read)?;
                let needed = usize::from(width) * HASH_BYTES;
                let begin = data.get(..needed).filter(|_| data.len() % HASH_BYTES == 0);
                let begin = begin.and_then(|begin| tile_hashes(begin, width));
                hashes.extend_from_slice(begin.ok_or_else(|| LoadError::Length {
                    path: crate::tile_path(level, above, width),
                    bytes: data.len(),
                    needed,
                })?);
            }
            levels.push(Edge { hashes, grown: false });
        }
        Ok(Self { size, levels, full: Vec::new() })
    }

    /// Adds a leaf, by its [`leaf_hash`](crate::leaf_hash).
    pub fn append(&mut self, leaf: Hash) {
        // The number of tiles before the one that fills up, level by level.
        let mut index = self.size / u64::from(TILE_WIDTH);
        self.size = self.size.saturating_add(1);
        let mut carried = leaf;
        for level in 0u8.. {
            let at = usize::from(level);
            if self.levels.len() <= at {
                self.levels.push(Edge::default());
            }
            let Some(edge) = self.levels.get_mut(at) else { return };
            edge.hashes.push(carried);
            edge.grown = true;
            if edge.hashes.len() < FULL {
                return;
            }
            let data = edge.hashes.as_flattened().to_vec();
            self.full.push(Tile { level, index, width: TILE_WIDTH, data });
            let Some(root) = fold(&mut edge.hashes) else { return };
            edge.hashes.clear();
            edge.grown = false;
            carried = root;
            index /= u64::from(TILE_WIDTH);
        }
    }

    /// The number of leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The root of the tree (RFC 6962 2.1).
    pub fn root(&self) -> Hash {
        edge_root(self.levels.iter().map(|edge| edge.hashes.as_slice()))
    }

    /// The tiles that became full since the last call, and no partial ones.
    pub(crate) fn take_full(&mut self) -> Vec<Tile> {
        std::mem::take(&mut self.full)
    }

    /// The hash tiles that changed since the last call (or since loading): those that became full,
    /// in order, and the partial ones that grew. Each has its whole data.
    pub fn take_changed(&mut self) -> Vec<Tile> {
        let mut changed = self.take_full();
        let mut above = self.size;
        for (level, edge) in (0u8..).zip(&mut self.levels) {
            above /= u64::from(TILE_WIDTH);
            if std::mem::take(&mut edge.grown) {
                let width = edge.hashes.len() as u16;
                changed.push(Tile { level, index: above, width, data: edge.hashes.as_flattened().to_vec() });
            }
        }
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{empty_root, leaf_hash, tree::tests::naive_root};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn leaves(count: usize) -> Vec<Hash> {
        (0..count).map(|n| leaf_hash(&n.to_be_bytes())).collect()
    }

    #[test]
    fn every_size_has_the_naive_root() {
        let leaves = leaves(600);
        let mut frontier = Frontier::empty();
        assert_eq!(frontier.root(), empty_root());
        for (index, leaf) in leaves.iter().enumerate() {
            frontier.append(*leaf);
            assert_eq!(frontier.size(), index as u64 + 1);
            assert_eq!(frontier.root(), naive_root(&leaves[..=index]), "{index}");
        }
    }

    #[test]
    fn tiles_are_those_of_the_specification() {
        // C2SP tlog-tiles: a tree of 70,000 has 273 full tiles and one of 112 at level 0, one full
        // and one of 17 at level 1, one of 1 at level 2.
        let mut frontier = Frontier::empty();
        for leaf in leaves(70_000) {
            frontier.append(leaf);
        }
        let tiles = frontier.take_changed();
        let count =
            |level, width| tiles.iter().filter(|tile| tile.level == level && tile.width == width).count();
        assert_eq!(
            [count(0, 256), count(0, 112), count(1, 256), count(1, 17), count(2, 1), tiles.len()],
            [273, 1, 1, 1, 1, 277]
        );
        assert!(frontier.take_changed().is_empty());
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
        #[test]
        fn growth_in_steps_and_reloads_gives_the_same_tree(steps in proptest::collection::vec(0usize..700, 1..6)) {
            let total: usize = steps.iter().sum();
            let leaves = leaves(total);
            let mut stored: BTreeMap<(u8, u64), Vec<u8>> = BTreeMap::new();
            let mut frontier = Frontier::empty();
            let mut next = leaves.iter();
            for step in steps {
                for leaf in next.by_ref().take(step) {
                    frontier.append(*leaf);
                }
                for tile in frontier.take_changed() {
                    prop_assert_eq!(tile.data.len(), usize::from(tile.width) * 32);
                    stored.insert((tile.level, tile.index), tile.data);
                }
                let size = frontier.size();
                let read = |level, index, width| -> Result<Vec<u8>, ()> {
                    let data = stored.get(&(level, index)).ok_or(())?;
                    assert_eq!(data.len(), usize::from(width) * 32);
                    Ok(data.clone())
                };
                let loaded = Frontier::load(size, read).unwrap();
                prop_assert_eq!(loaded.root(), frontier.root());
                frontier = loaded;
            }
            prop_assert_eq!(frontier.root(), naive_root(&leaves));
        }
    }

    #[test]
    fn a_short_tile_is_refused_and_a_grown_one_accepted() {
        let mut frontier = Frontier::empty();
        leaves(9).into_iter().for_each(|leaf| frontier.append(leaf));
        let tile = frontier.take_changed().remove(0).data;
        let at_7 = Frontier::load(7, |_, _, _| Ok::<_, ()>(tile.clone())).unwrap();
        assert_eq!(at_7.root(), naive_root(&leaves(7)));
        let error = Frontier::load(9, |_, _, _| Ok::<_, std::fmt::Error>(tile[..40].to_vec())).unwrap_err();
        assert_eq!(error.to_string(), "tile `tile/0/000.p/9` has 40 bytes: the tree needs 288");
    }
}

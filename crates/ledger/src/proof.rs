//! Inclusion and consistency proofs: RFC 9162 2.1.3 and 2.1.4 (the proofs of RFC 6962), built from
//! tiles and verified without them.

use std::collections::HashMap;

use base::{Fault, Kind};

use crate::{Hash, TILE_WIDTH, empty_root, node_hash, tile::tile_hashes, tree::fold};

const TILE_HEIGHT: u32 = 8;

/// Why a proof can't be built.
#[derive(Debug, thiserror::Error)]
pub enum ProofError<E> {
    /// There is no such entry, or the older tree is larger than the newer one.
    #[error("the log has {size} entries: there is nothing to prove about {index}")]
    Range {
        /// What was asked for.
        index: u64,
        /// The size of the tree.
        size: u64,
    },
    /// A tile can't be read.
    #[error(transparent)]
    Read(E),
    /// A tile has not the length that the size of the tree gives it.
    #[error("tile `{path}` has {bytes} bytes: that is not its width")]
    Length {
        /// Its path.
        path: String,
        /// What it has.
        bytes: usize,
    },
}

/// A proof that does not prove it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofMismatch {
    /// The proof does not lead to the root.
    #[error("the proof does not lead from the entry to the signed root")]
    Inclusion,
    /// The leaves are not a part of the tree.
    #[error("the proof does not lead from these entries to the signed root")]
    Subtree,
    /// One tree does not continue the other.
    #[error("the proof does not lead from the older root to the newer one")]
    Consistency,
}

impl Fault for ProofMismatch {
    fn kind(&self) -> Kind {
        Kind::Invalid
    }
    fn code(&self) -> &'static str {
        match self {
            Self::Inclusion => "proof-inclusion",
            Self::Subtree => "proof-subtree",
            Self::Consistency => "proof-consistency",
        }
    }
}

/// The proof that entry `index` is in the tree of `size`: the siblings, from the leaf's up. `tile`
/// gives the data of a tile by level, index and width.
pub fn inclusion_proof<E>(
    index: u64,
    size: u64,
    tile: impl FnMut(u8, u64, u16) -> Result<Vec<u8>, E>,
) -> Result<Vec<Hash>, ProofError<E>> {
    if index >= size {
        return Err(ProofError::Range { index, size });
    }
    let mut tree = Tree::new(size, tile);
    let (mut low, mut high) = (0, size);
    let mut proof = Vec::new();
    while high - low > 1 {
        let middle = low + split(high - low);
        if index < middle {
            proof.push(tree.range(middle, high)?);
            high = middle;
        } else {
            proof.push(tree.range(low, middle)?);
            low = middle;
        }
    }
    proof.reverse();
    Ok(proof)
}

/// The proof that the tree of `to` continues the tree of `from`. `tile` gives tiles of the tree of `to`.
pub fn consistency_proof<E>(
    from: u64,
    to: u64,
    tile: impl FnMut(u8, u64, u16) -> Result<Vec<u8>, E>,
) -> Result<Vec<Hash>, ProofError<E>> {
    if from > to {
        return Err(ProofError::Range { index: from, size: to });
    }
    let mut proof = Vec::new();
    if from == 0 || from == to {
        return Ok(proof);
    }
    let mut tree = Tree::new(to, tile);
    let (mut low, mut high) = (0, to);
    while from != high {
        let middle = low + split(high - low);
        if from <= middle {
            proof.push(tree.range(middle, high)?);
            high = middle;
        } else {
            proof.push(tree.range(low, middle)?);
            low = middle;
        }
    }
    // The older tree's own root is known to who verifies, unless it is but a part of it.
    if low > 0 {
        proof.push(tree.range(low, high)?);
    }
    proof.reverse();
    Ok(proof)
}

/// Verifies that the leaf with this hash is entry `index` of the tree of `size` with this root
/// (RFC 9162 2.1.3.2).
pub fn verify_inclusion(
    index: u64,
    size: u64,
    leaf: &Hash,
    proof: &[Hash],
    root: &Hash,
) -> Result<(), ProofMismatch> {
    if index >= size {
        return Err(ProofMismatch::Inclusion);
    }
    let (mut node, mut last) = (index, size - 1);
    let mut hash = *leaf;
    for sibling in proof {
        if last == 0 {
            return Err(ProofMismatch::Inclusion);
        }
        if node & 1 == 1 || node == last {
            hash = node_hash(sibling, &hash);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    if last == 0 && hash == *root { Ok(()) } else { Err(ProofMismatch::Inclusion) }
}

/// Verifies that the tree of `to` continues the tree of `from` (RFC 9162 2.1.4.2). Every tree
/// continues the empty one.
pub fn verify_consistency(
    from: u64,
    from_root: &Hash,
    to: u64,
    to_root: &Hash,
    proof: &[Hash],
) -> Result<(), ProofMismatch> {
    let holds = if from > to {
        false
    } else if from == to {
        proof.is_empty() && from_root == to_root
    } else if from == 0 {
        proof.is_empty() && *from_root == empty_root()
    } else {
        leads(from, from_root, to, to_root, proof)
    };
    if holds { Ok(()) } else { Err(ProofMismatch::Consistency) }
}

/// The proof that the leaves `start..end` are a part of the tree of `size` (subtree consistency proof,
/// draft-ietf-plants-merkle-tree-certs 4.4, which C2SP tlog-mirror uses). `start` is a multiple of the smallest
/// power of two that is not below `end - start`.
pub fn subtree_proof<E>(
    start: u64,
    end: u64,
    size: u64,
    tile: impl FnMut(u8, u64, u16) -> Result<Vec<u8>, E>,
) -> Result<Vec<Hash>, ProofError<E>> {
    if !is_subtree(start, end) || end > size {
        return Err(ProofError::Range { index: end, size });
    }
    let mut tree = Tree::new(size, tile);
    let (mut low, mut high) = (0, size);
    let mut proof = Vec::new();
    // Whether the part that is left is still more than the subtree, or begins to be a part of it.
    let mut begun = false;
    while !(low >= start && high == end) {
        let middle = low + split(high - low);
        if end <= middle {
            proof.push(tree.range(middle, high)?);
            high = middle;
        } else {
            proof.push(tree.range(low, middle)?);
            begun = begun || start < middle;
            low = middle;
        }
    }
    if begun {
        proof.push(tree.range(low, high)?);
    }
    proof.reverse();
    Ok(proof)
}

/// Verifies that the leaves `start..end`, whose own tree has the root `subtree`, are a part of the tree of `size`
/// with this root.
pub fn verify_subtree(
    start: u64,
    end: u64,
    subtree: &Hash,
    size: u64,
    root: &Hash,
    proof: &[Hash],
) -> Result<(), ProofMismatch> {
    if !is_subtree(start, end) || end > size {
        return Err(ProofMismatch::Subtree);
    }
    // The turns from the root down, as in the making of the proof: the sibling is at the right or at the left,
    // and at the left it may be a part of the subtree.
    let mut turns = Vec::new();
    let (mut low, mut high) = (0, size);
    let mut begun = false;
    while !(low >= start && high == end) {
        let middle = low + split(high - low);
        if end <= middle {
            turns.push(Turn::Left);
            high = middle;
        } else {
            let part = start < middle;
            turns.push(if part { Turn::RightOfPart } else { Turn::Right });
            begun = begun || part;
            low = middle;
        }
    }
    let mut hashes = proof.iter();
    let first = if begun { hashes.next() } else { Some(subtree) };
    let Some(first) = first else { return Err(ProofMismatch::Subtree) };
    let (mut part, mut whole) = (*first, *first);
    for turn in turns.iter().rev() {
        let Some(sibling) = hashes.next() else { return Err(ProofMismatch::Subtree) };
        match turn {
            Turn::Left => whole = node_hash(&whole, sibling),
            Turn::Right => whole = node_hash(sibling, &whole),
            Turn::RightOfPart => {
                whole = node_hash(sibling, &whole);
                part = node_hash(sibling, &part);
            }
        }
    }
    let holds = hashes.next().is_none() && part == *subtree && whole == *root;
    if holds { Ok(()) } else { Err(ProofMismatch::Subtree) }
}

enum Turn {
    Left,
    Right,
    RightOfPart,
}

/// Whether these leaves have a tree of their own in every larger tree.
fn is_subtree(start: u64, end: u64) -> bool {
    end > start && (end - start).checked_next_power_of_two().is_some_and(|whole| start.is_multiple_of(whole))
}

fn leads(from: u64, from_root: &Hash, to: u64, to_root: &Hash, proof: &[Hash]) -> bool {
    let whole = from.is_power_of_two().then_some(from_root);
    let mut path = whole.into_iter().chain(proof);
    let Some(first) = path.next() else { return false };
    let (mut node, mut last) = (from - 1, to - 1);
    let down = node.trailing_ones();
    node = node.checked_shr(down).unwrap_or(0);
    last = last.checked_shr(down).unwrap_or(0);
    let (mut older, mut newer) = (*first, *first);
    for sibling in path {
        if last == 0 {
            return false;
        }
        if node & 1 == 1 || node == last {
            older = node_hash(sibling, &older);
            newer = node_hash(sibling, &newer);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            newer = node_hash(&newer, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    last == 0 && older == *from_root && newer == *to_root
}

/// The largest power of two below `count`, which is at least 2.
fn split(count: u64) -> u64 {
    1 << (u64::BITS - 1 - (count - 1).leading_zeros())
}

/// Hashes of ranges of a tree, from its tiles; each tile is read once.
struct Tree<F> {
    size: u64,
    tile: F,
    read: HashMap<(u8, u64), Vec<u8>>,
}

impl<E, F: FnMut(u8, u64, u16) -> Result<Vec<u8>, E>> Tree<F> {
    fn new(size: u64, tile: F) -> Self {
        Self { size, tile, read: HashMap::new() }
    }

    /// The hash of the leaves `low..high`; `low` is a multiple of the smallest power of two that is
    /// not below `high - low`, as in every split of the RFC.
    fn range(&mut self, low: u64, high: u64) -> Result<Hash, ProofError<E>> {
        let count = high - low;
        if count.is_power_of_two() {
            return self.subtree(count.trailing_zeros(), low);
        }
        let middle = low + split(count);
        let left = self.range(low, middle)?;
        let right = self.range(middle, high)?;
        Ok(node_hash(&left, &right))
    }

    /// The hash of the whole subtree of that height that begins at leaf `low`.
    fn subtree(&mut self, height: u32, low: u64) -> Result<Hash, ProofError<E>> {
        let level = height / TILE_HEIGHT;
        let first = low.checked_shr(level * TILE_HEIGHT).unwrap_or(0);
        let count = 1usize << (height % TILE_HEIGHT);
        let (index, offset) = (first / u64::from(TILE_WIDTH), (first % u64::from(TILE_WIDTH)) as usize);
        // INVARIANT: height is below 64, so the level is below 8 and fits.
        let level = level as u8;
        let length =
            |bytes: usize, width| ProofError::Length { path: crate::tile_path(level, index, width), bytes };
        let width = tile_width(self.size, level, index);
        let data = match self.read.entry((level, index)) {
            std::collections::hash_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::hash_map::Entry::Vacant(free) => {
                free.insert((self.tile)(level, index, width).map_err(ProofError::Read)?)
            }
        };
        let hashes = tile_hashes(data, width).ok_or_else(|| length(data.len(), width))?;
        let span = hashes.get(offset..offset + count).ok_or_else(|| length(data.len(), width))?;
        fold(&mut span.to_vec()).ok_or_else(|| length(data.len(), width))
    }
}

/// The width that a tile has in a tree of `size`; 0 if it has none.
pub(crate) fn tile_width(size: u64, level: u8, index: u64) -> u16 {
    let hashes = size.checked_shr(u32::from(level) * TILE_HEIGHT).unwrap_or(0);
    let before = index.saturating_mul(u64::from(TILE_WIDTH));
    hashes.saturating_sub(before).min(u64::from(TILE_WIDTH)) as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Frontier, leaf_hash,
        tree::tests::{LEAVES, hex, naive_root},
    };
    use proptest::prelude::*;

    /// A tree in memory, as the tiles that its last size has.
    struct Stored {
        leaves: Vec<Hash>,
        tiles: HashMap<(u8, u64), Vec<u8>>,
    }

    impl Stored {
        fn new(leaves: Vec<Hash>) -> Self {
            let mut frontier = Frontier::empty();
            leaves.iter().for_each(|leaf| frontier.append(*leaf));
            let tiles = frontier.take_changed().into_iter().map(|tile| ((tile.level, tile.index), tile.data));
            Self { tiles: tiles.collect(), leaves }
        }
        fn numbered(count: u32) -> Self {
            Self::new((0..count).map(|n| leaf_hash(&n.to_be_bytes())).collect())
        }
        fn read(&self) -> impl Fn(u8, u64, u16) -> Result<Vec<u8>, String> {
            |level, index, width| {
                let data = self.tiles.get(&(level, index)).ok_or(format!("{level} {index}"))?;
                Ok(data[..usize::from(width) * 32].to_vec())
            }
        }
        fn root(&self, size: u64) -> Hash {
            naive_root(&self.leaves[..size as usize])
        }
    }

    #[test]
    fn every_subtree_is_proved_and_nothing_else() {
        let stored = Stored::numbered(40);
        for size in 1u64..=40 {
            let root = stored.root(size);
            for start in 0..size {
                for end in start + 1..=size {
                    let proof = subtree_proof(start, end, size, stored.read());
                    if !is_subtree(start, end) {
                        assert!(proof.is_err());
                        continue;
                    }
                    let proof = proof.unwrap();
                    let own = naive_root(&stored.leaves[start as usize..end as usize]);
                    assert_eq!(
                        verify_subtree(start, end, &own, size, &root, &proof),
                        Ok(()),
                        "{start} {end} {size}"
                    );
                    if start == 0 {
                        // A subtree from the beginning is the older tree, and its proof RFC 6962's.
                        assert_eq!(proof, consistency_proof(end, size, stored.read()).unwrap());
                    }
                    let mut other = own;
                    other[0] ^= 1;
                    assert!(verify_subtree(start, end, &other, size, &root, &proof).is_err());
                    for at in 0..proof.len() {
                        let mut altered = proof.clone();
                        altered[at][5] ^= 4;
                        assert!(verify_subtree(start, end, &own, size, &root, &altered).is_err());
                    }
                    let longer = [proof.as_slice(), &[own]].concat();
                    assert!(verify_subtree(start, end, &own, size, &root, &longer).is_err());
                    assert!(verify_subtree(start, end + size, &own, size, &root, &proof).is_err());
                }
            }
        }
    }

    #[test]
    fn a_package_of_a_large_tree_is_proved() {
        let stored = Stored::numbered(70_000);
        let (size, root) = (69_999, stored.root(69_999));
        for (start, end) in [(0, 256), (65_536, 65_792), (69_888, 69_999), (69_888, 69_889), (512, 700)] {
            let proof = subtree_proof(start, end, size, stored.read()).unwrap();
            let own = naive_root(&stored.leaves[start as usize..end as usize]);
            assert_eq!(verify_subtree(start, end, &own, size, &root, &proof), Ok(()));
            assert!(proof.len() <= 63);
        }
    }

    proptest! {
        #[test]
        fn any_subtree_proof_is_held_without_panic(
            start: u64, end: u64, size: u64, proof in proptest::collection::vec(any::<[u8; 32]>(), 0..70),
        ) {
            prop_assert!(verify_subtree(start, end, &[1; 32], size, &[2; 32], &proof).is_err());
        }
    }

    fn hashes(texts: &[&str]) -> Vec<Hash> {
        texts.iter().map(|text| hex(text).try_into().unwrap()).collect()
    }

    const H1: &str = "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7";
    const H0: &str = "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d";
    const H23: &str = "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e";
    const H47: &str = "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4";
    const H4: &str = "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b";
    const H67: &str = "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0";
    const H03: &str = "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7";
    const H45: &str = "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a";
    const H01: &str = "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125";

    #[test]
    fn the_reference_proofs() {
        // The vectors of Certificate Transparency's reference implementation.
        let stored = Stored::new(LEAVES.iter().map(|leaf| leaf_hash(&hex(leaf))).collect());
        let included: [(u64, u64, &[&str]); 5] = [
            (0, 1, &[]),
            (0, 8, &[H1, H23, H47]),
            (5, 8, &[H4, H67, H03]),
            (2, 3, &[H01]),
            (1, 5, &[H0, H23, H4]),
        ];
        for (index, size, expected) in included {
            assert_eq!(
                inclusion_proof(index, size, stored.read()).unwrap(),
                hashes(expected),
                "{index} of {size}"
            );
        }
        let consistent: [(u64, u64, &[&str]); 4] =
            [(1, 1, &[]), (1, 8, &[H1, H23, H47]), (6, 8, &[H45, H67, H03]), (2, 5, &[H23, H4])];
        for (from, to, expected) in consistent {
            assert_eq!(
                consistency_proof(from, to, stored.read()).unwrap(),
                hashes(expected),
                "{from} to {to}"
            );
        }
    }

    #[test]
    fn every_pair_in_small_trees_verifies() {
        let stored = Stored::numbered(40);
        for size in 0..=40 {
            let root = stored.root(size);
            for index in 0..size {
                let proof = inclusion_proof(index, size, stored.read()).unwrap();
                let leaf = stored.leaves[index as usize];
                assert_eq!(verify_inclusion(index, size, &leaf, &proof, &root), Ok(()), "{index} of {size}");
                for wrong in 0..size {
                    let right = wrong == index;
                    assert_eq!(verify_inclusion(wrong, size, &leaf, &proof, &root).is_ok(), right);
                }
            }
            assert!(inclusion_proof(size, size, stored.read()).is_err());
            for from in 0..=size {
                let proof = consistency_proof(from, size, stored.read()).unwrap();
                let older = stored.root(from);
                assert_eq!(verify_consistency(from, &older, size, &root, &proof), Ok(()), "{from} to {size}");
                if from > 0 && from < size {
                    assert!(verify_consistency(from, &stored.root(from - 1), size, &root, &proof).is_err());
                    assert!(verify_consistency(from, &older, size, &older, &proof).is_err());
                }
            }
            assert!(consistency_proof(size + 1, size, stored.read()).is_err());
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
        #[test]
        fn proofs_across_tiles_verify(sizes in (1u64..1_400).prop_flat_map(|to| (0..to, 1..=to, Just(to))), flip: (usize, u8)) {
            let (index, from, size) = sizes;
            let stored = Stored::numbered(1_400);
            let root = stored.root(size);
            let leaf = stored.leaves[index as usize];
            let mut proof = inclusion_proof(index, size, stored.read()).unwrap();
            prop_assert_eq!(verify_inclusion(index, size, &leaf, &proof, &root), Ok(()));
            let mut steps = consistency_proof(from, size, stored.read()).unwrap();
            prop_assert_eq!(verify_consistency(from, &stored.root(from), size, &root, &steps), Ok(()));
            for list in [&mut proof, &mut steps] {
                if list.is_empty() { continue }
                let at = flip.0 % list.len();
                list[at][flip.0 % 32] ^= 1 << (flip.1 % 8);
            }
            prop_assert!(proof.is_empty() || verify_inclusion(index, size, &leaf, &proof, &root).is_err());
            prop_assert!(steps.is_empty() || verify_consistency(from, &stored.root(from), size, &root, &steps).is_err());
        }

        #[test]
        fn any_proof_is_verified_without_panic(index: u64, size: u64, proof: Vec<[u8; 32]>) {
            prop_assert!(verify_inclusion(index, size, &[1; 32], &proof, &[2; 32]).is_err());
            prop_assert!(verify_consistency(index, &[1; 32], size, &[2; 32], &proof).is_err());
        }
    }

    #[test]
    fn a_tile_of_the_wrong_length_is_named() {
        let error = inclusion_proof(3, 9, |_, _, _| Ok::<_, String>(vec![0; 33])).unwrap_err();
        assert_eq!(error.to_string(), "tile `tile/0/000.p/9` has 33 bytes: that is not its width");
    }
}

//! Hashing of the Merkle tree: RFC 6962 2.1 (the same as RFC 9162 2.1.1), SHA-256.

use aws_lc_rs::digest::{Context, Digest, SHA256, digest};

/// Bytes in a hash.
pub const HASH_BYTES: usize = 32;

/// A SHA-256 hash of the tree.
pub type Hash = [u8; HASH_BYTES];

/// The hash of a leaf: `SHA-256(0x00 || data)`.
pub fn leaf_hash(data: &[u8]) -> Hash {
    let mut context = Context::new(&SHA256);
    context.update(&[0]);
    context.update(data);
    bytes(&context.finish())
}

/// The hash of an inner node: `SHA-256(0x01 || left || right)`.
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut input = [1u8; 1 + 2 * HASH_BYTES];
    for (target, byte) in input.iter_mut().skip(1).zip(left.iter().chain(right)) {
        *target = *byte;
    }
    bytes(&digest(&SHA256, &input))
}

/// The root of the tree without leaves: `SHA-256()`.
pub fn empty_root() -> Hash {
    bytes(&digest(&SHA256, &[]))
}

/// The root of a whole subtree of these hashes, leftmost first: RFC 6962's MTH with hashes for
/// leaves. None for no hashes. Uses `hashes` as its working space.
pub(crate) fn fold(hashes: &mut Vec<Hash>) -> Option<Hash> {
    while hashes.len() > 1 {
        let mut kept = 0;
        let mut read = 0;
        while let Some(left) = hashes.get(read).copied() {
            // An odd one out goes up as it is: exactly the split at the largest power of two.
            let parent = hashes.get(read + 1).map_or(left, |right| node_hash(&left, right));
            if let Some(slot) = hashes.get_mut(kept) {
                *slot = parent;
            }
            kept += 1;
            read += 2;
        }
        hashes.truncate(kept);
    }
    hashes.first().copied()
}

/// The root that the partial tiles at the right edge give, lowest level first.
pub(crate) fn edge_root<'a>(edges: impl Iterator<Item = &'a [Hash]>) -> Hash {
    let mut root: Option<Hash> = None;
    for mut rest in edges {
        // The whole subtrees in a partial tile, largest on the left: fold each, then hang them on from
        // the right.
        while !rest.is_empty() {
            let (left, last) = rest.split_at(rest.len() & (rest.len() - 1));
            root = match (fold(&mut last.to_vec()), root) {
                (Some(subtree), Some(right)) => Some(node_hash(&subtree, &right)),
                (subtree, right) => subtree.or(right),
            };
            rest = left;
        }
    }
    root.unwrap_or_else(empty_root)
}

fn bytes(digest: &Digest) -> Hash {
    let mut hash = [0; HASH_BYTES];
    hash.copy_from_slice(digest.as_ref());
    hash
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// RFC 6962 2.1 as it is written, on whole lists: what everything else is held against.
    pub(crate) fn naive_root(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => empty_root(),
            [leaf] => *leaf,
            _ => {
                let (left, right) =
                    leaves.split_at(1 << (usize::BITS - 1 - (leaves.len() - 1).leading_zeros()));
                node_hash(&naive_root(left), &naive_root(right))
            }
        }
    }

    pub(crate) fn hex(text: &str) -> Vec<u8> {
        (0..text.len() / 2).map(|at| u8::from_str_radix(&text[at * 2..at * 2 + 2], 16).unwrap()).collect()
    }

    /// The leaves of the reference vectors of Certificate Transparency.
    pub(crate) const LEAVES: [&str; 8] =
        ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];

    #[test]
    fn the_reference_roots() {
        let roots = [
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
            "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
            "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
            "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
        ];
        let leaves: Vec<Hash> = LEAVES.iter().map(|leaf| leaf_hash(&hex(leaf))).collect();
        for (index, root) in roots.iter().enumerate() {
            assert_eq!(naive_root(&leaves[..=index]).to_vec(), hex(root));
        }
        assert_eq!(
            empty_root().to_vec(),
            hex("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
        );
    }

    #[test]
    fn folding_is_the_tree_hash() {
        let leaves: Vec<Hash> = (0u16..300).map(|n| leaf_hash(&n.to_be_bytes())).collect();
        for size in 1..=leaves.len() {
            assert_eq!(fold(&mut leaves[..size].to_vec()), Some(naive_root(&leaves[..size])));
        }
        assert_eq!(fold(&mut Vec::new()), None);
    }
}

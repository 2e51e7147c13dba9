//! Tiles: the tree as files that never change (C2SP tlog-tiles), their paths, and entry bundles.
//!
//! A hash tile has up to 256 hashes of one level; each hash of the next level is the root of a full
//! tile of this one. An entry bundle has up to 256 entries, each with its length before it.

use std::fmt::Write as _;

use base::{Fault, Kind};

use crate::{Hash, tree::HASH_BYTES};

/// Hashes in a full tile, and entries in a full bundle.
pub const TILE_WIDTH: u16 = 256;
/// Most bytes of one entry: its length is a `u16`.
pub const MAX_ENTRY_BYTES: usize = 65_535;
/// The highest level that a path may name (C2SP tlog-tiles).
const MAX_PATH_LEVEL: u8 = 63;
/// A path of `u64::MAX` is far shorter.
const MAX_PATH_BYTES: usize = 64;
const PATH_GROUP: u64 = 1_000;

/// A hash tile and its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tile {
    /// Its level: 0 has the leaves' hashes.
    pub level: u8,
    /// Its place in the level, from the left.
    pub index: u64,
    /// Its hashes, 1 to 256; 256 is full.
    pub width: u16,
    /// The hashes, `width * 32` bytes.
    pub data: Vec<u8>,
}

impl Tile {
    /// Its path, such as `tile/0/x001/234.p/5`.
    pub fn path(&self) -> String {
        tile_path(self.level, self.index, self.width)
    }
}

/// What a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TileKind {
    /// Hashes of this level.
    Hashes(u8),
    /// Entries.
    Entries,
}

/// A path, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TilePath {
    /// Hashes or entries.
    pub kind: TileKind,
    /// Its place in the level, from the left.
    pub index: u64,
    /// 1 to 256; 256 is full.
    pub width: u16,
}

/// Text that is not the path of a tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the path of a tile: expected such as `tile/0/x001/234` or `tile/entries/000.p/17`")]
pub struct TilePathError;

impl Fault for TilePathError {
    fn kind(&self) -> Kind {
        Kind::NotFound
    }
    fn code(&self) -> &'static str {
        "tile-path"
    }
}

/// The path of a hash tile: `tile/<level>/<index>`, and `.p/<width>` unless full.
pub fn tile_path(level: u8, index: u64, width: u16) -> String {
    TilePath { kind: TileKind::Hashes(level), index, width }.to_string()
}

/// The path of an entry bundle: `tile/entries/<index>`, and `.p/<width>` unless full.
pub fn entries_path(index: u64, width: u16) -> String {
    TilePath { kind: TileKind::Entries, index, width }.to_string()
}

/// The width that the tile or bundle at this place has in a tree of `size`; 0 if it has none.
pub fn width_at(size: u64, path: &TilePath) -> u16 {
    match path.kind {
        TileKind::Hashes(level) => crate::proof::tile_width(size, level, path.index),
        TileKind::Entries => crate::proof::tile_width(size, 0, path.index),
    }
}

impl std::fmt::Display for TilePath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.kind {
            TileKind::Hashes(level) => write!(f, "tile/{level}/")?,
            TileKind::Entries => f.write_str("tile/entries/")?,
        }
        let mut scale = 1u64;
        while self.index / scale >= PATH_GROUP {
            scale = scale.saturating_mul(PATH_GROUP);
        }
        while scale > 1 {
            write!(f, "x{:03}/", self.index / scale % PATH_GROUP)?;
            scale /= PATH_GROUP;
        }
        write!(f, "{:03}", self.index % PATH_GROUP)?;
        if self.width < TILE_WIDTH { write!(f, ".p/{}", self.width) } else { Ok(()) }
    }
}

impl TilePath {
    /// This file, out of one of the same place that has since grown: its beginning. None if `wider` is
    /// too short. So a partial tile of an older checkpoint can be served from the tile that took its
    /// place.
    pub fn narrow<'a>(&self, wider: &'a [u8]) -> Option<&'a [u8]> {
        let width = usize::from(self.width);
        let length = match self.kind {
            TileKind::Hashes(_) => width * HASH_BYTES,
            TileKind::Entries => {
                let lengths: Result<Vec<usize>, _> = bundle_entries(wider)
                    .take(width)
                    .map(|entry| entry.map(|entry| entry.len() + 2))
                    .collect();
                let lengths = lengths.ok().filter(|lengths| lengths.len() == width)?;
                lengths.into_iter().sum()
            }
        };
        wider.get(..length)
    }
}

/// Takes a path apart. Strict: one path for one tile, so that caches and permissions can't be gone
/// round.
pub fn parse_tile_path(path: &str) -> Result<TilePath, TilePathError> {
    if path.len() > MAX_PATH_BYTES {
        return Err(TilePathError);
    }
    let (kind, rest) =
        path.strip_prefix("tile/").and_then(|rest| rest.split_once('/')).ok_or(TilePathError)?;
    let kind = match kind {
        "entries" => TileKind::Entries,
        level => {
            TileKind::Hashes(level.parse().ok().filter(|it| *it <= MAX_PATH_LEVEL).ok_or(TilePathError)?)
        }
    };
    let (groups, width) = match rest.split_once(".p/") {
        Some((groups, width)) => {
            (groups, width.parse().ok().filter(|width| (1..TILE_WIDTH).contains(width)).ok_or(TilePathError)?)
        }
        None => (rest, TILE_WIDTH),
    };
    let mut index = 0u64;
    for group in groups.split('/') {
        let digits = group.strip_prefix('x').unwrap_or(group);
        let value = digits.parse::<u64>().ok().filter(|value| *value < PATH_GROUP).ok_or(TilePathError)?;
        index =
            index.checked_mul(PATH_GROUP).and_then(|index| index.checked_add(value)).ok_or(TilePathError)?;
    }
    let parsed = TilePath { kind, index, width };
    // The one spelling: refuses `+1`, `x000/`, leading zeroes and all the rest at once.
    let mut spelt = String::with_capacity(path.len());
    write!(spelt, "{parsed}").map_err(|_| TilePathError)?;
    if spelt == path { Ok(parsed) } else { Err(TilePathError) }
}

/// Adds an entry to a bundle: its length as a big-endian `u16`, then the entry. An entry longer than
/// [`MAX_ENTRY_BYTES`] is refused and the bundle left as it was.
pub fn push_entry(bundle: &mut Vec<u8>, entry: &[u8]) -> Result<(), BundleError> {
    let length = u16::try_from(entry.len()).map_err(|_| BundleError)?;
    bundle.extend_from_slice(&length.to_be_bytes());
    bundle.extend_from_slice(entry);
    Ok(())
}

/// A bundle that ends within an entry, or an entry that is too long for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the entry bundle is malformed: it ends within an entry, or an entry is too long")]
pub struct BundleError;

/// The entries of a bundle, in order. After an error there is nothing more.
pub fn bundle_entries(bundle: &[u8]) -> BundleEntries<'_> {
    BundleEntries { rest: bundle }
}

/// See [`bundle_entries`].
#[derive(Clone, Debug)]
pub struct BundleEntries<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for BundleEntries<'a> {
    type Item = Result<&'a [u8], BundleError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let parts = self
            .rest
            .split_first_chunk::<2>()
            .and_then(|(length, rest)| rest.split_at_checked(usize::from(u16::from_be_bytes(*length))));
        let Some((entry, rest)) = parts else {
            self.rest = &[];
            return Some(Err(BundleError));
        };
        self.rest = rest;
        Some(Ok(entry))
    }
}

/// The hashes of a tile's data; none if its length is not `width` hashes.
pub(crate) fn tile_hashes(data: &[u8], width: u16) -> Option<&[Hash]> {
    let (hashes, rest) = data.as_chunks::<HASH_BYTES>();
    (rest.is_empty() && hashes.len() == usize::from(width)).then_some(hashes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn paths_are_those_of_the_specification() {
        assert_eq!(tile_path(0, 1_234_067, 256), "tile/0/x001/x234/067");
        assert_eq!(tile_path(0, 1_234, 5), "tile/0/x001/234.p/5");
        assert_eq!(tile_path(1, 0, 1), "tile/1/000.p/1");
        assert_eq!(entries_path(999, 256), "tile/entries/999");
        assert_eq!(entries_path(1_000, 255), "tile/entries/x001/000.p/255");
        assert_eq!(entries_path(u64::MAX, 256), "tile/entries/x018/x446/x744/x073/x709/x551/615");
    }

    #[test]
    fn a_tile_has_one_spelling() {
        for wrong in [
            "",
            "tile",
            "tile/",
            "tile/0",
            "tile/0/",
            "tile/0/0",
            "tile/0/00",
            "tile/0/0000",
            "tile/0/x000/001",
            "tile/0/x001",
            "tile/0/001/x002",
            "tile/0/001/002",
            "tile/0/+01",
            "tile/0/-01",
            "tile/00/001",
            "tile/64/001",
            "tile/-1/001",
            "tile/+0/001",
            "tile/0/001.p/0",
            "tile/0/001.p/256",
            "tile/0/001.p/05",
            "tile/0/001.p/",
            "tile/0/001.p/1/",
            "tile/0/001.p",
            "/tile/0/001",
            "tile/0/001/",
            "tile//001",
            "tile/entries/001.p/+1",
            "tile/entry/001",
            "tile/0/../001",
            "tile/0/00\u{0661}",
            "TILE/0/001",
            "tile/0/x018/x446/x744/x073/x709/x551/616",
            "tile/data/001",
            "tile/8/0/001",
        ] {
            assert_eq!(parse_tile_path(wrong), Err(TilePathError), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn paths_round_trip(level in proptest::option::of(0u8..=63), index: u64, small in 0u64..3_000_000, width in 1u16..=256) {
            let kind = level.map_or(TileKind::Entries, TileKind::Hashes);
            for index in [index, small] {
                let path = TilePath { kind, index, width };
                prop_assert_eq!(parse_tile_path(&path.to_string()), Ok(path));
            }
        }

        #[test]
        fn any_text_is_parsed_without_panic(text in "(tile/)?([0-9]{0,2}|entries)/(x[0-9]{3}/){0,3}[0-9]{0,4}(\\.p/[0-9]{0,4})?|.*") {
            if let Ok(path) = parse_tile_path(&text) {
                prop_assert_eq!(path.to_string(), text);
            }
        }

        #[test]
        fn bundles_round_trip(entries: Vec<Vec<u8>>) {
            let mut bundle = Vec::new();
            for entry in &entries {
                push_entry(&mut bundle, entry).unwrap();
            }
            let read: Result<Vec<_>, _> = bundle_entries(&bundle).map(|entry| entry.map(<[u8]>::to_vec)).collect();
            prop_assert_eq!(read, Ok(entries));
        }

        #[test]
        fn any_bundle_is_read_without_panic(bytes: Vec<u8>) {
            prop_assert!(bundle_entries(&bytes).count() <= bytes.len());
        }
    }

    #[test]
    fn an_older_file_is_the_beginning_of_the_newer() {
        let mut bundle = vec![];
        [&b"one"[..], b"", b"three"].iter().for_each(|entry| push_entry(&mut bundle, entry).unwrap());
        let entries = |width| TilePath { kind: TileKind::Entries, index: 0, width };
        assert_eq!(entries(2).narrow(&bundle), Some(&bundle[..7]));
        assert_eq!(entries(3).narrow(&bundle), Some(&bundle[..]));
        assert_eq!(entries(4).narrow(&bundle), None);
        assert_eq!(entries(2).narrow(&bundle[..4]), None);
        let hashes = TilePath { kind: TileKind::Hashes(0), index: 0, width: 2 };
        assert_eq!(hashes.narrow(&[7; 96]), Some(&[7; 64][..]));
        assert_eq!(hashes.narrow(&[7; 63]), None);
    }

    #[test]
    fn an_entry_too_long_is_refused() {
        let mut bundle = vec![];
        assert_eq!(push_entry(&mut bundle, &[0; 65_536]), Err(BundleError));
        assert!(bundle.is_empty());
        assert!(push_entry(&mut bundle, &[0; 65_535]).is_ok());
    }
}

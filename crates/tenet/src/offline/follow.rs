//! Following a log: its new entries, each verified before it is handed out, at a cost that follows what is new and not how
//! long the log is.

use ledger::{
    Checkpoint, Frontier, Hash, LogVerifier, SourceError, TILE_WIDTH, TileSource, bundle_entries,
    consistency_proof, entries_path, leaf_hash, tile_path, verify_consistency,
};

/// Why the log can't be followed.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// It can't be read now.
    #[error("`{path}` of the log can't be read: {source}")]
    Unreadable {
        /// What.
        path: String,
        /// Why.
        source: SourceError,
    },
    /// Its checkpoint is not the log's own.
    #[error("the checkpoint is not authentic: {0}")]
    Checkpoint(#[from] ledger::NoteError),
    /// It does not continue what was read of it.
    #[error("the log does not continue the {0} entries that were read of it: it was rewritten or cut back")]
    Rewritten(u64),
    /// What it shows is not what it signed.
    #[error("entries from {0} on are not what the log signed")]
    Altered(u64),
}

/// A reader that has verified a log up to some entry.
#[derive(Debug)]
pub struct Follower {
    key: LogVerifier,
    edge: Frontier,
}

/// Entries in a row: the first one's index, and their bytes.
type Entries = (u64, Vec<Vec<u8>>);

impl Follower {
    /// Starts behind `size` entries, which the log must have; `root` is what the tree was when they were read, if that is
    /// known. Without one, the log's own word of today is taken for it.
    pub fn open(
        source: &dyn TileSource,
        key: &LogVerifier,
        size: u64,
        root: Option<Hash>,
    ) -> Result<Self, FollowError> {
        let head = read_head(source, key)?;
        if size > head.size {
            return Err(FollowError::Rewritten(size));
        }
        let edge = Frontier::load(size, |level, index, width| prefix(source, head.size, level, index, width));
        let edge = edge.map_err(|error| match error {
            ledger::LoadError::Read(error) => error,
            ledger::LoadError::Length { .. } => FollowError::Altered(size),
        })?;
        if root.is_some_and(|root| root != edge.root()) {
            return Err(FollowError::Rewritten(size));
        }
        continues(source, &edge, &head)?;
        Ok(Self { key: key.clone(), edge })
    }

    /// The log's name.
    pub fn origin(&self) -> &str {
        self.key.origin()
    }

    /// How many entries lie behind it.
    pub fn size(&self) -> u64 {
        self.edge.size()
    }

    /// The root of the tree of those.
    pub fn root(&self) -> Hash {
        self.edge.root()
    }

    /// The next entries, at most `most`; none if there is nothing new. They are verified, and the reader stands behind
    /// them.
    pub fn next(&mut self, source: &dyn TileSource, most: u64) -> Result<Entries, FollowError> {
        let head = read_head(source, &self.key)?;
        let first = self.edge.size();
        if head.size < first || (head.size == first && head.root != self.edge.root()) {
            return Err(FollowError::Rewritten(first));
        }
        let end = head.size.min(first.saturating_add(most));
        let mut edge = self.edge.clone();
        let mut entries = Vec::new();
        while edge.size() < end {
            let wide = u64::from(TILE_WIDTH);
            let place = edge.size() / wide;
            let width = u16::try_from((head.size - place * wide).min(wide)).unwrap_or(TILE_WIDTH);
            let path = entries_path(place, width);
            let bundle = source.tile(&path).map_err(|source| FollowError::Unreadable { path, source })?;
            let skip = usize::try_from(edge.size() % wide).unwrap_or(0);
            let before = edge.size();
            for entry in bundle_entries(&bundle).skip(skip) {
                if edge.size() >= end {
                    break;
                }
                let entry = entry.map_err(|_| FollowError::Altered(edge.size()))?;
                edge.append(leaf_hash(entry));
                entries.push(entry.to_vec());
            }
            if edge.size() == before {
                return Err(FollowError::Altered(before));
            }
        }
        // Tiles that grew are somebody else's to keep.
        let _ = edge.take_changed();
        continues(source, &edge, &head).map_err(|error| match error {
            FollowError::Rewritten(_) => FollowError::Altered(first),
            other => other,
        })?;
        self.edge = edge;
        Ok((first, entries))
    }
}

fn read_head(source: &dyn TileSource, key: &LogVerifier) -> Result<Checkpoint, FollowError> {
    let unreadable = |source| FollowError::Unreadable { path: "checkpoint".to_owned(), source };
    Ok(key.verify(&source.checkpoint().map_err(unreadable)?)?)
}

/// The first hashes of a tile, which may have grown since it had that many.
fn prefix(
    source: &dyn TileSource,
    size: u64,
    level: u8,
    index: u64,
    width: u16,
) -> Result<Vec<u8>, FollowError> {
    let wide = u64::from(TILE_WIDTH);
    let there = size.checked_shr(8 * u32::from(level)).unwrap_or(0).saturating_sub(index * wide).min(wide);
    let path = tile_path(level, index, u16::try_from(there).unwrap_or(TILE_WIDTH));
    let mut data =
        source.tile(&path).map_err(|source| FollowError::Unreadable { path: path.clone(), source })?;
    data.truncate(usize::from(width) * 32);
    Ok(data)
}

/// Whether the tree that the log signed begins with this one.
fn continues(source: &dyn TileSource, edge: &Frontier, head: &Checkpoint) -> Result<(), FollowError> {
    let rewritten = || FollowError::Rewritten(edge.size());
    if edge.size() == 0 {
        return Ok(());
    }
    let read = |level, index, width| prefix(source, head.size, level, index, width);
    let proof = consistency_proof(edge.size(), head.size, read).map_err(|error| match error {
        ledger::ProofError::Read(error) => error,
        ledger::ProofError::Range { .. } | ledger::ProofError::Length { .. } => rewritten(),
    })?;
    verify_consistency(edge.size(), &edge.root(), head.size, &head.root, &proof).map_err(|_| rewritten())
}

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, collections::HashMap};

    use base::Secret;
    use ledger::{LogSigner, push_entry};

    use super::*;

    /// A log in memory that grows, and keeps the tiles of its newest size alone, as a pruned copy does.
    struct Log {
        signer: LogSigner,
        entries: Vec<Vec<u8>>,
        files: RefCell<HashMap<String, Vec<u8>>>,
    }

    impl TileSource for Log {
        fn checkpoint(&self) -> Result<String, SourceError> {
            self.tile("checkpoint").map(|bytes| String::from_utf8(bytes).unwrap())
        }
        fn tile(&self, path: &str) -> Result<Vec<u8>, SourceError> {
            self.files.borrow().get(path).cloned().ok_or(SourceError::Missing)
        }
    }

    impl Log {
        fn new() -> Self {
            let signer = LogSigner::new("log.test/follow", &Secret::new([4; 32])).unwrap();
            Self { signer, entries: Vec::new(), files: RefCell::default() }
        }
        fn grow_to(&mut self, size: usize) {
            while self.entries.len() < size {
                self.entries.push(format!("entry {}", self.entries.len()).into_bytes());
            }
            self.publish();
        }
        fn publish(&self) {
            let mut files = HashMap::new();
            let mut tree = Frontier::empty();
            for (place, chunk) in self.entries.chunks(256).enumerate() {
                let mut bundle = Vec::new();
                for entry in chunk {
                    push_entry(&mut bundle, entry).unwrap();
                    tree.append(leaf_hash(entry));
                }
                files.insert(entries_path(place as u64, chunk.len() as u16), bundle);
            }
            for tile in tree.take_changed() {
                files.insert(tile.path(), tile.data);
            }
            files.insert("checkpoint".to_owned(), self.signer.sign(tree.size(), tree.root()).into_bytes());
            *self.files.borrow_mut() = files;
        }
    }

    #[test]
    fn each_entry_comes_once_and_in_order_however_the_log_grows() {
        let mut log = Log::new();
        log.grow_to(300);
        let key = log.signer.verifier().clone();
        let mut follower = Follower::open(&log, &key, 0, None).unwrap();
        let mut seen = Vec::new();
        for size in [300, 300, 301, 511, 512, 513, 70_000] {
            log.grow_to(size);
            while follower.size() < size as u64 {
                let (first, entries) = follower.next(&log, 10_000).unwrap();
                assert_eq!(first, seen.len() as u64);
                seen.extend(entries);
            }
            assert_eq!(follower.next(&log, 10).unwrap().1.len(), 0);
            // One that starts there anew, with what was known and without.
            let (size, root) = (follower.size(), follower.root());
            for root in [None, Some(root)] {
                assert_eq!(Follower::open(&log, &key, size, root).unwrap().root(), follower.root());
            }
            assert!(matches!(
                Follower::open(&log, &key, size, Some([1; 32])),
                Err(FollowError::Rewritten(_))
            ));
        }
        assert_eq!(seen, log.entries);
        assert!(matches!(Follower::open(&log, &key, 70_001, None), Err(FollowError::Rewritten(_))));
    }

    #[test]
    fn what_the_log_did_not_sign_is_not_handed_out() {
        let mut log = Log::new();
        log.grow_to(400);
        let key = log.signer.verifier().clone();
        let mut follower = Follower::open(&log, &key, 390, None).unwrap();
        let path = entries_path(1, 144);
        log.files.borrow_mut().get_mut(&path).unwrap()[1_534] ^= 1;
        assert!(matches!(follower.next(&log, 100), Err(FollowError::Altered(390))));
        assert_eq!(follower.size(), 390, "it stands where it stood");
        log.publish();
        assert_eq!(follower.next(&log, 100).unwrap().1.len(), 10);
        // Rewritten, though signed; and cut back.
        log.entries[5] = b"other".to_vec();
        log.grow_to(410);
        assert!(matches!(follower.next(&log, 100), Err(FollowError::Altered(_))));
        log.entries.truncate(300);
        log.publish();
        assert!(matches!(follower.next(&log, 100), Err(FollowError::Rewritten(400))));
        // Somebody else's signature.
        let other = LogSigner::new("log.test/follow", &Secret::new([5; 32])).unwrap();
        assert!(matches!(Follower::open(&log, other.verifier(), 0, None), Err(FollowError::Checkpoint(_))));
    }
}

//! Checking a whole log: a right one verifies; whatever is altered, wherever, is found and named.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first thing wrong"
)]

use std::collections::BTreeMap;

use base::{Actor, EventId, RecordId, RequestId, Secret, ServerId, Timestamp};
use ledger::{
    Act, Activity, Event, Failure, Frontier, Interface, LogSigner, LogVerifier, ObjectRef, Origin,
    SourceError, TileSource, bundle_entries, entries_path, leaf_hash, parse_tile_path, push_entry,
    verify_log, verify_log_since,
};
use proptest::prelude::*;

/// A log's files in memory.
#[derive(Clone, Default)]
struct Files(BTreeMap<String, Vec<u8>>);

impl TileSource for Files {
    fn checkpoint(&self) -> Result<String, SourceError> {
        let bytes = self.0.get("checkpoint").ok_or(SourceError::Missing)?;
        String::from_utf8(bytes.clone()).map_err(|error| SourceError::Unreadable(error.to_string()))
    }
    fn tile(&self, path: &str) -> Result<Vec<u8>, SourceError> {
        parse_tile_path(path).expect("only paths of tiles are asked for");
        self.0.get(path).cloned().ok_or(SourceError::Missing)
    }
}

fn signer() -> LogSigner {
    LogSigner::new("log.example/tenet", &Secret::new([42; 32])).unwrap()
}

fn key() -> LogVerifier {
    signer().verifier().clone()
}

fn entry(number: u64) -> Vec<u8> {
    let mut id = [0; 16];
    id[8..].copy_from_slice(&number.to_be_bytes());
    let server = ServerId::from_bytes([3; 16]);
    let origin = Origin {
        actor: Actor::System(server),
        account: None,
        request: RequestId::from_bytes(id),
        server,
        subsystem: "vault",
        interface: Interface::Job,
        sealed: None,
    };
    let act = Act::new(Activity::RecordRead, ObjectRef::new("record", RecordId::from_bytes(id)));
    Event::new(EventId::from_bytes(id), Timestamp::from_seconds(number as i64), origin, act).encode()
}

/// A log of these entries, as tiles and a checkpoint.
fn log_of(entries: &[Vec<u8>]) -> Files {
    let mut frontier = Frontier::empty();
    let mut files = Files::default();
    for (index, chunk) in entries.chunks(256).enumerate() {
        let mut bundle = Vec::new();
        for entry in chunk {
            frontier.append(leaf_hash(entry));
            push_entry(&mut bundle, entry).unwrap();
        }
        files.0.insert(entries_path(index as u64, chunk.len() as u16), bundle);
    }
    for tile in frontier.take_changed() {
        files.0.insert(tile.path(), tile.data);
    }
    let note = signer().sign(frontier.size(), frontier.root());
    files.0.insert("checkpoint".to_owned(), note.into_bytes());
    files
}

fn log(size: u64) -> Files {
    log_of(&(0..size).map(entry).collect::<Vec<_>>())
}

fn verify(files: &Files) -> Result<ledger::Report, Failure> {
    verify_log(files, &key(), &mut |_, _| {})
}

#[test]
fn whole_logs_of_every_shape_verify() {
    for size in [0, 1, 2, 3, 255, 256, 257, 511, 512, 700] {
        let mut seen = Vec::new();
        let report = verify_log(&log(size), &key(), &mut |done, all| seen.push((done, all))).unwrap();
        assert_eq!((report.size, report.events), (size, size), "{size}");
        assert_eq!((seen[0], *seen.last().unwrap()), ((0, size), (size, size)));
    }
}

#[test]
fn three_levels_verify() {
    // 256 * 256 entries fill the first tile of the second level; events are large for that, so the
    // walk is held against small entries, and stops at the first for not being an event.
    let entries: Vec<Vec<u8>> = (0..66_000u32).map(|n| n.to_be_bytes().to_vec()).collect();
    let mut files = log_of(&entries);
    assert!(matches!(verify(&files), Err(Failure::NotAnEvent { index: 0, .. })));
    // An alteration of a tile above is found before that.
    files.0.get_mut("tile/1/000").unwrap()[5 * 32] ^= 1;
    let expected = Failure::TileAltered { path: "tile/1/000".to_owned(), index: 5 * 256 };
    assert_eq!(verify(&files), Err(expected));
}

/// Which entry a byte of a file concerns: what the failure must name.
fn concerned(files: &Files, path: &str, at: usize) -> Option<u64> {
    if path == "checkpoint" {
        return None;
    }
    let parsed = parse_tile_path(path).unwrap();
    match parsed.kind {
        ledger::TileKind::Hashes(level) => {
            Some((parsed.index * 256 + at as u64 / 32) * 256u64.pow(level.into()))
        }
        ledger::TileKind::Entries => {
            let mut end = 0;
            let before = bundle_entries(&files.0[path])
                .take_while(|entry| {
                    end += 2 + entry.as_ref().unwrap().len();
                    end <= at
                })
                .count();
            Some(parsed.index * 256 + before as u64)
        }
    }
}

fn assert_flip_is_named(files: &Files, path: &str, at: usize, bit: u8) {
    let mut altered = files.clone();
    altered.0.get_mut(path).unwrap()[at] ^= 1 << bit;
    let failure = verify(&altered).expect_err("an altered log does not verify");
    assert_eq!(failure.first_bad(), concerned(files, path, at), "{path} {at} {bit}: {failure}");
    let told_apart = match &failure {
        Failure::EntryAltered { .. } | Failure::EntriesMissing { .. } | Failure::EntriesAdded { .. } => {
            path.starts_with("tile/entries/")
        }
        Failure::TileAltered { path: named, .. } => named == path,
        Failure::Checkpoint(_) => path == "checkpoint",
        Failure::Unreadable { .. } => path == "checkpoint" && at < altered.0[path].len(),
        _ => false,
    };
    assert!(told_apart, "{path} {at} {bit}: {failure}");
}

#[test]
fn a_flipped_bit_of_every_byte_of_a_small_log_is_found_and_named() {
    let files = log(3);
    for (path, data) in &files.0 {
        for at in 0..data.len() {
            assert_flip_is_named(&files, path, at, (at % 8) as u8);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn a_flipped_bit_of_a_larger_log_is_found_and_named(file: prop::sample::Index, at: prop::sample::Index, bit in 0u8..8) {
        static LOG: std::sync::LazyLock<Files> = std::sync::LazyLock::new(|| log(530));
        let (path, data) = LOG.0.iter().nth(file.index(LOG.0.len())).unwrap();
        assert_flip_is_named(&LOG, path, at.index(data.len()), bit);
    }

    #[test]
    fn a_missing_file_is_found(file: prop::sample::Index) {
        static LOG: std::sync::LazyLock<Files> = std::sync::LazyLock::new(|| log(530));
        let path = LOG.0.keys().nth(file.index(LOG.0.len())).unwrap();
        let mut files = LOG.clone();
        files.0.remove(path);
        let failure = verify(&files).unwrap_err();
        if path == "checkpoint" {
            prop_assert_eq!(failure, Failure::NoCheckpoint);
        } else {
            prop_assert_eq!(failure.first_bad(), concerned(&LOG, path, 0));
        }
    }

    #[test]
    fn a_cut_file_is_found(file: prop::sample::Index, at: prop::sample::Index) {
        static LOG: std::sync::LazyLock<Files> = std::sync::LazyLock::new(|| log(530));
        let (path, data) = LOG.0.iter().nth(file.index(LOG.0.len())).unwrap();
        let at = at.index(data.len());
        let mut files = LOG.clone();
        files.0.get_mut(path).unwrap().truncate(at);
        let failure = verify(&files).unwrap_err();
        prop_assert_eq!(failure.first_bad(), concerned(&LOG, path, at), "{} {}: {}", path, at, failure);
    }
}

/// The bundles of `entries` under the tree and checkpoint of another log.
fn with_entries(mut files: Files, entries: &[Vec<u8>]) -> Files {
    let other = log_of(entries);
    files.0.retain(|path, _| !path.starts_with("tile/entries/"));
    files.0.extend(other.0.into_iter().filter(|(path, _)| path.starts_with("tile/entries/")));
    files
}

#[test]
fn altered_swapped_inserted_and_removed_entries_are_told_apart() {
    let right = log(600);
    let entries: Vec<Vec<u8>> = (0..600).map(entry).collect();

    let mut altered = entries.clone();
    altered[300] = entry(9_999);
    assert_eq!(verify(&with_entries(right.clone(), &altered)), Err(Failure::EntryAltered { index: 300 }));

    let mut swapped = entries.clone();
    swapped.swap(17, 580);
    let expected = Failure::EntryMoved { index: 17, belongs_at: 580 };
    assert_eq!(verify(&with_entries(right.clone(), &swapped)), Err(expected));

    let mut removed = entries.clone();
    removed.remove(40);
    let expected = Failure::EntryMoved { index: 40, belongs_at: 41 };
    assert_eq!(verify(&with_entries(right.clone(), &removed)), Err(expected));

    let mut inserted = entries;
    inserted.insert(40, entry(9_999));
    assert_eq!(verify(&with_entries(right, &inserted)), Err(Failure::EntryAltered { index: 40 }));
}

#[test]
fn a_removed_tail_is_named_by_its_first_entry() {
    let whole = log(600);
    let mut files = whole.clone();
    files.0.retain(|path, _| path != "tile/entries/002.p/88" && path != "tile/0/002.p/88");
    let expected = Failure::EntriesMissing { index: 512, tail: true };
    assert_eq!(expected.to_string(), "entries from 512 on are missing: the log's tail was removed");
    assert_eq!(verify(&files), Err(expected));

    // Cut within the last bundle, and all that is after the first.
    let mut files = whole.clone();
    let kept: usize =
        bundle_entries(&whole.0["tile/entries/002.p/88"]).take(50).map(|it| it.unwrap().len() + 2).sum();
    files.0.get_mut("tile/entries/002.p/88").unwrap().truncate(kept);
    assert_eq!(verify(&files), Err(Failure::EntriesMissing { index: 562, tail: true }));
    let mut files = whole.clone();
    files.0.retain(|path, _| path == "checkpoint" || path.ends_with("/000"));
    assert_eq!(verify(&files), Err(Failure::EntriesMissing { index: 256, tail: true }));

    // A gap is not a tail.
    let mut files = whole;
    files.0.remove("tile/entries/001");
    assert_eq!(verify(&files), Err(Failure::EntriesMissing { index: 256, tail: false }));
}

#[test]
fn a_rewritten_checkpoint_is_told_apart() {
    let mut files = log(300);
    let rewritten = signer().sign(300, [7; 32]);
    files.0.insert("checkpoint".to_owned(), rewritten.into_bytes());
    assert_eq!(verify(&files), Err(Failure::Root { size: 300 }));

    let other = LogSigner::new("log.example/tenet", &Secret::new([43; 32])).unwrap();
    files.0.insert("checkpoint".to_owned(), other.sign(300, [7; 32]).into_bytes());
    assert!(matches!(verify(&files), Err(Failure::Checkpoint(_))));

    // A larger size than the log has: the entries from there on are missing.
    let files_300 = log(300);
    let root = key().verify(&files_300.checkpoint().unwrap()).unwrap().root;
    files.0.insert("checkpoint".to_owned(), signer().sign(301, root).into_bytes());
    assert_eq!(verify(&files).unwrap_err().first_bad(), Some(256));
}

#[test]
fn entries_and_hashes_altered_together_are_found() {
    let mut changed: Vec<Vec<u8>> = (0..600).map(entry).collect();
    changed[100] = entry(9_999);
    changed[560] = entry(9_998);
    let other = log_of(&changed);
    let with = |paths: &[&str]| {
        let mut files = log(600);
        paths.iter().for_each(|path| drop(files.0.insert((*path).to_owned(), other.0[*path].clone())));
        verify(&files)
    };
    // Beneath a full tile that is not the proven one, it is proven only that something is wrong.
    let expected = Failure::Together { path: "tile/0/000".to_owned(), index: 0 };
    assert_eq!(with(&["tile/0/000", "tile/entries/000"]), Err(expected));
    // At the edge there is nothing proven to hold them against: only the root tells.
    assert_eq!(with(&["tile/0/002.p/88", "tile/entries/002.p/88"]), Err(Failure::Root { size: 600 }));
    // Hashes at the edge, and entries elsewhere.
    let expected = Failure::Together { path: "tile/0/000".to_owned(), index: 100 };
    assert_eq!(with(&["tile/0/002.p/88", "tile/entries/000"]), Err(expected));
}

#[test]
fn a_log_continues_what_is_known_of_it() {
    let known = |size| key().verify(&log(size).checkpoint().unwrap()).unwrap();
    let since = |files: &Files, size| verify_log_since(files, &key(), &known(size), &mut |_, _| {});
    let files = log(300);
    for size in [0, 1, 255, 256, 257, 299, 300] {
        assert!(since(&files, size).is_ok(), "{size}");
    }
    // Cut back to an older, rightly signed state.
    assert_eq!(since(&log(200), 300).unwrap_err(), Failure::CutBack { size: 200, known: 300 });
    // Rewritten from the start and signed again by the right key.
    let mut entries: Vec<Vec<u8>> = (0..300).map(entry).collect();
    entries[3] = entry(9_999);
    let rewritten = log_of(&entries);
    assert!(verify(&rewritten).is_ok());
    assert_eq!(since(&rewritten, 256).unwrap_err(), Failure::Forked { known: 256 });
    assert!(since(&rewritten, 3).is_ok());
}

/// Shows one log until all of it was read, and another from then on.
struct TwoFaced {
    first: Files,
    then: Files,
    left: std::cell::Cell<usize>,
}

impl TileSource for TwoFaced {
    fn checkpoint(&self) -> Result<String, SourceError> {
        self.first.checkpoint()
    }
    fn tile(&self, path: &str) -> Result<Vec<u8>, SourceError> {
        let left = self.left.get();
        self.left.set(left.saturating_sub(1));
        if left > 0 { self.first.tile(path) } else { self.then.tile(path) }
    }
}

#[test]
fn a_source_that_shows_another_log_later_does_not_pass_for_a_continuation() {
    let mut entries: Vec<Vec<u8>> = (0..700).map(entry).collect();
    let honest = log_of(&entries);
    entries[100] = entry(9_999);
    let rewritten = log_of(&entries);
    let known = key().verify(&log(256).checkpoint().unwrap()).unwrap();
    for left in 0..20 {
        let source = TwoFaced { first: rewritten.clone(), then: honest.clone(), left: left.into() };
        assert!(verify_log_since(&source, &key(), &known, &mut |_, _| {}).is_err(), "{left}");
    }
}

#[test]
fn full_tiles_stand_in_for_partial_ones() {
    // An older checkpoint, whose partial tiles have gone since they became full.
    let mut files = log(600);
    let older = log(300);
    files.0.insert("checkpoint".to_owned(), older.0["checkpoint"].clone());
    let report = verify(&files).unwrap_err();
    // The partial tile of level 1 is needed as it was: it is served as long as its checkpoint is.
    assert_eq!(report, Failure::TileMissing { path: "tile/1/000.p/1".to_owned(), index: 0 });
    files.0.insert("tile/1/000.p/1".to_owned(), older.0["tile/1/000.p/1"].clone());
    assert_eq!(verify(&files).unwrap().events, 300);
}

#[test]
fn a_file_that_goes_on_is_found() {
    let whole = log(300);
    for (path, index) in [
        ("tile/0/000", 0),
        ("tile/0/001.p/44", 299),
        ("tile/1/000.p/1", 0),
        ("tile/entries/000", 256),
        ("tile/entries/001.p/44", 300),
    ] {
        let mut files = whole.clone();
        files.0.get_mut(path).unwrap().extend_from_slice(&[0; 32]);
        let failure = verify(&files).unwrap_err();
        assert_eq!(failure.first_bad(), Some(index), "{path}: {failure}");
    }
}

#[test]
fn what_can_not_be_read_is_no_verdict() {
    struct Broken;
    impl TileSource for Broken {
        fn checkpoint(&self) -> Result<String, SourceError> {
            Ok(signer().sign(5, [0; 32]))
        }
        fn tile(&self, _: &str) -> Result<Vec<u8>, SourceError> {
            Err(SourceError::Unreadable("timed out".to_owned()))
        }
    }
    let failure = verify_log(&Broken, &key(), &mut |_, _| {}).unwrap_err();
    assert_eq!(failure.to_string(), "`tile/0/000.p/5` can't be read: timed out");
}

//! A witness against a log that grows, forks, rolls back and lies.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::{collections::HashMap, path::Path, sync::Arc};

use base::{Context, Duration, Secret, SystemEntropy, Timestamp};
use ledger::{
    AddCheckpoint, EntriesHeader, EntryPackage, Frontier, Hash, LogSigner, TileKind, TilePath,
    consistency_proof, leaf_hash, parse_tile_path, subtree_proof, verify_log,
};
use proptest::prelude::*;
use testkit::MovableClock;
use witness::{AddError, Finished, OpenError, UploadError, Voices, Witness, origin_path};

const ORIGIN: &str = "log.example/tenet";

/// A log in memory, at any of its sizes.
#[derive(Clone)]
struct Log {
    signer: Arc<LogSigner>,
    entries: Vec<Vec<u8>>,
}

impl Log {
    fn new(count: usize) -> Self {
        let signer = Arc::new(LogSigner::new(ORIGIN, &Secret::new([3; 32])).unwrap());
        let mut log = Self { signer, entries: Vec::new() };
        log.grow(count, "entry");
        log
    }
    fn grow(&mut self, count: usize, word: &str) {
        for _ in 0..count {
            self.entries.push(format!("{word} {}", self.entries.len()).into_bytes());
        }
    }
    fn size(&self) -> u64 {
        self.entries.len() as u64
    }
    fn tiles(&self, size: u64) -> (HashMap<(u8, u64), Vec<u8>>, Hash) {
        let mut tree = Frontier::empty();
        self.entries[..size as usize].iter().for_each(|entry| tree.append(leaf_hash(entry)));
        let tiles =
            tree.take_changed().into_iter().map(|tile| ((tile.level, tile.index), tile.data)).collect();
        (tiles, tree.root())
    }
    fn note(&self, size: u64) -> String {
        self.signer.sign(size, self.tiles(size).1)
    }
    fn read(tiles: HashMap<(u8, u64), Vec<u8>>) -> impl Fn(u8, u64, u16) -> Result<Vec<u8>, String> {
        move |level, index, width| {
            Ok(tiles.get(&(level, index)).ok_or("no tile")?[..usize::from(width) * 32].to_vec())
        }
    }
    fn offer(&self, old: u64, size: u64) -> String {
        let proof = consistency_proof(old, size, Self::read(self.tiles(size).0)).unwrap_or_default();
        AddCheckpoint { old, proof, checkpoint: self.note(size) }.encode()
    }
    /// The packages of `start..end`, each with its proof against the tree of `end`.
    fn send(&self, witness: &Witness, start: u64, end: u64, most: usize) -> Result<Finished, UploadError> {
        let header = EntriesHeader { origin: ORIGIN.to_owned(), start, end, ticket: Vec::new() };
        let mut upload = witness.begin_upload(&header)?;
        let tiles = self.tiles(end).0;
        for (low, high) in header.packages().take(most) {
            assert_eq!(upload.expects(), Some(high - low));
            let proof = subtree_proof(low / 256 * 256, high, end, Self::read(tiles.clone())).unwrap();
            let entries = self.entries[low as usize..high as usize].iter().map(Vec::as_slice).collect();
            upload.add(&EntryPackage { entries, proof })?;
        }
        witness.finish_upload(upload)
    }
    /// Everything that a log does to have a size cosigned by both.
    fn publish(&self, witness: &Witness, size: u64) -> (String, String) {
        let before = &witness.standings()[0];
        let witnessed = witness.add_checkpoint(&self.offer(before.witnessed, size)).unwrap();
        let mut start = before.mirrored;
        loop {
            match self.send(witness, start, size, 4).unwrap() {
                Finished::Cosigned(line) => return (witnessed, line),
                Finished::More(info) => {
                    assert!(info.next > start && info.size == size);
                    start = info.next;
                }
            }
        }
    }
}

struct World {
    directory: tempfile::TempDir,
    clock: Arc<MovableClock>,
}

impl World {
    fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
            clock: Arc::new(MovableClock::at(Timestamp::from_seconds(1_700_000_000))),
        }
    }
    fn voices() -> Voices {
        Voices::new("w.example", &Secret::new([7; 32]), &Secret::new([8; 32])).unwrap()
    }
    fn try_open(&self, log: &Log) -> Result<Witness, OpenError> {
        let context = Context::new(self.clock.clone(), Arc::new(SystemEntropy));
        Witness::open(self.directory.path(), vec![log.signer.verifier().clone()], Self::voices(), context)
    }
    fn open(&self, log: &Log) -> Witness {
        self.try_open(log).unwrap()
    }
    fn copy(&self) -> std::path::PathBuf {
        self.directory.path().join(origin_path(ORIGIN))
    }
}

/// The copy as a directory of files, as `tenet log verify DIR` reads it.
struct Files<'a>(&'a Path);

impl ledger::TileSource for Files<'_> {
    fn checkpoint(&self) -> Result<String, ledger::SourceError> {
        std::fs::read_to_string(self.0.join("checkpoint")).map_err(|_| ledger::SourceError::Missing)
    }
    fn tile(&self, path: &str) -> Result<Vec<u8>, ledger::SourceError> {
        std::fs::read(self.0.join(path)).map_err(|_| ledger::SourceError::Missing)
    }
}

/// The copy on disk has exactly the entries of the log up to `size`, and a whole tree over them. The entries of
/// these tests are not events, so `verify_log` is not used.
fn check_copy(directory: &Path, log: &Log, size: u64) {
    let source = Files(directory);
    let note = ledger::TileSource::checkpoint(&source).unwrap();
    let head = log.signer.verifier().verify(&note).unwrap();
    assert_eq!((head.size, head.root), (size, log.tiles(size).1));
    let mut index = 0usize;
    for tile in 0..size.div_ceil(256) {
        let width = (size - tile * 256).min(256) as u16;
        let bundle = ledger::TileSource::tile(&source, &ledger::entries_path(tile, width)).unwrap();
        for entry in ledger::bundle_entries(&bundle) {
            assert_eq!(entry.unwrap(), log.entries[index]);
            index += 1;
        }
    }
    assert_eq!(index as u64, size);
    let read =
        |level, index, width| ledger::TileSource::tile(&source, &ledger::tile_path(level, index, width));
    assert_eq!(Frontier::load(size, read).unwrap().root(), head.root);
    for index in [0, size / 2, size.saturating_sub(1)].into_iter().filter(|index| *index < size) {
        let proof = ledger::inclusion_proof(index, size, read).unwrap();
        let leaf = leaf_hash(&log.entries[index as usize]);
        ledger::verify_inclusion(index, size, &leaf, &proof, &head.root).unwrap();
    }
}

#[test]
fn a_growing_log_is_copied_and_cosigned_by_both() {
    let (world, log) = (World::new(), Log::new(3_000));
    let witness = world.open(&log);
    let voices = World::voices();
    for size in [0, 1, 2, 255, 256, 257, 700, 700, 2_048, 2_999, 3_000] {
        world.clock.advance(Duration::from_seconds(10));
        let (first, second) = log.publish(&witness, size);
        let now = u64::try_from(Context::new(world.clock.clone(), Arc::new(SystemEntropy)).now().seconds())
            .unwrap();
        let cosigned = format!("{}{first}{second}", log.note(size));
        assert_eq!(voices.witness.key().cosigned_at(&cosigned), Ok(Some(now)));
        assert_eq!(voices.mirror.key().cosigned_at(&cosigned), Ok(Some(now)));
        let published = witness.checkpoint(&origin_path(ORIGIN)).unwrap();
        assert_eq!(voices.mirror.key().cosigned_at(&published), Ok(Some(now)));
        check_copy(&world.copy(), &log, size);
    }
    // What a start finds is what was left.
    let before = witness.standings();
    drop(witness);
    let again = world.open(&log);
    assert_eq!(again.standings(), before);
    assert_eq!((before[0].witnessed, before[0].mirrored, before[0].evidence), (3_000, 3_000, 0));
}

#[test]
fn the_mirror_says_nothing_before_it_has_everything() {
    let (world, log) = (World::new(), Log::new(1_000));
    let witness = world.open(&log);
    assert!(matches!(log.send(&witness, 0, 1_000, 9), Err(UploadError::Conflict(info)) if info.size == 0));
    witness.add_checkpoint(&log.offer(0, 1_000)).unwrap();
    assert_eq!(witness.checkpoint(&origin_path(ORIGIN)), None);
    let Finished::More(info) = log.send(&witness, 0, 1_000, 2).unwrap() else { panic!("cosigned") };
    assert_eq!((info.size, info.next), (1_000, 512));
    assert_eq!((witness.checkpoint(&origin_path(ORIGIN)), witness.standings()[0].mirrored), (None, 0));
    let tile = TilePath { kind: TileKind::Entries, index: 0, width: 256 };
    assert_eq!(witness.tile(&origin_path(ORIGIN), &tile).unwrap(), None);
    // From elsewhere than it is: told where it is.
    assert!(
        matches!(log.send(&witness, 600, 1_000, 9), Err(UploadError::Conflict(info)) if info.next == 512)
    );
    assert!(matches!(log.send(&witness, 0, 1_000, 9), Err(UploadError::Conflict(info)) if info.next == 512));
    assert!(
        matches!(log.send(&witness, 512, 999, 9), Err(UploadError::Conflict(info)) if info.size == 1_000)
    );
    assert!(matches!(log.send(&witness, 512, 1_000, 0), Err(UploadError::Malformed(_))));
    assert!(matches!(log.send(&witness, 512, 1_000, 9), Ok(Finished::Cosigned(_))));
    assert!(witness.tile(&origin_path(ORIGIN), &tile).unwrap().is_some());
}

#[test]
fn a_crash_in_the_middle_costs_nothing_but_sending_again() {
    let (world, mut log) = (World::new(), Log::new(300));
    let witness = world.open(&log);
    log.publish(&witness, 300);
    log.grow(700, "entry");
    witness.add_checkpoint(&log.offer(300, 1_000)).unwrap();
    assert!(matches!(log.send(&witness, 300, 1_000, 2), Ok(Finished::More(_))));
    drop(witness);
    let witness = world.open(&log);
    let standing = &witness.standings()[0];
    assert_eq!((standing.witnessed, standing.mirrored), (1_000, 300));
    assert!(matches!(log.send(&witness, 300, 1_000, 9), Ok(Finished::Cosigned(_))));
    check_copy(&world.copy(), &log, 1_000);
}

#[test]
fn two_uploads_at_once_are_one() {
    let (world, log) = (World::new(), Log::new(1_500));
    let witness = world.open(&log);
    witness.add_checkpoint(&log.offer(0, 900)).unwrap();
    let header = |end| EntriesHeader { origin: ORIGIN.to_owned(), start: 0, end, ticket: Vec::new() };
    let mut slow = witness.begin_upload(&header(900)).unwrap();
    witness.add_checkpoint(&log.offer(900, 1_500)).unwrap();
    log.publish(&witness, 1_500);
    // The slow one began before: its packages are proved again and stored no more, and its end comes too late.
    let tiles = log.tiles(900).0;
    for (low, high) in header(900).packages() {
        let proof = subtree_proof(low / 256 * 256, high, 900, Log::read(tiles.clone())).unwrap();
        let entries = log.entries[low as usize..high as usize].iter().map(Vec::as_slice).collect();
        slow.add(&EntryPackage { entries, proof }).unwrap();
    }
    assert!(matches!(witness.finish_upload(slow), Err(UploadError::Conflict(info)) if info.next == 1_500));
    check_copy(&world.copy(), &log, 1_500);
}

#[test]
fn an_upload_to_an_older_checkpoint_that_others_overtook_is_published_whole() {
    let (world, log) = (World::new(), Log::new(1_500));
    let witness = world.open(&log);
    witness.add_checkpoint(&log.offer(0, 900)).unwrap();
    witness.add_checkpoint(&log.offer(900, 1_500)).unwrap();
    // All entries up to 1,500 but the last tile are stored before 900 is published.
    assert!(matches!(log.send(&witness, 0, 1_500, 5), Ok(Finished::More(_))));
    assert!(matches!(log.send(&witness, 900, 900, 0), Ok(Finished::Cosigned(_))));
    check_copy(&world.copy(), &log, 900);
    assert!(matches!(log.send(&witness, 1_280, 1_500, 5), Ok(Finished::Cosigned(_))));
    check_copy(&world.copy(), &log, 1_500);
}

#[test]
fn no_fork_and_no_rollback_is_cosigned_and_each_is_kept() {
    let (world, log) = (World::new(), Log::new(500));
    let witness = world.open(&log);
    log.publish(&witness, 500);
    let mut fork = log.clone();
    fork.entries[123] = b"another past".to_vec();
    fork.grow(300, "entry");
    // Another root of the same size, of a smaller one, and of a larger one.
    assert!(matches!(
        witness.add_checkpoint(&fork.offer(500, 500)),
        Err(AddError::Fork { size: 500, same_size: true })
    ));
    assert!(matches!(
        witness.add_checkpoint(&fork.offer(0, 200)),
        Err(AddError::Fork { size: 500, same_size: false })
    ));
    assert!(matches!(
        witness.add_checkpoint(&fork.offer(500, 800)),
        Err(AddError::NotConsistent { size: 500 })
    ));
    assert_eq!(witness.standings()[0].evidence, 3);
    assert!(matches!(witness.add_checkpoint(&fork.offer(500, 800)), Err(AddError::NotConsistent { .. })));
    assert_eq!(witness.standings()[0].evidence, 3, "each is kept once");
    // A rollback of the log itself: an older size is true, and not cosigned again.
    assert!(matches!(witness.add_checkpoint(&log.offer(0, 400)), Err(AddError::Conflict { size: 500 })));
    assert!(matches!(witness.add_checkpoint(&log.offer(400, 400)), Err(AddError::Conflict { size: 500 })));
    assert_eq!(witness.standings()[0].evidence, 3);
    check_copy(&world.copy(), &log, 500);
    drop(witness);
    let evidence = std::fs::read_dir(world.copy().join("evidence")).unwrap();
    let notes: Vec<String> = evidence
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|it| it == "note"))
        .map(|path| std::fs::read_to_string(path).unwrap())
        .collect();
    assert!(notes.iter().all(|note| log.signer.verifier().verify(note).is_ok()));
    assert_eq!(world.open(&log).standings()[0].evidence, 3, "and after a start it is still there");
}

#[test]
fn a_clock_that_went_back_is_waited_for() {
    let (world, log) = (World::new(), Log::new(9));
    let witness = world.open(&log);
    log.publish(&witness, 5);
    world.clock.set(Timestamp::from_seconds(1_699_999_000));
    assert!(matches!(witness.add_checkpoint(&log.offer(5, 9)), Err(AddError::Clock)));
    assert!(matches!(log.send(&witness, 5, 5, 0), Err(UploadError::Clock)));
    drop(witness);
    let witness = world.open(&log);
    assert!(matches!(witness.add_checkpoint(&log.offer(5, 9)), Err(AddError::Clock)), "nor after a start");
    world.clock.set(Timestamp::from_seconds(1_700_000_001));
    log.publish(&witness, 9);
    let (voices, path) = (World::voices(), origin_path(ORIGIN));
    let note = witness.witnessed(&path).unwrap();
    assert_eq!(voices.witness.key().cosigned_at(&note), Ok(Some(1_700_000_001)));
}

#[test]
fn entries_that_are_not_the_logs_are_refused() {
    let (world, log) = (World::new(), Log::new(600));
    let witness = world.open(&log);
    witness.add_checkpoint(&log.offer(0, 600)).unwrap();
    // Another log's entries with proofs of their own, then ours with one altered and the right proofs.
    let mut false_log = log.clone();
    false_log.entries[300][0] ^= 1;
    assert!(matches!(false_log.send(&witness, 0, 600, 9), Err(UploadError::NotProved)));
    let header = EntriesHeader { origin: ORIGIN.to_owned(), start: 0, end: 600, ticket: Vec::new() };
    let mut upload = witness.begin_upload(&header).unwrap();
    let tiles = log.tiles(600).0;
    let sent = header.packages().map(|(low, high)| {
        let proof = subtree_proof(low / 256 * 256, high, 600, Log::read(tiles.clone())).unwrap();
        let entries = false_log.entries[low as usize..high as usize].iter().map(Vec::as_slice).collect();
        upload.add(&EntryPackage { entries, proof })
    });
    let sent: Vec<bool> = sent.map(|outcome| outcome.is_ok()).collect();
    assert_eq!(sent, [true, false, false]);
    assert!(matches!(witness.finish_upload(upload), Ok(Finished::More(info)) if info.next == 256));
    // The first tile was right and stays; the altered one is not stored.
    assert!(matches!(log.send(&witness, 256, 600, 9), Ok(Finished::Cosigned(_))));
    check_copy(&world.copy(), &log, 600);
    let header = EntriesHeader { origin: "other".to_owned(), start: 0, end: 0, ticket: Vec::new() };
    assert!(matches!(witness.begin_upload(&header), Err(UploadError::UnknownLog)));
}

#[test]
fn strangers_are_told_apart() {
    let (world, log) = (World::new(), Log::new(9));
    let witness = world.open(&log);
    let offer = log.offer(0, 9);
    assert!(matches!(witness.add_checkpoint("old 0\n"), Err(AddError::Malformed(_))));
    assert!(matches!(
        witness.add_checkpoint(&offer.replace("log.example", "mog.example")),
        Err(AddError::UnknownLog)
    ));
    let stranger = LogSigner::new(ORIGIN, &Secret::new([4; 32])).unwrap().sign(9, log.tiles(9).1);
    let forged = AddCheckpoint { old: 0, proof: Vec::new(), checkpoint: stranger }.encode();
    assert!(matches!(witness.add_checkpoint(&forged), Err(AddError::Unsigned)));
    let altered = offer.replacen("\n9\n", "\n8\n", 1);
    assert!(matches!(witness.add_checkpoint(&altered), Err(AddError::Unsigned)));
    let backwards = AddCheckpoint { old: 10, proof: Vec::new(), checkpoint: log.note(9) }.encode();
    assert!(matches!(witness.add_checkpoint(&backwards), Err(AddError::Order)));
    let not_one = AddCheckpoint { old: 0, proof: Vec::new(), checkpoint: format!("{ORIGIN}\n") }.encode();
    assert!(matches!(witness.add_checkpoint(&not_one), Err(AddError::Checkpoint(_))));
    assert_eq!(witness.standings()[0].witnessed, 0);
}

#[test]
fn a_copy_that_was_changed_is_not_gone_on_with() {
    type Damage = (&'static str, fn(&Path));
    let damage: [Damage; 5] = [
        ("a tile is gone", |copy| std::fs::remove_file(copy.join("tile/0/001.p/44")).unwrap()),
        ("a hash is altered", |copy| flip(&copy.join("tile/0/001.p/44"), 40)),
        ("the last bundle is short", |copy| flip(&copy.join("tile/entries/001.p/44"), 1)),
        ("the checkpoint is altered", |copy| flip(&copy.join("checkpoint"), 20)),
        ("the witness's checkpoint is gone", |copy| std::fs::remove_file(copy.join("pending")).unwrap()),
    ];
    for (what, damage) in damage {
        let (world, log) = (World::new(), Log::new(300));
        log.publish(&world.open(&log), 300);
        damage(&world.copy());
        assert!(matches!(world.try_open(&log), Err(OpenError::Damaged { .. })), "{what}");
    }
    let (world, log) = (World::new(), Log::new(1));
    let twice = vec![log.signer.verifier().clone(), log.signer.verifier().clone()];
    let context = Context::new(world.clock.clone(), Arc::new(SystemEntropy));
    let opened = Witness::open(world.directory.path(), twice, World::voices(), context);
    assert!(matches!(opened, Err(OpenError::Twice(_))));
}

fn flip(path: &Path, at: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[at] ^= 1;
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn older_readers_find_what_they_began_with() {
    let (world, log) = (World::new(), Log::new(700));
    let witness = world.open(&log);
    log.publish(&witness, 300);
    log.publish(&witness, 310);
    log.publish(&witness, 700);
    let read = |path: &str| witness.tile(&origin_path(ORIGIN), &parse_tile_path(path).unwrap()).unwrap();
    for path in
        ["tile/0/001.p/44", "tile/0/001.p/54", "tile/0/001", "tile/entries/001.p/44", "tile/1/000.p/1"]
    {
        assert!(read(path).is_some(), "{path}");
    }
    assert_eq!(read("tile/0/001.p/44").unwrap().len(), 44 * 32);
    for path in ["tile/0/002.p/189", "tile/0/003.p/1", "tile/1/000.p/3", "tile/entries/002"] {
        assert!(read(path).is_none(), "{path}");
    }
    // And the partial files of older sizes are gone from the disk.
    assert!(!world.copy().join("tile/0/001.p/44").exists());
}

#[test]
fn a_copy_of_real_events_verifies_with_the_verifier_of_any_copy() {
    // One event, by its own encoding: the whole verifier runs on the mirror's directory.
    let world = World::new();
    let mut log = Log::new(0);
    let context = Context::new(world.clock.clone(), Arc::new(SystemEntropy));
    let server = base::ServerId::new(&context).unwrap();
    for _ in 0..300 {
        let origin = ledger::Origin {
            actor: base::Actor::System(server),
            account: None,
            request: base::RequestId::new(&context).unwrap(),
            server,
            subsystem: "test",
            interface: ledger::Interface::Job,
            sealed: None,
        };
        let act =
            ledger::Act::new(ledger::Activity::ConfigLoad, ledger::ObjectRef::new("configuration", "x"));
        let event = ledger::Event::new(base::EventId::new(&context).unwrap(), context.now(), origin, act);
        log.entries.push(event.encode());
    }
    log.publish(&world.open(&log), 299);
    let key = log.signer.verifier();
    let report = verify_log(&Files(&world.copy()), key, &mut |_, _| {}).unwrap();
    assert_eq!(report.size, 299);
    flip(&world.copy().join("tile/entries/000"), 700);
    assert!(verify_log(&Files(&world.copy()), key, &mut |_, _| {}).is_err());
    assert_eq!(log.size(), 300);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]
    #[test]
    fn any_growth_with_restarts_gives_the_same_copy(steps in proptest::collection::vec((0usize..600, any::<bool>()), 1..6)) {
        let (world, mut log) = (World::new(), Log::new(0));
        let mut witness = world.open(&log);
        for (count, restart) in steps {
            log.grow(count, "entry");
            log.publish(&witness, log.size());
            if restart {
                drop(witness);
                witness = world.open(&log);
            }
            check_copy(&world.copy(), &log, log.size());
        }
    }
}

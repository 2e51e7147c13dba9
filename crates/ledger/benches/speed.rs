//! How long the ledger's own work takes: encoding and checking an event, appending its hash, verifying
//! a whole log in memory. `cargo bench -p ledger`. Prints figures; asserts nothing.

use std::{collections::HashMap, hint::black_box, time::Instant};

use base::{
    AccountId, Actor, ClientId, EventId, RecordId, RepositoryId, RequestId, Secret, ServerId, Timestamp,
};
use ledger::{
    Act, Activity, Commitment, Event, Frontier, Interface, LogSigner, ObjectRef, Origin, SealedContext,
    SourceError, TileSource, entries_path, leaf_hash, push_entry, verify_log,
};

const ENTRIES: u64 = 200_000;

struct Files(HashMap<String, Vec<u8>>);

impl TileSource for Files {
    fn checkpoint(&self) -> Result<String, SourceError> {
        self.tile("checkpoint").and_then(|bytes| {
            String::from_utf8(bytes).map_err(|error| SourceError::Unreadable(error.to_string()))
        })
    }
    fn tile(&self, path: &str) -> Result<Vec<u8>, SourceError> {
        self.0.get(path).cloned().ok_or(SourceError::Missing)
    }
}

fn event(number: u64) -> Event {
    let mut id = [7; 16];
    id[8..].copy_from_slice(&number.to_be_bytes());
    let commitment = Commitment::from_bytes([0xab; 32]);
    let origin = Origin {
        actor: Actor::Client(ClientId::from_bytes(id)),
        account: Some(AccountId::from_bytes(id)),
        request: RequestId::from_bytes(id),
        server: ServerId::from_bytes(id),
        subsystem: "vault",
        interface: Interface::Api,
        sealed: Some(SealedContext { commitment, bytes: Vec::new() }),
    };
    let object = ObjectRef::new("record", RecordId::from_bytes(id))
        .in_account(AccountId::from_bytes(id))
        .in_repository(RepositoryId::from_bytes(id))
        .classified("confidential");
    let act = Act::new(Activity::RecordCreate, object)
        .after(commitment)
        .decided_by(vec!["records.owner-writes".to_owned()])
        .key(base::DataKeyId::from_bytes(id), "seal")
        .detail("version", 1i64);
    Event::new(
        EventId::from_bytes(id),
        Timestamp::from_micros(1_790_000_000_000_000 + number as i64),
        origin,
        act,
    )
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures the machine's own time")]
#[expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
fn timed<T>(what: &str, count: u64, work: impl FnOnce() -> T) -> T {
    let begin = Instant::now();
    let done = work();
    let nanos = begin.elapsed().as_nanos() as f64 / count as f64;
    println!("{what:<28} {nanos:>9.0} ns each {:>12.0} a second", 1e9 / nanos);
    done
}

#[expect(clippy::unwrap_used, reason = "a benchmark stops at the first thing wrong")]
fn main() {
    let events: Vec<Event> = (0..ENTRIES).map(event).collect();
    let entries: Vec<Vec<u8>> = timed("encode", ENTRIES, || events.iter().map(Event::encode).collect());
    timed("decode", ENTRIES, || entries.iter().for_each(|entry| drop(black_box(Event::decode(entry)))));
    let leaves: Vec<_> = timed("hash", ENTRIES, || entries.iter().map(|entry| leaf_hash(entry)).collect());
    let mut frontier = Frontier::empty();
    timed("append", ENTRIES, || leaves.iter().for_each(|leaf| frontier.append(*leaf)));
    timed("root", 1, || black_box(frontier.root()));

    let mut files = HashMap::new();
    for (index, chunk) in entries.chunks(256).enumerate() {
        let mut bundle = Vec::new();
        chunk.iter().for_each(|entry| push_entry(&mut bundle, entry).unwrap());
        files.insert(entries_path(index as u64, chunk.len() as u16), bundle);
    }
    frontier.take_changed().into_iter().for_each(|tile| drop(files.insert(tile.path(), tile.data)));
    let signer = LogSigner::new("log.example/tenet", &Secret::new([42; 32])).unwrap();
    files.insert("checkpoint".to_owned(), signer.sign(frontier.size(), frontier.root()).into_bytes());
    let files = Files(files);
    let report = timed("verify", ENTRIES, || verify_log(&files, signer.verifier(), &mut |_, _| {}).unwrap());
    assert_eq!(report.events, ENTRIES);
}

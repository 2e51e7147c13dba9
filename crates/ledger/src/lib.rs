//! The ledger: what an event is, and the log that nobody can change unseen.
//!
//! An [`Event`] says who did what to which object, when, where, how and with what outcome (EL-1,
//! EL-3). It becomes a leaf of a Merkle tree (RFC 6962), kept as tiles (C2SP tlog-tiles) and signed
//! as checkpoints (C2SP tlog-checkpoint), so that anybody can check the whole of it offline. The
//! leaf holds typed ids, fixed words and commitments; never personal data.
//!
//! Pure: no files, no network, no clock. Where events are kept, and in which order they enter the
//! log, is `store`'s.

mod act;
mod activity;
mod blame;
mod canonical;
mod checkpoint;
mod commitment;
mod cosignature;
mod event;
mod failure;
mod frontier;
mod gap;
mod json;
mod leaf;
mod note;
mod origin;
mod proof;
mod search;
mod segment;
mod statement;
mod submission;
mod tile;
mod tlog_proof;
mod tree;
mod verify;
mod view;
mod witness_policy;

pub use act::{
    Act, DetailValue, MAX_DETAIL_BYTES, MAX_DETAILS, MAX_OBJECT_ID_BYTES, MAX_POLICIES, MAX_POLICY_BYTES,
    ObjectRef, Outcome,
};
pub use activity::{Activity, Class, Severity};
pub use checkpoint::Checkpoint;
pub use commitment::{Commitment, CommitmentError};
pub use cosignature::{Cosigner, CosignerKey, bare_checkpoint};
pub use event::{Event, MAX_EVENT_BYTES, OCSF_VERSION};
pub use failure::{Failure, SourceError};
pub use frontier::{Frontier, LoadError};
pub use gap::{CLOCK_TOLERANCE, Gap, GapCause, GapFinder, HEARTBEAT_GRACE, Heartbeat};
pub use note::{LogSigner, LogVerifier, MAX_NOTE_BYTES, NoteError};
pub use origin::{Interface, Origin, SealedContext};
pub use proof::{
    ProofError, ProofMismatch, consistency_proof, inclusion_proof, subtree_proof, verify_consistency,
    verify_inclusion, verify_subtree,
};
pub use search::{EventQuery, MAX_SEARCH_WORDS, OutcomeWord, words};
pub use segment::{
    LARGE_SEGMENT, Positions, SMALL_SEGMENT, SegmentBuilder, SegmentError, SegmentPage, positions,
    query_terms,
};
pub use statement::{MAX_STATEMENT_BYTES, StatementError, sign_statement, verify_statement};
pub use submission::{
    AddCheckpoint, EntriesHeader, EntryPackage, MAX_ADD_CHECKPOINT_BYTES, MAX_HEADER_BYTES,
    MAX_PACKAGE_BYTES, MAX_PACKAGES, MAX_PROOF_HASHES, MIRROR_INFO_MEDIA, MirrorInfo, SIZE_MEDIA,
    SubmissionError, parse_size,
};
pub use tile::{
    BundleEntries, BundleError, MAX_ENTRY_BYTES, TILE_WIDTH, Tile, TileKind, TilePath, TilePathError,
    bundle_entries, entries_path, parse_tile_path, push_entry, tile_path, width_at,
};
pub use tlog_proof::{TlogProof, TlogProofError};
pub use tree::{HASH_BYTES, Hash, empty_root, leaf_hash, node_hash};
pub use verify::{MAX_BUNDLE_BYTES, Report, TileSource, verify_log, verify_log_since};
pub use view::{EventError, EventView, ObjectView, OutcomeView};
pub use witness_policy::{MAX_POLICY_FILE_BYTES, Witness, WitnessPolicy, WitnessPolicyError};

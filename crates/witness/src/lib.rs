//! The witness: another machine, under other people, that keeps a whole copy of a log and says so.
//!
//! It has two voices (C2SP tlog-witness and tlog-mirror), each with a name and a key of its own. The *witness*
//! cosigns a checkpoint that continues every checkpoint of that log it cosigned before: a log that shows different
//! people different pasts can't get two of them cosigned. The *mirror* cosigns a checkpoint once every entry up to
//! it is in the copy, on disk. Neither ever cosigns a fork or a rollback; what a log signed and should not have is
//! kept as evidence.
//!
//! The copy is a directory in the layout of C2SP tlog-tiles, so that `tenet log verify DIR` and others' tools read
//! it without this program. Here are files and rules; HTTP is `web`'s.

mod copy;
mod error;
mod evidence;
mod files;
mod log;
mod upload;

use std::{collections::BTreeMap, path::Path, sync::Arc};

use base::{Context, Secret, Timestamp};
use ledger::{AddCheckpoint, Checkpoint, Cosigner, LogVerifier, TilePath};

pub use error::{AddError, OpenError, UploadError};
pub use evidence::MAX_EVIDENCE;
pub use upload::{Finished, Upload};

use crate::log::Log;

/// The witness of some logs.
#[derive(Debug)]
pub struct Witness {
    logs: BTreeMap<String, Arc<Log>>,
    voices: Voices,
    context: Context,
}

/// The two cosigners.
#[derive(Debug)]
pub struct Voices {
    /// Says that a checkpoint continues those before it.
    pub witness: Cosigner,
    /// Says that, and that every entry is in the copy.
    pub mirror: Cosigner,
}

/// What is known of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The log's origin.
    pub origin: String,
    /// The directory of its copy, below the monitoring prefix: SHA-256 of the origin in hexadecimal.
    pub path: String,
    /// The size that the witness cosigned last.
    pub witnessed: u64,
    /// The size up to which the copy is whole and cosigned.
    pub mirrored: u64,
    /// When the mirror cosigned last; `None` if it never did.
    pub cosigned: Option<Timestamp>,
    /// Checkpoints that the log signed and should not have, kept as evidence.
    pub evidence: usize,
}

impl Voices {
    /// Both cosigners of a witness of this name, from one seed each.
    pub fn new(
        name: &str,
        witness: &Secret<[u8; 32]>,
        mirror: &Secret<[u8; 32]>,
    ) -> Result<Self, ledger::NoteError> {
        Ok(Self {
            witness: Cosigner::new(&format!("{name}/witness"), witness)?,
            mirror: Cosigner::new(&format!("{name}/mirror"), mirror)?,
        })
    }
}

impl Witness {
    /// Opens the copies of these logs below `directory`, which is held by this process alone. A copy that is not
    /// what was cosigned is refused: cosigning on would cover it up.
    pub fn open(
        directory: &Path,
        logs: Vec<LogVerifier>,
        voices: Voices,
        context: Context,
    ) -> Result<Self, OpenError> {
        let mut opened = BTreeMap::new();
        for verifier in logs {
            let origin = verifier.origin().to_owned();
            let log = Log::open(directory, verifier, &voices)?;
            if opened.insert(origin.clone(), Arc::new(log)).is_some() {
                return Err(OpenError::Twice(origin));
            }
        }
        Ok(Self { logs: opened, voices, context })
    }

    /// The cosigners.
    pub fn voices(&self) -> &Voices {
        &self.voices
    }

    /// Takes a checkpoint (C2SP tlog-witness `add-checkpoint`): the witness's signature line. The checkpoint is
    /// durable before this returns.
    pub fn add_checkpoint(&self, body: &str) -> Result<String, AddError> {
        let request = AddCheckpoint::parse(body)?;
        let origin = request.checkpoint.lines().next().unwrap_or_default();
        let log = self.logs.get(origin).ok_or(AddError::UnknownLog)?;
        log.add_checkpoint(&request, &self.voices.witness, self.context.now())
    }

    /// Begins to take entries (C2SP tlog-mirror `add-entries`).
    pub fn begin_upload(&self, header: &ledger::EntriesHeader) -> Result<Upload, UploadError> {
        let log = self.logs.get(&header.origin).ok_or(UploadError::UnknownLog)?;
        Upload::begin(Arc::clone(log), header)
    }

    /// Ends the upload: the mirror's signature line, if every entry up to the upload's checkpoint is here. All is
    /// durable before this returns.
    pub fn finish_upload(&self, upload: Upload) -> Result<Finished, UploadError> {
        upload.finish(&self.voices.mirror, self.context.now())
    }

    /// The mirror's checkpoint of the copy at `path` (as in [`Standing::path`]), with its cosignature.
    pub fn checkpoint(&self, path: &str) -> Option<String> {
        self.at(path)?.published()
    }

    /// The witness's newest checkpoint of the log at `path`, with its cosignature.
    pub fn witnessed(&self, path: &str) -> Option<String> {
        self.at(path)?.witnessed()
    }

    /// A tile of the copy at `path`, up to the mirror's checkpoint; `None` if it doesn't reach so far.
    pub fn tile(&self, path: &str, tile: &TilePath) -> std::io::Result<Option<Vec<u8>>> {
        self.at(path).map_or(Ok(None), |log| log.tile(tile))
    }

    /// Where each log stands, by origin.
    pub fn standings(&self) -> Vec<Standing> {
        self.logs.values().map(|log| log.standing()).collect()
    }

    fn at(&self, path: &str) -> Option<&Log> {
        self.logs.values().map(Arc::as_ref).find(|log| log.path() == path)
    }
}

/// The directory of a log's copy: SHA-256 of its origin, in hexadecimal (C2SP tlog-mirror).
pub fn origin_path(origin: &str) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, origin.as_bytes());
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A checkpoint that the log signed: itself, its note with the log's signature alone, and the witness's line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Signed {
    pub(crate) checkpoint: Checkpoint,
    pub(crate) note: String,
    pub(crate) line: String,
}

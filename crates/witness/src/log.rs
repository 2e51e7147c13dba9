//! One log: what was cosigned of it, and its copy.

use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use base::Timestamp;
use ledger::{
    AddCheckpoint, Checkpoint, Cosigner, LogVerifier, MAX_NOTE_BYTES, MirrorInfo, NoteError, TilePath,
    bare_checkpoint, empty_root, verify_consistency,
};

use crate::{
    AddError, OpenError, Signed, Standing, Voices,
    copy::{Copy, CopyError},
    evidence::Evidence,
    files, origin_path,
};

/// The witness's newest checkpoint, beside the copy.
const PENDING: &str = "pending";
/// The mirror's newest checkpoint, in the copy.
const CHECKPOINT: &str = "checkpoint";
/// Checkpoints up to which entries are taken, the newest among them: an upload that began before the newest came
/// can end.
const RECENT: usize = 16;

#[derive(Debug)]
pub(crate) struct Log {
    verifier: LogVerifier,
    path: String,
    directory: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug)]
pub(crate) struct State {
    /// Cosigned by the witness, the newest last.
    recent: VecDeque<Signed>,
    /// Cosigned by the mirror: the size, when, and the note with the cosignature.
    mirrored: Option<Mirrored>,
    /// The time of the newest cosignature of either.
    latest: Timestamp,
    pub(crate) copy: Copy,
    evidence: Evidence,
}

#[derive(Debug)]
struct Mirrored {
    size: u64,
    at: Timestamp,
    note: String,
}

impl Log {
    pub(crate) fn open(root: &Path, verifier: LogVerifier, voices: &Voices) -> Result<Self, OpenError> {
        let path = origin_path(verifier.origin());
        let directory = root.join(&path);
        let io = |source| OpenError::Io { path: directory.clone(), source };
        let damaged = |why: String| OpenError::Damaged {
            origin: verifier.origin().to_owned(),
            path: directory.clone(),
            why,
        };
        files::make_directory(&directory).map_err(io)?;
        let read = |name: &str| -> Result<Option<String>, OpenError> {
            let Some(bytes) = files::read(&directory.join(name), MAX_NOTE_BYTES).map_err(io)? else {
                return Ok(None);
            };
            let text = String::from_utf8(bytes);
            text.map(Some).map_err(|_| damaged(format!("`{name}` is not text")))
        };
        let mut recent = VecDeque::new();
        let mut latest = Timestamp::from_micros(0);
        if let Some(note) = read(PENDING)? {
            let wrong = |error: NoteError| damaged(format!("`{PENDING}`: {error}"));
            let (checkpoint, bare) = bare_checkpoint(&verifier, &note).map_err(wrong)?;
            let key = voices.witness.key();
            let line = note.get(bare.len()..).unwrap_or_default();
            let (line, at) = key
                .pick(&note, line)
                .map_err(wrong)?
                .ok_or_else(|| damaged(format!("`{PENDING}` is not cosigned by this witness")))?;
            latest = timestamp(at);
            recent.push_back(Signed { checkpoint, note: bare, line });
        }
        let mut mirrored = None;
        let mut size = 0;
        let mut root = empty_root();
        if let Some(note) = read(CHECKPOINT)? {
            let wrong = |error: NoteError| damaged(format!("`{CHECKPOINT}`: {error}"));
            let checkpoint = verifier.verify(&note).map_err(wrong)?;
            let at = voices.mirror.key().cosigned_at(&note).map_err(wrong)?;
            let at = at.ok_or_else(|| damaged(format!("`{CHECKPOINT}` is not cosigned by this mirror")))?;
            (size, root) = (checkpoint.size, checkpoint.root);
            let at = timestamp(at);
            latest = latest.max(at);
            mirrored = Some(Mirrored { size, at, note });
        }
        let copy = Copy::open(&directory, size).map_err(|error| match error {
            CopyError::Io(source) => io(source),
            CopyError::Damaged(why) => damaged(why),
        })?;
        if copy.root() != root {
            return Err(damaged(format!("its {size} entries have another root")));
        }
        let witnessed = recent.back().map_or(0, |signed: &Signed| signed.checkpoint.size);
        if witnessed < size {
            return Err(damaged(format!("{size} entries are mirrored and {witnessed} witnessed")));
        }
        let evidence = Evidence::open(directory.join("evidence")).map_err(io)?;
        let state = Mutex::new(State { recent, mirrored, latest, copy, evidence });
        Ok(Self { verifier, path, directory, state })
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn standing(&self) -> Standing {
        let state = self.state();
        Standing {
            origin: self.verifier.origin().to_owned(),
            path: self.path.clone(),
            witnessed: state.witnessed().0,
            mirrored: state.mirrored_size(),
            cosigned: state.mirrored.as_ref().map(|mirrored| mirrored.at),
            evidence: state.evidence.count(),
        }
    }

    pub(crate) fn witnessed(&self) -> Option<String> {
        self.state().recent.back().map(|signed| format!("{}{}", signed.note, signed.line))
    }

    pub(crate) fn published(&self) -> Option<String> {
        self.state().mirrored.as_ref().map(|mirrored| mirrored.note.clone())
    }

    /// A tile up to the mirror's checkpoint.
    pub(crate) fn tile(&self, path: &TilePath) -> std::io::Result<Option<Vec<u8>>> {
        let state = self.state();
        if path.width > ledger::width_at(state.mirrored_size(), path) {
            return Ok(None);
        }
        state.copy.tile(path).map_err(into_io)
    }

    pub(crate) fn add_checkpoint(
        &self,
        request: &AddCheckpoint,
        witness: &Cosigner,
        now: Timestamp,
    ) -> Result<String, AddError> {
        let (checkpoint, note) =
            bare_checkpoint(&self.verifier, &request.checkpoint).map_err(|error| match error {
                NoteError::Unsigned(_) | NoteError::Signature(_) => AddError::Unsigned,
                other => AddError::Checkpoint(other),
            })?;
        if request.old > checkpoint.size {
            return Err(AddError::Order);
        }
        let mut state = self.state();
        let (size, root) = state.witnessed();
        if state.contradicts(&checkpoint)? {
            state.keep(&note)?;
            let same_size = request.old == size && checkpoint.size == size;
            return Err(AddError::Fork { size, same_size });
        }
        if request.old != size {
            return Err(AddError::Conflict { size });
        }
        if verify_consistency(size, &root, checkpoint.size, &checkpoint.root, &request.proof).is_err() {
            // The log signed it: either it forked, or whoever asks has sent a wrong proof.
            state.keep(&note)?;
            return Err(AddError::NotConsistent { size });
        }
        if !state.tick(now) {
            return Err(AddError::Clock);
        }
        let line = witness.cosign(&self.verifier, &note, seconds(now)).map_err(AddError::Sign)?;
        files::write(&self.directory.join(PENDING), format!("{note}{line}").as_bytes())?;
        state.recent.retain(|known| known.checkpoint.size != checkpoint.size);
        if state.recent.len() >= RECENT {
            state.recent.pop_front();
        }
        state.recent.push_back(Signed { checkpoint, note, line: line.clone() });
        Ok(line)
    }

    /// The mirror says that it holds everything up to `signed`; the signature line.
    pub(crate) fn publish(
        &self,
        state: &mut State,
        signed: &Signed,
        mirror: &Cosigner,
        now: Timestamp,
    ) -> Result<String, crate::UploadError> {
        let size = signed.checkpoint.size;
        let before = state.mirrored_size();
        if !state.tick(now) {
            return Err(crate::UploadError::Clock);
        }
        state.copy.settle(size).map_err(into_io)?;
        let line =
            mirror.cosign(&self.verifier, &signed.note, seconds(now)).map_err(crate::UploadError::Sign)?;
        let note = format!("{}{line}", signed.note);
        files::write(&self.directory.join(CHECKPOINT), note.as_bytes())?;
        state.mirrored = Some(Mirrored { size, at: now, note });
        if before != size {
            state.copy.tidy(before, size);
        }
        Ok(line)
    }
}

impl State {
    /// Size and root that the witness knows.
    fn witnessed(&self) -> (u64, ledger::Hash) {
        self.recent.back().map_or((0, empty_root()), |it| (it.checkpoint.size, it.checkpoint.root))
    }

    /// Whether a cosignature may be made now: none is older than one before it.
    fn tick(&mut self, now: Timestamp) -> bool {
        let fine = now.seconds() >= self.latest.seconds();
        self.latest = self.latest.max(now);
        fine
    }

    pub(crate) fn mirrored_size(&self) -> u64 {
        self.mirrored.as_ref().map_or(0, |mirrored| mirrored.size)
    }

    /// A checkpoint up to which entries are taken.
    pub(crate) fn recent(&self, size: u64) -> Option<&Signed> {
        self.recent.iter().find(|signed| signed.checkpoint.size == size)
    }

    /// Where the mirror stands, for whoever sends: `size` if entries are taken up to there.
    pub(crate) fn info(&self, size: u64) -> MirrorInfo {
        let size = self.recent(size).map_or(self.witnessed().0, |signed| signed.checkpoint.size);
        MirrorInfo { size, next: self.copy.next(), ticket: Vec::new() }
    }

    /// Whether what is known here shows that the log signed two pasts.
    fn contradicts(&self, checkpoint: &Checkpoint) -> Result<bool, AddError> {
        if let Some(known) = self.recent(checkpoint.size) {
            return Ok(known.checkpoint.root != checkpoint.root);
        }
        let here = self.copy.root_at(checkpoint.size).map_err(into_io)?;
        Ok(here.is_some_and(|root| root != checkpoint.root))
    }

    fn keep(&mut self, note: &str) -> std::io::Result<()> {
        let known = self.recent.back().map(|signed| signed.note.clone()).unwrap_or_default();
        self.evidence.keep(note, &known)
    }
}

fn timestamp(seconds: u64) -> Timestamp {
    Timestamp::from_seconds(i64::try_from(seconds).unwrap_or(i64::MAX))
}

fn seconds(now: Timestamp) -> u64 {
    u64::try_from(now.seconds()).unwrap_or(0)
}

pub(crate) fn into_io(error: CopyError) -> std::io::Error {
    match error {
        CopyError::Io(error) => error,
        CopyError::Damaged(why) => std::io::Error::new(std::io::ErrorKind::InvalidData, why),
    }
}

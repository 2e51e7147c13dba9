//! One witness, seen from the log: sending it a checkpoint and the entries, and reading its copy.

use std::{
    io::Write as _,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use ledger::{
    AddCheckpoint, Checkpoint, CosignerKey, EntriesHeader, EntryPackage, LogVerifier, MAX_PACKAGES,
    MIRROR_INFO_MEDIA, MirrorInfo, SIZE_MEDIA, TILE_WIDTH, TileKind, TilePath, bundle_entries,
    consistency_proof, parse_size, subtree_proof,
};
use reqwest::{Method, StatusCode, Url, header};
use rustls_pki_types::CertificateDer;
use store::{SignedHead, Store, StoreError};

use crate::{client::Pinned, config::is_clear_and_near, failure::Failure};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long one request to a witness may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(20);
/// Most bytes of a witness's answer that are read.
const MAX_ANSWER_BYTES: usize = 65_536;
/// Bytes of packages after which a request is sent off, before it is packed.
const ENOUGH_BYTES: usize = 4 * 1_048_576;
/// How often where a witness stands may turn out otherwise than was thought, in one submission.
const MAX_TURNS: usize = 4;

/// Why a witness did not cosign.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// It does not answer.
    #[error("it does not answer: {0}")]
    Unreachable(String),
    /// It answers, and does not cosign.
    #[error("it does not cosign: {0}")]
    Refused(String),
    /// It keeps another past than this server, and the log's own signature under it proves that.
    #[error("{0}")]
    Fork(String),
    /// Our own store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a mirror's copy says about this server's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It keeps a beginning of this log, up to that size.
    Agrees(u64),
    /// It keeps more of this log than there is here: it was rolled back. Their checkpoint.
    Behind(Checkpoint),
    /// It keeps another past. Their checkpoint.
    Forked(Checkpoint),
}

/// A witness.
#[derive(Debug)]
pub struct WitnessClient {
    name: String,
    key: CosignerKey,
    base: Url,
    http: reqwest::Client,
    /// The size that it witnessed last, as far as is known.
    witnessed: AtomicU64,
    /// The first entry that its mirror lacks, as far as is known.
    next: AtomicU64,
}

struct Answer {
    status: StatusCode,
    media: String,
    text: String,
}

impl WitnessClient {
    /// The witness at `url`, whose certificate one of `authorities` signed. In the clear only on this machine.
    pub fn new(
        name: &str,
        key: CosignerKey,
        url: &str,
        authorities: &[CertificateDer<'static>],
    ) -> Result<Self, Failure> {
        let wrong = |why: &str| {
            Failure::usage(format!("the witness `{name}` can't be spoken to at `{url}`")).why(why.to_owned())
        };
        let base =
            Url::parse(&format!("{}/", url.trim_end_matches('/'))).map_err(|_| wrong("not an address"))?;
        let near = is_clear_and_near(url);
        if base.scheme() != "https" && !near {
            return Err(wrong("give an `https://` address; `http://` is for this machine itself alone"));
        }
        if !near && authorities.is_empty() {
            return Err(wrong("its certificate can't be trusted").remedy("set `ledger.witness_ca`"));
        }
        let tls = Pinned::by_certificates(authorities).map_err(|error| wrong(&error.to_string()))?;
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(CALL_TIMEOUT)
            .user_agent(concat!("tenet/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| wrong(&error.to_string()))?;
        let unknown = || AtomicU64::new(0);
        Ok(Self { name: name.to_owned(), key, base, http, witnessed: unknown(), next: unknown() })
    }

    /// What the policy calls it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The address of its copy of a log.
    pub fn copy_of(&self, log: &LogVerifier) -> String {
        format!("{}{}", self.base, witness::origin_path(log.origin()))
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        media: &'static str,
        body: Vec<u8>,
    ) -> Result<Answer, SubmitError> {
        let unreachable = |error: reqwest::Error| {
            let mut text = error.to_string();
            let mut source = std::error::Error::source(&error);
            while let Some(inner) = source {
                text = format!("{text}: {inner}");
                source = inner.source();
            }
            SubmitError::Unreachable(text)
        };
        let url = self.base.join(path).map_err(|error| SubmitError::Refused(error.to_string()))?;
        let mut request = self.http.request(method.clone(), url);
        if method == Method::POST {
            request = request.header(header::CONTENT_TYPE, media);
            if body.len() > 1_024 && media == "application/octet-stream" {
                let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                let packed = packed.write_all(&body).and_then(|()| packed.finish());
                let packed = packed.map_err(|error| SubmitError::Refused(error.to_string()))?;
                request = request.header(header::CONTENT_ENCODING, "gzip").body(packed);
            } else {
                request = request.body(body);
            }
        }
        let mut response = request.send().await.map_err(unreachable)?;
        let status = response.status();
        let media = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let media = media.unwrap_or_default().split(';').next().unwrap_or_default().trim().to_owned();
        let mut read = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(unreachable)? {
            if read.len() + piece.len() > MAX_ANSWER_BYTES {
                return Err(SubmitError::Refused("its answer is longer than 64 KiB".to_owned()));
            }
            read.extend_from_slice(&piece);
        }
        let text = String::from_utf8(read);
        let text = text.map_err(|_| SubmitError::Refused("its answer is not text".to_owned()))?;
        Ok(Answer { status, media, text })
    }

    /// Has a checkpoint cosigned: the signature line, newline included, and its time in seconds since 1970.
    pub async fn submit(
        &self,
        store: &Store,
        log: &LogVerifier,
        head: &SignedHead,
    ) -> Result<(String, u64), SubmitError> {
        for _ in 0..MAX_TURNS {
            let old = self.witnessed.load(Ordering::Relaxed);
            if old > head.size {
                return Err(self.suspect(store, log, &format!("it knows {old} entries already")).await);
            }
            let size = head.size;
            let proof = store.prove(|read| consistency_proof(old, size, read)).await?;
            let body = AddCheckpoint { old, proof, checkpoint: head.note.clone() }.encode();
            let answer = self.call(Method::POST, "add-checkpoint", "text/plain", body.into_bytes()).await?;
            match answer.status {
                StatusCode::OK => {
                    self.witnessed.store(size, Ordering::Relaxed);
                    let picked = self.key.pick(&head.note, &answer.text);
                    let picked = picked.map_err(|error| SubmitError::Refused(error.to_string()))?;
                    return match picked {
                        Some(line) => Ok(line),
                        None => self.mirror(store, log, head).await,
                    };
                }
                StatusCode::CONFLICT if answer.media == SIZE_MEDIA => {
                    let known = parse_size(&answer.text);
                    let known = known.map_err(|error| SubmitError::Refused(error.to_string()))?;
                    if known == old {
                        return Err(self.suspect(store, log, "it knows another log of this size").await);
                    }
                    self.witnessed.store(known, Ordering::Relaxed);
                }
                StatusCode::CONFLICT | StatusCode::UNPROCESSABLE_ENTITY => {
                    let why = format!("it says that {size} entries do not continue the {old} that it knows");
                    return Err(self.suspect(store, log, &why).await);
                }
                status => return Err(refused(status, &answer.text)),
            }
        }
        Err(SubmitError::Refused("what it knows of the log changes with each answer".to_owned()))
    }

    /// Sends the entries that the mirror lacks, and has it cosign.
    async fn mirror(
        &self,
        store: &Store,
        log: &LogVerifier,
        head: &SignedHead,
    ) -> Result<(String, u64), SubmitError> {
        let mut turns = 0;
        let mut start = self.next.load(Ordering::Relaxed).min(head.size);
        loop {
            let body = entries(store, log, start, head.size).await?;
            let answer = self.call(Method::POST, "add-entries", "application/octet-stream", body).await?;
            match answer.status {
                StatusCode::OK => {
                    self.next.store(head.size, Ordering::Relaxed);
                    let picked = self.key.pick(&head.note, &answer.text);
                    let picked = picked.map_err(|error| SubmitError::Refused(error.to_string()))?;
                    return picked.ok_or_else(|| {
                        SubmitError::Refused(format!(
                            "it cosigns with another key than `{}`",
                            self.key.name()
                        ))
                    });
                }
                StatusCode::ACCEPTED | StatusCode::CONFLICT if answer.media == MIRROR_INFO_MEDIA => {
                    let info = MirrorInfo::parse(&answer.text);
                    let info = info.map_err(|error| SubmitError::Refused(error.to_string()))?;
                    self.next.store(info.next, Ordering::Relaxed);
                    if info.size != head.size {
                        return Err(SubmitError::Refused("somebody else sends it this log too".to_owned()));
                    }
                    // Each answer must bring it on; where it stands may be news a few times.
                    if info.next <= start {
                        turns += 1;
                    }
                    if turns > MAX_TURNS {
                        return Err(SubmitError::Refused("it does not get on with the entries".to_owned()));
                    }
                    start = info.next.min(head.size);
                }
                StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => {
                    let key = self.key.name();
                    return Err(SubmitError::Refused(format!("it does not cosign with the key `{key}`")));
                }
                status => return Err(refused(status, &answer.text)),
            }
        }
    }

    /// Why it does not go on from where this server is: proved by its copy, or its word alone.
    async fn suspect(&self, store: &Store, log: &LogVerifier, why: &str) -> SubmitError {
        // It is asked anew what it knows, the next time.
        self.witnessed.store(0, Ordering::Relaxed);
        match self.compare(store, log).await {
            Ok(Some(Verdict::Behind(theirs))) => SubmitError::Fork(format!(
                "the witness `{}` keeps {} entries that this log signed, and they are not here: it was rolled back",
                self.name, theirs.size
            )),
            Ok(Some(Verdict::Forked(theirs))) => SubmitError::Fork(format!(
                "the witness `{}` keeps {} other entries that this log signed",
                self.name, theirs.size
            )),
            Ok(_) => SubmitError::Refused(why.to_owned()),
            Err(error) => error,
        }
    }

    /// Holds the mirror's copy against this server's log; `None` if it has no copy. Only what this log's own key
    /// signed counts: nobody else can say that it forked.
    pub async fn compare(&self, store: &Store, log: &LogVerifier) -> Result<Option<Verdict>, SubmitError> {
        let path = format!("{}/checkpoint", witness::origin_path(log.origin()));
        let answer = self.call(Method::GET, &path, "", Vec::new()).await?;
        if answer.status != StatusCode::OK {
            return Ok(None);
        }
        let theirs = log.verify(&answer.text).map_err(|error| SubmitError::Refused(error.to_string()))?;
        // Read after theirs: what it was sent is stored here first.
        let ours = store.signed_head().await?.map_or(0, |head| head.size);
        if theirs.size > ours {
            return Ok(Some(Verdict::Behind(theirs)));
        }
        let root = store.root_at(theirs.size).await?;
        Ok(Some(if root == theirs.root { Verdict::Agrees(theirs.size) } else { Verdict::Forked(theirs) }))
    }
}

fn refused(status: StatusCode, text: &str) -> SubmitError {
    let line: String = text.lines().next().unwrap_or_default().chars().take(200).collect();
    SubmitError::Refused(format!("{}: {line}", status.as_u16()))
}

/// The body that carries the entries from `start` on, as many as are sent at once.
async fn entries(store: &Store, log: &LogVerifier, start: u64, size: u64) -> Result<Vec<u8>, SubmitError> {
    let ours = |error: ledger::SubmissionError| SubmitError::Store(StoreError::Log(error.to_string()));
    let header = EntriesHeader { origin: log.origin().to_owned(), start, end: size, ticket: Vec::new() };
    let mut body = header.encode().map_err(ours)?;
    for (low, high) in header.packages().take(usize::try_from(MAX_PACKAGES).unwrap_or(1)) {
        let tile = low / u64::from(TILE_WIDTH);
        let first = tile * u64::from(TILE_WIDTH);
        // INVARIANT: a package ends within its tile.
        let width = (high - first) as u16;
        let path = TilePath { kind: TileKind::Entries, index: tile, width };
        let bundle = store.tile(&path).await?;
        let bundle = bundle.ok_or_else(|| StoreError::Log(format!("`{path}` is missing")))?;
        let all: Result<Vec<&[u8]>, _> = bundle_entries(&bundle).collect();
        let all = all.map_err(|error| StoreError::Log(error.to_string()))?;
        let entries = all.into_iter().skip(usize::try_from(low - first).unwrap_or(0)).collect();
        let proof = store.prove(|read| subtree_proof(first, high, size, read)).await?;
        EntryPackage { entries, proof }.encode(&mut body).map_err(ours)?;
        if body.len() >= ENOUGH_BYTES {
            break;
        }
    }
    Ok(body)
}

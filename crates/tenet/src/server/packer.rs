//! The archive of evidence, as the console hands it out: the same as `tenet evidence pack` writes, made where the log is.

use std::{collections::BTreeSet, sync::Arc};

use access::{Access, Principal};
use base::Timestamp;
use ledger::{
    Activity, EventQuery, LogSigner, OutcomeWord, SourceError, TileSource, parse_tile_path, sign_statement,
};
use store::{EventOrder, Store};
use tokio::runtime::Handle;
use watch::{Assessed, Content, Standing, StoredVersion, Watch, WatchError, manifest_statement};
use web::{PackFuture, Packer, Problem};

use crate::{commands::pack, failure::Failure};

/// Makes archives.
pub(crate) struct Evidence {
    pub(crate) access: Access,
    pub(crate) watch: Watch,
    pub(crate) store: Store,
    pub(crate) signer: Arc<LogSigner>,
}

impl Packer for Evidence {
    fn pack<'a>(&'a self, by: &'a Principal, at: Option<Timestamp>) -> PackFuture<'a> {
        Box::pin(async move {
            let (document, assessed) = self.watch.assess_document(by, None, at).await?;
            let stored = self.stored(by, &assessed).await?;
            let indices = self.indices(by, &assessed).await?;
            let wanted: Vec<u64> = indices.into_iter().collect();
            let (tiles, key) = (
                Tiles { store: self.store.clone(), handle: Handle::current() },
                self.signer.verifier().clone(),
            );
            let verifier = key.clone();
            let proved = tokio::task::spawn_blocking(move || pack::proved(&tiles, &verifier, &wanted));
            let proved = proved.await.map_err(|_| Problem::fault("proofs could not be made"))?;
            let (checkpoint, entries) = proved.map_err(|failure| told(&failure))?;
            let written = self.store.context().now();
            let made = tokio::task::spawn_blocking(move || {
                let parts = pack::Parts {
                    document: &document,
                    assessed: &assessed,
                    stored: stored.as_ref(),
                    checkpoint,
                    entries,
                };
                pack::assemble(parts, &key, written)
            });
            let made = made.await.map_err(|_| Problem::fault("the archive could not be made"))?;
            made.map_err(|failure| told(&failure))
        })
    }
}

impl Evidence {
    /// What is stored of the version, with its signed hashes; none of a specimen.
    async fn stored(
        &self,
        by: &Principal,
        assessed: &Assessed,
    ) -> Result<Option<(Content, StoredVersion)>, Problem> {
        if assessed.standing == Standing::Specimen {
            return Ok(None);
        }
        let mut found = self.watch.version(by, Some(assessed.assessment.version), None).await?;
        if let Some(statement) = manifest_statement(&found.summary.version, &found.manifest) {
            found.note = Some(sign_statement(&self.signer, &statement)?);
        }
        let content = Content { files: found.files.clone(), document: found.document.clone() };
        Ok(Some((content, found)))
    }

    /// Where in the log the events are that the archive rests on.
    async fn indices(&self, by: &Principal, assessed: &Assessed) -> Result<BTreeSet<u64>, Problem> {
        let until = Timestamp::from_micros(assessed.assessment.at.micros().saturating_add(1));
        let mut indices = BTreeSet::new();
        for noun in pack::WHOLE {
            let query = EventQuery {
                activity: Some(noun.to_owned()),
                outcome: Some(OutcomeWord::Success),
                until: Some(until),
                ..EventQuery::default()
            };
            indices.extend(self.found(by, &query).await?);
            if indices.len() > pack::MAX_EVENTS {
                return Err(Problem::fault("more events than an archive holds"));
            }
        }
        for check in &assessed.assessment.checks {
            for one in [&check.observation, &check.could_not_tell].into_iter().flatten() {
                let query = EventQuery {
                    activity: Some(Activity::EvidenceObserve.name().to_owned()),
                    object: Some(one.check.clone()),
                    from: Some(one.received),
                    until: Some(Timestamp::from_micros(one.received.micros().saturating_add(1))),
                    ..EventQuery::default()
                };
                let found = self.found(by, &query).await?;
                let index = found.first().copied();
                indices.insert(index.ok_or(WatchError::NotFound("observation in the log yet"))?);
            }
        }
        Ok(indices)
    }

    async fn found(&self, by: &Principal, query: &EventQuery) -> Result<Vec<u64>, Problem> {
        let mut found = Vec::new();
        let mut cursor = None;
        loop {
            let order = EventOrder::OldestFirst;
            let page = self.access.log_search(by, query, order, cursor, store::MAX_EVENT_PAGE).await?;
            found.extend(page.found.iter().map(|one| one.index));
            if found.len() > pack::MAX_EVENTS {
                return Err(Problem::fault("more events than an archive holds"));
            }
            match page.next {
                Some(next) => cursor = Some(next),
                None => return Ok(found),
            }
        }
    }
}

/// The log, where it is.
struct Tiles {
    store: Store,
    handle: Handle,
}

impl TileSource for Tiles {
    fn checkpoint(&self) -> Result<String, SourceError> {
        let found = self.handle.block_on(self.store.published_checkpoint());
        found.map_err(|error| SourceError::Unreadable(error.to_string()))?.ok_or(SourceError::Missing)
    }
    fn tile(&self, path: &str) -> Result<Vec<u8>, SourceError> {
        let path = parse_tile_path(path).map_err(|error| SourceError::Unreadable(error.to_string()))?;
        let found = self.handle.block_on(self.store.tile(&path));
        found.map_err(|error| SourceError::Unreadable(error.to_string()))?.ok_or(SourceError::Missing)
    }
}

fn told(failure: &Failure) -> Problem {
    match failure.code.as_str() {
        "not-signed-yet" | "not-in-the-log-yet" => Problem::not_yet(failure.what.clone()),
        _ => Problem::fault(&failure.what),
    }
}

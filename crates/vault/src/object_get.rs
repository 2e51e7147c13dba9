//! Reading an object, whole or in part: chunks are fetched, opened and passed on as the reader takes
//! them. The event of the read is durable before the first byte leaves.

use std::ops::Range;

use base::{ObjectId, RepositoryId};
use bytes::Bytes;
use futures::{StreamExt as _, stream::BoxStream};
use keys::{Purpose, STREAM_HEADER_BYTES, StreamLayout, StreamOpener};
use ledger::{Act, Activity};
use store::{Scope, Scoped, select};

use crate::{
    Decided, Object, Target, Vault, VaultError,
    object::{CONTENT, ObjectRow},
};

/// Chunks that are fetched at a time: 1 MiB.
const CHUNKS_AT_ONCE: u64 = 16;

/// Which bytes of an object (RFC 9110 14.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByteRange {
    /// From the first to the last, both counted in; the last may be past the end.
    FromTo(u64, u64),
    /// From there to the end.
    From(u64),
    /// The last so many.
    Last(u64),
}

/// An object's content.
pub struct ObjectContent {
    /// What is known about it.
    pub object: Object,
    /// Which bytes follow.
    pub range: Range<u64>,
    /// The bytes, opened as they are taken. After an error nothing more comes, and what came must not
    /// be used.
    pub stream: BoxStream<'static, Result<Bytes, VaultError>>,
}

const ONE: Scoped = select!(
    ["x.id, x.classification, p.classification, x.key_id, x.created_at, x.deleted_at, x.erasing_at, x.bytes, x.commitment, x.blob, x.sealed"]
    from "object x JOIN repository p ON p.account_id = x.account_id AND p.id = x.repository_id"
    on "x" where "x.repository_id = $2 AND x.id = $3"
);

/// What a reader takes chunks from.
struct Reading {
    vault: Vault,
    scope: Scope,
    target: (RepositoryId, ObjectId),
    decided: Decided,
    blob: String,
    opener: StreamOpener,
    layout: StreamLayout,
    chunks: Range<u64>,
    range: Range<u64>,
}

impl Vault {
    /// What is known about an object.
    pub async fn object_head(
        &self,
        scope: &Scope,
        target: (RepositoryId, ObjectId),
        decided: &Decided,
    ) -> Result<Object, VaultError> {
        let outcome = self.read_head(scope, target, decided).await;
        let object = Target::Object(target.0, target.1).object_ref(scope);
        self.noted(scope, decided, Activity::ObjectRead, object, outcome).await
    }

    async fn read_head(
        &self,
        scope: &Scope,
        target: (RepositoryId, ObjectId),
        decided: &Decided,
    ) -> Result<Object, VaultError> {
        let row = self.object_row(scope, target).await?;
        let key = self.keys().data_key(scope, row.key, Purpose::Read).await?;
        let object = row.open(scope, &key)?;
        self.record_object_read(scope, &row, None, decided).await?;
        Ok(object)
    }

    /// Reads an object, whole or in part.
    ///
    /// # Errors
    /// [`VaultError::Range`] for a range that is empty or starts past the end; [`VaultError::NotFound`].
    pub async fn object_get(
        &self,
        scope: &Scope,
        target: (RepositoryId, ObjectId),
        range: Option<ByteRange>,
        decided: &Decided,
    ) -> Result<ObjectContent, VaultError> {
        let outcome = self.read_content(scope, target, range, decided).await;
        let object = Target::Object(target.0, target.1).object_ref(scope);
        self.noted(scope, decided, Activity::ObjectRead, object, outcome).await
    }

    async fn read_content(
        &self,
        scope: &Scope,
        target: (RepositoryId, ObjectId),
        range: Option<ByteRange>,
        decided: &Decided,
    ) -> Result<ObjectContent, VaultError> {
        let repository = target.0;
        let row = self.object_row(scope, target).await?;
        let range = resolve(range, row.bytes)?;
        let key = self.keys().data_key(scope, row.key, Purpose::Read).await?;
        let object = row.open(scope, &key)?;
        let layout = StreamLayout::of(row.bytes)?;
        let header = 0..STREAM_HEADER_BYTES as u64;
        let header = self.read_content_of(scope, (repository, row.id), &row.blob, header).await?;
        let opener = key.stream_opener(&row.binding(scope, CONTENT), &header)?;
        // An empty object still has its last chunk, which shows that nothing was cut off.
        let chunks = if row.bytes == 0 { 0..1 } else { layout.chunks_of(range.clone()) };
        let mut reading = Reading {
            vault: self.clone(),
            scope: scope.clone(),
            target: (repository, row.id),
            decided: decided.clone(),
            blob: row.blob.clone(),
            opener,
            layout,
            chunks,
            range: range.clone(),
        };
        // What does not open is found before the event says that it was read, if it is at the start.
        let first = reading.next().await?;
        self.record_object_read(scope, &row, Some(&range), decided).await?;
        store::crash_point("vault.object-read-recorded"); // a crash here: the log has a read that nobody got
        let rest = futures::stream::try_unfold(reading, |mut reading| async move {
            match reading.next().await {
                Ok(Some(bytes)) => Ok(Some((bytes, reading))),
                Ok(None) => Ok(None),
                Err(error) => Err(reading.broke(error).await),
            }
        });
        let stream = futures::stream::iter(first.map(Ok)).chain(rest).boxed();
        Ok(ObjectContent { object, range, stream })
    }

    async fn object_row(
        &self,
        scope: &Scope,
        (repository, id): (RepositoryId, ObjectId),
    ) -> Result<ObjectRow, VaultError> {
        let row = self.store().read(scope).await?.row(ONE, &[(&repository).into(), (&id).into()]).await?;
        let row = row.map(|row| self.read_object(repository, &row)).transpose()?;
        row.filter(|row| row.deleted_at.is_none() && !row.erasing).ok_or(VaultError::NotFound("object"))
    }

    /// Sealed bytes of an object. What is missing because the object is being erased, or was, is not
    /// damage: the mark is durable before anything of it goes.
    async fn read_content_of(
        &self,
        scope: &Scope,
        (repository, id): (RepositoryId, ObjectId),
        blob: &str,
        range: Range<u64>,
    ) -> Result<Bytes, VaultError> {
        match self.read_sealed(scope, blob, range).await {
            Err(VaultError::Damaged) => {}
            outcome => return outcome,
        }
        let row = self.store().read(scope).await?.row(ONE, &[(&repository).into(), (&id).into()]).await?;
        let row = row.map(|row| self.read_object(repository, &row)).transpose()?;
        Err(row.filter(|row| !row.erasing).map_or(VaultError::NotFound("object"), |_| VaultError::Damaged))
    }

    async fn record_object_read(
        &self,
        scope: &Scope,
        row: &ObjectRow,
        range: Option<&Range<u64>>,
        decided: &Decided,
    ) -> Result<(), VaultError> {
        if !row.effective.is_confidential() {
            return Ok(());
        }
        let object = Target::Object(row.repository, row.id).object_ref(scope);
        let mut act = Act::new(Activity::ObjectRead, object.classified(row.effective.name()))
            .before(row.commitment)
            .key(row.key, "read")
            .decided_by(decided.policies.clone())
            .detail("content", range.is_some());
        if let Some(range) = range {
            act = act.detail("from", range.start).detail("to", range.end);
        }
        self.store().record(scope, act).await?;
        Ok(())
    }
}

impl Reading {
    /// The next bytes.
    async fn next(&mut self) -> Result<Option<Bytes>, VaultError> {
        let first = self.chunks.start;
        let end = first.saturating_add(CHUNKS_AT_ONCE).min(self.chunks.end);
        if first >= end {
            return Ok(None);
        }
        self.chunks.start = end;
        let start = self.layout.chunk_bounds(first).start;
        let stop = self.layout.chunk_bounds(end - 1).end;
        let sealed = self.vault.read_content_of(&self.scope, self.target, &self.blob, start..stop).await?;
        let mut out = Vec::new();
        for index in first..end {
            let bounds = self.layout.chunk_bounds(index);
            let chunk = usize::try_from(bounds.start - start)
                .ok()
                .zip(usize::try_from(bounds.end - start).ok())
                .and_then(|(from, to)| sealed.get(from..to))
                .ok_or(VaultError::Damaged)?;
            let plain = self.opener.open_chunk(index, self.layout.is_last(index), chunk)?;
            let place = self.layout.plain_bounds(index);
            let from = self.range.start.clamp(place.start, place.end) - place.start;
            let to = self.range.end.clamp(place.start, place.end) - place.start;
            let wanted = usize::try_from(from).ok().zip(usize::try_from(to).ok());
            let wanted = wanted.and_then(|(from, to)| plain.expose().get(from..to));
            out.extend_from_slice(wanted.ok_or(VaultError::Damaged)?);
        }
        Ok(Some(Bytes::from(out)))
    }

    /// Records that a read broke off, and why.
    async fn broke(&self, error: VaultError) -> VaultError {
        let object = Target::Object(self.target.0, self.target.1).object_ref(&self.scope);
        let outcome: Result<(), _> = Err(error);
        let noted = self.vault.noted(&self.scope, &self.decided, Activity::ObjectRead, object, outcome).await;
        noted.err().unwrap_or(VaultError::Damaged)
    }
}

/// The bytes that a range asks for.
fn resolve(range: Option<ByteRange>, bytes: u64) -> Result<Range<u64>, VaultError> {
    let resolved = match range {
        None => return Ok(0..bytes),
        Some(ByteRange::FromTo(from, to)) if from <= to => from..to.saturating_add(1).min(bytes),
        Some(ByteRange::FromTo(..)) => return Err(VaultError::Range { bytes }),
        Some(ByteRange::From(from)) => from..bytes,
        Some(ByteRange::Last(count)) => bytes.saturating_sub(count)..bytes,
    };
    if resolved.start < resolved.end { Ok(resolved) } else { Err(VaultError::Range { bytes }) }
}

impl std::fmt::Debug for ObjectContent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ObjectContent({}, {:?})", self.object.id, self.range)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_those_of_http() {
        let resolved = |range, bytes| resolve(Some(range), bytes).ok();
        assert_eq!(resolve(None, 0).ok(), Some(0..0));
        assert_eq!(resolved(ByteRange::FromTo(0, 0), 10), Some(0..1));
        assert_eq!(resolved(ByteRange::FromTo(5, 99), 10), Some(5..10));
        assert_eq!(resolved(ByteRange::FromTo(5, 4), 10), None);
        assert_eq!(resolved(ByteRange::FromTo(10, 12), 10), None);
        assert_eq!(resolved(ByteRange::From(9), 10), Some(9..10));
        assert_eq!(resolved(ByteRange::From(10), 10), None);
        assert_eq!(resolved(ByteRange::Last(3), 10), Some(7..10));
        assert_eq!(resolved(ByteRange::Last(30), 10), Some(0..10));
        assert_eq!(resolved(ByteRange::Last(0), 10), None);
        assert_eq!(resolved(ByteRange::FromTo(0, u64::MAX), 10), Some(0..10));
    }
}

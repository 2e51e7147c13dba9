//! Objects: streams in and out, ranges, damage, quotas, what uploads leave behind.

use base::{Fault as _, ObjectId, RepositoryId};
use bytes::Bytes;
use futures::TryStreamExt as _;
use object_store::{ObjectStoreExt as _, PutPayload, path::Path};
use store::Realm;
use vault::{Basis, ByteRange, HoldTarget, NewObject, NewRepository, State, Target, VaultConfig, VaultError};

use crate::support::{World, code, kept};

const NEW: NewObject<'static> =
    NewObject { name: "scan.pdf", content_type: "application/pdf", classification: None, length: None };

/// Bytes that differ everywhere.
fn plain(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

async fn put(
    w: &World,
    repository: RepositoryId,
    bytes: &[u8],
    new: NewObject<'_>,
) -> Result<vault::Object, VaultError> {
    let pieces: Vec<Result<Bytes, std::io::Error>> =
        bytes.chunks(100_000).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    let stored =
        w.vault.object_put(&w.scope, repository, new, futures::stream::iter(pieces), &w.decided).await?;
    Ok(stored.into_inner())
}

async fn get(
    w: &World,
    repository: RepositoryId,
    id: ObjectId,
    range: Option<ByteRange>,
) -> Result<Vec<u8>, VaultError> {
    let content = w.vault.object_get(&w.scope, (repository, id), range, &w.decided).await?;
    let expected = content.range.end - content.range.start;
    let pieces: Vec<Bytes> = content.stream.try_collect().await?;
    let all = pieces.concat();
    assert_eq!(all.len() as u64, expected);
    Ok(all)
}

async fn blobs(w: &World) -> Vec<Path> {
    let mut paths: Vec<Path> = w.blobs.list(None).map_ok(|meta| meta.location).try_collect().await.unwrap();
    paths.sort();
    paths
}

testkit::on_both_engines! {
    async fn an_object_comes_back_whole_and_in_part(h: Harness) {
        let w = World::new(h).await;
        let repo = w.repository_with(kept(365, Basis::Business)).await;
        for bytes in [0, 1, 65_535, 65_536, 65_537, 4 * 1_048_576, 9_000_001] {
            let content = plain(bytes);
            let object = put(&w, repo.id, &content, NEW).await.unwrap();
            assert_eq!((object.bytes, object.name.as_str()), (bytes as u64, "scan.pdf"));
            assert_eq!(get(&w, repo.id, object.id, None).await.unwrap(), content);
            for (range, from, to) in [
                (ByteRange::FromTo(0, 0), 0, 1),
                (ByteRange::FromTo(65_530, 65_540), 65_530, 65_541),
                (ByteRange::Last(7), bytes.saturating_sub(7), bytes),
                (ByteRange::From(4_194_300), 4_194_300, bytes),
                (ByteRange::FromTo(1, u64::MAX), 1, bytes),
            ] {
                let got = get(&w, repo.id, object.id, Some(range)).await;
                let to = to.min(bytes);
                if from < to {
                    assert_eq!(got.unwrap(), content[from..to], "{range:?} of {bytes}");
                } else {
                    assert_eq!(code(&got.unwrap_err()), "range-not-satisfiable", "{range:?} of {bytes}");
                }
            }
            let head = w.vault.object_head(&w.scope, (repo.id, object.id), &w.decided).await.unwrap();
            assert_eq!(head, object);
        }
        let page = w.vault.object_list(&w.scope, repo.id, (5, None, false), &w.decided).await.unwrap();
        let rest = w.vault.object_list(&w.scope, repo.id, (5, page.next.as_deref(), false), &w.decided).await.unwrap();
        assert_eq!((page.objects.len(), rest.objects.len(), rest.next), (5, 2, None));
        assert_eq!(w.events("object.create", "\"bytes\":9000001"), 1);
        assert!(w.events("object.read", "\"from\":65530") >= 1);
        // Neither content nor name is stored readable.
        let rows = w.h.tamper(Realm::Data, "SELECT sealed FROM object");
        assert!(rows.iter().all(|row| !row.contains(&crate::support::hex(b"scan.pdf"))));
    }

    async fn damage_to_a_blob_is_found(h: Harness) {
        let w = World::new(h).await;
        let repo = w.repository("files", "internal").await;
        let object = put(&w, repo.id, &plain(200_000), NEW).await.unwrap();
        let path = blobs(&w).await.remove(0);
        let sealed = w.blobs.get(&path).await.unwrap().bytes().await.unwrap().to_vec();
        let chunk = 65_536 + 16;
        let header = sealed.len() - 200_000 - 4 * 16;
        let mut flipped = sealed.clone();
        flipped[header + 3 * chunk] ^= 1;
        let cut = sealed[..header + 3 * chunk].to_vec();
        let mut swapped = sealed.clone();
        swapped[header..header + chunk].copy_from_slice(&sealed[header + chunk..header + 2 * chunk]);
        for damaged in [flipped, cut, swapped] {
            w.blobs.put(&path, PutPayload::from(damaged)).await.unwrap();
            assert_eq!(code(&get(&w, repo.id, object.id, None).await.unwrap_err()), "stored-data-damaged");
        }
        assert_eq!(w.events("integrity.violation", "object.read"), 3);
        w.blobs.delete(&path).await.unwrap();
        assert_eq!(code(&get(&w, repo.id, object.id, None).await.unwrap_err()), "stored-data-damaged");
        // Told that it is shorter, the reader does not take the part for the whole.
        w.blobs.put(&path, PutPayload::from(sealed)).await.unwrap();
        w.h.tamper(Realm::Data, "UPDATE object SET bytes = 131072");
        assert_eq!(code(&get(&w, repo.id, object.id, None).await.unwrap_err()), "stored-data-damaged");
    }

    async fn what_broke_off_is_not_there(h: Harness) {
        let w = World::new(h).await;
        let repo = w.repository("files", "internal").await;
        let pieces = vec![Ok(Bytes::from(plain(5_000_000))), Err(std::io::Error::other("gone"))];
        let broken = w.vault.object_put(&w.scope, repo.id, NEW, futures::stream::iter(pieces), &w.decided).await;
        assert_eq!(code(&broken.unwrap_err()), "content-broken-off");
        for length in [9, 11] {
            let new = NewObject { length: Some(length), ..NEW };
            assert_eq!(code(&put(&w, repo.id, &plain(10), new).await.unwrap_err()), "content-broken-off");
        }
        assert_eq!(w.count("object"), 0);
        assert!(blobs(&w).await.is_empty());
        let new = NewObject { classification: Some("restricted"), ..NEW };
        assert_eq!(put(&w, repo.id, b"x", new).await.unwrap_err().clause(), Some("RR-2"));
        let new = NewObject { length: Some(vault::MAX_OBJECT_BYTES + 1), ..NEW };
        assert_eq!(code(&put(&w, repo.id, b"x", new).await.unwrap_err()), "limit-exceeded");
        assert_eq!(w.events("object.create", "content-broken-off"), 3);
    }

    async fn blobs_without_a_row_are_swept_after_a_day(h: Harness) {
        let w = World::new(h).await;
        let repo = w.repository("files", "internal").await;
        let object = put(&w, repo.id, &plain(10), NEW).await.unwrap();
        let orphan = put(&w, repo.id, &plain(10), NEW).await.unwrap();
        // As if the server had died before the row was committed.
        w.h.tamper(Realm::Data, &format!("DELETE FROM object WHERE id = x'{}'", crate::support::hex(orphan.id.as_bytes())));
        let passes = |hours: i64| {
            let w = &w;
            async move {
                for _ in 0..hours {
                    w.h.clock.advance(base::Duration::from_seconds(3_601));
                    w.runner.run_due().await.unwrap();
                }
            }
        };
        passes(20).await;
        assert_eq!(blobs(&w).await.len(), 2);
        passes(24).await;
        assert_eq!(blobs(&w).await.len(), 1);
        assert_eq!(get(&w, repo.id, object.id, None).await.unwrap(), plain(10));
        assert_eq!(w.events("retention.act", "parts of unfinished uploads"), 1);
    }

    async fn a_download_that_meets_an_erasure_is_not_damage(h: Harness) {
        let w = World::new(h).await;
        let repo = w.repository_with(kept(365, Basis::Business)).await;
        let object = put(&w, repo.id, &plain(9_000_000), NEW).await.unwrap();
        let content = w.vault.object_get(&w.scope, (repo.id, object.id), None, &w.decided).await.unwrap();
        let _ = w.vault.erase(&w.scope, Target::Object(repo.id, object.id), None, &w.decided).await.unwrap();
        let error = content.stream.try_collect::<Vec<Bytes>>().await.unwrap_err();
        assert_eq!(code(&error), "not-found");
        assert_eq!((w.events("integrity.violation", ""), w.events("object.read", "not-found")), (0, 1));
    }

    async fn an_account_has_a_quota(h: Harness) {
        let w = World::with(h, VaultConfig { max_object_bytes: 100, max_objects: 3, ..VaultConfig::default() }).await;
        let repo = w.repository("files", "internal").await;
        let first = put(&w, repo.id, &plain(60), NEW).await.unwrap();
        assert_eq!(code(&put(&w, repo.id, &plain(41), NEW).await.unwrap_err()), "limit-exceeded");
        assert_eq!(blobs(&w).await.len(), 1);
        let _ = put(&w, repo.id, &plain(40), NEW).await.unwrap();
        // Deleted still counts; erased does not.
        let target = Target::Object(repo.id, first.id);
        let _ = w.vault.delete(&w.scope, target, None, None, &w.decided).await.unwrap();
        assert_eq!(code(&put(&w, repo.id, &plain(1), NEW).await.unwrap_err()), "limit-exceeded");
        let _ = w.vault.erase(&w.scope, target, None, &w.decided).await.unwrap();
        let _ = put(&w, repo.id, &plain(1), NEW).await.unwrap();
        let _ = put(&w, repo.id, &plain(1), NEW).await.unwrap();
        assert_eq!(code(&put(&w, repo.id, &plain(1), NEW).await.unwrap_err()), "limit-exceeded");
        // Another account has its own.
        assert_eq!(w.h.tamper(Realm::Data, "SELECT objects, bytes FROM object_usage"), ["3|42"]);
    }

    async fn objects_live_by_the_same_rules(h: Harness) {
        let w = World::new(h).await;
        let repo = w.repository_with(NewRepository { name: "law".into(), ..kept(100, Basis::Law) }).await;
        let object = put(&w, repo.id, &plain(5_000_000), NEW).await.unwrap();
        let target = Target::Object(repo.id, object.id);
        let erase = || w.vault.erase(&w.scope, target, None, &w.decided);
        assert_eq!(code(&erase().await.unwrap_err()), "retention-period");
        let hold = w.vault.hold_set(&w.scope, HoldTarget::One(target), "dispute", &w.decided).await.unwrap();
        assert_eq!(code(&w.vault.delete(&w.scope, target, None, None, &w.decided).await.unwrap_err()), "legal-hold");
        w.pass_days(101);
        w.runner.run_due().await.unwrap();
        assert_eq!(get(&w, repo.id, object.id, Some(ByteRange::Last(3))).await.unwrap().len(), 3);
        let _ = w.vault.hold_lift(&w.scope, hold.id, "settled", &w.decided).await.unwrap();
        let _ = w.vault.delete(&w.scope, target, Some(1), None, &w.decided).await.unwrap();
        assert_eq!(code(&get(&w, repo.id, object.id, None).await.unwrap_err()), "not-found");
        let _ = w.vault.restore(&w.scope, target, None, None, &w.decided).await.unwrap();
        assert_eq!(get(&w, repo.id, object.id, None).await.unwrap(), plain(5_000_000));
        w.pass_days(1);
        w.runner.run_due().await.unwrap();
        let explained = w.vault.explain(&w.scope, target, &w.decided).await.unwrap();
        assert_eq!(explained.state, State::Erased);
        assert!(blobs(&w).await.is_empty());
        let certificate = w.vault.certificate_of(&w.scope, target, &w.decided).await.unwrap();
        assert_eq!(certificate.statement.cause, vault::Cause::Retention);
        assert_eq!(erase().await.unwrap().into_inner(), certificate);
    }
}

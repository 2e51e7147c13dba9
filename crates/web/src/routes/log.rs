//! The log as others see it (C2SP tlog-tiles): for anybody, without a token, since leaves hold no
//! personal data and nothing here says what was stored.

use axum::{
    extract::State,
    http::{HeaderName, header},
    response::{IntoResponse, Response},
};
use ledger::{TILE_WIDTH, TlogProof, inclusion_proof, parse_tile_path};

use crate::{
    App,
    extract::Path,
    problem::{Http, Problem},
    schema::{Bytes, TilePathText},
};

/// A full tile never changes.
const FOR_EVER: &str = "public, max-age=31536000, immutable";
/// The checkpoint and partial tiles are soon replaced.
const SHORTLY: &str = "public, max-age=1";
const PLAIN: &str = "text/plain; charset=utf-8";
const OCTETS: &str = "application/octet-stream";

fn cached(media: &'static str, life: &'static str) -> [(HeaderName, &'static str); 2] {
    [(header::CONTENT_TYPE, media), (header::CACHE_CONTROL, life)]
}

fn nothing(what: &str) -> Problem {
    Problem::http(Http::Route, format!("the log has no {what}"))
}

/// The newest signed checkpoint (C2SP tlog-checkpoint); where witnesses are configured, the newest that their quorum
/// cosigned.
#[utoipa::path(get, path = "/log/checkpoint", operation_id = "log_checkpoint",
    responses((status = 200, description = "A signed note.", body = String, content_type = "text/plain")))]
pub(crate) async fn checkpoint(State(app): State<App>) -> Result<Response, Problem> {
    let note = app.store().published_checkpoint().await?.ok_or_else(|| nothing("checkpoint yet"))?;
    Ok((cached(PLAIN, SHORTLY), note).into_response())
}

/// A tile of hashes or a bundle of entries (C2SP tlog-tiles).
#[utoipa::path(get, path = "/log/tile/{path}", operation_id = "log_tile",
    params(("path" = TilePathText, Path, description = "Such as `0/x001/234.p/5` or `entries/000`.")),
    responses((status = 200, description = "The tile.", body = Bytes, content_type = "application/octet-stream")))]
pub(crate) async fn tile(State(app): State<App>, Path(path): Path<String>) -> Result<Response, Problem> {
    let path = parse_tile_path(&format!("tile/{path}"))?;
    let data = app.store().tile(&path).await?.ok_or_else(|| nothing("such tile"))?;
    let life = if path.width == TILE_WIDTH { FOR_EVER } else { SHORTLY };
    Ok((cached(OCTETS, life), data).into_response())
}

/// The key that verifies the log (a vkey of C2SP signed-note). Compare it with one that came another way.
#[utoipa::path(get, path = "/log/key", operation_id = "log_key",
    responses((status = 200, description = "The verifier key.", body = String, content_type = "text/plain")))]
pub(crate) async fn key(State(app): State<App>) -> Response {
    (cached(PLAIN, SHORTLY), format!("{}\n", app.signer().vkey())).into_response()
}

/// A proof that an entry is in the log, which can be checked alone and offline (C2SP tlog-proof). The
/// entry is in it.
#[utoipa::path(get, path = "/log/proof/{index}", operation_id = "log_proof",
    params(("index" = u64, Path, minimum = 0, maximum = 9_223_372_036_854_775_807_i64,
        description = "The entry's index, from 0.")),
    responses((status = 200, description = "The proof.", body = String, content_type = "text/plain")))]
pub(crate) async fn proof(State(app): State<App>, Path(index): Path<u64>) -> Result<Response, Problem> {
    let note = app.store().published_checkpoint().await?.ok_or_else(|| nothing("checkpoint yet"))?;
    let signed = app.signer().verifier().verify(&note);
    let size = signed.map_err(|error| Problem::internal(format!("the stored checkpoint: {error}")))?.size;
    if index >= size {
        return Err(nothing("such entry in its newest checkpoint"));
    }
    let entry =
        app.store().leaf(index).await?.ok_or_else(|| Problem::internal("a logged entry is missing"))?;
    let path = app.store().prove(|read| inclusion_proof(index, size, read)).await?;
    let proof = TlogProof { extra: Some(entry), index, path, checkpoint: note };
    Ok((cached(PLAIN, SHORTLY), proof.encode()).into_response())
}

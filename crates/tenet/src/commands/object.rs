//! `tenet object`: as a customer's client. Contents stream in both directions; memory stays small.

use std::{
    io::SeekFrom,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use indicatif::ProgressBar;
use reqwest::{Body, Method};
use serde_json::json;
use tokio::{
    fs::{self, File, OpenOptions},
    io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt},
};

use super::{
    Session,
    record::{At, erase, explain},
};
use crate::{
    cli::ObjectCommand,
    client::Api,
    failure::{Exit, Failure},
    output::Column,
    progress,
};

/// How much is read from a file at once, in bytes.
const PIECE_BYTES: usize = 65_536;

const COLUMNS: &[Column] = &[
    ("id", "/id"),
    ("name", "/name"),
    ("type", "/content_type"),
    ("classification", "/classification"),
    ("bytes", "/bytes"),
    ("created", "/created_at"),
    ("deleted", "/deleted_at"),
];

pub(super) async fn run(session: &Session, command: ObjectCommand) -> Result<(), Failure> {
    let api = session.client()?;
    match command {
        ObjectCommand::Put { file, repository, name, content_type, classification } => {
            let name = name.or_else(|| file.file_name().map(|name| name.to_string_lossy().into_owned()));
            let mut query = vec![("name", name.unwrap_or_else(|| "object".to_owned()))];
            query.extend(classification.map(|level| ("classification", level)));
            let url = api.url(&["v1", "repositories", &repository.to_string(), "objects"], &query);
            put(session, &api, &file, url, &content_type).await
        }
        ObjectCommand::Get { object, repository, out, range } => {
            let url = api
                .url(&["v1", "repositories", &repository.to_string(), "objects", &object.to_string()], &[]);
            let range = range.map(|range| format!("bytes={range}"));
            get(session, &api, url, out.as_deref(), range.as_deref()).await
        }
        ObjectCommand::List { repository, limit } => {
            let repository = repository.to_string();
            let path = ["v1", "repositories", &repository, "objects"];
            session.out.list(&api.all(&path, "cursor", limit).await?, COLUMNS)
        }
        ObjectCommand::Delete { object, repository } => {
            let path = ["v1", "repositories", &repository.to_string(), "objects", &object.to_string()];
            let gone = api.call(Method::DELETE, api.url(&path, &[])).await?.send().await?.body;
            session.out.item(
                &gone,
                &[("id", "/id"), ("deleted", "/deleted_at"), ("restorable until", "/restorable_until")],
            )
        }
        ObjectCommand::Restore { object, repository } => {
            let at = At::object(repository, object);
            session.out.item(&at.act(&api, Method::POST, &["restore"]).await?.body, COLUMNS)
        }
        ObjectCommand::Erase { object, repository, certificate } => {
            erase(session, &api, &At::object(repository, object), certificate.as_deref()).await
        }
        ObjectCommand::Explain { object, repository } => {
            explain(session, &api, &At::object(repository, object)).await
        }
    }
}

async fn put(
    session: &Session,
    api: &Api,
    path: &Path,
    url: reqwest::Url,
    content_type: &str,
) -> Result<(), Failure> {
    let failed = |error: &std::io::Error| Failure::file("can't read", path, error);
    let mut file = File::open(path).await.map_err(|error| failed(&error))?;
    let length = file.seek(SeekFrom::End(0)).await.map_err(|error| failed(&error))?;
    file.rewind().await.map_err(|error| failed(&error))?;
    let bar = progress::bar("sending", length, true);
    let call = api.call(Method::POST, url).await?;
    let reply = call
        .header("content-type", content_type)
        .header("content-length", &length.to_string())
        .body(Body::wrap_stream(pieces(file, bar.clone())))
        .send_however_long()
        .await;
    bar.finish_and_clear();
    session.out.item(&reply?.body, COLUMNS)
}

/// A file's content, piece by piece.
fn pieces(file: File, bar: ProgressBar) -> impl futures::Stream<Item = std::io::Result<Bytes>> {
    futures::stream::try_unfold((file, bar), |(mut file, bar)| async move {
        let mut piece = vec![0; PIECE_BYTES];
        let read = file.read(&mut piece).await?;
        if read == 0 {
            return Ok(None);
        }
        piece.truncate(read);
        bar.inc(read as u64);
        Ok(Some((Bytes::from(piece), (file, bar))))
    })
}

async fn get(
    session: &Session,
    api: &Api,
    url: reqwest::Url,
    out: Option<&Path>,
    range: Option<&str>,
) -> Result<(), Failure> {
    let call = api.call(Method::GET, url).await?.maybe_header("range", range);
    let response = call.stream().await?;
    let Some(path) = out else {
        return receive(response, async |piece| session.out.bytes(&piece)).await.map(|_| ());
    };
    // Beside its place first: a download that breaks off leaves nothing that looks whole.
    let beside = PathBuf::from(format!("{}.{}.part", path.display(), std::process::id()));
    let outcome = download(response, &beside, path).await;
    if outcome.is_err() {
        let _ = fs::remove_file(&beside).await;
    }
    let bytes = outcome?;
    let shown = path.display().to_string();
    session.out.say(&format!("{bytes} bytes written to `{shown}`"), &json!({ "file": shown, "bytes": bytes }))
}

async fn download(response: reqwest::Response, beside: &Path, path: &Path) -> Result<u64, Failure> {
    let failed = |error: &std::io::Error| Failure::file("can't write", path, error);
    let mut options = OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).mode(0o600).open(beside).await;
    let file = tokio::sync::Mutex::new(file.map_err(|error| failed(&error))?);
    let bytes = receive(response, async |piece| {
        file.lock().await.write_all(&piece).await.map_err(|error| failed(&error))
    })
    .await?;
    let mut file = file.into_inner();
    file.flush().await.map_err(|error| failed(&error))?;
    file.sync_all().await.map_err(|error| failed(&error))?;
    fs::rename(beside, path).await.map_err(|error| failed(&error))?;
    Ok(bytes)
}

/// Hands each piece of an answer on; how many bytes there were.
async fn receive(
    mut response: reqwest::Response,
    each: impl AsyncFn(Bytes) -> Result<(), Failure>,
) -> Result<u64, Failure> {
    let broken = |why: String| {
        Failure::new(Exit::Unavailable, "broken-off", "the content broke off")
            .why(why)
            .remedy("read it again")
    };
    let length = response.content_length();
    let bar = progress::bar("receiving", length.unwrap_or(0), true);
    let mut bytes = 0;
    while let Some(piece) = response.chunk().await.map_err(|error| broken(error.to_string()))? {
        bytes += piece.len() as u64;
        bar.inc(piece.len() as u64);
        each(piece).await?;
    }
    bar.finish_and_clear();
    match length {
        Some(length) if length != bytes => Err(broken(format!("{bytes} of {length} bytes came"))),
        _ => Ok(bytes),
    }
}

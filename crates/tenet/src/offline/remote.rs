//! A log on a server. Tiles are asked for one by one, from a thread that may wait.

use ledger::{MAX_BUNDLE_BYTES, SourceError, TileSource};
use reqwest::Method;
use tokio::runtime::Handle;

use crate::{client::Api, failure::Exit};

/// The log that a server serves at `/log`, or a witness's copy at a path of its own.
#[derive(Debug)]
pub struct Remote {
    api: Api,
    path: Vec<String>,
    handle: Handle,
}

impl Remote {
    /// To be used from a blocking thread of the runtime that `handle` is of.
    pub fn new(api: Api, path: Vec<String>, handle: Handle) -> Self {
        Self { api, path, handle }
    }

    fn read(&self, path: &str) -> Result<Vec<u8>, SourceError> {
        let mut segments: Vec<&str> = self.path.iter().map(String::as_str).collect();
        segments.extend(path.split('/'));
        self.handle.block_on(async {
            let unreadable = |failure: crate::failure::Failure| match failure.exit {
                Exit::NotFound => SourceError::Missing,
                _ => SourceError::Unreadable(failure.why.clone().unwrap_or_else(|| failure.what.clone())),
            };
            let call = self.api.call(Method::GET, self.api.url(&segments, &[])).await.map_err(unreadable)?;
            let mut response = call.stream().await.map_err(unreadable)?;
            let mut data = Vec::new();
            loop {
                let piece =
                    response.chunk().await.map_err(|error| SourceError::Unreadable(error.to_string()))?;
                let Some(piece) = piece else { return Ok(data) };
                if data.len() + piece.len() > MAX_BUNDLE_BYTES {
                    return Err(SourceError::Unreadable("it is larger than a tile can be".to_owned()));
                }
                data.extend_from_slice(&piece);
            }
        })
    }
}

impl TileSource for Remote {
    fn checkpoint(&self) -> Result<String, SourceError> {
        String::from_utf8(self.read("checkpoint")?)
            .map_err(|_| SourceError::Unreadable("the checkpoint is not text".to_owned()))
    }
    fn tile(&self, path: &str) -> Result<Vec<u8>, SourceError> {
        self.read(path)
    }
}

//! One request to a receiver, and what its answer means: taken, not now, or never.

use std::time::Duration;

use reqwest::{RequestBuilder, StatusCode, Url};
use rustls_pki_types::CertificateDer;
use watch::Untaken;

use crate::{client::Pinned, config};

const CALL_TIMEOUT: Duration = Duration::from_secs(20);

/// A client that trusts these authorities; none: those that the system trusts.
pub(crate) fn client(authorities: &[CertificateDer<'static>]) -> Result<reqwest::Client, String> {
    let mut builder = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(CALL_TIMEOUT)
        .user_agent(concat!("tenet/", env!("CARGO_PKG_VERSION")));
    if authorities.is_empty() {
        // What the system trusts, by way of the provider that everything here uses. One that is set already is it.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    } else {
        let tls = Pinned::by_certificates(authorities).map_err(|error| error.to_string())?;
        builder = builder.tls_backend_preconfigured(tls);
    }
    builder.build().map_err(|error| error.to_string())
}

/// The address on a file's first line. It may be a secret itself, and is not shown.
pub(super) fn address(line: Option<&String>) -> Result<Url, String> {
    let text = line.map(String::as_str).unwrap_or_default();
    let url = Url::parse(text).map_err(|_| "the first line of its file is not an address".to_owned())?;
    if url.scheme() != "https" && !config::is_clear_and_near(text) {
        return Err("give an `https://` address; `http://` is for this machine itself alone".to_owned());
    }
    Ok(url)
}

/// Sends a request.
pub(super) async fn send(call: RequestBuilder) -> Result<(), Untaken> {
    let answer = call.send().await.map_err(|error| {
        let code = match (error.is_timeout(), error.is_builder()) {
            (true, _) => "timed-out",
            (_, true) => "not-sent",
            _ => "unreachable",
        };
        Untaken { code, answer: None, again: !error.is_builder() }
    })?;
    meaning(answer.status())
}

/// What a receiver means by a status. That it is asked too much, or is not well, passes; that it does not want this does not.
fn meaning(status: StatusCode) -> Result<(), Untaken> {
    let untaken = |code, again| Err(Untaken { code, answer: Some(status.as_u16()), again });
    match status {
        _ if status.is_success() => Ok(()),
        StatusCode::TOO_MANY_REQUESTS => untaken("rate-limited", true),
        StatusCode::REQUEST_TIMEOUT => untaken("timed-out", true),
        _ if status.is_server_error() => untaken("server-error", true),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => untaken("not-allowed", false),
        _ => untaken("refused", false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_is_tried_again_and_what_does_not_is_not() {
        let again = |status: u16| meaning(StatusCode::from_u16(status).unwrap()).map_err(|one| one.again);
        for (status, expected) in [
            (200, Ok(())),
            (202, Ok(())),
            (301, Err(false)),
            (400, Err(false)),
            (403, Err(false)),
            (404, Err(false)),
            (410, Err(false)),
            (408, Err(true)),
            (429, Err(true)),
            (500, Err(true)),
            (503, Err(true)),
        ] {
            assert_eq!(again(status), expected, "{status}");
        }
        assert!(address(Some(&"http://hook.example/a".to_owned())).is_err());
        assert!(address(None).is_err());
        assert!(address(Some(&"http://127.0.0.1:1/a".to_owned())).is_ok());
    }
}

//! Checks of the machine's and the database's part: files, forced separation, the listener.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use rustls::{CipherSuite, ProtocolVersion, pki_types::ServerName};
use store::{Realm, StoreError, SystemScope};
use watch::Sight;

use super::{Grounds, Looked, why};
use crate::client::Pinned;

const PATIENCE: Duration = Duration::from_secs(5);
/// What others than the owner may do.
const OTHERS: u32 = 0o077;

/// Whether a file or directory is its owner's alone, and the owner is whoever runs the server.
fn is_private(path: &PathBuf) -> Result<bool, String> {
    let found =
        fs::metadata(path).map_err(|error| format!("`{}` can't be looked at: {error}", path.display()))?;
    // Every process may look at itself.
    let me = fs::metadata("/proc/self").map_err(why)?.uid();
    Ok(found.permissions().mode() & OTHERS == 0 && found.uid() == me)
}

fn private(paths: &[PathBuf], what: &str) -> Looked {
    let mut open = Vec::new();
    for path in paths {
        if !is_private(path)? {
            open.push(path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned()));
        }
    }
    let summary = match open.as_slice() {
        [] => format!("{what}: {} are their owner's alone", paths.len()),
        some => format!("{what}: others can read or change {}", some.join(", ")),
    };
    Ok(Sight::counted(paths.len() as u64, open.len() as u64, summary))
}

pub(super) async fn accounts_apart(grounds: &Grounds, _: &SystemScope) -> Looked {
    match grounds.data.check_isolation().await {
        Ok(true) => Ok(Sight::whether(
            true,
            "row-level security is forced on each account's table, and the role can't escape it",
        )),
        Ok(false) => {
            let files = ["data.db", "keys.db"].map(|name| grounds.directory.join(name));
            private(&files, "the embedded database's files")
        }
        Err(StoreError::Unsafe(found)) => Ok(Sight::whether(false, found)),
        Err(error) => Err(why(error)),
    }
}

pub(super) async fn key_files(grounds: &Grounds, _: &SystemScope) -> Looked {
    let keys = &grounds.config.keys;
    let mut paths = vec![grounds.directory.clone()];
    if keys.provider.value == "pkcs11" {
        paths.extend(keys.pkcs11_pin_file.clone());
    } else {
        paths.push(keys.file.clone().unwrap_or_else(|| grounds.directory.join("provider.key")));
    }
    debug_assert!(grounds.keys_store.realm() == Realm::Keys, "keys are apart from data");
    private(&paths, "the data directory and what opens the keys")
}

pub(super) async fn tls_only(grounds: &Grounds, _: &SystemScope) -> Looked {
    let (address, authority) = (grounds.address, grounds.authority.clone());
    let looked = tokio::task::spawn_blocking(move || {
        let spoken = handshake(address, &authority)?;
        Ok::<_, String>((spoken, in_the_clear(address)?))
    });
    let ((version, suite), clear) = looked.await.map_err(why)??;
    Ok(spoken(version, suite, clear))
}

/// What was spoken, held against what is approved.
fn spoken(version: Option<ProtocolVersion>, suite: Option<CipherSuite>, clear: bool) -> Sight {
    let is_approved = matches!(version, Some(ProtocolVersion::TLSv1_2 | ProtocolVersion::TLSv1_3))
        && suite.is_some_and(|suite| web::SUITES.contains(&suite));
    let named = |name: Option<String>| name.unwrap_or_else(|| "nothing".to_owned());
    let summary = format!(
        "the listener speaks {} with {}, {}; in the clear it {}",
        named(version.map(|version| format!("{version:?}"))),
        named(suite.map(|suite| format!("{suite:?}"))),
        if is_approved { "which is approved" } else { "which is not approved" },
        if clear { "answers" } else { "says nothing" }
    );
    Sight::counted(2, u64::from(!is_approved) + u64::from(clear), summary)
}

fn connect(address: std::net::SocketAddr) -> Result<TcpStream, String> {
    let stream = TcpStream::connect_timeout(&address, PATIENCE).map_err(why)?;
    stream
        .set_read_timeout(Some(PATIENCE))
        .and_then(|()| stream.set_write_timeout(Some(PATIENCE)))
        .map_err(why)?;
    Ok(stream)
}

/// The version and the suite of a handshake with the listener, by whoever trusts its authority alone.
fn handshake(
    address: std::net::SocketAddr,
    authority: &str,
) -> Result<(Option<ProtocolVersion>, Option<CipherSuite>), String> {
    let config = Pinned::by_pem(authority).map_err(|failure| failure.what.clone())?;
    let name = ServerName::from(address.ip());
    let mut session = rustls::ClientConnection::new(Arc::new(config), name).map_err(why)?;
    let mut stream = connect(address)?;
    while session.is_handshaking() {
        session.complete_io(&mut stream).map_err(|error| format!("the handshake fails: {error}"))?;
    }
    Ok((session.protocol_version(), session.negotiated_cipher_suite().map(|suite| suite.suite())))
}

/// Whether the listener answers HTTP without TLS.
fn in_the_clear(address: std::net::SocketAddr) -> Result<bool, String> {
    let mut stream = connect(address)?;
    stream
        .write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        .map_err(why)?;
    let mut answer = Vec::new();
    // A connection that is cut is no answer.
    let _ = stream.take(4_096).read_to_end(&mut answer);
    Ok(answer.starts_with(b"HTTP/"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use policy::Seen;

    #[test]
    fn what_is_not_approved_fails() {
        let (new, good) = (Some(ProtocolVersion::TLSv1_3), Some(CipherSuite::TLS13_AES_256_GCM_SHA384));
        assert_eq!(spoken(new, good, false).seen, Seen::Pass);
        let old = Some(ProtocolVersion::TLSv1_1);
        let weak = Some(CipherSuite::TLS_RSA_WITH_AES_128_CBC_SHA);
        for (version, suite, clear) in
            [(old, good, false), (new, weak, false), (None, None, false), (new, good, true)]
        {
            assert_eq!(spoken(version, suite, clear).seen, Seen::Fail, "{version:?} {suite:?} {clear}");
        }
        assert_eq!(spoken(old, weak, true).failed, 2);
    }
}

//! The server's end of TLS: 1.3, and 1.2 with suites of ephemeral key exchange and authenticated
//! encryption alone (TR-4).

use std::sync::Arc;

use base::SecretBytes;
use rustls::{
    CipherSuite, ServerConfig,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::ResolvesServerCert,
};

/// The server's certificate and key.
#[derive(Debug)]
pub struct TlsPem {
    /// The certificate and those between it and its authority, in PEM, the server's first.
    pub chain: Vec<u8>,
    /// The private key, in PEM: PKCS#8, PKCS#1 or SEC1.
    pub key: SecretBytes,
}

/// Where the server's certificate comes from.
#[derive(Clone, Debug)]
pub enum Certificate {
    /// One, for as long as the server runs.
    Fixed(Arc<TlsPem>),
    /// Whatever is current at each handshake: it can be renewed while the server runs.
    Current(Arc<dyn ResolvesServerCert>),
}

impl From<TlsPem> for Certificate {
    fn from(pem: TlsPem) -> Self {
        Self::Fixed(Arc::new(pem))
    }
}

impl<R: ResolvesServerCert + 'static> From<Arc<R>> for Certificate {
    fn from(current: Arc<R>) -> Self {
        Self::Current(current)
    }
}

/// A certificate or key that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// No certificate.
    #[error(
        "the certificate file holds no certificate in PEM: give the server's first, then those between it and its authority"
    )]
    NoCertificate,
    /// Not PEM.
    #[error("the certificate file is not PEM: {0}")]
    Certificate(rustls::pki_types::pem::Error),
    /// No private key.
    #[error("the key file holds no private key in PEM")]
    Key,
    /// Certificate and key don't fit, or are of a kind that is not served.
    #[error("the certificate and the key can't be served: {0}")]
    Unusable(#[from] rustls::Error),
}

/// The suites that are spoken, the strongest first. Everything else is refused in the handshake.
pub const SUITES: [CipherSuite; 9] = [
    CipherSuite::TLS13_AES_256_GCM_SHA384,
    CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
    CipherSuite::TLS13_AES_128_GCM_SHA256,
    CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
];

/// What is spoken within, in the order of preference.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// The configuration of the listener.
pub(crate) fn config(certificate: &Certificate) -> Result<Arc<ServerConfig>, TlsError> {
    let builder = ServerConfig::builder_with_provider(Arc::new(provider()))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
        .with_no_client_auth();
    let mut config = match certificate {
        Certificate::Current(current) => builder.with_cert_resolver(Arc::clone(current)),
        Certificate::Fixed(pem) => {
            let (chain, key) = read(pem)?;
            builder.with_single_cert(chain, key)?
        }
    };
    config.alpn_protocols = PROTOCOLS.iter().map(|name| name.to_vec()).collect();
    config.ignore_client_order = true;
    // 0-RTT can be replayed: never.
    config.max_early_data_size = 0;
    Ok(Arc::new(config))
}

fn read(pem: &TlsPem) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), TlsError> {
    let chain = CertificateDer::pem_slice_iter(&pem.chain)
        .collect::<Result<Vec<_>, _>>()
        .map_err(TlsError::Certificate)?;
    if chain.is_empty() {
        return Err(TlsError::NoCertificate);
    }
    // What the reader says of a malformed key could quote it.
    let key = PrivateKeyDer::from_pem_slice(pem.key.expose()).map_err(|_| TlsError::Key)?;
    Ok((chain, key))
}

fn provider() -> CryptoProvider {
    let mut provider = aws_lc_rs::default_provider();
    provider.cipher_suites = SUITES
        .iter()
        .filter_map(|suite| aws_lc_rs::ALL_CIPHER_SUITES.iter().find(|known| known.suite() == *suite))
        .copied()
        .collect();
    provider
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConnection, SupportedCipherSuite};

    fn pem() -> (TlsPem, CertificateDer<'static>) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let key = SecretBytes::new(made.signing_key.serialize_pem().into_bytes());
        (TlsPem { chain: made.cert.pem().into_bytes(), key }, made.cert.der().clone())
    }

    fn handshake(suites: Vec<SupportedCipherSuite>) -> Result<CipherSuite, rustls::Error> {
        let (pem, root) = pem();
        let mut roots = RootCertStore::empty();
        roots.add(root).unwrap();
        let client = CryptoProvider { cipher_suites: suites, ..aws_lc_rs::default_provider() };
        let client = ClientConfig::builder_with_provider(Arc::new(client))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut client = ClientConnection::new(Arc::new(client), "localhost".try_into().unwrap())?;
        let mut server = ServerConnection::new(config(&pem.into()).unwrap())?;
        for _ in 0..8 {
            let mut wire = Vec::new();
            while client.wants_write() {
                client.write_tls(&mut wire).unwrap();
            }
            let mut read = &wire[..];
            while !read.is_empty() {
                server.read_tls(&mut read).unwrap();
                server.process_new_packets()?;
            }
            let mut wire = Vec::new();
            while server.wants_write() {
                server.write_tls(&mut wire).unwrap();
            }
            let mut read = &wire[..];
            while !read.is_empty() {
                client.read_tls(&mut read).unwrap();
                client.process_new_packets()?;
            }
        }
        Ok(server.negotiated_cipher_suite().ok_or(rustls::Error::HandshakeNotComplete)?.suite())
    }

    #[test]
    fn the_suites_are_the_approved_ones() {
        assert_eq!(provider().cipher_suites.len(), SUITES.len());
        for suite in SUITES {
            let name = format!("{suite:?}");
            assert!(name.starts_with("TLS13_") || name.starts_with("TLS_ECDHE_"), "{name}");
            assert!(name.contains("_GCM_") || name.contains("POLY1305"), "{name}");
        }
    }

    #[test]
    fn both_versions_complete_a_handshake() {
        let all = aws_lc_rs::ALL_CIPHER_SUITES;
        let only = |tls13: bool| all.iter().copied().filter(|it| (it.tls13().is_some()) == tls13).collect();
        assert_eq!(handshake(only(true)).unwrap(), CipherSuite::TLS13_AES_256_GCM_SHA384);
        let suite = handshake(only(false)).unwrap();
        assert_eq!(suite, CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384);
    }

    #[test]
    fn what_is_no_certificate_is_refused_and_no_key_is_quoted() {
        let (good, _) = pem();
        let key = |text: &str| SecretBytes::new(text.as_bytes().to_vec());
        let wrong = TlsPem { chain: Vec::new(), key: good.key.clone() };
        assert!(matches!(config(&wrong.into()), Err(TlsError::NoCertificate)));
        let wrong = TlsPem { chain: good.chain.clone(), key: key("hunter2") };
        assert_eq!(
            config(&wrong.into()).unwrap_err().to_string(),
            "the key file holds no private key in PEM"
        );
        let other = rcgen::generate_simple_self_signed(["other".to_owned()]).unwrap();
        let wrong = TlsPem { chain: good.chain, key: key(&other.signing_key.serialize_pem()) };
        assert!(matches!(config(&wrong.into()), Err(TlsError::Unusable(_))));
    }
}

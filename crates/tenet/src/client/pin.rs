//! Trust in the server: its private authority alone. Known by the fingerprint in an enrolment link at
//! first, by its certificate in the profile from then on.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature},
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject};

use crate::failure::Failure;

/// SHA-256 of a certificate.
pub fn fingerprint(certificate: &CertificateDer<'_>) -> [u8; 32] {
    let digest = ::aws_lc_rs::digest::digest(&::aws_lc_rs::digest::SHA256, certificate);
    digest.as_ref().try_into().unwrap_or_default()
}

/// Accepts servers whose chain ends in the authority of one fingerprint, and remembers that authority.
#[derive(Debug)]
pub struct Pinned {
    fingerprint: [u8; 32],
    provider: Arc<CryptoProvider>,
    seen: Mutex<Option<CertificateDer<'static>>>,
}

impl Pinned {
    /// Trusts the authority of that fingerprint.
    pub fn by_fingerprint(fingerprint: [u8; 32]) -> Arc<Self> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        Arc::new(Self { fingerprint, provider, seen: Mutex::new(None) })
    }

    /// The authority's certificate, once a connection has been made.
    pub fn authority(&self) -> Option<CertificateDer<'static>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A TLS configuration that trusts nothing else.
    pub fn client_config(self: &Arc<Self>) -> Result<ClientConfig, Error> {
        let builder = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(self) as Arc<dyn ServerCertVerifier>);
        Ok(speaking_http2(builder.with_no_client_auth()))
    }

    /// A TLS configuration that trusts the authority in this PEM alone.
    pub fn by_pem(pem: &str) -> Result<ClientConfig, Failure> {
        let wrong =
            || Failure::usage("the profile's certificate authority can't be read").remedy("enrol again");
        let authority = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|_| wrong())?;
        Self::by_certificate(authority.into_owned()).map_err(|error| wrong().why(error.to_string()))
    }

    /// A TLS configuration that trusts this authority alone.
    pub fn by_certificate(authority: CertificateDer<'static>) -> Result<ClientConfig, Error> {
        Self::by_certificates(&[authority])
    }

    /// A TLS configuration that trusts these authorities alone.
    pub fn by_certificates(authorities: &[CertificateDer<'static>]) -> Result<ClientConfig, Error> {
        let mut roots = RootCertStore::empty();
        for authority in authorities {
            roots.add(authority.clone())?;
        }
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots);
        Ok(speaking_http2(builder.with_no_client_auth()))
    }
}

/// Offers HTTP/2, and HTTP/1.1 after it.
fn speaking_http2(mut config: ClientConfig) -> ClientConfig {
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let authority = intermediates.iter().find(|one| fingerprint(one) == self.fingerprint);
        let authority = authority.ok_or(Error::InvalidCertificate(CertificateError::UnknownIssuer))?;
        let mut roots = RootCertStore::empty();
        roots.add(authority.clone().into_owned())?;
        let builder =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&self.provider));
        let verifier = builder.build().map_err(|error| Error::General(error.to_string()))?;
        let verified =
            verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)?;
        let authority = Some(authority.clone().into_owned());
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = authority;
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

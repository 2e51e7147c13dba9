//! The private certificate authority, and the server's certificates. The authority's key and its
//! certificate are one platform secret, so that all servers of an installation have the same; a
//! server's own key lives in memory alone, and its certificate 90 days.

use std::sync::{Arc, PoisonError, RwLock};

use base::{Context, Duration, SecretBytes, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SerialNumber,
};
use rustls::{
    crypto::aws_lc_rs::sign::any_ecdsa_type,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject};

/// How long the authority's certificate is valid.
const AUTHORITY_LIFE: Duration = Duration::from_days(3_650);
/// How long a server's certificate is valid.
pub const CERTIFICATE_LIFE: Duration = Duration::from_days(90);
/// A certificate with less than this left is replaced.
const RENEW_LEFT: Duration = Duration::from_days(30);
/// Allowance for clocks that are behind.
const BACKDATE: Duration = Duration::from_seconds(3_600);
const AUTHORITY_NAME: &str = "Tenet private authority";

/// Why a certificate can't be made.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// The library refuses.
    #[error("a certificate can't be made: {0}")]
    Make(#[from] rcgen::Error),
    /// The stored authority can't be read.
    #[error("the stored certificate authority is damaged")]
    Damaged,
    /// A name can't stand in a certificate.
    #[error("`server.names`: `{0}` can't stand in a certificate: use host names and addresses")]
    Name(String),
    /// No randomness.
    #[error(transparent)]
    Entropy(#[from] base::EntropyError),
}

/// The private certificate authority.
pub struct Authority {
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

/// A server's certificate, its chain and its key.
#[derive(Debug)]
pub struct ServerCertificate {
    key: Arc<CertifiedKey>,
    expires: Timestamp,
}

fn parameters(
    names: Vec<String>,
    common_name: &str,
    context: &Context,
    life: Duration,
) -> Result<CertificateParams, AuthorityError> {
    let mut parameters = CertificateParams::default();
    for name in names {
        let one = CertificateParams::new(vec![name.clone()]).map_err(|_| AuthorityError::Name(name))?;
        parameters.subject_alt_names.extend(one.subject_alt_names);
    }
    let now = context.now();
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    let instant =
        |time: Timestamp| epoch + std::time::Duration::from_secs(time.seconds().max(0).unsigned_abs());
    parameters.not_before = instant(now.minus(BACKDATE));
    parameters.not_after = instant(now + life);
    // RFC 5280 4.1.2.2: positive, at most 20 bytes.
    let mut serial = context.random::<16>()?;
    if let Some(first) = serial.first_mut() {
        *first = (*first & 0x7f) | 0x40;
    }
    parameters.serial_number = Some(SerialNumber::from_slice(&serial));
    parameters.distinguished_name = DistinguishedName::new();
    parameters.distinguished_name.push(DnType::CommonName, common_name);
    Ok(parameters)
}

impl Authority {
    /// A new authority, in the form that [`Authority::open`] reads: two PEM blocks, key and
    /// certificate. The key pair comes from AWS-LC's own generator, as its library offers no other.
    pub fn make(context: &Context) -> Result<SecretBytes, AuthorityError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut parameters = parameters(Vec::new(), AUTHORITY_NAME, context, AUTHORITY_LIFE)?;
        parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = parameters.self_signed(&key)?;
        Ok(SecretBytes::new((key.serialize_pem() + &certificate.pem()).into_bytes()))
    }

    /// The authority that [`Authority::make`] made.
    pub fn open(stored: &SecretBytes) -> Result<Self, AuthorityError> {
        let damaged = |_| AuthorityError::Damaged;
        let key = PrivatePkcs8KeyDer::from_pem_slice(stored.expose()).map_err(damaged)?;
        let certificate = CertificateDer::from_pem_slice(stored.expose()).map_err(damaged)?;
        let key = KeyPair::from_pkcs8_der_and_sign_algo(&key, &PKCS_ECDSA_P256_SHA256)?;
        // Of the parameters, an issuer only takes the name and the usages.
        let mut parameters = CertificateParams::default();
        parameters.distinguished_name = DistinguishedName::new();
        parameters.distinguished_name.push(DnType::CommonName, AUTHORITY_NAME);
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Ok(Self { certificate: certificate.into_owned(), issuer: Issuer::new(parameters, key) })
    }

    /// Its certificate in PEM: `ca.pem`.
    pub fn pem(&self) -> String {
        crate::pem::encode("CERTIFICATE", &self.certificate)
    }

    /// SHA-256 of its certificate.
    pub fn fingerprint(&self) -> [u8; 32] {
        crate::client::fingerprint(&self.certificate)
    }

    /// A certificate for a server of these names.
    pub fn issue(&self, names: &[String], context: &Context) -> Result<ServerCertificate, AuthorityError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut parameters = parameters(names.to_vec(), "Tenet server", context, CERTIFICATE_LIFE)?;
        parameters.use_authority_key_identifier_extension = true;
        parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let certificate = parameters.signed_by(&key, &self.issuer)?;
        let private = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let signing = any_ecdsa_type(&private).map_err(|_| AuthorityError::Damaged)?;
        // The authority's own certificate goes along, so that whoever knows its fingerprint alone can
        // pin it.
        let chain = vec![certificate.der().clone(), self.certificate.clone()];
        let expires = context.now() + CERTIFICATE_LIFE;
        Ok(ServerCertificate { key: Arc::new(CertifiedKey::new(chain, signing)), expires })
    }
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Authority")
    }
}

/// The certificate that is shown now. Handshakes read it; renewal replaces it.
#[derive(Debug)]
pub struct CurrentCertificate(RwLock<ServerCertificate>);

impl CurrentCertificate {
    /// Starts with this one.
    pub fn new(certificate: ServerCertificate) -> Arc<Self> {
        Arc::new(Self(RwLock::new(certificate)))
    }
    /// Whether less than a third of its life is left.
    pub fn is_due(&self, now: Timestamp) -> bool {
        let current = self.0.read().unwrap_or_else(PoisonError::into_inner);
        now + RENEW_LEFT >= current.expires
    }
    /// Until when it is valid.
    pub fn expires(&self) -> Timestamp {
        self.0.read().unwrap_or_else(PoisonError::into_inner).expires
    }
    /// Shows another from now on.
    pub fn replace(&self, certificate: ServerCertificate) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = certificate;
    }
}

impl ResolvesServerCert for CurrentCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner).key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::{Clock, SystemEntropy};
    use rustls::{RootCertStore, client::WebPkiServerVerifier, client::danger::ServerCertVerifier};
    use rustls_pki_types::{ServerName, UnixTime};

    struct At(Timestamp);
    impl Clock for At {
        fn now(&self) -> Timestamp {
            self.0
        }
    }

    fn context(day: i64) -> Context {
        let at = Timestamp::from_seconds(1_800_000_000) + Duration::from_days(day);
        Context::new(Arc::new(At(at)), Arc::new(SystemEntropy))
    }

    fn accepts(authority: &Authority, issued: &ServerCertificate, name: &str, day: i64) -> bool {
        let mut roots = RootCertStore::empty();
        roots.add(authority.certificate.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
        let now = std::time::Duration::from_secs(context(day).now().seconds().unsigned_abs());
        let (leaf, rest) = issued.key.cert.split_first().unwrap();
        let name = ServerName::try_from(name.to_owned()).unwrap();
        verifier.verify_server_cert(leaf, rest, &name, &[], UnixTime::since_unix_epoch(now)).is_ok()
    }

    #[test]
    fn its_certificates_verify_for_their_names_and_their_time_alone() {
        let stored = Authority::make(&context(0)).unwrap();
        let authority = Authority::open(&stored).unwrap();
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
        let issued = authority.issue(&names, &context(0)).unwrap();
        for name in ["localhost", "127.0.0.1", "::1"] {
            assert!(accepts(&authority, &issued, name, 0), "{name}");
            assert!(accepts(&authority, &issued, name, 89), "{name}");
        }
        assert!(!accepts(&authority, &issued, "example.com", 0));
        assert!(!accepts(&authority, &issued, "localhost", 91));
        let other = Authority::open(&Authority::make(&context(0)).unwrap()).unwrap();
        assert!(!accepts(&other, &issued, "localhost", 0));
    }

    #[test]
    fn every_server_of_an_installation_has_the_same_authority() {
        let stored = Authority::make(&context(0)).unwrap();
        let [one, two] = [0, 1].map(|_| Authority::open(&stored).unwrap());
        assert_eq!(one.fingerprint(), two.fingerprint());
        let issued = two.issue(&["a.example".to_owned()], &context(1)).unwrap();
        assert!(accepts(&one, &issued, "a.example", 1));
        assert!(Authority::open(&SecretBytes::new(b"none".to_vec())).is_err());
    }

    #[test]
    fn a_certificate_is_due_in_its_last_third() {
        let authority = Authority::open(&Authority::make(&context(0)).unwrap()).unwrap();
        let names = ["localhost".to_owned()];
        let current = CurrentCertificate::new(authority.issue(&names, &context(0)).unwrap());
        assert!(!current.is_due(context(59).now()) && current.is_due(context(60).now()));
        current.replace(authority.issue(&names, &context(60)).unwrap());
        assert!(!current.is_due(context(60).now()));
        assert!(matches!(authority.issue(&["a b é".to_owned()], &context(0)), Err(AuthorityError::Name(_))));
    }

    /// The certificate that a handshake shows.
    fn shown(current: &Arc<CurrentCertificate>, authority: &Authority) -> CertificateDer<'static> {
        use rustls::{ClientConfig, ClientConnection, ServerConfig, ServerConnection};
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(current) as Arc<dyn ResolvesServerCert>);
        let mut roots = RootCertStore::empty();
        roots.add(authority.certificate.clone()).unwrap();
        let client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut client = ClientConnection::new(Arc::new(client), "localhost".try_into().unwrap()).unwrap();
        let mut server = ServerConnection::new(Arc::new(server)).unwrap();
        while client.is_handshaking() {
            let (mut there, mut back) = (Vec::new(), Vec::new());
            client.write_tls(&mut there).unwrap();
            server.read_tls(&mut &there[..]).unwrap();
            server.process_new_packets().unwrap();
            while server.wants_write() {
                server.write_tls(&mut back).unwrap();
            }
            let mut back = &back[..];
            while !back.is_empty() {
                client.read_tls(&mut back).unwrap();
                client.process_new_packets().unwrap();
            }
        }
        client.peer_certificates().unwrap()[0].clone()
    }

    #[test]
    fn a_renewed_certificate_is_shown_to_whoever_connects_next() {
        let context = Context::system();
        let authority = Authority::open(&Authority::make(&context).unwrap()).unwrap();
        let names = ["localhost".to_owned()];
        let current = CurrentCertificate::new(authority.issue(&names, &context).unwrap());
        let before = shown(&current, &authority);
        assert_eq!(shown(&current, &authority), before);
        current.replace(authority.issue(&names, &context).unwrap());
        assert_ne!(shown(&current, &authority), before);
    }
}

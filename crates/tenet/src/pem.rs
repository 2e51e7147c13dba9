//! Textual encoding of keys and certificates (RFC 7468). Reading is `rustls-pki-types`'s.

use base64::{Engine, engine::general_purpose::STANDARD};

const LINE_CHARS: usize = 64;

/// A block of `label`.
pub fn encode(label: &str, der: &[u8]) -> String {
    let body = STANDARD.encode(der);
    let mut text = format!("-----BEGIN {label}-----\n");
    let mut rest = body.as_str();
    while !rest.is_empty() {
        let (line, more) = rest.split_at(rest.len().min(LINE_CHARS));
        text.push_str(line);
        text.push('\n');
        rest = more;
    }
    text.push_str(&format!("-----END {label}-----\n"));
    text
}

#[cfg(test)]
mod tests {
    use rustls_pki_types::{CertificateDer, pem::PemObject};

    #[test]
    fn what_is_encoded_is_read() {
        for length in [1, 47, 48, 49, 500] {
            let der = vec![7; length];
            let text = super::encode("CERTIFICATE", &der);
            assert!(text.lines().all(|line| line.len() <= 64));
            assert_eq!(CertificateDer::from_pem_slice(text.as_bytes()).unwrap().as_ref(), der);
        }
    }
}

//! Enrolment links: `https://HOST:PORT/enrol#SECRET.FINGERPRINT`. Secret and fingerprint stand in the
//! fragment, which no browser and no tool sends: they reach no server's log.

use base::Secret;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

/// What a link says.
#[derive(Clone, Debug)]
pub struct EnrolLink {
    /// The server's address, such as `https://localhost:8440`.
    pub server: String,
    /// The secret, good for one use.
    pub secret: Secret<String>,
    /// SHA-256 of the certificate of the server's authority.
    pub authority: [u8; 32],
}

/// Not a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an enrolment link: expected `https://HOST:PORT/enrol#...`, whole, in quotes")]
pub struct LinkError;

impl EnrolLink {
    /// An authority's fingerprint, as it stands in a link.
    pub fn fingerprint_text(authority: &[u8; 32]) -> String {
        URL_SAFE_NO_PAD.encode(authority)
    }
    /// The link in text. It holds the secret: for the one who is invited alone.
    pub fn to_text(&self) -> Secret<String> {
        let fingerprint = Self::fingerprint_text(&self.authority);
        Secret::new(format!("{}/enrol#{}.{fingerprint}", self.server, self.secret.expose()))
    }
}

impl std::str::FromStr for EnrolLink {
    type Err = LinkError;

    fn from_str(text: &str) -> Result<Self, LinkError> {
        let (address, fragment) = text.trim().split_once('#').ok_or(LinkError)?;
        let server = address.strip_suffix("/enrol").ok_or(LinkError)?;
        let host = server.strip_prefix("https://").ok_or(LinkError)?;
        let (secret, fingerprint) = fragment.rsplit_once('.').ok_or(LinkError)?;
        let authority = URL_SAFE_NO_PAD.decode(fingerprint).map_err(|_| LinkError)?;
        let authority = authority.try_into().map_err(|_| LinkError)?;
        let strange = |c: char| !(c.is_ascii_alphanumeric() || "-_.:[]".contains(c));
        if host.is_empty() || host.contains(strange) || secret.is_empty() || secret.len() > 256 {
            return Err(LinkError);
        }
        Ok(Self { server: server.to_owned(), secret: Secret::new(secret.to_owned()), authority })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_round_trips() {
        let link = EnrolLink {
            server: "https://[::1]:8440".to_owned(),
            secret: Secret::new("tel_abc".to_owned()),
            authority: [9; 32],
        };
        let read: EnrolLink = link.to_text().expose().parse().unwrap();
        assert_eq!((read.server, read.authority), (link.server, link.authority));
        assert_eq!(read.secret.expose(), "tel_abc");
    }

    #[test]
    fn anything_else_is_refused() {
        let print = URL_SAFE_NO_PAD.encode([9; 32]);
        for wrong in [
            String::new(),
            format!("http://h:1/enrol#s.{print}"),
            format!("https://h:1/#s.{print}"),
            format!("https:///enrol#s.{print}"),
            format!("https://u@h/enrol#s.{print}"),
            format!("https://h/enrol#.{print}"),
            format!("https://h/enrol#s{print}"),
            "https://h/enrol#s.abc".to_owned(),
        ] {
            assert_eq!(wrong.parse::<EnrolLink>().unwrap_err(), LinkError, "{wrong}");
        }
    }
}

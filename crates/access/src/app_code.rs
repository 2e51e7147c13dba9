//! Codes of an authenticator app (TOTP, RFC 6238): six digits, a new one each 30 seconds, HMAC-SHA-1, as all such apps have it.

use base::{Secret, Timestamp};
use totp_rs::{Builder, Totp};

/// Bytes of a secret (RFC 4226 R6 recommends 160 bits).
pub(crate) const SECRET_BYTES: usize = 20;

/// What an app is given, to scan or to type.
#[derive(Debug)]
pub struct AppSecret {
    /// In Base32.
    pub text: Secret<String>,
    /// `otpauth://totp/..`, for a QR code.
    pub uri: Secret<String>,
}

/// An authenticator app, as its server knows it.
pub(crate) struct App(Totp);

impl App {
    /// The app that holds that secret. `account` is shown in it.
    pub(crate) fn new(secret: &[u8; SECRET_BYTES], account: &str) -> Option<Self> {
        // A colon parts the issuer from the account there.
        let account = account.replace(':', " ");
        let builder = Builder::new().with_secret(secret.to_vec()).with_issuer(Some("Tenet"));
        builder.with_account_name(account).build().ok().map(Self)
    }

    /// What to scan or type.
    pub(crate) fn shown(&self) -> AppSecret {
        let uri = self.0.to_url().unwrap_or_default();
        AppSecret { text: Secret::new(self.0.secret().to_base32()), uri: Secret::new(uri) }
    }

    /// The period whose code that is: this one, the one before or the one after, for clocks that differ.
    pub(crate) fn step(&self, code: &Secret<String>, now: Timestamp) -> Option<i64> {
        let given: Secret<String> =
            Secret::new(code.expose().chars().filter(|one| !one.is_whitespace()).collect());
        let seconds = u64::try_from(now.seconds()).ok()?;
        let is_code = given.expose().len() == 6 && given.expose().bytes().all(|byte| byte.is_ascii_digit());
        let step = is_code.then(|| self.0.check(given.expose(), seconds)).flatten()?;
        i64::try_from(step).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn app() -> App {
        App::new(b"12345678901234567890", "Ann: Example").unwrap()
    }

    fn step(code: &str, seconds: i64) -> Option<i64> {
        app().step(&Secret::new(code.to_owned()), Timestamp::from_seconds(seconds))
    }

    /// RFC 6238 appendix B: the last six of its eight digits, for SHA-1.
    #[test]
    fn known_codes() {
        for (seconds, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(step(code, seconds), Some(seconds / 30), "{seconds}");
        }
    }

    #[test]
    fn a_neighbouring_period_is_taken_and_no_other() {
        assert_eq!(step("287082", 89), Some(1));
        assert_eq!(step("287082", 0), Some(1));
        assert_eq!(step("287082", 90), None);
        assert_eq!(step("28 70 82", 59), Some(1), "as apps show it");
        for wrong in ["", "28708", "2870820", "287083", "x"] {
            assert_eq!(step(wrong, 59), None, "{wrong}");
        }
    }

    #[test]
    fn an_app_is_told_what_it_needs() {
        let shown = app().shown();
        assert_eq!(shown.text.expose(), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        let uri = shown.uri.expose();
        assert!(uri.starts_with("otpauth://totp/Tenet:Ann%20%20Example?secret=GEZDGNBV"), "{uri}");
        assert!(uri.contains("issuer=Tenet"), "{uri}");
    }
}

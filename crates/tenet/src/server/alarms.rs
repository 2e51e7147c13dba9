//! Alarms of a witness: each a line of a file, from where they are delivered. The file is the queue: what is in it
//! survives a crash, and goes out in order, again and again until it is taken.

use std::{
    fs::{File, OpenOptions},
    io::{Read, Seek, SeekFrom, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use reqwest::{Url, header};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use serde_json::Value;
use tokio::sync::watch;

use crate::{client::Pinned, config, data_dir::write_private, failure::Failure, sinks::headers};

/// Bytes of alarms after which a file that was delivered is put aside, and one that was not takes no more.
const MAX_FILE_BYTES: u64 = 64 * 1_048_576;
/// Most bytes of one alarm.
const MAX_LINE_BYTES: usize = 16_384;
/// What is said once when no more fit.
const FULL: &str = concat!(
    "\n{\"kind\":\"alarms-full\",\"level\":\"critical\",\"title\":\"Alarms could not be delivered, and there was no room for more: ",
    "look at the witness\",\"text\":\"[critical] alarms could not be delivered, and there was no room for more\"}\n"
);
const CALL_TIMEOUT: Duration = Duration::from_secs(20);
/// Between two attempts to deliver: at first, and at most.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// How often the file is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// Where alarms go, besides the file.
#[derive(Debug)]
pub struct Route {
    url: Url,
    headers: header::HeaderMap,
    http: reqwest::Client,
}

impl Route {
    /// From a private file: the address on its first line, then headers to send, one a line. An address of the web is
    /// often a secret itself. `ca` is the authority of its certificate; without one, those that the system trusts are.
    pub fn read(path: &Path, ca: Option<&Path>) -> Result<Self, Failure> {
        let lines = config::read_secret_lines(path)
            .map_err(|error| Failure::usage("alarms can't be delivered").why(error.to_string()))?;
        let wrong = |why: &str| {
            Failure::usage(format!("`{}` does not say where alarms go", path.display())).why(why.to_owned())
        };
        let mut lines = lines.expose().iter();
        let url = lines.next().map(String::as_str).unwrap_or_default();
        let near = config::is_clear_and_near(url);
        let url = Url::parse(url).map_err(|_| wrong("its first line is not an address"))?;
        if url.scheme() != "https" && !near {
            return Err(wrong("give an `https://` address; `http://` is for this machine itself alone"));
        }
        let headers = headers(lines).map_err(wrong)?;
        let mut builder = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(CALL_TIMEOUT)
            .user_agent(concat!("tenet/", env!("CARGO_PKG_VERSION")));
        if let Some(ca) = ca {
            let pem = std::fs::read(ca).map_err(|error| Failure::file("can't read", ca, &error))?;
            let authority = CertificateDer::from_pem_slice(&pem)
                .map_err(|_| Failure::usage(format!("`{}` is not a certificate in PEM", ca.display())))?;
            let tls = Pinned::by_certificate(authority.into_owned())
                .map_err(|error| Failure::usage(format!("`{}`: {error}", ca.display())))?;
            builder = builder.tls_backend_preconfigured(tls);
        } else {
            // What the system trusts, by way of the provider that everything here uses. One that is set already is it.
            let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        }
        let http = builder.build().map_err(|error| wrong(&error.to_string()))?;
        Ok(Self { url, headers, http })
    }

    /// Why it did not go, without the address: that may be a secret.
    async fn send(&self, line: &str) -> Result<(), String> {
        let mut headers = self.headers.clone();
        headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
        let call = self.http.post(self.url.clone()).headers(headers).body(line.to_owned());
        let answer = call.send().await.map_err(|error| error.without_url().to_string())?;
        if answer.status().is_success() { Ok(()) } else { Err(format!("it answers {}", answer.status())) }
    }
}

/// The file of alarms.
#[derive(Debug)]
pub(crate) struct Alarms {
    path: PathBuf,
    sent: PathBuf,
    has_route: bool,
}

impl Alarms {
    pub(crate) fn new(directory: &Path, has_route: bool) -> Self {
        Self { path: directory.join("alerts.jsonl"), sent: directory.join("alerts.sent"), has_route }
    }

    /// Adds alarms; they are durable when this returns. A crash before that leaves a line in part, or some of them: what
    /// raised them raises them again.
    pub(crate) fn raise(&self, alarms: &[Value]) -> std::io::Result<()> {
        if alarms.is_empty() {
            return Ok(());
        }
        let mut file =
            OpenOptions::new().create(true).read(true).append(true).mode(0o600).open(&self.path)?;
        let size = file.metadata()?.len();
        if size >= MAX_FILE_BYTES {
            if self.has_route && self.sent() < size {
                self.say_full(&mut file, size)?;
                return Err(std::io::Error::other(
                    "alarms wait to be delivered, and there is no room for more",
                ));
            }
            // The one before goes. A crash between the two leaves a position behind the new file's end, which is 0 then.
            std::fs::rename(&self.path, self.path.with_extension("1.jsonl"))?;
            write_private(&self.sent, b"0")?;
            return self.raise(alarms);
        }
        let mut text = String::new();
        if size > 0 {
            file.seek(SeekFrom::End(-1))?;
            let mut last = [0];
            file.read_exact(&mut last)?;
            if last != *b"\n" {
                text.push('\n');
            }
        }
        for alarm in alarms {
            text.push_str(&line_of(alarm));
            text.push('\n');
        }
        file.write_all(text.as_bytes())?;
        file.sync_data()
    }

    /// The last of a full file: once it goes out again, whoever gets the alarms learns that there were more.
    fn say_full(&self, file: &mut File, size: u64) -> std::io::Result<()> {
        let mut end = vec![0; FULL.len()];
        file.seek(SeekFrom::Start(size.saturating_sub(FULL.len() as u64)))?;
        file.read_exact(&mut end)?;
        if end == FULL.as_bytes() {
            return Ok(());
        }
        file.write_all(FULL.as_bytes())?;
        file.sync_data()
    }

    /// Up to where alarms were delivered.
    fn sent(&self) -> u64 {
        let text = std::fs::read_to_string(&self.sent).unwrap_or_default();
        let sent = text.trim().parse().unwrap_or(0);
        let size = std::fs::metadata(&self.path).map_or(0, |found| found.len());
        if sent > size { 0 } else { sent }
    }

    /// The next whole line that was not delivered, and where it ends.
    fn next(&self) -> std::io::Result<Option<(String, u64)>> {
        let from = self.sent();
        let mut file = match File::open(&self.path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        file.seek(SeekFrom::Start(from))?;
        let mut bytes = Vec::new();
        file.take(MAX_LINE_BYTES as u64).read_to_end(&mut bytes)?;
        let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else {
            // Longer than any alarm: not ours. It is passed over.
            let is_foreign = bytes.len() == MAX_LINE_BYTES;
            return Ok(is_foreign.then(|| (String::new(), from + bytes.len() as u64)));
        };
        bytes.truncate(end);
        Ok(Some((String::from_utf8_lossy(&bytes).into_owned(), from + end as u64 + 1)))
    }

    /// Delivers until told to stop.
    pub(crate) async fn deliver(&self, route: &Route, mut stop: watch::Receiver<bool>) {
        let mut wait = FIRST_WAIT;
        while !*stop.borrow() {
            let pause = match self.next() {
                Ok(Some((line, end))) => {
                    // What a crash cut off is no alarm: it was raised again behind it.
                    let sent = match serde_json::from_str::<Value>(&line) {
                        Ok(_) => route.send(&line).await,
                        Err(_) => Ok(()),
                    };
                    match sent.and_then(|()| {
                        write_private(&self.sent, end.to_string().as_bytes())
                            .map_err(|error| error.to_string())
                    }) {
                        Ok(()) => {
                            wait = FIRST_WAIT;
                            continue;
                        }
                        Err(error) => {
                            tracing::warn!(%error, "an alarm waits to be delivered");
                            let pause = wait;
                            wait = (wait * 2).min(LONGEST_WAIT);
                            pause
                        }
                    }
                }
                Ok(None) => LOOK,
                Err(error) => {
                    tracing::error!(%error, "the alarms can't be read");
                    LONGEST_WAIT
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                _ = stop.changed() => {}
            }
        }
    }
}

/// An alarm as a line that fits: of one that is too long, what says most.
fn line_of(alarm: &Value) -> String {
    let whole = alarm.to_string();
    if whole.len() < MAX_LINE_BYTES {
        return whole;
    }
    let mut cut = serde_json::Map::new();
    for name in ["kind", "level", "title", "rule", "index", "event", "log", "raised_at", "text"] {
        if let Some(value) = alarm.get(name) {
            let short = match value {
                Value::String(text) => Value::from(text.chars().take(256).collect::<String>()),
                other => other.clone(),
            };
            cut.insert(name.to_owned(), short);
        }
    }
    cut.insert("cut".to_owned(), true.into());
    Value::Object(cut).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn alarms_are_kept_in_order_and_what_was_cut_off_is_passed_over() {
        let directory = tempfile::tempdir().unwrap();
        let alarms = Alarms::new(directory.path(), true);
        assert_eq!(alarms.next().unwrap(), None);
        alarms.raise(&[json!({"n": 1}), json!({"n": 2})]).unwrap();
        std::fs::OpenOptions::new().append(true).open(&alarms.path).unwrap().write_all(b"{\"n\":").unwrap();
        alarms.raise(&[json!({"n": 3})]).unwrap();
        let mut seen = Vec::new();
        while let Some((line, end)) = alarms.next().unwrap() {
            seen.push(line);
            write_private(&alarms.sent, end.to_string().as_bytes()).unwrap();
        }
        assert_eq!(seen, ["{\"n\":1}", "{\"n\":2}", "{\"n\":", "{\"n\":3}"]);
        // Another start goes on where this one was.
        assert_eq!(Alarms::new(directory.path(), true).next().unwrap(), None);
    }

    #[test]
    fn a_full_file_takes_no_more_until_it_was_delivered() {
        let directory = tempfile::tempdir().unwrap();
        let alarms = Alarms::new(directory.path(), true);
        alarms.raise(&[json!({"n": 1})]).unwrap();
        File::options().write(true).open(&alarms.path).unwrap().set_len(MAX_FILE_BYTES).unwrap();
        for _ in 0..3 {
            assert!(alarms.raise(&[json!({"n": 2})]).is_err());
        }
        // That there were more is said once, at the end.
        let text = std::fs::read(&alarms.path).unwrap();
        let end = String::from_utf8_lossy(&text[usize::try_from(MAX_FILE_BYTES).unwrap()..]).into_owned();
        assert_eq!(end.matches("alarms-full").count(), 1);
        serde_json::from_str::<Value>(end.trim()).unwrap();
        let size = std::fs::metadata(&alarms.path).unwrap().len();
        write_private(&alarms.sent, size.to_string().as_bytes()).unwrap();
        alarms.raise(&[json!({"n": 2})]).unwrap();
        assert_eq!(alarms.next().unwrap().unwrap().0, "{\"n\":2}");
        let nowhere = Alarms::new(directory.path(), false);
        File::options().write(true).open(&nowhere.path).unwrap().set_len(MAX_FILE_BYTES).unwrap();
        nowhere.raise(&[json!({"n": 3})]).unwrap();
    }

    #[test]
    fn an_alarm_is_never_longer_than_what_is_delivered() {
        let directory = tempfile::tempdir().unwrap();
        let alarms = Alarms::new(directory.path(), true);
        alarms.raise(&[json!({"kind": "rule", "title": "T", "group": {"a": "x".repeat(20_000)}})]).unwrap();
        let (line, _) = alarms.next().unwrap().unwrap();
        let alarm: Value = serde_json::from_str(&line).unwrap();
        assert_eq!((&alarm["title"], &alarm["cut"]), (&json!("T"), &json!(true)));
    }

    #[test]
    fn a_route_is_private_and_its_address_is_told_to_nobody() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("route");
        std::fs::write(&path, "https://hooks.example/T0/secret\nAuthorization: Bearer x\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(Route::read(&path, None).unwrap_err().text().contains("chmod 600"));
        let with = |text: &str| {
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
            Route::read(&path, None).map_err(|failure| failure.text())
        };
        for wrong in
            ["http://hooks.example/x", "nothing", "https://h.example\nno header", "https://h.example\n: x"]
        {
            let text = with(wrong).unwrap_err();
            assert!(!text.contains("hooks"), "{text}");
        }
        with("http://127.0.0.1:9/x\n").unwrap();
    }
}

//! `tenet quickstart`: the main tasks, done one after the other on a running server. Each step is a
//! command of this program, printed before it is run, so that what is shown is what was done.

use std::process::Stdio;

use rustls_pki_types::{CertificateDer, pem::PemObject};
use serde_json::{Value, json};
use tokio::process::Command;

use super::Session;
use crate::{
    cli::Quickstart,
    client::{EnrolLink, Home, NOT_ENROLLED, NOT_TRUSTED, fingerprint},
    config::{self, Arguments},
    failure::{Exit, Failure},
    server::FIRST_LINK,
};

const SCOPES: &str = "repositories:write,repositories:read,records:write,records:read,records:delete,records:erase,holds:write";

/// The walk so far.
struct Walk<'a> {
    session: &'a Session,
    /// The operator's profile, where a command would otherwise have to choose among several.
    operator: Option<String>,
    steps: Vec<Value>,
}

/// What a command answered.
struct Answer {
    exit: i32,
    json: Value,
}

/// One customer of the walk.
struct Customer {
    profile: String,
    account: String,
    repository: String,
}

pub(super) async fn run(session: &Session, arguments: &Quickstart) -> Result<(), Failure> {
    let home = session.home()?;
    let mut walk = Walk { session, operator: session.profile.clone(), steps: Vec::new() };
    match home.choose(session.profile.as_deref(), true) {
        Ok(name) => not_of_an_earlier_server(session, arguments, &home, &name)?,
        Err(failure) if failure.code == NOT_ENROLLED => {
            walk.say("You become an operator, with a key made on this machine.")?;
            let link = first_link(session, arguments)?;
            walk.enrol(&link).await?;
            forget_link(session, arguments);
        }
        // Of several operators, or of a profile that can't be read, nothing is guessed.
        Err(failure) => return Err(failure),
    }
    let name = home.choose(session.profile.as_deref(), true)?;
    if home.names().len() > 1 {
        walk.operator = Some(name.clone());
    }
    let suffix = suffix(session)?;
    let acme = walk.customer("acme", &suffix).await?;
    let globex = walk.customer("globex", &suffix).await?;
    let record = walk.store_and_read(&acme).await?;
    walk.show_isolation(&acme, &globex, &record).await?;
    walk.say("What applies to the record, and why.")?;
    walk.done(&["record", "explain", "-r", &acme.repository, &record, "--as", &acme.profile]).await?;
    let certificate = home.path().join(format!("{}.deleted.txt", acme.profile));
    walk.hold_and_erase(&acme, &certificate.display().to_string()).await?;
    walk.say("Everything above, the refusals too, is in a log that anybody can verify.")?;
    walk.as_operator(&["log", "show", "--limit", "5"]).await?;
    walk.as_operator(&["log", "verify"]).await?;
    let curl = by_curl(&home, &name, walk.operator.as_deref(), &acme)?;
    walk.end(&acme, &curl)
}

impl Walk<'_> {
    fn say(&self, line: &str) -> Result<(), Failure> {
        if self.session.out.is_json() { Ok(()) } else { self.session.out.text(&format!("\n# {line}\n")) }
    }

    /// Runs a command of this program; prints it, and what it answers.
    async fn run(&mut self, arguments: &[&str], shown: &[&str]) -> Result<Answer, Failure> {
        let failed = |error: std::io::Error| {
            Failure::new(Exit::Failure, "quickstart", "a step can't be run").why(error.to_string())
        };
        let line = format!("tenet {}", shown.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" "));
        if !self.session.out.is_json() {
            self.session.out.text(&format!("$ {line}\n"))?;
        }
        let program = std::env::current_exe().map_err(failed)?;
        let output = Command::new(program)
            .args(arguments)
            .arg("--json")
            .env_clear()
            .envs(&self.session.environment)
            .stdin(Stdio::null())
            .output()
            .await
            .map_err(failed)?;
        let exit = output.status.code().unwrap_or(-1);
        let text = if output.status.success() { &output.stdout } else { &output.stderr };
        let json: Value = serde_json::from_slice(text).unwrap_or_default();
        self.steps.push(json!({ "command": line, "exit": exit, "result": json }));
        if !self.session.out.is_json() {
            self.session.out.text(&summary(&json, exit))?;
        }
        Ok(Answer { exit, json })
    }

    /// A step that must succeed, as the operator.
    async fn as_operator(&mut self, arguments: &[&str]) -> Result<Value, Failure> {
        let operator = self.operator.clone();
        let identity = operator.as_deref().map_or_else(Vec::new, |name| vec!["--as", name]);
        self.done(&[arguments, &identity].concat()).await
    }

    /// A step that must be refused with that code.
    async fn refused(&mut self, arguments: &[&str], exit: Exit, otherwise: &str) -> Result<(), Failure> {
        let answer = self.run(arguments, arguments).await?;
        if answer.exit == exit as i32 {
            return Ok(());
        }
        Err(Failure::new(Exit::Failure, "quickstart", otherwise)
            .why(format!("the exit code is {}, not {}", answer.exit, exit as i32)))
    }

    /// A step that must succeed.
    async fn done(&mut self, arguments: &[&str]) -> Result<Value, Failure> {
        let answer = self.run(arguments, arguments).await?;
        if answer.exit == 0 { Ok(answer.json) } else { Err(step_failed(arguments, &answer)) }
    }

    async fn enrol(&mut self, link: &str) -> Result<(), Failure> {
        // The secret in the link is used up by this, but need not be on the screen.
        let shown = link.split_once('#').map_or("LINK".to_owned(), |(address, _)| format!("{address}#..."));
        let answer = self.run(&["enrol", link], &["enrol", &shown]).await?;
        if answer.exit == 0 { Ok(()) } else { Err(step_failed(&["enrol"], &answer)) }
    }

    async fn customer(&mut self, name: &str, suffix: &str) -> Result<Customer, Failure> {
        let profile = format!("{name}-{suffix}");
        self.say(&format!("A customer, {name}: an account with its own key, an application, a repository."))?;
        let account = text(&self.as_operator(&["account", "create", &profile]).await?, "/id")?;
        let application = ["client", "create", "app", "--account", &account, "--scope", SCOPES];
        self.as_operator(&[&application[..], &["--save", &profile]].concat()).await?;
        let made = self
            .done(&[
                "repository",
                "create",
                "invoices",
                "--classification",
                "confidential",
                "--keep",
                "3650",
                "--basis",
                "business",
                "--reason",
                "accounts receivable",
                "--data-type",
                "invoices",
                "--searchable",
                "/number",
                "--as",
                &profile,
            ])
            .await?;
        Ok(Customer { repository: text(&made, "/id")?, profile, account })
    }

    async fn store_and_read(&mut self, customer: &Customer) -> Result<String, Failure> {
        self.say("Its application stores a record, sealed with a key of its own, and reads it back.")?;
        let body = r#"{"number": "2026-7", "total": 120, "to": "Ada Lovelace"}"#;
        let (repository, profile) = (customer.repository.as_str(), customer.profile.as_str());
        let made = self.done(&["record", "put", "-r", repository, "--body", body, "--as", profile]).await?;
        let record = text(&made, "/id")?;
        let read = self.done(&["record", "get", "-r", repository, &record, "--as", profile]).await?;
        if read.pointer("/body/number").and_then(Value::as_str) != Some("2026-7") {
            return Err(Failure::new(Exit::Failure, "quickstart", "what was read is not what was stored"));
        }
        let found =
            self.done(&["record", "search", "-r", repository, "/number=2026-7", "--as", profile]).await?;
        if found.pointer("/0/id").and_then(Value::as_str) != Some(&record) {
            return Err(Failure::new(Exit::Failure, "quickstart", "the record is not found by its number"));
        }
        Ok(record)
    }

    /// The other customer's application must not find it: the same answer as for what does not exist.
    async fn show_isolation(
        &mut self,
        one: &Customer,
        other: &Customer,
        record: &str,
    ) -> Result<(), Failure> {
        self.say(&format!(
            "The application of {} asks for it, knowing both ids: for it, it does not exist.",
            other.account
        ))?;
        let arguments = ["record", "get", "-r", &one.repository, record, "--as", &other.profile];
        self.refused(&arguments, Exit::NotFound, "one account was not kept from the other's record").await
    }

    /// A legal hold beats an erasure; without it, what is erased leaves a certificate.
    async fn hold_and_erase(&mut self, customer: &Customer, certificate: &str) -> Result<(), Failure> {
        let (repository, profile) = (customer.repository.as_str(), customer.profile.as_str());
        self.say("Another record is put under a legal hold: erasing it is refused, by a clause.")?;
        let body = r#"{"number": "2026-8"}"#;
        let made = self.done(&["record", "put", "-r", repository, "--body", body, "--as", profile]).await?;
        let record = text(&made, "/id")?;
        let record = record.as_str();
        let hold = ["record", "hold", "-r", repository, record, "--reason", "case 12"];
        let hold = [&hold[..], &["--person", "A. Counsel", "--as", profile]].concat();
        let hold = text(&self.done(&hold).await?, "/id")?;
        let erase = ["record", "erase", "-r", repository, record, "--certificate", certificate];
        let erase = [&erase[..], &["--as", profile]].concat();
        self.refused(&erase, Exit::Conflict, "a record under a legal hold was not kept").await?;
        self.say("The hold is lifted: erasing destroys the record's key, and a signed certificate stays.")?;
        let lift = ["record", "release", &hold, "--reason", "case closed", "--person", "A. Counsel"];
        self.done(&[&lift[..], &["--as", profile]].concat()).await?;
        self.done(&erase).await?;
        self.as_operator(&["verify-certificate", certificate]).await?;
        Ok(())
    }

    fn end(self, customer: &Customer, curl: &[String]) -> Result<(), Failure> {
        if self.session.out.is_json() {
            return self.session.out.document(&json!({ "steps": self.steps, "curl": curl }));
        }
        self.session.out.text(&format!(
            "\n# The same by curl, for an application that has a secret (needs jq).\n{}\n\nThat was all of it. Go on as the application with `--as {}`, as the operator without;\n`tenet --help` lists everything.\n",
            curl.join("\n"),
            customer.profile
        ))
    }
}

/// Storing and reading a record without this program: lines for a shell. No secret stands in them.
fn by_curl(
    home: &Home,
    operator: &str,
    identity: Option<&str>,
    customer: &Customer,
) -> Result<Vec<String>, Failure> {
    let server = home.serving(Some(operator), None)?.server;
    let profile = quoted(&home.path().join(format!("{operator}.json")).display().to_string());
    let identity = identity.map_or_else(String::new, |name| format!(" --as {name}"));
    let records = format!("{server}/v1/repositories/{}/records", customer.repository);
    let account = &customer.account;
    Ok(vec![
        format!("jq -r .authority {profile} > ca.pem"),
        format!(
            "made=$(tenet client create curl --account {account} --scope records:read,records:write --secret --json{identity})"
        ),
        "client=$(jq -r .client.id <<< \"$made\"); secret=$(jq -r .secret <<< \"$made\")".to_owned(),
        format!(
            "token=$(curl -sS --cacert ca.pem -u \"$client:$secret\" -d grant_type=client_credentials {server}/v1/token | jq -r .access_token)"
        ),
        "api() { curl -sS --cacert ca.pem -H \"Authorization: Bearer $token\" \"$@\"; }".to_owned(),
        format!("record=$(api {records} --json '{{\"number\": \"2026-9\", \"total\": 80}}' | jq -r .id)"),
        format!("api {records}/$record"),
    ])
}

/// Refuses a profile of a server whose data directory was made anew since: the first link, which is
/// here, is of another authority. Whoever stands between would not have put it there.
fn not_of_an_earlier_server(
    session: &Session,
    arguments: &Quickstart,
    home: &Home,
    name: &str,
) -> Result<(), Failure> {
    let Ok(link) = first_link(session, arguments) else { return Ok(()) };
    let Ok(link) = link.parse::<EnrolLink>() else { return Ok(()) };
    let profile = home.serving(Some(name), None)?;
    let authority = CertificateDer::from_pem_slice(profile.authority.as_bytes());
    let same = authority.is_ok_and(|authority| fingerprint(&authority) == link.authority);
    if same || profile.server != link.server {
        return Ok(());
    }
    let old = home.of_authority(&profile.authority).join(" ");
    Err(Failure::new(Exit::Denied, NOT_TRUSTED, format!("the profile `{name}` is of an earlier server"))
        .why(format!("the server at `{}` was set up anew, with another certificate authority", link.server))
        .remedy(format!("remove what is left of the earlier one with `tenet profile remove {old}`, then run `tenet quickstart` again")))
}

/// The link: as given, or from the data directory of a server on this machine.
fn first_link(session: &Session, arguments: &Quickstart) -> Result<String, Failure> {
    if let Some(link) = &arguments.link {
        return Ok(link.clone());
    }
    let path = data_directory(session, arguments)?.join(FIRST_LINK);
    let text = std::fs::read_to_string(&path).map_err(|error| {
        Failure::new(Exit::Denied, NOT_ENROLLED, "you are not enrolled, and no enrolment link is here")
            .why(format!("`{}`: {error}", path.display()))
            .remedy("start the server with `tenet up`, or run `tenet quickstart 'LINK'` with the link it printed; if there is an administrator already, ask for one")
    })?;
    Ok(text.trim().to_owned())
}

/// A link that was used is of no use to anybody.
fn forget_link(session: &Session, arguments: &Quickstart) {
    if arguments.link.is_none()
        && let Ok(directory) = data_directory(session, arguments)
    {
        let _ = std::fs::remove_file(directory.join(FIRST_LINK));
    }
}

fn data_directory(session: &Session, arguments: &Quickstart) -> Result<std::path::PathBuf, Failure> {
    let arguments = Arguments { data: arguments.data.clone(), ..Arguments::default() };
    Ok(config::load(&arguments, &session.environment)?.data)
}

/// Names of earlier walks don't get in the way.
fn suffix(session: &Session) -> Result<String, Failure> {
    let random = session.context.random::<2>();
    let random = random.map_err(|error| Failure::new(Exit::Failure, "entropy", error.to_string()))?;
    Ok(random.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn text(json: &Value, at: &str) -> Result<String, Failure> {
    let found = json.pointer(at).and_then(Value::as_str).map(str::to_owned);
    found.ok_or_else(|| Failure::new(Exit::Failure, "quickstart", format!("the answer has no `{at}`")))
}

fn step_failed(arguments: &[&str], answer: &Answer) -> Failure {
    let part = |name: &str| answer.json.pointer(&format!("/error/{name}")).and_then(Value::as_str);
    let what = format!(
        "the step `tenet {}` failed",
        arguments.iter().take(2).copied().collect::<Vec<_>>().join(" ")
    );
    let mut failure = Failure::new(exit_of(answer.exit), part("code").unwrap_or("quickstart"), what);
    let why = [part("what"), part("why")].into_iter().flatten().collect::<Vec<_>>().join(": ");
    if !why.is_empty() {
        failure = failure.why(why);
    }
    failure.remedy = part("do").map(str::to_owned);
    failure
}

fn exit_of(code: i32) -> Exit {
    Exit::ALL.iter().map(|(exit, _)| *exit).find(|exit| *exit as i32 == code).unwrap_or(Exit::Failure)
}

/// What a command answered, in few lines.
fn summary(json: &Value, exit: i32) -> String {
    if let Some(what) = json.pointer("/error/what").and_then(Value::as_str) {
        let clause = json.pointer("/error/clause").and_then(Value::as_str);
        let clause = clause.map_or_else(String::new, |clause| format!("clause {clause}, "));
        return format!("  error: {what} ({clause}exit code {exit})\n");
    }
    let lines: Vec<String> = match json {
        Value::Array(items) => items.iter().map(short).collect(),
        other => vec![short(other)],
    };
    lines.iter().map(|line| format!("  {line}\n")).collect()
}

fn short(item: &Value) -> String {
    const SHOWN: [&str; 12] = [
        "index",
        "activity",
        "actor",
        "outcome",
        "id",
        "name",
        "version",
        "classification",
        "state",
        "retained_until",
        "body",
        "size",
    ];
    let parts: Vec<String> = SHOWN
        .iter()
        .filter_map(|name| {
            let value = item.get(name)?;
            let shown = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            Some(format!("{name} {shown}"))
        })
        .collect();
    match item.get("client") {
        Some(client) if parts.is_empty() => short(client),
        _ if parts.is_empty() => "done".to_owned(),
        _ => parts.join("  "),
    }
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@#".contains(c);
    if !word.is_empty() && word.chars().all(plain) && !word.starts_with('#') {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_can_be_pasted() {
        for (word, shown) in [
            ("record", "record"),
            ("a b", "'a b'"),
            ("it's", r"'it'\''s'"),
            ("", "''"),
            (r#"{"a": 1}"#, r#"'{"a": 1}'"#),
            ("$HOME", "'$HOME'"),
        ] {
            assert_eq!(quoted(word), shown);
        }
    }

    #[test]
    fn a_refusal_names_its_clause() {
        let json = json!({ "error": { "what": "it is held", "clause": "DD-1" } });
        assert_eq!(summary(&json, 5), "  error: it is held (clause DD-1, exit code 5)\n");
    }

    #[test]
    fn a_failed_step_keeps_its_exit_code() {
        let json = json!({ "error": { "code": "x", "what": "a", "why": "b", "do": "c" } });
        let failure = step_failed(&["record", "get", "secret"], &Answer { exit: 4, json });
        assert_eq!((failure.exit, failure.why.as_deref()), (Exit::NotFound, Some("a: b")));
        assert_eq!(failure.what, "the step `tenet record get` failed");
    }
}

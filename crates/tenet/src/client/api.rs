//! Calls to the server: over TLS to the pinned authority, with a short token that lives in this
//! process's memory alone.

use std::{error::Error as _, time::Duration};

use base::{Context, Secret, Timestamp};
use reqwest::{Method, StatusCode, Url, header};
use serde_json::Value;
use tokio::sync::Mutex;

use crate::{
    client::{ClientKey, Home, Pinned, Profile},
    failure::{Exit, Failure},
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a call may take that does not stream.
const CALL_TIMEOUT: Duration = Duration::from_secs(60);
/// Between pings that find out whether the server is still there.
const PING: Duration = Duration::from_secs(20);
/// Most bytes of an answer that is kept in memory.
const MAX_ANSWER_BYTES: usize = 64 * 1_048_576;
/// Most items that are asked for at once.
const MAX_PAGE: usize = 100;
/// The code of a failure in which no answer came: whether the request was carried out is not known.
pub const UNREACHABLE: &str = "server-unreachable";
/// The code of a failure in which somebody else answered than the server that is trusted.
pub const NOT_TRUSTED: &str = "server-not-trusted";
/// How much of a token's life passes before another is fetched, in percent.
const RENEW_PERCENT: i64 = 80;
/// No token is believed to live longer than a day.
const MAX_TOKEN_SECONDS: i64 = 86_400;
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// The server, and whom to be there.
pub struct Api {
    http: reqwest::Client,
    base: Url,
    identity: Option<Identity>,
    context: Context,
}

struct Identity {
    profile: Profile,
    key: ClientKey,
    /// Held while one is fetched, so that calls at once fetch one.
    token: Mutex<Option<Token>>,
}

/// A token, and from when another is fetched: a command may outlive it (a long upload, a rotation that
/// is waited for).
struct Token {
    text: Secret<String>,
    renew_at: Timestamp,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// The version for `If-Match`, if one was given.
    pub etag: Option<String>,
    /// The JSON; null if there is none.
    pub body: Value,
}

/// A call that is being put together.
pub struct Call<'a> {
    api: &'a Api,
    request: reqwest::RequestBuilder,
}

/// Only a file of a few thousand bytes is expected: a mistake, not an attack.
fn http_client(tls: rustls::ClientConfig) -> Result<reqwest::Client, Failure> {
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .https_only(true)
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .http2_keep_alive_interval(PING)
        .http2_keep_alive_timeout(PING)
        .user_agent(concat!("tenet/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| Failure::new(Exit::Failure, "client", "the client can't start").why(chain(&error)))
}

fn base_url(server: &str) -> Result<Url, Failure> {
    let url = Url::parse(server).ok().filter(|url| url.scheme() == "https" && url.host().is_some());
    url.ok_or_else(|| {
        Failure::usage(format!("`{server}` is not an address such as `https://localhost:8440`"))
    })
}

impl Api {
    /// The server of a profile, as that profile.
    pub fn open(home: &Home, name: &str, context: &Context) -> Result<Self, Failure> {
        let (profile, key) = home.load(name)?;
        Self::of(profile, key, context)
    }

    /// The server of a profile, as that profile.
    pub fn of(profile: Profile, key: ClientKey, context: &Context) -> Result<Self, Failure> {
        let tls = Pinned::by_pem(&profile.authority)?;
        let base = base_url(&profile.server)?;
        let identity = Some(Identity { profile, key, token: Mutex::new(None) });
        Ok(Self { http: http_client(tls)?, base, identity, context: context.clone() })
    }

    /// A server without being anybody, trusted by the given configuration.
    pub fn anonymous(server: &str, tls: rustls::ClientConfig, context: &Context) -> Result<Self, Failure> {
        let (http, base) = (http_client(tls)?, base_url(server)?);
        Ok(Self { http, base, identity: None, context: context.clone() })
    }

    /// The profile that acts.
    pub fn profile(&self) -> Option<&Profile> {
        self.identity.as_ref().map(|identity| &identity.profile)
    }
    /// The server's address, without a slash at its end.
    pub fn server(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// The address of a path made of these segments; each is encoded.
    pub fn url(&self, segments: &[&str], query: &[(&str, String)]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.clear().extend(segments);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    /// A call, authenticated if this is somebody.
    pub async fn call(&self, method: Method, url: Url) -> Result<Call<'_>, Failure> {
        let mut request = self.http.request(method, url);
        if let Some(identity) = &self.identity {
            let mut token = identity.token.lock().await;
            let usable = token.take().filter(|token| self.context.now() < token.renew_at);
            let usable = match usable {
                Some(usable) => usable,
                None => self.fetch_token(identity).await?,
            };
            request = request.bearer_auth(usable.text.expose());
            *token = Some(usable);
        }
        Ok(Call { api: self, request })
    }

    /// Reads a document.
    pub async fn get(&self, segments: &[&str], query: &[(&str, String)]) -> Result<Reply, Failure> {
        self.call(Method::GET, self.url(segments, query)).await?.send().await
    }
    /// Sends a document.
    pub async fn post(&self, segments: &[&str], body: &Value) -> Result<Reply, Failure> {
        self.call(Method::POST, self.url(segments, &[])).await?.json(body).send().await
    }

    /// The items of a list, page by page, up to `most`. `pager` is the parameter that takes a page's
    /// `next`.
    pub async fn all(&self, segments: &[&str], pager: &str, most: usize) -> Result<Vec<Value>, Failure> {
        self.filtered(segments, &[], pager, most).await
    }

    /// As [`Api::all`], with more parameters.
    pub async fn filtered(
        &self,
        segments: &[&str],
        filter: &[(&str, String)],
        pager: &str,
        most: usize,
    ) -> Result<Vec<Value>, Failure> {
        let mut items: Vec<Value> = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let limit = most.saturating_sub(items.len()).clamp(1, MAX_PAGE);
            let mut query = filter.to_vec();
            query.push(("limit", limit.to_string()));
            if let Some(cursor) = cursor.take() {
                query.push((pager, cursor));
            }
            let mut page = self.get(segments, &query).await?.body;
            if let Some(Value::Array(more)) = page.get_mut("items").map(Value::take) {
                items.extend(more);
            }
            cursor = match page.get("next") {
                Some(Value::String(text)) => Some(text.clone()),
                Some(Value::Number(number)) => Some(number.to_string()),
                _ => None,
            };
            if cursor.is_none() || items.len() >= most {
                items.truncate(most);
                return Ok(items);
            }
        }
    }

    async fn fetch_token(&self, identity: &Identity) -> Result<Token, Failure> {
        let asked_at = self.context.now();
        let endpoint = self.url(&["v1", "token"], &[]);
        let subject = identity.profile.subject.id();
        let assertion = identity
            .key
            .assertion(&subject, endpoint.as_str(), &self.context)
            .map_err(|error| Failure::new(Exit::Failure, "entropy", error.to_string()))?;
        let mut form = Url::parse("form:").map_err(|_| Failure::usage("form"))?;
        form.query_pairs_mut()
            .append_pair("grant_type", "client_credentials")
            .append_pair("client_assertion_type", ASSERTION_TYPE)
            .append_pair("client_assertion", assertion.expose());
        let request = self
            .http
            .post(endpoint)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(form.query().unwrap_or_default().to_owned());
        let reply = Call { api: self, request }.send().await.map_err(|failure| {
            if failure.exit == Exit::Denied && failure.code != NOT_TRUSTED {
                let server = self.server();
                let mut denied = failure;
                denied.what = format!("`{server}` does not accept `{subject}`: {}", denied.what);
                return denied.remedy("ask an administrator whether it was revoked or its account suspended; check this machine's clock");
            }
            failure
        })?;
        let text = reply.body.get("access_token").and_then(Value::as_str);
        let text =
            text.ok_or_else(|| Failure::new(Exit::Failure, "answer", "the server's answer holds no token"))?;
        // One that does not say how long it lives is used once.
        let life =
            reply.body.get("expires_in").and_then(Value::as_i64).unwrap_or(0).clamp(0, MAX_TOKEN_SECONDS);
        let renew_at = asked_at + base::Duration::from_seconds(life * RENEW_PERCENT / 100);
        Ok(Token { text: Secret::new(text.to_owned()), renew_at })
    }
}

impl std::fmt::Debug for Api {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Api({})", self.base)
    }
}

impl Call<'_> {
    /// With a JSON body.
    #[must_use]
    pub fn json(mut self, body: &Value) -> Self {
        self.request = self.request.json(body);
        self
    }
    /// With a body as it is.
    #[must_use]
    pub fn body(mut self, body: impl Into<reqwest::Body>) -> Self {
        self.request = self.request.body(body);
        self
    }
    /// With a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.request = self.request.header(name, value);
        self
    }
    /// With a header, if there is a value.
    #[must_use]
    pub fn maybe_header(self, name: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.header(name, value),
            None => self,
        }
    }

    /// Sends it; the answer as it comes, or the problem.
    pub async fn stream(self) -> Result<reqwest::Response, Failure> {
        let server = self.api.server().to_owned();
        let response = self.request.send().await.map_err(|error| unreachable_server(&server, &error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let retry = response.headers().get(header::RETRY_AFTER);
        let retry = retry.and_then(|value| value.to_str().ok()).map(str::to_owned);
        let body = read(response, &server).await?;
        Err(problem(status, &body, retry.as_deref()))
    }

    /// Sends it; the answer's JSON, or the problem.
    pub async fn send(mut self) -> Result<Reply, Failure> {
        self.request = self.request.timeout(CALL_TIMEOUT);
        self.send_however_long().await
    }

    /// As [`Call::send`], for a body that may take long to send.
    pub async fn send_however_long(self) -> Result<Reply, Failure> {
        let server = self.api.server().to_owned();
        let response = self.stream().await?;
        let status = response.status();
        let etag = response.headers().get(header::ETAG);
        let etag = etag.and_then(|value| value.to_str().ok()).map(str::to_owned);
        let body = read(response, &server).await?;
        let json = if body.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&body).map_err(|error| {
                Failure::new(Exit::Failure, "answer", "the server's answer is not JSON")
                    .why(error.to_string())
            })?
        };
        Ok(Reply { status, etag, body: json })
    }
}

async fn read(mut response: reqwest::Response, server: &str) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    loop {
        let piece = response.chunk().await.map_err(|error| unreachable_server(server, &error))?;
        let Some(piece) = piece else { return Ok(body) };
        if body.len() + piece.len() > MAX_ANSWER_BYTES {
            return Err(Failure::new(Exit::Failure, "answer", "the server's answer is larger than 64 MiB"));
        }
        body.extend_from_slice(&piece);
    }
}

/// A problem (RFC 9457), or an error of the token endpoint (RFC 6749 5.2).
fn problem(status: StatusCode, body: &[u8], retry: Option<&str>) -> Failure {
    let exit = match status.as_u16() {
        401 | 403 => Exit::Denied,
        404 => Exit::NotFound,
        409 | 412 => Exit::Conflict,
        408 | 429 | 503 | 507 => Exit::Unavailable,
        400..=499 => Exit::Usage,
        _ => Exit::Failure,
    };
    let json: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |name: &str| json.get(name).and_then(Value::as_str).map(str::to_owned);
    let code = text("code").or_else(|| text("error")).unwrap_or_else(|| status.as_u16().to_string());
    let what = text("detail").or_else(|| text("error_description"));
    let what = what.unwrap_or_else(|| format!("the server answered {status}"));
    // Who fails to establish who it is gets no reason from the token endpoint that a thief could use.
    let exit = match code.as_str() {
        "invalid_client" | "unauthorized_client" | "access_denied" => Exit::Denied,
        _ => exit,
    };
    let mut failure = Failure::new(exit, &code, what);
    let field = text("field").filter(|field| !failure.what.contains(field.as_str()));
    failure.why = field.map(|field| format!("the field is `{field}`"));
    failure.remedy = match (retry, status.as_u16()) {
        (Some(seconds), _) => Some(format!("try again in {seconds} s")),
        // What the API says for these is for those who write requests themselves.
        (None, 400 | 401 | 409 | 415) => None,
        (None, 412) => Some("read it again, and give its version with `--if-match`".to_owned()),
        (None, _) => text("remedy"),
    };
    failure.clause = text("clause");
    failure.request = text("request");
    failure
}

fn unreachable_server(server: &str, error: &reqwest::Error) -> Failure {
    let why = chain(error);
    if why.contains("certificate") || why.contains("UnknownIssuer") {
        return Failure::new(Exit::Denied, NOT_TRUSTED, format!("`{server}` is not the server that is trusted"))
            .why(why)
            .remedy("if the server was set up anew, remove what is saved of the earlier one (`tenet profile list`, `tenet profile remove NAME`) and enrol again with its new link; otherwise somebody stands in between");
    }
    Failure::new(Exit::Unavailable, UNREACHABLE, format!("`{server}` does not answer"))
        .why(why)
        .remedy("start it with `tenet up`, or check the address and the network")
}

/// The error's causes, outermost first, without the address that reqwest repeats.
fn chain(error: &reqwest::Error) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        if !parts.iter().any(|part| part.contains(&text)) {
            parts.push(text);
        }
        source = cause.source();
    }
    if parts.is_empty() { error.to_string() } else { parts.join(": ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_become_failures() {
        let body = br#"{"type":"urn:tenet:problem:x","status":400,"code":"above-repository","detail":"too high","clause":"RR-2","field":"/ssn","remedy":"change the request as `detail` says","request":"req_1"}"#;
        let failure = problem(StatusCode::BAD_REQUEST, body, None);
        assert_eq!(
            (failure.exit, failure.code.as_str(), failure.what.as_str()),
            (Exit::Usage, "above-repository", "too high")
        );
        let oauth = br#"{"error":"unauthorized_client","error_description":"the account is suspended"}"#;
        let denied = problem(StatusCode::BAD_REQUEST, oauth, None);
        assert_eq!((denied.exit, denied.what.as_str()), (Exit::Denied, "the account is suspended"));
        assert_eq!((failure.clause.as_deref(), failure.remedy.as_deref()), (Some("RR-2"), None));
        assert_eq!(failure.why.as_deref(), Some("the field is `/ssn`"));
        for (status, exit) in [
            (401, Exit::Denied),
            (403, Exit::Denied),
            (404, Exit::NotFound),
            (409, Exit::Conflict),
            (412, Exit::Conflict),
            (413, Exit::Usage),
            (429, Exit::Unavailable),
            (500, Exit::Failure),
            (503, Exit::Unavailable),
            (507, Exit::Unavailable),
        ] {
            let failure = problem(StatusCode::from_u16(status).unwrap(), b"<html>", Some("3"));
            assert_eq!(
                (failure.exit, failure.remedy.as_deref()),
                (exit, Some("try again in 3 s")),
                "{status}"
            );
        }
    }

    /// A server that answers requests to its end, each token request with another token of 900 s; what it
    /// was asked, a line each: the path and the token that came with it.
    fn token_server(
        listener: std::net::TcpListener,
        tls: rustls::ServerConfig,
        asked: std::sync::mpsc::Sender<String>,
    ) {
        use std::io::{BufRead as _, BufReader, Read as _, Write as _};
        let tls = std::sync::Arc::new(tls);
        let mut tokens = 0;
        for connection in listener.incoming() {
            let session = rustls::ServerConnection::new(std::sync::Arc::clone(&tls)).unwrap();
            let mut stream = BufReader::new(rustls::StreamOwned::new(session, connection.unwrap()));
            loop {
                let (mut path, mut token, mut length) = (String::new(), String::new(), 0);
                loop {
                    let mut line = String::new();
                    if stream.read_line(&mut line).unwrap_or(0) == 0 || line == "\r\n" {
                        break;
                    }
                    let line = line.trim_end();
                    if let Some(value) = line.strip_prefix("authorization: Bearer ") {
                        token = value.to_owned();
                    } else if let Some(value) = line.strip_prefix("content-length: ") {
                        length = value.parse().unwrap();
                    } else if path.is_empty() {
                        path = line.split(' ').nth(1).unwrap_or_default().to_owned();
                    }
                }
                if path.is_empty() || stream.read_exact(&mut vec![0; length]).is_err() {
                    break;
                }
                tokens += u32::from(path == "/v1/token");
                asked.send(format!("{path} {token}")).unwrap();
                let body = format!(r#"{{"access_token":"t{tokens}","expires_in":900}}"#);
                write!(stream.get_mut(), "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())
                    .unwrap();
            }
        }
    }

    #[tokio::test]
    async fn a_token_is_renewed_before_it_runs_out() {
        use crate::{
            client::Subject,
            server::authority::{Authority, CurrentCertificate},
        };
        use base::{Clock, Duration, OperatorId, SystemEntropy};
        use std::sync::{
            Arc,
            atomic::{AtomicI64, Ordering},
        };
        struct Moved(AtomicI64);
        impl Clock for Moved {
            fn now(&self) -> Timestamp {
                Context::system().now() + Duration::from_seconds(self.0.load(Ordering::Relaxed))
            }
        }
        let clock = Arc::new(Moved(AtomicI64::new(0)));
        let context = Context::new(Arc::clone(&clock) as Arc<dyn Clock>, Arc::new(SystemEntropy));
        let authority = Authority::open(&Authority::make(&context).unwrap()).unwrap();
        let issued = authority.issue(&["localhost".to_owned(), "127.0.0.1".to_owned()], &context).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(CurrentCertificate::new(issued));
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let server = format!("https://{}", listener.local_addr().unwrap());
        let (sender, asked) = std::sync::mpsc::channel();
        std::thread::spawn(move || token_server(listener, tls, sender));
        let subject = Subject::Operator { id: OperatorId::new(&context).unwrap() };
        let profile = Profile { server, subject, authority: authority.pem(), log_key: String::new() };
        let api = Api::of(profile, ClientKey::generate(&context).unwrap(), &context).unwrap();
        for seconds in [0, 700, 719, 721, 1_400, 1_442] {
            clock.0.store(seconds, Ordering::Relaxed);
            api.get(&["x"], &[]).await.unwrap();
        }
        let asked: Vec<String> = asked.try_iter().collect();
        assert_eq!(
            asked,
            ["/v1/token ", "/x t1", "/x t1", "/x t1", "/v1/token ", "/x t2", "/x t2", "/v1/token ", "/x t3"]
        );
    }

    #[test]
    fn segments_and_queries_are_encoded() {
        let tls = Pinned::by_fingerprint([0; 32]).client_config().unwrap();
        let api = Api::anonymous("https://localhost:1", tls, &Context::system()).unwrap();
        let url = api.url(&["v1", "a/b", "ü?"], &[("where", "a=b&c".to_owned())]);
        assert_eq!(url.as_str(), "https://localhost:1/v1/a%2Fb/%C3%BC%3F?where=a%3Db%26c");
        assert!(base_url("http://localhost").is_err() && base_url("x").is_err());
    }
}

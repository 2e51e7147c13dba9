//! The calls to a company's provider of identities (OpenID Connect Discovery 1.0, RFC 6749 4.1.3). What it says of people is
//! looked at in `access`; here is only what brings it. Answers are bounded, and faults are said in fixed words: an answer may be
//! anything.

use std::{sync::Arc, time::Duration as StdDuration};

use access::{IdentityProvider, ProviderFault, ProviderFuture, ProviderInfo, Redemption};
use base::{Context, Duration, Secret};
use base64::{Engine, engine::general_purpose::STANDARD};
use reqwest::{RequestBuilder, header};
use serde::Deserialize;
use tokio::sync::Mutex;

use crate::{
    config::{Config, SignInConfig, is_clear_and_near, read_secret_file},
    couriers,
    failure::Failure,
};

/// Most bytes of an answer.
const MAX_ANSWER_BYTES: usize = 256 * 1_024;
/// How long a call may take: somebody waits for it.
const CALL_TIMEOUT: StdDuration = StdDuration::from_secs(10);
/// How long what it says of itself is believed.
const KNOWN_FOR: Duration = Duration::from_seconds(3_600);
/// How often its keys are asked for anew because a token names another.
const ANEW_AFTER: Duration = Duration::from_seconds(30);

/// What it says of itself.
#[derive(Clone, Debug, Deserialize)]
struct Metadata {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Tokens {
    id_token: String,
}

/// What was learned, and when by the clock that nobody sets.
type Known<T> = Mutex<Option<(Duration, T)>>;

/// A provider of identities.
#[derive(Debug)]
struct Provider {
    info: ProviderInfo,
    secret: Option<Secret<String>>,
    client: reqwest::Client,
    context: Context,
    metadata: Known<Arc<Metadata>>,
    keys: Known<Arc<[u8]>>,
}

/// The provider that is configured, if one is.
pub(crate) fn of(config: &Config, context: &Context) -> Result<Option<Arc<dyn IdentityProvider>>, Failure> {
    let SignInConfig { provider, provider_name, provider_client_id, .. } = &config.sign_in;
    if provider.is_empty() {
        return Ok(None);
    }
    let wrong = |why: String| {
        Failure::usage("the provider of identities can't be used")
            .why(why)
            .remedy("docs/console.md says what `sign_in.provider` needs")
    };
    let secret = config.sign_in.provider_secret_file.as_deref().map(read_secret_file).transpose();
    let secret = secret.map_err(|error| wrong(error.to_string()))?;
    let authorities = config.sign_in.provider_ca.as_deref().map(couriers::authorities).transpose()?;
    let client = couriers::http::client(&authorities.unwrap_or_default()).map_err(wrong)?;
    let info = ProviderInfo {
        name: if provider_name.is_empty() {
            "your company's sign-in".to_owned()
        } else {
            provider_name.clone()
        },
        issuer: provider.clone(),
        client_id: provider_client_id.clone(),
        strong: config.sign_in.provider_strong.clone(),
    };
    let context = context.clone();
    let (metadata, keys) = (Mutex::new(None), Mutex::new(None));
    Ok(Some(Arc::new(Provider { info, secret, client, context, metadata, keys })))
}

const fn unreachable(reason: &'static str) -> ProviderFault {
    ProviderFault { reason, refused: false }
}

const fn refused(reason: &'static str) -> ProviderFault {
    ProviderFault { reason, refused: true }
}

/// An address that is spoken to: in the clear only on this machine (TR-4).
fn is_fine(address: &str) -> bool {
    address.starts_with("https://") || is_clear_and_near(address)
}

impl Provider {
    async fn metadata(&self) -> Result<Arc<Metadata>, ProviderFault> {
        let mut known = self.metadata.lock().await;
        let now = self.context.elapsed();
        if let Some((at, metadata)) = known.as_ref()
            && now < *at + KNOWN_FOR
        {
            return Ok(Arc::clone(metadata));
        }
        let address = format!("{}/.well-known/openid-configuration", self.info.issuer.trim_end_matches('/'));
        let answer = call(self.client.get(address)).await?;
        let metadata: Metadata =
            serde_json::from_slice(&answer).map_err(|_| unreachable("provider-metadata"))?;
        let Metadata { issuer, authorization_endpoint, token_endpoint, jwks_uri, .. } = &metadata;
        // Discovery 4.3: one that says that it is another may be answered by that other.
        if *issuer != self.info.issuer {
            tracing::warn!(
                configured = self.info.issuer,
                "the provider of identities calls itself otherwise"
            );
            return Err(unreachable("provider-issuer"));
        }
        if ![authorization_endpoint, token_endpoint, jwks_uri].into_iter().all(|one| is_fine(one)) {
            return Err(unreachable("provider-in-the-clear"));
        }
        let metadata = Arc::new(metadata);
        *known = Some((now, Arc::clone(&metadata)));
        Ok(metadata)
    }

    async fn exchange(&self, redemption: Redemption) -> Result<String, ProviderFault> {
        let metadata = self.metadata().await?;
        let mut form = vec![
            ("grant_type", Secret::new("authorization_code".to_owned())),
            ("code", redemption.code),
            ("redirect_uri", Secret::new(redemption.redirect)),
            ("code_verifier", redemption.verifier),
        ];
        let mut request = self.client.post(&metadata.token_endpoint);
        let methods = metadata.token_endpoint_auth_methods_supported.as_deref();
        let in_form = methods.is_some_and(|all| {
            !all.iter().any(|one| one == "client_secret_basic")
                && all.iter().any(|one| one == "client_secret_post")
        });
        match &self.secret {
            Some(secret) if !in_form => {
                // RFC 6749 2.3.1: each is encoded as in a form first.
                let pair =
                    Secret::new(format!("{}:{}", quoted(&self.info.client_id), quoted(secret.expose())));
                let value = Secret::new(format!("Basic {}", STANDARD.encode(pair.expose())));
                let mut value =
                    header::HeaderValue::from_str(value.expose()).map_err(|_| refused("provider-secret"))?;
                value.set_sensitive(true);
                request = request.header(header::AUTHORIZATION, value);
            }
            Some(secret) => {
                form.push(("client_id", Secret::new(self.info.client_id.clone())));
                form.push(("client_secret", secret.clone()));
            }
            None => form.push(("client_id", Secret::new(self.info.client_id.clone()))),
        }
        let body: Vec<String> =
            form.iter().map(|(name, value)| format!("{name}={}", quoted(value.expose()))).collect();
        let request =
            request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded").body(body.join("&"));
        let answer = Secret::new(call(request).await?);
        let tokens: Result<Tokens, _> = serde_json::from_slice(answer.expose());
        tokens.map(|tokens| tokens.id_token).map_err(|_| refused("provider-no-id-token"))
    }

    async fn key_set(&self, anew: bool) -> Result<Arc<[u8]>, ProviderFault> {
        let metadata = self.metadata().await?;
        let mut known = self.keys.lock().await;
        let now = self.context.elapsed();
        let life = if anew { ANEW_AFTER } else { KNOWN_FOR };
        if let Some((at, keys)) = known.as_ref()
            && now < *at + life
        {
            return Ok(Arc::clone(keys));
        }
        let keys: Arc<[u8]> = call(self.client.get(&metadata.jwks_uri)).await?.into();
        *known = Some((now, Arc::clone(&keys)));
        Ok(keys)
    }
}

impl IdentityProvider for Provider {
    fn info(&self) -> &ProviderInfo {
        &self.info
    }
    fn endpoint(&self) -> ProviderFuture<'_, String> {
        Box::pin(async { Ok(self.metadata().await?.authorization_endpoint.clone()) })
    }
    fn redeem(&self, redemption: Redemption) -> ProviderFuture<'_, String> {
        Box::pin(self.exchange(redemption))
    }
    fn keys(&self, anew: bool) -> ProviderFuture<'_, Arc<[u8]>> {
        Box::pin(self.key_set(anew))
    }
}

/// What a call brings. That it does not want this is another thing than that it is not there.
async fn call(request: RequestBuilder) -> Result<Vec<u8>, ProviderFault> {
    let lost = |error: reqwest::Error| {
        tracing::warn!(%error, "the provider of identities does not answer");
        unreachable(if error.is_timeout() { "provider-timed-out" } else { "provider-unreachable" })
    };
    let request = request.header(header::ACCEPT, "application/json").timeout(CALL_TIMEOUT);
    let mut answer = request.send().await.map_err(|error| lost(error.without_url()))?;
    let status = answer.status();
    if !status.is_success() {
        tracing::warn!(status = status.as_u16(), "the provider of identities refuses a call");
        return Err(if status.is_client_error() {
            refused("provider-refused")
        } else {
            unreachable("provider-failed")
        });
    }
    let mut read = Vec::new();
    while let Some(piece) = answer.chunk().await.map_err(|error| lost(error.without_url()))? {
        if read.len() + piece.len() > MAX_ANSWER_BYTES {
            return Err(unreachable("provider-answer-too-long"));
        }
        read.extend_from_slice(&piece);
    }
    Ok(read)
}

/// A form's value: all but what RFC 3986 leaves unreserved is encoded.
fn quoted(text: &str) -> String {
    let keep = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes()
        .map(|byte| if keep(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

//! Who acts in the story: the people of a fictitious company that runs Tenet, and the applications of its customers. Each
//! proves who they are as anybody does, by signing an assertion with a key of their own, and gets a token that ends.

use std::net::{IpAddr, Ipv4Addr};

use access::{
    ASSERTION_TYPE, AccessError, Call, Credential, Enrolment, Peer, Principal, PublicKey, Role, TokenRequest,
};
use base::{OperatorId, RequestId, Secret, Timestamp};
use tokio::sync::Mutex;

use super::failed;
use crate::{
    client::ClientKey,
    failure::{Exit, Failure},
    server::stage::Stage,
};

/// Somebody with a key of their own.
pub(crate) struct Who {
    key: ClientKey,
    /// The subject of their assertions.
    id: String,
    peer: Peer,
    token: Mutex<Option<(Secret<String>, Timestamp)>>,
}

/// A person who operates Tenet.
pub(crate) struct Person {
    pub(crate) id: OperatorId,
    pub(crate) who: Who,
}

/// Everybody at the company.
pub(crate) struct People {
    /// The security lead, whose part the visitor takes.
    pub(crate) lead: Person,
    /// Two administrators.
    pub(crate) jonas: Person,
    pub(crate) priya: Person,
    /// An engineer.
    pub(crate) tomasz: Person,
    /// The auditor, who changes nothing.
    pub(crate) elena: Person,
    /// An administrator who leaves.
    pub(crate) samuel: Person,
}

/// A new key.
pub(crate) fn new_key(stage: &Stage) -> Result<ClientKey, Failure> {
    ClientKey::generate(&stage.context)
        .map_err(|error| Failure::new(Exit::Failure, "entropy", error.to_string()))
}

/// The public half of it.
pub(crate) fn public(key: &ClientKey) -> Result<PublicKey, Failure> {
    PublicKey::parse(&key.public_text())
        .ok_or_else(|| Failure::new(Exit::Failure, "key", "a key that was just made is none"))
}

/// A call from an address of those that are kept for documentation (RFC 5737).
fn peer(last: u8, tool: &str) -> Peer {
    Peer { address: Some(IpAddr::V4(Ipv4Addr::new(203, 0, 113, last))), tool: tool.to_owned() }
}

fn call(stage: &Stage, peer: &Peer, subsystem: &'static str) -> Result<Call, Failure> {
    let request = RequestId::new(&stage.context)
        .map_err(|error| Failure::new(Exit::Failure, "entropy", error.to_string()))?;
    Ok(Call { peer: peer.clone(), request, subsystem })
}

impl Who {
    /// Of that id and key; `last` is the last number of the address that they come from.
    pub(crate) fn new(id: String, key: ClientKey, last: u8, tool: &str) -> Self {
        Self { key, id, peer: peer(last, tool), token: Mutex::new(None) }
    }

    /// Signs in; the token.
    pub(crate) async fn sign_in(&self, stage: &Stage) -> Result<(Secret<String>, Timestamp), AccessError> {
        self.sign_in_with(stage, &self.key).await
    }

    /// Tries to sign in with a key.
    pub(crate) async fn sign_in_with(
        &self,
        stage: &Stage,
        key: &ClientKey,
    ) -> Result<(Secret<String>, Timestamp), AccessError> {
        let assertion = key.assertion(&self.id, &stage.issuer, &stage.context)?;
        let credential =
            Credential::Assertion { client: None, assertion_type: ASSERTION_TYPE.to_owned(), assertion };
        let request = TokenRequest {
            grant: "client_credentials".to_owned(),
            credential,
            account: None,
            scope: None,
            audiences: Vec::new(),
        };
        let call =
            Call { peer: self.peer.clone(), request: RequestId::new(&stage.context)?, subsystem: "token" };
        let issued = stage.access.token(request, &call).await?.into_inner();
        Ok((issued.token, issued.expires))
    }

    /// Who they are in one request: established by their token, anew if it has ended.
    pub(crate) async fn principal(
        &self,
        stage: &Stage,
        subsystem: &'static str,
    ) -> Result<Principal, Failure> {
        let mut token = self.token.lock().await;
        if token.as_ref().is_none_or(|(_, ends)| *ends <= stage.now()) {
            *token = Some(self.sign_in(stage).await.map_err(|error| failed(&error))?);
        }
        let bearer = token.as_ref().map_or("", |(bearer, _)| bearer.expose());
        let call = call(stage, &self.peer, subsystem)?;
        stage.access.authenticate(bearer, &call).await.map_err(|error| failed(&error))
    }
}

impl Person {
    /// Enrols with the link of that secret.
    async fn enrol(
        stage: &Stage,
        secret: Secret<String>,
        name: &str,
        (last, tool): (u8, &str),
        key: ClientKey,
    ) -> Result<Self, Failure> {
        let enrolment = Enrolment { secret, key: public(&key)?, name: name.to_owned() };
        let call = call(stage, &peer(last, tool), "enrol")?;
        let made = stage.access.enrol(enrolment, &call).await.map_err(|error| failed(&error))?.into_inner();
        Ok(Self { id: made.id, who: Who::new(made.id.to_string(), key, last, tool) })
    }

    /// Is invited by somebody and enrols a few minutes later.
    async fn join(
        stage: &Stage,
        by: &Self,
        role: Role,
        name: &str,
        from: (u8, &str),
    ) -> Result<Self, Failure> {
        let inviter = by.principal(stage).await?;
        let link = stage.access.link_create(&inviter, role).await.map_err(|error| failed(&error))?;
        stage.pass(base::Duration::from_seconds(240)).await?;
        let secret = link.into_inner().secret;
        Self::enrol(stage, secret, name, from, new_key(stage)?).await
    }

    /// Who they are in one request.
    pub(crate) async fn principal(&self, stage: &Stage) -> Result<Principal, Failure> {
        self.who.principal(stage, "operators").await
    }
}

impl People {
    /// The first day: the security lead comes by the link of the first start, and invites the others.
    pub(crate) async fn arrive(
        stage: &Stage,
        first_link: Secret<String>,
        visitors_key: ClientKey,
    ) -> Result<Self, Failure> {
        const TOOL: &str = concat!("tenet/", env!("CARGO_PKG_VERSION"));
        let lead =
            Person::enrol(stage, first_link, "Mira Halvorsen, security lead", (10, TOOL), visitors_key)
                .await?;
        let administrator = Role::Administrator;
        let jonas =
            Person::join(stage, &lead, administrator, "Jonas Keller, administrator", (11, TOOL)).await?;
        let priya =
            Person::join(stage, &lead, administrator, "Priya Raman, administrator", (12, TOOL)).await?;
        let samuel =
            Person::join(stage, &jonas, administrator, "Samuel Okoye, administrator", (13, TOOL)).await?;
        let tomasz = Person::join(stage, &jonas, administrator, "Tomasz Wrona, engineer", (14, TOOL)).await?;
        let elena = Person::join(stage, &lead, Role::Auditor, "Elena Conti, auditor", (20, TOOL)).await?;
        Ok(Self { lead, jonas, priya, tomasz, elena, samuel })
    }
}

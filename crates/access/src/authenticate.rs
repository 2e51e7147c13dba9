//! From a bearer token to a principal. The signature may have been verified before; whether the token,
//! its client and its account are still good is asked of the store each time, in one statement, so that
//! a revocation on any server acts on all at once. No answer means no entry.

use std::sync::Arc;

use base::{AccountId, Actor, ClientId, OperatorId, Timestamp};
use store::platform;

use crate::{
    Access, AccessError, ScopeSet, Standing,
    claims::{Claims, Subject},
    client_create::EVERY_LEVEL,
    origin::Call,
    principal::{Principal, PrincipalKind},
    refuse::Failure,
};

impl Access {
    /// Who makes this call, by the bearer token (RFC 6750) that came with it. A refusal is recorded
    /// before it is returned, and says nothing about why.
    pub async fn authenticate(&self, bearer: &str, call: &Call) -> Result<Principal, AccessError> {
        let now = self.0.context.now();
        let claims = match self.0.verifier.verify(bearer, now) {
            Ok(claims) => claims,
            Err(fault) => {
                let failure =
                    Failure { subject: Actor::Anonymous, account: None, reason: fault.reason(), call, now };
                return Err(self.fail(failure, AccessError::Unauthenticated).await);
            }
        };
        let (subject, account) = match claims.subject {
            Subject::Client { client, account } => (Actor::Client(client), Some(account)),
            Subject::Customer { person, account } => (Actor::Operator(person), Some(account)),
            Subject::Operator(operator) => (Actor::Operator(operator), None),
        };
        let established = match claims.subject {
            Subject::Client { client, account } => self.client(&claims, client, account, call, now).await?,
            Subject::Customer { person, account } => {
                self.person(&claims, person, Some(account), call, now).await?
            }
            Subject::Operator(operator) => self.person(&claims, operator, None, call, now).await?,
        };
        match established {
            Ok(kind) => {
                Ok(Principal { kind, token: Some(claims.token), expires: claims.expires, proved: None })
            }
            Err(reason) => {
                let failure = Failure { subject, account, reason, call, now };
                Err(self.fail(failure, AccessError::Unauthenticated).await)
            }
        }
    }

    async fn client(
        &self,
        claims: &Arc<Claims>,
        client: ClientId,
        account: AccountId,
        call: &Call,
        now: Timestamp,
    ) -> Result<Result<PrincipalKind, &'static str>, AccessError> {
        let statement = platform!(
            "SELECT c.scopes, c.clearance, c.revoked_at, a.suspended_at, \
             (SELECT COUNT(*) FROM token_revocation t WHERE t.token = $3) \
             FROM client c JOIN account a ON a.id = c.account WHERE c.id = $1 AND c.account = $2"
        );
        let mut read = self.0.store.system_read(&self.0.reader).await?;
        let found =
            read.row(statement, &[(&client).into(), (&account).into(), (&claims.token).into()]).await?;
        drop(read);
        let Some(row) = found else { return Ok(Err("client-unknown")) };
        if row.opt_time(2)?.is_some() {
            return Ok(Err("client-revoked"));
        }
        if row.opt_time(3)?.is_some() {
            return Ok(Err("account-suspended"));
        }
        if row.int(4)? != 0 {
            return Ok(Err("token-revoked"));
        }
        let (scopes, clearance) = (row.text(0)?, row.opt_text(1)?.unwrap_or(EVERY_LEVEL));
        let is_explained = self.made_client(client).await?.is_some_and(|made| {
            made.account == account && made.scopes == scopes && made.clearance == clearance
        });
        if !is_explained {
            return Ok(Err("client-unexplained"));
        }
        // A stored list that does not parse grants nothing.
        let granted = ScopeSet::parse(row.text(0)?).unwrap_or_default();
        let clearance = self.clearance(row.opt_text(1)?);
        let origin = self.origin(Actor::Client(client), Some(account), call).await?;
        let scope = self.0.mint.scope(account, origin, now);
        Ok(Ok(PrincipalKind::Client {
            scope,
            scopes: claims.scopes.intersection(granted),
            client,
            clearance,
        }))
    }

    /// An operator, or a customer's administrator: whichever the row is, the log says and the token is for.
    async fn person(
        &self,
        claims: &Arc<Claims>,
        operator: OperatorId,
        account: Option<AccountId>,
        call: &Call,
        now: Timestamp,
    ) -> Result<Result<PrincipalKind, &'static str>, AccessError> {
        let statement = platform!(
            "SELECT o.role, o.revoked_at, o.ends_at, (SELECT COUNT(*) FROM token_revocation t WHERE t.token = $2), \
             o.account, a.suspended_at, a.id FROM operator o LEFT JOIN account a ON a.id = o.account WHERE o.id = $1"
        );
        let mut read = self.0.store.system_read(&self.0.reader).await?;
        let found = read.row(statement, &[(&operator).into(), (&claims.token).into()]).await?;
        drop(read);
        let Some(row) = found else { return Ok(Err("operator-unknown")) };
        if row.opt_time(1)?.is_some() {
            return Ok(Err("operator-revoked"));
        }
        let ends = row.opt_time(2)?;
        if ends.is_some_and(|ends| now >= ends) {
            return Ok(Err("access-ended"));
        }
        if row.int(3)? != 0 {
            return Ok(Err("token-revoked"));
        }
        let Some(role) = Standing::of(row.text(0)?, row.opt_id(4)?) else { return Ok(Err("operator-role")) };
        if role.account() != account {
            return Ok(Err("another-account"));
        }
        if self.made(operator).await?.is_none_or(|made| made.role != role || made.ends != ends) {
            return Ok(Err("operator-unexplained"));
        }
        if account.is_some() && (row.opt_time(5)?.is_some() || row.opt_blob(6)?.is_none()) {
            return Ok(Err("account-suspended"));
        }
        let origin = self.origin(Actor::Operator(operator), account, call).await?;
        Ok(Ok(match role {
            Standing::Customer(account) => {
                PrincipalKind::Customer { scope: self.0.mint.scope(account, origin, now), person: operator }
            }
            Standing::Operator(role) => {
                let scope = self.0.mint.system(origin, now, "an operator works on the platform");
                PrincipalKind::Operator { scope, operator, role }
            }
        }))
    }

    /// The rank of a stored clearance: the highest of the scheme if none is stored; below the lowest,
    /// so nothing, if the scheme no longer has that level.
    pub(crate) fn clearance(&self, stored: Option<&str>) -> i64 {
        match stored {
            None => self.highest(),
            Some(name) => {
                let level = self.0.config.scheme.parse(name);
                level.map_or(-1, |level| i64::try_from(level.rank()).unwrap_or(-1))
            }
        }
    }

    /// The rank of the highest level of the scheme.
    pub(crate) fn highest(&self) -> i64 {
        i64::try_from(self.0.config.scheme.levels().len()).unwrap_or(i64::MAX) - 1
    }
}

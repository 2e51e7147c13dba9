//! The one authentication extractor: from the bearer token to who calls. The account comes from the token
//! and from nowhere else.

use access::{AccessError, Action, Call, Decision, Peer, Principal, PrincipalKind, Resource};
use axum::{
    extract::{FromRequestParts, MatchedPath},
    http::{header, request::Parts},
};
use base::RepositoryId;
use ledger::{Act, Activity, ObjectRef};
use store::{Scope, SystemScope};
use vault::Decided;

use crate::{
    App,
    observe::one_header,
    problem::{Http, Problem},
    request::RequestContext,
    route::Callers,
    throttle::party,
};

/// Whoever calls, established.
pub(crate) struct Caller {
    principal: Principal,
    callers: Callers,
}

impl FromRequestParts<App> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let context = RequestContext::from_request_parts(parts, app).await?;
        let info =
            parts.extensions.get::<MatchedPath>().and_then(|path| app.route(&parts.method, path.as_str()));
        let info = info.ok_or_else(|| Problem::internal("an authenticated handler is no listed route"))?;
        let call = call(&context, info.subsystem);
        let bearer = bearer(parts)?;
        let principal = match app.access().authenticate(bearer.unwrap_or_default(), &call).await {
            Ok(principal) => principal,
            Err(error) => return Err(refused(app, &context, bearer, error)),
        };
        admit(app, &principal).await?;
        Ok(Self { principal, callers: info.callers })
    }
}

/// A call, as access knows it.
pub(crate) fn call(context: &RequestContext, subsystem: &'static str) -> Call {
    let peer = Peer { address: Some(context.peer), tool: context.tool.clone() };
    Call { peer, request: context.id, subsystem }
}

impl Caller {
    /// Who it is.
    pub(crate) fn principal(&self) -> &Principal {
        &self.principal
    }

    /// Asks the policies whether the caller may do what the route is listed for, to this. A refusal is
    /// recorded before it comes back. Only then is the scope of the caller's account handed out.
    pub(crate) async fn client(&self, app: &App, resource: &Resource) -> Result<(&Scope, Decision), Problem> {
        let Callers::Client(action) = self.callers else {
            return Err(Problem::internal("a handler for clients is listed for others"));
        };
        let decision = app.access().authorize(&self.principal, action, resource).await?;
        let scope = self.principal.scope();
        let scope =
            scope.ok_or_else(|| Problem::internal("the policies allowed an operator a client's act"))?;
        Ok((scope, decision))
    }

    /// The same for what is in a repository.
    pub(crate) async fn within(
        &self,
        app: &App,
        repository: RepositoryId,
        resource: Resource,
    ) -> Result<(&Scope, Decided), Problem> {
        let resource = self.labelled(app, repository, resource).await?;
        let (scope, decision) = self.client(app, &resource).await?;
        Ok((scope, Decided { policies: decision.policies() }))
    }

    /// The same for a part of the request that is an act of its own, such as a deletion in a batch.
    pub(crate) async fn also(
        &self,
        app: &App,
        repository: RepositoryId,
        action: Action,
        decided: &mut Decided,
    ) -> Result<(), Problem> {
        let resource = self.labelled(app, repository, Resource::new()).await?;
        let decision = app.access().authorize(&self.principal, action, &resource).await?;
        for policy in decision.policies() {
            if !decided.policies.contains(&policy) {
                decided.policies.push(policy);
            }
        }
        Ok(())
    }

    /// The resource with its repository and, where the caller's clearance makes it matter, the
    /// repository's label. Without a label it counts as the highest; so does a repository that is not
    /// there, or is another account's.
    async fn labelled(
        &self,
        app: &App,
        repository: RepositoryId,
        resource: Resource,
    ) -> Result<Resource, Problem> {
        let resource = resource.in_repository(repository);
        let PrincipalKind::Client { scope, clearance, .. } = self.principal.kind() else {
            return Ok(resource);
        };
        let highest = app.scheme().levels().len().saturating_sub(1);
        if usize::try_from(*clearance).is_ok_and(|clearance| clearance >= highest) {
            return Ok(resource);
        }
        Ok(match app.vault().repository_label(scope, repository).await? {
            Some(label) => resource.classified(&label),
            None => resource,
        })
    }

    /// The same for an operator's act on the platform.
    pub(crate) async fn operator(
        &self,
        app: &App,
        resource: &Resource,
    ) -> Result<(&SystemScope, Decision), Problem> {
        let Callers::Operator(action) = self.callers else {
            return Err(Problem::internal("a handler for operators is listed for others"));
        };
        let decision = app.access().authorize(&self.principal, action, resource).await?;
        let scope = self.principal.system();
        let scope =
            scope.ok_or_else(|| Problem::internal("the policies allowed a client an operator's act"))?;
        Ok((scope, decision))
    }
}

/// The token of `Authorization: Bearer` (RFC 6750 2.1), the only place where one is taken from.
fn bearer(parts: &Parts) -> Result<Option<&str>, Problem> {
    let wrong =
        |_| Problem::unauthenticated("token-invalid", "the header `Authorization` holds no access token");
    let Some(text) = one_header(&parts.headers, &header::AUTHORIZATION).map_err(wrong)? else {
        return Ok(None);
    };
    let (scheme, token) = text.split_once(' ').unwrap_or((text, ""));
    Ok(scheme.eq_ignore_ascii_case("bearer").then(|| token.trim()))
}

fn refused(app: &App, context: &RequestContext, bearer: Option<&str>, error: AccessError) -> Problem {
    let retry = error.retry_after();
    let missing = bearer.is_none() && matches!(error, AccessError::Unauthenticated);
    if let Err(seconds) = app.sign_ins().admit(&party(context.peer)) {
        app.metrics().refused("sign-in-rate");
        let detail = "too many requests without a valid access token come from this address";
        return Problem::http(Http::Rate, detail).retry_after(seconds);
    }
    if missing {
        // RFC 6750 3.1: no error code when there was no token at all.
        return Problem::unauthenticated("token-missing", "an access token is needed here");
    }
    throttled(error.into(), retry)
}

/// Says when a caller who failed too often may try again.
pub(crate) fn throttled(problem: Problem, retry: Option<base::Duration>) -> Problem {
    match retry {
        Some(span) => {
            problem.retry_after(u32::try_from(span.seconds().saturating_add(1)).unwrap_or(u32::MAX))
        }
        None => problem,
    }
}

/// Counts the request against the caller's own rate.
async fn admit(app: &App, principal: &Principal) -> Result<(), Problem> {
    let actor = principal.actor();
    let Err(seconds) = app.callers().admit(&actor) else { return Ok(()) };
    app.metrics().refused("caller-rate");
    if app.notes().admit(&actor).is_ok() {
        let object = ObjectRef::new(actor.kind().as_str(), actor);
        let act = Act::refused(Activity::LimitExceed, object, "caller-rate", None);
        match (principal.scope(), principal.system()) {
            (Some(scope), _) => app.store().record(scope, act).await?,
            (None, Some(scope)) => app.store().record_system(scope, act).await?,
            (None, None) => return Err(Problem::internal("a principal without any scope")),
        };
    }
    let detail = "this caller sends more requests than are served";
    Err(Problem::http(Http::Rate, detail).retry_after(seconds))
}

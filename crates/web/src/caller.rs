//! The one authentication extractor: from the bearer token to who calls. The account comes from the token
//! and from nowhere else.

use access::{AccessError, Action, Call, Decision, Peer, Principal, PrincipalKind, Resource};
use axum::{
    extract::{FromRequestParts, MatchedPath},
    http::{HeaderName, header, request::Parts},
};
use base::RepositoryId;
use ledger::{Act, Activity, ObjectRef};
use store::{Scope, SystemScope};
use vault::Decided;

use crate::{
    App,
    extract::IDEMPOTENCY_KEY,
    observe::one_header,
    problem::{Http, Problem},
    request::RequestContext,
    route::{Callers, RouteInfo},
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
        let (established, missing) = match bearer(parts) {
            Ok(bearer) => {
                let known = app.access().authenticate(bearer.unwrap_or_default(), &call).await;
                (known, bearer.is_none())
            }
            Err(Unreadable) => {
                let error = AccessError::Unauthenticated;
                (Err(app.access().reject("authorization-unreadable", error, &call).await), false)
            }
        };
        let principal = established.map_err(|error| refused(app, &context, missing, error))?;
        admit(app, &principal).await?;
        seat(app, &context, &principal).await?;
        check_headers(parts, info)?;
        Ok(Self { principal, callers: info.callers })
    }
}

/// What a failed proof of identity is answered with: how long to wait, too, where that is what is wrong.
pub(crate) fn refusal(error: AccessError) -> Problem {
    let retry = error.retry_after();
    throttled(error.into(), retry)
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

    /// The rank of the highest classification that the caller may touch; negative for none.
    pub(crate) fn clearance(&self) -> i64 {
        match self.principal.kind() {
            PrincipalKind::Client { clearance, .. } => *clearance,
            // Sees declarations, whatever their level, and nothing of what is stored.
            PrincipalKind::Customer { .. } => i64::MAX,
            PrincipalKind::Operator { .. } => -1,
        }
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

/// `Authorization` comes twice, or holds bytes that no token has.
struct Unreadable;

/// The token of `Authorization: Bearer` (RFC 6750 2.1), the only place where one is taken from.
fn bearer(parts: &Parts) -> Result<Option<&str>, Unreadable> {
    let Some(text) = one_header(&parts.headers, &header::AUTHORIZATION).map_err(|_| Unreadable)? else {
        return Ok(None);
    };
    let (scheme, token) = text.split_once(' ').unwrap_or((text, ""));
    Ok(scheme.eq_ignore_ascii_case("bearer").then(|| token.trim()))
}

/// What is told to a caller who is not established. Only failures of the caller's count against the address:
/// a store that does not answer is told as that.
fn refused(app: &App, context: &RequestContext, missing: bool, error: AccessError) -> Problem {
    let retry = error.retry_after();
    let failed = matches!(error, AccessError::Unauthenticated | AccessError::Throttled { .. });
    if failed && let Err(seconds) = app.bearer_failures().admit(&party(context.peer)) {
        app.metrics().refused("bearer-failures");
        let detail = "too many requests without a valid access token come from this address";
        return Problem::http(Http::Rate, detail).retry_after(seconds);
    }
    if missing && matches!(error, AccessError::Unauthenticated) {
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
pub(crate) async fn admit(app: &App, principal: &Principal) -> Result<(), Problem> {
    let Err(seconds) = app.callers().admit(&principal.actor()) else { return Ok(()) };
    note(app, principal, "caller-rate").await?;
    let detail = "this caller sends more requests than are served";
    Err(Problem::http(Http::Rate, detail).retry_after(seconds))
}

/// Takes one of the caller's places for the request, until its answer is out: one caller's slow streams
/// must not take every place that there is.
pub(crate) async fn seat(app: &App, context: &RequestContext, principal: &Principal) -> Result<(), Problem> {
    let Some(seat) = app.seats().take(&principal.actor()) else {
        note(app, principal, "caller-requests-in-hand").await?;
        let detail = "this caller has more requests in hand than are served at once";
        return Err(Problem::http(Http::Rate, detail).retry_after(1));
    };
    // A second one of the same request is given back here.
    let _ = context.seat.set(seat);
    Ok(())
}

/// Refuses a header that the route does not act on, lest the caller rely on what is not done.
fn check_headers(parts: &Parts, info: &RouteInfo) -> Result<(), Problem> {
    let refused = |name: &HeaderName, detail| {
        let given = info.changes && parts.headers.contains_key(name);
        if given { Err(Problem::invalid("header-not-supported", name.as_str(), detail)) } else { Ok(()) }
    };
    if !info.once {
        let detail = "this route does not take `Idempotency-Key`: leave it out, and look at what there is before \
                      you send the request again";
        refused(&IDEMPOTENCY_KEY, detail)?;
    }
    if !info.if_match {
        refused(&header::IF_MATCH, "this route does not take `If-Match`: leave it out")?;
    }
    Ok(())
}

/// Counts a limit that a caller has reached, and records it, at most once a second.
async fn note(app: &App, principal: &Principal, limit: &'static str) -> Result<(), Problem> {
    app.metrics().refused(limit);
    let actor = principal.actor();
    if app.notes().admit(&actor).is_ok() {
        let object = ObjectRef::new(actor.kind().as_str(), actor);
        let act = Act::refused(Activity::LimitExceed, object, limit, None);
        match (principal.scope(), principal.system()) {
            (Some(scope), _) => app.store().record(scope, act).await?,
            (None, Some(scope)) => app.store().record_system(scope, act).await?,
            (None, None) => return Err(Problem::internal("a principal without any scope")),
        };
    }
    Ok(())
}

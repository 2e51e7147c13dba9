//! The table of every route: who may call it, the action that is authorized, the events that it leaves.
//! `routes.txt` is checked in: no route is added, and none changes its terms, without a line that somebody
//! reads. Then each route is met by nobody, by the wrong caller, and from the wrong account.

use access::Action;
use serde_json::{Value, json};
use web::{Callers, RouteInfo};

use crate::support::{Ask, Reply, World, ask, challenge};

pub(crate) fn line(route: &RouteInfo) -> String {
    let callers = match route.callers {
        Callers::Anyone => "anyone -".to_owned(),
        Callers::SigningIn => "signing-in -".to_owned(),
        Callers::Client(action) => format!("client {action}"),
        Callers::Operator(action) => format!("operator {action}"),
        Callers::Either => "token -".to_owned(),
        Callers::Visitor(action) => format!("session {action}"),
    };
    let events: Vec<_> = route.events.iter().map(|event| event.name()).collect();
    let events = if events.is_empty() { "-".to_owned() } else { events.join(",") };
    format!("{} {} {callers} {events}", route.method, route.path)
}

#[test]
fn every_route_stands_in_the_table() {
    let listed: Vec<_> = include_str!("routes.txt").lines().filter(|line| !line.starts_with('#')).collect();
    let served: Vec<_> = web::routes().iter().map(line).collect();
    assert_eq!(served, listed, "routes.txt and the router differ");
}

#[test]
fn whatever_touches_data_or_the_platform_leaves_an_event() {
    for route in web::routes() {
        let open = matches!(route.callers, Callers::Anyone);
        assert_eq!(route.events.is_empty(), open, "{} {}", route.method, route.path);
    }
}

testkit::on_both_engines! {
    async fn the_document_has_every_route_and_no_other(h: Harness) {
        let world = World::new(h).await;
        let mut described: Vec<_> = world.document["paths"].as_object().unwrap().iter()
            .flat_map(|(path, item)| item.as_object().unwrap().keys().map(move |method| (method.to_uppercase(), path.clone())))
            .collect();
        let mut served: Vec<_> = web::routes().into_iter().map(|it| (it.method.to_owned(), it.path)).collect();
        described.sort();
        served.sort();
        assert_eq!(described, served);
    }

    async fn each_route_refuses_whoever_it_must(h: Harness) {
        let world = World::new(h).await;
        let repository = world.repository("samples", "confidential").await;
        let record = world.call(
            ask("POST", format!("/v1/repositories/{repository}/records"))
                .bearer(&world.client.token)
                .json(&json!({"number": "1"})),
        ).await.expect(201).text("/id");
        let mut things = vec![("repository", repository.clone()), ("record", record), ("account", world.account.clone())];
        things.extend(world.kept_things(&repository).await);
        // Reads repositories and nothing else; another reads records and nothing else.
        let reader = world.make_client(&world.account, "repositories:read").await;
        let other = world.make_client(&world.account, "records:read").await;
        for route in web::routes() {
            let what = format!("{} {}", route.method, route.path);
            match route.callers {
                Callers::Anyone | Callers::SigningIn | Callers::Visitor(_) => continue,
                Callers::Either => nobody(&world, &route, &things).await,
                Callers::Operator(_) => {
                    nobody(&world, &route, &things).await;
                    denied(&world, sample(&route, &things).bearer(&world.client.token), &what).await;
                }
                Callers::Client(action) => {
                    nobody(&world, &route, &things).await;
                    denied(&world, sample(&route, &things).bearer(&world.operator), &what).await;
                    let wrong = if matches!(action, Action::RepositoryRead | Action::RepositoryList) { &other } else { &reader };
                    denied(&world, sample(&route, &things).bearer(&wrong.token), &what).await;
                    if route.path.contains('{') {
                        wrong_account(&world, &route, &things).await;
                    }
                }
            }
        }
    }
}

impl World {
    /// An object, a hold on it, and the certificate of a record that is erased: each is there to be found by
    /// whoever may.
    async fn kept_things(&self, repository: &str) -> [(&'static str, String); 3] {
        let path = |rest: &str| format!("/v1/repositories/{repository}{rest}");
        let post = |rest: &str| ask("POST", path(rest)).bearer(&self.client.token);
        let object =
            self.call(post("/objects?name=a").raw("text/plain", "content")).await.expect(201).text("/id");
        let held = json!({"person": "A. Counsel", "object": object, "reason": "a case"});
        let hold = self.call(post("/holds").json(&held)).await.expect(201).text("/id");
        let gone = self.call(post("/records").json(&json!({"number": "2"}))).await.expect(201).text("/id");
        let erased = self.call(post(&format!("/records/{gone}/erase"))).await.expect(200).text("/id");
        for (kind, path) in [
            ("object", path(&format!("/objects/{object}"))),
            ("certificate", format!("/v1/certificates/{erased}")),
        ] {
            let found = self.plain(ask("GET", path).bearer(&self.client.token)).await;
            assert_eq!(found.status, 200, "the {kind} is there for its own account");
        }
        [("object", object), ("hold", hold), ("certificate", erased)]
    }
}

/// Without a token, and with one that is none: 401 and its event, before anything else is looked at.
async fn nobody(world: &World, route: &RouteInfo, things: &[(&str, String)]) {
    let reply = world.call(sample(route, things)).await.expect(401);
    assert_eq!(reply.text("/code"), "token-missing");
    assert_eq!(challenge(&reply), "Bearer realm=\"tenet\"");
    assert_eq!(world.events_of(&reply), ["auth.fail"], "{} {}", route.method, route.path);
    let reply = world.call(sample(route, things).bearer("no.token.atall")).await.expect(401);
    assert_eq!(challenge(&reply), "Bearer realm=\"tenet\", error=\"invalid_token\"");
    world.wait(1);
}

/// With a token that does not allow it: 403, and the refusal is recorded.
async fn denied(world: &World, ask: Ask, what: &str) {
    let reply = world.call(ask).await;
    assert_eq!(reply.status, 403, "{what}: {}", String::from_utf8_lossy(&reply.bytes));
    assert_eq!(reply.text("/code"), "access-denied", "{what}");
    assert!(reply.json()["clause"].is_string(), "{what}");
    assert_eq!(world.events_of(&reply), ["access.deny"], "{what}");
}

/// Another account's thing and a thing that never was are answered alike, and neither is reached.
async fn wrong_account(world: &World, route: &RouteInfo, things: &[(&str, String)]) {
    let foreign = world.call(sample(route, things).bearer(&world.stranger.token)).await;
    let absent = world.call(sample(route, &[]).bearer(&world.stranger.token)).await;
    let what = format!("{} {}", route.method, route.path);
    let known = |reply: &Reply| {
        let mut body = reply.json();
        body.as_object_mut().unwrap().remove("request");
        (reply.status.as_u16(), body)
    };
    assert_eq!(known(&foreign).0, 404, "{what}: {}", known(&foreign).1);
    assert_eq!(known(&foreign), known(&absent), "{what}");
    // Keys are made many at a time, for whoever comes first.
    let events = |reply: &Reply| -> Vec<String> {
        world.events_of(reply).into_iter().filter(|name| !name.starts_with("key.")).collect()
    };
    assert_eq!(events(&foreign), events(&absent), "{what}");
    assert!(!events(&foreign).is_empty(), "{what} is refused without a record");
}

/// A request of a route that is well formed. Things that are not given are ids of nothing.
pub(crate) fn sample(route: &RouteInfo, things: &[(&str, String)]) -> Ask {
    let mut path = route.path.clone();
    for (name, prefix) in [
        ("repository", "rep"),
        ("record", "rec"),
        ("object", "obj"),
        ("hold", "hld"),
        ("certificate", "crt"),
        ("account", "acc"),
        ("client", "cli"),
        ("operator", "opr"),
        ("event", "evt"),
        ("subject", "cli"),
        ("safeguard", "a.b"),
        ("alarm", "alm"),
    ] {
        let nothing = format!("{prefix}_00000000000000000000000001");
        let id = things.iter().find(|(known, _)| *known == name).map_or(nothing, |(_, id)| id.clone());
        path = path.replace(&format!("{{{name}}}"), &id);
    }
    path = path.replace("{version}", "1").replace("{exception}", "evt_00000000000000000000000001");
    if path == "/v1/evidence/observations" && route.method == "GET" {
        path += "?check=log-keeps-up";
    }
    if route.method == "POST" && path.ends_with("/objects") {
        return ask(route.method, path + "?name=a").raw("application/octet-stream", "content");
    }
    let ask = ask(route.method, path);
    match body_of(route) {
        None => ask,
        Some(Value::String(form)) => ask.form(&form),
        Some(body) => ask.json(&body),
    }
}

fn body_of(route: &RouteInfo) -> Option<Value> {
    let path = route.path.as_str();
    Some(match (route.method, path.rsplit('/').next().unwrap()) {
        ("POST", "revoke") if path.ends_with("token/revoke") => json!("token=x"),
        ("POST", "links") if path.starts_with("/v1/accounts/") => json!({}),
        ("POST", "links") => json!({"role": "auditor"}),
        ("POST", "accounts") => json!({"name": "C"}),
        ("POST", "clients") => json!({"name": "app", "scope": "records:read"}),
        ("POST", "repositories") => crate::support::declaration("another", "internal"),
        ("PATCH", "{repository}") => json!({"name": "renamed"}),
        ("POST", "records") | ("PUT" | "PATCH", "{record}") => json!({"number": "2"}),
        ("POST", "search") => json!({"equals": {"/number": "1"}}),
        ("POST", "batch") => json!({"operations": [{"op": "create", "body": {"number": "3"}}]}),
        ("POST", "versions") => json!({"files": {}}),
        ("POST", "approve" | "acknowledge") if path.contains("/policy/") => json!({"sha256": "0".repeat(64)}),
        ("POST", "acknowledge") => json!({"reason": "looked at", "until": "2026-01-01T12:00:00Z"}),
        ("POST", "resolve") => json!({"reason": "looked at"}),
        ("POST", "observations") => json!({"check": "media-disposed", "holds": true, "summary": "looked"}),
        ("POST", "checks") => json!({"checks": []}),
        ("POST", "exceptions") => json!({
            "clause": "RR-4", "reason": "no hosts", "owner": "opr_00000000000000000000000001", "until": "2026-06-01T00:00:00Z"
        }),
        ("POST", "approve") => json!({"value": "1m"}),
        ("POST", "sign") => json!({"verdict": "in-order"}),
        ("POST", "holds" | "lift") => json!({"reason": "a case", "person": "A. Counsel"}),
        _ => return None,
    })
}

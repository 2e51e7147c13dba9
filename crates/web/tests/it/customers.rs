//! Somebody of a customer, in the console and at the API: their own account answers, and nothing else does. Each page and each
//! route is asked, with the ids of what is there and is not theirs.

use access::{Action, Role};
use serde_json::json;
use web::{Callers, RouteInfo};

use crate::{
    console::{Visitor, address, text, url},
    support::{World, ask, public},
    table::sample,
};

/// Somebody who governs an account: a token, and a session.
struct Governor {
    token: String,
    id: String,
    visitor: Visitor,
}

/// Pages that are theirs.
const PAGES: &[(&str, &str)] = &[
    ("GET", "/account"),
    ("POST", "/account/clients"),
    ("POST", "/account/clients/{client}/revoke"),
    ("GET", "/account/events"),
    ("GET", "/account/deletions"),
    ("GET", "/account/certificates/{certificate}"),
    ("GET", "/me"),
    ("POST", "/me/sessions/{session}/end"),
    ("POST", "/me/passkeys"),
    ("POST", "/me/passkeys/{passkey}/remove"),
    ("GET", "/me/password"),
    ("POST", "/me/password"),
    ("POST", "/me/password/{password}/remove"),
    ("GET", "/me/back"),
    ("GET", "/prove"),
    ("POST", "/prove"),
    ("POST", "/prove/password"),
    ("POST", "/prove/provider"),
    ("POST", "/sign-out"),
];

impl World {
    async fn governor(&self, account: &str, name: &str, seed: u8) -> Governor {
        let link =
            ask("POST", format!("/v1/accounts/{account}/links")).bearer(&self.operator).json(&json!({}));
        let secret = self.call(link).await.expect(201).text("/secret");
        let key = access::SigningKey::from_seed(&base::SecretBytes::new(vec![seed; 32])).unwrap();
        let body = json!({"secret": secret, "name": name, "public_key": public(&key.public())});
        let id = self.call(ask("POST", "/v1/enrol").json(&body)).await.expect(201).text("/id");
        let token = self.sign_in(&key, &id).await;
        let visitor = self.session(&token).await;
        Governor { token, id, visitor }
    }

    /// The account of the stranger, and what is in it.
    async fn foreign_things(&self) -> Vec<(&'static str, String)> {
        let accounts = ask("GET", "/v1/accounts").bearer(&self.operator);
        let accounts = self.call(accounts).await.expect(200).json();
        let of = |name: &str| {
            let all = accounts["items"].as_array().unwrap();
            all.iter().find(|one| one["name"] == name).unwrap()["id"].as_str().unwrap().to_owned()
        };
        let post = |path: String| ask("POST", path).bearer(&self.stranger.token);
        let declared = crate::support::declaration("foreign-papers", "internal");
        let repository =
            self.call(post("/v1/repositories".into()).json(&declared)).await.expect(201).text("/id");
        let path = |rest: &str| format!("/v1/repositories/{repository}{rest}");
        let record = post(path("/records")).json(&json!({"number": "1"}));
        let record = self.call(record).await.expect(201).text("/id");
        let held = json!({"person": "A. Counsel", "record": record, "reason": "a case"});
        let hold = self.call(post(path("/holds")).json(&held)).await.expect(201).text("/id");
        let gone =
            self.call(post(path("/records")).json(&json!({"number": "2"}))).await.expect(201).text("/id");
        let certificate =
            self.call(post(path(&format!("/records/{gone}/erase")))).await.expect(200).text("/id");
        vec![
            ("account", of("B")),
            ("client", self.stranger.id.clone()),
            ("repository", repository),
            ("record", record),
            ("hold", hold),
            ("certificate", certificate),
        ]
    }
}

/// A page's address with things that are there.
fn at(page: &RouteInfo, things: &[(&'static str, String)]) -> String {
    let mut page = page.clone();
    for (name, id) in things {
        page.path = page.path.replace(&format!("{{{name}}}"), id);
    }
    address(&page)
}

fn is_theirs(page: &RouteInfo) -> bool {
    PAGES.contains(&(page.method, page.path.as_str()))
}

testkit::on_both_engines! {
    async fn each_page_is_their_own_accounts_or_refused(h: Harness) {
        let world = World::new(h).await;
        let things = world.foreign_things().await;
        let cora = world.governor(&world.account, "Cora Vale", 2).await;
        for page in web::pages().iter().filter(|page| matches!(page.callers, Callers::Visitor(_)) && !is_theirs(page)) {
            let what = format!("{} {}", page.method, page.path);
            let path = at(page, &things);
            let reply = match page.method {
                "POST" => world.post(&cora.visitor, &path, "name=Mine&role=administrator").await,
                _ => world.page(&cora.visitor, &path).await,
            };
            if page.path == "/" {
                assert_eq!((reply.status.as_u16(), reply.header("location")), (303, "/account"), "{what}");
                assert!(world.events_of(&reply).is_empty(), "{what}");
                continue;
            }
            assert_eq!(reply.status, 403, "{what}: {}", text(&reply));
            assert_eq!(world.events_of(&reply), ["access.deny"], "{what}");
            let shown = text(&reply);
            for hidden in ["customers-never", "policy `", "Clause ", "Ada", "foreign-papers"] {
                assert!(!shown.contains(hidden), "{what} shows {hidden}: {shown}");
            }
        }
        // Theirs, with what is another's: as what never was.
        for (path, event) in [
            (format!("/account/clients/{}/revoke", world.stranger.id), "client.revoke"),
            ("/account/clients/cli_00000000000000000000000001/revoke".to_owned(), "client.revoke"),
        ] {
            let reply = world.post(&cora.visitor, &path, "x=1").await;
            assert_eq!(reply.status, 404, "{path}: {}", text(&reply));
            assert_eq!(world.events_of(&reply), [event], "{path}");
        }
        let certificate = &things.last().unwrap().1;
        let foreign = world.page(&cora.visitor, &format!("/account/certificates/{certificate}")).await;
        let never = world.page(&cora.visitor, "/account/certificates/crt_00000000000000000000000001").await;
        assert_eq!((foreign.status.as_u16(), never.status.as_u16()), (404, 404));
        assert_eq!(world.events_of(&foreign), world.events_of(&never));
        world.token(&world.stranger.id, &world.stranger.secret, "").await;
    }

    async fn each_route_of_the_api_is_their_own_accounts_or_refused(h: Harness) {
        let world = World::new(h).await;
        let things = world.foreign_things().await;
        let cora = world.governor(&world.account, "Cora Vale", 2).await;
        let may = [Action::RepositoryRead, Action::RepositoryList, Action::HoldList, Action::CertificateRead];
        for route in web::routes() {
            let what = format!("{} {}", route.method, route.path);
            let action = match route.callers {
                Callers::Client(action) | Callers::Operator(action) => action,
                _ => continue,
            };
            let reply = world.call(sample(&route, &things).bearer(&cora.token)).await;
            if may.contains(&action) {
                // Found for another account, never for this one.
                let listed = route.path == "/v1/repositories";
                assert_eq!(reply.status.as_u16(), if listed { 200 } else { 404 }, "{what}: {}", text(&reply));
                assert!(!text(&reply).contains("foreign-papers"), "{what}");
            } else if action == Action::SessionOpen {
                assert_eq!(reply.status, 201, "{what}");
            } else {
                assert_eq!(reply.status, 403, "{what}: {}", text(&reply));
                assert_eq!(reply.text("/code"), "access-denied", "{what}");
                assert_eq!(world.events_of(&reply), ["access.deny"], "{what}");
            }
            world.wait(1);
        }
        // What is stored in their own account is for its applications as well.
        let repository = world.repository("papers", "restricted").await;
        let records = format!("/v1/repositories/{repository}/records");
        world.call(ask("GET", records.clone()).bearer(&cora.token)).await.expect(403);
        world.call(ask("POST", records).bearer(&cora.token).json(&json!({"number": "1"}))).await.expect(403);
        let declared = world.call(ask("GET", format!("/v1/repositories/{repository}")).bearer(&cora.token)).await;
        assert_eq!(declared.expect(200).text("/name"), "papers");
        // A token of somebody else is not theirs to revoke; their own is.
        let form = format!("token={}", world.client.token);
        let other = world.call(ask("POST", "/v1/token/revoke").bearer(&cora.token).form(&form)).await;
        assert_eq!(other.status, 404);
        let form = format!("token={}", cora.token);
        world.call(ask("POST", "/v1/token/revoke").bearer(&cora.token).form(&form)).await.expect(204);
        world.call(ask("GET", "/v1/repositories").bearer(&cora.token)).await.expect(401);
    }

    async fn they_see_and_govern_their_account(h: Harness) {
        let world = World::new(h).await;
        world.foreign_things().await;
        let cora = world.governor(&world.account, "Cora Vale", 2).await;
        let repository = world.repository("papers", "restricted").await;
        let record = ask("POST", format!("/v1/repositories/{repository}/records")).bearer(&world.client.token);
        let record = world.call(record.json(&json!({"number": "17"}))).await.expect(201).text("/id");
        let erase = ask("POST", format!("/v1/repositories/{repository}/records/{record}/erase"));
        let certificate = world.call(erase.bearer(&world.client.token)).await.expect(200).text("/id");
        let overview = world.page(&cora.visitor, "/account").await.expect(200);
        let left = world.events_of(&overview);
        assert_eq!(left, ["account.read", "client.list", "repository.list", "key.status"]);
        let shown = text(&overview);
        assert!(shown.contains("<h1>A</h1>") && shown.contains("papers") && shown.contains("restricted"), "{shown}");
        assert!(shown.contains("Cora Vale") && shown.contains(&world.client.id), "{shown}");
        // Their navigation has their pages, and no other.
        let navigation = shown.split("<nav").nth(1).unwrap().split("</nav>").next().unwrap();
        let links: Vec<_> = navigation.split("href=\"").skip(1).map(|one| one.split('"').next().unwrap()).collect();
        assert_eq!(links, ["/account", "/account/events", "/account/deletions", "/me"]);
        let form = "name=Till&records%3Aread=on&repositories%3Aread=on&clearance=internal&public_key=";
        let made = world.post(&cora.visitor, "/account/clients", form).await.expect(200);
        assert_eq!(world.events_of(&made), ["client.create"]);
        let made = text(&made);
        let id = made.split("class=\"mono\">cli_").nth(1).unwrap().split('<').next().unwrap();
        let id = format!("cli_{id}");
        let secret = made.split("id=\"secret\">").nth(1).unwrap().split('<').next().unwrap();
        let token = world.token(&id, secret, "").await;
        world.call(ask("GET", "/v1/repositories").bearer(&token)).await.expect(200);
        let again = text(&world.page(&cora.visitor, "/account").await);
        assert!(again.contains("Till") && !again.contains(secret), "the secret is shown once");
        for (wrong, code) in [("name=None", 400), ("name=Bad&records%3Aread=on&clearance=cosmic", 400), ("name=Bad&records%3Aread=on&public_key=x", 400)] {
            let reply = world.post(&cora.visitor, "/account/clients", wrong).await;
            assert_eq!(reply.status.as_u16(), code, "{wrong}");
            assert_eq!(world.events_of(&reply), ["client.create"], "{wrong}: refused, and recorded");
        }
        let revoked = world.post(&cora.visitor, &format!("/account/clients/{id}/revoke"), "x=1").await;
        assert_eq!((revoked.status.as_u16(), world.events_of(&revoked)), (303, vec!["client.revoke".to_owned()]));
        world.call(ask("GET", "/v1/repositories").bearer(&token)).await.expect(401);
        world.drain().await;
        let events = world.page(&cora.visitor, "/account/events").await.expect(200);
        assert_eq!(world.events_of(&events), ["log.search"]);
        let events = text(&events);
        assert!(events.contains("client.create") && events.contains("<td>you</td>"), "{events}");
        assert!(events.contains("whoever runs Tenet for you") && events.contains(">app<"), "{events}");
        assert!(!events.contains("operator is") && !events.contains("operator enrols"), "in words of their own: {events}");
        // Who looked is told to whoever asks for it.
        assert!(!events.contains("account.read"), "{events}");
        world.drain().await;
        let looks = text(&world.page(&cora.visitor, "/account/events?looks=on").await);
        assert!(looks.contains("account.read") && looks.contains("log.search"), "{looks}");
        let refusals = text(&world.page(&cora.visitor, "/account/events?kind=client&outcome=refused").await);
        assert!(refusals.contains("client.create") && !refusals.contains("client.revoke"), "{refusals}");
        // Nothing that a caller adds widens the search.
        let stranger = world.stranger.id.clone();
        for more in ["account=acc_00000000000000000000000001", "text=foreign", "object=record", "actor=operator"] {
            let reply = world.page(&cora.visitor, &format!("/account/events?{more}")).await;
            assert_eq!(reply.status, 400, "{more}");
        }
        let deletions = text(&world.page(&cora.visitor, "/account/deletions").await.expect(200));
        assert!(deletions.contains(&record) && deletions.contains(&certificate), "{deletions}");
        let shown = world.page(&cora.visitor, &format!("/account/certificates/{certificate}")).await.expect(200);
        assert_eq!(world.events_of(&shown), ["certificate.read"]);
        assert!(text(&shown).contains("tenet.deletion-certificate.v1"));
        let operators = ask("GET", "/v1/operators").bearer(&world.operator);
        let ada = world.call(operators).await.expect(200).json()["items"][0]["id"].as_str().unwrap().to_owned();
        for page in [events, deletions, again] {
            for hidden in [stranger.as_str(), "foreign-papers", "Ada", ada.as_str()] {
                assert!(!page.contains(hidden), "{hidden} in {page}");
            }
            assert!(!page.contains("style=") && !page.contains(" onclick"), "inline");
        }
    }

    async fn operators_have_no_account_to_govern(h: Harness) {
        let world = World::new(h).await;
        let ada = world.administrator().await;
        let eve = world.with_role(Role::Auditor, 3).await;
        for visitor in [&ada, &eve] {
            for page in web::pages().iter().filter(|page| page.path.starts_with("/account/") || page.path == "/account") {
                let what = format!("{} {}", page.method, page.path);
                let path = address(page);
                let reply = match page.method {
                    "POST" => world.post(visitor, &path, "name=Mine").await,
                    _ => world.page(visitor, &path).await,
                };
                assert_eq!(reply.status, 403, "{what}");
                assert_eq!(world.events_of(&reply), ["access.deny"], "{what}");
            }
        }
    }

    async fn an_administrator_invites_and_ends_them(h: Harness) {
        let world = World::new(h).await;
        let ada = world.administrator().await;
        let page = format!("/accounts/{}", world.account);
        let empty = text(&world.page(&ada, &page).await);
        assert!(empty.contains("Nobody of the customer is here yet"), "{empty}");
        let invited = world.post(&ada, &format!("{page}/invite"), "days=90").await.expect(200);
        assert_eq!(world.events_of(&invited), ["operator.link-create"]);
        assert!(text(&invited).contains("/enrol#"));
        let cora = world.governor(&world.account, "Cora Vale", 2).await;
        let other = world.governor(&world.account, "Dan Vale", 3).await;
        assert!(text(&world.page(&ada, &page).await).contains("Cora Vale"));
        assert!(!text(&world.page(&ada, "/people").await).contains("Cora Vale"), "no operator");
        let revoked = world.post(&ada, &format!("{page}/people/{}/revoke", cora.id), "x=1").await.expect(303);
        assert_eq!(world.events_of(&revoked), ["operator.revoke"]);
        let gone = world.page(&cora.visitor, "/account").await;
        assert!(gone.header("location").starts_with("/sign-in?over=1"), "{}", gone.status);
        assert_eq!(world.page(&other.visitor, "/account").await.status, 200);
        world.post(&ada, &format!("{page}/suspend"), "x=1").await.expect(303);
        let gone = world.page(&other.visitor, "/account").await;
        assert!(gone.header("location").starts_with("/sign-in?over=1"), "{}", gone.status);
        let form = format!("form_token={}&name=Till&records%3Aread=on", url(&other.visitor.token));
        let late = ask("POST", "/account/clients").header("cookie", other.visitor.cookie.clone()).form(&form);
        assert_eq!(world.plain(late).await.status, 303, "led to sign in");
        let invite = world.post(&ada, &format!("{page}/invite"), "days=").await;
        assert_eq!(invite.status, 403, "nobody is invited into a suspended account");
    }
}

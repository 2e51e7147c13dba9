//! The console's pages as browsers meet them: who may see which, what each leaves in the log, and that no form is taken from
//! another site. `pages.txt` is checked in: no page is added, and none changes its terms, without a line that somebody reads.

use access::Role;
use serde_json::json;
use web::{Callers, RouteInfo};

use crate::support::{Ask, Reply, World, ask, public};
use crate::table::line;

/// Somebody in a session.
pub(crate) struct Visitor {
    pub(crate) cookie: String,
    pub(crate) token: String,
}

pub(crate) fn url(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

impl World {
    /// A session of whoever has that token.
    pub(crate) async fn session(&self, bearer: &str) -> Visitor {
        let code = self.call(ask("POST", "/v1/console/codes").bearer(bearer)).await.expect(201).text("/code");
        let form = format!("code={}&next=%2Fme", url(&code));
        let begun = self.plain(ask("POST", "/sign-in/code").form(&form)).await.expect(303);
        assert_eq!(begun.header("location"), "/me");
        let cookie = begun.header("set-cookie");
        for part in ["__Host-tenet=", "; Path=/", "; Secure", "; HttpOnly", "; SameSite=Lax"] {
            assert!(cookie.contains(part), "{cookie}");
        }
        let cookie = cookie.split(';').next().unwrap().to_owned();
        let page = self.plain(ask("GET", "/me").header("cookie", cookie.clone())).await.expect(200);
        let text = String::from_utf8(page.bytes).unwrap();
        let token = text.split("name=\"form_token\" value=\"").nth(1).unwrap().split('"').next().unwrap();
        Visitor { cookie, token: token.to_owned() }
    }

    /// The administrator's.
    pub(crate) async fn administrator(&self) -> Visitor {
        self.session(&self.operator).await
    }

    /// Of somebody who is invited with that role.
    pub(crate) async fn with_role(&self, role: Role, seed: u8) -> Visitor {
        let link = ask("POST", "/v1/operators/links").bearer(&self.operator);
        let link = self.call(link.json(&json!({"role": role.as_str()}))).await.expect(201).text("/secret");
        let key = access::SigningKey::from_seed(&base::SecretBytes::new(vec![seed; 32])).unwrap();
        let body =
            json!({"secret": link, "name": format!("Person {seed}"), "public_key": public(&key.public())});
        let id = self.call(ask("POST", "/v1/enrol").json(&body)).await.expect(201).text("/id");
        let token = self.sign_in(&key, &id).await;
        self.session(&token).await
    }

    pub(crate) async fn page(&self, visitor: &Visitor, path: &str) -> Reply {
        self.plain(ask("GET", path).header("cookie", visitor.cookie.clone())).await
    }

    pub(crate) async fn post(&self, visitor: &Visitor, path: &str, fields: &str) -> Reply {
        let form = format!("form_token={}&{fields}", url(&visitor.token));
        self.plain(ask("POST", path).header("cookie", visitor.cookie.clone()).form(&form)).await
    }
}

/// A page's address, of things that are there or never were.
pub(crate) fn address(page: &RouteInfo) -> String {
    page.path
        .replace("{clause}", "CD-8")
        .replace("{check}", "log-keeps-up")
        .replace("{version}", "1")
        .replace("{account}", "acc_00000000000000000000000001")
        .replace("{operator}", "opr_00000000000000000000000001")
        .replace("{client}", "cli_00000000000000000000000001")
        .replace("{certificate}", "crt_00000000000000000000000001")
        .replace("{passkey}", "psk_00000000000000000000000001")
        .replace("{password}", "pwd_00000000000000000000000001")
        .replace("{identity}", "idn_00000000000000000000000001")
        .replace("{session}", "ses_00000000000000000000000001")
        .replace("{alarm}", "alm_00000000000000000000000001")
        .replace("{event}", "evt_00000000000000000000000001")
        .replace("{exception}", "evt_00000000000000000000000001")
        .replace("{file}", "console.css")
}

pub(crate) fn text(reply: &Reply) -> String {
    String::from_utf8_lossy(&reply.bytes).into_owned()
}

fn request(page: &RouteInfo) -> Ask {
    let ask = ask(page.method, address(page));
    if page.method == "POST" { ask.form("x=1") } else { ask }
}

#[test]
fn every_page_stands_in_the_table() {
    let listed: Vec<_> = include_str!("pages.txt").lines().filter(|line| !line.starts_with('#')).collect();
    let served: Vec<_> = web::pages().iter().map(line).collect();
    if std::env::var_os("UPDATE_LISTS").is_some() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/pages.txt");
        let comments = include_str!("pages.txt").lines().filter(|line| line.starts_with('#'));
        let lines: Vec<_> = comments.map(str::to_owned).chain(served).collect();
        std::fs::write(path, lines.join("\n") + "\n").unwrap();
        return;
    }
    assert_eq!(served, listed, "pages.txt and the console differ");
}

#[test]
fn what_changes_something_leaves_an_event() {
    for page in web::pages() {
        let changes = page.method == "POST";
        assert!(!changes || !page.events.is_empty(), "{} {}", page.method, page.path);
        assert!(!changes || !matches!(page.callers, Callers::Anyone), "{} {}", page.method, page.path);
    }
}

testkit::on_both_engines! {
    async fn nobody_sees_a_page_without_a_session(h: Harness) {
        let world = World::new(h).await;
        for page in web::pages().iter().filter(|page| matches!(page.callers, Callers::Visitor(_))) {
            let reply = world.plain(request(page)).await;
            let what = format!("{} {}", page.method, page.path);
            assert_eq!(reply.status, 303, "{what}: {}", text(&reply));
            assert!(reply.header("location").starts_with("/sign-in?next="), "{what}");
            let forged = request(page).header("cookie", "__Host-tenet=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
            let reply = world.plain(forged).await;
            assert!(reply.header("location").starts_with("/sign-in?over=1&next="), "{what}");
            assert!(reply.header("set-cookie").contains("Max-Age=0"), "{what}");
            assert_eq!(world.events_of(&reply), ["auth.fail"], "{what}");
            world.wait(1);
        }
    }

    async fn every_page_is_one_and_leaves_what_it_says(h: Harness) {
        let world = World::new(h).await;
        let ada = world.administrator().await;
        // Those of customers are for customers: `customers.rs`.
        let is_hers = |path: &str| !matches!(path, "/live" | "/audit/pack" | "/account" | "/sign-in/provider" | "/sign-in/back" | "/me/back") && !path.starts_with("/account/");
        let people = world.call(ask("GET", "/v1/operators").bearer(&world.operator)).await.expect(200);
        let somebody = people.text("/items/0/id");
        for page in web::pages().iter().filter(|page| page.method == "GET" && is_hers(&page.path)) {
            let path = address(page)
                .replace("acc_00000000000000000000000001", &world.account)
                .replace("opr_00000000000000000000000001", &somebody)
                .replace("/versions/1", "/versions");
            let reply = world.page(&ada, &path).await;
            let what = format!("{} {path}", page.method);
            assert_eq!(reply.status, 200, "{what}: {}", text(&reply));
            let left = world.events_of(&reply);
            let declared: Vec<_> = page.events.iter().map(|event| event.name().to_owned()).collect();
            assert!(left.iter().all(|event| declared.contains(event)), "{what} left {left:?}, declares {declared:?}");
            if page.path == "/assets/{file}" {
                assert_eq!(reply.header("content-type"), "text/css; charset=utf-8");
                assert!(reply.header("cache-control").contains("immutable"));
                continue;
            }
            assert_eq!(reply.header("content-type"), "text/html; charset=utf-8", "{what}");
            assert!(reply.header("content-security-policy").starts_with("default-src 'none'; style-src 'self'"), "{what}");
            assert_eq!(reply.header("cache-control"), "no-store", "{what}");
            let html = text(&reply);
            assert!(html.starts_with("<!doctype html>") && html.contains("<h1>"), "{what}");
            assert!(!html.contains("style=") && !html.contains(" onclick") && !html.contains("<style"), "{what}: inline");
        }
    }

    async fn a_role_sees_its_own_pages_and_no_other(h: Harness) {
        let world = World::new(h).await;
        let staff = world.with_role(Role::Employee, 2).await;
        let engineer = world.with_role(Role::Engineer, 3).await;
        for (path, for_staff, for_engineer) in [
            ("/", 200, 200),
            ("/clauses/CD-8", 200, 200),
            ("/findings", 200, 200),
            ("/events", 403, 403),
            ("/people", 403, 403),
            ("/reviews", 403, 403),
            ("/keys", 403, 200),
            ("/accounts", 403, 200),
            ("/setup", 403, 403),
        ] {
            for (visitor, status) in [(&staff, for_staff), (&engineer, for_engineer)] {
                let reply = world.page(visitor, path).await;
                assert_eq!(reply.status.as_u16(), status, "{path}: {}", text(&reply));
                if status == 403 {
                    assert_eq!(world.events_of(&reply), ["access.deny"], "{path}");
                    assert!(text(&reply).contains("<h1>Forbidden</h1>"), "a page, not JSON");
                }
            }
        }
        let refused = world.post(&staff, "/accounts", "name=Globex").await;
        assert_eq!(refused.status, 403);
        assert_eq!(world.events_of(&refused), ["access.deny"]);
    }

    async fn a_form_is_taken_from_its_own_session_alone(h: Harness) {
        let world = World::new(h).await;
        let ada = world.administrator().await;
        let other = world.administrator().await;
        let send = |token: &str, site: Option<&str>| {
            let form = format!("form_token={}&name=Globex", url(token));
            let ask = ask("POST", "/accounts").header("cookie", ada.cookie.clone());
            match site {
                Some(site) => ask.header("sec-fetch-site", site.to_owned()).form(&form),
                None => ask.form(&form),
            }
        };
        for (token, site) in [("", None), (other.token.as_str(), None), (ada.token.as_str(), Some("cross-site"))] {
            let reply = world.plain(send(token, site)).await;
            assert_eq!(reply.status, 400, "{}", text(&reply));
        }
        let made = world.plain(send(&ada.token, Some("same-origin"))).await;
        assert_eq!(made.status, 303);
        assert_eq!(world.events_of(&made).last().map(String::as_str), Some("account.create"));
        let accounts = text(&world.page(&ada, "/accounts").await);
        assert_eq!(accounts.matches(">Globex<").count(), 1);
    }

    async fn what_somebody_wrote_is_shown_as_text(h: Harness) {
        let world = World::new(h).await;
        let ada = world.administrator().await;
        let reply = world.page(&ada, "/events?text=%3Cscript%3Ealert(1)%3C%2Fscript%3E").await;
        let html = text(&reply);
        assert_eq!(reply.status, 200, "{html}");
        assert!(!html.contains("<script>alert"), "{html}");
        let wrong = world.page(&ada, "/events?activity=%3Cb%3E").await;
        assert_eq!(wrong.status, 400);
        assert!(!text(&wrong).contains("<b>"));
        let reply = world.plain(ask("GET", "/sign-in?next=https%3A%2F%2Fevil.test%2F")).await;
        assert!(!text(&reply).contains("evil.test"), "nobody is led to another site");
    }

    async fn a_session_ends_where_it_is_ended(h: Harness) {
        let world = World::new(h).await;
        let ada = world.administrator().await;
        let gone = world.post(&ada, "/sign-out", "x=1").await.expect(303);
        assert!(gone.header("set-cookie").contains("Max-Age=0"));
        assert_eq!(world.events_of(&gone), ["session.end"]);
        let reply = world.page(&ada, "/").await;
        assert!(reply.header("location").starts_with("/sign-in?over=1"));
    }

    async fn a_proof_that_is_too_old_is_asked_for_again(h: Harness) {
        let world = World::new(h).await;
        let ada = world.administrator().await;
        world.wait(access::FRESH.seconds());
        let form = format!("form_token={}&name=Globex", url(&ada.token));
        let ask = ask("POST", "/accounts")
            .header("cookie", ada.cookie.clone())
            .header("referer", "https://tenet.test/accounts?after=1");
        let reply = world.plain(ask.form(&form)).await;
        assert_eq!(reply.header("location"), "/prove?next=/accounts%3Fafter%3D1");
        assert_eq!(world.events_of(&reply), ["session.continue", "access.deny"]);
        assert_eq!(world.page(&ada, "/accounts").await.status, 200, "looking goes on");
    }

    async fn a_way_in_that_fails_leads_back_and_one_that_is_not_offered_nowhere(h: Harness) {
        let world = World::new(h).await;
        let page = text(&world.plain(ask("GET", "/sign-in")).await);
        assert!(page.contains("/sign-in/password") && !page.contains("/sign-in/provider"), "{page}");
        let away = world.plain(ask("GET", "/sign-in/provider")).await;
        assert_eq!(away.status, 403, "{}", text(&away));
        assert_eq!(world.events_of(&away), ["auth.fail"]);
        let back = world.plain(ask("GET", "/sign-in/back?state=x&code=y&session_state=z")).await;
        assert_eq!(back.header("location"), "/sign-in?wrong=provider&next=/");
        assert!(back.header("set-cookie").starts_with("__Host-tenet-away=;"));
        assert_eq!(world.events_of(&back), ["auth.fail"]);
        for (next, led) in [("/events", "/events"), ("https%3A%2F%2Fevil.test", "/")] {
            let form = format!("login=ada&password=x&code=1&next={next}");
            let wrong = world.plain(ask("POST", "/sign-in/password").form(&form)).await;
            assert_eq!(wrong.header("location"), format!("/sign-in?wrong=password&next={led}"));
            assert_eq!(world.events_of(&wrong), ["auth.fail"]);
        }
        let join = world.plain(ask("POST", "/enrol/password").form("secret=x&name=Sam")).await;
        assert_eq!(join.header("location"), "/enrol?wrong=link");
        let forged = world.plain(ask("GET", "/sign-in/provider").header("sec-fetch-site", "cross-site")).await;
        assert_eq!(forged.status, 400);
    }

    async fn a_password_is_set_by_a_form_that_says_what_is_wrong(h: Harness) {
        let world = World::new(h).await;
        let ada = world.administrator().await;
        let page = text(&world.page(&ada, "/me/password").await);
        let field = |html: &str| html.split("name=\"challenge\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        let challenge = field(&page);
        assert!(page.contains("<svg role=\"img\"") && page.contains("code secret"), "{page}");
        let form = format!("challenge={challenge}&login=ada&password=seventeen+quiet+lamps+walk+north&code=000000");
        let again = world.post(&ada, "/me/password", &form).await;
        assert_eq!(again.status, 200);
        assert_eq!(world.events_of(&again), ["password.set"]);
        let html = text(&again);
        assert!(html.contains("The code: it is not what the app shows now") && html.contains("value=\"ada\""), "{html}");
        assert!(!html.contains("seventeen"), "no password comes back");
        assert_ne!(field(&html), challenge, "another picture");
    }
}

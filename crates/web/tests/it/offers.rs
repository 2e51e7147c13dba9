//! What pages offer: links and buttons that the policies allow, names beside ids, and what may be seen and ended of others.

use std::collections::BTreeSet;

use access::Role;
use serde_json::json;

use crate::console::{Visitor, text};
use crate::support::{World, ask};

/// The values of an attribute in a page, or in a part of one.
fn values<'a>(html: &'a str, attribute: &str) -> BTreeSet<&'a str> {
    let start = format!(" {attribute}=\"");
    html.split(start.as_str()).skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

/// The navigation of a page.
fn navigation(html: &str) -> &str {
    html.split("<nav").nth(1).and_then(|rest| rest.split("</nav>").next()).unwrap()
}

impl World {
    /// Every page that somebody comes to by links, from the first one on.
    async fn pages_of(&self, visitor: &Visitor) -> Vec<(String, String)> {
        let mut seen = BTreeSet::new();
        let mut left = vec!["/".to_owned()];
        let mut pages = Vec::new();
        while let Some(path) = left.pop() {
            // Each page once, whatever is asked of it; an archive is none.
            let place = path.split(['?', '#']).next().unwrap().to_owned();
            let is_page =
                place.starts_with('/') && !place.starts_with("/assets/") && !place.starts_with("/log/");
            // Clauses, checks and versions are alike: three of each.
            let noun: String = place.split('/').take(2).collect();
            let alike =
                seen.iter().filter(|one: &&String| one.split('/').take(2).collect::<String>() == noun);
            if !is_page || alike.count() > 3 || !seen.insert(place.clone()) {
                continue;
            }
            let reply = self.page(visitor, &path).await;
            assert_eq!(reply.status, 200, "a link leads to {path}: {}", text(&reply));
            let html = text(&reply);
            left.extend(values(&html, "href").into_iter().map(|link| link.replace("&#38;", "&")));
            pages.push((place, html));
        }
        pages
    }
}

testkit::on_both_engines! {
    async fn every_link_and_every_button_that_a_role_sees_is_allowed(h: Harness) {
        let world = World::new(h).await;
        world.repository("samples", "confidential").await;
        let mut offered = Vec::new();
        for (role, seed) in Role::ALL.into_iter().zip(10u8..) {
            let visitor = world.with_role(role, seed).await;
            let pages = world.pages_of(&visitor).await;
            let links = values(navigation(&pages[0].1), "href");
            // What stands in the navigation is what the policies allow: each page that has no link there is refused.
            for path in ["/", "/versions", "/alarms", "/events", "/reviews", "/audit", "/accounts", "/keys", "/deletions", "/people", "/me"] {
                let status = world.page(&visitor, path).await.status.as_u16();
                assert_eq!(links.contains(path), status == 200, "{} {path}", role.as_str());
            }
            let mut buttons = 0;
            for (place, html) in &pages {
                for target in values(html, "action").union(&values(html, "formaction")) {
                    if !html.contains(&format!("method=\"post\" action=\"{target}\"")) && !html.contains(&format!("formaction=\"{target}\"")) {
                        continue;
                    }
                    // Whether the role may is asked before whether the form is one of this session: nothing is done here.
                    let sent = ask("POST", *target).header("cookie", visitor.cookie.clone()).form("form_token=x");
                    let reply = world.plain(sent).await;
                    assert_eq!(reply.status, 400, "{} sees a button to {target} on {place}: {}", role.as_str(), text(&reply));
                    buttons += 1;
                    world.wait(1);
                }
            }
            offered.push((role, links.len(), buttons));
        }
        let of = |role: Role| *offered.iter().find(|one| one.0 == role).unwrap();
        assert!(of(Role::Administrator).1 > of(Role::Engineer).1 && of(Role::Engineer).1 > of(Role::Employee).1, "{offered:?}");
        assert!(of(Role::Administrator).2 > of(Role::Auditor).2 && of(Role::Auditor).2 > of(Role::Employee).2, "{offered:?}");
    }

    async fn a_name_stands_beside_an_id(h: Harness) {
        let world = World::new(h).await;
        let ada = world.administrator().await;
        world.drain().await;
        let html = text(&world.page(&ada, "/events?activity=account.create").await);
        assert!(html.contains("<span class=\"named\">Ada <span class=\"quiet mono\">opr_"), "{html}");
        assert!(html.contains(&format!("<span class=\"named\">A <span class=\"quiet mono\">{}</span></span>", world.account)));
        let html = text(&world.page(&ada, "/reviews").await);
        assert!(html.contains("<span class=\"named\">Ada <span"), "{html}");
        // Who is gone is still known.
        let gone = world.with_role(Role::Employee, 20).await;
        let people = text(&world.page(&ada, "/people").await);
        let id = people.split("Person 20").nth(1).unwrap().split("mono\">").nth(1).unwrap().split('<').next().unwrap().to_owned();
        world.post(&ada, &format!("/people/{id}/revoke"), "x=1").await.expect(303);
        assert!(world.page(&gone, "/").await.header("location").starts_with("/sign-in?over=1"));
        world.drain().await;
        let html = text(&world.page(&ada, &format!("/events?object={id}")).await);
        assert!(html.contains("<span class=\"named\">Person 20 <span"), "{html}");
    }

    async fn sessions_of_somebody_are_on_their_page_and_are_ended_there(h: Harness) {
        let world = World::new(h).await;
        let ada = world.administrator().await;
        let auditor = world.with_role(Role::Auditor, 21).await;
        let other = world.with_role(Role::Engineer, 22).await;
        let people = world.call(ask("GET", "/v1/operators").bearer(&world.operator)).await.json();
        let id = people["items"].as_array().unwrap().iter().find(|one| one["name"] == "Person 22").unwrap()["id"].as_str().unwrap().to_owned();
        let place = format!("/people/{id}");
        let end = format!("{place}/sessions/end");
        let seen = world.page(&auditor, &place).await.expect(200);
        assert!(text(&seen).contains("code<br>") && !text(&seen).contains(&end), "who only looks has no button");
        let refused = world.post(&auditor, &end, "x=1").await.expect(403);
        assert_eq!(world.events_of(&refused), ["access.deny"]);
        assert!(text(&world.page(&ada, &place).await).contains(&format!("action=\"{end}\"")));
        let ended = world.post(&ada, &end, "x=1").await.expect(303);
        assert_eq!(world.events_of(&ended), ["operator.sessions-end"]);
        assert!(world.page(&other, "/").await.header("location").starts_with("/sign-in?over=1"));
        assert!(text(&world.page(&ada, &place).await).contains("In no session now."));
        let unknown = world.page(&ada, "/people/opr_00000000000000000000000001").await;
        assert_eq!((unknown.status.as_u16(), world.events_of(&unknown)), (404, vec!["operator.read".to_owned()]));
        // Later, the proof is asked for again.
        world.wait(access::FRESH.seconds());
        let late = world.post(&ada, &end, "x=1").await;
        assert!(late.header("location").starts_with("/prove"), "{}", text(&late));
    }

    async fn ones_other_sessions_are_listed_and_ended(h: Harness) {
        let world = World::new(h).await;
        let (here, there) = (world.administrator().await, world.administrator().await);
        let html = text(&world.page(&here, "/me").await);
        let ends: Vec<_> = values(&html, "action").into_iter().filter(|path| path.starts_with("/me/sessions/")).collect();
        assert_eq!(ends.len(), 1, "{html}");
        let reply = world.post(&here, ends[0], "x=1").await.expect(303);
        assert_eq!(world.events_of(&reply), ["session.end"]);
        assert!(world.page(&there, "/").await.header("location").starts_with("/sign-in?over=1"));
        assert!(text(&world.page(&here, "/me").await).contains("You are signed in nowhere else."));
    }

    async fn an_accounts_page_says_how_much_and_never_what(h: Harness) {
        let world = World::new(h).await;
        let id = world.repository("Patients of Dr. Grey", "confidential").await;
        let path = format!("/v1/repositories/{id}/records");
        world.call(ask("POST", path).bearer(&world.client.token).json(&json!({"number": "77"}))).await.expect(201);
        let ada = world.administrator().await;
        let place = format!("/accounts/{}", world.account);
        let reply = world.page(&ada, &place).await.expect(200);
        assert_eq!(
            world.events_of(&reply),
            ["account.read", "client.list", "key.status", "operator.list", "account.survey"]
        );
        let html = text(&reply);
        assert!(html.contains(&id) && html.contains("confidential") && html.contains("365 days"), "{html}");
        assert!(!html.contains("Grey") && !html.contains("a test") && !html.contains("samples"), "the customer's words");
        let engineer = world.with_role(Role::Engineer, 23).await;
        let html = text(&world.page(&engineer, &place).await.expect(200));
        assert!(!html.contains(&id) && html.contains("Applications"), "an engineer connects, and looks at nothing else");
        assert_eq!(world.page(&ada, "/accounts/acc_00000000000000000000000001").await.status, 404);
    }
}

//! What stands around every page: who is in the session, where one is, and what is asked of one.

use access::{Action, Session, Standing};
use axum::http::Method;

use crate::{App, route::Callers};

/// Around a page.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    /// Who is in the session.
    pub(crate) name: String,
    /// As what.
    pub(crate) role: &'static str,
    /// For forms, so that no other site fills them in.
    pub(crate) token: String,
    /// Where one is.
    pub(crate) here: &'static str,
    /// What was just done.
    pub(crate) done: Option<&'static str>,
    /// Whether this is a demonstration.
    pub(crate) demo: bool,
    links: Vec<Link>,
}

/// A link of the navigation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Link {
    /// Where it leads.
    pub(crate) path: &'static str,
    /// Its words.
    pub(crate) text: &'static str,
    /// The heading that it stands under; none on a page but for the first of them.
    pub(crate) group: &'static str,
}

/// What somebody of a customer sees.
const OF_CUSTOMERS: [Link; 4] = [
    Link { path: "/account", text: "Overview", group: "Your account" },
    Link { path: "/account/events", text: "What happened", group: "" },
    Link { path: "/account/deletions", text: "Deletion", group: "" },
    Link { path: "/me", text: "Your sign-in", group: "You" },
];

const LINKS: [Link; 13] = [
    Link { path: "/", text: "Policy", group: "Policy" },
    Link { path: "/versions", text: "Versions", group: "Policy" },
    Link { path: "/findings", text: "Findings", group: "Evidence" },
    Link { path: "/alarms", text: "Alarms", group: "Evidence" },
    Link { path: "/exceptions", text: "Exceptions", group: "Evidence" },
    Link { path: "/events", text: "Event log", group: "Evidence" },
    Link { path: "/reviews", text: "Reviews", group: "Evidence" },
    Link { path: "/audit", text: "Auditor's room", group: "Evidence" },
    Link { path: "/accounts", text: "Accounts", group: "Platform" },
    Link { path: "/keys", text: "Keys", group: "Platform" },
    Link { path: "/deletions", text: "Deletion", group: "Platform" },
    Link { path: "/people", text: "People", group: "Platform" },
    Link { path: "/me", text: "Your sign-in", group: "You" },
];

/// What a form that went well says on the page that it leads to.
const DONE: &[(&str, &str)] = &[
    ("approved", "Approved. It is in the log with your name."),
    ("acknowledged", "Acknowledged. Thank you."),
    ("proposed", "Put up. Somebody else approves it now."),
    ("asked", "The check is being made. Its result appears here by itself."),
    ("attested", "Recorded as your observation."),
    ("set", "The exception is set. Somebody else reviews it."),
    ("ended", "Ended."),
    ("created", "Created, with its own key."),
    ("suspended", "Suspended. Nobody of that account gets in, from this moment on."),
    ("resumed", "Resumed."),
    ("revoked", "Revoked, with every session."),
    ("disconnected", "Revoked. The application is refused, from this moment on."),
    ("signed", "Reviewed."),
    ("taken", "You have taken it on. It alarms again if it is not over by then."),
    ("over", "It is over."),
    ("tested", "A test goes out by every route. What became of it appears here."),
    ("added", "The passkey is added."),
    ("removed", "Removed, and your other sessions are ended."),
    ("password", "Your password is set. It works together with your app."),
    ("linked", "You are linked. From now on your company's sign-in opens the console."),
    ("sessions-ended", "Every session is ended, at once."),
    ("session-ended", "That session is ended, at once."),
    ("proved", "Thank you. Go on with what you were about to do."),
];

impl Frame {
    /// Whoever a page is listed for sees the link to it: `may` asks the policies.
    pub(crate) fn new(
        (session, token): (&Session, String),
        path: &str,
        done: Option<&str>,
        may: impl Fn(Action) -> bool,
        app: &App,
    ) -> Self {
        let is_near = |link: &&Link| {
            path == link.path || (link.path != "/" && path.starts_with(&format!("{}/", link.path)))
        };
        let here = match path {
            path if path.starts_with("/clauses/") || path.starts_with("/checks/") => "/",
            "/setup" => "/versions",
            "/account/events" | "/account/deletions" => {
                OF_CUSTOMERS.iter().find(|link| link.path == path).map_or("", |link| link.path)
            }
            path if path == "/account" || path.starts_with("/account/") => "/account",
            _ => LINKS.iter().find(is_near).map_or("", |link| link.path),
        };
        let links = match session.role {
            Standing::Operator(_) => links_of(app, may),
            Standing::Customer(_) => OF_CUSTOMERS.to_vec(),
        };
        let done = done.and_then(|word| DONE.iter().find(|(known, _)| *known == word)).map(|(_, text)| *text);
        let role = match session.role {
            Standing::Operator(role) => role.as_str(),
            Standing::Customer(_) => "administrator of your account",
        };
        let name = session.name.clone();
        Self { name, role, token, here, done, demo: false, links }
    }

    /// The navigation, for this role.
    pub(crate) fn links(&self) -> &[Link] {
        &self.links
    }
}

/// The pages that somebody may open, each under its heading.
fn links_of(app: &App, may: impl Fn(Action) -> bool) -> Vec<Link> {
    let is_open = |link: &&Link| match app.route(&Method::GET, link.path).map(|info| info.callers) {
        Some(Callers::Visitor(action)) => may(action),
        _ => false,
    };
    let mut links: Vec<Link> = LINKS.iter().filter(is_open).copied().collect();
    let mut heading = "";
    for link in &mut links {
        let is_under = std::mem::replace(&mut heading, link.group) == link.group;
        link.group = if is_under { "" } else { link.group };
    }
    links
}

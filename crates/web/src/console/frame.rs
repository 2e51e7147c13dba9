//! What stands around every page: who is in the session, where one is, and what is asked of one.

use access::{Role, Session, Standing};

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
    /// The heading that it stands under, on the first of them.
    pub(crate) group: &'static str,
    /// Who sees it.
    roles: &'static [Role],
}

const ALL: &[Role] = &Role::ALL;
const LOOKING: &[Role] = &[Role::Administrator, Role::Security, Role::Auditor];
const CONNECTING: &[Role] = &[Role::Administrator, Role::Security, Role::Auditor, Role::Engineer];

/// What somebody of a customer sees.
const OF_CUSTOMERS: [Link; 4] = [
    Link { path: "/account", text: "Overview", group: "Your account", roles: &[] },
    Link { path: "/account/events", text: "What happened", group: "", roles: &[] },
    Link { path: "/account/deletions", text: "Deletion", group: "", roles: &[] },
    Link { path: "/me", text: "Your sign-in", group: "You", roles: &[] },
];

const LINKS: [Link; 13] = [
    Link { path: "/", text: "Policy", group: "Policy", roles: ALL },
    Link { path: "/versions", text: "Versions", group: "", roles: ALL },
    Link { path: "/findings", text: "Findings", group: "Evidence", roles: ALL },
    Link { path: "/alarms", text: "Alarms", group: "", roles: LOOKING },
    Link { path: "/exceptions", text: "Exceptions", group: "", roles: ALL },
    Link { path: "/events", text: "Event log", group: "", roles: LOOKING },
    Link { path: "/reviews", text: "Reviews", group: "", roles: LOOKING },
    Link { path: "/audit", text: "Auditor's room", group: "", roles: LOOKING },
    Link { path: "/accounts", text: "Accounts", group: "Platform", roles: CONNECTING },
    Link { path: "/keys", text: "Keys", group: "", roles: CONNECTING },
    Link { path: "/deletions", text: "Deletion", group: "", roles: LOOKING },
    Link { path: "/people", text: "People", group: "", roles: LOOKING },
    Link { path: "/me", text: "Your sign-in", group: "You", roles: ALL },
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
    ("proved", "Thank you. Go on with what you were about to do."),
];

impl Frame {
    pub(crate) fn new(session: &Session, token: String, path: &str, done: Option<&str>) -> Self {
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
            Standing::Operator(role) => {
                LINKS.iter().filter(|link| link.roles.contains(&role)).copied().collect()
            }
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

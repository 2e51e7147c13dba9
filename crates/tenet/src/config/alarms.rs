//! By which routes alarms go, in which steps, and when they keep quiet: `[[alarms.route]]`, `[[alarms.step]]`. Secrets are in
//! private files; a route that can't work is refused when the configuration is read.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use toml::Value;
use watch::QuietHours;

use super::{
    coherence::is_clear_and_near,
    field::{Address, Field, Span, Wrong, mismatch},
    settings::Setting,
};

/// Most routes, and most steps.
const MAX_ROUTES: usize = 32;
/// Most addresses that one route writes to.
const MAX_RECIPIENTS: usize = 50;
/// What may stand for something in a template.
const PLACEHOLDERS: [&str; 3] = ["{to}", "{text}", "{id}"];

/// Alarms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlarmsConfig {
    /// The routes, in the order in which one stands in for another.
    pub route: Routes,
    /// The steps of the escalation.
    pub step: Steps,
    /// Hours in which only what is critical is told.
    pub quiet_hours: Quiet,
    /// How often a test alarm is sent.
    pub test_every: Span,
}

impl Default for AlarmsConfig {
    fn default() -> Self {
        Self {
            route: Routes::default(),
            step: Steps::default(),
            quiet_hours: Quiet::default(),
            test_every: Span::seconds(86_400, 3_600, 31 * 86_400),
        }
    }
}

/// The settings, for the one list of them.
pub(super) const ROUTE: Setting = Setting {
    key: "alarms.route",
    about: "The routes by which alarms go, each an `[[alarms.route]]` with a `name` and a `kind`: `smtp` (e-mail), `slack` (an incoming webhook of Slack or Mattermost), `matrix`, `sms` (a gateway that takes an HTTP request), `pagerduty` (Events API v2). If one fails for good, the next stands in. See docs/alarms.md.",
    unset: "none: nobody is told, and CD-9 is a gap",
    field: |c| &mut c.alarms.route,
};
pub(super) const STEP: Setting = Setting {
    key: "alarms.step",
    about: "The steps of the escalation, each an `[[alarms.step]]` with `routes` and a `wait`: if nobody acknowledges an alarm within it, the next step is told. The last step of a critical alarm comes again, ten times.",
    unset: "one step with every route",
    field: |c| &mut c.alarms.step,
};
pub(super) const QUIET: Setting = Setting {
    key: "alarms.quiet_hours",
    about: "Hours of the day in which only critical alarms are told, by an offset from UTC; all others wait until they end.",
    unset: "none",
    field: |c| &mut c.alarms.quiet_hours,
};
pub(super) const TEST_EVERY: Setting = Setting {
    key: "alarms.test_every",
    about: "How often a test alarm is sent by every route. Whether each took the last one is what the check `alarms-arrive` looks at.",
    unset: "",
    field: |c| &mut c.alarms.test_every,
};

/// One route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteConfig {
    /// Its name: it stands in the log.
    pub name: String,
    /// Which kind.
    pub kind: RouteKind,
    /// A private file: what it holds depends on the kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_file: Option<PathBuf>,
    /// The certificate authority of the receiver, beside or instead of those that the system trusts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// `smtp`: host and port. `matrix`, `pagerduty`: the address.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub server: String,
    /// `smtp`: `starttls`, `tls`, or `none` to this machine itself.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub security: String,
    /// `smtp`: the address that it writes from.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub from: String,
    /// `smtp`: the addresses that it writes to. `sms`: one number.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub to: Vec<String>,
    /// `matrix`: the room's id.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub room: String,
    /// `sms`: the JSON document to send, with placeholders. Instead of a form.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub template: String,
    /// `sms`: the form's field for the number.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub to_field: String,
    /// `sms`: the form's field for the text.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text_field: String,
}

/// Which kind of receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RouteKind {
    /// E-mail.
    Smtp,
    /// An incoming webhook of Slack or Mattermost.
    Slack,
    /// A room of Matrix.
    Matrix,
    /// A gateway for text messages.
    Sms,
    /// PagerDuty, Events API v2.
    Pagerduty,
}

impl RouteKind {
    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Smtp => "smtp",
            Self::Slack => "slack",
            Self::Matrix => "matrix",
            Self::Sms => "sms",
            Self::Pagerduty => "pagerduty",
        }
    }

    /// The keys that it takes besides `name`, `kind`, `secret_file` and `ca`; and whether it can't be without.
    const fn takes(self) -> &'static [(&'static str, bool)] {
        match self {
            Self::Smtp => &[("server", true), ("security", false), ("from", true), ("to", true)],
            Self::Slack => &[],
            Self::Matrix => &[("server", true), ("room", true)],
            Self::Sms => &[("to", true), ("template", false), ("to_field", false), ("text_field", false)],
            Self::Pagerduty => &[("server", false)],
        }
    }
}

impl RouteConfig {
    fn check(&self) -> Result<(), String> {
        let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if self.name.is_empty() || self.name.len() > 32 || !self.name.bytes().all(is_name) {
            return Err("its name is not 1 to 32 lower-case letters, digits and hyphens".to_owned());
        }
        let kind = self.kind.as_str();
        let given = [
            ("server", !self.server.is_empty()),
            ("security", !self.security.is_empty()),
            ("from", !self.from.is_empty()),
            ("to", !self.to.is_empty()),
            ("room", !self.room.is_empty()),
            ("template", !self.template.is_empty()),
            ("to_field", !self.to_field.is_empty()),
            ("text_field", !self.text_field.is_empty()),
        ];
        for (key, is_given) in given {
            match self.kind.takes().iter().find(|(taken, _)| *taken == key) {
                None if is_given => return Err(format!("a route of the kind `{kind}` takes no `{key}`")),
                Some((_, true)) if !is_given => {
                    return Err(format!("a route of the kind `{kind}` needs `{key}`"));
                }
                _ => {}
            }
        }
        if self.secret_file.is_none() && self.kind != RouteKind::Smtp {
            return Err(format!("a route of the kind `{kind}` needs `secret_file`"));
        }
        match self.kind {
            RouteKind::Smtp => self.check_smtp(),
            RouteKind::Sms => self.check_sms(),
            RouteKind::Matrix | RouteKind::Pagerduty if !self.server.is_empty() => {
                let is_fine = self.server.starts_with("https://") || is_clear_and_near(&self.server);
                let why = "`server` is not an `https://` address, nor one of this machine itself";
                if is_fine { Ok(()) } else { Err(why.to_owned()) }
            }
            _ => Ok(()),
        }
    }

    fn check_smtp(&self) -> Result<(), String> {
        let server = Address::parse(&self.server).ok_or("`server` is not a host and a port")?;
        match self.security.as_str() {
            "" | "starttls" | "tls" => {}
            "none" if is_near(&server.host) && self.secret_file.is_none() => {}
            "none" => {
                return Err(
                    "`security = \"none\"` is for this machine itself alone, without a password".to_owned()
                );
            }
            _ => return Err("`security` is not `\"starttls\"`, `\"tls\"` or `\"none\"`".to_owned()),
        }
        if self.to.len() > MAX_RECIPIENTS {
            return Err(format!("it writes to more than {MAX_RECIPIENTS} addresses"));
        }
        let wrong = self.to.iter().chain([&self.from]).find(|one| one.parse::<lettre::Address>().is_err());
        match wrong {
            Some(wrong) => Err(format!("`{wrong}` is not an address such as `ann@example.com`")),
            None => Ok(()),
        }
    }

    fn check_sms(&self) -> Result<(), String> {
        if self.to.len() != 1 {
            return Err("`to` is one number: give each of several its own route".to_owned());
        }
        if self.template.is_empty() {
            return Ok(());
        }
        if !self.to_field.is_empty() || !self.text_field.is_empty() {
            return Err("`template` and the fields of a form exclude each other".to_owned());
        }
        let document: serde_json::Value = serde_json::from_str(&self.template)
            .map_err(|error| format!("`template` is not JSON: {error}"))?;
        check_template(&document)?;
        if self.template.contains("{text}") { Ok(()) } else { Err("`template` has no `{text}`".to_owned()) }
    }
}

/// Braces in a text are those of a placeholder.
fn check_template(value: &serde_json::Value) -> Result<(), String> {
    match value {
        serde_json::Value::String(text) => {
            let mut rest = text.clone();
            for known in PLACEHOLDERS {
                rest = rest.replace(known, "");
            }
            if rest.contains(['{', '}']) {
                return Err(format!("`template` has other braces than {}", PLACEHOLDERS.join(", ")));
            }
            Ok(())
        }
        serde_json::Value::Array(items) => items.iter().try_for_each(check_template),
        serde_json::Value::Object(members) => members.values().try_for_each(check_template),
        _ => Ok(()),
    }
}

/// Whether a host is this machine itself.
fn is_near(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The routes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Routes(pub(crate) Vec<RouteConfig>);

/// A step of the escalation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StepConfig {
    /// The routes that it goes by.
    pub routes: Vec<String>,
    /// How long it is waited for an acknowledgement.
    pub wait: Span,
}

/// The steps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Steps(pub(crate) Vec<StepConfig>);

/// Quiet hours, if there are any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quiet(pub(crate) Option<QuietHours>);

/// A list of tables as it stands in a variable: `[{ name = "mail", .. }]`.
fn from_text(field: &dyn Field, text: &str) -> Result<Value, Wrong> {
    let table: Result<toml::Table, _> = format!("list = {text}").parse();
    let list = table.ok().and_then(|mut table| table.remove("list"));
    list.ok_or_else(|| mismatch(field, &Value::String(text.to_owned())))
}

fn tables<'a>(field: &dyn Field, value: &'a Value) -> Result<Vec<&'a toml::Table>, Wrong> {
    let list = value.as_array().filter(|list| list.len() <= MAX_ROUTES);
    let tables = list.and_then(|list| list.iter().map(Value::as_table).collect::<Option<Vec<_>>>());
    tables.ok_or_else(|| mismatch(field, value))
}

impl Field for Routes {
    fn expects(&self) -> String {
        "routes, each `[[alarms.route]]` with `name`, `kind` and what the kind takes; in the environment `[{ name = \"chat\", kind = \"slack\", secret_file = \"/etc/tenet/chat\" }]`".to_owned()
    }
    fn read(&mut self, value: &Value) -> Result<(), Wrong> {
        let mut routes: Vec<RouteConfig> = Vec::new();
        for (at, table) in tables(self, value)?.into_iter().enumerate() {
            let which = || {
                let name = table.get("name").and_then(Value::as_str);
                name.map_or_else(|| format!("route {}", at + 1), |name| format!("the route `{name}`"))
            };
            // What a secret is written into is refused by name, and not shown.
            for secret in ["password", "token", "url", "routing_key", "secret"] {
                if table.contains_key(secret) {
                    return Err(Wrong(format!(
                        "{}: secrets do not stand in the configuration: put `{secret}` into a file, and give `secret_file`",
                        which()
                    )));
                }
            }
            let route: RouteConfig = Value::Table(table.clone())
                .try_into()
                .map_err(|error: toml::de::Error| Wrong(format!("{}: {}", which(), error.message())))?;
            route.check().map_err(|why| Wrong(format!("{}: {why}", which())))?;
            if routes.iter().any(|one| one.name == route.name) {
                return Err(Wrong(format!("{}: another one has its name", which())));
            }
            routes.push(route);
        }
        self.0 = routes;
        Ok(())
    }
    fn read_text(&mut self, text: &str) -> Result<(), Wrong> {
        let value = from_text(self, text)?;
        self.read(&value)
    }
    fn show(&self) -> Option<Value> {
        let shown = self.0.iter().filter_map(|route| Value::try_from(route).ok());
        (!self.0.is_empty()).then(|| Value::Array(shown.collect()))
    }
}

impl Field for Steps {
    fn expects(&self) -> String {
        "steps, each `[[alarms.step]]` with `routes = [\"chat\"]` and `wait = \"15m\"` (1m to 1d)".to_owned()
    }
    fn read(&mut self, value: &Value) -> Result<(), Wrong> {
        let mut steps = Vec::new();
        for table in tables(self, value)? {
            let mut wait = Span::seconds(900, 60, 86_400);
            let mut routes: Vec<String> = Vec::new();
            for (key, value) in table {
                match key.as_str() {
                    "routes" => Field::read(&mut routes, value)?,
                    "wait" => Field::read(&mut wait, value)?,
                    other => return Err(Wrong(format!("a step has `routes` and `wait`, and no `{other}`"))),
                }
            }
            if routes.is_empty() {
                return Err(Wrong("a step without `routes` tells nobody".to_owned()));
            }
            steps.push(StepConfig { routes, wait });
        }
        self.0 = steps;
        Ok(())
    }
    fn read_text(&mut self, text: &str) -> Result<(), Wrong> {
        let value = from_text(self, text)?;
        self.read(&value)
    }
    fn show(&self) -> Option<Value> {
        let step = |step: &StepConfig| {
            let mut table = toml::Table::new();
            table.insert("routes".to_owned(), step.routes.show().unwrap_or(Value::Array(Vec::new())));
            table.insert("wait".to_owned(), Value::String(step.wait.to_string()));
            Value::Table(table)
        };
        (!self.0.is_empty()).then(|| Value::Array(self.0.iter().map(step).collect()))
    }
}

/// `HH:MM` as minutes.
fn minutes(text: &str) -> Option<i16> {
    let (hours, minutes) = text.split_once(':')?;
    let number = |text: &str| {
        let is_two = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        is_two.then(|| text.parse::<i16>().ok()).flatten()
    };
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    (hours < 24 && minutes < 60).then_some(hours * 60 + minutes)
}

fn quiet(text: &str) -> Option<QuietHours> {
    let (hours, offset) = match text.split_once(' ') {
        None => (text, 0),
        Some((hours, offset)) => {
            let sign = if offset.starts_with('-') { -1 } else { 1 };
            let ahead = minutes(offset.strip_prefix(['+', '-'])?)?;
            (hours, sign * ahead)
        }
    };
    let (from, until) = hours.split_once('-')?;
    let minute = |text| u16::try_from(minutes(text)?).ok();
    let (from, until) = (minute(from)?, minute(until)?);
    (from != until && (-12 * 60..=14 * 60).contains(&offset)).then_some(QuietHours { from, until, offset })
}

impl Field for Quiet {
    fn expects(&self) -> String {
        "hours such as `\"22:00-07:00\"`, or with an offset from UTC `\"22:00-07:00 +01:00\"`".to_owned()
    }
    fn read(&mut self, value: &Value) -> Result<(), Wrong> {
        self.0 = Some(value.as_str().and_then(quiet).ok_or_else(|| mismatch(self, value))?);
        Ok(())
    }
    fn read_text(&mut self, text: &str) -> Result<(), Wrong> {
        self.read(&Value::String(text.trim().to_owned()))
    }
    fn show(&self) -> Option<Value> {
        let QuietHours { from, until, offset } = self.0?;
        let clock = |minutes: u16| format!("{:02}:{:02}", minutes / 60, minutes % 60);
        let sign = if offset < 0 { '-' } else { '+' };
        let ahead = offset.unsigned_abs();
        Some(Value::String(format!("{}-{} {sign}{}", clock(from), clock(until), clock(ahead))))
    }
}

/// What routes and steps say of each other.
pub(super) fn check(alarms: &AlarmsConfig, faults: &mut Vec<String>) {
    for name in alarms.step.0.iter().flat_map(|step| &step.routes) {
        if !alarms.route.0.iter().any(|route| route.name == *name) {
            faults.push(format!("alarms.step: there is no route `{name}`"));
        }
    }
}

/// The files that routes name: secrets must be there and be the owner's alone, authorities certificates.
pub(super) fn files(alarms: &AlarmsConfig, authority: impl Fn(&str, &Path) -> Option<String>) -> Vec<String> {
    let mut faults = Vec::new();
    for route in &alarms.route.0 {
        let key = format!("alarms.route: the route `{}`", route.name);
        faults.extend(route.ca.as_deref().and_then(|ca| authority(&key, ca)));
        let read = route.secret_file.as_deref().map(super::read_secret_lines);
        faults.extend(read.and_then(Result::err).map(|error| format!("{key}: {error}")));
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes(text: &str) -> Result<Routes, String> {
        let mut routes = Routes::default();
        routes.read_text(text).map(|()| routes).map_err(|wrong| wrong.0)
    }

    #[test]
    fn routes_are_read_as_they_are_shown() {
        let text = r#"[
            { name = "mail", kind = "smtp", server = "smtp.example:587", from = "tenet@a.example", to = ["ann@a.example"], secret_file = "/s" },
            { name = "chat", kind = "slack", secret_file = "/s", ca = "/ca.pem" },
            { name = "phone", kind = "sms", to = ["+4915112345678"], secret_file = "/s", template = '{"to": "{to}", "body": ["{text}"]}' },
            { name = "room", kind = "matrix", server = "https://matrix.example", room = "!a:matrix.example", secret_file = "/s" },
            { name = "duty", kind = "pagerduty", secret_file = "/s" },
        ]"#;
        let all = routes(text).unwrap();
        assert_eq!(all.0.len(), 5);
        let mut again = Routes::default();
        again.read(&all.show().unwrap()).unwrap();
        assert_eq!(again, all);
    }

    #[test]
    fn a_route_that_can_t_work_is_refused_and_says_why() {
        for (route, why) in [
            ("name = \"A\", kind = \"slack\", secret_file = \"/s\"", "lower-case letters"),
            ("name = \"a\", kind = \"fax\"", "unknown variant"),
            ("name = \"a\", kind = \"slack\"", "needs `secret_file`"),
            ("name = \"a\", kind = \"slack\", secret_file = \"/s\", room = \"x\"", "takes no `room`"),
            (
                "name = \"a\", kind = \"slack\", url = \"https://hook.example/hunter2\"",
                "secrets do not stand",
            ),
            ("name = \"a\", kind = \"slack\", secret_file = \"/s\", colour = 1", "unknown field"),
            ("name = \"a\", kind = \"smtp\", server = \"m:25\", from = \"a@b.c\"", "needs `to`"),
            (
                "name = \"a\", kind = \"smtp\", server = \"m:25\", from = \"a@b.c\", to = [\"Ann\"]",
                "`Ann` is not an address",
            ),
            (
                "name = \"a\", kind = \"smtp\", server = \"m:25\", security = \"none\", from = \"a@b.c\", to = [\"a@b.c\"]",
                "this machine itself",
            ),
            (
                "name = \"a\", kind = \"matrix\", server = \"http://m.example\", room = \"!r:m\", secret_file = \"/s\"",
                "not an `https://` address",
            ),
            ("name = \"a\", kind = \"sms\", to = [\"1\", \"2\"], secret_file = \"/s\"", "one number"),
            (
                "name = \"a\", kind = \"sms\", to = [\"1\"], secret_file = \"/s\", template = '{\"t\": \"{text} {who}\"}'",
                "other braces",
            ),
            (
                "name = \"a\", kind = \"sms\", to = [\"1\"], secret_file = \"/s\", template = '{\"t\": \"x\"}'",
                "no `{text}`",
            ),
        ] {
            let error = routes(&format!("[{{ {route} }}]")).unwrap_err();
            assert!(error.contains(why) && !error.contains("hunter2"), "{route}: {error}");
        }
        let twice = "{ name = \"a\", kind = \"slack\", secret_file = \"/s\" }";
        assert!(routes(&format!("[{twice}, {twice}]")).unwrap_err().contains("another one has its name"));
    }

    #[test]
    fn steps_name_routes_and_quiet_hours_an_offset() {
        let mut config = AlarmsConfig::default();
        config.step.read_text("[{ routes = [\"chat\"], wait = \"15m\" }, { routes = [\"x\"] }]").unwrap();
        let mut faults = Vec::new();
        check(&config, &mut faults);
        assert_eq!(faults, ["alarms.step: there is no route `chat`", "alarms.step: there is no route `x`"]);
        assert!(config.step.read_text("[{ wait = \"15m\" }]").is_err());
        for (text, shown) in [
            ("22:00-07:00", "22:00-07:00 +00:00"),
            ("22:00-07:30 +01:00", "22:00-07:30 +01:00"),
            ("00:00-06:00 -05:30", "00:00-06:00 -05:30"),
        ] {
            config.quiet_hours.read_text(text).unwrap();
            assert_eq!(config.quiet_hours.show(), Some(Value::String(shown.to_owned())));
        }
        for wrong in ["", "22-7", "22:00-22:00", "24:00-07:00", "22:00-07:00 01:00", "22:00-07:00 +15:00"] {
            assert!(config.quiet_hours.read_text(wrong).is_err(), "{wrong}");
        }
    }
}

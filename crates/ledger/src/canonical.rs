//! The quick check of a leaf: follows the one order in which `event.rs` writes, several times faster
//! than reading JSON. What it accepts is an event; what it does not, [`Event::decode`](crate::Event::decode)
//! decides (a test holds the one against the other).

use base::Timestamp;

use crate::{Activity, Class, Interface, event};

const ID_CHARS: usize = 26;
const COMMITMENT_DIGITS: usize = 64;
const DATE_CHARS: usize = 10;

/// Checks leaves one after another; remembers the last day seen, as they come in order of time.
#[derive(Debug, Default)]
pub(crate) struct Canonical {
    day: [u8; DATE_CHARS],
    begin_millis: i64,
}

impl Canonical {
    /// Whether the leaf is an event in canonical form, without escapes and all in ASCII.
    pub(crate) fn accepts(&mut self, leaf: &[u8]) -> bool {
        // So every string ends at the next quote, and is valid UTF-8.
        let odd = |byte: &u8| (*byte == b'\\') | (*byte < 0x20) | (*byte >= 0x80);
        let plain = !leaf.iter().fold(false, |found, byte| found | odd(byte));
        plain && leaf.len() <= event::MAX_EVENT_BYTES && self.event(&mut Cursor(leaf)).is_some()
    }

    fn event(&mut self, at: &mut Cursor<'_>) -> Option<()> {
        let head = Head::read(at)?;
        at.literal(",\"time\":")?;
        let millis = at.signed()?;
        at.literal(",\"time_dt\":\"")?;
        self.instant(at, millis)?;
        at.literal(",\"metadata\":{\"uid\":\"")?;
        let id = at.id("evt_")?;
        at.literal(",\"event_code\":\"")?;
        let code = at.string()?;
        let class = head.class(code)?;
        at.literal(event::PRODUCT)?;
        at.string()?;
        at.literal(event::FEATURE)?;
        let subsystem = at.quoted()?;
        at.literal("}},\"profiles\":[\"host\",\"datetime\",\"security_control\"],\"correlation_uid\":\"")?;
        at.id("req_")?;
        if at.has(",\"tenant_uid\":\"") {
            at.id("acc_")?;
        }
        at.literal("},\"actor\":{\"user\":")?;
        let user = at.user()?;
        let decision = at.authorizations()?;
        at.literal("},\"device\":{\"uid\":\"")?;
        let server = at.id("srv_")?;
        at.literal(",\"type_id\":1}")?;
        let source = at.has(",\"src_endpoint\":{\"uid\":\"");
        if source {
            if !at.has_bytes(server) {
                at.commitment()?;
            }
            at.literal("}")?;
        } else if class == Class::ApiActivity {
            return None;
        }
        at.class(class, &[code, id, user, subsystem, server])?;
        at.rest(class, decision)
    }

    /// The text of an instant, its closing quote included; none unless it is `millis`.
    fn instant(&mut self, at: &mut Cursor<'_>, millis: i64) -> Option<()> {
        let text = at.take(DATE_CHARS + 18)?;
        let (date, rest) = text.split_first_chunk::<DATE_CHARS>()?;
        let [b'T', h1, h2, b':', m1, m2, b':', s1, s2, b'.', f1, f2, f3, f4, f5, f6, b'Z', b'"'] = rest
        else {
            return None;
        };
        let digits = [h1, h2, m1, m2, s1, s2, f1, f2, f3, f4, f5, f6];
        if !digits.iter().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        if *date != self.day {
            let begin = format!("{}T00:00:00Z", std::str::from_utf8(date).ok()?);
            self.begin_millis = begin.parse::<Timestamp>().ok()?.micros() / 1_000;
            self.day = *date;
        }
        let two = |tens: &u8, ones: &u8| i64::from(tens - b'0') * 10 + i64::from(ones - b'0');
        let (hour, minute, second) = (two(h1, h2), two(m1, m2), two(s1, s2));
        let of_second = two(f1, f2) * 10 + i64::from(f3 - b'0');
        let of_day = ((hour * 60 + minute) * 60 + second) * 1_000 + of_second;
        (hour < 24 && minute < 60 && second < 60 && self.begin_millis + of_day == millis).then_some(())
    }
}

/// The numbers and words before the time.
struct Head<'a> {
    activity_id: u64,
    activity_name: &'a [u8],
    category_uid: u64,
    class_uid: u64,
    class_name: &'a [u8],
    type_uid: u64,
}

impl<'a> Head<'a> {
    fn read(at: &mut Cursor<'a>) -> Option<Self> {
        at.literal("{\"activity_id\":")?;
        let activity_id = at.number()?;
        at.literal(",\"activity_name\":\"")?;
        let activity_name = at.string()?;
        at.literal(",\"category_uid\":")?;
        let category_uid = at.number()?;
        at.literal(",\"class_uid\":")?;
        let class_uid = at.number()?;
        at.literal(",\"class_name\":\"")?;
        let class_name = at.string()?;
        at.literal(",\"type_uid\":")?;
        let type_uid = at.number()?;
        at.literal(",\"severity_id\":")?;
        (1..=5).contains(&at.number()?).then_some(())?;
        Some(Self { activity_id, activity_name, category_uid, class_uid, class_name, type_uid })
    }

    /// The class, if the activity of that name is known and the head is its.
    fn class(&self, code: &[u8]) -> Option<Class> {
        let activity = Activity::from_name(std::str::from_utf8(code).ok()?)?;
        let class = activity.class();
        let same = self.activity_id == u64::from(activity.activity_id())
            && self.activity_name == activity.activity_name().as_bytes()
            && self.category_uid == u64::from(class.category_uid())
            && self.class_uid == u64::from(class.uid())
            && self.class_name == class.name().as_bytes()
            && self.type_uid == u64::from(activity.type_uid());
        same.then_some(class)
    }
}

/// What is left of a leaf.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn has(&mut self, literal: &str) -> bool {
        self.has_bytes(literal.as_bytes())
    }

    fn has_bytes(&mut self, bytes: &[u8]) -> bool {
        self.0.strip_prefix(bytes).map(|rest| self.0 = rest).is_some()
    }

    fn literal(&mut self, literal: &str) -> Option<()> {
        self.has(literal).then_some(())
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    /// The rest of a string, without its closing quote, which is passed.
    fn string(&mut self) -> Option<&'a [u8]> {
        let end = self.0.iter().position(|byte| *byte == b'"')?;
        let text = self.take(end)?;
        self.take(1)?;
        Some(text)
    }

    /// A string with both its quotes.
    fn quoted(&mut self) -> Option<&'a [u8]> {
        let begin = self.0;
        self.literal("\"")?;
        self.string()?;
        begin.get(..begin.len() - self.0.len())
    }

    /// A whole number without sign, of at most 18 digits.
    fn number(&mut self) -> Option<u64> {
        let count = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let digits = self.take(count)?;
        let spelt = matches!(digits, [b'0'] | [b'1'..=b'9', ..]) && count <= 18;
        spelt.then(|| digits.iter().fold(0, |value, digit| value * 10 + u64::from(digit - b'0')))
    }

    fn signed(&mut self) -> Option<i64> {
        let negative = self.has("-");
        let value = i64::try_from(self.number()?).ok()?;
        // `-0` is a number that nothing writes.
        (!negative || value != 0).then_some(if negative { -value } else { value })
    }

    /// The rest of an id's string; the id and its closing quote.
    fn id(&mut self, prefix: &str) -> Option<&'a [u8]> {
        let text = self.take(prefix.len() + ID_CHARS + 1)?;
        let body = text.strip_prefix(prefix.as_bytes())?.strip_suffix(b"\"")?;
        let letters = body.iter().fold(true, |all, byte| all & is(*byte, LETTER));
        (letters && *body.first()? <= b'7').then_some(text)
    }

    fn commitment(&mut self) -> Option<()> {
        let body = self.take(COMMITMENT_DIGITS + 1)?.strip_suffix(b"\"")?;
        body.iter().fold(true, |all, byte| all & is(*byte, HEXADECIMAL)).then_some(())
    }

    /// A user, in full.
    fn user(&mut self) -> Option<&'a [u8]> {
        let begin = self.0;
        self.literal("{\"uid\":\"")?;
        let tail = match self.0 {
            [b'c', ..] => {
                self.id("cli_")?;
                ",\"type_id\":99,\"type\":\"client\"}"
            }
            [b'o', ..] => {
                self.id("opr_")?;
                ",\"type_id\":2,\"type\":\"operator\"}"
            }
            [b's', ..] => {
                self.id("srv_")?;
                ",\"type_id\":3,\"type\":\"system\"}"
            }
            _ => "anonymous\",\"type_id\":0,\"type\":\"anonymous\"}",
        };
        self.literal(tail)?;
        begin.get(..begin.len() - self.0.len())
    }

    /// The policies that decided, and what they decided.
    fn authorizations(&mut self) -> Option<Option<&'a [u8]>> {
        if !self.has(",\"authorizations\":[") {
            return Some(None);
        }
        let mut decided = None;
        loop {
            self.literal("{\"decision\":\"")?;
            let decision = self.string()?;
            if decided.is_some_and(|known| known != decision) {
                return None;
            }
            decided = Some(decision);
            self.literal(",\"policy\":{\"uid\":\"")?;
            self.string()?;
            self.literal("}}")?;
            if !self.has(",") {
                return self.has("]").then_some(decided);
            }
        }
    }

    /// What the class requires.
    fn class(&mut self, class: Class, [code, id, user, subsystem, server]: &[&[u8]; 5]) -> Option<()> {
        let object = match class {
            Class::ApiActivity => {
                self.literal(",\"api\":{\"operation\":\"")?;
                (self.has_bytes(code) && self.has("\"},\"resources\":[")).then_some("]")
            }
            Class::DetectionFinding => {
                self.literal(",\"finding_info\":{\"title\":\"")?;
                let named = self.has_bytes(code) && self.has("\",\"uid\":\"") && self.has_bytes(id);
                (named && self.has("},\"is_alert\":true,\"resources\":[")).then_some("]")
            }
            Class::EntityManagement => self.has(",\"entity\":").then_some(""),
            Class::Authentication => {
                let who = self.has(",\"user\":") && self.has_bytes(user);
                let what = who && self.has(",\"service\":{\"name\":") && self.has_bytes(subsystem);
                return (what && self.has("}")).then_some(());
            }
            Class::ApplicationLifecycle => {
                return self.literal(",\"app\":{\"name\":\"Tenet\",\"vendor_name\":\"Tenet\"}");
            }
            Class::NetworkActivity => {
                let target = self.has(",\"dst_endpoint\":{\"uid\":\"") && self.has_bytes(server);
                return (target && self.has("}")).then_some(());
            }
            Class::ApplicationError => return Some(()),
        };
        let end = object?;
        self.object()?;
        self.literal(end)
    }

    fn object(&mut self) -> Option<()> {
        self.literal("{\"type\":\"")?;
        self.string()?;
        self.literal(",\"uid\":\"")?;
        self.string()?;
        if self.has(",\"data\":{") {
            let mut first = true;
            if self.field(&mut first, "\"account\":\"") {
                self.id("acc_")?;
            }
            if self.field(&mut first, "\"repository\":\"") {
                self.id("rep_")?;
            }
            if self.field(&mut first, "\"classification\":\"") {
                self.string()?;
            }
            self.literal("}")?;
        }
        self.literal("}")
    }

    /// Passes an optional name, with the comma that parts it from one before; nothing if it is not there.
    fn field(&mut self, first: &mut bool, name: &str) -> bool {
        let begin = self.0;
        if (*first || self.has(",")) && self.has(name) {
            *first = false;
            return true;
        }
        self.0 = begin;
        false
    }

    /// The outcome and all that OCSF has no room for, to the end of the leaf.
    fn rest(&mut self, class: Class, decision: Option<&[u8]>) -> Option<()> {
        let failure = !self.has(",\"status_id\":1,\"status\":\"Success\"");
        if failure {
            self.literal(",\"status_id\":2,\"status\":\"Failure\",\"status_code\":\"")?;
            self.string()?;
        }
        let denied = failure && self.has(",\"action_id\":2,\"action\":\"Denied\"");
        if !denied {
            self.literal(",\"action_id\":1,\"action\":\"Allowed\"")?;
        }
        let action: &[u8] = if denied { b"Denied" } else { b"Allowed" };
        if decision.is_some_and(|decision| decision != action) {
            return None;
        }
        self.literal(",\"unmapped\":{\"interface\":\"")?;
        Interface::from_word(std::str::from_utf8(self.string()?).ok()?)?;
        // At most one: optional, and in no other place.
        let _ = self.has(",\"clock\":\"unsynchronised\"");
        if !event::has_object(class) {
            self.literal(",\"object\":")?;
            self.object()?;
        }
        for name in [",\"before\":\"", ",\"after\":\""] {
            if self.has(name) {
                self.commitment()?;
            }
        }
        if self.has(",\"key\":{\"uid\":\"") {
            self.string()?;
            self.literal(",\"purpose\":\"")?;
            self.string()?;
            self.literal("}")?;
        }
        if denied && self.has(",\"clause\":\"") {
            self.string()?;
        }
        if self.has(",\"detail\":{") {
            self.details()?;
        }
        if self.has(",\"detail_omitted\":") {
            u32::try_from(self.number()?).ok()?;
        }
        self.literal("}}")?;
        self.0.is_empty().then_some(())
    }

    fn details(&mut self) -> Option<()> {
        let mut names: Vec<&[u8]> = Vec::with_capacity(8);
        loop {
            let name = self.quoted()?;
            if names.contains(&name) || names.len() == crate::MAX_DETAILS {
                return None;
            }
            names.push(name);
            self.literal(":")?;
            match self.0.first()? {
                b'"' => drop(self.quoted()?),
                b't' => self.literal("true")?,
                b'f' => self.literal("false")?,
                _ => drop(self.signed()?),
            }
            if !self.has(",") {
                return self.literal("}");
            }
        }
    }
}

const LETTER: u8 = 1;
const HEXADECIMAL: u8 = 2;

/// What each byte may stand in: an id's letters, a commitment's digits.
const KINDS: [u8; 256] = {
    let mut kinds = [0; 256];
    let mut byte = 0u8;
    while byte < 128 {
        let digit = byte.is_ascii_digit();
        let lower = byte.is_ascii_lowercase();
        let letter = digit || (lower && !matches!(byte, b'i' | b'l' | b'o' | b'u'));
        let hexadecimal = digit || matches!(byte, b'a'..=b'f');
        #[expect(
            clippy::indexing_slicing,
            reason = "a byte is always within 256, and this runs at compile time"
        )]
        {
            kinds[byte as usize] = letter as u8 * LETTER + hexadecimal as u8 * HEXADECIMAL;
        }
        byte += 1;
    }
    kinds
};

fn is(byte: u8, kind: u8) -> bool {
    KINDS.get(usize::from(byte)).is_some_and(|kinds| kinds & kind != 0)
}

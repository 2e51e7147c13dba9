//! Whose cosignatures a checkpoint needs (C2SP tlog-policy): a file of lines that names logs, witnesses, groups
//! of witnesses, and the quorum. Server, witness and auditor read the same one.

use base::{Fault, Kind};

use crate::{CosignerKey, LogVerifier, NoteError};

/// Most bytes of a policy.
pub const MAX_POLICY_FILE_BYTES: usize = 65_536;
/// Most logs, witnesses and groups, each.
const MAX_NAMED: usize = 64;

/// A policy, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WitnessPolicy {
    logs: Vec<(LogVerifier, Option<String>)>,
    witnesses: Vec<Witness>,
    groups: Vec<Group>,
    quorum: Option<Member>,
}

/// A witness that the policy knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witness {
    /// What the policy calls it.
    pub name: String,
    /// The key that verifies its cosignatures.
    pub key: CosignerKey,
    /// Its submission prefix, if the policy gives one.
    pub url: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Group {
    name: String,
    least: usize,
    members: Vec<Member>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Member {
    Witness(usize),
    Group(usize),
}

/// A policy that can't be used: the line, from 1 (0 for the file as a whole), and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the witness policy: {why}")]
pub struct WitnessPolicyError {
    /// The line.
    pub line: usize,
    /// What is wrong, and what would be right.
    pub why: String,
}

impl Fault for WitnessPolicyError {
    fn kind(&self) -> Kind {
        Kind::Invalid
    }
    fn code(&self) -> &'static str {
        "witness-policy"
    }
}

impl WitnessPolicy {
    /// Reads a policy. Strict.
    pub fn parse(text: &str) -> Result<Self, WitnessPolicyError> {
        let whole = |why: &str| WitnessPolicyError { line: 0, why: why.to_owned() };
        if text.len() > MAX_POLICY_FILE_BYTES {
            return Err(whole("it is larger than 64 KiB"));
        }
        let mut reader = Reader::default();
        for (number, line) in text.lines().enumerate() {
            reader.line(line).map_err(|why| WitnessPolicyError { line: number + 1, why })?;
        }
        let quorum = reader
            .quorum
            .ok_or_else(|| whole("it has no `quorum` line: add `quorum NAME`, or `quorum none`"))?;
        Ok(Self { logs: reader.logs, witnesses: reader.witnesses, groups: reader.groups, quorum })
    }

    /// The logs that it names, each with its URL.
    pub fn logs(&self) -> &[(LogVerifier, Option<String>)] {
        &self.logs
    }

    /// The witnesses that it names.
    pub fn witnesses(&self) -> &[Witness] {
        &self.witnesses
    }

    /// Whether a checkpoint needs any cosignature at all.
    pub fn needs_witnesses(&self) -> bool {
        self.quorum.is_some()
    }

    /// Since when the quorum stands by this note, in seconds since 1970: the time at which the last cosignature
    /// that the quorum needs was made, of the newest that suffice. `None` while it does not. A policy without a
    /// quorum stands by everything, since 0.
    pub fn cosigned_at(&self, note: &str) -> Result<Option<u64>, NoteError> {
        let times: Result<Vec<Option<u64>>, _> =
            self.witnesses.iter().map(|witness| witness.key.cosigned_at(note)).collect();
        Ok(self.quorum_at(&times?))
    }

    /// The same, of times that are known: one for each of [`WitnessPolicy::witnesses`], in order.
    pub fn quorum_at(&self, times: &[Option<u64>]) -> Option<u64> {
        match self.quorum {
            None => Some(0),
            Some(member) => self.member_at(member, times),
        }
    }

    fn member_at(&self, member: Member, times: &[Option<u64>]) -> Option<u64> {
        match member {
            Member::Witness(at) => times.get(at).copied().flatten(),
            Member::Group(at) => {
                // Groups name only what stands before them: this ends.
                let group = self.groups.get(at)?;
                let mut known: Vec<u64> =
                    group.members.iter().filter_map(|member| self.member_at(*member, times)).collect();
                known.sort_unstable_by(|a, b| b.cmp(a));
                known.get(group.least.checked_sub(1)?).copied()
            }
        }
    }
}

#[derive(Default)]
struct Reader {
    logs: Vec<(LogVerifier, Option<String>)>,
    witnesses: Vec<Witness>,
    groups: Vec<Group>,
    members: Vec<Member>,
    quorum: Option<Option<Member>>,
}

impl Reader {
    fn line(&mut self, line: &str) -> Result<(), String> {
        if line.bytes().any(|byte| (byte < 0x20 && byte != b'\t') || byte == 0x7f) {
            return Err("it has a control character".to_owned());
        }
        let words: Vec<&str> = line.split([' ', '\t']).filter(|word| !word.is_empty()).collect();
        match words.as_slice() {
            [] => Ok(()),
            [first, ..] if first.starts_with('#') => Ok(()),
            ["log", key, url @ ..] if url.len() <= 1 => self.log(key, url.first()),
            ["witness", name, key, url @ ..] if url.len() <= 1 => self.witness(name, key, url.first()),
            ["group", name, least, members @ ..] => self.group(name, least, members),
            ["quorum", name] => self.set_quorum(name),
            _ => Err(
                "expected `log VKEY [URL]`, `witness NAME VKEY [URL]`, `group NAME K|all|any NAME...` or \
                      `quorum NAME|none`"
                    .to_owned(),
            ),
        }
    }

    fn log(&mut self, key: &str, url: Option<&&str>) -> Result<(), String> {
        bounded(self.logs.len(), "logs")?;
        let key = LogVerifier::from_vkey(key).map_err(|error| error.to_string())?;
        if self.logs.iter().any(|(known, _)| known.public_key() == key.public_key()) {
            return Err("this log's key stands in the policy already".to_owned());
        }
        self.logs.push((key, url.map(|url| (*url).to_owned())));
        Ok(())
    }

    fn witness(&mut self, name: &str, key: &str, url: Option<&&str>) -> Result<(), String> {
        bounded(self.witnesses.len(), "witnesses")?;
        self.free(name)?;
        let key = CosignerKey::from_vkey(key).map_err(|_| {
            "not a witness's key: expected the key of type 4 that the witness prints".to_owned()
        })?;
        if self.witnesses.iter().any(|known| known.key.public_key() == key.public_key()) {
            return Err("this witness's key stands in the policy already".to_owned());
        }
        self.witnesses.push(Witness {
            name: name.to_owned(),
            key,
            url: url.map(|url| url.trim_end_matches('/').to_owned()),
        });
        Ok(())
    }

    fn group(&mut self, name: &str, least: &str, names: &[&str]) -> Result<(), String> {
        bounded(self.groups.len(), "groups")?;
        self.free(name)?;
        let mut members = Vec::new();
        for name in names {
            let member = self.named(name)?;
            if self.members.contains(&member) || members.contains(&member) {
                return Err(format!("`{name}` is a member of a group already: each counts once"));
            }
            members.push(member);
        }
        let least = match least {
            "all" => members.len(),
            "any" => 1,
            number => crate::checkpoint::decimal(number).and_then(|it| usize::try_from(it).ok()).unwrap_or(0),
        };
        if least == 0 || least > members.len() {
            return Err(format!(
                "a group of {} needs a number from 1 to that, `all` or `any`",
                members.len()
            ));
        }
        self.members.extend_from_slice(&members);
        self.groups.push(Group { name: name.to_owned(), least, members });
        Ok(())
    }

    fn set_quorum(&mut self, name: &str) -> Result<(), String> {
        if self.quorum.is_some() {
            return Err("there is a `quorum` line already".to_owned());
        }
        self.quorum = Some(if name == "none" { None } else { Some(self.named(name)?) });
        Ok(())
    }

    fn find(&self, name: &str) -> Option<Member> {
        let witness = self.witnesses.iter().position(|witness| witness.name == name).map(Member::Witness);
        witness.or_else(|| self.groups.iter().position(|group| group.name == name).map(Member::Group))
    }

    fn named(&self, name: &str) -> Result<Member, String> {
        self.find(name).ok_or_else(|| format!("`{name}` is no witness or group of a line before this one"))
    }

    fn free(&self, name: &str) -> Result<(), String> {
        if name == "none" || self.find(name).is_some() {
            return Err(format!("the name `{name}` is taken"));
        }
        Ok(())
    }
}

fn bounded(count: usize, what: &str) -> Result<(), String> {
    if count < MAX_NAMED { Ok(()) } else { Err(format!("it has more than {MAX_NAMED} {what}")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Cosigner, LogSigner};
    use base::Secret;
    use proptest::prelude::*;

    fn cosigner(seed: u8) -> Cosigner {
        Cosigner::new(&format!("w.example/{seed}"), &Secret::new([seed; 32])).unwrap()
    }
    fn text() -> String {
        let key = |seed| cosigner(seed).key().vkey();
        let log = LogSigner::new("log.example/tenet", &Secret::new([99; 32])).unwrap().vkey();
        format!(
            "# two of ours, one of theirs\nlog {log} https://log.example\n\n\
             witness X1 {}\nwitness X2 {} https://x2.example/w/\n\twitness X3 {}\n\
             group X 2 X1 X2 X3\nwitness Y1 {}\nwitness Y2 {}\ngroup Y any Y1 Y2\n\
             group both all X Y\nquorum both\n",
            key(1),
            key(2),
            key(3),
            key(4),
            key(5)
        )
    }

    #[test]
    fn the_quorum_of_the_specifications_example() {
        let policy = WitnessPolicy::parse(&text()).unwrap();
        assert_eq!((policy.logs().len(), policy.witnesses().len()), (1, 5));
        assert_eq!(policy.witnesses()[1].url.as_deref(), Some("https://x2.example/w"));
        let at = |times: [u64; 5]| policy.quorum_at(&times.map(|time| Some(time).filter(|time| *time > 0)));
        assert_eq!(at([0, 0, 0, 0, 0]), None);
        assert_eq!(at([9, 9, 9, 0, 0]), None);
        assert_eq!(at([9, 0, 0, 9, 9]), None);
        assert_eq!(at([7, 0, 9, 0, 8]), Some(7));
        // The newest that suffice: X2 and X3, and Y1.
        assert_eq!(at([1, 7, 9, 20, 8]), Some(7));
        assert_eq!(at([30, 31, 32, 5, 6]), Some(6));
    }

    #[test]
    fn a_note_is_held_against_it() {
        let log = LogSigner::new("log.example/tenet", &Secret::new([99; 32])).unwrap();
        let note = log.sign(7, [1; 32]);
        let policy = WitnessPolicy::parse(&text()).unwrap();
        let line = |seed, time| cosigner(seed).cosign(log.verifier(), &note, time).unwrap();
        let two = format!("{note}{}{}", line(1, 10), line(3, 12));
        assert_eq!(policy.cosigned_at(&two), Ok(None));
        assert_eq!(policy.cosigned_at(&format!("{two}{}", line(4, 11))), Ok(Some(10)));
        let other = log.sign(8, [2; 32]);
        let false_line = cosigner(4).cosign(log.verifier(), &other, 11).unwrap();
        assert!(policy.cosigned_at(&format!("{two}{false_line}")).is_err());
        let none = WitnessPolicy::parse("quorum none\n").unwrap();
        assert_eq!(none.cosigned_at(&note), Ok(Some(0)));
        assert!(!none.needs_witnesses() && policy.needs_witnesses());
    }

    #[test]
    fn wrong_policies_are_refused_with_their_line() {
        let key = |seed| cosigner(seed).key().vkey();
        let one = format!("witness a {}\n", key(1));
        let wrong: [(String, usize); 15] = [
            (String::new(), 0),
            (one.clone(), 0),
            (format!("{one}quorum b\n"), 2),
            (format!("{one}quorum a\nquorum a\n"), 3),
            (format!("{one}witness a {}\n", key(2)), 2),
            (format!("{one}witness b {}\n", key(1)), 2),
            (format!("witness none {}\n", key(1)), 1),
            (format!("{one}group g 2 a\n"), 2),
            (format!("{one}group g 0 a\n"), 2),
            (format!("{one}group g all\n"), 2),
            (format!("{one}group g any a a\n"), 2),
            (format!("{one}group g any a\ngroup h any a\n"), 3),
            (format!("{one}group g any h\n"), 2),
            ("witness a b+c+d\n".to_owned(), 1),
            ("quorum none\u{1}\n".to_owned(), 1),
        ];
        for (text, line) in wrong {
            assert_eq!(WitnessPolicy::parse(&text).unwrap_err().line, line, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in "((log|witness|group|quorum) ?[a-z+ 0-9]{0,12}\n){0,6}.*") {
            let _ = WitnessPolicy::parse(&text);
        }

        #[test]
        fn more_cosignatures_never_take_the_quorum_away(times in proptest::array::uniform5(0u64..9), add in 0usize..5) {
            let policy = WitnessPolicy::parse(&text()).unwrap();
            let mut times = times.map(|time| Some(time).filter(|time| *time > 0));
            let before = policy.quorum_at(&times);
            times[add] = times[add].max(Some(5));
            prop_assert!(policy.quorum_at(&times) >= before);
        }
    }
}

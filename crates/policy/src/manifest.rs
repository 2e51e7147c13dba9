//! Hashes of a document and of each of its clauses: what an acknowledgement and evidence bind to.
//!
//! SHA-256 over a domain and parts: the domain in ASCII and a zero byte; each part as its length in bytes, eight bytes big-endian,
//! and its UTF-8. Of a list its number of members goes before it, in the form of a part, as decimal digits.
//!
//! - A clause, domain `tenet policy clause 1`: id, title, the list of its sentences, and what was decided of "where feasible" as
//!   the list of `true` or `false`, reason, by and date, which is empty where nothing was.
//! - A document, domain `tenet policy 1`: title, company, version, author, effective, next review, the list of frameworks, the
//!   number of sections, and of each id, title and the number of clauses, and of each the hash and why it is there: `required`
//!   and the number of frameworks, and of each its name and the list of controls; or `kept`, reason, by and date.
//!
//! So what is published can't change without the document's hash; and a clause's hash stays while nothing that people
//! acknowledge changes, such as one more framework that requires it.

use aws_lc_rs::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};

use crate::{Chosen, ClauseId, Document, DocumentClause};

/// A clause's hash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClauseHash {
    /// Which clause.
    pub clause: ClauseId,
    /// SHA-256 in hexadecimal digits, over its id, title, sentences and what was decided of them.
    pub sha256: String,
}

/// The hashes of a document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Its title.
    pub title: String,
    /// The organisation.
    pub company: String,
    /// Its version.
    pub version: u32,
    /// SHA-256 over its head and the hashes of its clauses, in order.
    pub sha256: String,
    /// Its clauses.
    pub clauses: Vec<ClauseHash>,
}

struct Hash(Context);

impl Hash {
    fn new(domain: &str) -> Self {
        let mut context = Context::new(&SHA256);
        context.update(domain.as_bytes());
        context.update(&[0]);
        Self(context)
    }
    fn part(&mut self, text: &str) -> &mut Self {
        self.0.update(&(text.len() as u64).to_be_bytes());
        self.0.update(text.as_bytes());
        self
    }
    fn number(&mut self, number: usize) -> &mut Self {
        self.part(&number.to_string())
    }
    fn list(&mut self, parts: &[&str]) -> &mut Self {
        self.number(parts.len());
        for part in parts {
            self.part(part);
        }
        self
    }
    fn hex(self) -> String {
        self.0.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

fn of_clause(clause: &DocumentClause) -> ClauseHash {
    let mut hash = Hash::new("tenet policy clause 1");
    let sentences: Vec<_> = clause.sentences.iter().map(|sentence| sentence.text.as_str()).collect();
    hash.part(clause.id.as_str()).part(&clause.title).list(&sentences);
    match &clause.feasible {
        None => hash.list(&[]),
        Some(feasible) => {
            let (holds, decided) = (if feasible.holds { "true" } else { "false" }, &feasible.decided);
            hash.list(&[holds, &decided.reason, &decided.by, &decided.date])
        }
    };
    ClauseHash { clause: clause.id.clone(), sha256: hash.hex() }
}

fn why(hash: &mut Hash, chosen: &Chosen) {
    match chosen {
        Chosen::Required(by) => {
            hash.part("required").number(by.len());
            for (framework, controls) in by {
                let controls: Vec<_> = controls.iter().map(String::as_str).collect();
                hash.part(framework.as_str()).list(&controls);
            }
        }
        Chosen::Kept(decided) => {
            hash.part("kept").part(&decided.reason).part(&decided.by).part(&decided.date);
        }
    }
}

impl Document {
    /// Its hashes.
    pub fn manifest(&self) -> Manifest {
        let mut clauses = Vec::new();
        let mut hash = Hash::new("tenet policy 1");
        hash.part(&self.title).part(&self.company).part(&self.version.to_string()).part(&self.author);
        hash.part(&self.effective).part(&self.next_review);
        hash.list(&self.frameworks.iter().map(|one| one.as_str()).collect::<Vec<_>>());
        hash.number(self.sections.len());
        for section in &self.sections {
            hash.part(&section.id).part(&section.title).number(section.clauses.len());
            for clause in &section.clauses {
                let of_clause = of_clause(clause);
                hash.part(&of_clause.sha256);
                why(&mut hash, &clause.chosen);
                clauses.push(of_clause);
            }
        }
        Manifest {
            title: self.title.clone(),
            company: self.company.clone(),
            version: self.version,
            sha256: hash.hex(),
            clauses,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes are spelt out, so that whoever checks a hash without this crate can.
    #[test]
    fn a_hash_is_over_the_bytes_that_are_described() {
        let mut hash = Hash::new("one");
        hash.part("a").list(&["b", "cd"]).number(7);
        let mut bytes = b"one\0".to_vec();
        for part in ["a", "2", "b", "cd", "7"] {
            bytes.extend([0, 0, 0, 0, 0, 0, 0, u8::try_from(part.len()).unwrap()]);
            bytes.extend(part.as_bytes());
        }
        let digest = aws_lc_rs::digest::digest(&SHA256, &bytes);
        let expected: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hash.hex(), expected);
    }
}

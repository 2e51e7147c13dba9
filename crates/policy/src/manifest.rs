//! Hashes of a document and of each of its clauses: what an acknowledgement and evidence bind to. SHA-256 over parts, each
//! with its length before it, so that no two documents share one.

use aws_lc_rs::digest::{Context, SHA256};
use serde::Serialize;

use crate::{ClauseId, Document, DocumentClause};

/// A clause's hash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClauseHash {
    /// Which clause.
    pub clause: ClauseId,
    /// SHA-256 in hexadecimal digits, over its id, title, sentences and what was decided of them.
    pub sha256: String,
}

/// The hashes of a document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
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
        Self(context)
    }
    fn part(&mut self, text: &str) -> &mut Self {
        self.0.update(&(text.len() as u64).to_be_bytes());
        self.0.update(text.as_bytes());
        self
    }
    fn hex(self) -> String {
        self.0.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

fn of_clause(clause: &DocumentClause) -> ClauseHash {
    let mut hash = Hash::new("tenet policy clause 1\0");
    hash.part(clause.id.as_str()).part(&clause.title).part(clause.feasible.as_deref().unwrap_or_default());
    for sentence in &clause.sentences {
        hash.part(&sentence.text);
    }
    ClauseHash { clause: clause.id.clone(), sha256: hash.hex() }
}

impl Document {
    /// Its hashes.
    pub fn manifest(&self) -> Manifest {
        let clauses: Vec<_> = self.clauses().map(of_clause).collect();
        let mut hash = Hash::new("tenet policy 1\0");
        hash.part(&self.title).part(&self.company).part(&self.version.to_string()).part(&self.author);
        hash.part(&self.effective).part(&self.next_review);
        for framework in &self.frameworks {
            hash.part(framework.as_str());
        }
        for clause in &clauses {
            hash.part(&clause.sha256);
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

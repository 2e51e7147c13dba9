//! `tenet evidence`: what is known of the policy's sentences.

use std::path::PathBuf;

use base::{EventId, OperatorId, Timestamp};
use clap::{Args, Subcommand};

/// As of when, and of which version.
#[derive(Debug, Args)]
pub struct WhichEvidence {
    /// What was known then: a day, or an instant [default: now]
    #[arg(long, value_name = "WHEN", value_parser = instant)]
    pub as_of: Option<Timestamp>,
    /// Of which version of the policy [default: the one in effect]
    #[arg(long, value_name = "VERSION")]
    pub version: Option<u32>,
}

/// A day, of which the end is meant, or an instant.
fn instant(text: &str) -> Result<Timestamp, String> {
    let whole = if text.len() == 10 { format!("{text}T23:59:59.999999Z") } else { text.to_owned() };
    whole.parse().map_err(|_| {
        "expected a day such as 2026-11-30, or an instant such as 2026-11-30T09:00:00Z".to_owned()
    })
}

/// `tenet evidence attest`.
#[derive(Debug, Args)]
pub struct Attest {
    /// The check: one that a person makes, or `wording/CLAUSE`
    pub check: String,
    /// What you saw, in one line. It goes into the log: no personal data
    #[arg(long)]
    pub summary: String,
    /// It is not so
    #[arg(long)]
    pub fails: bool,
    /// As of when it is true: a day, or an instant [default: now]
    #[arg(long, value_name = "WHEN", value_parser = instant)]
    pub effective: Option<Timestamp>,
    /// When you looked [default: now]
    #[arg(long, value_name = "WHEN", value_parser = instant)]
    pub collected: Option<Timestamp>,
    /// How many things you looked at
    #[arg(long, default_value_t = 1)]
    pub examined: u32,
    /// How many of them were not so
    #[arg(long, default_value_t = 0)]
    pub failed: u32,
    /// A document that you looked at: its hash goes into the log, the file stays with you
    #[arg(long, value_name = "FILE")]
    pub document: Option<PathBuf>,
}

/// `tenet evidence except`.
#[derive(Debug, Args)]
pub struct Except {
    /// The clause
    pub clause: String,
    /// Why, in one line. It goes into the log: no personal data
    #[arg(long)]
    pub reason: String,
    /// Until when: a day, or an instant; at most 366 days from now
    #[arg(long, value_name = "WHEN", value_parser = instant)]
    pub until: Timestamp,
    /// Who answers for it: an operator's id [default: you]
    #[arg(long, value_name = "OPERATOR")]
    pub owner: Option<OperatorId>,
    /// It does not apply here at all
    #[arg(long)]
    pub not_applicable: bool,
}

/// `tenet evidence`.
#[derive(Debug, Subcommand)]
pub enum EvidenceCommand {
    /// Show each clause with its state
    #[command(after_help = "\
Examples:
  tenet evidence state
  tenet evidence state --as-of 2026-11-30
  tenet evidence state --json | jq '.clauses[] | select(.state != \"satisfied\") | .clause'

Of a clause without a control that runs it says `gap`, never that it is satisfied.")]
    State(WhichEvidence),
    /// Show a clause: each sentence, the checks that observe it, and what they saw last
    #[command(after_help = "\
Examples:
  tenet evidence show CD-8
  tenet evidence show CD-8 --as-of 2026-11-30T09:00:00Z")]
    Show {
        /// The clause
        clause: String,
        /// As of when, and of which version
        #[command(flatten)]
        which: WhichEvidence,
    },
    /// List the checks, and what each saw last
    #[command(after_help = "\
Examples:
  tenet evidence checks
  tenet evidence checks --json | jq -r '.[] | select(.state == \"stale\") | .check'")]
    Checks(WhichEvidence),
    /// List what a check saw, the newest first
    #[command(after_help = "\
Examples:
  tenet evidence observations drill-cross-account
  tenet evidence observations log-keeps-up --limit 1000 --json")]
    Observations {
        /// The check
        check: String,
        /// Most that are listed
        #[arg(long, default_value_t = 50)]
        limit: usize,
    },
    /// List findings: checks that failed, from when to when
    #[command(after_help = "\
Examples:
  tenet evidence findings
  tenet evidence findings --as-of 2026-11-30 --json")]
    Findings(WhichEvidence),
    /// Have checks and drills made now, and show what came of them
    #[command(after_help = "\
Examples:
  tenet evidence run
  tenet evidence run drill-cross-account drill-row-edit")]
    Run {
        /// The checks [default: every one that Tenet makes by itself]
        checks: Vec<String>,
    },
    /// Record what you saw of a check that a person makes
    #[command(after_help = "\
Examples:
  tenet evidence attest media-disposed --summary '12 disks shredded' --examined 12
  tenet evidence attest media-disposed --summary 'protocol of May' --effective 2026-05-31 \\
    --document protocol.pdf
  tenet evidence attest wording/RR-4 --summary 'read against the controls'

It counts from when it is true. Whoever put a version up does not attest its wording.")]
    Attest(Attest),
    /// Answer, until a day, for a clause that is not held or does not apply
    #[command(after_help = "\
Examples:
  tenet evidence except RR-4 --not-applicable --reason 'no hosts of our own' --until 2027-06-30
  tenet evidence except CD-1 --reason 'second region in March' --until 2027-03-31 --owner opr_01j...

Another operator reviews it: `tenet review list`. An exception does not make a clause green.")]
    Except(Except),
    /// End an exception before its day
    #[command(after_help = "\
Examples:
  tenet evidence end evt_01j...")]
    End {
        /// Its id
        exception: EventId,
    },
    /// Write one archive with the policy, what was observed, and proofs that the log has it
    #[command(after_help = "\
Examples:
  tenet evidence pack --out pack.zip
  tenet evidence pack --as-of 2026-11-30 --out november.zip

An auditor checks it with `tenet evidence verify`, on a machine that never saw the server.")]
    Pack {
        /// As of when, and of which version
        #[command(flatten)]
        which: WhichEvidence,
        /// The file to write; it must be new
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Verify an archive of evidence, offline
    #[command(after_help = "\
Examples:
  tenet evidence verify pack.zip --key log.example/tenet+1234abcd+Aa...
  tenet evidence verify pack.zip --key log.vkey --log copy

Every event in it is held against the signed log, and every state is computed anew from them. With
--log, a whole copy of the log, it is also found out whether the archive leaves something out.")]
    Verify {
        /// The archive
        pack: PathBuf,
        /// The log's verifier key, or a file that holds it [default: the key that the archive names, untrusted]
        #[arg(long, value_name = "VKEY|FILE")]
        key: Option<String>,
        /// A directory with a copy of the log
        #[arg(long, value_name = "DIR")]
        log: Option<PathBuf>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_means_its_end() {
        assert_eq!(instant("2026-11-30").unwrap().to_string(), "2026-11-30T23:59:59.999999Z");
        assert_eq!(instant("2026-11-30T09:00:00Z").unwrap().to_string(), "2026-11-30T09:00:00.000000Z");
        assert!(instant("30.11.2026").is_err() && instant("2026-02-30").is_err());
    }
}

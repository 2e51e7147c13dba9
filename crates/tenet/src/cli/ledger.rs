//! Commands on the log. All of them work offline on a copy.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::events::{EventFilter, EventFormat, Report, WorkingHours};

/// Where the log is, and by which key it is trusted.
#[derive(Clone, Debug, Args)]
pub struct LogPlace {
    /// A server's address or a directory with a copy [default: the server of your profile]
    #[arg(value_name = "URL|DIR")]
    pub place: Option<String>,
    /// The verifier key, or a file that holds it [default: the key saved when you enrolled]
    #[arg(long, value_name = "VKEY|FILE")]
    pub key: Option<String>,
    /// The certificate authority of a server that you have no profile of (its ca.pem)
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
}

/// `tenet log`.
#[derive(Debug, Subcommand)]
pub enum LogCommand {
    /// Print the log's verifier key
    #[command(after_help = "\
Examples:
  tenet log key
  tenet log key https://localhost:8440 --ca ca.pem")]
    Key {
        /// Which log
        #[command(flatten)]
        place: LogPlace,
    },
    /// Check the whole log, and name the first bad entry
    #[command(after_help = "\
Examples:
  tenet log verify
  tenet log verify https://localhost:8440 --ca ca.pem --key 'tenet+1234abcd+Aa...'
  tenet log verify ./copy --key log.vkey --since checkpoint.txt

  tenet log verify ./copy --key log.vkey --witnesses policy.txt

For a server, the newest checkpoint that verified is kept; the next time, the log must continue it.
With --witnesses, the quorum of that policy must have cosigned the checkpoint.")]
    Verify {
        /// Which log
        #[command(flatten)]
        place: LogPlace,
        /// A checkpoint that verified before: the log must continue it
        #[arg(long, value_name = "FILE")]
        since: Option<PathBuf>,
        /// A witness policy (C2SP tlog-policy) whose quorum must have cosigned the checkpoint
        #[arg(long, value_name = "FILE")]
        witnesses: Option<PathBuf>,
    },
    /// Show entries, the newest by default
    #[command(after_help = "\
Examples:
  tenet log show
  tenet log show --from 100 --limit 50
  tenet log show ./copy --key log.vkey --json")]
    Show {
        /// Which log
        #[command(flatten)]
        place: LogPlace,
        /// The first entry to show
        #[arg(long, value_name = "INDEX")]
        from: Option<u64>,
        /// Most entries to show
        #[arg(long, default_value_t = 20)]
        limit: u64,
    },
    /// Find events, the newest first
    #[command(after_help = "\
Examples:
  tenet log search --since 24h --outcome refused
  tenet log search --actor opr_01j... --activity account --limit 500 --json
  tenet log search --text 'policy-forbids SD-1' --save refusals
  tenet log search --saved refusals --since 7d
  tenet log search ./copy --key log.vkey --object rec_01j...

Of the server of your profile its index is asked, as an operator; each event comes with the times
that witnesses vouch for. A place that is given is verified and read to its end.")]
    Search {
        /// Which log
        #[command(flatten)]
        place: LogPlace,
        /// Which events
        #[command(flatten)]
        filter: EventFilter,
        /// Most events
        #[arg(long, default_value_t = 100)]
        limit: usize,
        /// The oldest first
        #[arg(long)]
        oldest: bool,
        /// Save this search under a name, on this machine
        #[arg(long, value_name = "NAME", conflicts_with = "saved")]
        save: Option<String>,
        /// The search of that name; what is given besides replaces what it says
        #[arg(long, value_name = "NAME")]
        saved: Option<String>,
    },
    /// List the searches that are saved on this machine
    #[command(after_help = "\
Examples:
  tenet log searches
  tenet log searches --remove refusals")]
    Searches {
        /// Remove one
        #[arg(long, value_name = "NAME")]
        remove: Option<String>,
    },
    /// Show the newest entries, and with -f those that come
    #[command(after_help = "\
Examples:
  tenet log tail -f
  tenet log tail -f --severity high --json
  tenet log tail -n 50 https://witness.example:8441/0f3a... --ca witness-ca.pem --key log.vkey

While it follows, the log must continue what it was: one that was rewritten is an error.")]
    Tail {
        /// Which log
        #[command(flatten)]
        place: LogPlace,
        /// Which events
        #[command(flatten)]
        filter: EventFilter,
        /// How many of the newest entries to look at first
        #[arg(short = 'n', long, default_value_t = 20)]
        lines: u64,
        /// Go on with those that come
        #[arg(short, long)]
        follow: bool,
    },
    /// Count what reviewers ask for
    #[command(after_help = "\
Examples:
  tenet log report denials --since 7d
  tenet log report after-hours --hours 08:00-18:00+01:00 --csv > after-hours.csv
  tenet log report access-by-record ./copy --key log.vkey --account acc_01j...
  tenet log report privileged --since 30d --svg > privileged.svg

A table with bars, CSV for spreadsheets, a picture, or --json. Of the server of your profile its
index is asked, as an operator; a place that is given is verified and read to its end.")]
    Report {
        /// Which report
        report: Report,
        /// Which log
        #[command(flatten)]
        place: LogPlace,
        /// Which events
        #[command(flatten)]
        filter: EventFilter,
        /// Working hours, Monday to Friday, and their zone
        #[arg(long, value_name = "HH:MM-HH:MM+HH:MM", default_value = "08:00-18:00Z")]
        hours: WorkingHours,
        /// As comma-separated values
        #[arg(long)]
        csv: bool,
        /// As a picture: bars, in SVG
        #[arg(long, conflicts_with = "csv")]
        svg: bool,
    },
    /// Verify the log and write its events to a file for other tools
    #[command(after_help = "\
Examples:
  tenet log extract --format parquet --out events.parquet
  tenet log extract --format ocsf --out denials.jsonl --outcome refused --since 30d
  tenet log extract ./copy --key log.vkey --format csv --out events.csv

The file is there once it is complete. `ocsf` is the log's own entries, one a line, byte for byte.")]
    Extract {
        /// Which log
        #[command(flatten)]
        place: LogPlace,
        /// Which events
        #[command(flatten)]
        filter: EventFilter,
        /// In which form
        #[arg(long, value_name = "FORM")]
        format: EventFormat,
        /// The file
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Send events to where you keep your others, as they come
    #[command(after_help = "\
Examples:
  tenet log forward --to siem.txt --sink-ca siem-ca.pem --state siem.json
  tenet log forward --to bucket.txt --state bucket.json --once
  tenet log forward https://witness.example:8441/0f3a... --ca witness-ca.pem --key log.vkey \\
    --to otlp.txt --state otlp.json --severity medium

The file of --to, readable by you alone, has the address on its first line: syslog+tls://HOST:PORT
(RFC 5424), otlp+https://HOST/v1/logs (OpenTelemetry, with headers on further lines),
s3://BUCKET/PREFIX (the variables AWS_* say how) or file:///DIRECTORY. Each entry is verified first.
The position moves once the other side has it: every event arrives, perhaps twice. What can't be
delivered waits in the log, and nothing at the server waits for it. A process of its own; it can
read a witness's copy.")]
    Forward {
        /// Which log
        #[command(flatten)]
        place: LogPlace,
        /// Which events
        #[command(flatten)]
        filter: EventFilter,
        /// Where to: a file that says so
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
        /// The certificate authority of that place
        #[arg(long = "sink-ca", value_name = "FILE")]
        ca_of_sink: Option<PathBuf>,
        /// The file that keeps the position
        #[arg(long, value_name = "FILE")]
        state: PathBuf,
        /// The first time, begin with what comes, not with the first entry
        #[arg(long)]
        from_now: bool,
        /// Send what there is, then stop
        #[arg(long)]
        once: bool,
    },
    /// Write events for a third party: the fields that a profile allows, identifiers as pseudonyms
    #[command(after_help = "\
Examples:
  tenet log share auditor.toml --since 2026-01-01 --until 2026-04-01 --out q1.jsonl
  tenet log share partner.toml ./copy --key log.vkey --account acc_01j... --out theirs.jsonl

A profile:
  recipient = 'auditor.example'
  key_file  = 'auditor.key'          # 32 characters or more, readable by you alone
  fields    = ['time', 'activity', 'outcome', 'actor_kind', 'actor', 'object_kind', 'object']

An identifier has the same pseudonym each time for one recipient, and another for every other. Each
event comes with a proof that its entry is in the log, and a statement says what was selected.")]
    Share {
        /// The recipient's profile
        #[arg(value_name = "PROFILE")]
        allowed: PathBuf,
        /// Which log
        #[command(flatten)]
        place: LogPlace,
        /// Which events
        #[command(flatten)]
        filter: EventFilter,
        /// Where to write it; standard output if left out
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Check events that were shared, offline
    #[command(after_help = "\
Examples:
  tenet log check-share q1.jsonl --key log.vkey
  tenet log check-share q1.jsonl ./copy --key log.vkey --profile auditor.toml

Without the profile: that each event has an entry in the log. With it and the log, the selection is
made again and must be the same to the byte: none left out, none changed. Of an actor, an object, an
account or words that were asked for, the statement has a pseudonym alone: give them again.")]
    CheckShare {
        /// The file
        file: PathBuf,
        /// Which log
        #[command(flatten)]
        place: LogPlace,
        /// The recipient's profile
        #[arg(long = "profile", value_name = "FILE")]
        allowed: Option<PathBuf>,
        /// What was asked for
        #[command(flatten)]
        filter: EventFilter,
    },
    /// Verify the log and list its gaps: when nothing was recorded, and why
    #[command(after_help = "\
Examples:
  tenet log gaps
  tenet log gaps https://witness.example:8441/0f3a... --ca witness-ca.pem --key log.vkey
  tenet log gaps ./copy --key log.vkey --json

Servers write a heartbeat at a fixed interval, so silence is evidence. Each gap is classified from
the log alone: stop-announced, killed, store-unreachable, storage-full, clock-jump, stalled,
rollback, witnesses-unreachable, silent. A copy is held against its newest entry, a server against
the time now.")]
    Gaps {
        /// Which log
        #[command(flatten)]
        place: LogPlace,
        /// Leave out the stops that were announced
        #[arg(long)]
        alarms: bool,
    },
    /// Open from where and with which tool somebody acted, as an operator
    #[command(after_help = "\
Examples:
  tenet log source evt_01j...

It is sealed beside the event, under a key of who acted. That you opened it is an event itself.")]
    Source {
        /// The event's id
        event: base::EventId,
    },
    /// Hold every protected row against the log, as an operator
    #[command(after_help = "\
Examples:
  tenet log reconcile
  tenet --json log reconcile --timeout 3600

The server does this by itself each day (`ledger.reconcile`). A row that no event explains, one that
is missing, and one that is not what its last event says are named here, recorded in the log, and
make this command fail with status 1. So it finds what somebody changed in the database behind
Tenet's back: accounts, clients, operators, reviews, repositories, records, objects, holds,
certificates.")]
    Reconcile {
        /// Seconds to wait for it to be done
        #[arg(long, value_name = "SECONDS", default_value_t = 900, value_parser = clap::value_parser!(u64).range(1..=86_400))]
        timeout: u64,
    },
    /// Write a proof that an entry is in the log, which can be checked alone
    #[command(after_help = "\
Examples:
  tenet log prove 17 --out event-17.tlog-proof
  tenet log prove 17 ./copy --key log.vkey")]
    Prove {
        /// The entry's index, from 0
        index: u64,
        /// Which log
        #[command(flatten)]
        place: LogPlace,
        /// Where to write it; standard output if left out
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Check a proof, offline
    #[command(after_help = "\
Examples:
  tenet log check-proof event-17.tlog-proof --key log.vkey")]
    CheckProof {
        /// The proof; `-` reads standard input
        file: PathBuf,
        /// The verifier key, or a file that holds it [default: the key saved when you enrolled]
        #[arg(long, value_name = "VKEY|FILE")]
        key: Option<String>,
    },
    /// Copy the whole log to a directory, verifying it
    #[command(after_help = "\
Examples:
  tenet log export ./copy
  tenet log export ./copy https://localhost:8440 --ca ca.pem --key log.vkey")]
    Export {
        /// The directory: made if there is none, brought up to date if there is
        directory: PathBuf,
        /// Which log
        #[command(flatten)]
        place: LogPlace,
    },
    /// Take back, from a mirror, the entries that this server's log has lost
    #[command(after_help = "\
Examples:
  tenet log recover --from https://witness.example.org:8441/0f3a... --ca witness-ca.pem
  tenet log recover --from ./copy --data /srv/tenet

For a server that is stopped and whose database is an older copy. Its log must be a beginning of the
mirror's. The entries come back as they were signed; what they did to records does not: restore the
newest database for that.")]
    Recover {
        /// The mirror's copy: its address, as the server says it, or a directory
        #[arg(long, value_name = "URL|DIR")]
        from: String,
        /// The certificate authority of the mirror's address (the witness's ca.pem)
        #[arg(long, value_name = "FILE")]
        ca: Option<PathBuf>,
        /// The server's settings
        #[command(flatten)]
        settings: super::SettingArgs,
    },
}

/// `tenet verify-certificate`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tenet verify-certificate deleted.txt --key 'tenet+1234abcd+Aa...'
  tenet verify-certificate deleted.txt --key log.vkey --json")]
pub struct VerifyCertificate {
    /// The certificate; `-` reads standard input
    pub file: PathBuf,
    /// The verifier key, or a file that holds it [default: the key saved when you enrolled]
    #[arg(long, value_name = "VKEY|FILE")]
    pub key: Option<String>,
}

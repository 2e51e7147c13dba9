//! Commands on customers' data, as a client of the account.

use std::path::PathBuf;

use base::{HoldId, ObjectId, RecordId, RepositoryId};
use clap::{Args, Subcommand};

/// `tenet repository`.
#[derive(Debug, Subcommand)]
pub enum RepositoryCommand {
    /// Make a repository
    #[command(after_help = "\
Examples:
  tenet repository create invoices --classification confidential --keep 3650 --basis law \\
    --reason 'HGB 257' --data-type invoices --searchable number
  tenet repository create people --file people.json")]
    Create(Box<RepositoryCreate>),
    /// List the account's repositories
    #[command(after_help = "\
Examples:
  tenet repository list")]
    List,
}

/// `tenet repository create`.
#[derive(Debug, Args)]
pub struct RepositoryCreate {
    /// Its name, unique in the account
    pub name: String,
    /// The whole declaration as JSON, as for POST /v1/repositories; the other options add to it
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// The highest classification that it may hold
    #[arg(long, value_name = "LEVEL", required_unless_present = "file")]
    pub classification: Option<String>,
    /// The label of one field; repeat it
    #[arg(long = "field", value_name = "FIELD=LEVEL")]
    pub fields: Vec<String>,
    /// Days to keep each record or object
    #[arg(long, value_name = "DAYS", required_unless_present = "file")]
    pub keep: Option<u32>,
    /// On what the period rests
    #[arg(long, value_parser = ["law", "contract", "business"], default_value = "business")]
    pub basis: String,
    /// The law, contract or need in words
    #[arg(long, default_value = "needed for the service")]
    pub reason: String,
    /// The type of data
    #[arg(long, value_name = "TYPE", default_value = "customer data")]
    pub data_type: String,
    /// The media it is kept on
    #[arg(long, default_value = "encrypted database")]
    pub media: String,
    /// A field that can be searched for equality; repeat it
    #[arg(long, value_name = "FIELD")]
    pub searchable: Vec<String>,
    /// A JSON Schema that every record must satisfy
    #[arg(long, value_name = "FILE")]
    pub schema: Option<PathBuf>,
}

/// Where a record's body comes from.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct RecordSource {
    /// The body as JSON
    #[arg(long, value_name = "JSON")]
    pub body: Option<String>,
    /// A file with the body; `-` reads standard input
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
}

/// A record and its repository.
#[derive(Debug, Args)]
pub struct Locate {
    /// The record
    pub record: RecordId,
    /// Its repository
    #[arg(long, short, value_name = "ID")]
    pub repository: RepositoryId,
}

/// `tenet record`.
#[derive(Debug, Subcommand)]
pub enum RecordCommand {
    /// Create a record, or replace one
    #[command(after_help = "\
Examples:
  tenet record put -r rep_01j... --body '{\"number\": \"2026-7\", \"total\": 120}'
  tenet record put -r rep_01j... --file invoice.json --classification internal
  tenet record put -r rep_01j... --record rec_01j... --if-match '\"3\"' --file invoice.json")]
    Put {
        /// The repository
        #[arg(long, short, value_name = "ID")]
        repository: RepositoryId,
        /// The record to replace; a new one if left out
        #[arg(long, value_name = "ID")]
        record: Option<RecordId>,
        /// The record's own label, at most its repository's
        #[arg(long, value_name = "LEVEL")]
        classification: Option<String>,
        /// Only if this is still its version, as its ETag
        #[arg(long, value_name = "ETAG", requires = "record")]
        if_match: Option<String>,
        /// A key that makes a repetition of this request harmless
        #[arg(long, value_name = "KEY")]
        idempotency_key: Option<String>,
        /// The body
        #[command(flatten)]
        source: RecordSource,
    },
    /// Read a record
    #[command(after_help = "\
Examples:
  tenet record get -r rep_01j... rec_01j...
  tenet record get -r rep_01j... rec_01j... --version 2")]
    Get {
        /// Which record
        #[command(flatten)]
        locate: Locate,
        /// An earlier version
        #[arg(long = "version", value_name = "NUMBER")]
        number: Option<u64>,
    },
    /// List records
    #[command(after_help = "\
Examples:
  tenet record list -r rep_01j... --limit 20
  tenet record list -r rep_01j... --bodies --json")]
    List {
        /// The repository
        #[arg(long, short, value_name = "ID")]
        repository: RepositoryId,
        /// Most records to list
        #[arg(long, default_value_t = 100)]
        limit: usize,
        /// Give the bodies as well
        #[arg(long)]
        bodies: bool,
        /// List deleted records too
        #[arg(long)]
        deleted: bool,
    },
    /// List the versions of a record
    #[command(after_help = "\
Examples:
  tenet record versions -r rep_01j... rec_01j...")]
    Versions {
        /// Which record
        #[command(flatten)]
        locate: Locate,
    },
    /// Delete a record; it can be restored for a while
    #[command(after_help = "\
Examples:
  tenet record delete -r rep_01j... rec_01j...")]
    Delete {
        /// Which record
        #[command(flatten)]
        locate: Locate,
    },
    /// Restore a deleted record
    #[command(after_help = "\
Examples:
  tenet record restore -r rep_01j... rec_01j...")]
    Restore {
        /// Which record
        #[command(flatten)]
        locate: Locate,
    },
    /// Erase a record beyond recovery, and get the signed certificate
    #[command(after_help = "\
Examples:
  tenet record erase -r rep_01j... rec_01j... --certificate deleted.txt
  tenet verify-certificate deleted.txt --key \"$(tenet log key)\"")]
    Erase {
        /// Which record
        #[command(flatten)]
        locate: Locate,
        /// Where to write the certificate; standard output if left out
        #[arg(long, value_name = "FILE")]
        certificate: Option<PathBuf>,
    },
    /// Set a legal hold: nothing deletes the record until it is lifted
    #[command(after_help = "\
Examples:
  tenet record hold -r rep_01j... rec_01j... --reason 'Case 12/26' --person 'A. Counsel'")]
    Hold {
        /// Which record
        #[command(flatten)]
        locate: Locate,
        /// Why
        #[arg(long)]
        reason: String,
        /// Who decided it: a name or an id
        #[arg(long)]
        person: String,
    },
    /// Lift a legal hold
    #[command(after_help = "\
Examples:
  tenet record release hld_01j... --reason 'Case 12/26 closed' --person 'A. Counsel'")]
    Release {
        /// The hold, as `record hold` printed it and `record explain` shows it
        hold: HoldId,
        /// Why
        #[arg(long)]
        reason: String,
        /// Who decided it: a name or an id
        #[arg(long)]
        person: String,
    },
    /// Find records by the value of a searchable field
    #[command(after_help = "\
Examples:
  tenet record search -r rep_01j... number=2026-7
  tenet record search -r rep_01j... 'total=120' --limit 5

A value that is JSON (120, true, \"120\") is searched as that; anything else as text.")]
    Search {
        /// The repository
        #[arg(long, short, value_name = "ID")]
        repository: RepositoryId,
        /// What to find
        #[arg(required = true, value_name = "FIELD=VALUE")]
        terms: Vec<String>,
        /// Most records to list
        #[arg(long, default_value_t = 100)]
        limit: usize,
    },
    /// Say what applies to a record, why, and when it will be erased
    #[command(after_help = "\
Examples:
  tenet record explain -r rep_01j... rec_01j...")]
    Explain {
        /// Which record
        #[command(flatten)]
        locate: Locate,
    },
}

/// `tenet object`.
#[derive(Debug, Subcommand)]
pub enum ObjectCommand {
    /// Store a file
    #[command(after_help = "\
Examples:
  tenet object put -r rep_01j... scan.pdf
  tenet object put -r rep_01j... scan.pdf --name contracts/7.pdf --content-type application/pdf")]
    Put {
        /// The file
        file: PathBuf,
        /// The repository
        #[arg(long, short, value_name = "ID")]
        repository: RepositoryId,
        /// The object's name [default: the file's]
        #[arg(long)]
        name: Option<String>,
        /// Its media type
        #[arg(long, value_name = "TYPE", default_value = "application/octet-stream")]
        content_type: String,
        /// The object's own label, at most its repository's
        #[arg(long, value_name = "LEVEL")]
        classification: Option<String>,
    },
    /// Read an object
    #[command(after_help = "\
Examples:
  tenet object get -r rep_01j... obj_01j... --out scan.pdf
  tenet object get -r rep_01j... obj_01j... --range 0-99 > head")]
    Get {
        /// The object
        object: ObjectId,
        /// The repository
        #[arg(long, short, value_name = "ID")]
        repository: RepositoryId,
        /// Where to write it; standard output if left out. Nothing is left there if it breaks off
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// Bytes from and to, both included
        #[arg(long, value_name = "FROM-TO")]
        range: Option<String>,
    },
    /// List objects
    #[command(after_help = "\
Examples:
  tenet object list -r rep_01j...")]
    List {
        /// The repository
        #[arg(long, short, value_name = "ID")]
        repository: RepositoryId,
        /// Most objects to list
        #[arg(long, default_value_t = 100)]
        limit: usize,
    },
    /// Delete an object; it can be restored for a while
    #[command(after_help = "\
Examples:
  tenet object delete -r rep_01j... obj_01j...")]
    Delete {
        /// The object
        object: ObjectId,
        /// The repository
        #[arg(long, short, value_name = "ID")]
        repository: RepositoryId,
    },
    /// Restore a deleted object
    #[command(after_help = "\
Examples:
  tenet object restore -r rep_01j... obj_01j...")]
    Restore {
        /// The object
        object: ObjectId,
        /// The repository
        #[arg(long, short, value_name = "ID")]
        repository: RepositoryId,
    },
    /// Erase an object beyond recovery, and get the signed certificate
    #[command(after_help = "\
Examples:
  tenet object erase -r rep_01j... obj_01j... --certificate deleted.txt")]
    Erase {
        /// The object
        object: ObjectId,
        /// The repository
        #[arg(long, short, value_name = "ID")]
        repository: RepositoryId,
        /// Where to write the certificate; standard output if left out
        #[arg(long, value_name = "FILE")]
        certificate: Option<PathBuf>,
    },
    /// Say what applies to an object, why, and when it will be erased
    #[command(after_help = "\
Examples:
  tenet object explain -r rep_01j... obj_01j...")]
    Explain {
        /// The object
        object: ObjectId,
        /// The repository
        #[arg(long, short, value_name = "ID")]
        repository: RepositoryId,
    },
}

//! Operators' commands: accounts, clients, operators, keys.

use base::{AccountId, ClientId, OperatorId};
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// `tenet account`.
#[derive(Debug, Subcommand)]
pub enum AccountCommand {
    /// Make an account, with a key of its own
    #[command(after_help = "\
Examples:
  tenet account create acme
  id=$(tenet account create acme --json | jq -r .id)")]
    Create {
        /// Its name, which nobody else has
        name: String,
    },
    /// List accounts
    #[command(after_help = "\
Examples:
  tenet account list")]
    List,
    /// Make a link for somebody of the customer, who governs this account and nothing else
    #[command(after_help = "\
Examples:
  tenet account invite acc_01j...
  tenet account invite acc_01j... --days 90

Whoever opens it registers the account's applications and sees what happens in it, in the console.
They never see another account, the platform, or what is stored.")]
    Invite {
        /// The account
        account: AccountId,
        /// For how many days; for good if left out
        #[arg(long, value_parser = clap::value_parser!(u32).range(1..=3650))]
        days: Option<u32>,
    },
    /// List who governs an account
    #[command(after_help = "\
Examples:
  tenet account people acc_01j...

Revoke one of them with `tenet operator revoke`.")]
    People {
        /// The account
        account: AccountId,
    },
    /// Suspend an account: its clients are refused within a second, its data stays
    #[command(after_help = "\
Examples:
  tenet account suspend acc_01j...")]
    Suspend {
        /// The account
        account: AccountId,
    },
    /// Resume a suspended account
    #[command(after_help = "\
Examples:
  tenet account resume acc_01j...")]
    Resume {
        /// The account
        account: AccountId,
    },
}

/// `tenet subject`.
#[derive(Debug, Subcommand)]
pub enum SubjectCommand {
    /// Erase from where a client or an operator acted up to now, and get the receipt
    #[command(after_help = "\
Examples:
  tenet subject erase opr_01j... --out receipt.note
  tenet verify-certificate receipt.note

Addresses and tools are sealed under a key for each who acts; the log only commits to them. The key
is destroyed: the log stays as it is and verifies, and what it commits to can't be read or guessed.
Nobody erases their own trail, and a second person reviews it. What they do from now on is sealed
under a new key.")]
    Erase {
        /// Who acted: the id of a client or an operator
        #[arg(value_name = "SUBJECT")]
        subject: String,
        /// Write the receipt, a signed note, to this file
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}

/// `tenet safeguard`.
#[derive(Debug, Subcommand)]
pub enum SafeguardCommand {
    /// List the settings that keep the record of what is done, and what was accepted of each
    #[command(after_help = "\
Examples:
  tenet safeguard list
  tenet safeguard list --json | jq '.[] | select(.weakened)'")]
    List,
    /// Approve that one is weaker than it was, or switched off
    #[command(after_help = "\
Examples:
  tenet safeguard approve ledger.heartbeat 5m

Two operators do, each for the value that it has now. Until then, or until it is set back, no
administrative act that gives something goes on. It is an alarm when it is found, and in the log for
good.")]
    Approve {
        /// The setting's key
        #[arg(value_name = "SETTING")]
        safeguard: String,
        /// Its value now, as `tenet safeguard list` shows it
        value: String,
    },
}

/// `tenet review`.
#[derive(Debug, Subcommand)]
pub enum ReviewCommand {
    /// List privileged acts that nobody has reviewed yet
    #[command(after_help = "\
Examples:
  tenet review list
  tenet review list --overdue --json
  tenet review list --done")]
    List {
        /// Those that are overdue
        #[arg(long, conflicts_with = "done")]
        overdue: bool,
        /// Those that were reviewed
        #[arg(long)]
        done: bool,
    },
    /// Sign acts off that somebody else did, or object to them
    #[command(after_help = "\
Examples:
  tenet review sign evt_01j... --note 'agreed in ticket 4711'
  tenet review sign evt_01j... --objection --note 'nobody knows this client'
  tenet review list --json | jq -r .[].event | xargs tenet review sign

Nobody reviews what they did themselves. An objection is an event of high severity.")]
    Sign {
        /// The acts, by their events
        #[arg(required = true, value_name = "EVENT")]
        events: Vec<base::EventId>,
        /// Object instead
        #[arg(long)]
        objection: bool,
        /// Words for people, in one line
        #[arg(long, default_value = "")]
        note: String,
    },
}

/// `tenet client`.
#[derive(Debug, Subcommand)]
pub enum ClientCommand {
    /// Register an application of an account
    #[command(after_help = "\
Examples:
  tenet client create billing --account acc_01j... --scope records:read,records:write --save billing
  tenet client create legacy --account acc_01j... --scope records:read --secret

With --save, the key is made here and saved as a profile: `tenet record list --as billing` uses it.
With --secret, the server makes a secret and shows it once, for applications that can't sign.")]
    Create(ClientCreate),
    /// List the clients of an account
    #[command(after_help = "\
Examples:
  tenet client list --account acc_01j...")]
    List {
        /// The account
        #[arg(long)]
        account: AccountId,
    },
    /// Revoke a client: its tokens stop within a second
    #[command(after_help = "\
Examples:
  tenet client revoke cli_01j...")]
    Revoke {
        /// The client
        client: ClientId,
    },
}

/// `tenet client create`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("credential").required(true).multiple(false).args(["save", "secret", "public_key"]))]
pub struct ClientCreate {
    /// A name for people
    pub name: String,
    /// The account that it belongs to, for good
    #[arg(long)]
    pub account: AccountId,
    /// A scope that it may ask for; repeat it, or separate several by commas
    #[arg(long, required = true, value_delimiter = ',', value_name = "SCOPE")]
    pub scope: Vec<String>,
    /// The highest classification that it may touch [default: the highest]
    #[arg(long, value_name = "LEVEL")]
    pub clearance: Option<String>,
    /// How it proves who it is
    #[command(flatten)]
    pub credential: ClientCredential,
}

/// How a client is to prove who it is: one of these.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct ClientCredential {
    /// Make its key here and save it as this profile
    #[arg(long, value_name = "NAME")]
    pub save: Option<String>,
    /// Have the server make a secret, shown once
    #[arg(long)]
    pub secret: bool,
    /// The public half of its own Ed25519 key, base64url (a JWK's `x`)
    #[arg(long, value_name = "KEY")]
    pub public_key: Option<String>,
}

/// `tenet operator`.
#[derive(Debug, Subcommand)]
pub enum OperatorCommand {
    /// List operators
    #[command(after_help = "\
Examples:
  tenet operator list")]
    List,
    /// Make a link that enrols one more operator, once, within 30 minutes
    #[command(after_help = "\
Examples:
  tenet operator link
  tenet operator link --role security
  tenet operator link --role auditor --days 14

administrator  runs the platform: accounts, clients, people, keys
security       keeps the policy and its exceptions, and sees everything
engineer       connects applications to accounts
employee       reads and acknowledges the policy
auditor        sees everything, changes nothing")]
    Link {
        /// What the operator may do
        #[arg(
            long,
            default_value = "administrator",
            value_parser = ["administrator", "security", "engineer", "employee", "auditor"]
        )]
        role: String,
        /// For how many days; for good if left out. Give an auditor an end
        #[arg(long, value_parser = clap::value_parser!(u32).range(1..=3650))]
        days: Option<u32>,
    },
    /// List the sessions that an operator has open in the console, or end them
    #[command(after_help = "\
Examples:
  tenet operator sessions opr_01j...
  tenet operator sessions opr_01j... --end

Ended sessions are over at once, on every server. Whoever can sign in can do so again: to take that
away, revoke the operator.")]
    Sessions {
        /// The operator
        operator: OperatorId,
        /// End every one of them
        #[arg(long)]
        end: bool,
    },
    /// Revoke an operator
    #[command(after_help = "\
Examples:
  tenet operator revoke opr_01j...")]
    Revoke {
        /// The operator
        operator: OperatorId,
    },
}

/// `tenet profile`.
#[derive(Debug, Subcommand)]
pub enum ProfileCommand {
    /// List the profiles that `--as` takes
    #[command(after_help = "\
Examples:
  tenet profile list
  tenet profile list --json | jq -r '.[].name'")]
    List,
    /// Remove profiles from this machine, with their keys
    #[command(after_help = "\
Examples:
  tenet profile remove billing
  tenet profile remove default acme-1a2b globex-1a2b

The keys are gone for good. The server is not told: revoke a client or an operator there.")]
    Remove {
        /// The profiles
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
    },
}

/// `tenet keys`.
#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Show key versions, what each wraps, and running rotations
    #[command(after_help = "\
Examples:
  tenet keys status
  tenet keys status --account acc_01j...
  tenet keys status --json")]
    Status {
        /// The account whose keys to show; the provider key if left out
        #[arg(long)]
        account: Option<AccountId>,
    },
    /// Start a rotation: readers are not affected, progress is in `keys status`
    #[command(after_help = "\
Examples:
  tenet keys rotate
  tenet keys rotate --account acc_01j... --wait")]
    Rotate {
        /// The account whose key to rotate; the provider key if left out
        #[arg(long)]
        account: Option<AccountId>,
        /// Wait until it is complete
        #[arg(long)]
        wait: bool,
    },
    /// Retire a version that nothing is wrapped with any more: it is destroyed
    #[command(after_help = "\
Examples:
  tenet keys retire 1
  tenet keys retire 1 --account acc_01j...

Refused while anything is still wrapped with it: rotate first, and wait.")]
    Retire {
        /// The version
        version: u32,
        /// The account whose key it is; the provider key if left out
        #[arg(long)]
        account: Option<AccountId>,
    },
}

//! Every setting: its key, its default, its bounds, and what it is for. The one list that the reader,
//! `tenet config show` and the reference are made from.

use std::path::PathBuf;

use base::Scheme;

use super::{
    alarms::{self, AlarmsConfig},
    clock::{self, ClockConfig},
    field::{Address, Choice, Field, Number, Span},
    sign_in::{self, SignInConfig},
};

/// The configuration, wholly read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    pub(crate) data: Option<PathBuf>,
    /// The listener and its certificate.
    pub server: ServerConfig,
    /// Where data is stored.
    pub database: DatabaseConfig,
    /// Where the provider key is.
    pub keys: KeysConfig,
    /// Where objects' contents are.
    pub objects: ObjectsConfig,
    /// The log of events.
    pub ledger: LedgerConfig,
    /// The clock.
    pub clock: ClockConfig,
    /// Reviews of privileged acts.
    pub review: ReviewConfig,
    /// Ways into the console besides passkeys and codes.
    pub sign_in: SignInConfig,
    /// Alarms.
    pub alarms: AlarmsConfig,
    /// What the process itself writes to its standard error.
    pub logging: LoggingConfig,
    /// The organisation's levels.
    pub classification: Scheme,
    /// Periods of deletion.
    pub lifecycle: LifecycleConfig,
    /// Limits per client and per request.
    pub limits: LimitsConfig,
}

/// The listener and its certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerConfig {
    /// Where to listen.
    pub listen: Address,
    /// The address under which clients reach it; empty for `https://localhost:PORT`.
    pub public_url: String,
    /// More names for the certificate.
    pub names: Vec<String>,
    /// How long a stop waits for requests under way.
    pub drain: Span,
}

/// Where data is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabaseConfig {
    /// PostgreSQL, without a password; empty for SQLite.
    pub url: String,
    /// A file that holds the whole URL.
    pub url_file: Option<PathBuf>,
    /// A file that holds the password.
    pub password_file: Option<PathBuf>,
    /// A file that holds the URL of the schema's owner.
    pub owner_url_file: Option<PathBuf>,
    /// Certificate authority of the database.
    pub root_ca: Option<PathBuf>,
    /// Most bytes of the embedded database; 0 for none.
    pub max_bytes: Number,
}

/// Where the provider key is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeysConfig {
    /// `file` or `pkcs11`.
    pub provider: Choice,
    /// The key file.
    pub file: Option<PathBuf>,
    /// The module of the hardware token.
    pub pkcs11_module: Option<PathBuf>,
    /// The token's label.
    pub pkcs11_token: String,
    /// The key's label.
    pub pkcs11_key_label: String,
    /// A file with the PIN.
    pub pkcs11_pin_file: Option<PathBuf>,
}

/// Where objects' contents are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectsConfig {
    /// Their directory.
    pub directory: Option<PathBuf>,
    /// The bucket of an S3-compatible store instead; empty for none.
    pub s3_bucket: String,
    /// What the names of its contents start with.
    pub s3_prefix: String,
    /// Its region.
    pub s3_region: String,
    /// Its address; empty for AWS.
    pub s3_endpoint: String,
    /// The certificate authority of its address.
    pub s3_root_ca: Option<PathBuf>,
    /// The id of its key.
    pub s3_access_key_id: String,
    /// A file with the key's secret.
    pub s3_secret_key_file: Option<PathBuf>,
}

/// The log of events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerConfig {
    /// The log's name in checkpoints; fixed at the first start.
    pub origin: String,
    /// The witness policy (C2SP tlog-policy).
    pub witness_policy: Option<PathBuf>,
    /// The certificate authorities of the witnesses.
    pub witness_ca: Option<PathBuf>,
    /// How old the quorum's newest cosignature may be.
    pub witness_limit: Span,
    /// How often a server shows itself in the log.
    pub heartbeat: Span,
    /// How often what is stored is held against the log.
    pub reconcile: Span,
    /// What waits while it is older.
    pub unwitnessed: Choice,
}

/// Reviews of privileged acts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReviewConfig {
    /// How long an act may wait for its review.
    pub due: Span,
}

/// What the process itself writes to its standard error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggingConfig {
    /// `text` or `json`.
    pub format: Choice,
    /// The least level that is written.
    pub level: Choice,
}

/// Periods of deletion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LifecycleConfig {
    /// How long a deleted record can be restored.
    pub restore_window: Span,
    /// How long it can be told from where a request of nobody established came.
    pub anonymous_context: Span,
}

/// Limits per client and per request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitsConfig {
    /// Requests per second that a client may make over time.
    pub requests_per_second: Number,
    /// Requests that it may make at once.
    pub request_burst: Number,
    /// Requests that it may have in hand at once.
    pub requests_at_once: Number,
    /// Connections from one address at once.
    pub connections_per_address: Number,
    /// Sign-ins per second from one address over time.
    pub sign_ins_per_second: Number,
    /// Sign-ins from one address at once.
    pub sign_in_burst: Number,
    /// Failed sign-ins per minute from one address over time that are recorded one by one.
    pub sign_in_failures_per_minute: Number,
    /// Failed sign-ins from one address at once that are.
    pub sign_in_failure_burst: Number,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data: None,
            server: ServerConfig {
                listen: Address { host: "localhost".to_owned(), port: 8440 },
                public_url: String::new(),
                names: Vec::new(),
                drain: Span::seconds(20, 0, 600),
            },
            database: DatabaseConfig {
                url: String::new(),
                url_file: None,
                password_file: None,
                owner_url_file: None,
                root_ca: None,
                max_bytes: Number::new(0, 0, 1 << 46, "bytes"),
            },
            keys: KeysConfig {
                provider: Choice::new("file", &["file", "pkcs11"]),
                file: None,
                pkcs11_module: None,
                pkcs11_token: String::new(),
                pkcs11_key_label: "tenet".to_owned(),
                pkcs11_pin_file: None,
            },
            objects: ObjectsConfig {
                directory: None,
                s3_bucket: String::new(),
                s3_prefix: String::new(),
                s3_region: "us-east-1".to_owned(),
                s3_endpoint: String::new(),
                s3_root_ca: None,
                s3_access_key_id: String::new(),
                s3_secret_key_file: None,
            },
            clock: ClockConfig::default(),
            sign_in: SignInConfig::default(),
            alarms: AlarmsConfig::default(),
            review: ReviewConfig { due: Span::seconds(7 * 86_400, 3_600, 366 * 86_400) },
            ledger: LedgerConfig {
                origin: String::new(),
                witness_policy: None,
                witness_ca: None,
                witness_limit: Span::seconds(60, 5, 86_400),
                heartbeat: Span::seconds(30, 5, 3_600),
                reconcile: Span::seconds(86_400, 600, 31 * 86_400),
                unwitnessed: Choice::new("administration", &["administration", "everything"]),
            },
            logging: LoggingConfig {
                format: Choice::new("text", &["text", "json"]),
                level: Choice::new("info", &["error", "warn", "info", "debug", "trace"]),
            },
            classification: Scheme::default(),
            lifecycle: LifecycleConfig {
                restore_window: Span::seconds(30 * 86_400, 0, 3_650 * 86_400),
                anonymous_context: Span::seconds(90 * 86_400, 86_400, 3_650 * 86_400),
            },
            limits: LimitsConfig {
                requests_per_second: Number::new(1_000, 1, 1_000_000, "requests"),
                request_burst: Number::new(2_000, 1, 1_000_000, "requests"),
                requests_at_once: Number::new(64, 1, 1_024, "requests"),
                connections_per_address: Number::new(512, 1, 4_096, "connections"),
                sign_ins_per_second: Number::new(50, 1, 1_000_000, "requests"),
                sign_in_burst: Number::new(200, 1, 1_000_000, "requests"),
                sign_in_failures_per_minute: Number::new(60, 1, 1_000_000, "failures"),
                sign_in_failure_burst: Number::new(60, 1, 1_000_000, "failures"),
            },
        }
    }
}

/// One setting.
pub(crate) struct Setting {
    /// Its full path in the file, such as `server.listen`.
    pub(crate) key: &'static str,
    /// What it is for, in one or two sentences.
    pub(crate) about: &'static str,
    /// Its default in words, where the value itself says nothing.
    pub(crate) unset: &'static str,
    pub(super) field: fn(&mut Config) -> &mut dyn Field,
}

impl Setting {
    /// Its place in a configuration.
    pub(crate) fn field<'a>(&self, config: &'a mut Config) -> &'a mut dyn Field {
        (self.field)(config)
    }
    /// The environment variable that sets it: `TENET_SERVER_LISTEN` for `server.listen`.
    pub(crate) fn variable(&self) -> String {
        format!("TENET_{}", self.key.replace('.', "_").to_uppercase())
    }
}

/// Every setting, in the order of the reference.
pub(crate) const SETTINGS: &[Setting] = &[
    Setting {
        key: "data",
        about: "The data directory: database, provider key, objects, `ca.pem`. Made with mode 0700 at the first start; one process at a time.",
        unset: "`$XDG_DATA_HOME/tenet`, or `~/.local/share/tenet`",
        field: |c| &mut c.data,
    },
    Setting {
        key: "server.listen",
        about: "Where to listen. Port 0 lets the system choose a free one.",
        unset: "",
        field: |c| &mut c.server.listen,
    },
    Setting {
        key: "server.public_url",
        about: "The address under which clients reach this server, such as `https://tenet.example.com`. It stands in enrolment links, and its name is added to the certificate. One that is set at the first start is the issuer of tokens from then on, on every server, whatever it is changed to.",
        unset: "`https://`, the host of `server.listen` (`localhost` if that is every interface), and the port",
        field: |c| &mut c.server.public_url,
    },
    Setting {
        key: "server.names",
        about: "More names and addresses for the server's certificate, under which assertions may be made for it too. `localhost`, `127.0.0.1`, `::1` and the machine's name are always in it. Give each of several servers the names of all, so that what a client signs for one is good at the others.",
        unset: "",
        field: |c| &mut c.server.names,
    },
    Setting {
        key: "server.drain",
        about: "How long a stop waits for requests under way before it cuts them.",
        unset: "",
        field: |c| &mut c.server.drain,
    },
    Setting {
        key: "database.url",
        about: "PostgreSQL: `postgres://tenet_app@db.example.com/tenet`, for the role that neither owns the tables nor bypasses row security. Without a password: give that by `database.password_file`, `database.url_file` or the variable `PGPASSWORD`.",
        unset: "SQLite: `data.db` and `keys.db` in the data directory",
        field: |c| &mut c.database.url,
    },
    Setting {
        key: "database.url_file",
        about: "A file, readable by its owner alone, that holds the whole URL with its password. Instead of `database.url`.",
        unset: "none",
        field: |c| &mut c.database.url_file,
    },
    Setting {
        key: "database.password_file",
        about: "A file, readable by its owner alone, that holds the password for `database.url`.",
        unset: "none",
        field: |c| &mut c.database.password_file,
    },
    Setting {
        key: "database.owner_url_file",
        about: "A file, readable by its owner alone, that holds the URL of the role that owns the schema. Used at start-up to migrate, then let go. Without it, the schema must be current already.",
        unset: "none",
        field: |c| &mut c.database.owner_url_file,
    },
    Setting {
        key: "database.root_ca",
        about: "The certificate authority (PEM) of a database on another machine. Such a connection is always encrypted and verified.",
        unset: "none",
        field: |c| &mut c.database.root_ca,
    },
    Setting {
        key: "database.max_bytes",
        about: "Most bytes that the embedded database may grow to; writes beyond are refused and reads go on. 0 for no limit but the disk's.",
        unset: "",
        field: |c| &mut c.database.max_bytes,
    },
    Setting {
        key: "keys.provider",
        about: "Where the provider key is, which wraps all other keys: in a file, or in a hardware token through PKCS#11 (a build with the feature `pkcs11`).",
        unset: "",
        field: |c| &mut c.keys.provider,
    },
    Setting {
        key: "keys.file",
        about: "The provider key's file. Keep a copy apart from the database's backups: without it nothing can be read.",
        unset: "`provider.key` in the data directory",
        field: |c| &mut c.keys.file,
    },
    Setting {
        key: "keys.pkcs11_module",
        about: "The token vendor's module, such as `/usr/lib/softhsm/libsofthsm2.so`.",
        unset: "none",
        field: |c| &mut c.keys.pkcs11_module,
    },
    Setting {
        key: "keys.pkcs11_token",
        about: "The token's label.",
        unset: "none",
        field: |c| &mut c.keys.pkcs11_token,
    },
    Setting {
        key: "keys.pkcs11_key_label",
        about: "The label of the keys in the token.",
        unset: "",
        field: |c| &mut c.keys.pkcs11_key_label,
    },
    Setting {
        key: "keys.pkcs11_pin_file",
        about: "A file, readable by its owner alone, that holds the token's PIN. Or the variable `TENET_PKCS11_PIN`.",
        unset: "none",
        field: |c| &mut c.keys.pkcs11_pin_file,
    },
    Setting {
        key: "objects.directory",
        about: "Where objects' sealed contents are stored. Servers on one PostgreSQL need one that they share.",
        unset: "`objects` in the data directory",
        field: |c| &mut c.objects.directory,
    },
    Setting {
        key: "objects.s3_bucket",
        about: "A bucket of an S3-compatible store, instead of a directory. Contents are sealed before they leave this process.",
        unset: "none: a directory",
        field: |c| &mut c.objects.s3_bucket,
    },
    Setting {
        key: "objects.s3_prefix",
        about: "What the names in the bucket start with.",
        unset: "nothing",
        field: |c| &mut c.objects.s3_prefix,
    },
    Setting {
        key: "objects.s3_region",
        about: "The bucket's region.",
        unset: "",
        field: |c| &mut c.objects.s3_region,
    },
    Setting {
        key: "objects.s3_endpoint",
        about: "The store's address, such as `https://s3.example.com`. Plain `http` is accepted to this machine itself alone.",
        unset: "AWS, by the region",
        field: |c| &mut c.objects.s3_endpoint,
    },
    Setting {
        key: "objects.s3_root_ca",
        about: "The certificate authority (PEM) of the store's address, beside those that the system trusts.",
        unset: "none",
        field: |c| &mut c.objects.s3_root_ca,
    },
    Setting {
        key: "objects.s3_access_key_id",
        about: "The id of the key to the bucket. Or the variable `AWS_ACCESS_KEY_ID`.",
        unset: "the machine's own role",
        field: |c| &mut c.objects.s3_access_key_id,
    },
    Setting {
        key: "objects.s3_secret_key_file",
        about: "A file, readable by its owner alone, that holds the key's secret. Or the variable `AWS_SECRET_ACCESS_KEY`.",
        unset: "none",
        field: |c| &mut c.objects.s3_secret_key_file,
    },
    Setting {
        key: "ledger.origin",
        about: "The log's name in checkpoints, such as `log.example.com/tenet`. Fixed at the first start; another one afterwards is refused.",
        unset: "the machine's name and `/tenet`",
        field: |c| &mut c.ledger.origin,
    },
    Setting {
        key: "ledger.witness_policy",
        about: "A file with the witnesses and their quorum (C2SP tlog-policy): `witness NAME VKEY URL` lines as `tenet witness` prints them, groups, and `quorum NAME`. Each checkpoint is sent to every witness that has a URL, and shown once the quorum has cosigned it.",
        unset: "no witnesses",
        field: |c| &mut c.ledger.witness_policy,
    },
    Setting {
        key: "ledger.witness_ca",
        about: "A PEM file with the certificate authorities of the witnesses' addresses, such as each witness's `ca.pem`, one behind the other.",
        unset: "needed if a witness has an `https://` address",
        field: |c| &mut c.ledger.witness_ca,
    },
    Setting {
        key: "ledger.heartbeat",
        about: "How often each server writes a heartbeat into the log. Whoever reads the log takes a longer silence for a gap, and so do witnesses: give them the same.",
        unset: "",
        field: |c| &mut c.ledger.heartbeat,
    },
    Setting {
        key: "ledger.reconcile",
        about: "How often every protected row is held against the log: one that no event explains is an alarm. Reads the whole log.",
        unset: "",
        field: |c| &mut c.ledger.reconcile,
    },
    Setting {
        key: "ledger.witness_limit",
        about: "How old the quorum's newest cosignature may be. While it is older, administrative acts that give something are refused.",
        unset: "",
        field: |c| &mut c.ledger.witness_limit,
    },
    Setting {
        key: "ledger.unwitnessed",
        about: "What waits while the quorum's newest cosignature is too old: `administration`, or `everything`, customers' reads and writes too.",
        unset: "",
        field: |c| &mut c.ledger.unwitnessed,
    },
    clock::SERVERS,
    clock::LIMIT,
    clock::INTERVAL,
    Setting {
        key: "review.due",
        about: "How long a privileged act may wait until another operator has reviewed it. Then that it was not is an event, once.",
        unset: "",
        field: |c| &mut c.review.due,
    },
    sign_in::PASSWORDS,
    sign_in::PROVIDER,
    sign_in::NAME,
    sign_in::CLIENT_ID,
    sign_in::SECRET_FILE,
    sign_in::CA,
    sign_in::STRONG,
    alarms::ROUTE,
    alarms::STEP,
    alarms::QUIET,
    alarms::TEST_EVERY,
    Setting {
        key: "logging.format",
        about: "The form of what the process writes to its standard error.",
        unset: "",
        field: |c| &mut c.logging.format,
    },
    Setting {
        key: "logging.level",
        about: "The least level that is written. No level writes customers' data or secrets.",
        unset: "",
        field: |c| &mut c.logging.level,
    },
    Setting {
        key: "classification.levels",
        about: "The organisation's levels, lowest first. Reads at a confidential level are recorded before the data leaves (CD-3).",
        unset: "",
        field: |c| &mut c.classification,
    },
    Setting {
        key: "lifecycle.restore_window",
        about: "How long a deleted record or object can be restored before it is erased.",
        unset: "",
        field: |c| &mut c.lifecycle.restore_window,
    },
    Setting {
        key: "lifecycle.anonymous_context",
        about: "How long it can be told from where requests of nobody established came, such as failed sign-ins; then the key of that day is destroyed.",
        unset: "",
        field: |c| &mut c.lifecycle.anonymous_context,
    },
    Setting {
        key: "limits.requests_per_second",
        about: "Requests a second that each client may make over time; beyond, it is told when to try again.",
        unset: "",
        field: |c| &mut c.limits.requests_per_second,
    },
    Setting {
        key: "limits.request_burst",
        about: "Requests that each client may make at once before the rate applies.",
        unset: "",
        field: |c| &mut c.limits.request_burst,
    },
    Setting {
        key: "limits.requests_at_once",
        about: "Requests that each client may have in hand at once, uploads and downloads that are under way included. The server has 1,024 for all.",
        unset: "",
        field: |c| &mut c.limits.requests_at_once,
    },
    Setting {
        key: "limits.connections_per_address",
        about: "Connections that one address (an IPv6 network of 64 bits counts as one) may have open at once. The server has 4,096 for all. Raise it where a load balancer passes everybody's connections on from one address.",
        unset: "",
        field: |c| &mut c.limits.connections_per_address,
    },
    Setting {
        key: "limits.sign_ins_per_second",
        about: "Requests for a token or to enrol that one address (an IPv6 network of 64 bits counts as one) may make a second over time, right or wrong. Requests with an access token that is not valid have as many again, of their own.",
        unset: "",
        field: |c| &mut c.limits.sign_ins_per_second,
    },
    Setting {
        key: "limits.sign_in_burst",
        about: "Requests for a token or to enrol that one address may make at once before the rate applies. Raise it where many clients share an address and start together.",
        unset: "",
        field: |c| &mut c.limits.sign_in_burst,
    },
    Setting {
        key: "limits.sign_in_failures_per_minute",
        about: "Failed sign-ins a minute from one address that are answered and recorded one by one over time. Beyond, further failures are told to wait and one event a minute stands for them; whoever has the right credential is let in all the same.",
        unset: "",
        field: |c| &mut c.limits.sign_in_failures_per_minute,
    },
    Setting {
        key: "limits.sign_in_failure_burst",
        about: "Failed sign-ins from one address that are answered and recorded one by one at once.",
        unset: "",
        field: |c| &mut c.limits.sign_in_failure_burst,
    },
];

/// Variables that are read elsewhere than in the settings.
pub(crate) const OTHER_VARIABLES: &[(&str, &str)] = &[
    ("TENET_CONFIG", "The configuration file, as `--config`."),
    (
        "TENET_HOME",
        "The directory of the command line's own keys and profiles, instead of `~/.config/tenet`.",
    ),
    ("TENET_PROFILE", "The profile that commands act as, as `--as`."),
    ("TENET_PKCS11_PIN", "The token's PIN, instead of `keys.pkcs11_pin_file`."),
    ("PGPASSWORD", "The password for `database.url`, instead of `database.password_file`."),
];

//! Every limit of the vault, named, with its unit; and what an organisation may set.

use base::Duration;

/// Most bytes of a record's body, as JSON.
pub const MAX_RECORD_BYTES: usize = 1_048_576;
/// Deepest nesting of a record's body or of a schema.
pub const MAX_JSON_DEPTH: usize = 64;
/// Most versions of a record.
pub const MAX_VERSIONS: u64 = 10_000;
/// Most operations of a batch.
pub const MAX_BATCH_OPERATIONS: usize = 1_000;
/// Most bytes of a batch's bodies together, those that a patch starts from included.
pub const MAX_BATCH_BYTES: usize = 16 * 1_048_576;
/// Most entries of a page.
pub const MAX_PAGE: usize = 100;
/// Most bytes of the bodies on a page of records; a page ends early rather than exceed it.
pub const MAX_PAGE_BYTES: usize = 8 * 1_048_576;
/// Most bytes of a repository's name.
pub const MAX_NAME_BYTES: usize = 128;
/// Most classified fields of a repository.
pub const MAX_CLASSIFIED_FIELDS: usize = 256;
/// Most searchable fields of a repository.
pub const MAX_SEARCHABLE_FIELDS: usize = 16;
/// Most bytes of a field's path.
pub const MAX_FIELD_BYTES: usize = 256;
/// Most bytes of a searchable value, as JSON; longer ones are not found by search.
pub const MAX_TERM_BYTES: usize = 1_024;
/// Most fields that one search names.
pub const MAX_SEARCH_TERMS: usize = 4;
/// Most bytes of a JSON Schema.
pub const MAX_SCHEMA_BYTES: usize = 65_536;
/// Most JSON values that a JSON Schema comes to with its references written out.
pub const MAX_SCHEMA_VALUES: u64 = 10_000;
/// Most references of a JSON Schema that follow one another.
pub const MAX_SCHEMA_REFERENCES: usize = 64;
/// Most patterns of a JSON Schema.
pub const MAX_SCHEMA_PATTERNS: u64 = 64;
/// Most bytes of a JSON Schema's patterns together, as text.
pub const MAX_SCHEMA_PATTERN_BYTES: u64 = 8_192;
/// Most values of a body times values of the schema that it is held against: some seconds at worst.
pub const MAX_SCHEMA_STEPS: u64 = 500_000_000;
/// Most bytes of a text that explains: a basis, a data type, a medium, a reason.
pub const MAX_TEXT_BYTES: usize = 1_024;
/// Longest retention period, in days: two hundred years.
pub const MAX_RETENTION_DAYS: u32 = 73_050;
/// Most bytes of an idempotency key.
pub const MAX_IDEMPOTENCY_KEY_BYTES: usize = 255;
/// Most bytes of an object: 5 GiB.
pub const MAX_OBJECT_BYTES: u64 = 5 * 1_073_741_824;
/// Most bytes of an object's name.
pub const MAX_OBJECT_NAME_BYTES: usize = 1_024;
/// Most bytes of an object's content type.
pub const MAX_CONTENT_TYPE_BYTES: usize = 255;
/// Most characters of the name or id of a person who decides about a hold.
pub const MAX_PERSON_CHARACTERS: usize = 200;
/// Most legal holds in force on one target, or listed at a time.
pub const MAX_HOLDS: usize = 1_000;

/// How long an answer is kept for its idempotency key.
pub const IDEMPOTENCY_PERIOD: Duration = Duration::from_seconds(86_400);
/// How old a blob without a row must be before it is swept: longer than any upload may last.
pub const ORPHAN_AGE: Duration = Duration::from_seconds(86_400);
/// Longest an upload may last.
pub const MAX_UPLOAD: Duration = Duration::from_seconds(43_200);

/// What an organisation may set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VaultConfig {
    /// How long a deleted record or object can be restored; afterwards it is erased, unless a hold or
    /// its retention period keeps it.
    pub restore_window: Duration,
    /// How often each account's retention schedule is looked at.
    pub sweep_interval: Duration,
    /// Most records or objects that one run of the schedule erases before it lets others work.
    pub sweep_batch: usize,
    /// Most repositories of an account.
    pub max_repositories: u64,
    /// Most objects of an account.
    pub max_objects: u64,
    /// Most bytes of an account's objects together, before sealing.
    pub max_object_bytes: u64,
    /// Declarations kept in memory; each four patterns of their schemas count as one more.
    pub cached_repositories: usize,
}

impl Default for VaultConfig {
    /// Restore within 30 days; the schedule runs hourly, 100 at a time; 1,000 repositories,
    /// 1,000,000 objects and 1 TiB an account; 1,024 declarations in memory.
    fn default() -> Self {
        Self {
            restore_window: Duration::from_days(30),
            sweep_interval: Duration::from_seconds(3_600),
            sweep_batch: 100,
            max_repositories: 1_000,
            max_objects: 1_000_000,
            max_object_bytes: 1 << 40,
            cached_repositories: 1_024,
        }
    }
}

//! The vault: customers' records and objects, and the life they lead here: classification, versions,
//! search, legal holds, retention, deletion, and the certificate at the end.
//!
//! Every function takes the scope that authentication made, and what authorization decided; a refused
//! authorization never gets here. Each change, each refusal and each read of confidential data is an
//! event before the caller hears of it (RR-5). Contents are sealed before they reach a transaction and
//! opened after it; inside one there are statements only.
//!
//! It knows nothing of HTTP, of tokens, or of how keys are kept.

mod batch;
mod blob;
mod body;
mod certificate;
mod cursor;
mod declaration;
mod delete;
mod erase;
mod error;
mod explain;
mod field;
mod finish;
mod hold;
mod idempotency;
mod label;
mod limits;
mod list;
mod look;
mod object;
mod object_get;
mod object_list;
mod object_put;
mod orphan;
mod page;
mod patch;
mod protected;
mod read;
mod reader;
mod record;
mod refusal;
mod replace;
mod repository;
mod repository_create;
mod repository_read;
mod repository_update;
mod restore;
mod row;
#[cfg(test)]
mod samples;
mod schema;
mod schema_cost;
mod search;
mod survey;
mod sweep;
mod target;
mod upload;
mod vault;
mod versions;
mod write;

pub use batch::{BatchOperation, BatchWritten};
pub use certificate::{CERTIFICATE_TYPE, Certificate, CertificateStatement};
pub use cursor::has_cursor_form;
pub use delete::Lifecycle;
pub use erase::Cause;
pub use error::VaultError;
pub use explain::{Applies, Explanation, State};
pub use hold::{Hold, HoldDecision, HoldTarget};
pub use idempotency::IdempotencyKey;
pub use limits::*;
pub use list::ListRecords;
pub use look::{AccountLook, Amount, MAX_COUNTED, MAX_LOOKED_AT, RepositoryLook};
pub use object::{NewObject, Object};
pub use object_get::{ByteRange, ObjectContent};
pub use object_list::ObjectPage;
pub use page::RecordPage;
pub use record::{NewRecord, Record, RecordMeta, Written};
pub use repository::{Basis, NewRepository, Repository, RepositoryChange, Retention};
pub use repository_read::RepositoryPage;
pub use search::SearchRecords;
pub use survey::{Counted, Surveyed};
pub use target::{Target, TargetKind};
pub use vault::{Decided, Vault};
pub use versions::VersionMeta;

//! What every room of Tenet shares: typed ids, time and randomness from context, secrets,
//! classification, and the kinds of error. No I/O beyond the system clock and the system's random
//! number generator, no async, nothing of the domain.

mod actor;
mod classification;
mod context;
mod fault;
mod id;
mod ntp;
mod secret;
mod time;

pub use actor::{Actor, ActorKind};
pub use classification::{Classification, ClassificationError, Level, MAX_LEVELS, Scheme};
pub use context::{Clock, Context, Entropy, EntropyError, SystemClock, SystemEntropy};
pub use fault::{Fault, Kind};
pub use id::{
    AccountId, AlarmId, CertificateId, ClientId, DataKeyId, EventId, HoldId, Id, IdError, IdKind, IdentityId,
    JobId, MessageId, ObjectId, OperatorId, PasskeyId, PasswordId, RecordId, RepositoryId, RequestId,
    ServerId, SessionId, TokenId, kinds,
};
pub use ntp::{NTP_PACKET_BYTES, NtpError, NtpSample, NtpVerdict, ntp_answer, ntp_request, ntp_verdict};
pub use secret::{Secret, SecretBytes, constant_time_eq};
pub use time::{Duration, TimeError, Timestamp};

//! The configuration: defaults, then `tenet.toml`, then the environment, then arguments. Every wrong
//! key and value is reported at once, by its full path. Secrets never stand in it: only the names of
//! files that hold them.

mod alarms;
mod clock;
mod coherence;
mod database_url;
mod field;
mod files;
mod load;
mod reference;
mod secret_file;
mod settings;
mod sign_in;
mod values;

pub use alarms::{AlarmsConfig, RouteConfig, RouteKind};
pub use clock::ClockConfig;
pub(crate) use coherence::{is_clear_and_near, public_url};
pub use database_url::{DatabaseUrls, database_urls};
pub use field::{Address, Choice, Number, Span};
pub use files::load_to_start;
pub use load::{Arguments, ConfigError, Environment, Loaded, Source, load};
pub use reference::{reference, reference_json};
pub use secret_file::{SecretFileError, read_secret_file, read_secret_lines};
pub use settings::{
    Config, DatabaseConfig, KeysConfig, LedgerConfig, LifecycleConfig, LimitsConfig, LoggingConfig,
    ObjectsConfig, ReviewConfig, ServerConfig,
};
pub use sign_in::SignInConfig;
pub use values::values;

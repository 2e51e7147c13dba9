//! What tests share: a clock that they move, a store on either engine, scopes, and ways to tamper
//! with the database behind the store's back. Panics on any trouble: for tests only.

mod chrony;
mod clock;
mod harness;
mod postgres;

pub use chrony::Chrony;
pub use clock::MovableClock;
pub use harness::{Engine, Harness};
pub use postgres::{TestDatabase, server_socket};

/// Each function becomes a test on SQLite and one on PostgreSQL.
///
/// ```ignore
/// testkit::on_both_engines! {
///     async fn erased_stays_erased(h: Harness) { .. }
/// }
/// ```
#[macro_export]
macro_rules! on_both_engines {
    ($($(#[$meta:meta])* async fn $name:ident($h:ident: Harness) $body:block)*) => {$(
        mod $name {
            use super::*;
            $(#[$meta])*
            async fn run($h: $crate::Harness) $body
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                run($crate::Harness::new($crate::Engine::Sqlite).await).await;
            }
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                run($crate::Harness::new($crate::Engine::Postgres).await).await;
            }
        }
    )*};
}

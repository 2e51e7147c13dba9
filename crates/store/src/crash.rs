//! Points at which a test kills the process, to show what a crash there means. Compiled to nothing
//! unless the feature `crash-points` is on, which no release build turns on.

/// Aborts the process here if `TENET_CRASH_AT` names this point (`name`, or `name:3` for the third
/// time it is passed).
#[cfg(feature = "crash-points")]
pub fn crash_point(name: &'static str) {
    use std::sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    };
    static WANTED: OnceLock<Option<(String, u64)>> = OnceLock::new();
    static PASSED: AtomicU64 = AtomicU64::new(0);
    let wanted = WANTED.get_or_init(|| {
        let text = std::env::var("TENET_CRASH_AT").ok()?;
        let (point, nth) =
            text.split_once(':').map_or((text.as_str(), 1), |(p, n)| (p, n.parse().unwrap_or(1)));
        Some((point.to_owned(), nth))
    });
    if let Some((point, nth)) = wanted
        && point == name
        && PASSED.fetch_add(1, Ordering::SeqCst) + 1 == *nth
    {
        // As a crash is: no destructor, no flush, no message.
        std::process::abort();
    }
}

/// Nothing.
#[cfg(not(feature = "crash-points"))]
#[inline(always)]
pub fn crash_point(_name: &'static str) {}

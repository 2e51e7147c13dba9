//! Where time and randomness come from. Everything takes a [`Context`]; tests hand in a clock they
//! move and entropy they seed. `clippy.toml` bans the globals elsewhere.

use std::sync::Arc;

use crate::{Duration, Timestamp};

/// Tells the time.
pub trait Clock: Send + Sync {
    /// The instant now, as the machine's clock has it: somebody may set it, forward or back.
    fn now(&self) -> Timestamp;
    /// How long this process has seen time pass, by a clock that nobody sets. A machine that sleeps may stop it.
    fn elapsed(&self) -> Duration {
        self.now().since(Timestamp::from_micros(0))
    }
}

/// Gives random bytes fit for keys.
pub trait Entropy: Send + Sync {
    /// Fills `target` wholly, or fails and leaves it unfit for use.
    fn fill(&self, target: &mut [u8]) -> Result<(), EntropyError>;
}

/// The system's random number generator did not answer. Nothing that needs randomness may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the system's random number generator failed")]
pub struct EntropyError;

/// The clock and the randomness that an operation uses.
#[derive(Clone)]
pub struct Context {
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

impl Context {
    /// A context of these two.
    pub fn new(clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        Self { clock, entropy }
    }
    /// The machine's clock and random number generator.
    pub fn system() -> Self {
        Self::new(Arc::new(SystemClock), Arc::new(SystemEntropy))
    }
    /// The instant now.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }
    /// How long this process has seen time pass, by a clock that nobody sets.
    pub fn elapsed(&self) -> Duration {
        self.clock.elapsed()
    }
    /// The source of randomness.
    pub fn entropy(&self) -> &dyn Entropy {
        &*self.entropy
    }
    /// `N` random bytes.
    pub fn random<const N: usize>(&self) -> Result<[u8; N], EntropyError> {
        let mut bytes = [0u8; N];
        self.entropy.fill(&mut bytes)?;
        Ok(bytes)
    }
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Context")
    }
}

/// The machine's clock.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the machine's clock")]
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Timestamp::from_micros(since.map_or(0, |span| i64::try_from(span.as_micros()).unwrap_or(i64::MAX)))
    }
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the machine's clock")]
    fn elapsed(&self) -> Duration {
        static FIRST: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
        let span = FIRST.get_or_init(std::time::Instant::now).elapsed();
        Duration::from_micros(i64::try_from(span.as_micros()).unwrap_or(i64::MAX))
    }
}

/// The machine's random number generator, through AWS-LC.
#[derive(Clone, Copy, Debug)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    #[expect(clippy::disallowed_methods, reason = "the one place that asks the system for randomness")]
    fn fill(&self, target: &mut [u8]) -> Result<(), EntropyError> {
        aws_lc_rs::rand::fill(target).map_err(|_| EntropyError)
    }
}

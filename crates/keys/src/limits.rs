//! The named limits of the keys. A setting of the server may lower them; none is without a bound.

use base::Duration;

/// Bounds on caches, pools and uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How long an unwrapped account, subject or platform key stays in memory.
    pub cache_time: Duration,
    /// How often one unwrapped key is used before it is fetched and unwrapped anew.
    pub cache_uses: u64,
    /// How many unwrapped keys of a kind stay in memory.
    pub cache_keys: usize,
    /// How long a data key that was made in advance waits in memory; then it is destroyed unused.
    pub pool_time: Duration,
    /// How many data keys are made at once for an account.
    pub pool_keys: usize,
    /// At how many left the pool is filled again in the background.
    pub pool_low: usize,
    /// The same, for an account that is being written to so fast that its pool was filled twice within
    /// a second. This and `pool_keys` are the most that wait in memory.
    pub pool_low_busy: usize,
    /// How many accounts have a pool at a time.
    pub pool_accounts: usize,
    /// How often a version of an account key may wrap; beyond, it is refused.
    pub account_wraps: u64,
    /// After how many wraps an account key is rotated by itself.
    pub account_rotate_at: u64,
    /// How often a version of the provider key may wrap. The provider's own bound holds if lower.
    pub provider_wraps: u64,
    /// After how many wraps the provider key is rotated by itself.
    pub provider_rotate_at: u64,
    /// How long the key stays under which a day's requests of nobody established are sealed.
    pub anonymous_time: Duration,
    /// How many keys are wrapped anew in one transaction of a rotation.
    pub rotation_batch: u32,
    /// How many such transactions one run of its job makes, before others have their turn.
    pub rotation_batches_per_run: u32,
}

impl Default for Limits {
    /// Five minutes, a million uses and 4,096 keys of cache; 64 data keys at a time, for
    /// a quarter of an hour; 2^32 wraps by an
    /// account key (each under a derived key of its own, so that this is far from any bound of GCM)
    /// and 2^31 by a provider key, rotated at three quarters. From where nobody established acted can be
    /// told for 90 days.
    fn default() -> Self {
        Self {
            cache_time: Duration::from_seconds(300),
            cache_uses: 1 << 20,
            cache_keys: 4_096,
            pool_time: Duration::from_seconds(900),
            pool_keys: 64,
            pool_low: 32,
            pool_low_busy: 128,
            pool_accounts: 1_024,
            account_wraps: 1 << 32,
            account_rotate_at: 3 << 30,
            provider_wraps: 1 << 31,
            provider_rotate_at: 3 << 29,
            anonymous_time: Duration::from_days(90),
            rotation_batch: 128,
            rotation_batches_per_run: 16,
        }
    }
}

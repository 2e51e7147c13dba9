//! Unwrapped keys in memory: bounded by time, uses and number, wiped when they go.

use std::{
    hash::Hash,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use base::Timestamp;

use crate::{Limits, envelope::RawKey};

/// How many loads of different keys may run at once.
const STRIPES: usize = 16;

/// Keys by name. Evicted entries are wiped once their last user lets go.
pub(crate) struct Cache<K> {
    entries: quick_cache::sync::Cache<K, Arc<Entry>>,
    loading: [tokio::sync::Mutex<()>; STRIPES],
    limits: Limits,
}

struct Entry {
    key: Arc<RawKey>,
    until: Timestamp,
    uses_left: AtomicU64,
}

impl<K: Clone + Eq + Hash> Cache<K> {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            entries: quick_cache::sync::Cache::new(limits.cache_keys.max(1)),
            loading: std::array::from_fn(|_| tokio::sync::Mutex::new(())),
            limits,
        }
    }

    /// The key, if it is there, not too old and not used up. Counts one use.
    pub(crate) fn get(&self, name: &K, now: Timestamp) -> Option<Arc<RawKey>> {
        let entry = self.entries.get(name)?;
        let used =
            entry.uses_left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        if now >= entry.until || used.is_err() {
            self.entries.remove(name);
            return None;
        }
        Some(entry.key.clone())
    }

    /// Keeps a key, and hands it back for this use.
    pub(crate) fn insert(&self, name: K, key: RawKey, now: Timestamp) -> Arc<RawKey> {
        let key = Arc::new(key);
        let entry = Entry {
            key: key.clone(),
            until: now.plus(self.limits.cache_time),
            uses_left: AtomicU64::new(self.limits.cache_uses.saturating_sub(1)),
        };
        self.entries.insert(name, Arc::new(entry));
        key
    }

    /// Held while a key is loaded, so that many who miss it at once unwrap it once.
    pub(crate) async fn loading(&self, name: &K) -> tokio::sync::MutexGuard<'_, ()> {
        use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(name);
        let [first, rest @ ..] = &self.loading;
        let stripe = usize::try_from(hash % STRIPES as u64).unwrap_or_default();
        stripe.checked_sub(1).and_then(|at| rest.get(at)).unwrap_or(first).lock().await
    }

    /// Drops the entries for which `keep` says no, and those whose time is over.
    pub(crate) fn sweep(&self, now: Timestamp, keep: impl Fn(&K) -> bool) {
        self.entries.retain(|name, entry| now < entry.until && keep(name));
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.entries.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::{Duration, Secret};

    const START: Timestamp = Timestamp::from_seconds(1_000);

    fn cache(cache_uses: u64, cache_keys: usize) -> Cache<u32> {
        let cache_time = Duration::from_seconds(60);
        Cache::new(Limits { cache_time, cache_uses, cache_keys, ..Limits::default() })
    }

    #[test]
    fn bounded_by_time() {
        let cache = cache(100, 10);
        cache.insert(1, Secret::new([1; 32]), START);
        assert!(cache.get(&1, START.plus(Duration::from_seconds(59))).is_some());
        assert!(cache.get(&1, START.plus(Duration::from_seconds(60))).is_none());
        assert_eq!(cache.len(), 0, "gone, not merely hidden");
    }

    #[test]
    fn bounded_by_uses() {
        let cache = cache(3, 10);
        cache.insert(1, Secret::new([1; 32]), START);
        assert!(cache.get(&1, START).is_some());
        assert!(cache.get(&1, START).is_some());
        assert!(cache.get(&1, START).is_none(), "the insert was the first of three");
        assert_eq!(cache.len(), 0);
    }

    #[test]
    fn bounded_by_number() {
        let cache = cache(3, 8);
        for name in 0..1_000 {
            cache.insert(name, Secret::new([1; 32]), START);
        }
        assert!(cache.len() <= 8, "{}", cache.len());
    }

    #[test]
    fn swept_entries_are_let_go() {
        let cache = cache(3, 10);
        let kept = Arc::downgrade(&cache.insert(1, Secret::new([1; 32]), START));
        let dropped = Arc::downgrade(&cache.insert(2, Secret::new([2; 32]), START));
        cache.sweep(START, |name| *name != 2);
        assert!(kept.upgrade().is_some());
        assert!(dropped.upgrade().is_none(), "wiped: nobody holds it any more");
        cache.sweep(START.plus(Duration::from_seconds(60)), |_| true);
        assert!(kept.upgrade().is_none());
    }
}

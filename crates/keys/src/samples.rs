//! Keys, time and randomness that are the same in every run, for the tests of this crate.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use base::{Clock, Context, DataKeyId, Entropy, EntropyError, Secret, Timestamp};

use crate::DataKey;

/// Always the same instant.
struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp::from_seconds(1_800_000_000)
    }
}

/// SHA-512 of a counter: the same bytes in every run, no two alike.
struct Counted(AtomicU64);

impl Entropy for Counted {
    fn fill(&self, target: &mut [u8]) -> Result<(), EntropyError> {
        for block in target.chunks_mut(64) {
            let count = self.0.fetch_add(1, Ordering::Relaxed).to_be_bytes();
            let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA512, &count);
            block.iter_mut().zip(digest.as_ref()).for_each(|(to, from)| *to = *from);
        }
        Ok(())
    }
}

pub(crate) fn context() -> Context {
    Context::new(Arc::new(Still), Arc::new(Counted(AtomicU64::new(0))))
}

pub(crate) fn data_key(byte: u8) -> DataKey {
    DataKey::new(DataKeyId::from_bytes([byte; 16]), Secret::new([byte; 32]), context())
}

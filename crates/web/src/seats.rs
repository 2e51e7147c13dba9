//! Who has how much in hand at once: requests of one caller, connections of one address. One party must
//! not take all the places that there are for everybody, however slowly it uses them.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// So many places for each party. Memory is bounded by what is taken: a party without a place is not kept.
pub(crate) struct Seats<K> {
    most: usize,
    taken: Mutex<HashMap<K, usize>>,
}

impl<K: Hash + Eq + Clone> Seats<K> {
    /// `most` places for each.
    pub(crate) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, taken: Mutex::default() })
    }

    /// A place of this party's, until it is dropped; none if all of its places are taken.
    pub(crate) fn take(self: &Arc<Self>, party: &K) -> Option<Seat<K>> {
        let mut taken = self.taken();
        let count = taken.get(party).copied().unwrap_or(0);
        if count >= self.most {
            return None;
        }
        taken.insert(party.clone(), count + 1);
        Some(Seat { seats: Arc::clone(self), party: party.clone() })
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<K, usize>> {
        // Nothing in here can panic half way, so a poisoned map is whole all the same.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place that is taken.
pub(crate) struct Seat<K: Hash + Eq + Clone> {
    seats: Arc<Seats<K>>,
    party: K,
}

impl<K: Hash + Eq + Clone> Drop for Seat<K> {
    fn drop(&mut self) {
        let mut taken = self.seats.taken();
        match taken.get_mut(&self.party) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(taken.remove(&self.party)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_party_has_its_own_places_and_gives_them_back() {
        let seats = Seats::new(2);
        let (first, second) = (seats.take(&1), seats.take(&1));
        assert!(first.is_some() && second.is_some() && seats.take(&1).is_none());
        assert!(seats.take(&2).is_some(), "another's");
        drop(first);
        assert!(seats.take(&1).is_some());
        drop(second);
        assert!(seats.taken().is_empty(), "nobody is kept without a place");
    }
}

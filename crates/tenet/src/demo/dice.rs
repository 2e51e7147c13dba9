//! What is left to chance in the story, and is the same each time: who does what, and how much. Keys and ids are not among
//! it: those are random, as everywhere.

/// Numbers that follow from a seed (SplitMix64, Steele, Lea and Flood 2014). Nothing secret is made of them.
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

/// What the story is told with.
const SEED: u64 = 0x7e6e_7420_6465_6d6f;

impl Dice {
    /// Those of one part of the story, whatever the others roll.
    pub(crate) fn of(part: &str, day: u32) -> Self {
        // FNV-1a, so that each part has a stream of its own.
        let mixed = part.bytes().fold(SEED ^ u64::from(day).rotate_left(32), |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        Self(mixed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From `from` up to, not with, `until`; `from` if there is nothing between.
    pub(crate) fn between(&mut self, from: u64, until: u64) -> u64 {
        let span = until.saturating_sub(from);
        from + self.next().checked_rem(span).unwrap_or(0)
    }

    /// One of them.
    pub(crate) fn pick<'a, T>(&mut self, all: &'a [T]) -> Option<&'a T> {
        let at = usize::try_from(self.between(0, all.len() as u64)).unwrap_or(0);
        all.get(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_each_time_and_each_part_its_own() {
        let some = |part, day| {
            let mut dice = Dice::of(part, day);
            [0; 8].map(|_| dice.between(10, 20))
        };
        assert_eq!(some("acme", 3), some("acme", 3));
        assert_ne!(some("acme", 3), some("acme", 4));
        assert_ne!(some("acme", 3), some("globex", 3));
        assert!(some("acme", 3).iter().all(|number| (10..20).contains(number)));
        assert_eq!(Dice::of("x", 1).between(5, 5), 5);
        assert!(Dice::of("x", 1).pick::<u8>(&[]).is_none());
    }
}

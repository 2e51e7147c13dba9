//! Values of 1 KiB that do not compress, made the same way in every run.

/// Bytes of text in each value.
pub const VALUE_BYTES: usize = 1024;

/// Text of `VALUE_BYTES` letters and digits that depends on `seed` alone (SplitMix64).
pub fn value(seed: u64) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut state = seed;
    let mut text = String::with_capacity(VALUE_BYTES);
    while text.len() < VALUE_BYTES {
        let mut word = next(&mut state);
        for _ in 0..10 {
            text.push(char::from(LETTERS[(word & 63) as usize]));
            word >>= 6;
        }
    }
    text.truncate(VALUE_BYTES);
    text
}

/// The next of a sequence of 64-bit numbers (SplitMix64).
pub fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut word = *state;
    word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    word ^ (word >> 31)
}

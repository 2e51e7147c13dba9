//! Sealed streams: content of any length in constant memory, readable from any place in it.
//!
//! The STREAM construction (Hoang, Reyhanitabar, Rogaway, Vizár, "Online Authenticated-Encryption and
//! its Nonce-Reuse Misuse-Resistance", CRYPTO 2015): chunks of 64 KiB under one key derived for this
//! stream alone; a chunk's nonce is its index and whether it is the last. So a chunk that is missing,
//! moved, repeated, added or taken from another stream does not open.
//!
//! Format 1: the header of a sealed message (65 bytes), then each chunk's ciphertext and 16 bytes of
//! tag. A nonce is 3 zero bytes, the index as 64 bits big-endian, and 1 for the last chunk or 0. Every
//! chunk but the last holds exactly 64 KiB; the last holds 1 byte to 64 KiB, or none in an empty stream.

use std::ops::Range;

use aws_lc_rs::aead::{Aad, LessSafeKey, Nonce};
use base::{Context, Secret, SecretBytes};
use zeroize::{Zeroize, Zeroizing};

use crate::{
    KeyError,
    envelope::{self, HEADER_BYTES, Label, RawKey, SALT_BYTES, TAG_BYTES},
};

/// Plaintext bytes in a chunk.
pub const CHUNK_BYTES: usize = 64 * 1024;
/// Bytes before the first chunk.
pub const STREAM_HEADER_BYTES: usize = HEADER_BYTES;
/// Most chunks in a stream: 256 TiB of plaintext, and far fewer uses of its key than GCM allows (2^32).
pub const MAX_STREAM_CHUNKS: u64 = 1 << 32;

const CHUNK: u64 = CHUNK_BYTES as u64;
const TAG: u64 = TAG_BYTES as u64;
const HEADER: u64 = HEADER_BYTES as u64;

/// Where the chunks of a sealed stream are, for a plaintext of a known length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamLayout {
    plain_bytes: u64,
    chunks: u64,
}

impl StreamLayout {
    /// The layout for a plaintext of that many bytes; an error above [`MAX_STREAM_CHUNKS`].
    pub fn of(plain_bytes: u64) -> Result<Self, KeyError> {
        let chunks = plain_bytes.div_ceil(CHUNK).max(1);
        if chunks > MAX_STREAM_CHUNKS {
            return Err(KeyError::StreamTooLong);
        }
        Ok(Self { plain_bytes, chunks })
    }

    /// Bytes of plaintext.
    pub fn plain_bytes(&self) -> u64 {
        self.plain_bytes
    }

    /// Bytes once sealed, header included.
    pub fn sealed_bytes(&self) -> u64 {
        HEADER + self.plain_bytes + self.chunks * TAG
    }

    /// How many chunks there are; at least one.
    pub fn chunks(&self) -> u64 {
        self.chunks
    }

    /// Whether that chunk is the last, as [`StreamOpener::open_chunk`] asks.
    pub fn is_last(&self, index: u64) -> bool {
        index.checked_add(1) == Some(self.chunks)
    }

    /// Where that chunk's ciphertext and tag are in the sealed stream; empty past the last.
    pub fn chunk_bounds(&self, index: u64) -> Range<u64> {
        if index >= self.chunks {
            return self.sealed_bytes()..self.sealed_bytes();
        }
        let start = HEADER + index * (CHUNK + TAG);
        start..(start + CHUNK + TAG).min(self.sealed_bytes())
    }

    /// Where that chunk's plaintext is in the plaintext; empty past the last.
    pub fn plain_bounds(&self, index: u64) -> Range<u64> {
        let start = index.min(self.chunks).saturating_mul(CHUNK).min(self.plain_bytes);
        start..start.saturating_add(CHUNK).min(self.plain_bytes)
    }

    /// The chunks that hold a range of plaintext; an empty or outlying range holds none.
    pub fn chunks_of(&self, plain: Range<u64>) -> Range<u64> {
        let end = plain.end.min(self.plain_bytes);
        if plain.start >= end {
            return 0..0;
        }
        plain.start / CHUNK..end.div_ceil(CHUNK)
    }
}

/// Seals a stream as it comes, holding one chunk at most.
pub struct StreamSealer {
    key: LessSafeKey,
    associated: Vec<u8>,
    header: Option<[u8; HEADER_BYTES]>,
    pending: Zeroizing<Vec<u8>>,
    index: u64,
    plain_bytes: u64,
}

impl StreamSealer {
    pub(crate) fn new(context: &Context, secret: &RawKey, associated: Vec<u8>) -> Result<Self, KeyError> {
        let salt = context.random::<SALT_BYTES>()?;
        let derived = envelope::derive(secret, &salt, Label::STREAM, &associated)?;
        Ok(Self {
            key: derived.key,
            associated,
            header: Some(envelope::header(&salt, &derived.commitment)),
            pending: Zeroizing::new(Vec::with_capacity(CHUNK_BYTES)),
            index: 0,
            plain_bytes: 0,
        })
    }

    /// Takes more plaintext, and appends to `out` what can be written: the header first, then each
    /// chunk once it is known not to be the last.
    pub fn update(&mut self, mut plain: &[u8], out: &mut Vec<u8>) -> Result<(), KeyError> {
        self.write_header(out);
        self.plain_bytes = self.plain_bytes.saturating_add(plain.len() as u64);
        // A full chunk waits until one more byte shows that it is not the last.
        while self.pending.len().saturating_add(plain.len()) > CHUNK_BYTES {
            let (now, later) = plain.split_at(CHUNK_BYTES.saturating_sub(self.pending.len()));
            self.pending.extend_from_slice(now);
            self.write_chunk(false, out)?;
            plain = later;
        }
        self.pending.extend_from_slice(plain);
        Ok(())
    }

    /// Ends the stream: appends the last chunk, and says how long it all is.
    pub fn finish(mut self, out: &mut Vec<u8>) -> Result<StreamLayout, KeyError> {
        self.write_header(out);
        self.write_chunk(true, out)?;
        StreamLayout::of(self.plain_bytes)
    }

    fn write_header(&mut self, out: &mut Vec<u8>) {
        if let Some(header) = self.header.take() {
            out.extend_from_slice(&header);
        }
    }

    fn write_chunk(&mut self, last: bool, out: &mut Vec<u8>) -> Result<(), KeyError> {
        let nonce = nonce(self.index, last)?;
        let start = out.len();
        // Reserved first: growing later would leave a copy of the plaintext behind.
        out.reserve(self.pending.len().saturating_add(TAG_BYTES));
        out.extend_from_slice(&self.pending);
        let body = out.get_mut(start..).ok_or(KeyError::Crypto)?;
        let sealed = self.key.seal_in_place_separate_tag(nonce, Aad::from(&self.associated), body);
        let Ok(tag) = sealed else {
            body.zeroize();
            out.truncate(start);
            return Err(KeyError::Crypto);
        };
        out.extend_from_slice(tag.as_ref());
        self.pending.zeroize();
        self.index = self.index.saturating_add(1);
        Ok(())
    }
}

/// Opens chunks of a sealed stream, in any order.
pub struct StreamOpener {
    key: LessSafeKey,
    associated: Vec<u8>,
}

impl StreamOpener {
    pub(crate) fn new(secret: &RawKey, associated: Vec<u8>, header: &[u8]) -> Result<Self, KeyError> {
        if header.len() != HEADER_BYTES {
            return Err(KeyError::DoesNotOpen);
        }
        let derived = envelope::derive_for_header(secret, Label::STREAM, &associated, header)?;
        Ok(Self { key: derived.key, associated })
    }

    /// Opens one chunk: its ciphertext and tag, as [`StreamLayout::chunk_bounds`] tells. Ask
    /// [`StreamLayout::is_last`] for `last`: a stream that was cut or extended fails there.
    ///
    /// # Errors
    /// [`KeyError::DoesNotOpen`] unless it is exactly that chunk of exactly this stream.
    pub fn open_chunk(&self, index: u64, last: bool, sealed: &[u8]) -> Result<SecretBytes, KeyError> {
        let plain_bytes = sealed.len().checked_sub(TAG_BYTES).ok_or(KeyError::DoesNotOpen)?;
        // What the sealer never makes is refused before its content is looked at.
        let well_formed = plain_bytes == CHUNK_BYTES
            || (last && plain_bytes < CHUNK_BYTES && (plain_bytes > 0 || index == 0));
        if !well_formed {
            return Err(KeyError::DoesNotOpen);
        }
        let (body, tag) = sealed.split_at(plain_bytes);
        let mut plain = Zeroizing::new(vec![0u8; plain_bytes]);
        let nonce = nonce(index, last).map_err(|_| KeyError::DoesNotOpen)?;
        self.key
            .open_separate_gather(nonce, Aad::from(&self.associated), body, tag, &mut plain)
            .map_err(|_| KeyError::DoesNotOpen)?;
        Ok(Secret::new(std::mem::take(&mut *plain)))
    }
}

impl std::fmt::Debug for StreamSealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "StreamSealer({} bytes)", self.plain_bytes)
    }
}

impl std::fmt::Debug for StreamOpener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StreamOpener")
    }
}

fn nonce(index: u64, last: bool) -> Result<Nonce, KeyError> {
    if index >= MAX_STREAM_CHUNKS {
        return Err(KeyError::StreamTooLong);
    }
    let mut bytes = [0u8; 12];
    let source = [0u8; 3].into_iter().chain(index.to_be_bytes()).chain([u8::from(last)]);
    bytes.iter_mut().zip(source).for_each(|(target, byte)| *target = byte);
    Ok(Nonce::assume_unique_for_key(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Binding, DataKey, binding, samples};
    use proptest::prelude::*;

    fn seal(key: &DataKey, binding: &Binding<'_>, plain: &[u8], step: usize) -> Vec<u8> {
        let mut sealer = key.stream_sealer(binding).unwrap();
        let mut out = Vec::new();
        for piece in plain.chunks(step) {
            sealer.update(piece, &mut out).unwrap();
        }
        let layout = sealer.finish(&mut out).unwrap();
        assert_eq!(layout, StreamLayout::of(plain.len() as u64).unwrap());
        assert_eq!(layout.sealed_bytes(), out.len() as u64);
        out
    }

    /// Opens the whole as a reader does that believes the plaintext is `plain_bytes` long.
    fn open(
        key: &DataKey,
        binding: &Binding<'_>,
        sealed: &[u8],
        plain_bytes: u64,
    ) -> Result<Vec<u8>, KeyError> {
        let layout = StreamLayout::of(plain_bytes)?;
        let header = sealed.get(..HEADER_BYTES).ok_or(KeyError::DoesNotOpen)?;
        let opener = key.stream_opener(binding, header)?;
        let mut plain = Vec::new();
        for index in 0..layout.chunks() {
            let bounds = layout.chunk_bounds(index);
            let chunk =
                sealed.get(bounds.start as usize..bounds.end as usize).ok_or(KeyError::DoesNotOpen)?;
            plain.extend_from_slice(opener.open_chunk(index, layout.is_last(index), chunk)?.expose());
        }
        Ok(plain)
    }

    fn sample(bytes: usize) -> Vec<u8> {
        (0..bytes).map(|n| (n % 251) as u8).collect()
    }

    #[test]
    fn streams_of_every_shape_open() {
        let (key, place) = (samples::data_key(1), binding::samples::binding());
        for bytes in
            [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES, 3 * CHUNK_BYTES + 17]
        {
            for step in [1_000, CHUNK_BYTES, 5 * CHUNK_BYTES] {
                let plain = sample(bytes);
                let sealed = seal(&key, &place, &plain, step);
                assert_eq!(open(&key, &place, &sealed, bytes as u64).unwrap(), plain, "{bytes} by {step}");
            }
        }
    }

    #[test]
    fn another_place_or_key_is_refused() {
        let (key, place) = (samples::data_key(1), binding::samples::binding());
        let sealed = seal(&key, &place, b"text", 4);
        for (name, other) in binding::samples::neighbours() {
            assert!(key.stream_opener(&other, &sealed[..HEADER_BYTES]).is_err(), "{name}");
        }
        assert!(samples::data_key(2).stream_opener(&place, &sealed[..HEADER_BYTES]).is_err());
    }

    #[test]
    fn truncation_is_refused() {
        let (key, place) = (samples::data_key(1), binding::samples::binding());
        let plain = sample(3 * CHUNK_BYTES + 17);
        let sealed = seal(&key, &place, &plain, 9_999);
        // At each chunk's edge, with a length that agrees; and anywhere else.
        for chunks in 1..=3u64 {
            let shorter = StreamLayout::of(chunks * CHUNK).unwrap();
            let cut = &sealed[..shorter.sealed_bytes() as usize];
            assert!(open(&key, &place, cut, chunks * CHUNK).is_err(), "{chunks} chunks");
        }
        for cut in [0, 1, HEADER_BYTES, HEADER_BYTES + 15, sealed.len() - 17, sealed.len() - 1] {
            assert!(open(&key, &place, &sealed[..cut], plain.len() as u64).is_err(), "cut to {cut}");
        }
        assert!(open(&key, &place, &sealed, plain.len() as u64 - 1).is_err());
        assert!(open(&key, &place, &sealed[..HEADER_BYTES + TAG_BYTES], 0).is_err());
    }

    #[test]
    fn extension_is_refused() {
        let (key, place) = (samples::data_key(1), binding::samples::binding());
        let plain = sample(2 * CHUNK_BYTES);
        let mut sealed = seal(&key, &place, &plain, CHUNK_BYTES);
        let last = sealed[sealed.len() - CHUNK_BYTES - TAG_BYTES..].to_vec();
        sealed.extend_from_slice(&last);
        assert!(open(&key, &place, &sealed, 3 * CHUNK).is_err());
        // An empty chunk after a full one is never made by the sealer, and never accepted.
        let opener = key.stream_opener(&place, &sealed[..HEADER_BYTES]).unwrap();
        assert!(opener.open_chunk(2, true, &[0; TAG_BYTES]).is_err());
    }

    #[test]
    fn reordering_and_repetition_are_refused() {
        let (key, place) = (samples::data_key(1), binding::samples::binding());
        let plain = sample(3 * CHUNK_BYTES);
        let sealed = seal(&key, &place, &plain, CHUNK_BYTES);
        let layout = StreamLayout::of(plain.len() as u64).unwrap();
        let chunk = |index| {
            let bounds = layout.chunk_bounds(index);
            &sealed[bounds.start as usize..bounds.end as usize]
        };
        let opener = key.stream_opener(&place, &sealed[..HEADER_BYTES]).unwrap();
        for (asked, given) in [(0, 1), (1, 0), (1, 2), (2, 1), (2, 0), (0, 2)] {
            assert!(
                opener.open_chunk(asked, layout.is_last(asked), chunk(given)).is_err(),
                "{asked} {given}"
            );
        }
        assert!(opener.open_chunk(1, true, chunk(1)).is_err(), "not the last");
        assert!(opener.open_chunk(2, false, chunk(2)).is_err(), "the last");
    }

    #[test]
    fn mixing_two_streams_of_one_key_and_place_is_refused() {
        let (key, place) = (samples::data_key(1), binding::samples::binding());
        let plain = sample(2 * CHUNK_BYTES);
        let [one, two] = [(); 2].map(|()| seal(&key, &place, &plain, CHUNK_BYTES));
        let mut mixed = one.clone();
        let from = HEADER_BYTES + CHUNK_BYTES + TAG_BYTES;
        mixed[from..].copy_from_slice(&two[from..]);
        assert!(open(&key, &place, &mixed, plain.len() as u64).is_err());
        let mut crossed = two[..HEADER_BYTES].to_vec();
        crossed.extend_from_slice(&one[HEADER_BYTES..]);
        assert!(open(&key, &place, &crossed, plain.len() as u64).is_err());
    }

    #[test]
    fn a_message_is_not_a_stream() {
        let (key, place) = (samples::data_key(1), binding::samples::binding());
        let message = key.seal(&place, b"text").unwrap();
        assert!(key.stream_opener(&place, &message[..HEADER_BYTES]).is_err());
    }

    #[test]
    fn a_range_is_read_from_its_chunks_alone() {
        let (key, place) = (samples::data_key(1), binding::samples::binding());
        let plain = sample(4 * CHUNK_BYTES + 5);
        let sealed = seal(&key, &place, &plain, 70_000);
        let layout = StreamLayout::of(plain.len() as u64).unwrap();
        let opener = key.stream_opener(&place, &sealed[..HEADER_BYTES]).unwrap();
        let wanted = CHUNK + 10..2 * CHUNK + 20;
        assert_eq!(layout.chunks_of(wanted.clone()), 1..3);
        let mut read = Vec::new();
        for index in layout.chunks_of(wanted.clone()) {
            let (sealed_at, plain_at) = (layout.chunk_bounds(index), layout.plain_bounds(index));
            let chunk = &sealed[sealed_at.start as usize..sealed_at.end as usize];
            let opened = opener.open_chunk(index, layout.is_last(index), chunk).unwrap();
            let from = wanted.start.saturating_sub(plain_at.start) as usize;
            let to = (wanted.end.min(plain_at.end) - plain_at.start) as usize;
            read.extend_from_slice(&opened.expose()[from..to]);
        }
        assert_eq!(read, &plain[wanted.start as usize..wanted.end as usize]);
    }

    proptest! {
        #[test]
        fn layouts_tile_the_stream(plain_bytes in 0u64..10_000_000) {
            let layout = StreamLayout::of(plain_bytes).unwrap();
            let (mut sealed, mut plain) = (HEADER, 0);
            for index in 0..layout.chunks() {
                prop_assert_eq!(layout.chunk_bounds(index).start, sealed);
                prop_assert_eq!(layout.plain_bounds(index).start, plain);
                sealed = layout.chunk_bounds(index).end;
                plain = layout.plain_bounds(index).end;
                prop_assert_eq!(layout.is_last(index), index + 1 == layout.chunks());
            }
            prop_assert_eq!((sealed, plain), (layout.sealed_bytes(), plain_bytes));
        }
    }

    #[test]
    fn too_long_a_stream_is_refused() {
        assert!(StreamLayout::of(MAX_STREAM_CHUNKS * CHUNK).is_ok());
        assert!(matches!(StreamLayout::of(MAX_STREAM_CHUNKS * CHUNK + 1), Err(KeyError::StreamTooLong)));
        assert!(nonce(MAX_STREAM_CHUNKS, true).is_err());
    }
}

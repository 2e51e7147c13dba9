//! What a log sends to a witness and to a mirror, and what they answer: the bodies of C2SP tlog-witness
//! (`add-checkpoint`) and tlog-mirror (`add-entries`). Both ends are here, so that they can't differ.

use base::{Fault, Kind};
use base64::{Engine, engine::general_purpose::STANDARD};

use crate::{Hash, MAX_ENTRY_BYTES, TILE_WIDTH, checkpoint::decimal, tree::HASH_BYTES};

/// Most bytes of an `add-checkpoint` body that is read: 63 hashes and a note.
pub const MAX_ADD_CHECKPOINT_BYTES: usize = 65_536;
/// Most hashes of a proof in either body.
pub const MAX_PROOF_HASHES: usize = 63;
/// Most packages that a client sends at once (C2SP tlog-mirror asks for this).
pub const MAX_PACKAGES: u64 = 32;
/// Most bytes of one package: 256 entries of the largest size, and its proof.
pub const MAX_PACKAGE_BYTES: usize =
    TILE_WIDTH as usize * (MAX_ENTRY_BYTES + 2) + 1 + MAX_PROOF_HASHES * HASH_BYTES;
/// Most bytes before the packages.
pub const MAX_HEADER_BYTES: usize = 2 + 256 + 8 + 8 + 2 + MAX_TICKET_BYTES;
const MAX_TICKET_BYTES: usize = 4_096;
/// The media type of the size that a witness answers with a conflict.
pub const SIZE_MEDIA: &str = "text/x.tlog.size";
/// The media type of where a mirror stands.
pub const MIRROR_INFO_MEDIA: &str = "text/x.tlog.mirror-info";

/// A body that is not of its form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed submission: {0}")]
pub struct SubmissionError(pub &'static str);

impl Fault for SubmissionError {
    fn kind(&self) -> Kind {
        Kind::Invalid
    }
    fn code(&self) -> &'static str {
        "submission"
    }
}

/// A checkpoint, offered to a witness.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddCheckpoint {
    /// The size up to which the witness is thought to know the log.
    pub old: u64,
    /// The proof that the checkpoint continues the tree of that size.
    pub proof: Vec<Hash>,
    /// The signed note.
    pub checkpoint: String,
}

impl AddCheckpoint {
    /// The body.
    pub fn encode(&self) -> String {
        let mut body = format!("old {}\n", self.old);
        for hash in &self.proof {
            body.push_str(&STANDARD.encode(hash));
            body.push('\n');
        }
        body.push('\n');
        body.push_str(&self.checkpoint);
        body
    }

    /// Reads a body. Strict; says nothing about whether the proof holds.
    pub fn parse(body: &str) -> Result<Self, SubmissionError> {
        if body.len() > MAX_ADD_CHECKPOINT_BYTES {
            return Err(SubmissionError("it is larger than 64 KiB"));
        }
        let (head, checkpoint) =
            body.split_once("\n\n").ok_or(SubmissionError("no empty line before the checkpoint"))?;
        let mut lines = head.split('\n');
        let old = lines.next().and_then(|line| line.strip_prefix("old ")).and_then(decimal);
        let old = old.ok_or(SubmissionError("the first line is not `old SIZE`"))?;
        let mut proof = Vec::new();
        for line in lines {
            if proof.len() == MAX_PROOF_HASHES {
                return Err(SubmissionError("the proof has more than 63 hashes"));
            }
            let hash = STANDARD.decode(line).ok().and_then(|hash| hash.try_into().ok());
            proof.push(hash.ok_or(SubmissionError("a line of the proof is not a hash in base64"))?);
        }
        Ok(Self { old, proof, checkpoint: checkpoint.to_owned() })
    }
}

/// What stands before the packages of an `add-entries` body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntriesHeader {
    /// Which log.
    pub origin: String,
    /// The first entry that is sent.
    pub start: u64,
    /// The size of the pending checkpoint that the entries are proved against.
    pub end: u64,
    /// What the mirror gave the client to give back.
    pub ticket: Vec<u8>,
}

impl EntriesHeader {
    /// Its bytes.
    pub fn encode(&self) -> Result<Vec<u8>, SubmissionError> {
        let too_long = |_| SubmissionError("the origin or the ticket is too long");
        let mut bytes = u16::try_from(self.origin.len()).map_err(too_long)?.to_be_bytes().to_vec();
        bytes.extend_from_slice(self.origin.as_bytes());
        bytes.extend_from_slice(&self.start.to_be_bytes());
        bytes.extend_from_slice(&self.end.to_be_bytes());
        bytes.extend_from_slice(&u16::try_from(self.ticket.len()).map_err(too_long)?.to_be_bytes());
        bytes.extend_from_slice(&self.ticket);
        Ok(bytes)
    }

    /// Reads it from the beginning of a body: itself and how many bytes it takes; `None` if there are not enough
    /// bytes yet.
    pub fn parse(body: &[u8]) -> Result<Option<(Self, usize)>, SubmissionError> {
        let mut reader = Bytes { rest: body };
        let Some(length) = reader.u16() else { return Ok(None) };
        if !(1..=256).contains(&length) {
            return Err(SubmissionError("the origin is empty or longer than 256 bytes"));
        }
        let Some(origin) = reader.take(usize::from(length)) else { return Ok(None) };
        let origin = std::str::from_utf8(origin).map_err(|_| SubmissionError("the origin is not text"))?;
        let (Some(start), Some(end), Some(length)) = (reader.u64(), reader.u64(), reader.u16()) else {
            return Ok(None);
        };
        if usize::from(length) > MAX_TICKET_BYTES {
            return Err(SubmissionError("the ticket is longer than 4,096 bytes"));
        }
        let Some(ticket) = reader.take(usize::from(length)) else { return Ok(None) };
        if start > end {
            return Err(SubmissionError("the upload starts behind its end"));
        }
        let header = Self { origin: origin.to_owned(), start, end, ticket: ticket.to_vec() };
        Ok(Some((header, body.len() - reader.rest.len())))
    }

    /// The packages that carry these entries, in order: each its first entry and the one behind its last.
    pub fn packages(&self) -> impl Iterator<Item = (u64, u64)> + use<> {
        let wide = u64::from(TILE_WIDTH);
        let (start, end) = (self.start, self.end);
        let first = start / wide;
        let behind = if start == end { first } else { end.div_ceil(wide) };
        (first..behind).map(move |tile| {
            (start.max(tile.saturating_mul(wide)), end.min(tile.saturating_add(1).saturating_mul(wide)))
        })
    }
}

/// Entries of one tile and the proof that they are in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryPackage<'a> {
    /// The entries.
    pub entries: Vec<&'a [u8]>,
    /// The subtree proof, from the tile's first entry to the package's last.
    pub proof: Vec<Hash>,
}

impl<'a> EntryPackage<'a> {
    /// Its bytes, put behind `body`.
    pub fn encode(&self, body: &mut Vec<u8>) -> Result<(), SubmissionError> {
        for entry in &self.entries {
            let length = u16::try_from(entry.len());
            body.extend_from_slice(
                &length.map_err(|_| SubmissionError("an entry is too long"))?.to_be_bytes(),
            );
            body.extend_from_slice(entry);
        }
        let hashes =
            u8::try_from(self.proof.len()).ok().filter(|count| usize::from(*count) <= MAX_PROOF_HASHES);
        body.push(hashes.ok_or(SubmissionError("the proof has more than 63 hashes"))?);
        body.extend_from_slice(self.proof.as_flattened());
        Ok(())
    }

    /// Reads one package of so many entries from the beginning of `body`: itself and how many bytes it takes;
    /// `None` if there are not enough bytes yet.
    pub fn parse(body: &'a [u8], count: u64) -> Result<Option<(Self, usize)>, SubmissionError> {
        let mut reader = Bytes { rest: body };
        let mut entries = Vec::new();
        for _ in 0..count.min(u64::from(TILE_WIDTH)) {
            let Some(length) = reader.u16() else { return Ok(None) };
            let Some(entry) = reader.take(usize::from(length)) else { return Ok(None) };
            entries.push(entry);
        }
        let Some(&[hashes]) = reader.take(1) else { return Ok(None) };
        if usize::from(hashes) > MAX_PROOF_HASHES {
            return Err(SubmissionError("the proof has more than 63 hashes"));
        }
        let Some(proof) = reader.take(usize::from(hashes) * HASH_BYTES) else { return Ok(None) };
        let proof = proof.as_chunks::<HASH_BYTES>().0.to_vec();
        Ok(Some((Self { entries, proof }, body.len() - reader.rest.len())))
    }
}

/// Where a mirror stands: what it answers when there is more to send, or something else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MirrorInfo {
    /// The size of a pending checkpoint that it takes entries for.
    pub size: u64,
    /// The first entry that it lacks.
    pub next: u64,
    /// To be given back.
    pub ticket: Vec<u8>,
}

impl MirrorInfo {
    /// The answer's body.
    pub fn encode(&self) -> String {
        format!("{}\n{}\n{}\n", self.size, self.next, STANDARD.encode(&self.ticket))
    }

    /// Reads it.
    pub fn parse(body: &str) -> Result<Self, SubmissionError> {
        let wrong = SubmissionError("not three lines of size, next entry and ticket");
        let mut lines = body.strip_suffix('\n').ok_or(wrong)?.split('\n');
        let (size, next, ticket) = (lines.next(), lines.next(), lines.next());
        let number = |line: Option<&str>| line.and_then(decimal).ok_or(wrong);
        let ticket = ticket.and_then(|line| STANDARD.decode(line).ok()).ok_or(wrong)?;
        if lines.next().is_some() || ticket.len() > MAX_TICKET_BYTES {
            return Err(wrong);
        }
        Ok(Self { size: number(size)?, next: number(next)?, ticket })
    }
}

/// The size in a witness's answer to a checkpoint that starts from another one.
pub fn parse_size(body: &str) -> Result<u64, SubmissionError> {
    body.strip_suffix('\n').and_then(decimal).ok_or(SubmissionError("not a size in decimal"))
}

struct Bytes<'a> {
    rest: &'a [u8],
}

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(taken)
    }
    fn u16(&mut self) -> Option<u16> {
        let (taken, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(u16::from_be_bytes(*taken))
    }
    fn u64(&mut self) -> Option<u64> {
        let (taken, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(u64::from_be_bytes(*taken))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The example of C2SP tlog-witness.
    const EXAMPLE: &str = "old 20852014\nPlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=\njrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=\n5+pKlUdi2LeF/BcMHBn+Ku6yhPGNCswZZD1X/6QgPd8=\n/6WVhPs2CwSsb5rYBH5cjHV/wSmA79abXAwhXw3Kj/0=\n\nexample.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n— example.com/behind-the-sofa opLqBQsREYCgu6xQkYQwJr9fo45a62DN9EdmHXnZdXNqlcVGlCum2Wks+49/V6267UEjw6QUXTS5Rovnzv++qbSzm9Q=\n";

    #[test]
    fn the_example_of_the_specification_is_read() {
        let read = AddCheckpoint::parse(EXAMPLE).unwrap();
        assert_eq!((read.old, read.proof.len()), (20_852_014, 4));
        assert!(read.checkpoint.starts_with("example.com/behind-the-sofa\n20852163\n"));
        assert_eq!(read.encode(), EXAMPLE);
        for wrong in [
            "",
            "old 1\n",
            &EXAMPLE.replace("old 2", "old 02"),
            &EXAMPLE.replace("old", "new"),
            &EXAMPLE.replace("PlRN", "PlR"),
            &EXAMPLE.replacen('\n', "\n\n", 1).replace("jrJZ", "jrJ"),
        ] {
            let parsed = AddCheckpoint::parse(wrong);
            assert!(parsed.is_err() || parsed.unwrap().proof.is_empty(), "{wrong}");
        }
        let many = format!("old 1\n{}\n\nx", vec![STANDARD.encode([1; 32]); 64].join("\n"));
        assert!(AddCheckpoint::parse(&many).is_err());
    }

    #[test]
    fn packages_are_cut_at_tiles() {
        let header = |start, end| EntriesHeader { origin: "o".to_owned(), start, end, ticket: Vec::new() };
        let cut = |start, end| header(start, end).packages().collect::<Vec<_>>();
        assert_eq!(cut(0, 0), []);
        assert_eq!(cut(300, 300), []);
        assert_eq!(cut(0, 1), [(0, 1)]);
        assert_eq!(cut(0, 256), [(0, 256)]);
        assert_eq!(cut(255, 257), [(255, 256), (256, 257)]);
        assert_eq!(cut(300, 800), [(300, 512), (512, 768), (768, 800)]);
        assert_eq!(cut(u64::MAX - 1, u64::MAX), [(u64::MAX - 1, u64::MAX)]);
    }

    proptest! {
        #[test]
        fn entries_round_trip_and_wait_for_their_bytes(
            origin in "[a-z/.]{1,20}", start in 0u64..1_000, more in 0u64..1_000, ticket in proptest::collection::vec(any::<u8>(), 0..9),
            entries in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..20), 0..9), hashes in 0u8..64, cut: proptest::sample::Index,
        ) {
            let header = EntriesHeader { origin, start, end: start + more, ticket };
            let package = EntryPackage {
                entries: entries.iter().map(Vec::as_slice).collect(),
                proof: (0..hashes).map(|hash| [hash; 32]).collect(),
            };
            let mut body = header.encode().unwrap();
            let length = body.len();
            package.encode(&mut body).unwrap();
            let count = entries.len() as u64;
            prop_assert_eq!(EntriesHeader::parse(&body), Ok(Some((header, length))));
            prop_assert_eq!(EntryPackage::parse(&body[length..], count), Ok(Some((package, body.len() - length))));
            let cut = cut.index(body.len());
            if cut < length {
                prop_assert_eq!(EntriesHeader::parse(&body[..cut]), Ok(None));
            } else {
                prop_assert_eq!(EntryPackage::parse(&body[length..cut], count), Ok(None));
            }
        }

        #[test]
        fn any_bytes_are_read_without_panic(body in proptest::collection::vec(any::<u8>(), 0..600), count: u64) {
            let _ = EntriesHeader::parse(&body);
            let _ = EntryPackage::parse(&body, count);
            if let Ok(text) = std::str::from_utf8(&body) {
                let _ = (AddCheckpoint::parse(text), MirrorInfo::parse(text), parse_size(text));
            }
        }

        #[test]
        fn mirror_infos_round_trip(size: u64, next: u64, ticket in proptest::collection::vec(any::<u8>(), 0..99)) {
            let info = MirrorInfo { size, next, ticket };
            prop_assert_eq!(MirrorInfo::parse(&info.encode()), Ok(info));
            prop_assert_eq!(parse_size(&format!("{size}\n")), Ok(size));
        }
    }
}

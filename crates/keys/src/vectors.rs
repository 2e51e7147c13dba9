//! Known answers that freeze the stored formats: whatever was sealed once must open for ever (SD-3).
//! Computed by `tests/vectors.py`, which shares no code with this crate.

use base::{AccountId, RepositoryId, Secret, SecretBytes};

use crate::{
    IndexKey, StreamLayout, binding,
    envelope::{self, Label},
    samples,
};

const MESSAGE: &str = concat!(
    "011b7409ccf0d5a34d3a77eaabfa9fe27427655be9297127ee9522aa1bf4046d4fdd71b462fd10866ae3b4aa1aed1223",
    "fb06652ce279dec8fccda70080bcd4cc7efa9745e4d8870319f3862e93860aae2ec39f370ad8",
);
const STREAM_SHA256: &str = "6db97b88a5eb47ffd56383998e284584f361c188f1ef8c66ed6062a049c9c75c";
const EMPTY_STREAM: &str = concat!(
    "011b7409ccf0d5a34d3a77eaabfa9fe27427655be9297127ee9522aa1bf4046d4fbbd643a4db90e9fac5f4a28ea5ee02",
    "2895ff09e9c8b68befd85ae62bb4c278f7ee1cecbeabe1b3bdb8dc5698e98779f2",
);
const COMMIT: &str = "b329bec2703ef8c90993d3a76119a59d36ede659f373380a5cc04fe2c51757f4";
const INDEX: &str = "1f5824cd3411aa58e7acf415dbc7dcb6";
const FILE_WRAP: &str = concat!(
    "011b7409ccf0d5a34d3a77eaabfa9fe27427655be9297127ee9522aa1bf4046d4ffc9249549ba405a34f0ffdcf13a7b7",
    "c75a1b153986db9ffbb16ba5a974e662ad84e916c9679cc76f9f859eb48dc5c4f732276eabfd11925a608cf838eada71",
    "3d1628da3b4d9b5e0906b8ef8e354bcc3e",
);

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn messages() {
    let (key, place) = (samples::data_key(5), binding::samples::binding());
    assert_eq!(hex(&key.seal(&place, b"value").unwrap()), MESSAGE);
    assert_eq!(key.open(&place, &bytes(MESSAGE)).unwrap().expose(), b"value");
}

#[test]
fn streams() {
    let place = binding::samples::binding();
    let plain: Vec<u8> = (0..65_536 + 17).map(|n| (n % 251) as u8).collect();
    let mut sealed = Vec::new();
    let mut sealer = samples::data_key(5).stream_sealer(&place).unwrap();
    sealer.update(&plain, &mut sealed).unwrap();
    assert_eq!(sealer.finish(&mut sealed).unwrap(), StreamLayout::of(plain.len() as u64).unwrap());
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &sealed);
    assert_eq!(hex(digest.as_ref()), STREAM_SHA256);

    let mut empty = Vec::new();
    samples::data_key(5).stream_sealer(&place).unwrap().finish(&mut empty).unwrap();
    assert_eq!(hex(&empty), EMPTY_STREAM);
}

#[test]
fn commitments() {
    assert_eq!(samples::data_key(5).commit("body", b"value").unwrap().to_string(), COMMIT);
}

#[test]
fn index_digests() {
    let (account, repository) = (AccountId::from_bytes([1; 16]), RepositoryId::from_bytes([2; 16]));
    let key = IndexKey::derive(&Secret::new([5; 32]), account, repository, "email").unwrap();
    assert_eq!(hex(&key.digest(b"ann@example.com")), INDEX);
}

#[test]
fn wraps_by_a_file_provider() {
    let (key, secret) = (Secret::new([5; 32]), SecretBytes::new(vec![42; 32]));
    let sealed =
        envelope::seal(&samples::context(), &key, Label::PROVIDER, b"purpose", secret.expose()).unwrap();
    assert_eq!(hex(&sealed), FILE_WRAP);
    let opened = envelope::open(&key, Label::PROVIDER, b"purpose", &bytes(FILE_WRAP)).unwrap();
    assert_eq!(opened.expose(), secret.expose());
}

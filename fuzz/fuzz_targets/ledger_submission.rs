//! What comes to a witness, and what it answers: nothing panics, and what is read is written back the same.
#![no_main]

use ledger::{
    AddCheckpoint, CosignerKey, EntriesHeader, EntryPackage, MirrorInfo, WitnessPolicy, parse_size,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(Some((header, used))) = EntriesHeader::parse(data) {
        assert_eq!(header.encode().unwrap(), data[..used]);
        assert!(header.packages().take(100).all(|(low, high)| low < high && high - low <= 256));
    }
    let count = u64::from(data.first().copied().unwrap_or(0));
    if let Ok(Some((package, used))) = EntryPackage::parse(data, count) {
        let mut body = Vec::new();
        package.encode(&mut body).unwrap();
        assert_eq!(body, data[..used]);
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(request) = AddCheckpoint::parse(text) {
        assert_eq!(AddCheckpoint::parse(&request.encode()), Ok(request));
    }
    if let Ok(info) = MirrorInfo::parse(text) {
        assert_eq!(info.encode(), text);
    }
    let _ = parse_size(text);
    if let Ok(policy) = WitnessPolicy::parse(text) {
        let all = vec![Some(7); policy.witnesses().len()];
        assert!(policy.quorum_at(&all).is_some(), "all witnesses are a quorum");
    }
    if let Ok(key) = CosignerKey::from_vkey(text) {
        assert_eq!(key.vkey(), text);
        let _ = key.pick("a\n1\nAAAA\n\n— b AAAAAAAA\n", text);
    }
});

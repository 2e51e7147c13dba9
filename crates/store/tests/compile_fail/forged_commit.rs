//! Only a commit builds `Committed`.
fn make() -> store::Committed<u8> {
    store::Committed { value: 1, event: base::EventId::from_bytes([0; 16]) }
}
fn main() {}

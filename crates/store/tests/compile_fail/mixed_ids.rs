//! An account's id is not a record's.
fn take(_: base::RecordId) {}
fn main() {
    take(base::AccountId::from_bytes([0; 16]));
}

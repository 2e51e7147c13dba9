//! A comma does not bring in an account's table.
const STATEMENT: store::Platform =
    store::platform!("SELECT r.sealed FROM event e, record r");
fn main() {}

//! Nor do parentheses.
const STATEMENT: store::Platform =
    store::platform!("SELECT sealed FROM (record)");
fn main() {}

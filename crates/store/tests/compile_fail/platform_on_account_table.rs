//! A platform statement can't name an account's table.
const STATEMENT: store::Platform = store::platform!("SELECT wrapped FROM data_key WHERE id = $1");
fn main() {}

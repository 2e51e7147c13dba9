//! A row does not change its account.
const STATEMENT: store::Scoped =
    store::update!("record" set "account_id = $3" where "id = $2");
fn main() {}

//! A join equates two tables' accounts, not one's with itself.
const STATEMENT: store::Scoped =
    store::select!(["r.id"] from "record r JOIN record_version v ON v.account_id = v.account_id" on "r" where "1 = 1");
fn main() {}

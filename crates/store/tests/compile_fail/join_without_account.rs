//! A join must equate both sides' account.
const STATEMENT: store::Scoped =
    store::select!(["r.id"] from "record r JOIN version v ON v.record_id = r.id" on "r" where "1 = 1");
fn main() {}

//! An alias is a name, not a condition.
const STATEMENT: store::Scoped =
    store::select!(["r.id"] from "record r" on "1 = 1 OR r" where "1 = 1");
fn main() {}

//! What follows the condition can't widen it.
const STATEMENT: store::Scoped =
    store::select!(["id"] from "record" where "id = $2" then "OR 1 = 1");
fn main() {}

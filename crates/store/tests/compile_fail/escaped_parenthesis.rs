//! A condition can't close the parenthesis that holds it to the account.
const STATEMENT: store::Scoped = store::select!(["id"] from "record" where "id = $2) OR (1 = 1");
fn main() {}

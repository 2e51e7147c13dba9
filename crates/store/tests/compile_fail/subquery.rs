//! A condition can't hold another query, which would need an account of its own.
const STATEMENT: store::Scoped = store::select!(["id"] from "record" where "id IN (select id FROM record)");
fn main() {}

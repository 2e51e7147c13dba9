//! A conflict can only be with a row of the same account.
const STATEMENT: store::Scoped =
    store::insert!("record" ("id") values "$2" then "ON CONFLICT (id) DO UPDATE SET id = excluded.id");
fn main() {}

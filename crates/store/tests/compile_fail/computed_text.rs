//! A statement is a literal: nothing computed, nothing from a request.
fn make(condition: &'static str) -> store::Scoped {
    store::select!(["id"] from "record" where condition)
}
fn main() {}

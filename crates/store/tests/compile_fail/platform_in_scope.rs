//! A platform statement doesn't run in an account's transaction.
async fn run(tx: &mut store::Tx) {
    let _ = tx.rows(store::platform!("SELECT id FROM record"), &[]).await;
}
fn main() {}

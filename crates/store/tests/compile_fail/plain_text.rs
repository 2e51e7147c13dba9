//! A statement can't be plain text.
async fn run(tx: &mut store::Tx) {
    let _ = tx.rows("SELECT id FROM record", &[]).await;
}
fn main() {}

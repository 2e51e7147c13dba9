//! Attempts, for real, at what the database refuses whoever is connected as the server: so that its refusal is evidence.

use crate::{Realm, Store, StoreError, engine::Database, guard};

/// What nobody may do to the log, the server itself included. Each leaves everything as it is, if it should be done.
const FORBIDDEN: &[(&str, &str)] = &[
    ("an event is changed", "UPDATE event SET at = at WHERE seq = (SELECT min(seq) FROM event)"),
    ("an event is deleted", "DELETE FROM event WHERE seq = (SELECT min(seq) FROM event)"),
    (
        "the log's order is changed",
        "UPDATE log_entry SET seq = seq WHERE idx = (SELECT min(idx) FROM log_entry)",
    ),
    ("the log is shortened", "DELETE FROM log_entry WHERE idx = (SELECT max(idx) FROM log_entry)"),
];

impl Store {
    /// Attempts, by the server's own connection, to change and to shorten the log. How many attempts there were, and which
    /// of them were not refused. Nothing of it is committed.
    pub async fn drill_edits(&self) -> Result<(usize, Vec<&'static str>), StoreError> {
        let mut done = Vec::new();
        for (what, sql) in FORBIDDEN {
            let mut write = self.database().write(None).await?;
            let outcome = write.execute(sql, &[]).await;
            write.undo().await?;
            match outcome {
                Ok(_) => done.push(*what),
                Err(error @ (StoreError::Unavailable(_) | StoreError::Unknown)) => return Err(error),
                Err(_) => {}
            }
        }
        Ok((FORBIDDEN.len(), done))
    }

    /// Whether the database itself keeps accounts apart, as it is now: an error says what does not. On the embedded
    /// database, which has no such means, `false`.
    pub async fn check_isolation(&self) -> Result<bool, StoreError> {
        if matches!(self.database(), Database::Sqlite(_)) || self.realm() != Realm::Data {
            return Ok(false);
        }
        guard::check(self.realm(), self.database()).await.map(|()| true)
    }
}

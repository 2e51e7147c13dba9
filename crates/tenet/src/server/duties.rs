//! What a server does by the clock: shows that it is alive, records uses of keys, renews its
//! certificate, removes a link that has run out.

use std::{path::PathBuf, sync::Arc};

use access::Access;
use base::{Context, Duration, Timestamp};
use keys::Keys;
use store::{BEAT, ServerRow, SystemScope};
use tokio::sync::watch;
use web::App;

use crate::server::authority::{Authority, CurrentCertificate};

/// How often uses of keys are recorded, and the certificate is looked at.
const MINUTE: Duration = Duration::from_seconds(60);

/// The work.
pub(crate) struct Duties {
    pub(crate) keys: Keys,
    pub(crate) access: Access,
    pub(crate) app: App,
    pub(crate) context: Context,
    pub(crate) scope: SystemScope,
    pub(crate) authority: Authority,
    pub(crate) certificate: Arc<CurrentCertificate>,
    pub(crate) names: Vec<String>,
    pub(crate) link_file: PathBuf,
    pub(crate) link_expires: Option<Timestamp>,
}

impl Duties {
    /// Until told to stop.
    pub(crate) async fn run(mut self, row: Arc<ServerRow>, mut stop: watch::Receiver<bool>) {
        let mut beat = tokio::time::interval(BEAT.into());
        let mut minute = tokio::time::interval(MINUTE.into());
        while !*stop.borrow() {
            tokio::select! {
                _ = beat.tick() => {
                    if let Err(error) = row.beat(&self.scope).await {
                        tracing::warn!(%error, "the server can't show that it is alive");
                    }
                }
                _ = minute.tick() => self.each_minute().await,
                _ = stop.changed() => {}
            }
        }
    }

    async fn each_minute(&mut self) {
        if let Err(error) = self.keys.flush_uses().await {
            tracing::warn!(%error, "uses of keys wait to be recorded");
        }
        if let Err(error) = self.app.note_connections().await {
            tracing::warn!(%error, "connections wait to be recorded");
        }
        match self.access.review_overdue(&self.scope).await {
            Ok(0) => {}
            Ok(count) => tracing::warn!(count, "privileged acts were not reviewed in time"),
            Err(error) => tracing::warn!(%error, "overdue reviews can't be told"),
        }
        let now = self.context.now();
        if self.certificate.is_due(now) {
            self.renew();
        }
        if self.link_expires.is_some_and(|expires| expires <= now) {
            let _ = std::fs::remove_file(&self.link_file);
            self.link_expires = None;
        }
    }

    fn renew(&self) {
        match self.authority.issue(&self.names, &self.context) {
            Ok(issued) => {
                self.certificate.replace(issued);
                tracing::info!(expires = %self.certificate.expires(), "the server's certificate is renewed");
            }
            Err(error) => {
                tracing::error!(%error, expires = %self.certificate.expires(), "the server's certificate can't be renewed");
            }
        }
    }
}

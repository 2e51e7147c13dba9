//! A server's log, opened to take entries back: no listener, no job, no sequencer.

use base::{Actor, Context, RequestId, ServerId};
use keys::Keys;
use ledger::{Act, Activity, Checkpoint, Interface, LogSigner, LogVerifier, ObjectRef, Origin};
use store::{Store, SystemScope};

use crate::{
    config::Loaded,
    data_dir::DataDir,
    failure::{Exit, Failure},
    server::{boot, provider, stores},
};

/// The opened log.
pub struct Recovery {
    data: Store,
    scope: SystemScope,
    signer: LogSigner,
    _directory: DataDir,
}

impl Recovery {
    /// Opens the log of a server that is stopped.
    pub async fn open(loaded: &Loaded, context: &Context) -> Result<Self, Failure> {
        let config = &loaded.config;
        let directory = DataDir::open(&loaded.data)
            .map_err(|error| Failure::fault("the data directory can't be used", &error))?;
        let server = ServerId::new(context).map_err(|error| internal(&error))?;
        let opened = stores::open(loaded, &directory, context, server).await?;
        let request = RequestId::new(context).map_err(|error| internal(&error))?;
        let origin = Origin {
            actor: Actor::System(server),
            account: None,
            request,
            server,
            subsystem: "recovery",
            interface: Interface::Startup,
            sealed: None,
        };
        let scope = opened.data_mint.system(origin, context.now(), "lost entries of the log are taken back");
        let provider = provider::open(&config.keys, &loaded.environment, &directory, context)?;
        let limits = keys::Limits::default();
        let keys = Keys::open(opened.data.clone(), opened.keys, opened.keys_mint, provider, limits).await;
        let keys = keys.map_err(|error| Failure::fault("the keys can't be opened", &error))?;
        let signer = boot::signer(&keys, config).await?;
        Ok(Self { data: opened.data, scope, signer, _directory: directory })
    }

    /// The log's verifier key.
    pub fn key(&self) -> LogVerifier {
        self.signer.verifier().clone()
    }

    /// The head that was signed last here.
    pub async fn head(&self) -> Result<Option<Checkpoint>, Failure> {
        let head = self.data.signed_head().await;
        let head = head.map_err(|error| Failure::fault("the log can't be read", &error))?;
        let verified = head.map(|head| self.signer.verifier().verify(&head.note)).transpose();
        verified.map_err(|error| Failure::fault("the log's checkpoint does not verify", &error))
    }

    /// Appends entries that are verified.
    pub async fn take_back(&self, entries: &[Vec<u8>]) -> Result<u64, Failure> {
        let taken = self.data.take_back(&self.scope, &self.signer, entries).await;
        taken
            .map_err(|error| Failure::fault("the entries can't be taken back", &error).why(error.to_string()))
    }

    /// Records it, and that the log is what the mirror keeps.
    pub async fn finish(&self, before: u64, theirs: &Checkpoint) -> Result<(), Failure> {
        let head = self.head().await?;
        if head.as_ref() != Some(theirs) {
            return Err(Failure::new(
                Exit::NotVerified,
                "log-not-verified",
                "the log is not what the mirror keeps",
            )
            .remedy("keep both as evidence"));
        }
        let act = Act::new(Activity::LogRecover, ObjectRef::new("log", &theirs.origin))
            .detail("before", before)
            .detail("after", theirs.size);
        self.data
            .record_system(&self.scope, act)
            .await
            .map(|_| ())
            .map_err(|error| Failure::fault("the recovery can't be recorded", &error))
    }
}

fn internal(error: &dyn std::error::Error) -> Failure {
    Failure::new(Exit::Failure, "start", "the log can't be opened").why(error.to_string())
}

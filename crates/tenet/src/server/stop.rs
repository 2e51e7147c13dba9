//! Stopping: the first signal lets requests end, the second one ends the process.

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
};

use crate::{
    failure::{Exit, Failure},
    output,
};

struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Becomes true at the first SIGINT or SIGTERM.
pub(crate) fn on_signal(drain_seconds: i64) -> Result<watch::Receiver<bool>, Failure> {
    let failed = |error: std::io::Error| {
        Failure::new(Exit::Failure, "signals", "the process can't listen to signals").why(error.to_string())
    };
    let mut signals = Signals {
        interrupt: signal(SignalKind::interrupt()).map_err(failed)?,
        terminate: signal(SignalKind::terminate()).map_err(failed)?,
    };
    let (sender, receiver) = watch::channel(false);
    tokio::spawn(async move {
        signals.next().await;
        output::note(&format!(
            "stopping: requests under way have up to {drain_seconds} s; interrupt again to stop at once"
        ));
        let _ = sender.send(true);
        signals.next().await;
        // What was acknowledged is durable; the next start finds that this one was not announced.
        output::note("stopped at once");
        std::process::exit(Exit::Interrupted as i32);
    });
    Ok(receiver)
}

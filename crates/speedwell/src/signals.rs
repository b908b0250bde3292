//! The signals by which a terminal, a supervisor or a CI system ends a command.

use std::task::Poll;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Interrupt, terminate and hang-up, from the moment of listening on.
pub(crate) struct Signals(Vec<Signal>);

impl Signals {
    pub(crate) fn listen() -> Self {
        let kinds = [
            SignalKind::interrupt(),
            SignalKind::terminate(),
            SignalKind::hangup(),
        ];
        // Without a handler the signal ends the process at once, which is no worse than before.
        Self(kinds.into_iter().flat_map(signal).collect())
    }

    /// Waits for the next of them.
    pub(crate) async fn next(&mut self) {
        std::future::poll_fn(|context| {
            let mut arrived = self.0.iter_mut();
            match arrived.any(|signal| signal.poll_recv(context).is_ready()) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        })
        .await;
    }
}

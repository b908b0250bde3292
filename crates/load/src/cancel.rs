//! A switch that stops a run early.

use std::sync::Arc;

use tokio::sync::watch;

/// Stops every run that was given a clone of it. Once cancelled, it stays so.
#[derive(Debug, Clone)]
pub struct CancelHandle {
    switch: Arc<watch::Sender<bool>>,
}

impl CancelHandle {
    /// A handle that has not been cancelled.
    #[must_use]
    pub fn new() -> Self {
        Self {
            switch: Arc::new(watch::Sender::new(false)),
        }
    }

    /// Stops the run; requests in flight are dropped and what was measured is returned.
    pub fn cancel(&self) {
        self.switch.send_replace(true);
    }

    /// Whether [`CancelHandle::cancel`] has been called.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        *self.switch.borrow()
    }

    /// Completes when the handle is cancelled.
    pub async fn cancelled(&self) {
        // The sender lives as long as `self`, so waiting cannot fail.
        let _ = self.switch.subscribe().wait_for(|stopped| *stopped).await;
    }
}

impl Default for CancelHandle {
    fn default() -> Self {
        Self::new()
    }
}

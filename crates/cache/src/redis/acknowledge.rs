//! Waiting until every process that may answer from its memory has heard.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

/// Who has acknowledged which message.
#[derive(Debug, Default)]
pub(crate) struct Acknowledgements {
    waiting: Mutex<HashMap<u64, Heard>>,
}

#[derive(Debug, Default)]
struct Heard {
    by: HashSet<u64>,
    notify: Arc<Notify>,
}

/// One message for which somebody waits; made before it is sent, since answers may come first.
#[derive(Debug)]
pub(crate) struct Waiting<'a> {
    of: &'a Acknowledgements,
    write: u64,
    notify: Arc<Notify>,
}

impl Acknowledgements {
    pub(crate) fn expect(&self, write: u64) -> Waiting<'_> {
        let notify = Arc::clone(&self.lock().entry(write).or_default().notify);
        Waiting {
            of: self,
            write,
            notify,
        }
    }

    pub(crate) fn note(&self, write: u64, process: u64) {
        // Nobody waits any more for what comes late.
        if let Some(heard) = self.lock().get_mut(&write) {
            heard.by.insert(process);
            heard.notify.notify_waiters();
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Heard>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting<'_> {
    /// Ends when all of these have heard.
    pub(crate) async fn until_heard_by(&self, processes: &[u64]) {
        loop {
            let changed = self.notify.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if self.missing(processes).is_empty() {
                return;
            }
            changed.await;
        }
    }

    /// Who has not heard yet.
    pub(crate) fn missing(&self, processes: &[u64]) -> Vec<u64> {
        let waiting = self.of.lock();
        let heard = waiting.get(&self.write);
        let unheard = |process: &&u64| heard.is_none_or(|heard| !heard.by.contains(process));
        processes.iter().filter(unheard).copied().collect()
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.of.lock().remove(&self.write);
    }
}

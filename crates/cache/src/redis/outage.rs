//! For how long Redis has not answered.
//!
//! Whoever cannot be told may still answer from memory, but only under a lease. If Redis is gone
//! for all, nobody's lease is renewed: when it has been gone for as long as a lease lasts, nobody
//! answers from memory any more. (If it is gone for this process alone, waiting does not help.)

use std::{
    sync::{Mutex, PoisonError},
    time::Instant,
};

use super::lease::OUTLIVED;

/// Since when Redis has not answered, if it does not.
#[derive(Debug)]
pub(crate) struct Outage(Mutex<Option<Instant>>);

impl Outage {
    /// It has not answered yet.
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Some(Instant::now())))
    }

    /// It did not answer.
    pub(crate) fn goes_on(&self) -> Instant {
        *self.since().get_or_insert_with(Instant::now)
    }

    /// It answered.
    pub(crate) fn ends(&self) {
        *self.since() = None;
    }

    /// Waits until nobody has a lease who lost Redis when this process did.
    pub(crate) async fn outwait(&self) {
        let over = self.goes_on() + OUTLIVED;
        tokio::time::sleep_until(over.into()).await;
    }

    fn since(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_outage_is_waited_for_once_and_the_next_one_again() {
        let outage = Outage::new();
        let waited = async || {
            let started = Instant::now();
            outage.outwait().await;
            started.elapsed()
        };
        for _ in 0..2 {
            outage.ends();
            assert!(waited().await >= OUTLIVED);
            assert!(waited().await < OUTLIVED);
        }
    }
}

//! The right to answer from memory: as long as invalidations are sure to have arrived.
//!
//! A heartbeat goes to Redis over the line of commands and comes back over the line of messages.
//! Messages come in the order in which Redis took them, so when it is back, every invalidation
//! that Redis took before it has been acted on. From the moment it was *sent*, the lease lasts
//! [`LEASE`]: who invalidates later need not wait longer than that for a process that is silent.
//! Nothing but the rate of one monotonic clock in each process is relied on.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// How long a heartbeat that came back is worth. Long enough for a process that is busy, short
/// enough for a writer to wait for one that is gone.
pub(crate) const LEASE: Duration = Duration::from_millis(400);
/// Clocks of two machines do not run equally fast; a tenth is far more than they differ.
pub(crate) const OUTLIVED: Duration = Duration::from_millis(440);
pub(crate) const BEAT_EVERY: Duration = Duration::from_millis(100);
/// Heartbeats under way that are remembered.
const REMEMBERED: usize = 16;

/// The lease of one process.
#[derive(Debug)]
pub(crate) struct Lease {
    anchor: Instant,
    /// In ns after the anchor; 0: none.
    until: AtomicU64,
    /// Given up for good.
    ended: AtomicBool,
    sent: Mutex<Vec<(u64, Instant)>>,
}

impl Lease {
    pub(crate) fn new() -> Self {
        Self {
            anchor: Instant::now(),
            until: AtomicU64::new(0),
            ended: AtomicBool::new(false),
            sent: Mutex::default(),
        }
    }

    pub(crate) fn is_valid(&self, now: Instant) -> bool {
        let now = now.saturating_duration_since(self.anchor).as_nanos() as u64;
        now < self.until.load(Ordering::Acquire) && !self.has_ended()
    }

    /// Gives it up for good, whatever heartbeat comes back later.
    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::SeqCst);
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }

    /// To be called before the heartbeat is sent.
    pub(crate) fn sends(&self, number: u64) {
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        if sent.len() == REMEMBERED {
            sent.remove(0);
        }
        sent.push((number, Instant::now()));
    }

    /// The heartbeat is back.
    pub(crate) fn returned(&self, number: u64) {
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(at) = sent.iter().position(|(one, _)| *one == number) else {
            return;
        };
        let until = sent[at].1 + LEASE;
        // Those before it have been lost, or come too late to matter.
        sent.drain(..=at);
        let until = until.saturating_duration_since(self.anchor).as_nanos() as u64;
        self.until.fetch_max(until, Ordering::AcqRel);
    }

    /// Messages may have been missed.
    pub(crate) fn lose(&self) {
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        sent.clear();
        self.until.store(0, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_lasts_from_when_the_heartbeat_was_sent() {
        let lease = Lease::new();
        assert!(!lease.is_valid(Instant::now()));
        let before = Instant::now();
        lease.sends(1);
        let after = Instant::now();
        lease.returned(1);
        assert!(lease.is_valid(before + LEASE - Duration::from_millis(1)));
        assert!(!lease.is_valid(after + LEASE));
    }

    #[test]
    fn a_lease_that_was_given_up_never_comes_back() {
        let lease = Lease::new();
        lease.sends(1);
        lease.end();
        lease.returned(1);
        lease.sends(2);
        lease.returned(2);
        assert!(!lease.is_valid(Instant::now()));
    }

    #[test]
    fn a_heartbeat_from_before_the_loss_gives_no_lease() {
        let lease = Lease::new();
        lease.sends(1);
        lease.lose();
        lease.returned(1);
        lease.returned(2);
        assert!(!lease.is_valid(Instant::now()));
    }
}

//! Requests one after the other, with at least so much time between them.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, sleep_until};

/// Hands out turns. Measures time with tokio's clock.
#[derive(Debug)]
pub(crate) struct Pace {
    interval: Duration,
    /// When the next turn is free.
    next: Mutex<Instant>,
}

/// No turn is free before the deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooLate;

impl Pace {
    /// An interval of zero lets everybody go at once.
    pub(crate) fn new(interval: Duration) -> Self {
        Self {
            interval,
            next: Mutex::new(Instant::now()),
        }
    }

    /// Waits for a turn; fails at once, and takes none, when it would come too late.
    pub(crate) async fn turn(&self, deadline: Instant) -> Result<(), TooLate> {
        let turn = {
            let mut next = self.next();
            let turn = (*next).max(Instant::now());
            if turn >= deadline {
                return Err(TooLate);
            }
            *next = turn + self.interval;
            turn
        };
        sleep_until(turn).await;
        Ok(())
    }

    /// No new turns before `until`.
    pub(crate) fn hold(&self, until: Instant) {
        let mut next = self.next();
        *next = (*next).max(until);
    }

    /// An instant is whole whatever happened to its last holder.
    fn next(&self) -> MutexGuard<'_, Instant> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn turns_keep_their_distance_and_late_ones_are_refused_at_once() {
        let pace = Pace::new(SECOND);
        let begin = Instant::now();
        let deadline = begin + 3 * SECOND;
        let turns = tokio::join!(
            pace.turn(deadline),
            pace.turn(deadline),
            pace.turn(deadline),
            pace.turn(deadline),
        );
        assert_eq!(turns, (Ok(()), Ok(()), Ok(()), Err(TooLate)));
        assert_eq!(begin.elapsed(), 2 * SECOND);
        assert_eq!(pace.turn(begin + 10 * SECOND).await, Ok(()));
        assert_eq!(begin.elapsed(), 3 * SECOND, "a refused turn is not lost");
    }

    #[tokio::test(start_paused = true)]
    async fn a_hold_puts_off_whoever_comes() {
        let pace = Pace::new(Duration::ZERO);
        let begin = Instant::now();
        pace.hold(begin + 5 * SECOND);
        pace.hold(begin + SECOND);
        assert_eq!(pace.turn(begin + 5 * SECOND).await, Err(TooLate));
        assert_eq!(pace.turn(begin + 6 * SECOND).await, Ok(()));
        assert_eq!(begin.elapsed(), 5 * SECOND);
    }
}

//! Streaks as the service keeps them: days in a row with a check-in.

use chrono::{DateTime, Days, NaiveDate, NaiveTime, Utc};
use service_kit::seed::Cells;

/// A streak, and the one before the first check-in of its last day.
#[derive(Clone, Copy, Default)]
pub(super) struct Streak {
    pub(super) now: State,
    pub(super) prior: State,
}

#[derive(Clone, Copy, Default)]
pub(super) struct State {
    pub(super) current: i64,
    pub(super) longest: i64,
    /// The day of the last check-in, and when it was.
    pub(super) last: Option<(NaiveDate, DateTime<Utc>)>,
}

impl Streak {
    /// Counts a check-in, later than all before. Says whether the day before is covered.
    pub(super) fn count(&mut self, at: DateTime<Utc>) -> bool {
        // Seeded users live by UTC.
        let day = at.date_naive();
        if self.now.day() != Some(day) {
            self.prior = self.now;
            let current = if self.prior.is_before(day) {
                self.prior.current + 1
            } else {
                1
            };
            self.now.current = current;
            self.now.longest = self.prior.longest.max(current);
        }
        self.now.last = Some((day, at));
        self.prior.is_before(day)
    }

    /// The columns that profiles and members have in common.
    pub(super) fn cells(&self) -> Cells {
        let Self { now, prior } = self;
        vec![
            ("current_streak", now.current.into()),
            ("longest_streak", now.longest.into()),
            ("last_checkin_date", now.day().into()),
            ("streak_ends_at", now.ends_at().into()),
            ("prior_streak", prior.current.into()),
            ("prior_longest", prior.longest.into()),
            ("prior_date", prior.day().into()),
            ("prior_ends_at", prior.ends_at().into()),
        ]
    }
}

impl State {
    pub(super) fn day(&self) -> Option<NaiveDate> {
        self.last.map(|(day, _)| day)
    }

    pub(super) fn at(&self) -> Option<DateTime<Utc>> {
        self.last.map(|(_, at)| at)
    }

    fn is_before(&self, day: NaiveDate) -> bool {
        self.day().is_some_and(|last| last.succ_opt() == Some(day))
    }

    /// The end of the day after the last one.
    fn ends_at(&self) -> Option<DateTime<Utc>> {
        let end = self.day()? + Days::new(2);
        Some(end.and_time(NaiveTime::MIN).and_utc())
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[test]
    fn days_in_a_row_count_once_each() {
        let mut streak = Streak::default();
        let first = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        let mut covered = |day, hour| {
            let covered = streak.count(first + TimeDelta::days(day) - TimeDelta::hours(hour));
            (
                covered,
                streak.now.current,
                streak.now.longest,
                streak.prior.current,
            )
        };
        assert_eq!(covered(0, 3), (false, 1, 1, 0));
        assert_eq!(covered(0, 2), (false, 1, 1, 0));
        assert_eq!(covered(1, 3), (true, 2, 2, 1));
        assert_eq!(covered(1, 2), (true, 2, 2, 1));
        assert_eq!(covered(3, 3), (false, 1, 2, 2));
        assert_eq!(
            streak.now.ends_at().unwrap().to_rfc3339(),
            "2023-11-19T00:00:00+00:00"
        );
    }
}

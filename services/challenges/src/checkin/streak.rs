//! Streaks: days in a row with at least one check-in.
//!
//! A day counts once, however many habits are kept on it. A streak lasts until the end of the day
//! after its last one, by the clock of its user; then it reads 0. What the first check-in of a day
//! changed is remembered, so that deleting the check-ins of that day takes it back exactly.

use chrono::{DateTime, NaiveDate, Utc};
use sqlx_macros::FromRow;

use crate::day::{Zone, after, before};

/// Points of a check-in.
const POINTS: i64 = 10;
/// Twice as many when the day before was kept as well.
const POINTS_IN_A_ROW: i64 = 20;

/// Days in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Streak {
    pub(crate) current: i64,
    pub(crate) longest: i64,
    /// Its last day.
    pub(crate) last: Option<NaiveDate>,
    pub(crate) ends_at: Option<DateTime<Utc>>,
}

/// A streak with what it was before its last day, as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, FromRow)]
pub(crate) struct Stored {
    pub(super) current_streak: i64,
    pub(super) longest_streak: i64,
    pub(super) last_checkin_date: Option<NaiveDate>,
    pub(super) streak_ends_at: Option<DateTime<Utc>>,
    pub(super) prior_streak: i64,
    pub(super) prior_longest: i64,
    pub(super) prior_date: Option<NaiveDate>,
    pub(super) prior_ends_at: Option<DateTime<Utc>>,
}

/// What a check-in does to a streak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Advance {
    pub(crate) streak: Streak,
    /// What to remember: the streak before this day.
    pub(crate) prior: Streak,
    /// Whether it is the first of its day.
    pub(crate) is_first: bool,
    /// What the check-in earns.
    pub(crate) points: i64,
    /// Whether a day was missed since the last one.
    pub(crate) is_broken: bool,
}

/// A streak as of now: 0 when a day was missed.
pub(crate) fn lasting(current: i64, ends_at: Option<DateTime<Utc>>, now: DateTime<Utc>) -> i64 {
    match ends_at {
        Some(end) if end > now => current,
        _ => 0,
    }
}

impl Stored {
    pub(crate) fn streak(&self) -> Streak {
        Streak {
            current: self.current_streak,
            longest: self.longest_streak,
            last: self.last_checkin_date,
            ends_at: self.streak_ends_at,
        }
    }

    /// The streak before its last day.
    pub(crate) fn prior(&self) -> Streak {
        Streak {
            current: self.prior_streak,
            longest: self.prior_longest,
            last: self.prior_date,
            ends_at: self.prior_ends_at,
        }
    }

    /// With one more check-in on this day.
    pub(crate) fn advance(&self, day: NaiveDate, zone: Zone) -> Advance {
        let streak = self.streak();
        // Who travels west may come to a day that is over elsewhere.
        if streak.last.is_some_and(|last| last >= day) {
            return Advance {
                streak,
                prior: self.prior(),
                is_first: false,
                points: points(streak.current > 1),
                is_broken: false,
            };
        }
        let goes_on = streak.last == Some(before(day));
        let current = if goes_on { streak.current + 1 } else { 1 };
        Advance {
            streak: Streak {
                current,
                longest: streak.longest.max(current),
                last: Some(day),
                ends_at: Some(zone.begin(after(day, 2))),
            },
            prior: streak,
            is_first: true,
            points: points(goes_on),
            is_broken: !goes_on && streak.last.is_some(),
        }
    }

    /// Without the check-ins of this day, if they are the last ones; else nothing changes.
    pub(crate) fn without(&self, day: NaiveDate) -> Streak {
        match self.last_checkin_date == Some(day) {
            true => self.prior(),
            false => self.streak(),
        }
    }
}

fn points(in_a_row: bool) -> i64 {
    match in_a_row {
        true => POINTS_IN_A_ROW,
        false => POINTS,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn utc() -> Zone {
        Zone::named("UTC").unwrap()
    }

    fn day(number: u64) -> NaiveDate {
        after(NaiveDate::from_ymd_opt(2026, 1, 1).unwrap(), number)
    }

    fn stored(advance: &Advance) -> Stored {
        let Advance { streak, prior, .. } = advance;
        Stored {
            current_streak: streak.current,
            longest_streak: streak.longest,
            last_checkin_date: streak.last,
            streak_ends_at: streak.ends_at,
            prior_streak: prior.current,
            prior_longest: prior.longest,
            prior_date: prior.last,
            prior_ends_at: prior.ends_at,
        }
    }

    #[test]
    fn a_day_counts_once_and_the_next_one_earns_twice() {
        let first = Stored::default().advance(day(0), utc());
        assert_eq!(
            (first.streak.current, first.points, first.is_broken),
            (1, 10, false)
        );
        let again = stored(&first).advance(day(0), utc());
        assert_eq!(
            (again.streak.current, again.points, again.is_first),
            (1, 10, false)
        );
        let next = stored(&again).advance(day(1), utc());
        assert_eq!((next.streak.current, next.points), (2, 20));
        let same = stored(&next).advance(day(1), utc());
        assert_eq!((same.streak.current, same.points), (2, 20));
        let late = stored(&same).advance(day(3), utc());
        assert_eq!(
            (late.streak.current, late.streak.longest, late.points),
            (1, 2, 10)
        );
        assert!(late.is_broken);
    }

    #[test]
    fn a_streak_reads_0_when_the_day_after_is_over() {
        let Advance { streak, .. } = Stored::default().advance(day(0), utc());
        let end = streak.ends_at.unwrap();
        assert_eq!(end, utc().begin(day(2)));
        assert_eq!(
            lasting(1, streak.ends_at, end - chrono::TimeDelta::seconds(1)),
            1
        );
        assert_eq!(lasting(1, streak.ends_at, end), 0);
        assert_eq!(lasting(1, None, end), 0);
    }

    /// The streak that ends with the last of these days, and the longest one.
    fn counted(days: &BTreeMap<u64, u32>) -> (i64, i64) {
        let (mut current, mut longest, mut last) = (0, 0, None);
        for day in days.keys() {
            current = if last == day.checked_sub(1) && last.is_some() {
                current + 1
            } else {
                1
            };
            longest = longest.max(current);
            last = Some(*day);
        }
        (current, longest)
    }

    proptest! {
        #[test]
        fn streaks_are_those_that_counting_the_days_gives(
            steps in proptest::collection::vec((0_u64..3, 1_u32..4), 1..60),
        ) {
            let (mut now, mut one, mut days) = (5, Stored::default(), BTreeMap::new());
            for (pause, times) in steps {
                now += pause;
                let had = days.contains_key(&now);
                for _ in 0..times {
                    let before = one;
                    let advance = one.advance(day(now), utc());
                    let covered = days.contains_key(&(now - 1));
                    prop_assert_eq!(advance.points, points(covered));
                    prop_assert_eq!(advance.is_first, !days.contains_key(&now));
                    one = stored(&advance);
                    *days.entry(now).or_insert(0) += 1;
                    prop_assert_eq!((one.current_streak, one.longest_streak), counted(&days));
                    if advance.is_first {
                        prop_assert_eq!(one.without(day(now)), before.streak());
                    }
                }
                let back = one.without(day(now));
                let mut less = days.clone();
                less.remove(&now);
                if !had && !less.is_empty() {
                    prop_assert_eq!((back.current, back.longest), counted(&less));
                }
                prop_assert_eq!(one.without(day(now + 1)), one.streak());
            }
        }
    }
}

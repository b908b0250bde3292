//! When a flyer is seen: from its publication until the instant of its expiration.

use chrono::{DateTime, Utc};
use serde::Serialize;

/// Where a flyer is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    /// Everybody sees it.
    Active,
    /// Its time is over, or it was turned off. Its owner sees it.
    Expired,
    /// Its time has not come. Its owner sees it.
    Scheduled,
}

/// The dates that decide.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Validity {
    pub(crate) is_active: bool,
    pub(crate) publication: DateTime<Utc>,
    pub(crate) expiration: DateTime<Utc>,
}

impl Validity {
    /// Half open: a flyer that expires at midnight is gone at midnight.
    pub(crate) fn status(self, now: DateTime<Utc>) -> Status {
        if !self.is_active || now >= self.expiration {
            Status::Expired
        } else if now < self.publication {
            Status::Scheduled
        } else {
            Status::Active
        }
    }

    /// Whether it counts as turned on: what has expired was turned off at that moment, whether
    /// or not somebody has come by to note it.
    pub(crate) fn is_active_at(self, now: DateTime<Utc>) -> bool {
        self.is_active && now < self.expiration
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeDelta;

    #[test]
    fn the_interval_is_half_open() {
        let now = Utc::now();
        let tick = TimeDelta::microseconds(1);
        let status = |from, to| {
            Validity {
                is_active: true,
                publication: from,
                expiration: to,
            }
            .status(now)
        };
        assert_eq!(status(now, now + tick), Status::Active);
        assert_eq!(status(now - tick, now), Status::Expired);
        assert_eq!(status(now + tick, now + tick * 2), Status::Scheduled);
    }

    #[test]
    fn turned_off_with_a_future_date_is_expired() {
        let now = Utc::now();
        let hour = TimeDelta::hours(1);
        let off = Validity {
            is_active: false,
            publication: now + hour,
            expiration: now + hour * 2,
        };
        assert_eq!(off.status(now), Status::Expired);
    }
}

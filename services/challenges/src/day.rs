//! Days on the clock of a user.
//!
//! A day is what the header `X-Timezone` of the request says it is, else what the profile says,
//! else a day of UTC.

use std::str::FromStr as _;

use axum::{extract::FromRequestParts, http::request::Parts};
use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeDelta, TimeZone as _, Utc};
use chrono_tz::Tz;
use service_kit::problem::Problem;

/// A time zone of the IANA database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Zone(Tz);

impl Zone {
    /// The zone of this name: `Europe/Zurich`.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Tz::from_str(name).ok().map(Self)
    }

    /// Its name as the database spells it.
    pub(crate) fn name(self) -> &'static str {
        self.0.name()
    }

    /// The day that it is there.
    pub(crate) fn day(self, at: DateTime<Utc>) -> NaiveDate {
        at.with_timezone(&self.0).date_naive()
    }

    /// The first moment of a day. Where clocks are put forward at midnight, a day begins at one.
    pub(crate) fn begin(self, day: NaiveDate) -> DateTime<Utc> {
        let mut at = day.and_time(NaiveTime::MIN);
        for _ in 0..4 {
            if let Some(found) = self.0.from_local_datetime(&at).earliest() {
                return found.with_timezone(&Utc);
            }
            at += TimeDelta::minutes(30);
        }
        // A day that a zone left out, when it changed sides of the date line.
        day.and_time(NaiveTime::MIN).and_utc()
    }
}

/// The day before.
pub(crate) fn before(day: NaiveDate) -> NaiveDate {
    day.checked_sub_days(Days::new(1)).unwrap_or(NaiveDate::MIN)
}

/// So many days later.
pub(crate) fn after(day: NaiveDate, days: u64) -> NaiveDate {
    day.checked_add_days(Days::new(days))
        .unwrap_or(NaiveDate::MAX)
}

/// What the header `X-Timezone` says, if it is there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AskedZone(Option<Zone>);

impl AskedZone {
    /// For others than the caller.
    pub(crate) fn none() -> Self {
        Self(None)
    }

    /// The zone to use for somebody whose profile says this.
    pub(crate) fn or(self, profile: Option<&str>) -> Zone {
        let own = || profile.and_then(Zone::named);
        self.0.or_else(own).unwrap_or(Zone(Tz::UTC))
    }
}

const HEADER: &str = "x-timezone";

impl<S: Send + Sync> FromRequestParts<S> for AskedZone {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let Some(value) = parts.headers.get(HEADER) else {
            return Ok(Self(None));
        };
        let zone = value.to_str().ok().and_then(Zone::named);
        let unknown = || Problem::invalid("header.x-timezone", "is not an IANA time zone");
        zone.map(|zone| Self(Some(zone))).ok_or_else(unknown)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn the_same_moment_is_another_day_elsewhere() {
        let late = at("2026-03-01T23:30:00Z");
        let zone = |name| Zone::named(name).unwrap();
        assert_eq!(zone("UTC").day(late), day("2026-03-01"));
        assert_eq!(zone("Europe/Zurich").day(late), day("2026-03-02"));
        assert_eq!(zone("America/Lima").day(late), day("2026-03-01"));
    }

    #[test]
    fn a_day_begins_at_midnight_there_or_when_the_clock_jumps_over_it() {
        let begin = |name, text| Zone::named(name).unwrap().begin(day(text));
        assert_eq!(
            begin("Asia/Kolkata", "2026-03-02"),
            at("2026-03-01T18:30:00Z")
        );
        // Put forward at midnight.
        assert_eq!(
            begin("America/Havana", "2026-03-08"),
            at("2026-03-08T05:00:00Z")
        );
        // Samoa had no such day.
        assert_eq!(
            begin("Pacific/Apia", "2011-12-30"),
            at("2011-12-30T00:00:00Z")
        );
    }

    proptest! {
        #[test]
        fn the_first_moment_of_a_day_is_in_it_and_the_one_before_is_not(
            seconds in 0_i64..4_000_000_000, zone in 0..chrono_tz::TZ_VARIANTS.len(),
        ) {
            let zone = Zone(chrono_tz::TZ_VARIANTS[zone]);
            let day = zone.day(DateTime::from_timestamp(seconds, 0).unwrap());
            let begin = zone.begin(day);
            prop_assert_eq!(zone.day(begin), day);
            prop_assert!(zone.day(begin - TimeDelta::seconds(1)) < day);
        }
    }
}

//! The one source of the present.

use chrono::{DateTime, SubsecRound as _, Utc};

/// Now, in whole microseconds: what both databases store and compare.
pub fn now() -> DateTime<Utc> {
    Utc::now().trunc_subsecs(6)
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, SecondsFormat, Utc};
    use proptest::prelude::*;

    /// The form in which sqlx writes a timestamp to SQLite.
    fn stored(at: DateTime<Utc>) -> String {
        at.to_rfc3339_opts(SecondsFormat::AutoSi, false)
    }

    proptest! {
        #[test]
        fn stored_texts_sort_like_the_instants(
            a in 0_i64..4_000_000_000_000_000, step in 0_i64..3_000_000,
        ) {
            let first = DateTime::<Utc>::from_timestamp_micros(a).unwrap();
            let second = DateTime::<Utc>::from_timestamp_micros(a + step).unwrap();
            prop_assert_eq!(first.cmp(&second), stored(first).cmp(&stored(second)));
        }
    }
}

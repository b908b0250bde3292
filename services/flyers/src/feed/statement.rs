//! The SQL of the lists.
//!
//! A page is chosen by an inner query over one index, ids and sort keys only; the outer
//! query reads the rows that are shown and nothing else. Which index is walked depends on
//! the filter:
//!
//! | filter | walks | cost |
//! |---|---|---|
//! | a creator | the creator's flyers | flyers of one creator |
//! | favorites | the favorites, then sorts | favorites of one user |
//! | a search with few hits | the hits, then sorts | [`FEW_HITS`] at most |
//! | following | the live flyers of each creator, then sorts | see below |
//! | near me, nearest first | the box around the circle, then sorts | see below |
//! | categories | the live flyers of each, merged | the page |
//! | none, or a search with many hits | the live flyers, newest first | the page |
//!
//! **Counting.** The hits of a search alone are counted from the trigram index, in its order and
//! no further than is shown: walking the live flyers for them took 50 ms instead of 7.
//!
//! **Following.** SQLite reads the live flyers of all whom the user follows from the index
//! and keeps the first ones: some 0.15 µs each. On PostgreSQL every creator adds an arm of
//! its own that ends after as many rows as the page needs. The number of creators and of
//! their live flyers is the cost, not the depth of the page.
//!
//! **Nearest first.** A page needs few flyers and a large circle has many. So the statement
//! first looks which of some smaller circles holds enough of them ([`REACHES_KM`]) and reads
//! that one: 50 km among 100 000 flyers take 2 ms instead of 80 ms. After a cursor, enough of
//! them after it; the circles that it has left are not looked into.
//!
//! **Smart.** The score is that of the first papers: 40 % age, 40 % distance in steps, 20 %
//! category. Every flyer of a list has one of the categories asked for, so the last part is
//! the same for all and is left out. What is ranked are the newest [`SMART_CANDIDATES`]
//! flyers of the list, and the list ends with them: older ones have lost most of what their
//! age is worth, and the cost is bounded. The age is taken at a moment that the cursor
//! carries, and at the last full hour on numbered pages, so that the order of flyers does not
//! change between two pages.
//!
//! SQLite is told which index to use. Its own choice changes with the statistics: after
//! most flyers expire it sorts the whole table for each page (0.03 ms become 225 ms).
//! `CROSS JOIN` likewise fixes the order of the joins; to PostgreSQL it is a plain join.

mod text;

use std::cmp::Ordering;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use service_kit::database::{Dialect, Query, Text as Both, Value, query};

use self::text::{Text, condition::one_by_one};
use super::card::CardRow;
use crate::geo::Point;

/// Up to this many hits of a search are read and sorted. At 100 000 flyers the walk
/// meets one of more hits than these every 50 rows or sooner.
pub const FEW_HITS: i64 = 2_000;
/// How many of the newest flyers the smart order ranks.
pub const SMART_CANDIDATES: i64 = 1_000;
/// Radii in kilometres that are tried before the one asked for, if they are less than half
/// of it: a town's quarter, a town, a region.
pub const REACHES_KM: [f64; 3] = [1.5, 6.0, 50.0];
/// One more than the count that is shown: tells "exactly" from "at least".
const COUNT_LIMIT: i64 = service_kit::page::COUNT_CAP + 1;

/// Hits of a search, counted no further than needed.
pub const COUNT_HITS: Both = Both {
    sqlite: "
SELECT count(*)
FROM (
    SELECT rowid
    FROM flyer_search
    WHERE flyer_search MATCH $1
    LIMIT $2
) AS hits",
    postgres: "
SELECT count(*)
FROM (
    SELECT f.id
    FROM flyers AS f
    WHERE f.search_text LIKE $1
    LIMIT $2
) AS hits",
};

/// Whether there is a user.
pub const USER_EXISTS: &str = "SELECT EXISTS (SELECT 1 FROM users AS u WHERE u.id = $1)";

const CARDS: &str = "
SELECT f.id, f.title, f.caption, f.info_field_1, f.info_field_2,
       f.location_address, f.latitude, f.longitude,
       f.publication_date, f.expiration_date, f.is_active, f.created_at,
       f.creator_id, u.username, p.name AS creator_name, p.profile_picture AS creator_picture";

/// From a page to what its cards show, one row after the other. PostgreSQL would read all
/// profiles for a page whose inner query looks dear: the LIMITs forbid it.
const CARDS_FROM: Both = Both {
    sqlite: "
CROSS JOIN flyers AS f
CROSS JOIN users AS u
CROSS JOIN profiles AS p
WHERE f.id = page.id
  AND u.id = f.creator_id
  AND p.user_id = f.creator_id",
    postgres: "
CROSS JOIN LATERAL (SELECT * FROM flyers AS g WHERE g.id = page.id LIMIT 1) AS f
CROSS JOIN LATERAL (SELECT * FROM users AS g WHERE g.id = f.creator_id LIMIT 1) AS u
CROSS JOIN LATERAL (SELECT * FROM profiles AS g WHERE g.user_id = f.creator_id LIMIT 1) AS p",
};

/// Which flyers, for whom, seen from where.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Any of these categories; none means all.
    pub categories: Vec<i64>,
    /// What the text must contain, and how to find it.
    pub search: Search,
    /// Only within a distance of `from`, nearest first unless `sort` says otherwise.
    pub near: Option<Near>,
    /// Where the caller is.
    pub from: Option<Point>,
    /// Only flyers of this user.
    pub creator: Option<i64>,
    /// Only flyers that the viewer likes.
    pub favorites: bool,
    /// Only flyers of users whom the viewer follows.
    pub following: bool,
    /// The order, if it is not the one that goes with the other filters.
    pub sort: Option<Sort>,
    /// Whether expired and scheduled flyers are listed.
    pub visibility: Visibility,
    /// The signed-in user.
    pub viewer: Option<i64>,
    /// The present.
    pub now: DateTime<Utc>,
    /// When the age of flyers is taken for the smart order.
    pub moment: DateTime<Utc>,
}

/// What a list can be asked to be sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    /// Newest first, and of the same moment nearest first.
    Recent,
    /// Nearest first. Needs a place.
    Distance,
    /// New and near first. Needs a place.
    Smart,
}

/// How a search is done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Search {
    /// There is none.
    #[default]
    None,
    /// By walking the list and looking at each text.
    Walk {
        /// The folded text.
        folded: String,
        /// What the trigram index is asked for when hits are only counted, if the text is long
        /// enough for it.
        phrase: Option<String>,
    },
    /// From the trigram index: there are few hits.
    Index {
        /// What the index is asked for: a phrase of FTS5, a pattern of LIKE.
        phrase: String,
    },
}

/// Only flyers within a circle around `from`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Near {
    /// Its radius.
    pub radius_km: f64,
}

/// Which part of a flyer's life is listed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Visibility {
    /// Live flyers.
    #[default]
    Live,
    /// All, for their owner. Needs a creator.
    All,
}

/// Which rows of the list.
#[derive(Debug, Clone, Default)]
pub struct Window {
    /// Those after this one; all if there is none.
    pub after: Option<CursorKey>,
    /// At most so many.
    pub limit: i64,
    /// Without so many first ones.
    pub offset: i64,
}

/// The sort key of a row, one form per order. Floating numbers travel as their bits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum CursorKey {
    /// Newest first: created (microseconds), id.
    #[serde(rename = "r")]
    Recent(i64, i64),
    /// Newest first, then nearest: created, haversine, id.
    #[serde(rename = "l")]
    Located(i64, u64, i64),
    /// Nearest first: haversine, created, id.
    #[serde(rename = "n")]
    Near(u64, i64, i64),
    /// Best first: the moment of the ranking (microseconds), score, created, id.
    #[serde(rename = "s")]
    Smart(i64, u64, i64, i64),
}

impl CursorKey {
    /// When the ages were taken, in the smart order.
    pub(crate) fn moment(&self) -> Option<DateTime<Utc>> {
        match *self {
            Self::Smart(moment, ..) => DateTime::from_timestamp_micros(moment),
            _ => None,
        }
    }
}

/// A statement and what to bind to it, in order.
#[derive(Debug, Clone)]
pub struct Statement {
    /// The text.
    pub sql: String,
    /// The values of `$1`, `$2`, ….
    pub values: Vec<Value>,
}

impl Statement {
    /// The statement, ready to run.
    pub fn query(self) -> Query {
        query(self.sql).bind_all(self.values)
    }
}

/// In which order a list is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Recent,
    Located,
    Near,
    Smart,
}

impl Order {
    fn clause(self) -> &'static str {
        match self {
            Self::Recent => "\n    ORDER BY created_at DESC, id DESC",
            Self::Located => "\n    ORDER BY created_at DESC, haversine, id DESC",
            Self::Near => "\n    ORDER BY haversine, created_at DESC, id DESC",
            Self::Smart => "\n    ORDER BY score DESC, created_at DESC, id DESC",
        }
    }
}

impl Filter {
    fn order(&self) -> Order {
        let usual = if self.near.is_some() {
            Sort::Distance
        } else {
            Sort::Recent
        };
        match (self.sort.unwrap_or(usual), self.from) {
            (_, None) => Order::Recent,
            (Sort::Recent, Some(_)) => Order::Located,
            (Sort::Distance, Some(_)) => Order::Near,
            (Sort::Smart, Some(_)) => Order::Smart,
        }
    }

    /// The sort key of a row that was shown.
    pub(crate) fn key_of(&self, row: &CardRow) -> CursorKey {
        let created = row.created_at.timestamp_micros();
        let bits = row.haversine.unwrap_or_default().to_bits();
        match self.order() {
            Order::Recent => CursorKey::Recent(created, row.id),
            Order::Located => CursorKey::Located(created, bits, row.id),
            Order::Near => CursorKey::Near(bits, created, row.id),
            Order::Smart => {
                let score = row.score.unwrap_or_default().to_bits();
                CursorKey::Smart(self.moment.timestamp_micros(), score, created, row.id)
            }
        }
    }

    /// Whether a cursor comes from a list in this order, with values that can be bound.
    pub fn accepts(&self, key: &CursorKey) -> bool {
        let (order, created, bits) = match *key {
            CursorKey::Recent(created, _) => (Order::Recent, created, 0),
            CursorKey::Located(created, bits, _) => (Order::Located, created, bits),
            CursorKey::Near(bits, created, _) => (Order::Near, created, bits),
            CursorKey::Smart(_, bits, created, _) => (Order::Smart, created, bits),
        };
        // Dates are compared as texts on SQLite: four digits of year.
        let storable = |micros: i64| {
            DateTime::<Utc>::from_timestamp_micros(micros)
                .is_some_and(|at| (DateTime::UNIX_EPOCH..=END_OF_TIME).contains(&at))
        };
        let ranked = match *key {
            CursorKey::Smart(moment, ..) => storable(moment),
            _ => true,
        };
        order == self.order() && storable(created) && ranked && f64::from_bits(bits).is_finite()
    }

    /// The order of the list, for rows that were read.
    pub(crate) fn compare(&self, a: &CardRow, b: &CardRow) -> Ordering {
        let recent = b.created_at.cmp(&a.created_at);
        let number = |value: Option<f64>| value.unwrap_or_default();
        let near = number(a.haversine).total_cmp(&number(b.haversine));
        let best = number(b.score).total_cmp(&number(a.score));
        let id = b.id.cmp(&a.id);
        match self.order() {
            Order::Recent => recent.then(id),
            Order::Located => recent.then(near).then(id),
            Order::Near => near.then(recent).then(id),
            Order::Smart => best.then(recent).then(id),
        }
    }

    /// The rows of a page with everything that comes from the same statement.
    pub fn page(&self, window: &Window, dialect: Dialect) -> Statement {
        let mut text = Text::new(self, dialect);
        let chosen = text.choose(Some(window));
        let viewer = text.viewer();
        let (cards_from, one_by_one) = (CARDS_FROM.of(dialect), one_by_one(dialect));
        let nothing = "CAST(NULL AS DOUBLE PRECISION)";
        let haversine = match self.from {
            Some(_) => "page.haversine",
            None => nothing,
        };
        let score = match self.order() {
            Order::Smart => "page.score",
            _ => nothing,
        };
        let sql = format!(
            "{CARDS},
       {haversine} AS haversine, {score} AS score,
       EXISTS (SELECT 1 FROM favorites AS v WHERE v.user_id = {viewer} AND v.flyer_id = f.id{one_by_one}) AS is_favorited,
       EXISTS (SELECT 1 FROM follows AS w WHERE w.follower_id = {viewer} AND w.followed_id = f.creator_id{one_by_one}) AS is_following
FROM ({chosen}
) AS page{cards_from}"
        );
        Statement {
            sql,
            values: text.values,
        }
    }

    /// The count of the list, no further than is shown.
    pub fn count(&self, dialect: Dialect) -> Statement {
        let mut text = Text::new(self, dialect);
        let chosen = text.choose(None);
        Statement {
            sql: format!("SELECT count(*)\nFROM ({chosen}\n) AS counted"),
            values: text.values,
        }
    }
}

/// Later than every date that can be stored, with four digits of year: it sorts as text.
pub(crate) const END_OF_TIME: DateTime<Utc> = match DateTime::from_timestamp(253_402_300_799, 0) {
    Some(time) => time,
    None => DateTime::<Utc>::MAX_UTC,
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_page_and_the_next_one_are_one_text() {
        let filter = Filter::default();
        let first = filter.page(
            &Window {
                after: None,
                limit: 21,
                offset: 0,
            },
            Dialect::Sqlite,
        );
        let next = filter.page(
            &Window {
                after: Some(CursorKey::Recent(1, 1)),
                limit: 21,
                offset: 5,
            },
            Dialect::Sqlite,
        );
        assert_eq!(first.sql, next.sql);
        assert_eq!(END_OF_TIME.to_rfc3339(), "9999-12-31T23:59:59+00:00");
    }

    #[test]
    fn a_cursor_of_another_order_is_not_accepted() {
        let recent = Filter::default();
        assert!(recent.accepts(&CursorKey::Recent(1, 1)));
        assert!(!recent.accepts(&CursorKey::Near(0, 1, 1)));
        assert!(
            !recent.accepts(&CursorKey::Recent(i64::MAX, 1)),
            "no such time"
        );
    }

    #[test]
    fn values_that_happen_to_be_equal_do_not_change_the_text() {
        let text = |viewer, creator, categories: [i64; 2], limit, offset, here| {
            let filter = Filter {
                viewer: Some(viewer),
                creator,
                categories: categories.to_vec(),
                from: Point::new(here, 8.5),
                near: Some(Near { radius_km: 5.0 }).filter(|_| creator.is_none()),
                ..Filter::default()
            };
            let window = Window {
                after: None,
                limit,
                offset,
            };
            (
                filter.page(&window, Dialect::Postgres).sql,
                filter.count(Dialect::Sqlite).sql,
            )
        };
        assert_eq!(
            text(1, Some(2), [3, 4], 5, 6, 47.5),
            text(7, Some(7), [7, 8], 7, 7, 8.5)
        );
        assert_eq!(
            text(1, None, [3, 4], 5, 6, 47.5),
            text(7, None, [7, 8], 7, 7, 8.5)
        );
    }

    #[test]
    fn values_never_stand_in_the_text() {
        let filter = Filter {
            search: Search::Walk {
                folded: "o'brien".to_owned(),
                phrase: None,
            },
            categories: vec![77],
            creator: Some(4711),
            ..Filter::default()
        };
        let sql = filter
            .page(
                &Window {
                    limit: 33,
                    ..Window::default()
                },
                Dialect::Sqlite,
            )
            .sql;
        for value in ["o'brien", "77", "4711", "33"] {
            assert!(!sql.contains(value), "{value} in {sql}");
        }
    }
}

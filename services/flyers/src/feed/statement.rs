//! The SQL of the lists.
//!
//! A page is chosen by an inner query over one index, ids and sort keys only; the outer
//! query reads the rows that are shown and nothing else. Which index is walked depends on
//! the filter:
//!
//! | filter | walks | cost |
//! |---|---|---|
//! | a creator | the creator's flyers | flyers of one creator |
//! | a search with few hits | the hits, then sorts | [`FEW_HITS`] at most |
//! | near me | the box around the circle, then sorts | flyers in the box |
//! | categories | the live flyers of each, merged | the page |
//! | none, or a search with many hits | the live flyers, newest first | the page |
//!
//! SQLite is told which index to use. Its own choice changes with the statistics: after
//! most flyers expire it sorts the whole table for each page (0.03 ms become 225 ms).
//! `CROSS JOIN` likewise fixes the order of the joins; to PostgreSQL it is a plain join.

use std::{cmp::Ordering, fmt::Write as _};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::{
    FromRow,
    query::QueryAs,
    sqlite::{Sqlite, SqliteArguments, SqliteRow},
};

use super::card::CardRow;
use crate::geo::{Point, haversine_of_km};

/// Up to this many hits of a search are read and sorted. At 100 000 flyers the walk
/// meets one of more hits than these every 50 rows or sooner.
pub const FEW_HITS: i64 = 2_000;
/// One more than the count that is shown: tells "exactly" from "at least".
const COUNT_LIMIT: i64 = service_kit::page::COUNT_CAP + 1;

/// Hits of a search, counted no further than needed.
pub const COUNT_HITS: &str = "
SELECT count(*)
FROM (
    SELECT rowid
    FROM flyer_search
    WHERE flyer_search MATCH $1
    LIMIT $2
) AS hits";

/// Whether there is a user.
pub const USER_EXISTS: &str = "SELECT EXISTS (SELECT 1 FROM users AS u WHERE u.id = $1)";

const CARDS: &str = "
SELECT f.id, f.title, f.caption, f.info_field_1, f.info_field_2,
       f.location_address, f.latitude, f.longitude,
       f.publication_date, f.expiration_date, f.is_active, f.created_at,
       f.creator_id, u.username, p.name AS creator_name, p.profile_picture AS creator_picture";

const CARDS_FROM: &str = "
CROSS JOIN flyers AS f
CROSS JOIN users AS u
CROSS JOIN profiles AS p
WHERE f.id = page.id
  AND u.id = f.creator_id
  AND p.user_id = f.creator_id";

/// Which flyers, for whom, seen from where.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Any of these categories; none means all.
    pub categories: Vec<i64>,
    /// What the text must contain, and how to find it.
    pub search: Search,
    /// Only within a distance of `from`, nearest first.
    pub near: Option<Near>,
    /// Where the caller is.
    pub from: Option<Point>,
    /// Only flyers of this user.
    pub creator: Option<i64>,
    /// Whether expired and scheduled flyers are listed.
    pub visibility: Visibility,
    /// The signed-in user.
    pub viewer: Option<i64>,
    /// The present.
    pub now: DateTime<Utc>,
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
    },
    /// From the trigram index: there are few hits.
    Index {
        /// The FTS5 phrase.
        phrase: String,
    },
}

/// Only flyers within a circle.
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
}

/// A statement and what to bind to it, in order.
#[derive(Debug, Clone)]
pub struct Statement {
    /// The text.
    pub sql: String,
    /// The values of `$1`, `$2`, ….
    pub values: Vec<Value>,
}

/// A value to bind.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A whole number or nothing.
    Int(Option<i64>),
    /// A number.
    Real(f64),
    /// A text.
    Text(String),
    /// A point in time.
    Time(DateTime<Utc>),
}

/// Binds values in order.
pub fn bind<'q, O>(
    query: QueryAs<'q, Sqlite, O, SqliteArguments>,
    values: Vec<Value>,
) -> QueryAs<'q, Sqlite, O, SqliteArguments>
where
    O: for<'r> FromRow<'r, SqliteRow>,
{
    values.into_iter().fold(query, |query, value| match value {
        Value::Int(value) => query.bind(value),
        Value::Real(value) => query.bind(value),
        Value::Text(value) => query.bind(value),
        Value::Time(value) => query.bind(value),
    })
}

/// In which order a list is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Recent,
    Located,
    Near,
}

impl Filter {
    fn order(&self) -> Order {
        match (self.near, self.from) {
            (Some(_), _) => Order::Near,
            (None, Some(_)) => Order::Located,
            (None, None) => Order::Recent,
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
        }
    }

    /// Whether a cursor comes from a list in this order, with values that can be bound.
    pub fn accepts(&self, key: &CursorKey) -> bool {
        let (order, created, bits) = match *key {
            CursorKey::Recent(created, _) => (Order::Recent, created, 0),
            CursorKey::Located(created, bits, _) => (Order::Located, created, bits),
            CursorKey::Near(bits, created, _) => (Order::Near, created, bits),
        };
        order == self.order()
            && DateTime::<Utc>::from_timestamp_micros(created).is_some()
            && f64::from_bits(bits).is_finite()
    }

    /// The order of the list, for rows that were read.
    pub(crate) fn compare(&self, a: &CardRow, b: &CardRow) -> Ordering {
        let recent = b.created_at.cmp(&a.created_at);
        let near = a
            .haversine
            .unwrap_or_default()
            .total_cmp(&b.haversine.unwrap_or_default());
        let id = b.id.cmp(&a.id);
        match self.order() {
            Order::Recent => recent.then(id),
            Order::Located => recent.then(near).then(id),
            Order::Near => near.then(recent).then(id),
        }
    }

    /// The rows of a page with everything that comes from the same statement.
    pub fn page(&self, window: &Window) -> Statement {
        let mut text = Text::new(self);
        let chosen = text.choose(Some(window));
        let viewer = text.value(Value::Int(self.viewer));
        let haversine = match self.from {
            Some(_) => "page.haversine",
            None => "CAST(NULL AS DOUBLE PRECISION)",
        };
        let sql = format!(
            "{CARDS},
       {haversine} AS haversine,
       EXISTS (SELECT 1 FROM favorites AS v WHERE v.user_id = {viewer} AND v.flyer_id = f.id) AS is_favorited,
       EXISTS (SELECT 1 FROM follows AS w WHERE w.follower_id = {viewer} AND w.followed_id = f.creator_id) AS is_following
FROM ({chosen}
) AS page{CARDS_FROM}"
        );
        Statement {
            sql,
            values: text.values,
        }
    }

    /// The count of the list, no further than is shown.
    pub fn count(&self) -> Statement {
        let mut text = Text::new(self);
        let chosen = text.choose(None);
        Statement {
            sql: format!("SELECT count(*)\nFROM ({chosen}\n) AS counted"),
            values: text.values,
        }
    }
}

/// A statement in the making.
struct Text<'f> {
    filter: &'f Filter,
    values: Vec<Value>,
}

/// The names of the columns that an inner query sorts and filters by.
struct Names {
    id: &'static str,
    created: &'static str,
    published: &'static str,
    expires: &'static str,
    active: &'static str,
}

const OF_FLYERS: Names = Names {
    id: "w.id",
    created: "w.created_at",
    published: "w.publication_date",
    expires: "w.expiration_date",
    active: "w.is_active",
};

const OF_LINKS: Names = Names {
    id: "c.flyer_id",
    created: "c.created_at",
    published: "c.publication_date",
    expires: "c.expiration_date",
    active: "c.is_active",
};

impl<'f> Text<'f> {
    fn new(filter: &'f Filter) -> Self {
        Self {
            filter,
            values: Vec::new(),
        }
    }

    /// Adds a value, gives its placeholder.
    fn value(&mut self, value: Value) -> String {
        let known = self.values.iter().position(|other| *other == value);
        let at = known.unwrap_or_else(|| {
            self.values.push(value);
            self.values.len() - 1
        });
        format!("${}", at + 1)
    }

    /// The inner query: `id, created_at` (and `haversine`, seen from a place) of a window, or of all up to the
    /// limit of the count.
    fn choose(&mut self, window: Option<&Window>) -> String {
        let filter = self.filter;
        let by_category = filter.creator.is_none()
            && filter.near.is_none()
            && !matches!(filter.search, Search::Index { .. })
            && !filter.categories.is_empty();
        let after = window.and_then(|window| window.after.clone());
        let mut sql = if by_category {
            let arms = filter
                .categories
                .iter()
                .map(|category| self.category_arm(*category, &after));
            // Each arm comes in order from its index: the union merges them and drops
            // doubles as it goes, and stops at the limit.
            arms.collect::<Vec<_>>().join("\n    UNION")
        } else {
            self.flyers(&after)
        };
        // A single arm would be counted faster unsorted; the union must stay a merge.
        if window.is_some() || filter.categories.len() > 1 && by_category {
            sql += match filter.order() {
                Order::Recent => "\n    ORDER BY created_at DESC, id DESC",
                Order::Located => "\n    ORDER BY created_at DESC, haversine, id DESC",
                Order::Near => "\n    ORDER BY haversine, created_at DESC, id DESC",
            };
        }
        let limit = self.value(Value::Int(Some(
            window.map_or(COUNT_LIMIT, |window| window.limit),
        )));
        let _infallible = write!(sql, "\n    LIMIT {limit}");
        if let Some(window) = window {
            let offset = self.value(Value::Int(Some(window.offset)));
            let _infallible = write!(sql, " OFFSET {offset}");
        }
        sql
    }

    /// Live flyers of one category, from the link table alone unless a text or a place
    /// has to be looked at.
    fn category_arm(&mut self, category: i64, after: &Option<CursorKey>) -> String {
        let looks_at_flyer = self.filter.search != Search::None || self.filter.from.is_some();
        let category = self.value(Value::Int(Some(category)));
        let haversine = self.haversine();
        let column = if self.filter.from.is_some() {
            format!(", {haversine} AS haversine")
        } else {
            String::new()
        };
        let mut sql = format!(
            "
    SELECT c.flyer_id AS id, c.created_at AS created_at{column}
    FROM flyer_categories AS c INDEXED BY flyer_categories_live{}
    WHERE c.category_id = {category}",
            if looks_at_flyer {
                "\n    CROSS JOIN flyers AS w"
            } else {
                ""
            },
        );
        if looks_at_flyer {
            sql += "\n      AND w.id = c.flyer_id";
        }
        sql += &self.live(&OF_LINKS);
        sql += &self.containing();
        sql += &self.after(after, &OF_LINKS, &haversine);
        sql
    }

    /// Flyers by creator, hits, box or recency.
    fn flyers(&mut self, after: &Option<CursorKey>) -> String {
        let filter = self.filter;
        let haversine = self.haversine();
        let column = if self.filter.from.is_some() {
            format!(", {haversine} AS haversine")
        } else {
            String::new()
        };
        let near_only = filter.near.is_some() && filter.creator.is_none();
        let (index, narrow) = match (&filter.search, filter.creator) {
            (_, Some(creator)) => {
                let creator = self.value(Value::Int(Some(creator)));
                let index = match filter.visibility {
                    Visibility::Live => "INDEXED BY flyers_live_creator",
                    Visibility::All => "INDEXED BY flyers_creator_recent",
                };
                (index, format!("w.creator_id = {creator}{}", self.hits()))
            }
            (Search::Index { .. }, None) => (
                "NOT INDEXED",
                self.hits().trim_start_matches("\n      AND ").to_owned(),
            ),
            (_, None) if near_only => ("INDEXED BY flyers_live_place", self.in_box()),
            // The first page is the page after the end of time: one text, one plan.
            (_, None) => ("INDEXED BY flyers_live_recent", String::from("TRUE")),
        };
        let mut sql = format!(
            "
    SELECT w.id AS id, w.created_at AS created_at{column}
    FROM flyers AS w {index}
    WHERE {narrow}"
        );
        sql += &self.live(&OF_FLYERS);
        sql += &self.containing();
        sql += &self.in_categories();
        if let Some(near) = filter.near {
            let most = self.value(Value::Real(haversine_of_km(near.radius_km)));
            let _infallible = write!(sql, "\n      AND {haversine} <= {most}");
        }
        sql += &self.after(after, &OF_FLYERS, &haversine);
        sql.replace("WHERE TRUE\n      AND ", "WHERE ")
    }

    fn live(&mut self, names: &Names) -> String {
        if self.filter.visibility == Visibility::All {
            return String::new();
        }
        let Names {
            active,
            published,
            expires,
            ..
        } = names;
        let now = self.value(Value::Time(self.filter.now));
        // The bare column: SQLite matches a partial index by text.
        format!("\n      AND {active}\n      AND {published} <= {now}\n      AND {expires} > {now}")
    }

    fn containing(&mut self) -> String {
        let Search::Walk { folded } = &self.filter.search else {
            return String::new();
        };
        let folded = self.value(Value::Text(folded.clone()));
        format!("\n      AND instr(w.search_text, {folded}) > 0")
    }

    fn hits(&mut self) -> String {
        let Search::Index { phrase } = &self.filter.search else {
            return String::new();
        };
        let phrase = self.value(Value::Text(phrase.clone()));
        let few = self.value(Value::Int(Some(FEW_HITS)));
        format!(
            "\n      AND w.id IN (
          SELECT rowid
          FROM flyer_search
          WHERE flyer_search MATCH {phrase}
          LIMIT {few}
      )"
        )
    }

    fn in_categories(&mut self) -> String {
        if self.filter.categories.is_empty() {
            return String::new();
        }
        let wanted = serde_json::json!(self.filter.categories).to_string();
        let wanted = self.value(Value::Text(wanted));
        format!(
            "\n      AND EXISTS (
          SELECT 1
          FROM flyer_categories AS x
          WHERE x.flyer_id = w.id
            AND x.category_id IN (SELECT value FROM json_each({wanted}))
      )"
        )
    }

    fn in_box(&mut self) -> String {
        let (Some(from), Some(near)) = (self.filter.from, self.filter.near) else {
            return String::from("TRUE");
        };
        let bounds = from.bounds(near.radius_km);
        let mut degrees = |value| self.value(Value::Real(value));
        let (south, north) = (degrees(bounds.lat.0), degrees(bounds.lat.1));
        let [(west, east), (west_2, east_2)] = bounds
            .lng
            .map(|(west, east)| (degrees(west), degrees(east)));
        // The plus signs keep longitude out of the search: where many flyers share few
        // latitudes, fresh statistics make SQLite skip through all of them instead.
        format!(
            "w.latitude BETWEEN {south} AND {north}
      AND (+w.longitude BETWEEN {west} AND {east} OR +w.longitude BETWEEN {west_2} AND {east_2})"
        )
    }

    /// sin² of half the angle to the caller: sorts like the distance, needs no arc sine
    /// (which would fail where rounding passes 1), and is the same on both databases.
    fn haversine(&mut self) -> String {
        let Some(from) = self.filter.from else {
            return String::new();
        };
        let lat = self.value(Value::Real(from.lat));
        let lng = self.value(Value::Real(from.lng));
        let narrowing = self.value(Value::Real(from.lat.to_radians().cos()));
        format!(
            "(power(sin(radians(w.latitude - {lat}) / 2), 2) + {narrowing} * cos(radians(w.latitude)) * power(sin(radians(w.longitude - {lng}) / 2), 2))"
        )
    }

    /// Only rows after a key. The newest-first orders always have a key, at the
    /// beginning one that is later than every row.
    fn after(&mut self, key: &Option<CursorKey>, names: &Names, haversine: &str) -> String {
        let Names { id, created, .. } = names;
        let beginning = CursorKey::Recent(i64::MAX, i64::MAX);
        let order = self.filter.order();
        let key = match key {
            Some(key) => key,
            None if order == Order::Recent => &beginning,
            None => return String::new(),
        };
        let (CursorKey::Recent(at, _) | CursorKey::Located(at, ..) | CursorKey::Near(_, at, _)) =
            *key;
        let (CursorKey::Recent(_, row)
        | CursorKey::Located(_, _, row)
        | CursorKey::Near(_, _, row)) = *key;
        let at = DateTime::from_timestamp_micros(at).unwrap_or(END_OF_TIME);
        let (at, row) = (
            self.value(Value::Time(at)),
            self.value(Value::Int(Some(row))),
        );
        match *key {
            CursorKey::Recent(..) => format!("\n      AND ({created}, {id}) < ({at}, {row})"),
            CursorKey::Located(_, bits, _) => {
                let far = self.value(Value::Real(f64::from_bits(bits)));
                format!(
                    "\n      AND {created} <= {at}
      AND ({created} < {at} OR {haversine} > {far} OR ({haversine} = {far} AND {id} < {row}))"
                )
            }
            CursorKey::Near(bits, ..) => {
                let far = self.value(Value::Real(f64::from_bits(bits)));
                format!(
                    "\n      AND ({haversine} > {far} OR ({haversine} = {far} AND ({created}, {id}) < ({at}, {row})))"
                )
            }
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
        let first = filter.page(&Window {
            after: None,
            limit: 21,
            offset: 0,
        });
        let next = filter.page(&Window {
            after: Some(CursorKey::Recent(1, 1)),
            limit: 21,
            offset: 5,
        });
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
    fn values_never_stand_in_the_text() {
        let filter = Filter {
            search: Search::Walk {
                folded: "o'brien".to_owned(),
            },
            categories: vec![77],
            creator: Some(4711),
            ..Filter::default()
        };
        let sql = filter
            .page(&Window {
                limit: 33,
                ..Window::default()
            })
            .sql;
        for value in ["o'brien", "77", "4711", "33"] {
            assert!(!sql.contains(value), "{value} in {sql}");
        }
    }
}

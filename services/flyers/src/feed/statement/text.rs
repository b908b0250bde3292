//! Putting the text of a list together from its filters.

use std::fmt::Write as _;

use chrono::DateTime;

use service_kit::database::{Dialect, Value};

use super::{
    COUNT_LIMIT, CursorKey, END_OF_TIME, FEW_HITS, Filter, Order, Search, Visibility, Window,
};
use crate::geo::haversine_of_km;

/// A statement in the making.
pub(super) struct Text<'f> {
    filter: &'f Filter,
    dialect: Dialect,
    pub(super) values: Vec<Value>,
    /// The placeholders of values that stand in several places.
    shared: Vec<(Role, String)>,
}

/// What a value means that stands in several places. Values are never matched by what
/// they are: a page size equal to some id would make another text, and another plan.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Now,
    CallerLat,
    CallerLng,
    CallerNarrowing,
    ArmLimit,
    Searched,
    AfterTime,
    AfterId,
    AfterDistance,
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
    pub(super) fn new(filter: &'f Filter, dialect: Dialect) -> Self {
        Self {
            filter,
            dialect,
            values: Vec::new(),
            shared: Vec::new(),
        }
    }

    /// Adds a value, gives its placeholder.
    pub(super) fn value(&mut self, value: Value) -> String {
        self.values.push(value);
        format!("${}", self.values.len())
    }

    /// Like [`Text::value`], with one placeholder for all places of the same role.
    fn shared(&mut self, role: Role, value: Value) -> String {
        if let Some((_, known)) = self.shared.iter().find(|(other, _)| *other == role) {
            return known.clone();
        }
        let placeholder = self.value(value);
        self.shared.push((role, placeholder.clone()));
        placeholder
    }

    /// The inner query: `id, created_at` (and `haversine`, seen from a place) of a window, or of all up to the
    /// limit of the count.
    pub(super) fn choose(&mut self, window: Option<&Window>) -> String {
        let filter = self.filter;
        let by_category = filter.creator.is_none()
            && filter.near.is_none()
            && !matches!(filter.search, Search::Index { .. })
            && !filter.categories.is_empty();
        let after = window.and_then(|window| window.after.clone());
        let mut sql = if by_category {
            self.category_arms(window, &after)
        } else {
            self.flyers(&after)
        };
        // A single arm would be counted faster unsorted; the union must stay a merge.
        if window.is_some() || filter.categories.len() > 1 && by_category {
            sql += filter.order().clause();
        }
        let limit = self.value(window.map_or(COUNT_LIMIT, |window| window.limit).into());
        let _infallible = write!(sql, "\n    LIMIT {limit}");
        if let Some(window) = window {
            let offset = self.value(window.offset.into());
            let _infallible = write!(sql, " OFFSET {offset}");
        }
        sql
    }

    /// Live flyers of any of the categories. Each arm comes in order from its index.
    fn category_arms(&mut self, window: Option<&Window>, after: &Option<CursorKey>) -> String {
        let filter = self.filter;
        let several = filter.categories.len() > 1;
        let arms = filter.categories.iter().zip(1..).map(|(category, number)| {
            let arm = self.category_arm(*category, after);
            // SQLite merges the arms, drops doubles as it goes, and stops at the limit.
            // PostgreSQL would read them to their ends first: each gets the limit of all.
            if !several || self.dialect == Dialect::Sqlite {
                return arm;
            }
            let rows = window.map_or(COUNT_LIMIT, |window| window.limit + window.offset);
            let limit = self.shared(Role::ArmLimit, rows.into());
            let order = filter.order().clause();
            format!("\n    SELECT * FROM ({arm}{order}\n    LIMIT {limit}) AS arm_{number}")
        });
        arms.collect::<Vec<_>>().join("\n    UNION")
    }

    /// What SQLite is told about indexes; PostgreSQL decides by itself.
    fn pinned(&self, words: &'static str) -> &'static str {
        match self.dialect {
            Dialect::Sqlite => words,
            Dialect::Postgres => "",
        }
    }

    /// Live flyers of one category, from the link table alone unless a text or a place
    /// has to be looked at.
    fn category_arm(&mut self, category: i64, after: &Option<CursorKey>) -> String {
        let looks_at_flyer = self.filter.search != Search::None || self.filter.from.is_some();
        let category = self.value(category.into());
        let haversine = self.haversine();
        let column = if self.filter.from.is_some() {
            format!(", {haversine} AS haversine")
        } else {
            String::new()
        };
        let mut sql = format!(
            "
    SELECT c.flyer_id AS id, c.created_at AS created_at{column}
    FROM flyer_categories AS c{}{}
    WHERE c.category_id = {category}",
            self.pinned(" INDEXED BY flyer_categories_live"),
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
                let creator = self.value(creator.into());
                let index = match filter.visibility {
                    Visibility::Live => " INDEXED BY flyers_live_creator",
                    Visibility::All => " INDEXED BY flyers_creator_recent",
                };
                (index, format!("w.creator_id = {creator}{}", self.hits()))
            }
            (Search::Index { .. }, None) => (
                " NOT INDEXED",
                self.hits().trim_start_matches("\n      AND ").to_owned(),
            ),
            (_, None) if near_only => (" INDEXED BY flyers_live_place", self.in_box()),
            // The first page is the page after the end of time: one text, one plan.
            (_, None) => (" INDEXED BY flyers_live_recent", String::from("TRUE")),
        };
        let mut sql = format!(
            "
    SELECT w.id AS id, w.created_at AS created_at{column}
    FROM flyers AS w{}
    WHERE {narrow}",
            self.pinned(index)
        );
        sql += &self.live(&OF_FLYERS);
        sql += &self.containing();
        sql += &self.in_categories();
        if let Some(near) = filter.near {
            let most = self.value(haversine_of_km(near.radius_km).into());
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
        let now = self.shared(Role::Now, self.filter.now.into());
        // The bare column: SQLite matches a partial index by text.
        format!("\n      AND {active}\n      AND {published} <= {now}\n      AND {expires} > {now}")
    }

    fn containing(&mut self) -> String {
        let Search::Walk { folded } = &self.filter.search else {
            return String::new();
        };
        let folded = self.shared(Role::Searched, folded.into());
        let position = match self.dialect {
            Dialect::Sqlite => "instr",
            Dialect::Postgres => "strpos",
        };
        format!("\n      AND {position}(w.search_text, {folded}) > 0")
    }

    fn hits(&mut self) -> String {
        let Search::Index { phrase } = &self.filter.search else {
            return String::new();
        };
        let phrase = self.value(phrase.into());
        if self.dialect == Dialect::Postgres {
            return format!("\n      AND w.search_text LIKE {phrase}");
        }
        let few = self.value(FEW_HITS.into());
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
        let wanted = self.value(self.filter.categories.clone().into());
        let any = match self.dialect {
            Dialect::Sqlite => format!("IN (SELECT value FROM json_each({wanted}))"),
            Dialect::Postgres => format!("= ANY({wanted})"),
        };
        format!(
            "\n      AND EXISTS (
          SELECT 1
          FROM flyer_categories AS x
          WHERE x.flyer_id = w.id
            AND x.category_id {any}
      )"
        )
    }

    fn in_box(&mut self) -> String {
        let (Some(from), Some(near)) = (self.filter.from, self.filter.near) else {
            return String::from("TRUE");
        };
        let bounds = from.bounds(near.radius_km);
        let mut degrees = |value: f64| self.value(value.into());
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
        let lat = self.shared(Role::CallerLat, from.lat.into());
        let lng = self.shared(Role::CallerLng, from.lng.into());
        let narrowing = self.shared(Role::CallerNarrowing, from.lat.to_radians().cos().into());
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
            self.shared(Role::AfterTime, at.into()),
            self.shared(Role::AfterId, row.into()),
        );
        match *key {
            CursorKey::Recent(..) => format!("\n      AND ({created}, {id}) < ({at}, {row})"),
            CursorKey::Located(_, bits, _) => {
                let far = self.shared(Role::AfterDistance, f64::from_bits(bits).into());
                format!(
                    "\n      AND {created} <= {at}
      AND ({created} < {at} OR {haversine} > {far} OR ({haversine} = {far} AND {id} < {row}))"
                )
            }
            CursorKey::Near(bits, ..) => {
                let far = self.shared(Role::AfterDistance, f64::from_bits(bits).into());
                format!(
                    "\n      AND ({haversine} > {far} OR ({haversine} = {far} AND ({created}, {id}) < ({at}, {row})))"
                )
            }
        }
    }
}

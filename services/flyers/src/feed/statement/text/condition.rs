//! The conditions of a list: what a flyer must be to be in it.

use chrono::DateTime;
use service_kit::database::Dialect;

use super::{
    super::{CursorKey, END_OF_TIME, FEW_HITS, Order, Search, Visibility},
    Role, Text, Walk, Wanted,
};
use crate::geo::haversine_of_km;

/// The names of the columns that an inner query sorts and filters by.
pub(super) struct Names {
    id: &'static str,
    created: &'static str,
    published: &'static str,
    expires: &'static str,
    active: &'static str,
}

pub(super) const OF_FLYERS: Names = Names {
    id: "w.id",
    created: "w.created_at",
    published: "w.publication_date",
    expires: "w.expiration_date",
    active: "w.is_active",
};

pub(super) const OF_LINKS: Names = Names {
    id: "c.flyer_id",
    created: "c.created_at",
    published: "c.publication_date",
    expires: "c.expiration_date",
    active: "c.is_active",
};

/// Of flyers whose distance is known already.
pub(super) const OF_NEAREST: Names = Names {
    id: "m.id",
    created: "m.created_at",
    ..OF_FLYERS
};

/// Proximity in the smart order: up to so many kilometres, so many points; 10 beyond.
const PROXIMITY: [(f64, u32); 5] = [(1.0, 100), (5.0, 80), (10.0, 60), (25.0, 40), (50.0, 20)];
/// Seconds after which the age of a flyer is worth 1/e of what it was: 168 hours.
const AGING_S: u32 = 168 * 3600;

/// The end of an EXISTS that is asked for one row after the other. PostgreSQL would read the
/// whole table to hash it: an OFFSET keeps it from making a join or a set of the subquery.
pub(in super::super) fn one_by_one(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Sqlite => "",
        Dialect::Postgres => " OFFSET 0",
    }
}

impl Text<'_> {
    pub(super) fn live(&mut self, names: &Names) -> String {
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
        let live = format!("\n      AND {active}");
        match self.dialect {
            Dialect::Sqlite => {
                format!("{live}\n      AND {published} <= {now}\n      AND {expires} > {now}")
            }
            // Nearly every active flyer is valid. IS TRUE keeps its selectivity and keeps the
            // indexes of the two dates out, which would be read whole to be intersected.
            Dialect::Postgres => {
                format!("{live}\n      AND ({published} <= {now} AND {expires} > {now}) IS TRUE")
            }
        }
    }

    pub(super) fn containing(&mut self) -> String {
        let Search::Walk { folded, .. } = &self.filter.search else {
            return String::new();
        };
        let folded = self.shared(Role::Searched, folded.into());
        let position = match self.dialect {
            Dialect::Sqlite => "instr",
            Dialect::Postgres => "strpos",
        };
        format!("\n      AND {position}(w.search_text, {folded}) > 0")
    }

    pub(super) fn hits(&mut self) -> String {
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

    /// In one of the categories: looked up for one flyer after the other.
    pub(super) fn in_categories(&mut self) -> String {
        self.in_any_category(one_by_one(self.dialect))
    }

    /// Like [`Text::in_categories`], for the many flyers of a circle: PostgreSQL may look
    /// them up together. One by one their price would look high enough to compile the plan.
    pub(super) fn in_categories_together(&mut self) -> String {
        self.in_any_category("")
    }

    fn in_any_category(&mut self, one_by_one: &str) -> String {
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
            AND x.category_id {any}{one_by_one}
      )"
        )
    }

    /// What the viewer has to do with a flyer, unless that is what is walked.
    pub(super) fn related(&mut self, walk: Walk) -> String {
        let mut sql = String::new();
        let one_by_one = one_by_one(self.dialect);
        if self.filter.favorites && walk != Walk::Favorites {
            let viewer = self.viewer();
            sql += &format!(
                "\n      AND EXISTS (SELECT 1 FROM favorites AS y WHERE y.user_id = {viewer} AND y.flyer_id = w.id{one_by_one})"
            );
        }
        if self.filter.following && walk != Walk::Following {
            let viewer = self.viewer();
            sql += &format!(
                "\n      AND EXISTS (SELECT 1 FROM follows AS z WHERE z.follower_id = {viewer} AND z.followed_id = w.creator_id{one_by_one})"
            );
        }
        sql
    }

    /// Inside the circle.
    pub(super) fn within(&mut self) -> String {
        let Some(near) = self.filter.near else {
            return String::new();
        };
        let most = self.value(haversine_of_km(near.radius_km).into());
        format!("\n      AND {} <= {most}", self.haversine())
    }

    /// sin² of half the angle to the caller: sorts like the distance, needs no arc sine
    /// (which would fail where rounding passes 1), and is the same on both databases.
    pub(super) fn haversine(&mut self) -> String {
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

    /// The points of a flyer `n` in the smart order, 80 at most.
    pub(super) fn score(&mut self) -> String {
        let moment = self.value(self.filter.moment.into());
        let age_s = match self.dialect {
            Dialect::Sqlite => {
                format!("max((julianday({moment}) - julianday(n.created_at)) * 86400, 0)")
            }
            Dialect::Postgres => format!(
                "greatest(CAST(extract(epoch FROM CAST({moment} AS TIMESTAMPTZ) - n.created_at) AS DOUBLE PRECISION), 0)"
            ),
        };
        let steps = PROXIMITY.map(|(km, points)| {
            let most = self.value(haversine_of_km(km).into());
            format!(" WHEN n.haversine <= {most} THEN {points}")
        });
        format!(
            "0.4 * 100 * exp(-{age_s} / {AGING_S})
                   + 0.4 * CASE{} ELSE 10 END",
            steps.concat()
        )
    }

    /// Only rows after a key. The newest-first orders always have a key, at the
    /// beginning one that is later than every row.
    pub(super) fn after(&mut self, wanted: &Wanted<'_>, names: &Names, haversine: &str) -> String {
        let Names { id, created, .. } = names;
        let beginning = CursorKey::Recent(i64::MAX, i64::MAX);
        let key = match wanted.after {
            Some(key) => key,
            None if wanted.order == Order::Recent => &beginning,
            None => return String::new(),
        };
        match *key {
            CursorKey::Recent(at, row) => {
                let (at, row) = self.after_row(at, row);
                format!("\n      AND ({created}, {id}) < ({at}, {row})")
            }
            CursorKey::Located(at, bits, row) => {
                let (at, row) = self.after_row(at, row);
                let far = self.shared(Role::AfterDistance, f64::from_bits(bits).into());
                format!(
                    "\n      AND {created} <= {at}
      AND ({created} < {at} OR {haversine} > {far} OR ({haversine} = {far} AND {id} < {row}))"
                )
            }
            CursorKey::Near(bits, at, row) => {
                let (at, row) = self.after_row(at, row);
                let far = self.shared(Role::AfterDistance, f64::from_bits(bits).into());
                format!(
                    "\n      AND ({haversine} > {far} OR ({haversine} = {far} AND ({created}, {id}) < ({at}, {row})))"
                )
            }
            CursorKey::Smart(..) => String::new(),
        }
    }

    /// Only rows after a key of the smart order.
    pub(super) fn after_score(&mut self, key: Option<&CursorKey>) -> String {
        let Some(CursorKey::Smart(_, bits, at, row)) = key else {
            return String::new();
        };
        let (at, row) = (
            self.value(
                DateTime::from_timestamp_micros(*at)
                    .unwrap_or(END_OF_TIME)
                    .into(),
            ),
            self.value((*row).into()),
        );
        let score = self.shared(Role::AfterScore, f64::from_bits(*bits).into());
        format!(
            "
    WHERE ranked.score < {score}
       OR (ranked.score = {score} AND (ranked.created_at, ranked.id) < ({at}, {row}))"
        )
    }

    fn after_row(&mut self, at: i64, row: i64) -> (String, String) {
        let at = DateTime::from_timestamp_micros(at).unwrap_or(END_OF_TIME);
        (
            self.shared(Role::AfterTime, at.into()),
            self.shared(Role::AfterId, row.into()),
        )
    }
}

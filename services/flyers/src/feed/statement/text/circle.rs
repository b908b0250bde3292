//! Walking a circle around the caller.

use service_kit::database::Dialect;

use super::{
    super::{CursorKey, Order, REACHES_KM},
    Role, Text, Wanted,
    condition::{OF_FLYERS, OF_NEAREST},
};
use crate::geo::haversine_of_km;

/// Places of the seven bounds of a circle in the text of a statement.
const BOUNDS: &str = "south, north, west, east, west_2, east_2, most";

/// The longest way on Earth: half its girth, and some more for rounding.
const FARTHEST_KM: f64 = 20_100.0;

// The plus signs keep longitude out of the search: where many flyers share few latitudes,
// fresh statistics make SQLite skip through all of them instead.
const IN_CIRCLE: &str = "w.latitude BETWEEN s.south AND s.north
          AND (+w.longitude BETWEEN s.west AND s.east OR +w.longitude BETWEEN s.west_2 AND s.east_2)";

impl Text<'_> {
    /// Live flyers around the caller. Their distance is computed once for each: the LIMIT
    /// keeps the inner query from being merged into the outer one.
    pub(super) fn around(&mut self, wanted: &Wanted<'_>) -> String {
        let circle = self.circle(wanted);
        let flyers = self.flyers_in_circle();
        let all = match self.dialect {
            Dialect::Sqlite => "LIMIT -1",
            Dialect::Postgres => "OFFSET 0",
        };
        let haversine = self.haversine();
        let mut sql = format!(
            "
    SELECT m.id AS id, m.created_at AS created_at, m.haversine AS haversine
    FROM (
        SELECT w.id AS id, w.created_at AS created_at, {haversine} AS haversine, s.most AS most
        FROM {circle} AS s
        CROSS JOIN {flyers}
        {all}
    ) AS m
    WHERE m.haversine <= m.most"
        );
        sql += &self.after(wanted, &OF_NEAREST, "m.haversine");
        sql
    }

    fn flyers_in_circle(&mut self) -> String {
        let mut sql = format!(
            "flyers AS w{}
        WHERE {IN_CIRCLE}",
            self.pinned(" INDEXED BY flyers_live_place")
        );
        sql += &self.live(&OF_FLYERS);
        sql += &self.containing();
        sql += &self.in_categories_together();
        sql
    }

    /// One row: the circle asked for, or a smaller one that holds as many flyers as the
    /// page needs.
    fn circle(&mut self, wanted: &Wanted<'_>) -> String {
        let filter = self.filter;
        let radius = filter.near.map_or(FARTHEST_KM, |near| near.radius_km);
        let nearest = wanted.order == Order::Near && !wanted.counted;
        let smaller = REACHES_KM
            .into_iter()
            .filter(|reach| nearest && *reach < radius / 2.0);
        let circles: Vec<String> = smaller
            .clone()
            .chain([radius])
            .map(|radius| format!("({})", self.bounds(radius).join(", ")))
            .collect();
        if smaller.count() == 0 {
            return format!(
                "(
            WITH circles ({BOUNDS}) AS (VALUES {})
            SELECT {BOUNDS}
            FROM circles
        )",
                circles.join(", ")
            );
        }
        let last = self.value(haversine_of_km(radius).into());
        let enough = self.shared(Role::Enough, wanted.rows.into());
        let flyers = self.flyers_in_circle();
        let haversine = self.haversine();
        let after = self.after(wanted, &OF_FLYERS, &haversine);
        // A circle that the cursor has left holds nothing any more: it is not looked into.
        let reaches = match wanted.after {
            Some(CursorKey::Near(bits, ..)) => {
                let far = self.shared(Role::AfterDistance, f64::from_bits(*bits).into());
                format!("s.most > {far}\n               AND ")
            }
            _ => String::new(),
        };
        format!(
            "(
            WITH circles ({BOUNDS}) AS (VALUES {})
            SELECT {BOUNDS}
            FROM circles AS s
            WHERE s.most = {last}
               OR {reaches}(
                   SELECT count(*)
                   FROM (
                       SELECT w.id
                       FROM {flyers}
                         AND {haversine} <= s.most{after}
                       LIMIT {enough}
                   ) AS held
               ) = {enough}
            LIMIT 1
        )",
            circles.join(", ")
        )
    }

    /// The values of [`BOUNDS`]; PostgreSQL would take them for texts.
    fn bounds(&mut self, radius_km: f64) -> Vec<String> {
        let Some(from) = self.filter.from else {
            return Vec::new();
        };
        let bounds = from.bounds(radius_km);
        let [(west, east), (west_2, east_2)] = bounds.lng;
        [
            bounds.lat.0,
            bounds.lat.1,
            west,
            east,
            west_2,
            east_2,
            haversine_of_km(radius_km),
        ]
        .map(|bound| format!("CAST({} AS DOUBLE PRECISION)", self.value(bound.into())))
        .into()
    }
}

//! Putting the text of a list together from its filters: which table or index is walked.

mod circle;
pub(super) mod condition;

use std::fmt::Write as _;

use service_kit::database::{Dialect, Value};

use self::condition::{OF_FLYERS, OF_LINKS};
use super::{COUNT_LIMIT, CursorKey, Filter, Order, SMART_CANDIDATES, Search, Visibility, Window};

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
    Viewer,
    CallerLat,
    CallerLng,
    CallerNarrowing,
    /// Rows that are enough: those skipped and those shown.
    Enough,
    Searched,
    AfterTime,
    AfterId,
    AfterDistance,
    AfterScore,
}

/// What the inner query is for.
struct Wanted<'w> {
    /// How its rows are sorted, or how they would be that are only counted.
    order: Order,
    /// Whether they are only counted.
    counted: bool,
    after: Option<&'w CursorKey>,
    /// Rows that are enough.
    rows: i64,
}

/// What is walked to find the flyers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Walk {
    Creator(i64),
    Favorites,
    Hits,
    Following,
    Place,
    Categories,
    Recent,
}

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
    fn value(&mut self, value: Value) -> String {
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

    /// The placeholder of the signed-in user; null for nobody.
    pub(super) fn viewer(&mut self) -> String {
        self.shared(Role::Viewer, Value::Int(self.filter.viewer))
    }

    /// The inner query: `id, created_at` (and `haversine`, seen from a place, and `score` in
    /// the smart order) of a window, or of all up to the limit of the count.
    pub(super) fn choose(&mut self, window: Option<&Window>) -> String {
        let order = self.filter.order();
        let Some(window) = window else {
            return self.counted(order);
        };
        if order == Order::Smart {
            return self.smart(window);
        }
        let mut sql = self.list(&Wanted {
            order,
            counted: false,
            after: window.after.as_ref(),
            rows: window.limit + window.offset,
        });
        sql += order.clause();
        sql += &self.part(window);
        sql
    }

    fn part(&mut self, window: &Window) -> String {
        let limit = self.value(window.limit.into());
        let offset = self.value(window.offset.into());
        format!("\n    LIMIT {limit} OFFSET {offset}")
    }

    fn counted(&mut self, order: Order) -> String {
        let (order, rows) = match order {
            Order::Smart => (Order::Recent, SMART_CANDIDATES),
            order => (order, COUNT_LIMIT),
        };
        let walk = self.walk(true, order);
        if let (
            Walk::Recent,
            Search::Walk {
                phrase: Some(phrase),
                ..
            },
        ) = (walk, &self.filter.search)
        {
            return self.counted_hits(phrase, rows);
        }
        // Only the circle needs distances; the others are counted in the order of an index.
        let order = match walk {
            Walk::Place => order,
            _ => Order::Recent,
        };
        let mut sql = self.list(&Wanted {
            order,
            counted: true,
            after: None,
            rows,
        });
        if self.counts_in_order(walk) {
            sql += order.clause();
        }
        let limit = self.value(rows.into());
        let _infallible = write!(sql, "\n    LIMIT {limit}");
        sql
    }

    /// Live hits of a search without another filter.
    fn counted_hits(&mut self, phrase: &str, rows: i64) -> String {
        let phrase = self.value(phrase.into());
        let mut sql = match self.dialect {
            Dialect::Sqlite => format!(
                "
    SELECT w.id AS id
    FROM flyer_search
    CROSS JOIN flyers AS w NOT INDEXED
    WHERE flyer_search MATCH {phrase}
      AND w.id = flyer_search.rowid"
            ),
            Dialect::Postgres => format!(
                "
    SELECT w.id AS id
    FROM flyers AS w
    WHERE w.search_text LIKE {phrase}"
            ),
        };
        sql += &self.live(&OF_FLYERS);
        let limit = self.value(rows.into());
        let _infallible = write!(sql, "\n    LIMIT {limit}");
        sql
    }

    /// Whether a count keeps to the order of its index. A union must stay a merge. On SQLite
    /// a single walk is counted faster unsorted; PostgreSQL would gather all rows of a
    /// creator, or read the table from its beginning, where all may have expired.
    fn counts_in_order(&self, walk: Walk) -> bool {
        let union = walk == Walk::Categories && self.filter.categories.len() > 1;
        let walks_index = match walk {
            // Few are hits or near: the order would only tempt to walk the flyers of all.
            Walk::Creator(_) => {
                self.filter.near.is_none() && !matches!(self.filter.search, Search::Index { .. })
            }
            Walk::Categories | Walk::Recent => true,
            Walk::Favorites | Walk::Hits | Walk::Following | Walk::Place => false,
        };
        union || (walks_index && self.dialect == Dialect::Postgres)
    }

    /// The best of the newest flyers of the list.
    fn smart(&mut self, window: &Window) -> String {
        let newest = self.list(&Wanted {
            order: Order::Recent,
            counted: false,
            after: None,
            rows: SMART_CANDIDATES,
        });
        let newest = newest + Order::Recent.clause();
        let candidates = self.value(SMART_CANDIDATES.into());
        let score = self.score();
        let after = self.after_score(window.after.as_ref());
        let mut sql = format!(
            "
    SELECT ranked.id AS id, ranked.created_at AS created_at, ranked.haversine AS haversine, ranked.score AS score
    FROM (
        SELECT n.id AS id, n.created_at AS created_at, n.haversine AS haversine,
               {score} AS score
        FROM ({newest}
        LIMIT {candidates}
        ) AS n
    ) AS ranked{after}"
        );
        sql += Order::Smart.clause();
        sql += &self.part(window);
        sql
    }

    fn walk(&self, counted: bool, order: Order) -> Walk {
        let filter = self.filter;
        let nearest = order == Order::Near && !counted;
        if let Some(creator) = filter.creator {
            Walk::Creator(creator)
        } else if filter.favorites {
            Walk::Favorites
        } else if matches!(filter.search, Search::Index { .. }) {
            Walk::Hits
        } else if filter.following {
            Walk::Following
        } else if filter.near.is_some() || nearest {
            Walk::Place
        } else if filter.categories.is_empty() {
            Walk::Recent
        } else {
            Walk::Categories
        }
    }

    fn list(&mut self, wanted: &Wanted<'_>) -> String {
        match self.walk(wanted.counted, wanted.order) {
            Walk::Categories => self.category_arms(wanted),
            Walk::Place => self.around(wanted),
            Walk::Following if self.dialect == Dialect::Postgres => self.creator_arms(wanted),
            walk => self.flyers(walk, wanted),
        }
    }

    /// What SQLite is told about indexes; PostgreSQL decides by itself.
    fn pinned(&self, words: &'static str) -> &'static str {
        match self.dialect {
            Dialect::Sqlite => words,
            Dialect::Postgres => "",
        }
    }

    /// `, … AS haversine` where the caller said where they are.
    fn haversine_column(&mut self) -> String {
        match self.filter.from {
            Some(_) => format!(", {} AS haversine", self.haversine()),
            None => String::new(),
        }
    }

    /// Flyers of a creator, of favorites, of creators, of hits, or by recency.
    fn flyers(&mut self, walk: Walk, wanted: &Wanted<'_>) -> String {
        let column = self.haversine_column();
        let (tables, narrow) = self.tables(walk);
        let mut sql = format!(
            "
    SELECT w.id AS id, w.created_at AS created_at{column}
    FROM {tables}
    WHERE {narrow}"
        );
        sql += &self.live(&OF_FLYERS);
        sql += &self.containing();
        sql += &self.in_categories();
        sql += &self.related(walk);
        sql += &self.within();
        let haversine = self.haversine();
        sql += &self.after(wanted, &OF_FLYERS, &haversine);
        sql.replace("WHERE TRUE\n      AND ", "WHERE ")
    }

    /// The tables in the order of their joins, and what the first one is searched by.
    fn tables(&mut self, walk: Walk) -> (String, String) {
        let flyers = |index: &str| format!("flyers AS w{index}");
        match walk {
            Walk::Creator(creator) => {
                let creator = self.value(creator.into());
                let index = match self.filter.visibility {
                    Visibility::Live => " INDEXED BY flyers_live_creator",
                    Visibility::All => " INDEXED BY flyers_creator_recent",
                };
                let (tables, hits) = self.among_hits(flyers(self.pinned(index)));
                (tables, format!("w.creator_id = {creator}{hits}"))
            }
            Walk::Hits => {
                let (tables, hits) = self.among_hits(flyers(self.pinned(" NOT INDEXED")));
                (tables, format!("TRUE{hits}"))
            }
            Walk::Favorites => {
                let viewer = self.viewer();
                let hits = self.hits();
                self.favorites(&viewer, &hits)
            }
            Walk::Following => {
                let viewer = self.viewer();
                (
                    "follows AS r INDEXED BY follows_pair
    CROSS JOIN flyers AS w INDEXED BY flyers_live_creator"
                        .to_owned(),
                    format!("r.follower_id = {viewer}\n      AND w.creator_id = r.followed_id"),
                )
            }
            // The first page is the page after the end of time: one text, one plan.
            Walk::Place | Walk::Categories | Walk::Recent => (
                flyers(self.pinned(" INDEXED BY flyers_live_recent")),
                "TRUE".to_owned(),
            ),
        }
    }

    /// Flyers and the condition that they are hits. PostgreSQL finds the hits first, for there
    /// are few: the OFFSET keeps it from walking all flyers of a creator, or all, for them.
    fn among_hits(&mut self, flyers: String) -> (String, String) {
        let hits = self.hits();
        if hits.is_empty() || self.dialect == Dialect::Sqlite {
            return (flyers, hits);
        }
        let hits = hits.trim_start_matches("\n      AND ");
        let tables = format!(
            "(
        SELECT {LOOKED_AT}
        FROM flyers AS w
        WHERE {hits}
        OFFSET 0
    ) AS w"
        );
        (tables, String::new())
    }

    /// From the favorites to their flyers, one after the other.
    fn favorites(&self, viewer: &str, hits: &str) -> (String, String) {
        match self.dialect {
            Dialect::Sqlite => (
                "favorites AS r INDEXED BY favorites_user_flyer
    CROSS JOIN flyers AS w NOT INDEXED"
                    .to_owned(),
                format!("r.user_id = {viewer}\n      AND w.id = r.flyer_id{hits}"),
            ),
            Dialect::Postgres => (
                format!("favorites AS r{}", flyer_of("r.flyer_id")),
                format!("r.user_id = {viewer}{hits}"),
            ),
        }
    }

    /// PostgreSQL: the first flyers of each creator whom the viewer follows.
    fn creator_arms(&mut self, wanted: &Wanted<'_>) -> String {
        let column = self.haversine_column();
        let passed_on = if column.is_empty() {
            ""
        } else {
            ", w.haversine AS haversine"
        };
        let mut arm = format!(
            "
        SELECT w.id AS id, w.created_at AS created_at{column}
        FROM flyers AS w
        WHERE w.creator_id = r.followed_id"
        );
        arm += &self.live(&OF_FLYERS);
        arm += &self.containing();
        arm += &self.in_categories();
        arm += &self.within();
        let haversine = self.haversine();
        arm += &self.after(wanted, &OF_FLYERS, &haversine);
        if !wanted.counted {
            arm += wanted.order.clause();
        }
        let enough = self.shared(Role::Enough, wanted.rows.into());
        let viewer = self.viewer();
        format!(
            "
    SELECT w.id AS id, w.created_at AS created_at{passed_on}
    FROM follows AS r
    CROSS JOIN LATERAL ({arm}
        LIMIT {enough}
    ) AS w
    WHERE r.follower_id = {viewer}"
        )
    }

    /// Live flyers of any of the categories. Each arm comes in order from its index.
    fn category_arms(&mut self, wanted: &Wanted<'_>) -> String {
        let filter = self.filter;
        let several = filter.categories.len() > 1;
        let arms = filter.categories.iter().zip(1..).map(|(category, number)| {
            let arm = self.category_arm(*category, wanted);
            // SQLite merges the arms, drops doubles as it goes, and stops at the limit.
            // PostgreSQL would read them to their ends first: each gets the limit of all.
            if !several || self.dialect == Dialect::Sqlite {
                return arm;
            }
            let enough = self.shared(Role::Enough, wanted.rows.into());
            let order = wanted.order.clause();
            format!("\n    SELECT * FROM ({arm}{order}\n    LIMIT {enough}) AS arm_{number}")
        });
        arms.collect::<Vec<_>>().join("\n    UNION")
    }

    /// Live flyers of one category, from the link table alone unless a text or a place
    /// has to be looked at.
    fn category_arm(&mut self, category: i64, wanted: &Wanted<'_>) -> String {
        let looks_at_flyer = self.filter.search != Search::None || self.filter.from.is_some();
        let category = self.value(category.into());
        let column = self.haversine_column();
        let mut sql = format!(
            "
    SELECT c.flyer_id AS id, c.created_at AS created_at{column}
    FROM flyer_categories AS c{}",
            self.pinned(" INDEXED BY flyer_categories_live"),
        );
        sql += &match (looks_at_flyer, self.dialect) {
            (false, _) => format!("\n    WHERE c.category_id = {category}"),
            (true, Dialect::Sqlite) => format!(
                "\n    CROSS JOIN flyers AS w
    WHERE c.category_id = {category}
      AND w.id = c.flyer_id"
            ),
            (true, Dialect::Postgres) => {
                let flyer = flyer_of("c.flyer_id");
                format!("{flyer}\n    WHERE c.category_id = {category}")
            }
        };
        sql += &self.live(&OF_LINKS);
        sql += &self.containing();
        let haversine = self.haversine();
        sql += &self.after(wanted, &OF_LINKS, &haversine);
        sql
    }
}

/// What lists look at in a flyer.
const LOOKED_AT: &str = "w.id, w.creator_id, w.created_at, w.publication_date, w.expiration_date,
               w.is_active, w.latitude, w.longitude, w.search_text";

/// The flyer `w` of a row that was found first, on PostgreSQL. The LIMIT keeps it from reading
/// all flyers to join them at once.
fn flyer_of(id: &str) -> String {
    format!(
        "
    CROSS JOIN LATERAL (
        SELECT {LOOKED_AT}
        FROM flyers AS w
        WHERE w.id = {id}
        LIMIT 1
    ) AS w"
    )
}

//! Every statement keeps its plan: without statistics, with them, and after most
//! flyers were swept away. The plan is that of the very text that the service runs.

use chrono::{DateTime, Utc};
use flyers::{
    STATEMENTS,
    feed::statement::{self, CursorKey, Filter, Near, Search, Statement, Visibility, Window},
    geo::Point,
};
use sqlx::AssertSqlSafe;

use crate::{bulk, running::Running};

/// The lines of a plan. The connection that writes makes it: it is the one that ran
/// ANALYZE last, and so the only one that surely knows the newest statistics.
fn explain(service: &Running, statement: Statement) -> Vec<String> {
    let sql = format!("EXPLAIN QUERY PLAN {}", statement.sql);
    let query = sqlx::query_as(AssertSqlSafe(sql)).persistent(false);
    let rows: Vec<(i64, i64, i64, String)> = service
        .runtime
        .block_on(statement::bind(query, statement.values).fetch_all(service.database.write()))
        .unwrap();
    rows.into_iter().map(|(_, _, _, detail)| detail).collect()
}

/// A list and what its plan must look like.
struct List {
    name: &'static str,
    filter: Filter,
    /// Beginnings of lines that the plan of every page has.
    walks: &'static [&'static str],
    /// Sorts that are bounded, and so allowed.
    sorts: &'static [&'static str],
    /// A key somewhere inside the list.
    cursor: CursorKey,
}

const SORT: &[&str] = &["USE TEMP B-TREE FOR ORDER BY"];
const TIES: &[&str] = &["USE TEMP B-TREE FOR LAST 2 TERMS OF ORDER BY"];
/// The arms of a union sort ties of one moment, each by all its columns.
const TIES_OF_UNION: &[&str] = &["USE TEMP B-TREE FOR LAST"];
const RECENT: CursorKey = CursorKey::Recent(1_700_000_000_000_000, 500);
const LOCATED: CursorKey = CursorKey::Located(1_700_000_000_000_000, 0x3e50_0000_0000_0000, 500);
const NEAREST: CursorKey = CursorKey::Near(0x3e50_0000_0000_0000, 1_700_000_000_000_000, 500);

const FEED: &str = "SEARCH w USING COVERING INDEX flyers_live_recent (created_at<?)";
const OF_CREATOR: &str =
    "SEARCH w USING COVERING INDEX flyers_live_creator (creator_id=? AND created_at<?)";
const OF_OWNER: &str =
    "SEARCH w USING COVERING INDEX flyers_creator_recent (creator_id=? AND created_at<?)";
const IN_BOX: &str = "SEARCH w USING COVERING INDEX flyers_live_place (latitude>? AND latitude<?)";
const OF_CATEGORY: &str = "SEARCH c USING COVERING INDEX flyer_categories_live (category_id=? AND (created_at,flyer_id)<(?,?))";
const HITS: &[&str] = &[
    "SEARCH w USING INTEGER PRIMARY KEY (rowid=?)",
    "SCAN flyer_search VIRTUAL TABLE",
];

/// Every kind of list, without and with a place to see it from.
fn lists(now: DateTime<Utc>) -> Vec<List> {
    let live = Filter {
        now,
        ..Filter::default()
    };
    let walk = |folded: &str| Search::Walk {
        folded: folded.to_owned(),
    };
    let index = || Search::Index {
        phrase: "\"konzert\"".to_owned(),
    };
    let located = |filter: Filter| Filter {
        from: Some(Point {
            lat: 47.3769,
            lng: 8.5417,
        }),
        ..filter
    };
    let near = |filter: Filter, radius_km: f64| Filter {
        near: Some(Near { radius_km }),
        ..located(filter)
    };
    let creator = Filter {
        creator: Some(1),
        ..live.clone()
    };
    let own = Filter {
        visibility: Visibility::All,
        ..creator.clone()
    };
    let in_categories = |filter: &Filter, categories: &[i64]| Filter {
        categories: categories.to_vec(),
        ..filter.clone()
    };
    let searching = |filter: &Filter, search: Search| Filter {
        search,
        ..filter.clone()
    };
    let recent = |name, filter, walks, sorts| List {
        name,
        filter,
        walks,
        sorts,
        cursor: RECENT,
    };
    let from_a_place = |name, filter, walks, sorts| List {
        name,
        filter: located(filter),
        walks,
        sorts,
        cursor: LOCATED,
    };
    let nearest = |name, filter, walks| List {
        name,
        filter: near(filter, 5.0),
        walks,
        sorts: SORT,
        cursor: NEAREST,
    };
    vec![
        recent("feed", live.clone(), &[FEED], &[]),
        from_a_place(
            "feed with distance",
            live.clone(),
            &["SCAN w USING COVERING INDEX flyers_live_recent"],
            TIES,
        ),
        recent("creator", creator.clone(), &[OF_CREATOR], &[]),
        from_a_place(
            "creator with distance",
            creator.clone(),
            &["SEARCH w USING COVERING INDEX flyers_live_creator (creator_id=?"],
            TIES,
        ),
        recent("own", own.clone(), &[OF_OWNER], &[]),
        nearest("near me", live.clone(), &[IN_BOX]),
        nearest("near me, category", in_categories(&live, &[1]), &[IN_BOX]),
        nearest(
            "near me, search",
            searching(&live, walk("konzert")),
            // The text is not in the index, so it does not cover.
            &["SEARCH w USING INDEX flyers_live_place (latitude>? AND latitude<?)"],
        ),
        nearest("near me, few hits", searching(&live, index()), HITS),
        nearest(
            "near me, creator",
            creator.clone(),
            &["SEARCH w USING COVERING INDEX flyers_live_creator (creator_id=?"],
        ),
        recent("category", in_categories(&live, &[1]), &[OF_CATEGORY], &[]),
        recent(
            "categories",
            in_categories(&live, &[1, 5, 7]),
            &["MERGE (UNION)", OF_CATEGORY],
            &[],
        ),
        from_a_place(
            "category with distance",
            in_categories(&live, &[1]),
            &[
                "SEARCH c USING COVERING INDEX flyer_categories_live (category_id=?",
                "SEARCH w USING INTEGER PRIMARY KEY (rowid=?)",
            ],
            TIES,
        ),
        recent(
            "category, search",
            searching(&in_categories(&live, &[1]), walk("konzert")),
            &[OF_CATEGORY, "SEARCH w USING INTEGER PRIMARY KEY (rowid=?)"],
            &[],
        ),
        recent(
            "many hits",
            searching(&live, walk("konzert")),
            &["SEARCH w USING INDEX flyers_live_recent (created_at<?)"],
            &[],
        ),
        recent(
            "short search",
            searching(&live, walk("zq")),
            &["SEARCH w USING INDEX flyers_live_recent (created_at<?)"],
            &[],
        ),
        recent("few hits", searching(&live, index()), HITS, SORT),
        recent(
            "few hits, category",
            searching(&in_categories(&live, &[1]), index()),
            HITS,
            SORT,
        ),
        from_a_place(
            "few hits with distance",
            searching(&live, index()),
            HITS,
            SORT,
        ),
        recent(
            "creator, category",
            in_categories(&creator, &[1]),
            &[OF_CREATOR],
            &[],
        ),
        recent(
            "creator, few hits",
            searching(&creator, index()),
            &[OF_CREATOR, "SCAN flyer_search VIRTUAL TABLE"],
            &[],
        ),
        recent(
            "own, few hits",
            searching(&own, index()),
            &[OF_OWNER, "SCAN flyer_search VIRTUAL TABLE"],
            &[],
        ),
        nearest(
            "own, near me",
            own.clone(),
            // The place is not in the index of the owner's flyers.
            &["SEARCH w USING INDEX flyers_creator_recent (creator_id=?"],
        ),
        from_a_place(
            "categories with distance",
            in_categories(&live, &[1, 5, 7]),
            &[
                "MERGE (UNION)",
                "SEARCH c USING COVERING INDEX flyer_categories_live (category_id=?",
            ],
            TIES_OF_UNION,
        ),
        recent(
            "creator, search",
            searching(&creator, walk("konzert")),
            &["SEARCH w USING INDEX flyers_live_creator (creator_id=? AND created_at<?)"],
            &[],
        ),
    ]
}

/// What may be read whole: the results of inner queries, which have a LIMIT, and the
/// seven categories.
const BOUNDED: [&str; 11] = [
    "SCAN page",
    "SCAN counted",
    "SCAN hits",
    "SCAN own",
    "SCAN wanted",
    "SCAN value",
    "SCAN json_each",
    "SCAN flyer_search VIRTUAL TABLE",
    "SCAN CONSTANT ROW",
    "SCAN (subquery",
    "SCAN categories",
];

/// The index that is walked in order until there are enough rows.
const ORDERED_WALK: &str = "INDEX flyers_live_recent";

/// Reads that grow with the table and sorts that nobody allowed.
fn faults<'p>(plan: &'p [String], sorts: &[&str]) -> Vec<&'p String> {
    plan.iter()
        .filter(|line| {
            let scan = line.starts_with("SCAN ")
                && !line.contains(ORDERED_WALK)
                && !BOUNDED.iter().any(|bounded| line.starts_with(bounded));
            let sort = line.contains("TEMP B-TREE")
                && !sorts.iter().any(|allowed| line.starts_with(allowed));
            scan || sort || line.contains("AUTOMATIC")
        })
        .collect()
}

/// First page, numbered page, page after a cursor, of a list.
fn windows(cursor: &CursorKey) -> [(&'static str, Window); 3] {
    let window = |after: Option<&CursorKey>, offset| Window {
        after: after.cloned(),
        limit: 21,
        offset,
    };
    [
        ("first page", window(None, 0)),
        ("page 50", window(None, 980)),
        ("after a cursor", window(Some(cursor), 0)),
    ]
}

fn every_plan_is_good(service: &Running, when: &str) {
    for list in lists(service_kit::clock::now()) {
        for viewer in [None, Some(1)] {
            let filter = Filter {
                viewer,
                ..list.filter.clone()
            };
            assert!(
                filter.accepts(&list.cursor),
                "{}: a key of this order",
                list.name
            );
            for (kind, window) in windows(&list.cursor) {
                let what = format!("{when}: {}, {kind}, viewer {viewer:?}", list.name);
                let statement = filter.page(&window);
                let sql = statement.sql.clone();
                let plan = explain(service, statement);
                let found = faults(&plan, list.sorts);
                assert!(found.is_empty(), "{what}: {found:?}\n{plan:#?}\n{sql}");
                for part in list.walks {
                    // After a cursor the walk begins inside the index.
                    let inside = part.replacen("SCAN", "SEARCH", 1);
                    let has = |line: &String| line.starts_with(part) || line.starts_with(&inside);
                    assert!(
                        plan.iter().any(has),
                        "{what}: no `{part}`\n{plan:#?}\n{sql}"
                    );
                }
            }
            let plan = explain(service, filter.count());
            assert!(
                faults(&plan, list.sorts).is_empty(),
                "{when}: count of {}\n{plan:#?}",
                list.name
            );
        }
    }
    for (name, sql) in STATEMENTS {
        let statement = Statement {
            sql: (*sql).to_owned(),
            values: Vec::new(),
        };
        let plan = explain(service, statement);
        // Seven categories are sorted, and the table is read whole.
        let sorts = if *name == "categories" { SORT } else { &[] };
        assert!(faults(&plan, sorts).is_empty(), "{when}: {name}\n{plan:#?}");
    }
}

fn forget_statistics(service: &Running) {
    service.execute("ANALYZE");
    service.execute("DELETE FROM sqlite_stat1");
    // Makes the planner read the empty table.
    service.execute("ANALYZE sqlite_schema");
}

#[test]
fn seed_000_plans_hold_at_100_000_flyers_through_a_mass_expiry() {
    let service = Running::empty();
    bulk::fill(&service, 100_000);
    every_plan_is_good(&service, "never analyzed");
    service.execute("ANALYZE");
    every_plan_is_good(&service, "analyzed");

    let expired = service.execute(bulk::EXPIRE_19_OF_20);
    assert_eq!(expired, 95_000);
    every_plan_is_good(&service, "expired, old statistics");
    service.execute("ANALYZE");
    every_plan_is_good(&service, "expired, analyzed");

    let swept = service.execute(bulk::SWEEP);
    assert!(swept >= expired, "{swept}");
    every_plan_is_good(&service, "swept, old statistics");
    service.execute("ANALYZE");
    every_plan_is_good(&service, "swept, analyzed");
    forget_statistics(&service);
    every_plan_is_good(&service, "swept, no statistics");
}

#[test]
fn seed_000_plans_hold_at_1000_seeded_flyers() {
    let service = Running::seeded(1000);
    every_plan_is_good(&service, "seeded");
    forget_statistics(&service);
    every_plan_is_good(&service, "without statistics");
}

#[test]
fn plans_hold_on_an_empty_database() {
    every_plan_is_good(&Running::empty(), "empty");
}

#[test]
fn a_bad_plan_is_noticed() {
    let service = Running::seeded(200);
    let plan = |sql: &str| {
        let statement = Statement {
            sql: sql.to_owned(),
            values: Vec::new(),
        };
        explain(&service, statement)
    };
    for bad in [
        "SELECT id FROM flyers AS w WHERE title = 'x'",
        "SELECT id FROM flyers AS w INDEXED BY flyers_active_expiration WHERE is_active ORDER BY created_at LIMIT 9",
        "SELECT w.id FROM flyers AS w, flyers AS x WHERE w.title = x.title",
    ] {
        assert!(!faults(&plan(bad), &[]).is_empty(), "{bad}");
    }
}

#[test]
fn seed_000_001_002_required_indexes_exist() {
    let service = Running::empty();
    let indexes: Vec<(String, String)> = service
        .runtime
        .block_on(
            sqlx::query_as(
                "SELECT m.tbl_name, (SELECT group_concat(name, ',') FROM (SELECT name FROM pragma_index_info(m.name) ORDER BY seqno))
                 FROM sqlite_schema AS m WHERE m.type = 'index'",
            )
            .fetch_all(service.database.read()),
        )
        .unwrap();
    for (table, columns) in [
        ("users", "email"),
        ("users", "username"),
        ("profiles", "user_id"),
        ("privacy_settings", "user_id"),
        ("flyers", "is_active"),
        ("flyers", "expiration_date"),
        ("flyers", "is_active,expiration_date"),
        ("flyers", "creator_id"),
        ("flyers", "created_at"),
        ("flyers", "latitude,longitude"),
        ("flyers", "publication_date,expiration_date"),
        ("flyer_images", "flyer_id,position"),
        ("categories", "name"),
        ("categories", "slug"),
        ("favorites", "user_id,flyer_id"),
        ("favorites", "user_id"),
        ("favorites", "user_id,created_at"),
        ("favorites", "flyer_id,created_at"),
        ("follows", "follower_id,followed_id"),
        ("follows", "follower_id"),
        ("follows", "follower_id,created_at"),
        ("follows", "followed_id"),
    ] {
        let found = indexes.iter().any(|(on, of)| {
            on == table && (of == columns || of.starts_with(&format!("{columns},")))
        });
        assert!(found, "no index on {table} ({columns})");
    }
}

#[test]
fn a_sweep_reaches_the_category_links() {
    let service = Running::seeded(400);
    service.execute("UPDATE flyers SET is_active = FALSE");
    assert_eq!(
        service.execute("UPDATE flyer_categories SET is_active = is_active WHERE is_active"),
        0
    );
    assert_eq!(
        service
            .get("/api/v1/flyers/feed/?categories=events")
            .expect(200)["count"],
        0
    );
}

//! Every statement keeps its plan: without statistics, with them, and after most
//! flyers were swept away. The plan is that of the very text that the service runs.

use chrono::{DateTime, Utc};
use flyers::{
    STATEMENTS,
    feed::statement::{Filter, Near, Search, Value, Visibility, Window},
    geo::Point,
};
use sqlx::{AssertSqlSafe, Row as _};

use crate::running::Running;

fn explain(service: &Running, sql: &str, values: &[Value]) -> Vec<String> {
    let query = sqlx::query(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}")));
    let query = values
        .iter()
        .cloned()
        .fold(query, |query, value| match value {
            Value::Int(value) => query.bind(value),
            Value::Real(value) => query.bind(value),
            Value::Text(value) => query.bind(value),
            Value::Time(value) => query.bind(value),
        });
    let rows = service
        .runtime
        .block_on(query.fetch_all(service.database.read()))
        .unwrap();
    rows.iter()
        .map(|row| row.get::<String, _>("detail"))
        .collect()
}

fn lists(
    now: DateTime<Utc>,
) -> Vec<(
    &'static str,
    Filter,
    &'static [&'static str],
    &'static [&'static str],
)> {
    let zurich = Some(Point {
        lat: 47.3769,
        lng: 8.5417,
    });
    let live = || Filter {
        now,
        ..Filter::default()
    };
    let walk = || Search::Walk {
        folded: "konzert".to_owned(),
    };
    let index = || Search::Index {
        phrase: "\"konzert\"".to_owned(),
    };
    let near = Some(Near { radius_km: 5.0 });
    const SORT: &[&str] = &["USE TEMP B-TREE FOR ORDER BY"];
    const TIES: &[&str] = &["USE TEMP B-TREE FOR LAST 2 TERMS OF ORDER BY"];
    // Name, filter, what the plan must have, which sorts are bounded and allowed.
    vec![
        (
            "feed",
            live(),
            &["SEARCH w USING COVERING INDEX flyers_live_recent (created_at<?)"],
            &[],
        ),
        (
            "feed with distance",
            Filter {
                from: zurich,
                ..live()
            },
            &["SCAN w USING COVERING INDEX flyers_live_recent"],
            TIES,
        ),
        (
            "creator",
            Filter {
                creator: Some(1),
                ..live()
            },
            &["SEARCH w USING COVERING INDEX flyers_live_creator (creator_id=? AND created_at<?)"],
            &[],
        ),
        (
            "own",
            Filter {
                creator: Some(1),
                visibility: Visibility::All,
                ..live()
            },
            &[
                "SEARCH w USING COVERING INDEX flyers_creator_recent (creator_id=? AND created_at<?)",
            ],
            &[],
        ),
        (
            "near me",
            Filter {
                from: zurich,
                near,
                ..live()
            },
            &["SEARCH w USING COVERING INDEX flyers_live_place (latitude>? AND latitude<?)"],
            SORT,
        ),
        (
            "category",
            Filter {
                categories: vec![1],
                ..live()
            },
            &[
                "SEARCH c USING COVERING INDEX flyer_categories_live (category_id=? AND (created_at,flyer_id)<(?,?))",
            ],
            &[],
        ),
        (
            "categories",
            Filter {
                categories: vec![1, 5, 7],
                ..live()
            },
            &[
                "MERGE (UNION)",
                "SEARCH c USING COVERING INDEX flyer_categories_live (category_id=? AND (created_at,flyer_id)<(?,?))",
            ],
            &[],
        ),
        (
            "category and search",
            Filter {
                categories: vec![1],
                search: walk(),
                ..live()
            },
            &[
                "SEARCH c USING COVERING INDEX flyer_categories_live (category_id=? AND (created_at,flyer_id)<(?,?))",
                "SEARCH w USING INTEGER PRIMARY KEY (rowid=?)",
            ],
            &[],
        ),
        (
            "many hits",
            Filter {
                search: walk(),
                ..live()
            },
            &["SEARCH w USING INDEX flyers_live_recent (created_at<?)"],
            &[],
        ),
        (
            "few hits",
            Filter {
                search: index(),
                ..live()
            },
            &[
                "SEARCH w USING INTEGER PRIMARY KEY (rowid=?)",
                "SCAN flyer_search VIRTUAL TABLE",
            ],
            SORT,
        ),
        (
            "few hits near me",
            Filter {
                search: index(),
                from: zurich,
                near,
                ..live()
            },
            &["SEARCH w USING INTEGER PRIMARY KEY (rowid=?)"],
            SORT,
        ),
        (
            "creator and category",
            Filter {
                creator: Some(1),
                categories: vec![1],
                ..live()
            },
            &["SEARCH w USING COVERING INDEX flyers_live_creator (creator_id=? AND created_at<?)"],
            &[],
        ),
    ]
}

/// Reads that grow with the table and sorts that nobody allowed.
fn faults<'p>(plan: &'p [String], sorts: &[&str]) -> Vec<&'p String> {
    plan.iter()
        .filter(|line| {
            let scan = line.starts_with("SCAN ")
                && !line.contains("USING INDEX")
                && !line.contains("USING COVERING INDEX")
                && ![
                    "SCAN page",
                    "SCAN n",
                    "SCAN counted",
                    "SCAN hits",
                    "SCAN own",
                    "SCAN wanted",
                    "SCAN value",
                    "SCAN json_each",
                    "SCAN flyer_search",
                    "SCAN CONSTANT ROW",
                    "SCAN (subquery",
                    "SCAN categories",
                ]
                .iter()
                .any(|bounded| line.starts_with(bounded));
            let sort = line.contains("TEMP B-TREE")
                && !sorts.iter().any(|allowed| line.starts_with(allowed));
            scan || sort || line.contains("AUTOMATIC")
        })
        .collect()
}

fn every_plan_is_good(service: &Running, when: &str) {
    let window = Window {
        limit: 21,
        ..Window::default()
    };
    for (name, filter, needed, sorts) in lists(service_kit::clock::now()) {
        for (kind, statement) in [("page", filter.page(&window)), ("count", filter.count())] {
            let plan = explain(service, &statement.sql, &statement.values);
            assert!(
                faults(&plan, sorts).is_empty(),
                "{when}: {name} {kind}\n{plan:#?}\n{}",
                statement.sql
            );
            if kind == "page" {
                for part in needed {
                    assert!(
                        plan.iter().any(|line| line.starts_with(part)),
                        "{when}: {name} has no {part}\n{plan:#?}"
                    );
                }
            }
        }
    }
    for (name, sql) in STATEMENTS {
        let plan = explain(service, sql, &[]);
        // Seven categories are sorted, and the table is read whole.
        let sorts: &[&str] = if *name == "categories" {
            &["USE TEMP B-TREE FOR ORDER BY"]
        } else {
            &[]
        };
        assert!(faults(&plan, sorts).is_empty(), "{when}: {name}\n{plan:#?}");
    }
}

#[test]
fn seed_000_plans_hold_with_and_without_statistics_and_after_a_sweep() {
    // The seed ends with ANALYZE; forget it to see the planner without.
    let service = Running::seeded(20_000);
    every_plan_is_good(&service, "with statistics");
    service.execute("UPDATE flyers SET is_active = FALSE WHERE id % 20 <> 0");
    service.execute("ANALYZE");
    every_plan_is_good(&service, "after a sweep");
    service.execute("DELETE FROM sqlite_stat1");
    service.execute("ANALYZE sqlite_schema");
    every_plan_is_good(&service, "without statistics");
}

#[test]
fn plans_hold_on_an_empty_database() {
    every_plan_is_good(&Running::empty(), "empty");
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

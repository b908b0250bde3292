//! Every statement keeps its plan: without statistics, with them, and after most
//! flyers were swept away. The plan is that of the very text that the service runs.

use flyers::{
    STATEMENTS,
    feed::statement::{Filter, Statement},
};
use service_kit::database::query;

use crate::{
    bulk,
    lists::{lists, windows},
    running::Running,
};

/// The lines of a plan.
fn explain(service: &Running, statement: Statement) -> Vec<String> {
    let sql = format!("EXPLAIN QUERY PLAN {}", statement.sql);
    let rows: Vec<(i64, i64, i64, String)> =
        service.rows(query(sql).bind_all(statement.values).once());
    rows.into_iter().map(|(_, _, _, detail)| detail).collect()
}

/// What the plan of a list must look like: beginnings of lines that the plan of every page
/// has, and sorts that are bounded, and so allowed.
type Expected = (&'static [&'static str], &'static [&'static str]);

const SORT: &[&str] = &["USE TEMP B-TREE FOR ORDER BY"];
const TIES: &[&str] = &["USE TEMP B-TREE FOR LAST 2 TERMS OF ORDER BY"];
/// The arms of a union sort ties of one moment, each by all its columns.
const TIES_OF_UNION: &[&str] = &["USE TEMP B-TREE FOR LAST"];

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
const LIKED: &[&str] = &[
    "SEARCH r USING COVERING INDEX favorites_user_flyer (user_id=?",
    "SEARCH w USING INTEGER PRIMARY KEY (rowid=?)",
];
const FOLLOWED: &[&str] = &[
    "SEARCH r USING COVERING INDEX follows_pair (follower_id=?)",
    "SEARCH w USING COVERING INDEX flyers_live_creator (creator_id=?",
];

fn expected(list: &str) -> Expected {
    match list {
        "favorites"
        | "favorites with distance"
        | "favorites, near me"
        | "favorites, category"
        | "favorites, few hits"
        | "favorites, smart" => (LIKED, SORT),
        "following"
        | "following with distance"
        | "following, near me"
        | "following, category"
        | "following, smart" => (FOLLOWED, SORT),
        // The text is not in the index, so it does not cover.
        "following, search" => (
            &[
                "SEARCH r USING COVERING INDEX follows_pair (follower_id=?)",
                "SEARCH w USING INDEX flyers_live_creator (creator_id=?",
            ],
            SORT,
        ),
        "following, few hits" => (HITS, SORT),
        "smart" => (&[FEED], SORT),
        "by distance" => (&[IN_BOX], SORT),
        "feed" => (&[FEED], &[]),
        "feed with distance" => (&["SCAN w USING COVERING INDEX flyers_live_recent"], TIES),
        "creator" | "creator, category" => (&[OF_CREATOR], &[]),
        "creator with distance" => (
            &["SEARCH w USING COVERING INDEX flyers_live_creator (creator_id=?"],
            TIES,
        ),
        // The text is not in the index, so it does not cover.
        "creator, search" => (
            &["SEARCH w USING INDEX flyers_live_creator (creator_id=? AND created_at<?)"],
            &[],
        ),
        "creator, few hits" => (&[OF_CREATOR, "SCAN flyer_search VIRTUAL TABLE"], &[]),
        "own" => (&[OF_OWNER], &[]),
        "own, few hits" => (&[OF_OWNER, "SCAN flyer_search VIRTUAL TABLE"], &[]),
        // The place is not in the index of the owner's flyers.
        "own, near me" => (
            &["SEARCH w USING INDEX flyers_creator_recent (creator_id=?"],
            SORT,
        ),
        "near me" | "near me, category" => (&[IN_BOX], SORT),
        "near me, search" => (
            &["SEARCH w USING INDEX flyers_live_place (latitude>? AND latitude<?)"],
            SORT,
        ),
        "near me, creator" => (
            &["SEARCH w USING COVERING INDEX flyers_live_creator (creator_id=?"],
            SORT,
        ),
        "category" | "rare category" => (&[OF_CATEGORY], &[]),
        "category, search" => (
            &[OF_CATEGORY, "SEARCH w USING INTEGER PRIMARY KEY (rowid=?)"],
            &[],
        ),
        "category with distance" => (
            &[
                "SEARCH c USING COVERING INDEX flyer_categories_live (category_id=?",
                "SEARCH w USING INTEGER PRIMARY KEY (rowid=?)",
            ],
            TIES,
        ),
        "categories" => (&["MERGE (UNION)", OF_CATEGORY], &[]),
        "categories with distance" => (
            &[
                "MERGE (UNION)",
                "SEARCH c USING COVERING INDEX flyer_categories_live (category_id=?",
            ],
            TIES_OF_UNION,
        ),
        "many hits" | "short search" => (
            &["SEARCH w USING INDEX flyers_live_recent (created_at<?)"],
            &[],
        ),
        "few hits" | "few hits, category" | "few hits with distance" | "near me, few hits" => {
            (HITS, SORT)
        }
        other => panic!("say here what the plan of `{other}` must be"),
    }
}

/// What may be read whole: the results of inner queries, which have a LIMIT, and the
/// seven categories.
const BOUNDED: [&str; 20] = [
    "SCAN page",
    "SCAN s",
    "SCAN m",
    "SCAN n",
    "SCAN ranked",
    "SCAN circles",
    "SCAN held",
    "SCAN 2 CONSTANT ROWS",
    "SCAN 3 CONSTANT ROWS",
    "SCAN 4 CONSTANT ROWS",
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

fn every_plan_is_good(service: &Running, when: &str) {
    for list in lists(service_kit::clock::now()) {
        let (walks, sorts) = expected(list.name);
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
                let statement = filter.page(&window, crate::DIALECT);
                let sql = statement.sql.clone();
                let plan = explain(service, statement);
                let found = faults(&plan, sorts);
                assert!(found.is_empty(), "{what}: {found:?}\n{plan:#?}\n{sql}");
                for part in walks {
                    // After a cursor the walk begins inside the index.
                    let inside = part.replacen("SCAN", "SEARCH", 1);
                    let has = |line: &String| line.starts_with(part) || line.starts_with(&inside);
                    assert!(
                        plan.iter().any(has),
                        "{what}: no `{part}`\n{plan:#?}\n{sql}"
                    );
                }
            }
            let plan = explain(service, filter.count(crate::DIALECT));
            assert!(
                faults(&plan, sorts).is_empty(),
                "{when}: count of {}\n{plan:#?}",
                list.name
            );
        }
    }
    for (name, text) in STATEMENTS {
        let statement = Statement {
            sql: text.of(crate::DIALECT).to_owned(),
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

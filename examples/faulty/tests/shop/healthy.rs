//! Every healthy route is as healthy as it says, and does look like the fault.
//!
//! That none of them shows up as a fault is in `faults.rs`; here is why each might.

use crate::{
    explain::Plan,
    look::{Asked, SCALES, shop},
};

fn plan_of(route: &str, table: &str) -> Plan {
    let (_, _, plan) = shop()
        .plans()
        .find(|(asked, seen, _)| asked.route == route && seen.text.contains(table))
        .unwrap_or_else(|| panic!("{route} ran no statement on {table}"));
    plan.clone()
}

fn all_plans_say(route: &str, text: &str, words: &str) {
    let mut seen_any = false;
    for (_, _, plan) in shop()
        .plans()
        .filter(|(asked, seen, _)| asked.route == route && seen.text.contains(text))
    {
        assert!(plan.says(words), "{route}: {plan:?} does not say `{words}`");
        seen_any = true;
    }
    assert!(seen_any, "{route} ran no statement with `{text}`");
}

#[test]
fn batches_are_two_statements_at_any_page_size() {
    for route in [
        "GET /healthy/n-plus-one/json-batch",
        "GET /healthy/n-plus-one/in-list",
    ] {
        for asked in shop().of(route) {
            assert_eq!(asked.statements.len(), 2, "{route}");
        }
        all_plans_say(route, " IN (", "SEARCH");
    }
}

#[test]
fn a_read_is_repeated_around_a_write_of_its_table() {
    for asked in shop().of("POST /healthy/repeated/visit") {
        let [before, write, after] = asked.statements.as_slice() else {
            panic!("{asked:?}")
        };
        assert_eq!(before, after);
        assert!(write.text.starts_with("UPDATE settings"));
        let number = |name: &str| asked.answer[name].as_i64().unwrap();
        assert_eq!(number("after"), number("before") + 1);
    }
}

#[test]
fn two_items_are_compared_by_one_text_with_different_values() {
    for asked in shop().of("GET /healthy/repeated/compare") {
        assert_eq!(asked.executions().into_values().collect::<Vec<_>>(), [2]);
        assert_ne!(
            asked.answer["items"][0]["id"],
            asked.answer["items"][1]["id"]
        );
    }
}

#[test]
fn the_ordered_walk_is_a_scan_of_an_index() {
    all_plans_say(
        "GET /healthy/full-scan/ordered-walk",
        "items",
        "SCAN items USING INDEX items_by_age",
    );
}

#[test]
fn one_page_is_sorted_in_a_temporary_tree_and_found_by_key() {
    let route = "GET /healthy/unbounded-sort/one-page";
    all_plans_say(
        route,
        "ORDER BY price_cents",
        "USE TEMP B-TREE FOR ORDER BY",
    );
    all_plans_say(
        route,
        "ORDER BY price_cents",
        "SEARCH items USING INTEGER PRIMARY KEY (rowid=?)",
    );
}

#[test]
fn the_join_of_a_page_finds_both_inner_sides_by_an_index() {
    let route = "GET /healthy/automatic-index/indexed-join";
    all_plans_say(
        route,
        "page",
        "SEARCH order_lines USING INDEX order_lines_by_order",
    );
    all_plans_say(route, "page", "SEARCH items USING INTEGER PRIMARY KEY");
    all_plans_say(
        route,
        "page",
        "SCAN orders USING COVERING INDEX orders_by_age",
    );
}

#[test]
fn the_partial_index_serves_the_one_statement_with_its_constant() {
    all_plans_say(
        "GET /healthy/unused-index/sold-out",
        "stock = 0",
        "INDEX items_sold_out",
    );
    let others = shop()
        .plans()
        .filter(|(_, seen, _)| !seen.text.contains("stock = 0"));
    assert!(
        others
            .into_iter()
            .all(|(_, _, plan)| !plan.says("items_sold_out"))
    );
}

#[test]
fn the_constant_table_is_scanned_bare_and_does_not_grow() {
    let route = "GET /healthy/unbounded-list/categories";
    assert_eq!(
        plan_of(route, "categories")
            .bare_scans()
            .collect::<Vec<_>>(),
        ["categories"]
    );
    assert!(!shop().growing.contains("categories"));
    assert_eq!(shop().by_scale(route, Asked::rows), [(12, 12)]);
}

#[test]
fn many_rows_per_row_of_the_page_are_all_shown() {
    for asked in shop().of("GET /healthy/over-fetch/shown") {
        assert_eq!(asked.rows(), 33 * u64::try_from(asked.page_size).unwrap());
        assert_eq!(asked.rows(), asked.rows_answered());
    }
}

#[test]
fn the_keyset_page_enters_the_index_at_its_key() {
    // The rest of the key, the id, is compared row by row: two items share a second at most.
    let route = "GET /healthy/deep-offset/keyset";
    all_plans_say(
        route,
        "items",
        "SEARCH items USING INDEX items_by_age (created_at<?)",
    );
}

#[test]
fn the_shallow_offset_has_the_text_of_the_deep_one_and_stays_at_the_front() {
    let text = |route: &str| {
        let asked = shop().of(route).next().unwrap();
        asked.statements.last().unwrap().text.clone()
    };
    assert_eq!(
        text("GET /healthy/deep-offset/shallow"),
        text("GET /faults/deep-offset")
    );
    for asked in shop().of("GET /healthy/deep-offset/shallow") {
        assert!(asked.answer[0]["id"].as_i64().unwrap() > asked.scale - 3 * asked.page_size);
    }
}

#[test]
fn the_capped_count_stays_under_its_cap_at_any_scale() {
    let total = |asked: &Asked| asked.answer["total"].as_u64().unwrap();
    let route = "GET /healthy/count-per-page/capped";
    assert!(
        shop()
            .by_scale(route, total)
            .into_iter()
            .all(|totals| totals == (50, 50))
    );
}

#[test]
fn the_totals_of_a_shop_come_from_a_covering_index() {
    let route = "GET /healthy/count-per-page/shops/{id}";
    all_plans_say(
        route,
        "COUNT(*)",
        "SEARCH items USING COVERING INDEX items_by_shop (shop_id=?)",
    );
}

#[test]
fn the_prefix_is_searched_in_an_index() {
    let route = "GET /healthy/leading-wildcard/lamps";
    all_plans_say(
        route,
        "LIKE 'Lamp%'",
        "SEARCH items USING INDEX items_by_title (title>? AND title<?)",
    );
}

#[test]
fn rows_are_written_by_a_constant_number_of_statements() {
    for (route, statements) in [
        ("POST /healthy/write-loop/multi-row", 1),
        ("POST /healthy/write-loop/json-each", 2),
    ] {
        for asked in shop().of(route) {
            assert_eq!(asked.statements.len(), statements, "{route}");
            assert!(asked.answer["written"].as_i64().unwrap() >= asked.page_size);
        }
    }
}

#[test]
fn a_cached_page_of_any_size_is_one_read() {
    for asked in shop().of("GET /healthy/cache-read-loop/one-value") {
        assert_eq!((asked.reads(), asked.statements.len()), (1, 0));
        assert_eq!(asked.cold.statements.len(), 2);
    }
}

#[test]
fn the_write_that_is_told_has_the_text_of_the_one_that_is_not() {
    let fault = shop().of("POST /faults/uncached-write").next().unwrap();
    for asked in shop().of("POST /healthy/uncached-write/told") {
        assert_eq!(asked.statements, fault.statements);
        let told: Vec<&str> = (asked.cache.iter())
            .map(|used| used.operation.as_str())
            .collect();
        assert_eq!(told, ["write"]);
    }
}

#[test]
fn of_those_who_ask_at_once_one_loads() {
    for asked in shop().of("GET /healthy/stampede/shared") {
        let reads = &asked.cold.cache;
        let loads = reads.iter().filter(|used| used.outcome == "load").count();
        let waited = reads.iter().filter(|used| used.outcome == "coalesced");
        assert_eq!((loads, reads.len()), (1, 5));
        assert!(waited.count() >= 2, "{reads:?}");
    }
}

#[test]
fn healthy_routes_fetch_the_same_at_any_scale() {
    for route in shop()
        .routes()
        .into_iter()
        .filter(|route| route.contains("/healthy/"))
    {
        for (small, large) in shop().by_scale(&route, Asked::rows) {
            // Shops repeat more often on a page when there are few of them.
            assert!(
                large <= small + small / 2,
                "{route}: {small} rows, then {large}"
            );
        }
    }
    assert!(SCALES[1] >= 10 * SCALES[0]);
}

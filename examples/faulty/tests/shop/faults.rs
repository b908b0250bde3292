//! Every fault that `FAULTS.toml` lists is really there, and nowhere else.
//!
//! One test for each kind: it says how the fault shows, collects the routes and tables where it
//! does, and compares them with the list.

use std::collections::BTreeSet;

use crate::{
    configuration::faults,
    explain::Catalogue,
    listen::{Seen, Used},
    look::{Asked, SCALES, seeded, shop},
};

type Places = BTreeSet<(String, String)>;

/// Routes and tables where the list says that a fault of that kind is.
fn listed(kind: &str) -> Places {
    let listed: Places = faults()
        .into_iter()
        .filter(|fault| fault.kind == kind)
        .map(|fault| (fault.route, fault.table))
        .collect();
    assert!(!listed.is_empty(), "no fault of kind {kind} is listed");
    listed
}

/// The first table that a statement names.
fn table_of(text: &str) -> String {
    let mut words = text.split([' ', '(', ')']);
    words.find(|word| matches!(*word, "FROM" | "INTO" | "UPDATE"));
    words
        .find(|word| !word.is_empty())
        .unwrap_or_default()
        .to_owned()
}

fn place(asked: &Asked, text: &str) -> (String, String) {
    (asked.route.clone(), table_of(text))
}

fn is_write(seen: &Seen) -> bool {
    seen.text.starts_with("INSERT") || seen.text.starts_with("UPDATE")
}

/// Places of statements that run more often when the page is larger.
fn growing_with_the_page(wanted: impl Fn(&Seen) -> bool) -> Places {
    let mut places = Places::new();
    for large in shop().asked.iter().filter(|asked| asked.page_size == 50) {
        let small = shop()
            .of(&large.route)
            .find(|small| small.page_size == 10 && small.scale == large.scale)
            .unwrap();
        for (text, executions) in large.executions() {
            let before = small.executions().get(text).copied().unwrap_or(0);
            let seen = large
                .statements
                .iter()
                .find(|seen| seen.text == text)
                .unwrap();
            if executions > before && executions > 5 && wanted(seen) {
                assert_eq!(executions, 5 * before, "{}: {text}", large.route);
                places.insert(place(large, text));
            }
        }
    }
    places
}

#[test]
fn a_read_runs_once_per_row_exactly_where_n_plus_one_is_listed() {
    assert_eq!(
        growing_with_the_page(|seen| !is_write(seen)),
        listed("n_plus_one")
    );
}

#[test]
fn a_write_runs_once_per_row_exactly_where_write_loop_is_listed() {
    assert_eq!(growing_with_the_page(is_write), listed("write_loop"));
}

#[test]
fn a_text_without_values_runs_again_without_a_write_exactly_where_repeated_is_listed() {
    let mut places = Places::new();
    for asked in &shop().asked {
        let mut known: BTreeSet<&str> = BTreeSet::new();
        for seen in &asked.statements {
            if is_write(seen) {
                let written = table_of(&seen.text);
                known.retain(|text| table_of(text) != written);
            } else if !seen.text.contains(['$', '?']) && !known.insert(&seen.text) {
                places.insert(place(asked, &seen.text));
            }
        }
    }
    assert_eq!(places, listed("repeated"));
}

#[test]
fn a_growing_table_is_scanned_bare_exactly_where_full_scan_is_listed() {
    let mut places = Places::new();
    for (asked, _, plan) in shop().plans() {
        for table in plan
            .bare_scans()
            .filter(|table| shop().growing.contains(*table))
        {
            places.insert((asked.route.clone(), table.to_owned()));
        }
    }
    assert_eq!(places, listed("full_scan"));
}

#[test]
fn a_set_that_grows_is_sorted_exactly_where_unbounded_sort_is_listed() {
    let mut places = Places::new();
    for (asked, seen, plan) in shop().plans() {
        let by_key = plan.says("INTEGER PRIMARY KEY (rowid=?)");
        if plan.says("TEMP B-TREE") && !by_key {
            places.insert(place(asked, &seen.text));
        }
    }
    assert_eq!(places, listed("unbounded_sort"));
}

#[test]
fn an_index_is_built_for_one_statement_exactly_where_automatic_index_is_listed() {
    let mut places = Places::new();
    for (asked, _, plan) in shop().plans() {
        let lines = plan.0.iter().filter(|line| line.contains("AUTOMATIC"));
        for table in lines.filter_map(|line| line.split(' ').nth(1)) {
            places.insert((asked.route.clone(), table.to_owned()));
        }
    }
    assert_eq!(places, listed("automatic_index"));
}

#[test]
fn rows_fetched_grow_with_the_data_exactly_where_unbounded_list_is_listed() {
    let mut places = Places::new();
    for route in shop().routes() {
        for (small, large) in shop().by_scale(&route, Asked::rows) {
            if large > 2 * small {
                let asked = shop().of(&route).next().unwrap();
                places.insert(place(asked, &asked.statements.last().unwrap().text));
            }
        }
    }
    assert_eq!(places, listed("unbounded_list"));
}

#[test]
fn most_rows_fetched_are_not_shown_exactly_where_over_fetch_is_listed() {
    let mut places = Places::new();
    for asked in &shop().asked {
        let shown = asked.rows_answered().max(1);
        if asked.rows() > 2 * shown && asked.rows() > shown + 20 {
            let most = asked
                .statements
                .iter()
                .max_by_key(|seen| seen.rows)
                .unwrap();
            assert!(most.rows >= 30 * shown, "{}", asked.route);
            places.insert(place(asked, &most.text));
        }
    }
    assert_eq!(places, listed("over_fetch"));
}

#[test]
fn the_oldest_rows_are_found_by_an_offset_exactly_where_deep_offset_is_listed() {
    let mut places = Places::new();
    for asked in shop().asked.iter().filter(|asked| asked.scale == SCALES[1]) {
        for seen in asked
            .statements
            .iter()
            .filter(|seen| seen.text.contains("OFFSET"))
        {
            // Newest first: an id near 1 is at the very end.
            if asked.answer[0]["id"].as_i64().unwrap() <= 50 {
                places.insert(place(asked, &seen.text));
            }
        }
    }
    assert_eq!(places, listed("deep_offset"));
}

#[test]
fn a_count_beside_a_page_grows_with_the_data_exactly_where_count_per_page_is_listed() {
    let mut places = Places::new();
    for route in shop().routes() {
        let total = |asked: &Asked| asked.answer["total"].as_u64().unwrap_or(0);
        for (small, large) in shop().by_scale(&route, total) {
            if large > 5 * small {
                let asked = shop().of(&route).next().unwrap();
                let count = asked
                    .statements
                    .iter()
                    .find(|seen| seen.text.contains("COUNT(*)"));
                places.insert(place(asked, &count.unwrap().text));
            }
        }
    }
    assert_eq!(places, listed("count_per_page"));
}

#[test]
fn a_pattern_begins_with_a_wildcard_exactly_where_leading_wildcard_is_listed() {
    let mut places = Places::new();
    for (asked, seen, plan) in shop().plans() {
        if seen.text.contains("LIKE '%'") {
            assert!(plan.says("SCAN items USING INDEX items_by_age"), "{plan:?}");
            places.insert(place(asked, &seen.text));
        }
    }
    assert_eq!(places, listed("leading_wildcard"));
}

#[test]
fn the_cache_is_read_once_per_row_exactly_where_cache_read_loop_is_listed() {
    let mut places = Places::new();
    for large in shop().asked.iter().filter(|asked| asked.page_size == 50) {
        let small = shop()
            .of(&large.route)
            .find(|small| small.page_size == 10 && small.scale == large.scale)
            .unwrap();
        if large.reads() > small.reads() {
            assert_eq!(large.reads(), 5 * small.reads(), "{}", large.route);
            let behind = large.behind_the_cache();
            places.extend(behind.map(|seen| place(large, &seen.text)));
        }
    }
    assert_eq!(places, listed("cache_read_loop"));
}

#[test]
fn what_is_cached_is_written_in_silence_exactly_where_uncached_write_is_listed() {
    let behind = shop().asked.iter().flat_map(Asked::behind_the_cache);
    let cached: BTreeSet<String> = behind.map(|seen| table_of(&seen.text)).collect();
    let mut places = Places::new();
    for asked in shop().asked.iter().filter(|asked| asked.cache.is_empty()) {
        let writes = asked.statements.iter().filter(|seen| is_write(seen));
        let cached = writes.filter(|seen| cached.contains(&table_of(&seen.text)));
        places.extend(cached.map(|seen| place(asked, &seen.text)));
    }
    assert_eq!(places, listed("uncached_write"));
}

#[test]
fn three_load_one_value_at_once_exactly_where_stampede_is_listed() {
    let mut places = Places::new();
    for asked in &shop().asked {
        let loads = asked.cold.cache.iter();
        let loads: Vec<&Used> = loads.filter(|used| used.outcome == "load").collect();
        let crowded = |load: &&Used| {
            let beside = |other: &&&Used| other.key == load.key && other.meets(load);
            loads.iter().filter(beside).count() >= 3
        };
        if loads.iter().copied().any(|load| crowded(&load)) {
            places.insert(place(asked, &asked.statements[0].text));
        }
    }
    assert_eq!(places, listed("stampede"));
}

#[test]
fn an_index_is_used_by_no_plan_exactly_where_unused_index_is_listed() {
    // An index that only one of the two uses is in use: services have statistics, and lose them.
    let used: BTreeSet<&str> = shop()
        .plans()
        .flat_map(|(_, _, plan)| plan.indexes())
        .collect();
    let unused: BTreeSet<(&str, &str)> = shop().catalogues[0]
        .indexes
        .iter()
        .filter(|(index, _)| !used.contains(index.as_str()))
        .map(|(index, table)| (index.as_str(), table.as_str()))
        .collect();
    let faults = faults();
    let listed = faults
        .iter()
        .filter(|fault| fault.kind == "unused_index")
        .map(|fault| (fault.index.as_deref().unwrap(), fault.table.as_str()));
    assert_eq!(unused, listed.collect());
}

#[test]
fn every_index_in_use_is_used_with_statistics_and_without() {
    for catalogue in &shop().catalogues {
        let statements = shop().asked.iter().flat_map(|asked| &asked.statements);
        let plans: Vec<_> = statements.map(|seen| catalogue.plan(seen)).collect();
        for index in catalogue
            .indexes
            .keys()
            .filter(|index| *index != "items_by_weight")
        {
            assert!(
                plans
                    .iter()
                    .any(|plan| plan.indexes().any(|used| used == index)),
                "{index}"
            );
        }
    }
}

#[tokio::test]
async fn plans_at_a_hundred_thousand_items_are_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let database = seeded(folder.path(), 100_000).await;
    let statements = shop().asked.iter().flat_map(|asked| &asked.statements);
    let statements: Vec<&Seen> = statements.collect();
    let texts = statements.iter().map(|seen| seen.text.as_str()).collect();
    let large = Catalogue::read(&database.reads, &texts).await;
    let small = &shop().catalogues[0];
    for seen in statements {
        assert_eq!(large.plan(seen), small.plan(seen), "{}", seen.text);
    }
}

#[test]
fn every_kind_listed_has_a_test_here() {
    let source = include_str!("faults.rs");
    for kind in faults().into_iter().map(|fault| fault.kind) {
        let compared = [format!("listed(\"{kind}\")"), format!("== \"{kind}\"")];
        assert!(compared.iter().any(|text| source.contains(text)), "{kind}");
    }
}

//! Every route answers, and the three lists of routes agree: router, `speedwell.toml`, `FAULTS.toml`.

use std::{collections::BTreeSet, fs, path::Path};

use serde_json::Value;

use crate::{
    configuration::{faults, healthy, probes},
    look::shop,
};

fn listed() -> BTreeSet<String> {
    let faulty = faults()
        .into_iter()
        .map(|fault| fault.route)
        .filter(|route| route != "*");
    faulty
        .chain(healthy().into_iter().map(|healthy| healthy.route))
        .collect()
}

#[test]
fn every_route_listed_is_probed_and_every_route_probed_is_listed() {
    assert_eq!(shop().routes(), listed());
}

#[test]
fn every_route_of_the_router_is_listed() {
    let mut declared = BTreeSet::new();
    for folder in ["src/faults", "src/healthy"] {
        for file in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).unwrap() {
            let source = fs::read_to_string(file.unwrap().path()).unwrap();
            for part in source.split(".route(\"").skip(1) {
                let (template, rest) = part.split_once('"').unwrap();
                let method = if rest.starts_with(", post(") {
                    "POST"
                } else {
                    "GET"
                };
                declared.insert(format!("{method} {template}"));
            }
        }
    }
    assert_eq!(declared, listed());
}

#[test]
fn every_kind_of_fault_has_a_healthy_look_alike() {
    let kinds: BTreeSet<String> = faults().into_iter().map(|fault| fault.kind).collect();
    let alike: BTreeSet<String> = healthy()
        .into_iter()
        .map(|healthy| healthy.looks_like)
        .collect();
    assert_eq!(kinds, alike);
}

#[test]
fn every_fault_and_every_look_alike_says_why() {
    let reasons = faults().into_iter().map(|fault| fault.why);
    for why in reasons.chain(healthy().into_iter().map(|healthy| healthy.why)) {
        assert!(why.len() > 30 && why.ends_with('.'), "{why}");
    }
}

#[test]
fn lists_show_rows_at_every_page_size() {
    // Four items share a number of a shop, whatever the page size.
    for asked in shop()
        .asked
        .iter()
        .filter(|asked| asked.route.starts_with("GET"))
    {
        let shown = asked.rows_answered();
        let totals = asked.answer.get("sum_cents").is_some_and(Value::is_number);
        assert!(shown > 0 || totals, "{} shows nothing", asked.route);
        let full = u64::try_from(asked.page_size).unwrap();
        assert!(
            shown >= full || asked.route == "GET /faults/full-scan",
            "{} shows {shown} rows on a page of {full}",
            asked.route
        );
    }
}

#[test]
fn every_probe_is_part_of_the_load() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("speedwell.toml");
    let file: toml::Table = toml::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let loaded: BTreeSet<String> = file["task"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|task| task["routes"].as_array().unwrap())
        .map(|name| name.as_str().unwrap().to_owned())
        .collect();
    let named: BTreeSet<String> = probes().into_iter().map(|probe| probe.name).collect();
    assert_eq!(loaded, named);
}

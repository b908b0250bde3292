//! The audit of the example service names every planted fault and nothing else.

use std::{collections::BTreeSet, fs};

use crate::support::{Project, faulty, root};
use serde_json::Value;

type Fault = (String, String);

fn listed() -> BTreeSet<Fault> {
    let text = fs::read_to_string(root().join("examples/faulty/FAULTS.toml")).unwrap();
    let list: toml::Table = text.parse().unwrap();
    let faults = list["fault"].as_array().unwrap();
    let text = |fault: &toml::Value, key: &str| fault[key].as_str().unwrap().to_owned();
    faults
        .iter()
        .map(|fault| (text(fault, "route"), text(fault, "kind")))
        .collect()
}

/// The example's own configuration, with the program that this build made.
fn project() -> Project {
    let folder = root().join("examples/faulty");
    let text = fs::read_to_string(folder.join("speedwell.toml")).unwrap();
    let text: String = text
        .lines()
        .filter(|line| !line.starts_with("build") && !line.starts_with("directory"))
        .map(|line| line.replace("target/release/faulty", &faulty().display().to_string()) + "\n")
        .collect();
    Project::new(&text)
}

#[test]
fn the_audit_names_every_planted_fault_and_nothing_else() {
    let project = project();
    let run = project.speedwell(&[
        "audit",
        "--no-advice",
        "--format",
        "json",
        "--duration",
        "5",
    ]);
    assert_eq!(run.code, Some(1), "{}", run.err);
    let report: Value = serde_json::from_str(&run.out).unwrap();
    let findings = report["findings"].as_array().unwrap();
    let counted =
        |finding: &&Value| finding["proof"] != "possible" || finding["kind"] == "unused_index";
    let found: BTreeSet<Fault> = findings
        .iter()
        .filter(counted)
        .map(|finding| {
            let text = |key: &str| finding[key].as_str().unwrap().to_owned();
            (text("route"), text("kind"))
        })
        .collect();
    let listed = listed();
    let missed: Vec<_> = listed.difference(&found).collect();
    let invented: Vec<_> = found.difference(&listed).collect();
    assert!(
        missed.is_empty() && invented.is_empty(),
        "missed: {missed:#?}\ninvented: {invented:#?}\nall: {findings:#?}"
    );
    assert!(
        fs::metadata(project.0.path().join("speedwell-report/report.html"))
            .unwrap()
            .len()
            > 0
    );
}

#[test]
fn what_would_help_is_tried_and_the_audit_repeated_with_it() {
    let project = project();
    let routes = ["newest", "full scan", "loop", "deep offset", "sold out"];
    let mut args = vec![
        "audit",
        "--no-load",
        "--scales",
        "1000,20000",
        "--format",
        "json",
    ];
    args.extend(routes.iter().flat_map(|route| ["--only", route]));
    let run = project.speedwell(&args);
    assert_eq!(run.code, Some(1), "{}", run.err);
    let report: Value = serde_json::from_str(&run.out).unwrap();
    let advice = &report["advice"];
    let indexes: Vec<_> = advice["indexes"].as_array().unwrap().iter().collect();
    let ddl = "CREATE INDEX items_shop_ref_idx ON items (shop_ref)";
    assert!(
        indexes.iter().any(|index| index["ddl"] == ddl),
        "{advice:#}"
    );
    let after = |name: &str| {
        let mut routes = advice["routes"].as_array().unwrap().iter();
        let route = routes.find(|route| route["name"] == name).unwrap();
        [route["before"].clone(), route["after"].clone()]
    };
    assert_eq!(after("full scan"), ["over", "within"], "{advice:#}");
    assert_eq!(after("loop"), ["over", "over"]);
    let remedy = |kind: &str| {
        let mut findings = report["findings"].as_array().unwrap().iter();
        let finding = findings.find(|finding| finding["kind"] == kind).unwrap();
        finding["remedy"].as_str().unwrap().to_owned()
    };
    assert!(
        remedy("full_scan").contains("-- tried: "),
        "{}",
        remedy("full_scan")
    );
    for kind in ["n_plus_one", "deep_offset"] {
        assert!(remedy(kind).contains("the same rows"), "{}", remedy(kind));
    }
    // Its constant is what the partial index is for.
    let needless = advice["needless"].to_string();
    assert!(!needless.contains("items_sold_out"), "{needless}");
}

#[test]
fn a_baseline_shows_before_and_after_and_only_narrows_to_what_was_asked() {
    let project = project();
    let first = project.speedwell(&[
        "audit",
        "--scales",
        "200",
        "--no-load",
        "--only",
        "loop",
        "--save",
        "before.json",
    ]);
    assert_eq!(first.code, Some(1), "{}", first.err);
    assert!(!first.out.contains("spawned loop"), "{}", first.out);
    let second = project.speedwell(&[
        "audit",
        "--scales",
        "200",
        "--no-load",
        "--only",
        "loop",
        "--baseline",
        "before.json",
    ]);
    assert!(
        second.out.contains("Against the baseline"),
        "{}",
        second.out
    );
    assert!(second.out.contains("51 -> 51"), "{}", second.out);
    let shown = project.speedwell(&["report", "before.json"]);
    assert!(
        shown.out.contains("n_plus_one (proved) in loop"),
        "{}",
        shown.out
    );
}

#[test]
fn explain_shows_the_plan_and_says_with_its_code_whether_it_is_at_fault() {
    let project = Project::new("");
    let path = project.0.path().join("shop.db");
    let seeded = std::process::Command::new(faulty())
        .args(["seed", "--scale", "2000"])
        .env("DATABASE_URL", format!("sqlite:{}", path.display()))
        .output()
        .unwrap();
    assert!(
        seeded.status.success(),
        "{}",
        String::from_utf8_lossy(&seeded.stderr)
    );
    let explain = |sql: &str| project.speedwell(&["explain", "--database", "sqlite:shop.db", sql]);

    let fault = explain("SELECT id FROM items WHERE shop_ref = $1");
    assert_eq!(fault.code, Some(1), "{}", fault.err);
    for words in [
        "SCAN items",
        "full_scan (likely)",
        "CREATE INDEX items_shop_ref_idx",
        "not tried",
    ] {
        assert!(
            fault.out.contains(words),
            "`{words}` is not in: {}",
            fault.out
        );
    }
    let healthy = explain("SELECT title FROM items WHERE id = ?");
    assert_eq!(healthy.code, Some(0), "{}", healthy.out);
    assert!(healthy.out.contains("Nothing is wrong"), "{}", healthy.out);
}

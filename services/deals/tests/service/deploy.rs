//! The rules and the dashboard that are shipped ask for metrics that the service has.

use std::collections::BTreeSet;

use crate::running::Running;

/// Names of metrics in the text of rules or of a dashboard.
fn asked_for(text: &str) -> BTreeSet<String> {
    let is_name = |character: char| character.is_ascii_alphanumeric() || character == '_';
    text.split(|character: char| !is_name(character))
        .filter(|word| {
            ["deals_", "speedwell_cache_", "http_request", "db_pool_"]
                .iter()
                .any(|prefix| word.starts_with(prefix))
        })
        .map(str::to_owned)
        .collect()
}

#[test]
fn rules_and_dashboard_ask_for_metrics_that_there_are() {
    let service = Running::empty();
    let link = service.share(1, service.listing("A", 5.0));
    for _ in 0..60 {
        service.get(&link).expect(200);
    }
    // The layer tells of a request when it has ended.
    std::thread::sleep(std::time::Duration::from_millis(100));
    let metrics = service.get("/metrics").text;
    let there: BTreeSet<&str> = metrics
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split(['{', ' ']).next())
        .collect();
    for file in [
        include_str!("../../deploy/alerts.yml"),
        include_str!("../../deploy/grafana.json"),
    ] {
        let asked = asked_for(file);
        assert!(asked.len() > 3, "{asked:?}");
        let missing: Vec<_> = asked
            .iter()
            .filter(|name| !there.contains(name.as_str()))
            .collect();
        assert!(missing.is_empty(), "{missing:?}");
    }
    let dashboard: serde_json::Value =
        serde_json::from_str(include_str!("../../deploy/grafana.json")).unwrap();
    assert!(dashboard["panels"].as_array().unwrap().len() > 5);
}

//! Data flows one way: no crate imports upwards.

use std::{collections::BTreeMap, fs, path::Path};

/// Each crate of the workspace and the crates of the workspace that it may import.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("speedwell-sql", &[]),
    ("speedwell-trace", &["speedwell-sql"]),
    ("speedwell-collect", &["speedwell-sql", "speedwell-trace"]),
    ("speedwell-plan", &["speedwell-sql"]),
    ("speedwell-load", &[]),
    // Servers for tests: only in dev-dependencies.
    ("throwaway", &[]),
    // Only with its feature `statements`.
    ("speedwell-cache", &["speedwell-sql"]),
    (
        "speedwell",
        &[
            "speedwell-sql",
            "speedwell-trace",
            "speedwell-collect",
            "speedwell-plan",
            "speedwell-load",
        ],
    ),
    // Servers for tests only with its feature `testing`.
    (
        "service-kit",
        &["speedwell-cache", "speedwell-trace", "throwaway"],
    ),
    (
        "deals",
        &["service-kit", "speedwell-cache", "speedwell-trace"],
    ),
    ("challenges", &["service-kit", "speedwell-cache"]),
    ("flyers", &["service-kit", "speedwell-trace"]),
    ("faulty", &["speedwell-cache", "speedwell-trace"]),
];

fn manifests() -> BTreeMap<String, toml::Table> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut manifests = BTreeMap::new();
    for folder in ["crates", "services", "examples"] {
        for entry in fs::read_dir(root.join(folder)).unwrap() {
            let path = entry.unwrap().path().join("Cargo.toml");
            if let Ok(text) = fs::read_to_string(&path) {
                let manifest: toml::Table = text.parse().unwrap();
                let name = manifest["package"]["name"].as_str().unwrap().to_owned();
                manifests.insert(name, manifest);
            }
        }
    }
    manifests
}

#[test]
fn no_crate_imports_upwards() {
    let manifests = manifests();
    for (name, manifest) in &manifests {
        let (_, allowed) = MAY_IMPORT
            .iter()
            .find(|(known, _)| known == name)
            .unwrap_or_else(|| panic!("`{name}` has no place among the arrows; give it one here"));
        for section in ["dependencies", "build-dependencies"] {
            let Some(table) = manifest.get(section).and_then(|table| table.as_table()) else {
                continue;
            };
            for import in table
                .keys()
                .filter(|import| manifests.contains_key(*import))
            {
                assert!(
                    allowed.contains(&import.as_str()),
                    "`{name}` must not import `{import}`"
                );
            }
        }
    }
    assert_eq!(
        manifests.len(),
        MAY_IMPORT.len(),
        "a crate is missing from the workspace"
    );
}

#[test]
fn the_cache_stands_alone_unless_it_is_to_observe_statements() {
    let manifests = manifests();
    let cache = manifests["speedwell-cache"]["dependencies"]
        .as_table()
        .unwrap();
    for optional in ["speedwell-sql", "tracing-subscriber"] {
        assert_eq!(cache[optional]["optional"].as_bool(), Some(true));
    }
    let features = manifests["speedwell-cache"]["features"].as_table().unwrap();
    assert!(!features.contains_key("default"));
}

#[test]
fn what_tests_need_is_in_no_service() {
    let manifests = manifests();
    let kit = &manifests["service-kit"];
    for optional in ["throwaway", "tempfile", "ureq"] {
        assert_eq!(
            kit["dependencies"][optional]["optional"].as_bool(),
            Some(true)
        );
    }
    assert!(!kit["features"].as_table().unwrap().contains_key("default"));
    for service in ["flyers", "deals", "challenges"] {
        let kit = &manifests[service]["dependencies"]["service-kit"];
        assert!(kit.get("features").is_none(), "{service}");
    }
}

#[test]
fn what_a_service_carries_stays_light() {
    let manifests = manifests();
    let trace = manifests["speedwell-trace"]["dependencies"]
        .as_table()
        .unwrap();
    for heavy in ["tokio", "axum", "hyper", "sqlx", "reqwest", "tonic"] {
        assert!(
            !trace.contains_key(heavy),
            "speedwell-trace must not need `{heavy}`"
        );
    }
}

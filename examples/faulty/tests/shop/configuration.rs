//! `FAULTS.toml` and `speedwell.toml` as these tests read them.

use std::{collections::BTreeMap, path::Path};

use serde::Deserialize;
use serde_json::Value;

/// A planted fault.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fault {
    pub(crate) route: String,
    pub(crate) kind: String,
    pub(crate) table: String,
    pub(crate) index: Option<String>,
    pub(crate) why: String,
}

/// A route that looks like a fault and has none.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Healthy {
    pub(crate) route: String,
    pub(crate) looks_like: String,
    pub(crate) why: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Faults {
    fault: Vec<Fault>,
    healthy: Vec<Healthy>,
}

/// One route of `speedwell.toml`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Probe {
    pub(crate) name: String,
    get: Option<String>,
    post: Option<String>,
    json: Option<Value>,
    #[serde(default)]
    page_sizes: Vec<i64>,
    #[serde(default)]
    capture: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Configuration {
    route: Vec<Probe>,
}

fn read<T: for<'de> Deserialize<'de>>(name: &str) -> T {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    toml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// All planted faults.
pub(crate) fn faults() -> Vec<Fault> {
    read::<Faults>("FAULTS.toml").fault
}

/// All healthy look-alikes.
pub(crate) fn healthy() -> Vec<Healthy> {
    read::<Faults>("FAULTS.toml").healthy
}

/// All routes of the audit, in their order.
pub(crate) fn probes() -> Vec<Probe> {
    read::<Configuration>("speedwell.toml").route
}

impl Probe {
    pub(crate) fn page_sizes(&self) -> Vec<i64> {
        if self.page_sizes.is_empty() {
            vec![0]
        } else {
            self.page_sizes.clone()
        }
    }

    pub(crate) fn only_reads(&self) -> bool {
        self.get.is_some()
    }

    /// Sends the request and reads the answer, which must be a success.
    pub(crate) fn send(&self, server: &str, captured: &BTreeMap<String, Vec<String>>) -> Value {
        let url = |path: &str| format!("{server}{}", fill(path, captured));
        let mut response = match (&self.get, &self.post) {
            (Some(path), None) => ureq::get(url(path)).call(),
            (None, Some(path)) => match &self.json {
                Some(body) => ureq::post(url(path)).send_json(fill_json(body, captured)),
                None => ureq::post(url(path)).send_empty(),
            },
            _ => panic!("route `{}` has not exactly one request", self.name),
        }
        .unwrap_or_else(|error| panic!("route `{}`: {error}", self.name));
        response.body_mut().read_json().unwrap()
    }

    /// Takes from the answer what later routes need.
    pub(crate) fn capture(&self, answer: &Value, captured: &mut BTreeMap<String, Vec<String>>) {
        for (name, path) in &self.capture {
            let found = serde_json_path::JsonPath::parse(path)
                .unwrap()
                .query(answer)
                .all();
            let words = found.into_iter().map(|value| match value {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            });
            captured.insert(name.clone(), words.collect());
        }
    }
}

/// Fills `${name}` with the first value captured, and each `${pick name}` with the next one.
fn fill(template: &str, captured: &BTreeMap<String, Vec<String>>) -> String {
    let mut filled = String::new();
    let mut picks = 0;
    for (place, part) in template.split("${").enumerate() {
        if place == 0 {
            filled.push_str(part);
            continue;
        }
        let (name, rest) = part.split_once('}').unwrap();
        let value = match name.strip_prefix("pick ") {
            Some(pool) => {
                picks += 1;
                &captured[pool][picks - 1]
            }
            None => &captured[name][0],
        };
        filled.push_str(value);
        filled.push_str(rest);
    }
    filled
}

/// The same inside JSON, where a text that is nothing but a placeholder keeps its number.
fn fill_json(body: &Value, captured: &BTreeMap<String, Vec<String>>) -> Value {
    match body {
        Value::String(text) => {
            let filled = fill(text, captured);
            match filled.parse::<i64>() {
                Ok(number) if text.starts_with("${") => number.into(),
                _ => filled.into(),
            }
        }
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| (name.clone(), fill_json(value, captured)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        other => other.clone(),
    }
}

//! The file as it is written: every key, its type and nothing else.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{BudgetSpec, ConfigError, form::Fields};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    /// Files of the services, for a root file that has none of its own.
    #[serde(default)]
    pub(super) services: Vec<String>,
    pub(super) service: Option<ServiceSection>,
    #[serde(default)]
    pub(super) data: DataSection,
    #[serde(default)]
    pub(super) budget: BudgetSpec,
    #[serde(default)]
    pub(super) setup: Vec<RouteSection>,
    #[serde(default)]
    pub(super) route: Vec<RouteSection>,
    #[serde(default)]
    pub(super) load: LoadSection,
    #[serde(default)]
    pub(super) task: Vec<TaskSection>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ServiceSection {
    pub(super) name: String,
    pub(super) directory: Option<String>,
    pub(super) build: Option<String>,
    pub(super) command: Option<String>,
    pub(super) ready: Option<String>,
    pub(super) ready_timeout_s: Option<f64>,
    pub(super) listen: Option<String>,
    pub(super) database: Option<String>,
    #[serde(default)]
    pub(super) env: BTreeMap<String, String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DataSection {
    pub(super) prepare: Option<String>,
    #[serde(default)]
    pub(super) scales: Vec<u64>,
    pub(super) users: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LoadSection {
    pub(super) users: Option<usize>,
    pub(super) rate: Option<f64>,
    pub(super) think: Option<String>,
    pub(super) ramp_s: Option<f64>,
    pub(super) steady_s: Option<f64>,
    pub(super) timeout_s: Option<f64>,
    pub(super) setup_s: Option<f64>,
    pub(super) seed: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TaskSection {
    pub(super) weight: Option<u32>,
    pub(super) routes: toml::Spanned<Vec<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RouteSection {
    pub(super) name: toml::Spanned<String>,
    pub(super) get: Option<String>,
    pub(super) post: Option<String>,
    pub(super) put: Option<String>,
    pub(super) patch: Option<String>,
    pub(super) delete: Option<String>,
    pub(super) json: Option<serde_json::Value>,
    pub(super) multipart: Option<Fields>,
    pub(super) bearer: Option<String>,
    #[serde(default)]
    pub(super) headers: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) page_sizes: Vec<u64>,
    #[serde(default)]
    pub(super) capture: BTreeMap<String, String>,
    pub(super) expect: Option<Expect>,
    pub(super) weight: Option<u32>,
    #[serde(default)]
    pub(super) budget: BudgetSpec,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Expect {
    One(u16),
    Several(Vec<u16>),
}

/// Reads the text of a file. `path` is only for messages.
pub(super) fn parse(path: &str, text: &str) -> Result<File, ConfigError> {
    toml::from_str(text).map_err(|error| ConfigError::Invalid {
        path: path.to_owned(),
        line: error.span().map_or(1, |span| line_of(text, span.start)),
        message: explain(error.message()),
    })
}

/// The line, counted from 1, that holds the byte at `offset`.
pub(super) fn line_of(text: &str, offset: usize) -> usize {
    1 + text
        .as_bytes()
        .iter()
        .take(offset)
        .filter(|byte| **byte == b'\n')
        .count()
}

/// Says which known key is nearest when the parser met an unknown one.
fn explain(message: &str) -> String {
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    match quoted.split_first() {
        Some((unknown, known)) if message.starts_with("unknown field") => {
            match nearest(unknown, known.iter().copied()) {
                Some(near) => format!("unknown key `{unknown}`; did you mean `{near}`?"),
                None => format!("unknown key `{unknown}`; known here: {}", known.join(", ")),
            }
        }
        _ => message.to_owned(),
    }
}

/// The known word that is nearest to `word`, if any is near enough to be meant.
pub(crate) fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|candidate| (strsim::jaro_winkler(word, candidate), candidate))
        .filter(|(likeness, _)| *likeness >= 0.7)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

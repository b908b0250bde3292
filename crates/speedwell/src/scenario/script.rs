//! What a script must do, in no language yet: steps, tasks, limits, and how much of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    time::Duration,
};

use serde_json::Value;
use speedwell_load::{
    Capture, Reference, Source, Template, Think,
    template::{Part, Place},
};

use super::{
    expression::string,
    jsonpath::{Segment, segments},
};
use crate::{
    audit::{Sizes, scenario_tasks},
    config::{Audited, BudgetSpec, Field, Form, RouteSpec},
};

/// The whole of it.
#[derive(Debug)]
pub(super) struct Script {
    pub(super) service: String,
    pub(super) config: String,
    /// Where the service runs, if that is known.
    pub(super) target: Option<String>,
    pub(super) users: usize,
    pub(super) rate: Option<f64>,
    pub(super) think: Think,
    pub(super) ramp: Duration,
    pub(super) steady: Duration,
    pub(super) timeout: Duration,
    pub(super) seed: u64,
    /// The file of the simulated users, where a step needs it.
    pub(super) rows: Option<FilePath>,
    pub(super) files: Vec<FilePath>,
    /// The folder that `{workdir}` stands for, if that is known.
    pub(super) workdir: Option<String>,
    /// All steps, those of the setup first.
    pub(super) steps: Vec<Step>,
    /// How many of them are the setup.
    pub(super) setup: usize,
    pub(super) tasks: Vec<Task>,
}

/// One request.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) name: String,
    /// A name that is one in every language, and unique.
    pub(super) id: String,
    pub(super) method: String,
    pub(super) path: Template,
    pub(super) headers: Vec<(String, Template)>,
    /// JSON whose strings are templates.
    pub(super) json: Option<Value>,
    pub(super) form: Option<Vec<FormField>>,
    /// Accepted statuses; every 2xx when empty.
    pub(super) expect: Vec<u16>,
    pub(super) captures: Vec<(String, Found)>,
    pub(super) limits: Limits,
}

/// Where a captured value stands.
#[derive(Debug)]
pub(super) enum Found {
    Body(Vec<Segment>),
    Header(String),
}

/// One part of a form.
#[derive(Debug)]
pub(super) enum FormField {
    Text(String, Template),
    File {
        field: String,
        /// Key into the files of the script.
        file: String,
        name: String,
        kind: String,
    },
}

/// A file that the script reads.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum FilePath {
    Absolute(String),
    /// Below the folder that `{workdir}` stands for.
    InWorkdir(String),
}

impl FilePath {
    /// By what name the script knows the file.
    pub(super) fn key(&self) -> String {
        match self {
            Self::Absolute(path) => path.clone(),
            Self::InWorkdir(path) => format!("{{workdir}}/{path}"),
        }
    }

    fn new(folder: &Path, path: &str, scale: u64) -> Result<Self, String> {
        let path = path.replace("{scale}", &scale.to_string());
        match path.strip_prefix("{workdir}") {
            Some(rest) => Ok(Self::InWorkdir(rest.trim_start_matches('/').to_owned())),
            None if path.contains("{workdir}") => Err(format!(
                "`{path}` holds {{workdir}} in its middle; it must stand at the beginning"
            )),
            None => std::path::absolute(folder.join(&path))
                .map(|path| Self::Absolute(path.display().to_string()))
                .map_err(|error| format!("`{path}`: {error}")),
        }
    }
}

/// What a load tester can judge.
#[derive(Debug)]
pub(super) struct Limits {
    pub(super) p95_ms: Option<f64>,
    pub(super) p99_ms: Option<f64>,
    pub(super) errors: u64,
    /// Limits of the budget that it cannot judge.
    pub(super) left_out: Vec<&'static str>,
}

impl Limits {
    fn new(budget: &BudgetSpec) -> Self {
        let unseen = [
            ("statements", budget.statements.is_some()),
            ("rows", budget.rows.is_some()),
            ("rows_per_row", budget.rows_per_row.is_some()),
            ("bytes_per_row", budget.bytes_per_row.is_some()),
            ("database_ms", budget.database_ms.is_some()),
            ("growth", budget.growth.is_some()),
            ("findings", budget.findings.is_some()),
        ];
        Self {
            p95_ms: budget.p95_ms,
            p99_ms: budget.p99_ms,
            errors: budget.errors.unwrap_or(0),
            left_out: unseen
                .into_iter()
                .filter_map(|(name, set)| set.then_some(name))
                .collect(),
        }
    }
}

/// What a user does in one turn.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) name: String,
    pub(super) weight: u32,
    /// Places in the steps of the script.
    pub(super) steps: Vec<usize>,
    /// Captured names that it needs from earlier turns.
    pub(super) needs: Vec<String>,
}

/// A scenario that cannot be written as a script.
#[derive(Debug, thiserror::Error)]
pub(super) enum ExportError {
    #[error("cannot export route `{route}`: {what}")]
    Route { route: String, what: String },
    #[error("cannot export `[data] users`: {0}")]
    Users(String),
}

impl Script {
    /// The scenario of `audited`, of which only `routes` are asked for.
    ///
    /// # Errors
    /// [`ExportError`] that names what cannot be written.
    pub(super) fn new(
        audited: &Audited,
        routes: &[&RouteSpec],
        scale: u64,
        workdir: Option<&Path>,
    ) -> Result<Self, ExportError> {
        let specs: Vec<&RouteSpec> = audited.setup.iter().chain(routes.iter().copied()).collect();
        let mut ids = BTreeSet::new();
        let mut steps = Vec::new();
        for route in &specs {
            let step = step(route, scale, &mut ids).map_err(|what| ExportError::Route {
                route: route.name.clone(),
                what,
            })?;
            steps.push(step);
        }
        let tasks = scenario_tasks(audited, routes, &specs)
            .into_iter()
            .map(|task| Task {
                needs: needs(&steps, &task.steps),
                name: task.name,
                weight: task.weight,
                steps: task.steps,
            })
            .collect();
        let load = &audited.load;
        let workdir = workdir.map(std::path::absolute).transpose();
        Ok(Self {
            service: audited.service.name.clone(),
            config: audited.file.clone(),
            target: None,
            users: load.users,
            rate: load.rate,
            think: load.think,
            ramp: load.ramp,
            steady: load.steady,
            timeout: load.timeout,
            seed: load.seed,
            rows: rows(audited, &steps, scale)?,
            files: files(&specs, scale)?.into_iter().collect(),
            workdir: workdir
                .map_err(|error| ExportError::Users(error.to_string()))?
                .map(|path| path.display().to_string()),
            setup: audited.setup.len(),
            steps,
            tasks,
        })
    }

    /// Whether users differ by number or row, which one process must give out.
    pub(super) fn tells_users_apart(&self) -> bool {
        self.rows.is_some()
            || self
                .steps
                .iter()
                .flat_map(Step::places)
                .any(|place| place == Place::User)
    }

    /// The names of steps, one after the other.
    pub(super) fn ids(&self, steps: &[usize]) -> String {
        let ids: Vec<&str> = steps
            .iter()
            .map(|&step| self.steps[step].id.as_str())
            .collect();
        ids.join(", ")
    }

    /// The weights of the tasks, one after the other.
    pub(super) fn weights(&self) -> String {
        let weights: Vec<String> = self.tasks.iter().map(|t| t.weight.to_string()).collect();
        weights.join(", ")
    }

    pub(super) fn has_forms(&self) -> bool {
        self.steps.iter().any(|step| step.form.is_some())
    }
}

impl Task {
    /// The names that it needs, one after the other.
    pub(super) fn needed(&self) -> String {
        let needs: Vec<String> = self.needs.iter().map(|name| string(name)).collect();
        needs.join(", ")
    }
}

impl Step {
    /// Everything to fill.
    fn places(&self) -> Vec<Place> {
        let mut places = places(&self.path);
        for (_, value) in &self.headers {
            places.extend(self::places(value));
        }
        if let Some(json) = &self.json {
            in_json(json, &mut places);
        }
        for field in self.form.iter().flatten() {
            if let FormField::Text(_, text) = field {
                places.extend(self::places(text));
            }
        }
        places
    }
}

fn places(template: &Template) -> Vec<Place> {
    let parts = template.parts().iter();
    parts
        .filter_map(|part| match part {
            Part::Place(place) => Some(place.clone()),
            Part::Text(_) => None,
        })
        .collect()
}

fn in_json(value: &Value, found: &mut Vec<Place>) {
    match value {
        // What is no template was refused when the configuration was checked.
        Value::String(text) => found.extend(Template::parse(text).iter().flat_map(places)),
        Value::Array(items) => items.iter().for_each(|item| in_json(item, found)),
        Value::Object(fields) => fields.values().for_each(|value| in_json(value, found)),
        _ => {}
    }
}

/// What the steps of a task use and none of its earlier steps captures.
fn needs(steps: &[Step], task: &[usize]) -> Vec<String> {
    let mut known: BTreeSet<&str> = BTreeSet::new();
    let mut needed = Vec::new();
    for &index in task {
        for place in steps[index].places() {
            let Place::Named(reference) = place else {
                continue;
            };
            if let Some(name) = reference.captured()
                && !known.contains(name)
                && !needed.iter().any(|other| other == name)
            {
                needed.push(name.to_owned());
            }
        }
        known.extend(steps[index].captures.iter().map(|(name, _)| name.as_str()));
    }
    needed
}

fn rows(audited: &Audited, steps: &[Step], scale: u64) -> Result<Option<FilePath>, ExportError> {
    let of_row = |place: &Place| matches!(place, Place::Named(Reference::Row(_)));
    if !steps.iter().flat_map(Step::places).any(|p| of_row(&p)) {
        return Ok(None);
    }
    let users = audited.data.users.as_ref();
    users
        .map(|path| FilePath::new(&audited.service.directory, path, scale))
        .transpose()
        .map_err(ExportError::Users)
}

fn files(routes: &[&RouteSpec], scale: u64) -> Result<BTreeSet<FilePath>, ExportError> {
    let mut files = BTreeSet::new();
    for route in routes {
        for (_, field) in route.multipart.iter().flat_map(|form| &form.fields) {
            if let Field::File(upload) = field {
                let file = FilePath::new(upload.folder(), upload.path(), scale);
                files.insert(file.map_err(|what| ExportError::Route {
                    route: route.name.clone(),
                    what,
                })?);
            }
        }
    }
    Ok(files)
}

fn step(route: &RouteSpec, scale: u64, ids: &mut BTreeSet<String>) -> Result<Step, String> {
    let sizes = Sizes {
        page_size: None,
        scale,
        workdir: None,
    }
    .of(route);
    let template =
        |text: &str| Template::parse(&sizes.fill(text)).map_err(|error| error.to_string());
    let mut headers = BTreeMap::new();
    if let Some(token) = &route.bearer {
        headers.insert(
            "authorization".to_owned(),
            template(&format!("Bearer {token}"))?,
        );
    }
    for (name, value) in &route.headers {
        headers.insert(name.to_lowercase(), template(value)?);
    }
    Ok(Step {
        name: route.name.clone(),
        id: id(route, ids),
        method: route.method.to_string(),
        path: template(&route.path)?,
        headers: headers.into_iter().collect(),
        json: route.json.as_ref().map(|json| sizes.fill_json(json)),
        form: match &route.multipart {
            Some(form) => Some(fields(form, sizes)?),
            None => None,
        },
        expect: route.expect.clone(),
        captures: route
            .capture
            .iter()
            .map(|(name, text)| Ok((name.clone(), found(name, text)?)))
            .collect::<Result<_, String>>()?,
        limits: Limits::new(&route.budget),
    })
}

fn found(name: &str, text: &str) -> Result<Found, String> {
    let capture = Capture::parse(name, text).map_err(|error| error.to_string())?;
    match capture.source {
        Source::Header(header) => Ok(Found::Header(header.to_string())),
        Source::Body(_) => segments(text)
            .map(Found::Body)
            .map_err(|what| format!("capture `{name}`: in `{text}`, {what}")),
    }
}

fn fields(form: &Form, sizes: Sizes<'_>) -> Result<Vec<FormField>, String> {
    let mut fields = Vec::new();
    for (name, field) in &form.fields {
        fields.push(match field {
            Field::Text(text) => {
                let text = Template::parse(&sizes.fill(text)).map_err(|e| e.to_string())?;
                FormField::Text(name.clone(), text)
            }
            Field::File(upload) => FormField::File {
                field: name.clone(),
                file: FilePath::new(upload.folder(), upload.path(), sizes.scale)?.key(),
                name: upload.file_name.clone(),
                kind: upload.content_type.to_str().unwrap_or_default().to_owned(),
            },
        });
    }
    Ok(fields)
}

/// `get_feed_by_cursor` of a route that is called "feed by cursor". With the method in front it
/// is no reserved word anywhere.
fn id(route: &RouteSpec, taken: &mut BTreeSet<String>) -> String {
    let mut id = route.method.as_str().to_lowercase();
    for word in route.name.split(|c: char| !c.is_ascii_alphanumeric()) {
        if !word.is_empty() {
            id.push('_');
            id.push_str(&word.to_lowercase());
        }
    }
    let mut unique = id.clone();
    let mut number = 2;
    while !taken.insert(unique.clone()) {
        unique = format!("{id}_{number}");
        number += 1;
    }
    unique
}

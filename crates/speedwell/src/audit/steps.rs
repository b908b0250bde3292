//! From the routes of the configuration to the steps that the load engine sends.

use std::{collections::BTreeSet, path::Path};

use serde_json::Value;
use speedwell_load::{
    Body, Capture, Expect, FileContent, JsonTemplate, Multipart, Part, Step, Template,
};

use crate::config::{Audited, Field, Form, RouteSpec, nearest};

/// What is known before a request is sent: `${page_size}`, `${scale}`, and the files of a scale.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes<'a> {
    pub(crate) page_size: Option<u64>,
    pub(crate) scale: u64,
    /// `None` while nothing is prepared: only the templates of a step are then right.
    pub(crate) workdir: Option<&'a Path>,
}

impl Sizes<'_> {
    /// The same with the page size that `route` has under load: its first.
    pub(crate) fn of(self, route: &RouteSpec) -> Self {
        Self {
            page_size: route.page_sizes.first().copied(),
            ..self
        }
    }

    pub(crate) fn fill(self, text: &str) -> String {
        let text = text.replace("${scale}", &self.scale.to_string());
        match self.page_size {
            Some(size) => text.replace("${page_size}", &size.to_string()),
            None => text,
        }
    }

    /// A string that is nothing but a size becomes a number, so that bodies keep their types.
    pub(crate) fn fill_json(self, value: &Value) -> Value {
        match value {
            Value::String(text) if text == "${scale}" => Value::from(self.scale),
            Value::String(text) if text == "${page_size}" && self.page_size.is_some() => {
                Value::from(self.page_size)
            }
            Value::String(text) => Value::String(self.fill(text)),
            Value::Array(items) => items.iter().map(|item| self.fill_json(item)).collect(),
            Value::Object(fields) => fields
                .iter()
                .map(|(name, value)| (name.clone(), self.fill_json(value)))
                .collect(),
            other => other.clone(),
        }
    }
}

/// Checks that every route can be asked for: its templates and captures can be read, and every
/// value that they name is captured somewhere.
///
/// # Errors
/// A sentence that names the route and what to do.
pub(crate) fn check(audited: &Audited) -> Result<(), String> {
    let routes = || audited.setup.iter().chain(&audited.routes);
    let captured: Vec<&str> = routes()
        .flat_map(|route| route.capture.keys())
        .map(String::as_str)
        .collect();
    for route in routes() {
        for reference in unsized_step(route)?.names() {
            let Some(name) = reference.captured() else {
                if audited.data.users.is_none() {
                    return Err(format!(
                        "route `{}`: `{reference}` needs `[data] users`",
                        route.name
                    ));
                }
                continue;
            };
            if name == "page_size" {
                return Err(format!(
                    "route `{}`: `{reference}` needs `page_sizes`",
                    route.name
                ));
            }
            if !captured.contains(&name) {
                let hint = nearest(name, captured.iter().copied())
                    .map(|near| format!("; did you mean `{near}`?"))
                    .unwrap_or_default();
                return Err(format!(
                    "route `{}`: no route captures `{name}`{hint}",
                    route.name
                ));
            }
        }
    }
    Ok(())
}

/// The step of a route as far as the configuration alone says what it is.
fn unsized_step(route: &RouteSpec) -> Result<Step, String> {
    let sizes = Sizes {
        page_size: route.page_sizes.first().copied(),
        scale: 1,
        workdir: None,
    };
    step(route, sizes)
}

/// Checks that the files are there which the routes upload at this scale.
///
/// # Errors
/// A sentence that names the route, the field and the file.
pub(crate) fn check_files(audited: &Audited, workdir: &Path, scale: u64) -> Result<(), String> {
    for route in audited.setup.iter().chain(&audited.routes) {
        let sizes = Sizes {
            page_size: None,
            scale,
            workdir: Some(workdir),
        };
        step(route, sizes)?;
    }
    Ok(())
}

/// Whether `route` captures a value that `other` needs.
pub(crate) fn feeds(route: &RouteSpec, other: &RouteSpec) -> bool {
    // What cannot be read needs nothing, and was refused before.
    let needed: BTreeSet<String> = unsized_step(other)
        .iter()
        .flat_map(Step::names)
        .filter_map(|reference| reference.captured().map(str::to_owned))
        .collect();
    route.capture.keys().any(|name| needed.contains(name))
}

/// The step that asks for `route`.
///
/// # Errors
/// A sentence that names the route when one of its templates or captures cannot be read, or a
/// file that it uploads.
pub(crate) fn step(route: &RouteSpec, sizes: Sizes<'_>) -> Result<Step, String> {
    let in_route = |error: &dyn std::fmt::Display| format!("route `{}`: {error}", route.name);
    let mut headers = Vec::new();
    let bearer = route
        .bearer
        .as_ref()
        .map(|token| ("authorization", format!("Bearer {token}")));
    let named = route
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.clone()));
    for (name, value) in bearer.into_iter().chain(named) {
        let name = http::HeaderName::try_from(name).map_err(|error| in_route(&error))?;
        headers.push((
            name,
            Template::parse(&sizes.fill(&value)).map_err(|e| in_route(&e))?,
        ));
    }
    let body = match (&route.json, &route.multipart) {
        (_, Some(form)) => Some(multipart(form, sizes).map_err(|e| in_route(&e))?),
        (Some(json), None) => Some(Body::Json(
            JsonTemplate::parse(&sizes.fill_json(json)).map_err(|e| in_route(&e))?,
        )),
        (None, None) => None,
    };
    let captures = route
        .capture
        .iter()
        .map(|(name, path)| Capture::parse(name, path).map_err(|e| in_route(&e)))
        .collect::<Result<_, _>>()?;
    Ok(Step {
        name: route.name.clone(),
        route: format!("{} {}", route.method, route.path),
        method: route.method.clone(),
        path: Template::parse(&sizes.fill(&route.path)).map_err(|e| in_route(&e))?,
        headers,
        body,
        expect: if route.expect.is_empty() {
            Expect::default()
        } else {
            Expect::statuses(route.expect.iter().copied())
        },
        captures,
    })
}

fn multipart(form: &Form, sizes: Sizes<'_>) -> Result<Body, String> {
    let mut parts = Vec::new();
    for (name, field) in &form.fields {
        let in_field = |error: &dyn std::fmt::Display| format!("multipart `{name}`: {error}");
        parts.push(match field {
            Field::Text(text) => {
                let text = Template::parse(&sizes.fill(text)).map_err(|e| in_field(&e))?;
                Part::text(name, text)
            }
            Field::File(upload) => {
                let bytes = match sizes.workdir {
                    Some(workdir) => upload
                        .read(workdir, sizes.scale)
                        .map_err(|e| in_field(&e))?,
                    None => bytes::Bytes::new(),
                };
                let file = FileContent {
                    file_name: upload.file_name.clone(),
                    content_type: upload.content_type.clone(),
                    bytes,
                };
                Part::file(name, file)
            }
        });
    }
    Ok(Body::Multipart(Multipart::new(parts, form.seed)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHOP: &str = r#"
[service]
name = "shop"
command = "shop serve"
ready = "/ready"
database = "sqlite:{workdir}/shop.db"

[[route]]
name = "list"
get = "/items"
capture = { item = "$.items[*].id" }

[[route]]
name = "upload"
post = "/items"
multipart = { size = "${page_size}", of = "${ pick  item }", photo = { file = "{workdir}/a.jpg" } }
page_sizes = [10]

[[route]]
name = "delete"
delete = "/items/${take item}"
expect = [204, 404]
"#;

    fn shop(text: &str) -> Audited {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("speedwell.toml");
        std::fs::write(&path, text).unwrap();
        crate::config::load(&path, crate::config::Use::Start)
            .unwrap()
            .remove(0)
    }

    #[test]
    fn a_route_feeds_those_that_pick_and_take_what_it_captures() {
        let audited = shop(SHOP);
        check(&audited).unwrap();
        let [list, upload, delete] = audited.routes.as_slice() else {
            panic!("three routes")
        };
        assert!(feeds(list, upload) && feeds(list, delete));
        assert!(!feeds(upload, delete) && !feeds(delete, list));
    }

    #[test]
    fn a_pool_that_nobody_captures_is_refused_wherever_it_is_drawn_from() {
        for (from, to) in [("take item", "take itm"), ("pick  item", "pick itm")] {
            let message = check(&shop(&SHOP.replace(from, to))).unwrap_err();
            assert!(message.contains("no route captures `itm`"), "{message}");
        }
        let message = check(&shop(&SHOP.replace("page_sizes = [10]", ""))).unwrap_err();
        assert!(message.contains("needs `page_sizes`"), "{message}");
    }

    #[test]
    fn a_file_that_the_data_should_bring_is_looked_for_at_each_scale() {
        let audited = shop(SHOP);
        let workdir = tempfile::tempdir().unwrap();
        let message = check_files(&audited, workdir.path(), 10).unwrap_err();
        for part in ["route `upload`", "multipart `photo`", "a.jpg", "prepare"] {
            assert!(message.contains(part), "{part}: {message}");
        }
        std::fs::write(workdir.path().join("a.jpg"), b"jpeg").unwrap();
        check_files(&audited, workdir.path(), 10).unwrap();
    }
}

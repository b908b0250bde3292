//! From the routes of the configuration to the steps that the load engine sends.

use serde_json::Value;
use speedwell_load::{Body, Capture, Expect, JsonTemplate, Step, Template};

use crate::config::{Audited, RouteSpec, nearest};

/// What is known before a request is sent: `${page_size}` and `${scale}`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes {
    pub(crate) page_size: Option<u64>,
    pub(crate) scale: u64,
}

impl Sizes {
    fn fill(self, text: &str) -> String {
        let text = text.replace("${scale}", &self.scale.to_string());
        match self.page_size {
            Some(size) => text.replace("${page_size}", &size.to_string()),
            None => text,
        }
    }

    /// A string that is nothing but a size becomes a number, so that bodies keep their types.
    fn fill_json(self, value: &Value) -> Value {
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
        let sizes = Sizes {
            page_size: route.page_sizes.first().copied(),
            scale: 1,
        };
        for reference in step(route, sizes)?.names() {
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

/// The step that asks for `route`.
///
/// # Errors
/// A sentence that names the route when one of its templates or captures cannot be read.
pub(crate) fn step(route: &RouteSpec, sizes: Sizes) -> Result<Step, String> {
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
    let body = match &route.json {
        Some(json) => Some(Body::Json(
            JsonTemplate::parse(&sizes.fill_json(json)).map_err(|e| in_route(&e))?,
        )),
        None => None,
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

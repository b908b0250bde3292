//! An OpenAPI document (3.0 and 3.1): its operations, with references followed.

use serde_json::{Map, Value};

/// A chain of references longer than this goes round in a circle.
const LONGEST_CHAIN: usize = 32;
const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// A document that cannot be used, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DocumentError {
    #[error(
        "`{name}` is not JSON ({reason}); a document in YAML must be turned into JSON first, for example with `yq -o json`"
    )]
    NotJson { name: String, reason: String },
    #[error("`{name}` is no OpenAPI document of version 3: {reason}")]
    Version { name: String, reason: String },
    #[error("`{name}` describes no operation: `paths` is empty")]
    Empty { name: String },
}

/// The whole document.
pub(super) struct Document {
    root: Value,
}

/// One operation: a method on a path.
pub(super) struct Operation<'a> {
    /// `get`, `post`, `put`, `patch` or `delete`.
    pub(super) method: &'static str,
    /// With the path of the server in front: `/api/items/{id}`.
    pub(super) path: String,
    /// `operationId`, summary, or method and path.
    pub(super) name: String,
    pub(super) parameters: Vec<&'a Value>,
    /// Media type and its description.
    pub(super) body: Option<(&'a str, &'a Value)>,
    /// The security scheme that it asks for, if it asks for one.
    pub(super) scheme: Option<&'a Value>,
    /// Statuses that mean success.
    pub(super) success: Vec<u16>,
    /// The schema of a successful JSON answer.
    pub(super) answer: Option<&'a Value>,
}

impl Document {
    /// Reads a document; `name` is for messages.
    pub(super) fn read(name: &str, text: &[u8]) -> Result<Self, DocumentError> {
        let name = name.to_owned();
        let root: Value = match serde_json::from_slice(text) {
            Ok(root) => root,
            Err(error) => {
                let reason = error.to_string();
                return Err(DocumentError::NotJson { name, reason });
            }
        };
        match root["openapi"].as_str() {
            Some(version) if version.starts_with("3.") => {}
            Some(version) => {
                let reason = format!("it says `openapi: {version}`");
                return Err(DocumentError::Version { name, reason });
            }
            None => {
                let reason = match root["swagger"].as_str() {
                    Some(version) => format!("it is Swagger {version}; convert it first"),
                    None => "the field `openapi` is missing".to_owned(),
                };
                return Err(DocumentError::Version { name, reason });
            }
        }
        let document = Self { root };
        match document.operations().is_empty() {
            true => Err(DocumentError::Empty { name }),
            false => Ok(document),
        }
    }

    pub(super) fn title(&self) -> &str {
        self.root["info"]["title"].as_str().unwrap_or("service")
    }

    /// The value itself, or what it refers to.
    pub(super) fn followed<'a>(&'a self, mut value: &'a Value) -> &'a Value {
        for _ in 0..LONGEST_CHAIN {
            let Some(pointer) = value["$ref"].as_str().and_then(|at| at.strip_prefix('#')) else {
                return value;
            };
            match self.root.pointer(pointer) {
                Some(next) => value = next,
                None => return value,
            }
        }
        &Value::Null
    }

    /// All operations, in the order of the document.
    pub(super) fn operations(&self) -> Vec<Operation<'_>> {
        let prefix = self.prefix();
        let paths = self.root["paths"].as_object();
        paths
            .into_iter()
            .flatten()
            .flat_map(|(path, item)| {
                let item = self.followed(item);
                METHODS.iter().filter_map({
                    let prefix = prefix.clone();
                    move |method| self.operation(method, format!("{prefix}{path}"), item)
                })
            })
            .collect()
    }

    /// The path of the first server: `/api/v1`.
    fn prefix(&self) -> String {
        let url = self.root["servers"][0]["url"].as_str().unwrap_or_default();
        let path = match url.split_once("://") {
            Some((_, rest)) => rest.find('/').map_or("", |at| &rest[at..]),
            None => url,
        };
        match path.contains('{') || !path.starts_with('/') {
            true => String::new(),
            false => path.trim_end_matches('/').to_owned(),
        }
    }

    fn operation<'a>(
        &'a self,
        method: &'static str,
        path: String,
        item: &'a Value,
    ) -> Option<Operation<'a>> {
        let operation = item.get(method).filter(|operation| operation.is_object())?;
        let name = operation["operationId"]
            .as_str()
            .map(|id| id.replace('_', " "));
        let summary = operation["summary"].as_str().map(str::to_owned);
        let fallback = || format!("{} {path}", method.to_uppercase());
        let responses = operation["responses"].as_object();
        Some(Operation {
            method,
            name: name.or(summary).unwrap_or_else(fallback),
            parameters: self.parameters(item, operation),
            body: self.body(operation),
            scheme: self.scheme(operation),
            success: success(responses),
            answer: responses.and_then(|responses| self.answer(responses)),
            path,
        })
    }

    /// Parameters of the path and of the operation, which replace those of the same name.
    fn parameters<'a>(&'a self, item: &'a Value, operation: &'a Value) -> Vec<&'a Value> {
        let of = |value: &'a Value| {
            let all = value["parameters"].as_array().into_iter().flatten();
            all.map(|each| self.followed(each)).collect::<Vec<_>>()
        };
        let own = of(operation);
        let same = |a: &Value, b: &Value| (&a["name"], &a["in"]) == (&b["name"], &b["in"]);
        let mut parameters = of(item);
        parameters.retain(|shared| !own.iter().any(|other| same(shared, other)));
        parameters.extend(own);
        parameters
    }

    /// JSON if the operation takes it, else the first that it takes.
    fn body<'a>(&'a self, operation: &'a Value) -> Option<(&'a str, &'a Value)> {
        let content = self.followed(&operation["requestBody"])["content"].as_object()?;
        let json = content.iter().find(|(kind, _)| is_json(kind));
        json.or_else(|| content.iter().next())
            .map(|(kind, media)| (kind.as_str(), media))
    }

    /// The first scheme that is asked for; an empty requirement means that none need be.
    fn scheme<'a>(&'a self, operation: &'a Value) -> Option<&'a Value> {
        let security = match operation.get("security") {
            Some(own) => own,
            None => &self.root["security"],
        };
        let requirements = security.as_array()?;
        if requirements
            .iter()
            .any(|each| each.as_object().is_some_and(Map::is_empty))
        {
            return None;
        }
        let (name, _) = requirements.first()?.as_object()?.iter().next()?;
        Some(self.followed(&self.root["components"]["securitySchemes"][name]))
    }

    fn answer<'a>(&'a self, responses: &'a Map<String, Value>) -> Option<&'a Value> {
        let right = responses.iter().find(|(status, _)| status.starts_with('2'));
        let content = self.followed(right?.1)["content"].as_object()?;
        let (_, media) = content.iter().find(|(kind, _)| is_json(kind))?;
        Some(self.followed(&media["schema"]))
    }

    /// The properties of an object, with those of all that it is made of.
    pub(super) fn properties<'a>(&'a self, schema: &'a Value) -> Vec<(&'a str, &'a Value)> {
        let mut found = Vec::new();
        self.collect(schema, &mut found, 0);
        found
    }

    fn collect<'a>(
        &'a self,
        schema: &'a Value,
        found: &mut Vec<(&'a str, &'a Value)>,
        depth: usize,
    ) {
        if depth > LONGEST_CHAIN {
            return;
        }
        let schema = self.followed(schema);
        for part in schema["allOf"].as_array().into_iter().flatten() {
            self.collect(part, found, depth + 1);
        }
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            found.push((name, self.followed(property)));
        }
    }
}

/// `application/json` and its kin.
pub(super) fn is_json(kind: &str) -> bool {
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind == "application/json" || kind.ends_with("+json")
}

fn success(responses: Option<&Map<String, Value>>) -> Vec<u16> {
    let statuses = |first: u16| -> Vec<u16> {
        responses
            .into_iter()
            .flat_map(Map::keys)
            .filter_map(|status| status.parse().ok())
            .filter(|status| status / 100 == first)
            .collect()
    };
    let right = statuses(2);
    match right.is_empty() {
        true => statuses(3),
        false => right,
    }
}

//! A value that a schema allows: an example where there is one, else the least that is required.

use serde_json::{Map, Value, json};

use super::document::Document;

/// Deeper schemas are taken to go round in a circle.
const DEEPEST: usize = 12;

/// What a value was made of that only a person can know.
pub(super) trait Unknowns {
    /// The expression for the id of something: a captured pool, or a column of the users' file.
    fn id(&mut self, name: &str) -> String;
    /// Notes what else cannot be known.
    fn note(&mut self, what: String);
}

/// A value of `schema` for a place called `name`.
pub(super) fn sample(
    document: &Document,
    name: &str,
    schema: &Value,
    unknowns: &mut impl Unknowns,
) -> Value {
    of_schema(document, name, schema, unknowns, 0)
}

fn of_schema(
    document: &Document,
    name: &str,
    schema: &Value,
    unknowns: &mut impl Unknowns,
    depth: usize,
) -> Value {
    let schema = document.followed(schema);
    if depth > DEEPEST {
        return Value::Null;
    }
    let kind = kind(document, schema);
    // An id in an example is one of somebody else's data.
    if is_id(name) && matches!(kind, "string" | "integer") {
        return Value::from(unknowns.id(name));
    }
    if let Some(given) = given(schema) {
        return escaped(given);
    }
    for alternatives in ["oneOf", "anyOf"] {
        let known = schema[alternatives].as_array();
        let mut all = known
            .into_iter()
            .flatten()
            .map(|each| document.followed(each));
        if let Some(first) = all.find(|each| each["type"] != "null") {
            return of_schema(document, name, first, unknowns, depth + 1);
        }
    }
    match kind {
        "object" => object(document, schema, unknowns, depth),
        "array" => {
            let least = schema["minItems"].as_u64().unwrap_or(0).min(3);
            let items = (0..least)
                .map(|_| of_schema(document, name, &schema["items"], unknowns, depth + 1));
            Value::Array(items.collect())
        }
        "integer" => schema["minimum"].as_i64().map_or(json!(1), Value::from),
        "number" => schema["minimum"]
            .as_f64()
            .map_or(json!(1.0), |least| json!(least)),
        "boolean" => json!(true),
        _ => text(name, schema, unknowns),
    }
}

/// The type of a schema; of several, the first that is not null.
fn kind<'a>(document: &Document, schema: &'a Value) -> &'a str {
    let several = schema["type"].as_array().into_iter().flatten();
    let named = schema["type"].as_str().or_else(|| {
        several
            .filter_map(Value::as_str)
            .find(|kind| *kind != "null")
    });
    match named {
        Some(kind) => kind,
        None if document.properties(schema).is_empty() => "string",
        None => "object",
    }
}

/// What the document itself gives: an example, a default, the first of a choice.
fn given(schema: &Value) -> Option<&Value> {
    let first = |key: &str| schema[key].as_array().and_then(|all| all.first());
    [
        schema.get("const"),
        schema.get("example"),
        first("examples"),
        schema.get("default"),
        first("enum"),
    ]
    .into_iter()
    .flatten()
    .find(|value| !value.is_null())
}

/// In a configuration a dollar sign may begin a place to fill.
fn escaped(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::from(text.replace('$', "$$")),
        Value::Array(items) => items.iter().map(escaped).collect(),
        Value::Object(fields) => {
            let fields = fields.iter();
            Value::Object(
                fields
                    .map(|(name, value)| (name.clone(), escaped(value)))
                    .collect(),
            )
        }
        other => other.clone(),
    }
}

fn object(
    document: &Document,
    schema: &Value,
    unknowns: &mut impl Unknowns,
    depth: usize,
) -> Value {
    let required = required(document, schema);
    let mut fields = Map::new();
    for (name, property) in document.properties(schema) {
        if required.contains(&name) {
            let value = of_schema(document, name, property, unknowns, depth + 1);
            fields.insert(name.to_owned(), value);
        }
    }
    Value::Object(fields)
}

/// Names of required properties, those of all that the schema is made of.
pub(super) fn required<'a>(document: &'a Document, schema: &'a Value) -> Vec<&'a str> {
    let schema = document.followed(schema);
    let own = schema["required"].as_array().into_iter().flatten();
    let mut names: Vec<&str> = own.filter_map(Value::as_str).collect();
    for part in schema["allOf"].as_array().into_iter().flatten() {
        let part = document.followed(part);
        names.extend(
            part["required"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str),
        );
    }
    names
}

fn text(name: &str, schema: &Value, unknowns: &mut impl Unknowns) -> Value {
    let text = match schema["format"].as_str().unwrap_or_default() {
        "email" => "${uuid}@example.org",
        "uuid" => "${uuid}",
        "date-time" => "2030-01-01T12:00:00Z",
        "date" => "2030-01-01",
        "time" => "12:00:00Z",
        "uri" | "url" => "https://example.org/",
        "ipv4" => "192.0.2.1",
        "password" => "Correct-Horse-7",
        _ if name.contains("email") => "${uuid}@example.org",
        _ if name.contains("password") => "Correct-Horse-7",
        _ => return words(name, schema, unknowns),
    };
    Value::from(text)
}

/// Some words, not shorter and not longer than allowed.
fn words(name: &str, schema: &Value, unknowns: &mut impl Unknowns) -> Value {
    if let Some(pattern) = schema["pattern"].as_str() {
        unknowns.note(format!("`{name}` must match {pattern}"));
    }
    let least = schema["minLength"].as_u64().unwrap_or(0) as usize;
    let most = schema["maxLength"]
        .as_u64()
        .map_or(usize::MAX, |most| most as usize);
    let mut text = name.replace(['_', '-'], " ").replace('$', "");
    while text.chars().count() < least {
        text.push('x');
    }
    // A number that may have five digits makes it another text each time.
    if text.chars().count() + 6 <= most {
        return Value::from(format!("{text} ${{seq}}"));
    }
    Value::from(text.chars().take(most).collect::<String>())
}

/// Whether a name is that of an id.
pub(super) fn is_id(name: &str) -> bool {
    let name = name.to_lowercase();
    ["id", "uuid", "slug"]
        .iter()
        .any(|word| name == *word || name.ends_with(&format!("_{word}")))
}

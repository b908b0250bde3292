//! Templates as expressions. Strings, calls and `+` are written alike in Python and JavaScript;
//! only three words differ.

use serde_json::Value;
use speedwell_load::{
    Reference, Template,
    template::{Part, Place},
};

use super::{
    jsonpath::Segment,
    script::{FormField, Found},
};

/// The words in which the languages differ.
#[derive(Debug, Clone, Copy)]
pub(super) struct Words {
    pub(super) yes: &'static str,
    pub(super) no: &'static str,
    pub(super) nothing: &'static str,
}

/// A string literal.
pub(super) fn string(text: &str) -> String {
    Value::from(text).to_string()
}

/// The call that yields the value of a place.
fn call(place: &Place) -> String {
    match place {
        Place::Named(Reference::Value(name)) => format!("user.value({})", string(name)),
        Place::Named(Reference::Row(column)) => format!("user.row({})", string(column)),
        Place::Named(Reference::Pick(pool)) => format!("user.pick({})", string(pool)),
        Place::Named(Reference::Take(pool)) => format!("user.take({})", string(pool)),
        Place::Int(low, high) => format!("user.whole({low}, {high})"),
        Place::Uuid => "user.uuid()".to_owned(),
        Place::Seq => "user.seq()".to_owned(),
        Place::User => "user.number".to_owned(),
    }
}

/// A text with its places filled.
pub(super) fn text(template: &Template) -> String {
    concatenated(template, |_, call| format!("text({call})"))
}

/// A path: values are percent-encoded, but for one at the very start, which is a path itself.
pub(super) fn path(template: &Template) -> String {
    concatenated(template, |index, call| match index {
        0 => format!("origin(text({call}))"),
        _ => format!("encoded(text({call}))"),
    })
}

fn concatenated(template: &Template, fill: impl Fn(usize, String) -> String) -> String {
    let parts: Vec<String> = template
        .parts()
        .iter()
        .enumerate()
        .map(|(index, part)| match part {
            Part::Text(text) => string(text),
            Part::Place(place) => fill(index, call(place)),
        })
        .collect();
    match parts.is_empty() {
        true => string(""),
        false => parts.join(" + "),
    }
}

/// A JSON value whose strings are templates; one that is nothing but a place keeps its type.
pub(super) fn json(value: &Value, words: Words) -> String {
    match value {
        Value::Null => words.nothing.to_owned(),
        Value::Bool(true) => words.yes.to_owned(),
        Value::Bool(false) => words.no.to_owned(),
        Value::Number(number) => number.to_string(),
        Value::String(value) => match Template::parse(value) {
            Ok(template) => match template.parts() {
                [Part::Place(place)] => call(place),
                _ => text(&template),
            },
            Err(_) => string(value),
        },
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(|item| json(item, words)).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(fields) => {
            let fields: Vec<String> = fields
                .iter()
                .map(|(name, value)| format!("{}: {}", string(name), json(value, words)))
                .collect();
            format!("{{{}}}", fields.join(", "))
        }
    }
}

/// Headers, as a table of texts.
pub(super) fn headers(headers: &[(String, Template)]) -> String {
    let headers: Vec<String> = headers
        .iter()
        .map(|(name, value)| format!("{}: {}", string(name), text(value)))
        .collect();
    format!("{{{}}}", headers.join(", "))
}

/// The parts of a form.
pub(super) fn form(fields: &[FormField]) -> String {
    let fields: Vec<String> = fields
        .iter()
        .map(|field| match field {
            FormField::Text(name, value) => format!("field({}, {})", string(name), text(value)),
            FormField::File {
                field,
                file,
                name,
                kind,
            } => format!(
                "upload({}, {}, {}, {})",
                string(field),
                string(file),
                string(name),
                string(kind)
            ),
        })
        .collect();
    format!("[{}]", fields.join(", "))
}

/// Captured names and where their values stand.
pub(super) fn captures(captures: &[(String, Found)]) -> String {
    let captures: Vec<String> = captures
        .iter()
        .map(|(name, found)| format!("{}: {}", string(name), place_of(found)))
        .collect();
    format!("{{{}}}", captures.join(", "))
}

fn place_of(found: &Found) -> String {
    match found {
        Found::Header(name) => format!("in_header({})", string(name)),
        Found::Body(segments) => {
            let segments: Vec<String> = segments
                .iter()
                .map(|segment| match segment {
                    Segment::Name(name) => string(name),
                    Segment::Place(place) => place.to_string(),
                    Segment::Any => "ANY".to_owned(),
                    Segment::Deep => "DEEP".to_owned(),
                })
                .collect();
            format!("in_body({})", segments.join(", "))
        }
    }
}

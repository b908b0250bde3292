//! Texts and JSON bodies with places to fill: `/challenges/${pick challenge}?limit=${page_size}`.
//!
//! | place | becomes |
//! |---|---|
//! | `${name}` | a captured value or a constant |
//! | `${row.column}` | the user's value in that column of the users' file |
//! | `${pick name}` | a random value of the pool `name` |
//! | `${take name}` | a random value of the pool `name`, which loses it: no later request gets it |
//! | `${int 1 100}` | a random whole number, both ends included |
//! | `${uuid}` | a random UUID |
//! | `${seq}` | 1, 2, 3 ... counted for each user |
//! | `${user}` | the user's number, from 0; `${user}-${seq}` is unique in a run |
//! | `$$` | a dollar sign |

use std::fmt;

use serde_json::Value;
use thiserror::Error;

use crate::session::Session;

/// Why a text is not a template.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("cannot read template `{text}`: {reason}")]
pub struct TemplateError {
    text: String,
    reason: String,
}

/// A value that a template needs was not there.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RenderError {
    /// Neither a constant nor captured so far.
    #[error(
        "`${{{0}}}` has no value yet; capture it in an earlier step or define it as a constant"
    )]
    Missing(String),
    /// No column of that name, or no users' file.
    #[error("`${{row.{0}}}` has no value; `users` must name a CSV file with a column `{0}`")]
    MissingColumn(String),
    /// The pool was never captured.
    #[error(
        "`{0}` has nothing to draw from; no step has captured `{name}` for this user",
        name = .0.name()
    )]
    MissingPool(Reference),
    /// The capture found nothing.
    #[error(
        "`${{pick {0}}}` has nothing to pick from; the answer that `{0}` was captured from held none, or all were taken"
    )]
    EmptyPool(String),
    /// The pool has no values, or no more of them. No mistake: the step is skipped.
    #[error("`${{take {0}}}` has nothing left to take; `{0}` is empty for this user")]
    NothingToTake(String),
    /// A list stands where one value is needed.
    #[error("`${{{0}}}` is a list; write `${{pick {0}}}` for one of its values")]
    List(String),
    /// The filled path is not a valid path. Its text may hold users' values and is not shown.
    #[error("the filled path is not valid in a request; it must begin with `/` and hold no spaces")]
    Path,
    /// The filled header is not a valid value.
    #[error("the value of header `{0}` has characters that are not allowed in a header")]
    Header(String),
}

/// What a template needs from outside.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Reference {
    /// `${name}`.
    Value(String),
    /// `${row.column}`; holds the column.
    Row(String),
    /// `${pick name}`.
    Pick(String),
    /// `${take name}`.
    Take(String),
}

impl Reference {
    /// Name of the value or pool, or of the column.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Value(name) | Self::Row(name) | Self::Pick(name) | Self::Take(name) => name,
        }
    }

    /// Name of the value or pool that a step must have captured.
    #[must_use]
    pub fn captured(&self) -> Option<&str> {
        match self {
            Self::Row(_) => None,
            Self::Value(name) | Self::Pick(name) | Self::Take(name) => Some(name),
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(name) => write!(f, "${{{name}}}"),
            Self::Row(column) => write!(f, "${{row.{column}}}"),
            Self::Pick(pool) => write!(f, "${{pick {pool}}}"),
            Self::Take(pool) => write!(f, "${{take {pool}}}"),
        }
    }
}

/// One place to fill.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// What stands under a name: `${name}`, `${row.column}`, `${pick name}`, `${take name}`.
    Named(Reference),
    /// `${int 1 100}`: a whole number, both ends included.
    Int(i64, i64),
    /// `${uuid}`.
    Uuid,
    /// `${seq}`.
    Seq,
    /// `${user}`.
    User,
}

/// A piece of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// As it is.
    Text(String),
    /// Filled for each request.
    Place(Place),
}

/// A text with places to fill. See the [module](self) for what they can be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// When a `${` is not closed or what it encloses is not a known form.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let wrong = |reason: String| TemplateError {
            text: text.to_owned(),
            reason,
        };
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            plain.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix('{') {
                let end = after
                    .find('}')
                    .ok_or_else(|| wrong("`${` is not closed by `}`".to_owned()))?;
                if !plain.is_empty() {
                    parts.push(Part::Text(std::mem::take(&mut plain)));
                }
                parts.push(Part::Place(place(&after[..end]).map_err(wrong)?));
                rest = &after[end + 1..];
            } else {
                // `$$` is an escaped dollar; a lone one (a price, say) stands for itself.
                plain.push('$');
                rest = rest.strip_prefix('$').unwrap_or(rest);
            }
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            parts.push(Part::Text(plain));
        }
        Ok(Self { parts })
    }

    /// A text without places: what looks like one stands for itself.
    #[must_use]
    pub fn literal(text: &str) -> Self {
        Self {
            parts: vec![Part::Text(text.to_owned())],
        }
    }

    /// Texts and places in order, for those who write the template in another language.
    #[must_use]
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// What the template needs, in order, with repetitions.
    pub fn names(&self) -> impl Iterator<Item = Reference> {
        self.parts.iter().filter_map(|part| match part {
            Part::Place(Place::Named(reference)) => Some(reference.clone()),
            _ => None,
        })
    }

    /// Fills the places from a session.
    ///
    /// # Errors
    /// When a value is missing or is a list.
    pub fn render(&self, session: &mut Session) -> Result<String, RenderError> {
        self.fill(session, |text, out, _| out.push_str(text))
    }

    /// Fills the places of a path: values are percent-encoded, so that a space or a `/` in one
    /// stays inside its segment. A value at the very start is taken as it is: it is a path that
    /// the service gave, say in `Location`.
    pub(crate) fn render_path(&self, session: &mut Session) -> Result<String, RenderError> {
        self.fill(session, |text, out, index| {
            if index == 0 {
                out.push_str(text);
            } else {
                percent_encode(text, out);
            }
        })
    }

    /// The text, when there is nothing to fill.
    pub(crate) fn constant(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [] => Some(""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    fn fill(
        &self,
        session: &mut Session,
        insert: impl Fn(&str, &mut String, usize),
    ) -> Result<String, RenderError> {
        let mut out = String::new();
        for (index, part) in self.parts.iter().enumerate() {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Place(place) => {
                    insert(&text(place, session.value(place)?)?, &mut out, index);
                }
            }
        }
        Ok(out)
    }

    fn only_place(&self) -> Option<&Place> {
        match self.parts.as_slice() {
            [Part::Place(place)] => Some(place),
            _ => None,
        }
    }
}

/// A value as it stands inside a text.
fn text(place: &Place, value: Value) -> Result<String, RenderError> {
    match value {
        Value::String(text) => Ok(text),
        Value::Array(_) => match place {
            Place::Named(Reference::Value(name)) => Err(RenderError::List(name.clone())),
            _ => Ok(value.to_string()),
        },
        other => Ok(other.to_string()),
    }
}

/// Everything but RFC 3986's unreserved characters becomes `%XX`.
fn percent_encode(text: &str, out: &mut String) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(char::from(HEX[usize::from(byte >> 4)]));
            out.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
}

fn place(inside: &str) -> Result<Place, String> {
    let words: Vec<&str> = inside.split_whitespace().collect();
    match words.as_slice() {
        [] => Err("`${}` needs a name".to_owned()),
        ["uuid"] => Ok(Place::Uuid),
        ["seq"] => Ok(Place::Seq),
        ["user"] => Ok(Place::User),
        ["pick", pool] => Ok(Place::Named(Reference::Pick(name(pool)?))),
        ["take", pool] => Ok(Place::Named(Reference::Take(name(pool)?))),
        [verb @ ("pick" | "take"), ..] => {
            Err(format!("`${{{verb} ..}}` needs the name of one pool"))
        }
        ["int", low, high] => {
            let number = |text: &str| {
                text.parse::<i64>()
                    .map_err(|_| format!("`{text}` is not a whole number"))
            };
            let (low, high) = (number(low)?, number(high)?);
            if low > high {
                return Err(format!("`int {low} {high}` has its larger number first"));
            }
            Ok(Place::Int(low, high))
        }
        ["int", ..] => Err("`${int ..}` needs two whole numbers, as in `${int 1 100}`".to_owned()),
        [one] => Ok(Place::Named(match one.strip_prefix("row.") {
            Some(column) => Reference::Row(name(column)?),
            None => Reference::Value(name(one)?),
        })),
        _ => Err(format!(
            "`${{{inside}}}` is not known; write a name, `row.column`, `pick name`, `take name`, `int 1 100`, `uuid`, `seq` or `user`"
        )),
    }
}

fn name(text: &str) -> Result<String, String> {
    let valid = text.starts_with(|c: char| c.is_alphabetic() || c == '_')
        && text
            .chars()
            .all(|c| c.is_alphanumeric() || c == '_' || c == '-');
    if valid {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "`{text}` is not a name; use letters, digits, `_` and `-`"
        ))
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Node {
    Constant(Value),
    /// A string that is exactly one place keeps the type of the value.
    Place(Place),
    Text(Template),
    List(Vec<Node>),
    Object(Vec<(String, Node)>),
}

/// A JSON body whose strings are templates. A string that is exactly one `${..}` takes the type
/// of its value: a captured number stays a number. Keys are taken as they are.
#[derive(Debug, Clone, PartialEq)]
pub struct JsonTemplate {
    root: Node,
}

impl JsonTemplate {
    /// Reads the strings of a JSON value as templates.
    ///
    /// # Errors
    /// When one of the strings is not a template.
    pub fn parse(value: &Value) -> Result<Self, TemplateError> {
        Ok(Self { root: node(value)? })
    }

    /// What the body needs, in order, with repetitions.
    pub fn names(&self) -> impl Iterator<Item = Reference> {
        let mut names = Vec::new();
        collect_names(&self.root, &mut names);
        names.into_iter()
    }

    /// Fills the places from a session.
    ///
    /// # Errors
    /// When a value is missing, or a list stands inside a text.
    pub fn render(&self, session: &mut Session) -> Result<Value, RenderError> {
        render(&self.root, session)
    }

    pub(crate) fn constant(&self) -> Option<&Value> {
        match &self.root {
            Node::Constant(value) => Some(value),
            _ => None,
        }
    }
}

/// A part without places is kept as the value that it is.
fn node(value: &Value) -> Result<Node, TemplateError> {
    Ok(match value {
        Value::String(text) => {
            let template = Template::parse(text)?;
            match (template.constant(), template.only_place()) {
                (Some(text), _) => Node::Constant(Value::from(text)),
                (_, Some(place)) => Node::Place(place.clone()),
                _ => Node::Text(template),
            }
        }
        Value::Array(items) => {
            let nodes = items.iter().map(node).collect::<Result<Vec<_>, _>>()?;
            match nodes.iter().map(constant).collect::<Option<Vec<_>>>() {
                Some(constants) => Node::Constant(Value::Array(constants)),
                None => Node::List(nodes),
            }
        }
        Value::Object(fields) => {
            let nodes = fields
                .iter()
                .map(|(key, value)| Ok((key.clone(), node(value)?)))
                .collect::<Result<Vec<_>, TemplateError>>()?;
            let constants = nodes
                .iter()
                .map(|(key, node)| Some((key.clone(), constant(node)?)))
                .collect::<Option<serde_json::Map<_, _>>>();
            match constants {
                Some(constants) => Node::Constant(Value::Object(constants)),
                None => Node::Object(nodes),
            }
        }
        other => Node::Constant(other.clone()),
    })
}

fn constant(node: &Node) -> Option<Value> {
    match node {
        Node::Constant(value) => Some(value.clone()),
        _ => None,
    }
}

fn collect_names(node: &Node, names: &mut Vec<Reference>) {
    match node {
        Node::Place(Place::Named(reference)) => names.push(reference.clone()),
        Node::Text(template) => names.extend(template.names()),
        Node::List(items) => items.iter().for_each(|item| collect_names(item, names)),
        Node::Object(fields) => fields
            .iter()
            .for_each(|(_, node)| collect_names(node, names)),
        Node::Constant(_) | Node::Place(_) => {}
    }
}

fn render(node: &Node, session: &mut Session) -> Result<Value, RenderError> {
    Ok(match node {
        Node::Constant(value) => value.clone(),
        Node::Place(place) => session.value(place)?,
        Node::Text(template) => Value::String(template.render(session)?),
        Node::List(items) => Value::Array(
            items
                .iter()
                .map(|item| render(item, session))
                .collect::<Result<_, _>>()?,
        ),
        Node::Object(fields) => Value::Object(
            fields
                .iter()
                .map(|(key, node)| Ok((key.clone(), render(node, session)?)))
                .collect::<Result<_, RenderError>>()?,
        ),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn session() -> Session {
        let mut session = Session::new(7, 3, None);
        session.set("token", json!("abc"));
        session.set("page_size", json!(10));
        session.set("challenge", json!(["x y", "x y"]));
        session
    }

    fn render(text: &str) -> Result<String, RenderError> {
        Template::parse(text).unwrap().render(&mut session())
    }

    #[test]
    fn places_are_filled_and_dollars_escaped() {
        assert_eq!(render("/a?limit=${page_size}").unwrap(), "/a?limit=10");
        assert_eq!(render("Bearer ${ token }").unwrap(), "Bearer abc");
        assert_eq!(
            render("$5 and $$5 and $${token} $").unwrap(),
            "$5 and $5 and ${token} $"
        );
        assert_eq!(render("${seq},${seq},${user}").unwrap(), "1,2,3");
        assert_eq!(render("${uuid}").unwrap().len(), 36);
        let number: i64 = render("${int -2 2}").unwrap().parse().unwrap();
        assert!((-2..=2).contains(&number));
    }

    #[test]
    fn values_in_a_path_are_encoded_unless_they_begin_it() {
        let path = |text: &str| {
            Template::parse(text)
                .unwrap()
                .render_path(&mut session())
                .unwrap()
        };
        assert_eq!(path("/c/${pick challenge}/x"), "/c/x%20y/x");
        let mut session = session();
        session.set("location", json!("/c/1?full=1"));
        let template = Template::parse("${location}").unwrap();
        assert_eq!(template.render_path(&mut session).unwrap(), "/c/1?full=1");
    }

    #[test]
    fn what_is_missing_is_named() {
        for (text, part) in [
            ("${nothing}", "`${nothing}` has no value yet"),
            ("${row.email}", "a column `email`"),
            ("${pick nothing}", "no step has captured `nothing`"),
            ("a ${challenge}", "write `${pick challenge}`"),
        ] {
            let error = render(text).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn malformed_templates_say_why() {
        for (text, part) in [
            ("a ${b", "not closed"),
            ("${}", "needs a name"),
            ("${pick}", "name of one pool"),
            ("${pick a b}", "name of one pool"),
            ("${take}", "name of one pool"),
            ("${int 1}", "two whole numbers"),
            ("${int 5 1}", "larger number first"),
            ("${int a 1}", "not a whole number"),
            ("${row.}", "not a name"),
            ("${a b}", "is not known"),
            ("${a/b}", "not a name"),
        ] {
            let error = Template::parse(text).unwrap_err().to_string();
            assert!(
                error.contains(part) && error.contains(text),
                "{text}: {error}"
            );
        }
    }

    #[test]
    fn names_are_those_that_must_come_from_outside() {
        let template = Template::parse("${a}${row.b}${pick c}${take d}${int 1 2}${uuid}").unwrap();
        let names: Vec<String> = template.names().map(|name| name.to_string()).collect();
        assert_eq!(names, ["${a}", "${row.b}", "${pick c}", "${take d}"]);
    }

    #[test]
    fn a_body_keeps_the_types_of_its_values() {
        let body = json!({
            "size": "${page_size}", "text": "${page_size} rows", "all": "${challenge}",
            "fixed": [1, null, "$$x"], "deep": [{"one": "${pick challenge}"}]
        });
        let template = JsonTemplate::parse(&body).unwrap();
        assert_eq!(
            template.render(&mut session()).unwrap(),
            json!({
                "size": 10, "text": "10 rows", "all": ["x y", "x y"],
                "fixed": [1, null, "$x"], "deep": [{"one": "x y"}]
            })
        );
        assert_eq!(template.names().count(), 4);
        assert!(JsonTemplate::parse(&json!({"a": ["${"]})).is_err());
        assert!(
            JsonTemplate::parse(&json!({"a": ["b"]}))
                .unwrap()
                .constant()
                .is_some()
        );
    }

    proptest! {
        #[test]
        fn parsing_never_panics(text in ".{0,60}") {
            let _ = Template::parse(&text);
        }

        #[test]
        fn escaped_text_comes_back_as_it_was(text in ".{0,60}") {
            prop_assert_eq!(render(&text.replace('$', "$$")).unwrap(), text);
        }

        #[test]
        fn encoded_values_hold_no_delimiters(text in ".{0,40}") {
            let mut out = String::new();
            percent_encode(&text, &mut out);
            prop_assert!(out.chars().all(|c| c.is_ascii_alphanumeric() || "-._~%".contains(c)));
        }

        #[test]
        fn known_places_between_texts_are_filled(before in "[^$]{0,20}", after in "[^$]{0,20}") {
            let text = format!("{before}${{token}}{after}");
            prop_assert_eq!(render(&text).unwrap(), format!("{before}abc{after}"));
        }
    }
}

//! Reading JSON fields one by one: what is absent, what is null, what is wrong and why.

use serde::{Deserialize, Deserializer};

use crate::problem::{Fields, Problem};

/// A field of a merge patch (RFC 7396): absent leaves what there is, null clears it.
pub type Patch<T> = Option<Option<T>>;

/// For `#[serde(default, deserialize_with = "present")]`: tells null from absent.
///
/// # Errors
/// The value is none of this type.
pub fn present<'de, T, D>(from: D) -> Result<Patch<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    Option::<T>::deserialize(from).map(Some)
}

/// The problem of all wrong fields, if there are any.
///
/// # Errors
/// 400 that names them.
pub fn check(fields: Fields) -> Result<(), Problem> {
    match fields.is_empty() {
        true => Ok(()),
        false => Err(Problem::validation(fields)),
    }
}

/// A text that is trimmed, not empty, without NUL, and of so many characters at most.
pub fn required(name: &str, text: Option<String>, longest: usize, fields: &mut Fields) -> String {
    let text = text.map(|text| text.trim().to_owned());
    match text {
        None => drop(fields.insert(name.to_owned(), "is required".to_owned())),
        Some(text) if text.is_empty() => {
            fields.insert(name.to_owned(), "must not be empty".to_owned());
        }
        Some(text) => {
            bound(name, &text, longest, fields);
            return text;
        }
    }
    String::new()
}

/// A text of so many characters at most, without NUL, which PostgreSQL cannot keep.
pub fn bound(name: &str, text: &str, longest: usize, fields: &mut Fields) {
    if text.contains('\0') {
        fields.insert(name.to_owned(), "must not contain NUL".to_owned());
    } else if text.chars().count() > longest {
        let message = format!("must have at most {longest} characters");
        fields.insert(name.to_owned(), message);
    }
}

/// The same for a text that may be absent.
pub fn bound_any(name: &str, text: Option<&str>, longest: usize, fields: &mut Fields) {
    if let Some(text) = text {
        bound(name, text, longest, fields);
    }
}

/// One of these words; the first one where it is absent.
pub fn choice(
    name: &str,
    text: Option<String>,
    words: &[&'static str],
    fields: &mut Fields,
) -> &'static str {
    let first = words.first().copied().unwrap_or_default();
    let Some(text) = text else { return first };
    match words.iter().find(|word| **word == text) {
        Some(word) => word,
        None => {
            fields.insert(
                name.to_owned(),
                format!("must be one of {}", words.join(", ")),
            );
            first
        }
    }
}

/// A whole number in these bounds, or the usual one.
pub fn within(
    name: &str,
    number: Option<i64>,
    usual: i64,
    bounds: std::ops::RangeInclusive<i64>,
    fields: &mut Fields,
) -> i64 {
    let number = number.unwrap_or(usual);
    if !bounds.contains(&number) {
        let message = format!("must be from {} to {}", bounds.start(), bounds.end());
        fields.insert(name.to_owned(), message);
        return usual;
    }
    number
}

/// An id that a request must name.
pub fn id(name: &str, id: Option<i64>, fields: &mut Fields) -> i64 {
    id.unwrap_or_else(|| {
        fields.insert(name.to_owned(), "is required".to_owned());
        0
    })
}

//! The text of a statement as it may leave the process.

use std::borrow::Cow;

use speedwell_sql::normalize;

use crate::{Statement, Values};

/// The text of `statement` for logs and spans, as OpenTelemetry asks for it: a text with
/// placeholders as it is, because its values are elsewhere; a text without placeholders with its
/// literals blanked, because they may be a user's.
pub fn showable_text(statement: &Statement) -> Cow<'_, str> {
    match statement.values {
        Values::InText => Cow::Owned(normalize(&statement.text, statement.dialect)),
        Values::Hidden | Values::Hashed(_) => Cow::Borrowed(&statement.text),
    }
}

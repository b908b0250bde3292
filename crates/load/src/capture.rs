//! Values carried from one answer to later requests.

use serde_json::Value;
use serde_json_path::JsonPath;
use thiserror::Error;

use crate::answer::{Received, ascii};

/// Values that a pool keeps. A user picks a few of them; ten thousand of a long list, for each
/// of a hundred users, would only fill memory.
pub const LARGEST_POOL: usize = 1000;

/// Why a value was not captured, or the description of a capture cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CaptureError {
    /// The description is not a JSONPath.
    #[error(
        "cannot read capture `{name}`: `{text}` is not a JSONPath ({reason}); write `$.id`, `$.items[*].id` or `header:location`"
    )]
    Path {
        /// Name of the capture.
        name: String,
        /// The description.
        text: String,
        /// What is wrong.
        reason: String,
    },
    /// The body is not JSON.
    #[error("capture `{name}` needs a JSON body: {reason}")]
    NotJson {
        /// Name of the capture.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// Nothing is there.
    #[error("capture `{name}`: `{source_text}` is not in the answer")]
    NotFound {
        /// Name of the capture.
        name: String,
        /// Where it should have been.
        source_text: String,
    },
    /// The body is not as the step requires.
    #[error("the body has nothing at `{0}`, which the step requires")]
    Required(String),
}

/// Where a captured value stands in the answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    /// In the JSON body. A path that can match several values (`$.items[*].id`) yields a pool,
    /// possibly an empty one; any other path yields one value, which must be there.
    Body(JsonPath),
    /// In a header.
    Header(http::HeaderName),
}

/// A name and where its value stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Capture {
    /// Name by which templates refer to it.
    pub name: String,
    /// Where the value stands.
    pub source: Source,
    text: String,
    many: bool,
}

impl Capture {
    /// Reads `$.items[*].id` (a JSONPath, RFC 9535) or `header:location`.
    ///
    /// # Errors
    /// When the description is neither.
    pub fn parse(name: &str, text: &str) -> Result<Self, CaptureError> {
        let wrong = |reason: String| CaptureError::Path {
            name: name.to_owned(),
            text: text.to_owned(),
            reason,
        };
        let (source, many) = match text.strip_prefix("header:") {
            Some(header) => {
                let header = http::HeaderName::try_from(header.trim())
                    .map_err(|error| wrong(error.to_string()))?;
                (Source::Header(header), false)
            }
            None => {
                let path = JsonPath::parse(text).map_err(|error| wrong(error.to_string()))?;
                (Source::Body(path), matches_many(text))
            }
        };
        Ok(Self {
            name: name.to_owned(),
            source,
            text: text.to_owned(),
            many,
        })
    }

    /// Whether it yields a pool rather than one value.
    #[must_use]
    pub fn is_pool(&self) -> bool {
        self.many
    }

    /// The value in an answer; a list when the path can match several.
    pub(crate) fn take(
        &self,
        answer: &impl Received,
        body: &mut ParsedBody,
    ) -> Result<Value, CaptureError> {
        let missing = || CaptureError::NotFound {
            name: self.name.clone(),
            source_text: self.text.clone(),
        };
        match &self.source {
            Source::Header(header) => {
                let value = answer.header(header).and_then(ascii);
                Ok(Value::from(value.ok_or_else(missing)?))
            }
            Source::Body(path) => {
                let body = body.of(answer).map_err(|reason| CaptureError::NotJson {
                    name: self.name.clone(),
                    reason: reason.to_owned(),
                })?;
                let mut found = path
                    .query(body)
                    .all()
                    .into_iter()
                    .take(LARGEST_POOL)
                    .cloned();
                if self.many {
                    Ok(Value::Array(found.collect()))
                } else {
                    found.next().ok_or_else(missing)
                }
            }
        }
    }
}

/// The JSON body of an answer, parsed when first needed.
#[derive(Debug, Default)]
pub(crate) struct ParsedBody(Option<Result<Value, String>>);

impl ParsedBody {
    pub(crate) fn of(&mut self, answer: &impl Received) -> Result<&Value, &str> {
        self.0
            .get_or_insert_with(|| {
                serde_json::from_slice(answer.body()).map_err(|error| error.to_string())
            })
            .as_ref()
            .map_err(String::as_str)
    }
}

/// Whether a valid JSONPath can match more than one value: it has a wildcard, a descendant, a
/// filter, a slice or a union outside its quoted names (RFC 9535 calls all others singular).
fn matches_many(path: &str) -> bool {
    let mut quote = None;
    let mut previous = ' ';
    let mut escaped = false;
    for c in path.chars() {
        match quote {
            Some(_) if escaped => escaped = false,
            Some(_) if c == '\\' => escaped = true,
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if c == '\'' || c == '"' => quote = Some(c),
            None if "*?:,".contains(c) || (c == '.' && previous == '.') => return true,
            None => {}
        }
        previous = c;
    }
    false
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use serde_json::json;

    use super::*;
    use crate::answer::Answer;

    fn answer(body: &str) -> Answer {
        let mut headers = http::HeaderMap::new();
        headers.insert("location", http::HeaderValue::from_static("/flyers/9"));
        Answer {
            status: http::StatusCode::OK,
            headers,
            body: Bytes::from(body.to_owned()),
            service_time: Duration::ZERO,
        }
    }

    fn take(path: &str, body: &str) -> Result<Value, CaptureError> {
        Capture::parse("it", path)?.take(&answer(body), &mut ParsedBody::default())
    }

    #[test]
    fn a_path_with_several_matches_yields_a_pool_even_of_one_or_none() {
        assert_eq!(
            take("$.items[*].id", r#"{"items":[{"id":1},{"id":2}]}"#),
            Ok(json!([1, 2]))
        );
        assert_eq!(
            take("$.items[*].id", r#"{"items":[{"id":1}]}"#),
            Ok(json!([1]))
        );
        assert_eq!(take("$[*].id", "[]"), Ok(json!([])));
        assert_eq!(take("$..id", r#"{"a":{"id":4}}"#), Ok(json!([4])));
    }

    #[test]
    fn a_single_path_yields_its_value_with_its_type() {
        assert_eq!(take("$.id", r#"{"id":7}"#), Ok(json!(7)));
        assert_eq!(
            take("$.items[0].id", r#"{"items":[{"id":"a"}]}"#),
            Ok(json!("a"))
        );
        assert_eq!(take("$['a,b']", r#"{"a,b":true}"#), Ok(json!(true)));
        assert_eq!(take("header:Location", "not json"), Ok(json!("/flyers/9")));
    }

    #[test]
    fn what_is_not_there_is_an_error_that_names_it() {
        for (path, body, part) in [
            ("$.id", "{}", "`$.id` is not in the answer"),
            ("$.id", "<html>", "needs a JSON body"),
            ("header:etag", "{}", "`header:etag` is not in the answer"),
            ("id", "{}", "not a JSONPath"),
            ("header:a b", "{}", "not a JSONPath"),
        ] {
            let error = take(path, body).unwrap_err().to_string();
            assert!(error.contains(part), "{path}: {error}");
        }
    }
}

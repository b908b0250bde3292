//! Answers that are ready to be sent: bytes and their ETag, made once for all readers.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use twox_hash::XxHash3_128;

/// A ready-made answer. A hit costs no encoding; a reader who has it already needs no body.
///
/// Cache it like any value, by itself or as a field beside the typed one:
///
/// ```
/// use speedwell_cache::Response;
///
/// let response = Response::json(&["a", "b"]).unwrap();
/// assert_eq!(response.body(), &b"[\"a\",\"b\"]"[..]);
/// assert!(response.is_known_to(Some(response.etag())));
/// assert!(!response.is_known_to(Some("\"another\"")));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Response {
    #[serde(with = "plain_bytes")]
    body: Bytes,
    content_type: String,
    etag: String,
}

impl Response {
    /// These bytes.
    pub fn new(content_type: &str, body: impl Into<Bytes>) -> Self {
        let body = body.into();
        let etag = format!("\"{:032x}\"", XxHash3_128::oneshot(&body));
        Self {
            body,
            content_type: content_type.to_owned(),
            etag,
        }
    }

    /// A value as JSON.
    ///
    /// # Errors
    /// The value cannot be written as JSON.
    pub fn json<T: Serialize + ?Sized>(value: &T) -> Result<Self, serde_json::Error> {
        Ok(Self::new("application/json", serde_json::to_vec(value)?))
    }

    /// The bytes; a clone of them is cheap.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// For the header `Content-Type`.
    pub fn content_type(&self) -> &str {
        &self.content_type
    }

    /// For the header `ETag`, with its quotes: a hash of the body.
    pub fn etag(&self) -> &str {
        &self.etag
    }

    /// Whether the header `If-None-Match` names this answer, so that 304 can be answered.
    pub fn is_known_to(&self, if_none_match: Option<&str>) -> bool {
        if_none_match.is_some_and(|header| {
            header.split(',').map(str::trim).any(|tag| {
                // Compared weakly, as RFC 9110 section 13.1.2 says.
                tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == self.etag
            })
        })
    }
}

/// Bytes as bytes: serde takes them for a list of numbers otherwise.
mod plain_bytes {
    use bytes::Bytes;
    use serde::{Deserializer, Serializer, de::Visitor};

    pub(super) fn serialize<S: Serializer>(body: &Bytes, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(body)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Bytes, D::Error> {
        struct Plain;
        impl Visitor<'_> for Plain {
            type Value = Bytes;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes")
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Bytes, E> {
                Ok(Bytes::copy_from_slice(bytes))
            }

            fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Bytes, E> {
                Ok(bytes.into())
            }
        }
        from.deserialize_byte_buf(Plain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope::{decode_value, encode_value};

    #[test]
    fn an_answer_survives_the_way_through_redis_and_stays_small() {
        let response = Response::new("image/png", vec![200_u8; 1000]);
        let bytes = encode_value(&response).unwrap();
        assert!(bytes.len() < 1150, "{}", bytes.len());
        assert_eq!(decode_value::<Response>(&bytes), Some(response));
    }

    #[test]
    fn if_none_match_is_a_list_and_may_be_weak() {
        let response = Response::new("text/plain", "x");
        let etag = response.etag().to_owned();
        assert!(response.is_known_to(Some(&format!("\"a\", W/{etag}"))));
        assert!(response.is_known_to(Some("*")));
        assert!(!response.is_known_to(None));
    }
}

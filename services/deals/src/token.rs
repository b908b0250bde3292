//! Tokens in links: 48 random bytes, 64 characters that a URL takes as they are.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, TimeDelta, Utc};
use rand::Rng as _;

const BYTES: usize = 48;
const LENGTH: usize = 64;
/// What logs and spans may show of a token: enough to find a link, not enough to use it.
const SHOWN: usize = 8;

/// A new one. Two of them are never the same: there are 2^384.
pub(crate) fn new() -> String {
    let mut bytes = [0_u8; BYTES];
    rand::rng().fill_bytes(&mut bytes);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Whether this could be one. What could not is unknown without asking anybody.
pub(crate) fn is_possible(text: &str) -> bool {
    text.len() == LENGTH
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

/// The part of it that may be shown.
pub(crate) fn shown(token: &str) -> &str {
    token.get(..SHOWN).unwrap_or_default()
}

/// Links last so many days unless their maker says otherwise.
pub(crate) const DEFAULT_DAYS: i64 = 180;
/// The most that a maker may say; 0 is for ever.
pub(crate) const MOST_DAYS: i64 = 3650;

/// When a link made now ends, for `days` of [`MOST_DAYS`] at most; never for 0.
pub(crate) fn end(now: DateTime<Utc>, days: i64) -> Option<DateTime<Utc>> {
    (days > 0).then(|| now + TimeDelta::days(days))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_possible_and_differ() {
        let (one, other) = (new(), new());
        assert!(is_possible(&one) && is_possible(&other));
        assert_ne!(one, other);
        assert_eq!(shown(&one).len(), 8);
        for wrong in ["", "short", &one[1..], &format!("{}/", &one[1..])] {
            assert!(!is_possible(wrong), "{wrong}");
        }
    }
}

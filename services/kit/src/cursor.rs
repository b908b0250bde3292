//! Where a page of a list ends: an opaque text that a client hands back.
//!
//! A cursor holds the sort key of the last row shown, so that the next page begins
//! there without skipping rows. It is base64url of a version byte, a checksum and JSON.
//! The checksum finds damage; it is no signature, because a cursor gives no rights: a
//! forged one shows the caller another page of the same list.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Serialize, de::DeserializeOwned};
use twox_hash::XxHash3_64;

use crate::problem::Problem;

/// Version of the format; a cursor of another version is refused.
const VERSION: u8 = 1;
const CHECKSUM: usize = 8;
/// Far above any sort key; a longer text is not worth decoding.
const LONGEST: usize = 512;

/// The text for a sort key.
pub fn encode<K: Serialize>(key: &K) -> String {
    let json = serde_json::to_vec(key).unwrap_or_default();
    let mut bytes = Vec::with_capacity(1 + CHECKSUM + json.len());
    bytes.push(VERSION);
    bytes.extend_from_slice(&checksum(&json));
    bytes.extend_from_slice(&json);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The sort key of a text.
///
/// # Errors
/// 400 that names `parameter` when the text is damaged, of another version, or the
/// cursor of another list.
pub fn decode<K: DeserializeOwned>(parameter: &str, text: &str) -> Result<K, Problem> {
    try_decode(text).ok_or_else(|| {
        Problem::invalid(
            parameter,
            "not a cursor of this list; start again without it",
        )
    })
}

fn try_decode<K: DeserializeOwned>(text: &str) -> Option<K> {
    if text.len() > LONGEST {
        return None;
    }
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let (&version, rest) = bytes.split_first()?;
    let (found, json) = rest.split_at_checked(CHECKSUM)?;
    if version != VERSION || found != checksum(json) {
        return None;
    }
    serde_json::from_slice(json).ok()
}

fn checksum(json: &[u8]) -> [u8; CHECKSUM] {
    XxHash3_64::oneshot_with_seed(u64::from(VERSION), json).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_cursor_comes_back_as_it_went(at in any::<i64>(), id in any::<i64>(), far in 0.0..1.0_f64) {
            let text = encode(&(at, id, far));
            prop_assert_eq!(decode::<(i64, i64, f64)>("cursor", &text).unwrap(), (at, id, far));
        }

        #[test]
        fn a_changed_cursor_is_refused_by_name(
            at in any::<i64>(), id in any::<i64>(), place in any::<prop::sample::Index>(), to in "[A-Za-z0-9_-]",
        ) {
            let text = encode(&(at, id));
            let place = place.index(text.len());
            prop_assume!(text[place..=place] != to);
            let forged = format!("{}{to}{}", &text[..place], &text[place + 1..]);
            let problem = decode::<(i64, i64)>("cursor", &forged).unwrap_err();
            prop_assert_eq!(problem.status(), 400);
            prop_assert!(problem.fields().contains_key("cursor"));
        }

        #[test]
        fn no_text_makes_it_panic(text in ".{0,80}") {
            let _any = decode::<(i64, i64)>("cursor", &text);
        }
    }

    #[test]
    fn a_cut_cursor_is_refused() {
        let text = encode(&(1_i64, 2_i64));
        for end in 0..text.len() {
            assert!(
                decode::<(i64, i64)>("cursor", &text[..end]).is_err(),
                "{end}"
            );
        }
    }
}

//! Keys: bytes of any kind and length, and what they are called in Redis.

use twox_hash::XxHash3_64;

/// Keys up to this length are stored under themselves, so that they can be read with
/// `redis-cli`; longer ones under their beginning and a hash, with the whole key in the entry.
const LONGEST_PLAIN: usize = 512;
const KEPT_OF_LONG: usize = 448;

/// The group of a key: what stands before its first colon, nothing if it has none.
///
/// `delete_pattern("share:*")` is one change of the stamp of the group `share`.
pub(crate) fn group(key: &[u8]) -> &[u8] {
    let colon = key.iter().position(|byte| *byte == b':');
    &key[..colon.unwrap_or(0)]
}

/// The group in words, for metrics and events: keys may hold values of users, groups do not.
pub(crate) fn group_name(key: &[u8]) -> &str {
    std::str::from_utf8(group(key)).unwrap_or("?")
}

/// Whether the name in Redis does not tell the whole key.
pub(crate) fn is_long(key: &[u8]) -> bool {
    key.len() > LONGEST_PLAIN
}

/// The end of the name of an entry in Redis.
pub(crate) fn stored(key: &[u8]) -> Vec<u8> {
    if !is_long(key) {
        return key.to_vec();
    }
    let mut name = key[..KEPT_OF_LONG].to_vec();
    name.extend_from_slice(format!("#{:016x}{:x}", hash(key), key.len()).as_bytes());
    name
}

/// A number for a key, to tell keys apart where they must not be shown.
pub(crate) fn hash(key: &[u8]) -> u64 {
    XxHash3_64::oneshot(key)
}

/// A pattern as `delete_pattern` understands it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Pattern<'p> {
    /// `*`: everything.
    All,
    /// `group:*`: every key of a group.
    Group(&'p [u8]),
    /// Any other glob of Redis: `*`, `?`, `[…]`, `\` to escape.
    Glob,
}

impl<'p> Pattern<'p> {
    pub(crate) fn of(pattern: &'p [u8]) -> Self {
        if pattern == b"*" {
            return Self::All;
        }
        match pattern.strip_suffix(b":*") {
            Some(group) if !group.is_empty() && !group.iter().any(is_special) => Self::Group(group),
            _ => Self::Glob,
        }
    }
}

fn is_special(byte: &u8) -> bool {
    matches!(byte, b'*' | b'?' | b'[' | b']' | b'\\' | b':')
}

/// Whether a glob of Redis matches; for entries in memory.
///
/// Linear in pattern times key: after a star, only the last star is tried again.
pub(crate) fn matches(pattern: &[u8], key: &[u8]) -> bool {
    let (mut at, mut of) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while of < key.len() {
        if pattern.get(at) == Some(&b'*') {
            star = Some((at + 1, of));
            at += 1;
        } else if let Some(after) = one(&pattern[at..], key[of]) {
            at += after;
            of += 1;
        } else if let Some((after, from)) = star {
            star = Some((after, from + 1));
            (at, of) = (after, from + 1);
        } else {
            return false;
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

/// How many bytes of the pattern stand for this byte of the key, if they match it.
fn one(pattern: &[u8], byte: u8) -> Option<usize> {
    match pattern {
        [] => None,
        [b'?', ..] => Some(1),
        [b'\\', wanted, ..] => (*wanted == byte).then_some(2),
        [b'[', rest @ ..] => class(rest, byte).map(|length| length + 1),
        [wanted, ..] => (*wanted == byte).then_some(1),
    }
}

/// The class after `[`: its length with the closing bracket, if it has the byte. As in Redis,
/// a class that is not closed ends with the pattern.
fn class(pattern: &[u8], byte: u8) -> Option<usize> {
    let negated = pattern.first() == Some(&b'^');
    let mut at = usize::from(negated);
    let mut found = false;
    while at < pattern.len() && pattern[at] != b']' {
        match pattern[at..] {
            [b'\\', wanted, ..] => {
                found |= wanted == byte;
                at += 2;
            }
            [from, b'-', to, ..] => {
                found |= (from.min(to)..=from.max(to)).contains(&byte);
                at += 3;
            }
            [wanted, ..] => {
                found |= wanted == byte;
                at += 1;
            }
            [] => break,
        }
    }
    (found != negated).then_some((at + 1).min(pattern.len()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_group_is_what_stands_before_the_first_colon() {
        assert_eq!(group(b"share:abc:d"), b"share");
        assert_eq!(group(b"share"), b"");
        assert_eq!(group(b":x"), b"");
        assert_eq!(group(b""), b"");
    }

    #[test]
    fn a_pattern_of_a_whole_group_is_told_from_other_globs() {
        assert_eq!(Pattern::of(b"*"), Pattern::All);
        assert_eq!(Pattern::of(b"share:*"), Pattern::Group(b"share"));
        for glob in ["share:a*", "sh?re:*", "share*", ":*", "a:b:*", "", r"a\*:*"] {
            assert_eq!(Pattern::of(glob.as_bytes()), Pattern::Glob, "{glob}");
        }
    }

    #[test]
    fn globs_match_as_in_redis() {
        for (pattern, key, expected) in [
            ("h?llo", "hello", true),
            ("h*llo", "heeeello", true),
            ("h[ae]llo", "hello", true),
            ("h[ae]llo", "hillo", false),
            ("h[^e]llo", "hallo", true),
            ("h[^e]llo", "hello", false),
            ("h[a-b]llo", "hbllo", true),
            ("h[a-b]llo", "hcllo", false),
            (r"h\*llo", "h*llo", true),
            (r"h\*llo", "hello", false),
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-b-b", false),
        ] {
            assert_eq!(
                matches(pattern.as_bytes(), key.as_bytes()),
                expected,
                "{pattern} {key}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_pattern_and_key_end_and_do_not_panic(pattern: Vec<u8>, key: Vec<u8>) {
            let _matched = matches(&pattern, &key);
            let _pattern = Pattern::of(&pattern);
        }

        #[test]
        fn an_escaped_key_matches_itself_and_nothing_else(key: Vec<u8>, other: Vec<u8>) {
            let escaped: Vec<u8> = key.iter().flat_map(|byte| [b'\\', *byte]).collect();
            prop_assert!(matches(&escaped, &key));
            prop_assert_eq!(matches(&escaped, &other), key == other);
        }

        #[test]
        fn long_keys_have_short_names(key in proptest::collection::vec(any::<u8>(), 0..3000)) {
            prop_assert!(stored(&key).len() <= LONGEST_PLAIN);
        }
    }
}

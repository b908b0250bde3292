//! sqlcommenter tags: what a framework wrote into the comments around a statement.

use crate::fingerprint::Tags;

/// Adds the tags in `comment` (delimiters included) to `tags`.
///
/// Read are `key='url-encoded value'` (sqlcommenter), and `key=value` and `key:value`
/// (marginalia, pganalyze), separated by commas. Prose and optimizer hints give nothing.
pub(crate) fn read_tags(comment: &str, tags: &mut Tags) {
    let Some(body) = body(comment) else { return };
    for pair in split_pairs(body) {
        if let Some((key, value)) = read_pair(pair) {
            tags.insert(key, value);
        }
    }
}

/// What stands between the delimiters; nothing for a hint (`/*+ .. */`, `/*! .. */`).
fn body(comment: &str) -> Option<&str> {
    if let Some(rest) = comment.strip_prefix("/*") {
        let body = rest.strip_suffix("*/").unwrap_or(rest);
        return (!body.starts_with(['+', '!'])).then_some(body);
    }
    comment
        .strip_prefix("--")
        .or_else(|| comment.strip_prefix('#'))
}

/// Splits at commas outside of single quotes.
fn split_pairs(body: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    let mut escaped = false;
    body.split(move |c| {
        let toggles = c == '\'' && !escaped;
        escaped = c == '\\' && !escaped;
        if toggles {
            quoted = !quoted;
        }
        c == ',' && !quoted
    })
}

fn read_pair(pair: &str) -> Option<(String, String)> {
    let pair = pair.trim();
    let (key, value) = pair.split_at(pair.find(['=', ':'])?);
    let key = decode(key.trim_end());
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    if key.is_empty() || !key.chars().all(plain) {
        return None;
    }
    let equals = value.starts_with('=');
    let value = value.get(1..)?;
    if let Some(quoted) = value.trim_start().strip_prefix('\'') {
        let quoted = quoted.strip_suffix('\'').unwrap_or(quoted);
        return Some((key, decode(&quoted.replace("\\'", "'"))));
    }
    // A colon with a space behind it is prose: `TODO: drop this`.
    let prose = value.is_empty() || (!equals && value.starts_with(char::is_whitespace));
    (!prose).then(|| (key, decode(value.trim())))
}

/// Decodes `%41`; anything that is not such an escape stays as it is.
fn decode(text: &str) -> String {
    if !text.contains('%') {
        return text.to_owned();
    }
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let escape = bytes
            .get(at + 1..at + 3)
            .filter(|_| byte == b'%')
            .and_then(hex_byte);
        decoded.push(escape.unwrap_or(byte));
        at += if escape.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

fn hex_byte(digits: &[u8]) -> Option<u8> {
    let digit = |b: &u8| char::from(*b).to_digit(16);
    let [high, low] = digits else { return None };
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(comment: &str) -> Vec<(String, String)> {
        let mut tags = Tags::new();
        read_tags(comment, &mut tags);
        tags.into_iter().collect()
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect()
    }

    #[test]
    fn sqlcommenter_values_are_unquoted_and_decoded() {
        assert_eq!(
            tags("/*route='%2Fpolls%20x',traceparent='00-5bd6-01',name='it\\'s, so'*/"),
            pairs(&[
                ("name", "it's, so"),
                ("route", "/polls x"),
                ("traceparent", "00-5bd6-01")
            ])
        );
    }

    #[test]
    fn marginalia_and_plain_pairs_are_read() {
        assert_eq!(
            tags("/*application:Shop,controller:carts,action:show*/"),
            pairs(&[
                ("action", "show"),
                ("application", "Shop"),
                ("controller", "carts")
            ])
        );
        assert_eq!(
            tags("-- job=42, worker=a"),
            pairs(&[("job", "42"), ("worker", "a")])
        );
    }

    #[test]
    fn prose_and_hints_are_no_tags() {
        assert_eq!(tags("/* TODO: drop this */"), []);
        assert_eq!(tags("/*+ IndexScan(a=b) */"), []);
        assert_eq!(tags("-- just words, and more"), []);
        assert_eq!(tags("/*"), []);
    }

    #[test]
    fn broken_escapes_stay_as_they_are() {
        assert_eq!(tags("/*a='%zz%4'*/"), pairs(&[("a", "%zz%4")]));
    }
}

//! Search texts: folded once here, so that database and query agree on every alphabet.

use service_kit::database::Dialect;
use unicode_normalization::UnicodeNormalization as _;

/// The longest search text that is looked at, in characters.
pub(crate) const LONGEST: usize = 100;
/// The index holds trigrams: a shorter text has none.
const SHORTEST_INDEXED: usize = 3;

/// A text as it is compared: lower case in every alphabet, each letter in its composed
/// form, white space and control characters (a NUL would end the text for the index)
/// made plain spaces.
pub(crate) fn fold(text: &str) -> String {
    text.split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|word| !word.is_empty())
        .map(|word| word.chars().flat_map(lower).nfc().collect::<String>())
        .collect::<Vec<_>>()
        .join(" ")
}

/// Letter by letter: lower case of whole words writes a last sigma in another way, and
/// part of a word would not be found.
fn lower(letter: char) -> impl Iterator<Item = char> {
    letter
        .to_lowercase()
        .map(|lower| if lower == 'ς' { 'σ' } else { lower })
}

/// What is stored beside a flyer to be searched.
pub(crate) fn searchable(title: &str, caption: &str) -> String {
    // A line break keeps a hit from reaching over the end of the title.
    format!("{}\n{}", fold(title), fold(caption))
}

/// What the index is asked for, so that nothing in the text is an operator: a quoted phrase
/// of FTS5, a pattern of LIKE. `None` when the text is too short for the index.
pub(crate) fn phrase(folded: &str, dialect: Dialect) -> Option<String> {
    (folded.chars().count() >= SHORTEST_INDEXED).then(|| match dialect {
        Dialect::Sqlite => format!("\"{}\"", folded.replace('"', "\"\"")),
        Dialect::Postgres => format!("%{}%", escaped(folded)),
    })
}

/// A text without the wildcards of LIKE.
fn escaped(text: &str) -> String {
    text.chars().fold(String::new(), |mut escaped, letter| {
        if matches!(letter, '\\' | '%' | '_') {
            escaped.push('\\');
        }
        escaped.push(letter);
        escaped
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folding_knows_more_than_ascii() {
        assert_eq!(fold("  CAFÉ\t  Zürich\u{a0}ÄÖÜ "), "café zürich äöü");
    }

    #[test]
    fn a_phrase_is_one_string_for_the_index() {
        let asked = |dialect| phrase("50% \"off\" _x*\\", dialect).unwrap();
        assert_eq!(asked(Dialect::Sqlite), "\"50% \"\"off\"\" _x*\\\"");
        assert_eq!(asked(Dialect::Postgres), "%50\\% \"off\" \\_x*\\\\%");
        assert_eq!(phrase("é1", Dialect::Sqlite), None);
    }
}

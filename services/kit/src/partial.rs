//! Searching for parts of words: how a text is stored and how it is asked for.
//!
//! PostgreSQL finds parts with `LIKE` through an index of `pg_trgm`, SQLite with `MATCH` in a table
//! of FTS5 whose tokenizer is `trigram`.

/// A text in small letters, letter by letter: `str::to_lowercase` writes the last sigma of a Greek
/// word otherwise, and a part of that word would not be found.
pub fn small(text: &str) -> String {
    text.chars().flat_map(char::to_lowercase).collect()
}

/// The phrase of FTS5 that finds this part. Every character stands for itself.
pub fn phrase(part: &str) -> String {
    format!("\"{}\"", part.replace('"', "\"\""))
}

/// The pattern of `LIKE … ESCAPE '\\'` that finds this part. Every character stands for itself.
pub fn pattern(part: &str) -> String {
    let mut pattern = String::from("%");
    for character in part.chars() {
        if matches!(character, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern.push('%');
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_alphabet_is_made_small() {
        assert_eq!(small("ÄRA Öffi НОВЫЙ"), "ära öffi новый");
        assert_eq!(small("ΟΔΟΣ"), "οδοσ");
    }

    #[test]
    fn no_character_of_a_search_is_a_wildcard() {
        assert_eq!(pattern("50%_\\"), "%50\\%\\_\\\\%");
        assert_eq!(phrase("a\"b*"), "\"a\"\"b*\"");
    }
}

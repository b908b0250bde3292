//! The text in which people are searched.

/// What is stored beside a profile: its name and the words of its address in small letters, each
/// after a space.
pub(crate) fn search_text(display_name: &str, email: &str) -> String {
    let email = email.replace(['.', '@', '_', '-', '+'], " ");
    format!(" {} {}", small(display_name), small(&email))
}

/// A text in small letters, letter by letter: `str::to_lowercase` writes the last sigma of a Greek
/// word otherwise, and a part of that word would not be found.
fn small(text: &str) -> String {
    text.chars().flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::search_text;

    #[test]
    fn every_word_follows_a_space() {
        assert_eq!(
            search_text("Ägir ΟΔΟΣ", "A.b_c-d+e@Example.org"),
            " ägir οδοσ a b c d e example org"
        );
    }
}

//! The text in which people are searched.

use service_kit::partial::small;

/// What is stored beside a profile: name and address in small letters, each word after a space.
/// What is searched for goes through [`searched`] as well, so that both are cut at the same places.
pub(crate) fn search_text(display_name: &str, email: &str) -> String {
    format!(" {} {}", searched(display_name), searched(email))
}

/// A text in small letters, with spaces where words end.
pub(crate) fn searched(text: &str) -> String {
    let space = |character| match character {
        '.' | '@' | '_' | '-' | '+' => ' ',
        character if character.is_whitespace() => ' ',
        character => character,
    };
    small(text).chars().map(space).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_of_name_and_address_comes_after_a_space() {
        let text = search_text("Jean-Luc Ä.", "J.luc+x@Mail_1.example");
        assert_eq!(text, " jean luc ä  j luc x mail 1 example");
        for part in ["jean-l", "luc ä", "luc+x@mail"] {
            assert!(text.contains(&searched(part)), "{part}");
        }
    }
}

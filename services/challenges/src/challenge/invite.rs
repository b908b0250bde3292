//! Invite codes: six characters that people can read out.

use rand::RngExt as _;

/// Without those that look alike: 0 O, I 1.
const ALPHABET: &[u8; 32] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
const LENGTH: usize = 6;

/// A code that is hard to guess: one of 32^6, about a thousand million.
pub(crate) fn new_code() -> String {
    let mut random = rand::rng();
    let letter = || char::from(ALPHABET[random.random_range(0..ALPHABET.len())]);
    std::iter::repeat_with(letter).take(LENGTH).collect()
}

/// A code as it is stored, if the text can be one.
pub(crate) fn read_code(text: &str) -> Option<String> {
    let code = text.trim().to_ascii_uppercase();
    let is_code = code.len() == LENGTH && code.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_code.then_some(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_can_be_read_in_small_letters() {
        for _ in 0..200 {
            let code = new_code();
            assert_eq!(read_code(&format!(" {} ", code.to_lowercase())), Some(code));
        }
    }

    #[test]
    fn other_texts_are_no_codes() {
        for text in ["", "ABCDE", "ABCDEFG", "ABC-EF", "ÄBCDE", "ABC DE"] {
            assert_eq!(read_code(text), None, "{text}");
        }
    }
}

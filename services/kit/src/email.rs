//! E-mail addresses as people sign in with them.

use unicode_normalization::UnicodeNormalization as _;

/// Bytes of an address (RFC 5321, erratum 1690).
const LONGEST: usize = 254;

/// Addresses are stored and looked up in this form: case does not count, nor how the
/// keyboard composes an accent.
pub fn folded(email: &str) -> String {
    email.trim().to_lowercase().nfc().collect()
}

/// Enough to catch mistakes; only a message to it proves that an address works.
pub fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else {
        return false;
    };
    let plain = |c: char| !c.is_whitespace() && !c.is_control() && !"<>()[],;:\\\"@".contains(c);
    text.len() <= LONGEST
        && (1..=64).contains(&local.len())
        && text.chars().filter(|c| *c == '@').count() == 1
        && local.chars().chain(domain.chars()).all(plain)
        && domain.contains('.')
        && domain.split('.').all(|label| !label.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for good in ["a@b.ch", "first.last+tag@sub.example.org", "jörg@müller.ch"] {
            assert!(is_email(good), "{good}");
        }
        for bad in [
            "", "a", "@b.ch", "a@b", "a@b..ch", "a b@c.ch", "a@b@c.ch", "<a>@b.ch", "a@.ch",
        ] {
            assert!(!is_email(bad), "{bad}");
        }
    }

    #[test]
    fn case_and_composition_do_not_count() {
        assert_eq!(
            folded(" A@Bücher.example "),
            folded("a@bu\u{308}cher.example")
        );
    }
}

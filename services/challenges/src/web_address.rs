//! Addresses of pictures and films that clients hand in.

use service_kit::problem::Fields;

const LONGEST: usize = 2048;

/// An address of the web, trimmed; other schemes are not shown to others.
pub(crate) fn web_address(name: &str, text: Option<String>, fields: &mut Fields) -> Option<String> {
    let text = text?.trim().to_owned();
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    let is_address = rest.is_some_and(|rest| {
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        !host.is_empty()
    });
    let is_plain = !text.chars().any(|c| c.is_control() || c.is_whitespace());
    if is_address && is_plain && text.chars().count() <= LONGEST {
        return Some(text);
    }
    let message = format!("must be an http or https URL of at most {LONGEST} characters");
    fields.insert(name.to_owned(), message);
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_web_is_taken() {
        let mut fields = Fields::new();
        let mut read = |text: &str| web_address("url", Some(text.to_owned()), &mut fields);
        assert_eq!(
            read(" https://a.example/x?y ").unwrap(),
            "https://a.example/x?y"
        );
        assert!(read("http://127.0.0.1:8080/media/x.jpg").is_some());
        for wrong in [
            "",
            "x",
            "ftp://a",
            "javascript:x",
            "https://",
            "https:///x",
            "http://a b",
        ] {
            assert!(read(wrong).is_none(), "{wrong}");
        }
        assert!(read(&format!("https://a/{}", "x".repeat(LONGEST))).is_none());
        assert!(web_address("url", None, &mut fields).is_none());
    }
}

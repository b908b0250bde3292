//! Which readers are programs that look for pages or make previews of them.

use axum::http::{HeaderMap, header};

/// What their names have in common, in small letters: words by which they call themselves in
/// their own documentation.
const WORDS: [&str; 10] = [
    "bot",
    "crawler",
    "spider",
    "facebookexternalhit",
    "slurp",
    "embedly",
    "whatsapp",
    "skypeuripreview",
    "preview",
    "vkshare",
];

/// Whether the reader says that it is one.
pub(crate) fn is_crawler(headers: &HeaderMap) -> bool {
    let name = headers.get(header::USER_AGENT);
    let name = name.and_then(|name| name.to_str().ok()).unwrap_or_default();
    let name = name.to_ascii_lowercase();
    WORDS.iter().any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crawlers_are_told_from_people() {
        let is = |name: &'static str| {
            let name = axum::http::HeaderValue::from_static(name);
            is_crawler(&HeaderMap::from_iter([(header::USER_AGENT, name)]))
        };
        for crawler in [
            "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
            "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
            "Twitterbot/1.0",
            "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
            "WhatsApp/2.21.12.21 A",
        ] {
            assert!(is(crawler), "{crawler}");
        }
        assert!(!is(
            "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
        ));
        assert!(!is_crawler(&HeaderMap::new()));
    }
}

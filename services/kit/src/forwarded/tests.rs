//! Who is believed, and what nobody can make the service believe.

use axum::http::{HeaderName, HeaderValue};
use proptest::prelude::*;

use super::*;

fn proxies(text: &str) -> TrustedProxies {
    TrustedProxies::from_lookup(|_| Some(text.to_owned())).unwrap()
}

fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
    lines
        .iter()
        .map(|(name, value)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_str(value).unwrap(),
            )
        })
        .collect()
}

/// Client, scheme and host as one line.
fn arrival(trusted: &str, peer: &str, lines: &[(&'static str, &str)]) -> String {
    let arrival = proxies(trusted).arrival(&headers(lines), peer.parse().unwrap());
    let host = arrival.host.unwrap_or_default();
    format!("{} {}://{host}", arrival.client, arrival.scheme)
}

#[test]
fn a_stranger_is_not_believed() {
    let lines = [
        ("x-forwarded-for", "203.0.113.9"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "evil.example"),
        ("forwarded", "for=203.0.113.9;proto=https;host=evil.example"),
    ];
    for trusted in ["", "127.0.0.1/32, 10.0.0.0/8"] {
        assert_eq!(arrival(trusted, "192.0.2.1", &lines), "192.0.2.1 http://");
    }
}

#[test]
fn the_client_is_the_last_one_that_is_not_a_proxy() {
    let trusted = "10.0.0.0/8,127.0.0.1,2001:db8:a::/48";
    for (list, client) in [
        ("203.0.113.9", "203.0.113.9"),
        ("6.6.6.6, 203.0.113.9", "203.0.113.9"),
        ("6.6.6.6, 203.0.113.9, 10.1.2.3,10.3.4.5", "203.0.113.9"),
        ("10.9.9.9, 10.1.2.3", "10.9.9.9"),
        ("6.6.6.6, unknown, 10.1.2.3", "10.1.2.3"),
        ("6.6.6.6, nonsense", "127.0.0.1"),
        ("203.0.113.9:4711", "203.0.113.9"),
        ("[2001:db8::7]:4711, 2001:db8:a::1", "2001:db8::7"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("", "127.0.0.1"),
    ] {
        let seen = arrival(trusted, "127.0.0.1", &[("x-forwarded-for", list)]);
        assert_eq!(seen, format!("{client} http://"), "{list}");
    }
    let two_lines = [
        ("x-forwarded-for", "6.6.6.6, 203.0.113.9"),
        ("x-forwarded-for", "10.1.2.3"),
    ];
    assert_eq!(
        arrival(trusted, "127.0.0.1", &two_lines),
        "203.0.113.9 http://"
    );
}

#[test]
fn scheme_and_host_are_those_that_the_client_used() {
    let with = |scheme: &str, host: &str| {
        let lines = [
            ("x-forwarded-for", "203.0.113.9, 10.1.1.1"),
            ("x-forwarded-proto", scheme),
            ("x-forwarded-host", host),
        ];
        arrival("10.0.0.0/8", "10.2.2.2", &lines)
    };
    assert_eq!(with("https", "a.ch"), "203.0.113.9 https://a.ch");
    assert_eq!(with("HTTPS, http", "a.ch, b"), "203.0.113.9 https://a.ch");
    assert_eq!(
        with("ftp, https, http", "x, a.ch, b"),
        "203.0.113.9 https://a.ch"
    );
    assert_eq!(with("javascript", "a/b@c"), "203.0.113.9 http://");
    let only_scheme = [("x-forwarded-proto", "https")];
    assert_eq!(
        arrival("10.0.0.0/8", "10.2.2.2", &only_scheme),
        "10.2.2.2 https://"
    );
}

#[test]
fn the_standard_header_says_the_same() {
    let with = |value: &str| arrival("10.0.0.0/8", "10.2.2.2", &[("forwarded", value)]);
    for (value, seen) in [
        ("for=192.0.2.60", "192.0.2.60 http://"),
        (
            "For=\"[2001:db8:cafe::17]:4711\"; Proto=https ;host=a.ch",
            "2001:db8:cafe::17 https://a.ch",
        ),
        (
            "for=6.6.6.6, for=192.0.2.43;proto=https;host=\"a.ch:81\", for=10.1.1.1;proto=http",
            "192.0.2.43 https://a.ch:81",
        ),
        (
            "for=\"a,b;c\\\",for=6.6.6.6\", for=192.0.2.43",
            "192.0.2.43 http://",
        ),
        ("for=_hidden;proto=https", "10.2.2.2 https://"),
        ("for=unknown", "10.2.2.2 http://"),
        ("nonsense", "10.2.2.2 http://"),
    ] {
        assert_eq!(with(value), seen, "{value}");
    }
}

#[test]
fn a_client_cannot_swallow_its_address_with_a_quote() {
    for own in ["203.0.113.9", "\"[2001:db8::9]\""] {
        let list = format!("for=6.6.6.6;proto=https;x=\", for={own}");
        let seen = arrival("10.0.0.0/8", "10.2.2.2", &[("forwarded", &list)]);
        assert_eq!(seen, "10.2.2.2 http://", "{list}");
    }
}

#[test]
fn the_customary_header_wins_over_the_standard_one() {
    let lines = [
        ("forwarded", "for=6.6.6.6;host=evil.example"),
        ("x-forwarded-for", "203.0.113.9"),
    ];
    assert_eq!(
        arrival("10.0.0.0/8", "10.2.2.2", &lines),
        "203.0.113.9 http://"
    );
}

#[test]
fn what_is_not_a_network_is_named() {
    let read = |text: &str| TrustedProxies::from_lookup(|_| Some(text.to_owned()));
    for wrong in ["10.0.0.0/33", "proxy.example.org", "10.0.0.0/8 127.0.0.1"] {
        let error = read(wrong).unwrap_err();
        assert_eq!(error.variable, "TRUSTED_PROXIES");
        assert!(error.to_string().contains(wrong), "{error}");
    }
    assert_eq!(read(" , ").unwrap(), TrustedProxies::default());
}

/// Texts made of what has a meaning in these headers.
fn odd_text() -> impl Strategy<Value = String> {
    prop::collection::vec(
        prop_oneof![
            Just("for="),
            Just("\""),
            Just("\\"),
            Just(","),
            Just(";"),
            Just("="),
            Just("proto=https"),
            Just("6.6.6.6"),
            Just("10.0.0.1"),
            Just("[::1]:1"),
            Just(" "),
            Just("é"),
        ],
        0..20,
    )
    .prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn whatever_a_client_writes_before_it_its_own_address_counts(forged in odd_text()) {
        let list = format!("{forged}, 203.0.113.9, 10.1.1.1");
        let seen = arrival("10.0.0.0/8", "10.2.2.2", &[("x-forwarded-for", &list)]);
        prop_assert_eq!(seen, "203.0.113.9 http://");
    }

    #[test]
    fn a_quote_left_open_never_hides_what_the_proxies_add(forged in odd_text(), quoted in any::<bool>()) {
        let own = if quoted { "\"203.0.113.9\"" } else { "203.0.113.9" };
        let list = format!("{forged}, for={own}, for=10.1.1.1");
        let seen = arrival("10.0.0.0/8", "10.2.2.2", &[("forwarded", &list)]);
        let expected = ["203.0.113.9 http://", "10.2.2.2 http://"];
        prop_assert!(expected.contains(&seen.as_str()), "{}: {}", list, seen);
    }

    #[test]
    fn no_text_breaks_the_reading(text in odd_text()) {
        for name in ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "forwarded"] {
            let mut all = HeaderMap::new();
            all.insert(name, HeaderValue::from_bytes(text.as_bytes()).unwrap());
            let seen = proxies("0.0.0.0/0,::/0").arrival(&all, "10.2.2.2".parse().unwrap());
            prop_assert!(seen.host.is_none_or(|host| is_host(&host)));
        }
    }
}

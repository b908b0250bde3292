//! Favorites and follows, and what anonymous visitors are told.

use serde_json::Value;

use crate::{chromium::Browser, site::Site};

#[test]
fn anonymous_visitors_are_asked_to_sign_in_and_nothing_is_sent() {
    let (site, browser) = (Site::empty(), Browser::start());
    let anna = site.register("anna@example.org", "Anna");
    let flyer = site.flyer(&anna, "Jazz", "events", "8001 Zürich");
    let page = browser.visitor(&site.origin);
    page.open("/");
    site.take_requests();
    for press in [
        ".heart",
        "[data-value=favorites]",
        "[data-value=following]",
        "[href='/create']",
    ] {
        page.click(press);
        page.wait("document.querySelector('dialog[open]')");
        assert!(page.text("dialog").contains("Sign in first"), "{press}");
        page.press("Escape");
        page.wait("!document.querySelector('dialog')");
    }
    page.open(&format!("/users/{}", anna.id));
    page.click(".follow");
    page.wait("document.querySelector('dialog[open]')");
    let sent = site.take_requests();
    assert!(sent.iter().all(|line| line.starts_with("GET ")), "{sent:?}");
    // Who signs in then comes back to where they were.
    page.click_words("Sign in");
    page.fill("[name=email]", "anna@example.org");
    page.fill("[name=password]", "Abcdefg1");
    page.click("form button[type=submit]");
    page.wait(&format!("location.pathname === '/users/{}'", anna.id));
    assert!(flyer > 0);
    browser.expect_no_faults();
}

#[test]
fn favorites_are_kept_shown_dropped_and_survive_a_restart() {
    let (site, browser) = (Site::empty(), Browser::start());
    let anna = site.register("anna@example.org", "Anna");
    let ids: Vec<i64> = (0..5)
        .map(|n| site.flyer(&anna, &format!("Flyer {n}"), "events", "8001 Zürich"))
        .collect();
    let ben = site.register("ben@example.org", "Ben");
    let page = browser.visitor(&site.origin);
    page.open("/login");
    page.become_person(&ben);
    page.open("/");
    for id in &ids[1..4] {
        page.click(&format!("[data-flyer='{id}'] .heart"));
        page.wait(&format!("document.querySelector(\"[data-flyer='{id}'] .heart\").getAttribute('aria-pressed') === 'true'"));
    }
    page.wait("document.querySelector('#announcer').innerText.includes('favorites')");
    page.click("[data-value=favorites]");
    page.wait("document.querySelectorAll('[data-flyer]').length === 3");
    page.open("/");
    // The choice of list is kept, too.
    assert_eq!(page.flyers(), [ids[3], ids[2], ids[1]]);
    page.click(&format!("[data-flyer='{}'] .card-link", ids[2]));
    page.wait("document.querySelector('.heart.large')?.getAttribute('aria-pressed') === 'true'");
    page.click(".heart.large");
    page.wait("document.querySelector('.heart.large').getAttribute('aria-pressed') === 'false'");
    page.wait("document.querySelector('#announcer').innerText.includes('Removed')");
    page.eval("history.back()");
    page.wait("document.querySelectorAll('[data-flyer]').length === 2");
    assert_eq!(page.flyers(), [ids[3], ids[1]]);
    browser.expect_no_faults();
}

#[test]
fn a_heart_that_the_service_refuses_is_taken_back() {
    let (mut site, browser) = (Site::empty(), Browser::start());
    let anna = site.register("anna@example.org", "Anna");
    site.flyer(&anna, "Jazz", "events", "8001 Zürich");
    let page = browser.visitor(&site.origin);
    page.open("/login");
    page.become_person(&anna);
    page.open("/");
    site.go_away();
    page.click(".heart");
    page.wait("document.querySelector('.toast.error')");
    assert_eq!(
        page.eval("document.querySelector('.heart').getAttribute('aria-pressed')"),
        "false"
    );
}

#[test]
fn following_fills_the_following_list_and_can_be_undone() {
    let (site, browser) = (Site::empty(), Browser::start());
    let anna = site.register("anna@example.org", "Anna");
    let carl = site.register("carl@example.org", "Carl");
    let ben = site.register("ben@example.org", "Ben");
    let of_anna = site.flyer(&anna, "Jazz", "events", "8001 Zürich");
    site.flyer(&carl, "Rock", "events", "8001 Zürich");
    let page = browser.visitor(&site.origin);
    page.open("/login");
    page.become_person(&ben);
    page.open(&format!("/users/{}", anna.id));
    page.click(".follow");
    page.wait("document.querySelector('.follow').getAttribute('aria-pressed') === 'true' && document.querySelector('#announcer').innerText.includes('follow')");
    page.click("[data-home]");
    page.click("[data-value=following]");
    page.wait("document.querySelectorAll('[data-flyer]').length === 1");
    assert_eq!(page.flyers(), [of_anna]);
    page.open(&format!("/users/{}", anna.id));
    page.wait("document.querySelector('.follow').getAttribute('aria-pressed') === 'true'");
    page.click(".follow");
    page.wait("document.querySelector('.follow').getAttribute('aria-pressed') === 'false'");
    page.wait("document.querySelector('#announcer').innerText.includes('no longer')");
    let (_, status) = site.call(
        Some(&ben),
        "GET",
        &format!("/api/follows/status/?user_id={}", anna.id),
        &Value::Null,
    );
    assert_eq!(status["is_following"], false);
    page.click("[data-home]");
    page.wait("document.querySelector('.state')?.innerText.includes('Nobody')");
    browser.expect_no_faults();
}

#[test]
fn signing_out_resets_the_list_to_all() {
    let (site, browser) = (Site::empty(), Browser::start());
    let anna = site.register("anna@example.org", "Anna");
    site.flyer(&anna, "Jazz", "events", "8001 Zürich");
    let page = browser.visitor(&site.origin);
    page.open("/login");
    page.become_person(&anna);
    page.open("/");
    page.click("[data-value=favorites]");
    page.wait("document.querySelector('.state')");
    page.click("[href='/me']");
    page.click_words("Sign out");
    page.wait(
        "location.pathname === '/' && document.querySelectorAll('[data-flyer]').length === 1",
    );
    assert_eq!(
        page.eval("document.querySelector('[data-value=all]').getAttribute('aria-pressed')"),
        "true"
    );
    browser.expect_no_faults();
}

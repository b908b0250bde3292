//! Signing up, in and out; your own page.

use serde_json::{Value, json};

use crate::{
    chromium::{Browser, Page},
    site::Site,
};

fn fill_registration(page: &Page, name: &str, email: &str, password: &str) {
    page.fill("[name=name]", name);
    page.fill("[name=email]", email);
    page.fill("[name=password]", password);
    page.click("form button[type=submit]");
}

#[test]
fn an_account_is_made_kept_over_a_restart_left_and_entered_again() {
    let (site, browser) = (Site::empty(), Browser::start());
    let page = browser.visitor(&site.origin);
    page.open("/");
    page.click_words("Sign in");
    page.wait("location.pathname === '/login'");
    page.click_words("Create an account");
    fill_registration(&page, "Anna Muster", "anna@example.org", "weak");
    page.wait("document.querySelector('[name=password]').getAttribute('aria-invalid') === 'true'");
    assert!(page.text("#field-password-wrong").contains("8 characters"));
    assert!(page.is("document.activeElement.name === 'password'"));
    page.fill("[name=password]", "Abcdefg1");
    page.click("form button[type=submit]");
    page.wait("location.pathname === '/' && document.querySelector('[href=\"/me\"]')");
    // A new document is a restart of the application.
    page.open("/me");
    assert_eq!(page.text("h1"), "Anna Muster");
    page.click_words("Sign out");
    page.wait("location.pathname === '/' && !document.querySelector('[href=\"/me\"]')");
    assert!(page.is("localStorage.getItem('flyers.session') === null"));
    page.open("/me");
    page.wait("location.pathname === '/login'");
    page.fill("[name=email]", "ANNA@example.org");
    page.fill("[name=password]", "Wrong-1234");
    page.click("form button[type=submit]");
    page.wait("!document.querySelector('.summary').hidden");
    assert!(
        page.text(".summary").contains("wrong"),
        "{}",
        page.text(".summary")
    );
    page.fill("[name=password]", "Abcdefg1");
    page.press("Enter");
    page.wait(
        "location.pathname === '/me' && document.querySelector('h1').innerText === 'Anna Muster'",
    );
    browser.expect_no_faults();
}

#[test]
fn an_address_that_has_an_account_is_said_at_its_field() {
    let (site, browser) = (Site::empty(), Browser::start());
    site.register("anna@example.org", "Anna");
    let page = browser.visitor(&site.origin);
    page.open("/login?register");
    fill_registration(&page, "Other", "Anna@Example.org", "Abcdefg1");
    page.wait("document.querySelector('#field-email-wrong').innerText !== ''");
    assert!(page.text("#field-email-wrong").contains("exists"));
    browser.expect_no_faults();
}

#[test]
fn a_token_that_is_no_longer_good_ends_the_session_and_shows_the_wall() {
    let (site, browser) = (Site::empty(), Browser::start());
    let mut anna = site.register("anna@example.org", "Anna");
    site.flyer(&anna, "Jazz", "events", "8001 Zürich");
    let page = browser.visitor(&site.origin);
    page.open("/login");
    anna.token.replace_range(anna.token.len() - 6.., "AAAAAA");
    page.become_person(&anna);
    page.open("/");
    page.wait("document.querySelectorAll('[data-flyer]').length === 1");
    page.wait("document.querySelector('[href=\"/login\"]')");
    assert!(page.is("localStorage.getItem('flyers.session') === null"));
    browser.expect_no_faults();
}

#[test]
fn signing_out_in_one_tab_signs_out_the_other() {
    let (site, browser) = (Site::empty(), Browser::start());
    let anna = site.register("anna@example.org", "Anna");
    let page = browser.visitor(&site.origin);
    page.open("/login");
    page.become_person(&anna);
    page.open("/me");
    let other = page.another_tab();
    other.open("/");
    other.wait("document.querySelector('[href=\"/me\"]')");
    page.click_words("Sign out");
    other.wait("document.querySelector('[href=\"/login\"]')");
    browser.expect_no_faults();
}

#[test]
fn a_new_name_and_picture_are_seen_everywhere_at_once() {
    let (site, browser) = (Site::empty(), Browser::start());
    let anna = site.register("anna@example.org", "Anna");
    site.flyer(&anna, "Jazz", "events", "8001 Zürich");
    let page = browser.visitor(&site.origin);
    page.open("/login");
    page.become_person(&anna);
    page.open("/");
    page.click("[href='/me']");
    page.click_words("Edit profile");
    page.fill("[name=name]", "");
    page.click_words("Save");
    page.wait("document.querySelector('#field-name-wrong').innerText !== ''");
    page.fill(
        "[name=name]",
        "Anna <i>Neu</i>"
            .trim_end_matches("</i>")
            .replace("<i>", "")
            .as_str(),
    );
    page.fill("[name=bio]", "Plays the trumpet.");
    page.choose("[name=image]", &[(1600, 1200)]);
    page.click_words("Save");
    page.wait("document.querySelector('h1').innerText === 'Anna Neu' && document.querySelector('.profile-head img.avatar')?.complete");
    assert_eq!(page.text(".bio"), "Plays the trumpet.");
    page.click("[data-home]");
    page.wait("document.querySelector('.card .creator')?.innerText.startsWith('Anna Neu')");
    page.wait("document.querySelector('.card .creator img')?.naturalWidth > 0");
    browser.expect_no_faults();
}

#[test]
fn contact_by_email_is_allowed_at_first_and_the_choice_stays() {
    let (site, browser) = (Site::empty(), Browser::start());
    let anna = site.register("anna@example.org", "Anna");
    let page = browser.visitor(&site.origin);
    page.open("/login");
    page.become_person(&anna);
    page.open("/me");
    page.click_words("Privacy");
    page.wait("document.querySelector('#allow-email').checked && !document.querySelector('#allow-email').disabled");
    page.click("#allow-email");
    page.wait("!document.querySelector('#allow-email').checked && !document.querySelector('#allow-email').disabled");
    let (_, settings) = site.call(
        Some(&anna),
        "GET",
        "/api/users/me/privacy-settings/",
        &Value::Null,
    );
    assert_eq!(settings["allow_email_contact"], json!(false));
    page.open("/me");
    page.click_words("Privacy");
    page.wait("!document.querySelector('#allow-email').disabled");
    assert!(!page.is("document.querySelector('#allow-email').checked"));
    browser.expect_no_faults();
}

#[test]
fn leaving_with_unsaved_changes_asks_first() {
    let (site, browser) = (Site::empty(), Browser::start());
    let anna = site.register("anna@example.org", "Anna");
    let page = browser.visitor(&site.origin);
    page.open("/login");
    page.become_person(&anna);
    page.open("/me");
    page.click_words("Edit profile");
    page.fill("[name=name]", "Somebody else");
    page.click("[data-home]");
    page.wait("document.querySelector('dialog[open]')");
    page.click_words("Keep editing");
    page.wait("!document.querySelector('dialog')");
    assert_eq!(
        page.eval("document.querySelector('[name=name]').value"),
        "Somebody else"
    );
    page.click("[data-home]");
    page.click_words("Leave");
    page.wait("location.pathname === '/'");
    browser.expect_no_faults();
}

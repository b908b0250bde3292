//! The wall, one flyer, a profile: what everybody sees.

use crate::{chromium::Browser, site::Site};

const FIRST_CARD: &str = ".wall .card[data-flyer]";

#[test]
fn the_wall_shows_cards_with_all_that_matters_and_loads_more_while_scrolling() {
    let (site, browser) = (Site::seeded(200), Browser::start());
    let page = browser.visitor(&site.origin);
    page.open("/");
    assert_eq!(page.flyers().len(), 20);
    let card = page.text(FIRST_CARD);
    for part in ["until ", "ago"] {
        assert!(card.contains(part), "{part} is missing in {card}");
    }
    for part in [
        "h3 a[href^='/flyers/']",
        ".creator[href^='/users/']",
        ".heart",
        ".tags",
        ".card-cover",
    ] {
        assert!(
            page.is(&format!("document.querySelector(\"{FIRST_CARD} {part}\")")),
            "{part}"
        );
    }
    page.eval("scrollTo(0, document.body.scrollHeight)");
    page.wait("document.querySelectorAll('.card[data-flyer]').length >= 40");
    let mut shown = page.flyers();
    let count = shown.len();
    shown.sort_unstable();
    shown.dedup();
    assert_eq!(shown.len(), count, "a flyer is shown twice");
    browser.expect_no_faults();
}

#[test]
fn scrolling_to_the_end_shows_every_live_flyer_once() {
    let (site, browser) = (Site::seeded(120), Browser::start());
    let (_, first) = site.call(
        None,
        "GET",
        "/api/v1/flyers/feed/?page=1",
        &serde_json::Value::Null,
    );
    let page = browser.visitor(&site.origin);
    page.open("/");
    while !page.is("document.querySelector('.wall-foot .end')") {
        page.eval("scrollTo(0, document.body.scrollHeight)");
        page.eval("new Promise((resolve) => setTimeout(resolve, 50))");
    }
    assert_eq!(
        Some(i64::try_from(page.flyers().len()).unwrap()),
        first["count"].as_i64()
    );
    browser.expect_no_faults();
}

#[test]
fn categories_are_any_of_and_can_be_taken_back() {
    let (site, browser) = (Site::empty(), Browser::start());
    let anna = site.register("anna@example.org", "Anna");
    let event = site.flyer(&anna, "Jazz", "events", "8001 Zürich");
    let retail = site.flyer(&anna, "Sale", "retail", "8001 Zürich");
    let other = site.flyer(&anna, "Help", "community", "8001 Zürich");
    let page = browser.visitor(&site.origin);
    page.open("/");
    assert_eq!(page.flyers(), [other, retail, event]);
    page.click("[data-slug=events]");
    page.wait("document.querySelectorAll('[data-flyer]').length === 1");
    assert_eq!(page.flyers(), [event]);
    page.click("[data-slug=retail]");
    page.wait("document.querySelectorAll('[data-flyer]').length === 2");
    assert_eq!(page.flyers(), [retail, event]);
    assert!(page.is("location.search.includes('categories=events%2Cretail')"));
    // The address carries the filter: a new document shows the same.
    page.open("/?categories=events,retail");
    assert_eq!(page.flyers(), [retail, event]);
    page.click("[data-slug=events]");
    page.click("[data-slug=retail]");
    page.wait("document.querySelectorAll('[data-flyer]').length === 3");
    browser.expect_no_faults();
}

#[test]
fn searching_waits_for_the_typing_to_end_and_takes_any_character() {
    let (site, browser) = (Site::empty(), Browser::start());
    let anna = site.register("anna@example.org", "Anna");
    let pizza = site.flyer(&anna, "Pizza & Wein", "events", "8001 Zürich");
    let sale = site.flyer(&anna, "50% Sale <b>bold</b>", "retail", "8001 Zürich");
    let page = browser.visitor(&site.origin);
    page.open("/");
    site.take_requests();
    for letter in ["p", "i", "z"] {
        page.eval("document.querySelector('#search').focus()");
        page.call("Input.insertText", serde_json::json!({ "text": letter }));
    }
    page.wait("document.querySelectorAll('[data-flyer]').length === 1");
    assert_eq!(page.flyers(), [pizza]);
    let asked = site.take_requests();
    let searches = asked.iter().filter(|line| line.contains("search=")).count();
    assert_eq!(searches, 1, "{asked:?}");
    for (text, found) in [
        ("50%", sale),
        ("wein", pizza),
        ("& W", pizza),
        ("<b>", sale),
    ] {
        page.fill("#search", text);
        page.wait(&format!(
            "new URLSearchParams(location.search).get('search') === {text:?} \
             && document.querySelector('.wall').children.length === 1 && document.querySelector('[data-flyer=\"{found}\"]')"
        ));
    }
    assert!(
        page.is("document.querySelector('.card b') === null"),
        "markup of a title became an element"
    );
    page.fill("#search", "no such thing");
    page.wait("document.querySelector('.state')");
    assert!(page.text(".state").contains("no such thing"));
    page.click_words("Show all flyers");
    page.wait("document.querySelectorAll('[data-flyer]').length === 2 && document.querySelector('#search').value === ''");
    browser.expect_no_faults();
}

#[test]
fn near_me_shows_what_is_within_five_kilometres_and_how_far() {
    let (site, browser) = (Site::empty(), Browser::start());
    let anna = site.register("anna@example.org", "Anna");
    let near = site.flyer(&anna, "Here", "events", "8001 Zürich");
    let far = site.flyer(&anna, "There", "events", "8400 Winterthur");
    let page = browser.visitor(&site.origin);
    page.place(Some((47.3769, 8.5417)));
    page.open("/");
    assert_eq!(page.flyers(), [far, near]);
    page.click_words("Near me");
    page.wait("document.querySelectorAll('[data-flyer]').length === 1");
    assert_eq!(page.flyers(), [near]);
    assert!(
        page.text(FIRST_CARD).contains("0 m"),
        "{}",
        page.text(FIRST_CARD)
    );
    page.click_words("Near me");
    page.wait("document.querySelectorAll('[data-flyer]').length === 2");
    assert!(
        page.text(FIRST_CARD).contains("km"),
        "{}",
        page.text(FIRST_CARD)
    );
    browser.expect_no_faults();
}

#[test]
fn who_refuses_to_say_where_they_are_sees_the_newest_without_distances() {
    let (site, browser) = (Site::empty(), Browser::start());
    let anna = site.register("anna@example.org", "Anna");
    let near = site.flyer(&anna, "Here", "events", "8001 Zürich");
    let page = browser.visitor(&site.origin);
    page.place(None);
    page.open("/");
    page.click_words("Near me");
    page.wait("document.querySelector('.toast.error')");
    assert!(
        page.text(".toast").contains("location"),
        "{}",
        page.text(".toast")
    );
    assert_eq!(page.flyers(), [near]);
    assert!(
        !page.text(FIRST_CARD).contains(" m ·") && !page.is("location.search.includes('near')")
    );
    browser.expect_no_faults();
}

#[test]
fn a_refresh_shows_what_was_put_up_meanwhile_and_keeps_the_filters() {
    let (site, browser) = (Site::empty(), Browser::start());
    let anna = site.register("anna@example.org", "Anna");
    site.flyer(&anna, "First", "events", "8001 Zürich");
    let page = browser.visitor(&site.origin);
    page.open("/?categories=events");
    site.flyer(&anna, "Second", "events", "8001 Zürich");
    site.flyer(&anna, "Elsewhere", "retail", "8001 Zürich");
    page.click(".refresh");
    page.wait("document.querySelectorAll('[data-flyer]').length === 2");
    assert!(page.text(FIRST_CARD).contains("Second"));
    browser.expect_no_faults();
}

#[test]
fn pulling_down_on_a_phone_refreshes() {
    let (site, browser) = (Site::empty(), Browser::start());
    let anna = site.register("anna@example.org", "Anna");
    site.flyer(&anna, "First", "events", "8001 Zürich");
    let page = browser.visitor(&site.origin);
    page.size(390, 844);
    page.open("/");
    site.flyer(&anna, "Second", "events", "8001 Zürich");
    let touch = |kind: &str, y: Option<u32>| {
        let points: Vec<_> = y
            .map(|y| serde_json::json!({ "x": 200, "y": y }))
            .into_iter()
            .collect();
        page.call(
            "Input.dispatchTouchEvent",
            serde_json::json!({ "type": kind, "touchPoints": points }),
        );
    };
    touch("touchStart", Some(200));
    for y in (220..=420).step_by(40) {
        touch("touchMove", Some(y));
    }
    touch("touchEnd", None);
    page.wait("document.querySelectorAll('[data-flyer]').length === 2");
    browser.expect_no_faults();
}

#[test]
fn from_a_card_to_the_flyer_to_its_creator_and_back_to_the_same_place() {
    let (site, browser) = (Site::seeded(300), Browser::start());
    let page = browser.visitor(&site.origin);
    page.open("/");
    page.eval("scrollTo(0, document.body.scrollHeight)");
    page.wait("document.querySelectorAll('.card[data-flyer]').length >= 40");
    let wanted = page.flyers()[30];
    page.eval(&format!("document.querySelector('[data-flyer=\"{wanted}\"]').scrollIntoView({{ block: 'center', behavior: 'instant' }})"));
    page.click(&format!("[data-flyer='{wanted}'] .card-link"));
    page.wait(&format!(
        "location.pathname === '/flyers/{wanted}' && document.querySelector('.map-link')"
    ));
    let title = page.text("h1");
    assert!(page.is("document.activeElement === document.querySelector('h1')"));
    assert!(page.is(&format!("document.title.startsWith({title:?})")));
    assert!(
        page.eval("document.querySelector('.map-link').href")
            .as_str()
            .unwrap()
            .starts_with("https://www.openstreetmap.org/?mlat=47.")
    );
    page.click(".creator.wide");
    page.wait("location.pathname.startsWith('/users/') && document.querySelector('.profile .card[data-flyer]')");
    assert!(page.text(".profile-count").contains("flyer"));
    site.take_requests();
    page.eval("history.back()");
    page.wait(&format!("location.pathname === '/flyers/{wanted}'"));
    page.eval("history.back()");
    page.wait(
        "location.pathname === '/' && document.querySelectorAll('.card[data-flyer]').length >= 40",
    );
    page.wait(&format!("(() => {{ const box = document.querySelector('[data-flyer=\"{wanted}\"]').getBoundingClientRect(); return box.top < innerHeight && box.bottom > 0; }})()"));
    let again = site.take_requests();
    assert!(
        !again
            .iter()
            .any(|line| line.contains("/feed/") && line.ends_with("cursor=")),
        "{again:?}"
    );
    browser.expect_no_faults();
}

#[test]
fn a_flyer_or_person_that_is_not_there_is_said_to_be_gone() {
    let (site, browser) = (Site::empty(), Browser::start());
    let page = browser.visitor(&site.origin);
    page.open("/flyers/999");
    assert!(page.text(".state").contains("gone"));
    page.open("/users/999");
    assert!(page.text(".state").contains("nobody"));
    page.open("/");
    assert!(page.text(".state").contains("empty"));
    browser.expect_no_faults();
}

//! Without a mouse, and as a screen reader meets the page.

use serde_json::json;

use crate::{chromium::Browser, site::Site};

#[test]
fn the_page_can_be_used_with_the_keyboard_alone() {
    let (site, browser) = (Site::empty(), Browser::start());
    let anna = site.register("anna@example.org", "Anna");
    let first = site.flyer(&anna, "Jazz", "events", "8001 Zürich");
    let page = browser.visitor(&site.origin);
    page.open("/");
    page.press("Tab");
    assert!(page.is("document.activeElement.matches('.skip')"));
    page.press("Enter");
    page.press("Tab");
    assert!(
        page.is("document.activeElement.closest('main')"),
        "the skip link leads into the content"
    );
    for _ in 0..30 {
        if page.is("document.activeElement.matches('.card-link')") {
            break;
        }
        page.press("Tab");
    }
    assert!(
        page.is(
            "getComputedStyle(document.activeElement.closest('.card')).outlineStyle === 'solid'"
        ),
        "the focus is not seen"
    );
    page.press("Enter");
    page.wait(&format!("location.pathname === '/flyers/{first}' && document.activeElement.matches('h1') && document.activeElement.innerText === 'Jazz'"));
    page.wait("document.querySelector('#announcer').innerText !== ''");
    page.press("Tab");
    assert!(page.is("document.activeElement !== document.body"));
    browser.expect_no_faults();
}

#[test]
fn a_dialog_keeps_the_focus_and_gives_it_back() {
    let (site, browser) = (Site::empty(), Browser::start());
    let anna = site.register("anna@example.org", "Anna");
    site.flyer(&anna, "Jazz", "events", "8001 Zürich");
    let page = browser.visitor(&site.origin);
    page.open("/");
    page.eval("document.querySelector('.heart').focus()");
    page.press("Enter");
    page.wait("document.querySelector('dialog[open]')");
    for _ in 0..6 {
        page.press("Tab");
        assert!(page.is(
            "document.activeElement === document.body || document.activeElement.closest('dialog')"
        ));
    }
    page.press("Escape");
    page.wait("!document.querySelector('dialog') && document.activeElement.matches('.heart')");
    browser.expect_no_faults();
}

#[test]
fn the_pictures_of_a_flyer_turn_with_the_arrow_keys() {
    let (site, browser) = (Site::empty(), Browser::start());
    let page = browser.visitor(&site.origin);
    let anna = site.register("anna@example.org", "Anna");
    page.open("/login");
    let values =
        json!({ "title": "Jazz", "category_tags": "events", "location_address": "8001 Zürich" });
    let made = page.post_pictures("/api/v1/flyers/", &anna, &values, &["image_1", "image_2"]);
    page.open(&format!("/flyers/{}", made["id"]));
    page.eval("document.querySelector('.track').focus()");
    page.press("ArrowRight");
    page.wait("document.querySelector('.track').scrollLeft > 100 && document.querySelectorAll('.dot')[1].matches('.on')");
    page.wait("document.querySelector('#announcer').innerText === 'Picture 2 of 2'");
    assert!(page.is("document.querySelector('.step.right').disabled"));
    browser.expect_no_faults();
}

/// Every control has a name, every picture an alternative, every field a label, every view one
/// heading of the first level, and nothing sticks out of a phone.
#[test]
fn every_view_is_named_and_fits_a_phone() {
    let (site, browser) = (Site::seeded(60), Browser::start());
    let page = browser.visitor(&site.origin);
    let anna = site.register("anna@example.org", "Anna");
    let own = site.flyer(&anna, "Jazz", "events", "8001 Zürich");
    page.size(390, 844);
    page.open("/login");
    let check = "(() => {
      const faults = [];
      const named = (one) => one.getAttribute('aria-label') || one.getAttribute('aria-labelledby') || one.innerText?.trim() || one.labels?.[0]?.innerText.trim();
      for (const one of document.querySelectorAll('a[href], button, summary, input, textarea, select')) if (one.checkVisibility() && !named(one)) faults.push('no name: ' + one.outerHTML.slice(0, 120));
      for (const one of document.images) if (!one.hasAttribute('alt')) faults.push('no alternative: ' + one.src);
      if (document.querySelectorAll('h1').length !== 1) faults.push(document.querySelectorAll('h1').length + ' headings');
      if (document.documentElement.scrollWidth > 390) faults.push('wider than the phone: ' + document.documentElement.scrollWidth);
      for (const one of ['main', 'header', 'nav']) if (!document.querySelector(one)) faults.push('no ' + one);
      const ids = [...document.querySelectorAll('[id]')].map((one) => one.id);
      for (const id of ids) if (ids.filter((other) => other === id).length > 1) faults.push('two of ' + id);
      return faults;
    })()";
    let own = format!("/flyers/{own}");
    let edit = format!("{own}/edit");
    for signed_in in [false, true] {
        for path in [
            "/",
            "/?search=zzzz",
            &own,
            "/users/1",
            "/login",
            "/login?register",
            "/me",
            "/create",
            &edit,
            "/flyers/999999",
        ] {
            page.open(path);
            assert_eq!(
                page.eval(check),
                json!([]),
                "{path}, signed in: {signed_in}"
            );
        }
        page.become_person(&anna);
    }
    browser.expect_no_faults();
}

#[test]
fn nothing_moves_for_those_who_asked_for_that() {
    let (site, browser) = (Site::seeded(60), Browser::start());
    let page = browser.visitor(&site.origin);
    page.call(
        "Emulation.setEmulatedMedia",
        json!({ "features": [{ "name": "prefers-reduced-motion", "value": "reduce" }] }),
    );
    page.open("/");
    let longest = page.number("Math.max(...[...document.querySelectorAll('.card, .card-cover img, .heart .icon')].flatMap((one) => { const style = getComputedStyle(one); return [parseFloat(style.animationDuration), parseFloat(style.transitionDuration)]; }))");
    assert!(longest < 0.001, "{longest} s");
}

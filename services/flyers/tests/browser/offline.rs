//! Without the service: what was seen is still there, and the page says so.

use crate::{chromium::Browser, site::Site};

#[test]
fn what_was_seen_is_there_without_the_service_and_the_rest_comes_back_with_it() {
    let (mut site, browser) = (Site::seeded(60), Browser::start());
    let page = browser.visitor(&site.origin);
    page.open("/");
    page.wait("navigator.serviceWorker.controller");
    // Under the worker now: what is shown is kept.
    page.open("/");
    let seen = page.flyers();
    page.open(&format!("/flyers/{}", seen[0]));
    let title = page.text("h1");
    page.eval("new Promise((resolve) => setTimeout(resolve, 300))");
    site.go_away();
    page.open("/");
    assert_eq!(page.flyers(), seen);
    assert!(page.text("#banner").contains("offline"));
    page.open(&format!("/flyers/{}", seen[0]));
    assert_eq!(page.text("h1"), title);
    page.open(&format!("/flyers/{}", seen[1]));
    assert!(
        page.text(".state").contains("offline"),
        "{}",
        page.text("main")
    );
    site.come_back();
    page.click_words("Try again");
    page.wait(
        "document.querySelector('.map-link') && document.querySelector('#banner').innerText === ''",
    );
}

#[test]
fn signing_out_forgets_what_was_kept_for_offline_use() {
    let (site, browser) = (Site::empty(), Browser::start());
    let anna = site.register("anna@example.org", "Anna");
    site.flyer(&anna, "Jazz", "events", "8001 Zürich");
    let page = browser.visitor(&site.origin);
    page.open("/");
    page.wait("navigator.serviceWorker.controller");
    page.become_person(&anna);
    page.open("/me");
    let kept = "(async () => (await (await caches.open('answers')).keys()).some((one) => one.url.includes('/users/me/')))()";
    page.wait("document.querySelector('.row')");
    for _ in 0..100 {
        if page.eval(kept) == true {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert_eq!(page.eval(kept), true);
    page.click_words("Sign out");
    page.wait("location.pathname === '/'");
    for _ in 0..100 {
        if page.eval(kept) == false {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert_eq!(page.eval(kept), false);
    assert!(page.is("Object.keys(sessionStorage).every((key) => !key.includes('/users/'))"));
    browser.expect_no_faults();
}

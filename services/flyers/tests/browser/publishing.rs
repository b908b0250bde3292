//! Making a flyer, changing it, deleting it.

use serde_json::{Value, json};

use crate::{
    chromium::{Browser, Page},
    site::{Person, Site},
};

/// Two tabs of one person: site, browser, the person, a page that is signed in.
fn signed_in(site: &Site, browser: &Browser) -> (Person, Page) {
    let anna = site.register("anna@example.org", "Anna");
    let page = browser.visitor(&site.origin);
    page.open("/login");
    page.become_person(&anna);
    (anna, page)
}

fn published(page: &Page, anna: &Person, title: &str, pictures: &[&str]) -> i64 {
    let values = json!({ "title": title, "caption": "Until late.", "category_tags": "events", "location_address": "8001 Zürich" });
    let made = page.post_pictures("/api/v1/flyers/", anna, &values, pictures);
    made["id"].as_i64().unwrap()
}

#[test]
fn a_flyer_is_made_with_pictures_and_is_on_the_wall_and_the_own_page() {
    let (site, browser) = (Site::empty(), Browser::start());
    let (_, page) = signed_in(&site, &browser);
    page.open("/");
    page.click("[href='/create']");
    page.click_words("Put it up");
    page.wait("document.querySelectorAll('.is-wrong').length === 4");
    let wrong = page
        .eval("[...document.querySelectorAll('.wrong:not([hidden])')].map((one) => one.innerText)");
    assert_eq!(
        wrong,
        json!([
            "Choose at least one picture.",
            "Title is required.",
            "Choose at least one category.",
            "Address is required."
        ])
    );
    page.choose("#pictures-input", &[(800, 1000), (3000, 2000)]);
    page.wait("document.querySelectorAll('.tile img').length === 2");
    page.fill("[name=title]", "Jazz am See");
    page.fill("[name=caption]", "Mit Apéro.\nBei jedem Wetter.");
    page.click_words("Events");
    page.fill("[name=location_address]", "Nowhere 1, Atlantis");
    page.click_words("Put it up");
    page.wait("document.querySelector('#field-location_address-wrong').innerText !== ''");
    assert!(page.is("document.activeElement.name === 'location_address'"));
    page.fill("[name=location_address]", "Seestrasse 1, 8002 Zürich Enge");
    page.click_words("Put it up");
    page.wait(
        "/^\\/flyers\\/\\d+$/.test(location.pathname) && document.querySelector('.map-link')",
    );
    assert_eq!(page.text("h1"), "Jazz am See");
    assert_eq!(
        page.number("document.querySelectorAll('.slide').length"),
        2.0
    );
    page.wait("document.querySelector('.slide .large').naturalWidth > 0");
    page.click("[data-home]");
    page.wait("document.querySelector('.card h3')?.innerText === 'Jazz am See'");
    page.wait("document.querySelector('.card img').naturalWidth > 0");
    page.click("[href='/me']");
    page.wait("document.querySelector('.row .status')?.innerText.toLowerCase() === 'active'");
    assert!(page.text(".profile-count").contains("1 flyer"));
    browser.expect_no_faults();
}

#[test]
fn five_pictures_are_the_most_and_what_is_no_picture_is_refused_at_once() {
    let (site, browser) = (Site::empty(), Browser::start());
    let (_, page) = signed_in(&site, &browser);
    page.open("/create");
    page.choose("#pictures-input", &[(100, 100); 6]);
    page.wait("document.querySelectorAll('.tile img').length === 5");
    assert!(
        page.text("#field-pictures-wrong").contains("At most 5"),
        "{}",
        page.text("#field-pictures-wrong")
    );
    page.click("[aria-label='Remove picture 5']");
    page.wait("document.querySelectorAll('.tile img').length === 4");
    for (bytes, name, says) in [
        ("[0x47,0x49,0x46,0x38,0x39,0x61]", "a.gif", "GIF"),
        ("[0x4d,0x5a,0,0]", "virus.jpg", "not a picture"),
    ] {
        page.eval(&format!(
            "(() => {{ const input = document.querySelector('#pictures-input'); const files = new DataTransfer(); \
             files.items.add(new File([new Uint8Array({bytes})], {name:?}, {{ type: 'image/jpeg' }})); \
             input.files = files.files; input.dispatchEvent(new Event('change')); }})()"
        ));
        page.wait(&format!(
            "document.querySelector('#field-pictures-wrong').innerText.includes({says:?})"
        ));
    }
    assert_eq!(
        page.number("document.querySelectorAll('.tile img').length"),
        4.0
    );
    browser.expect_no_faults();
}

#[test]
fn large_pictures_are_made_smaller_before_they_travel() {
    let (site, browser) = (Site::empty(), Browser::start());
    let (_, page) = signed_in(&site, &browser);
    page.open("/create");
    page.choose("#pictures-input", &[(4000, 3000)]);
    page.wait("document.querySelector('.tile img')?.naturalWidth > 0");
    assert_eq!(
        page.number("document.querySelector('.tile img').naturalWidth"),
        2048.0
    );
    assert_eq!(
        page.number("document.querySelector('.tile img').naturalHeight"),
        1536.0
    );
    browser.expect_no_faults();
}

#[test]
fn every_field_of_a_flyer_can_be_changed() {
    let (site, browser) = (Site::empty(), Browser::start());
    let (anna, page) = signed_in(&site, &browser);
    let id = published(&page, &anna, "Jazz", &["image_1", "image_2", "image_3"]);
    page.open(&format!("/flyers/{id}"));
    page.click_words("Edit");
    page.wait("document.querySelectorAll('.tile img').length === 3");
    assert_eq!(
        page.eval("document.querySelector('[name=title]').value"),
        "Jazz"
    );
    let before = page.eval("[...document.querySelectorAll('.tile img')].map((one) => one.src)");
    page.fill("[name=title]", "Jazz & Blues");
    page.fill("[name=info_field_1]", "Doors at seven");
    page.click_words("Community");
    page.fill("[name=location_address]", "Marktgasse 1, 8400 Winterthur");
    page.click("[aria-label='Move back picture 1']");
    page.click("[aria-label='Remove picture 3']");
    page.choose("#pictures-input", &[(700, 900)]);
    page.wait("document.querySelectorAll('.tile img').length === 3");
    page.click_words("Save");
    page.wait(&format!(
        "location.pathname === '/flyers/{id}' && document.querySelector('.map-link')"
    ));
    let (_, flyer) = site.call(None, "GET", &format!("/api/v1/flyers/{id}/"), &Value::Null);
    assert_eq!(flyer["title"], "Jazz & Blues");
    assert_eq!(flyer["info_field_1"], "Doors at seven");
    assert_eq!(flyer["categories"], json!(["events", "community"]));
    assert!(
        flyer["location"]["lat"].as_f64().unwrap() > 47.49,
        "{}",
        flyer["location"]
    );
    let images = flyer["images"].as_array().unwrap();
    assert_eq!(images.len(), 3);
    // The second came first, the first second, the third is new.
    let small = |at: usize| images[at]["thumb_url"].as_str().unwrap();
    assert_eq!(json!([small(0), small(1)]), json!([before[1], before[0]]));
    assert!(!before.as_array().unwrap().contains(&json!(small(2))));
    browser.expect_no_faults();
}

#[test]
fn two_who_edit_at_once_choose_who_wins() {
    let (site, browser) = (Site::empty(), Browser::start());
    let (anna, page) = signed_in(&site, &browser);
    let id = published(&page, &anna, "Jazz", &["image_1"]);
    page.open(&format!("/flyers/{id}/edit"));
    page.fill("[name=title]", "From the first window");
    let other = page.another_tab();
    other.open(&format!("/flyers/{id}/edit"));
    other.fill("[name=title]", "From the second window");
    other.click_words("Save");
    other.wait(&format!("location.pathname === '/flyers/{id}'"));
    page.click_words("Save");
    page.wait("document.querySelector('dialog[open]')");
    page.click_words("Reload");
    page.wait("document.querySelector('[name=title]').value === 'From the second window'");
    other.open(&format!("/flyers/{id}/edit"));
    other.fill("[name=title]", "Second again");
    page.fill("[name=title]", "First again");
    page.click_words("Save");
    page.wait(&format!("location.pathname === '/flyers/{id}'"));
    other.click_words("Save");
    other.click_words("Overwrite");
    other.wait(&format!("location.pathname === '/flyers/{id}' && document.querySelector('h1').innerText === 'Second again'"));
    browser.expect_no_faults();
}

#[test]
fn a_flyer_is_taken_down_and_put_up_again() {
    let (site, browser) = (Site::empty(), Browser::start());
    let (anna, page) = signed_in(&site, &browser);
    let id = published(&page, &anna, "Jazz", &["image_1"]);
    page.open(&format!("/flyers/{id}"));
    page.click_words("Take down");
    page.wait("document.querySelector('dialog[open]')");
    page.click("dialog .danger");
    page.wait("document.querySelector('.notice')");
    let (status, _) = site.call(None, "GET", &format!("/api/v1/flyers/{id}/"), &Value::Null);
    assert_eq!(status, 404);
    page.click_words("Put up again");
    page.wait("document.querySelector('.map-link') && !document.querySelector('.notice')");
    let (status, _) = site.call(None, "GET", &format!("/api/v1/flyers/{id}/"), &Value::Null);
    assert_eq!(status, 200);
    browser.expect_no_faults();
}

#[test]
fn deleting_asks_cancel_keeps_and_delete_removes_it_everywhere() {
    let (site, browser) = (Site::empty(), Browser::start());
    let (anna, page) = signed_in(&site, &browser);
    let id = published(&page, &anna, "Jazz", &["image_1"]);
    page.open("/");
    page.click(&format!("[data-flyer='{id}'] .card-link"));
    page.click_words("Delete");
    page.wait("document.querySelector('dialog[open]')");
    assert!(
        page.is("document.activeElement.innerText === 'Cancel'"),
        "Enter would delete"
    );
    page.click_words("Cancel");
    page.wait("!document.querySelector('dialog')");
    page.click_words("Delete");
    page.click("dialog .danger");
    page.wait("location.pathname === '/me' && document.querySelector('.state')");
    page.click("[data-home]");
    page.wait("document.querySelector('.state') && document.querySelectorAll('[data-flyer]').length === 0");
    page.open(&format!("/flyers/{id}"));
    assert!(page.text(".state").contains("gone"));
    browser.expect_no_faults();
}

#[test]
fn somebody_elses_flyer_cannot_be_edited() {
    let (site, browser) = (Site::empty(), Browser::start());
    let (_, page) = signed_in(&site, &browser);
    let ben = site.register("ben@example.org", "Ben");
    let id = published(&page, &ben, "Ben's", &["image_1"]);
    page.open(&format!("/flyers/{id}"));
    assert!(!page.is("document.querySelector('.detail-actions .danger')"));
    page.open(&format!("/flyers/{id}/edit"));
    assert!(page.text(".state").contains("not your flyer"));
    browser.expect_no_faults();
}

#[test]
fn the_form_stays_filled_when_the_service_is_away() {
    let (mut site, browser) = (Site::empty(), Browser::start());
    let (_, page) = signed_in(&site, &browser);
    page.open("/create");
    page.choose("#pictures-input", &[(300, 300)]);
    page.wait("document.querySelectorAll('.tile img').length === 1");
    page.fill("[name=title]", "Jazz");
    page.click_words("Events");
    page.fill("[name=location_address]", "8001 Zürich");
    site.go_away();
    page.click_words("Put it up");
    page.wait("!document.querySelector('.summary').hidden");
    assert!(
        page.text(".summary").contains("offline"),
        "{}",
        page.text(".summary")
    );
    assert_eq!(
        page.eval("document.querySelector('[name=title]').value"),
        "Jazz"
    );
    site.come_back();
    page.click_words("Put it up");
    page.wait("/^\\/flyers\\/\\d+$/.test(location.pathname)");
}

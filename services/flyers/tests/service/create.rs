//! Making flyers with pictures.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use flyers::{
    geo::Point,
    geocoder::{Gazetteer, GeocodeError, Geocoder, Lookup},
};
use serde_json::{Value, json};

use crate::{
    agreement::size_of,
    forms::{Form, picture},
    running::Running,
};

const PATH: &str = "/api/v1/flyers/";

/// Counts the addresses it is asked for; knows all but `Atlantis`.
#[derive(Default)]
pub(crate) struct Counting(pub(crate) AtomicUsize);

impl Geocoder for Counting {
    fn locate<'a>(&'a self, address: &'a str) -> Lookup<'a> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move {
            match address {
                "Atlantis" => Err(GeocodeError::NotFound),
                _ => Ok(Point {
                    lat: 47.0,
                    lng: address.len() as f64 / 10.0,
                }),
            }
        })
    }
}

pub(crate) fn fields() -> Value {
    json!({ "title": "Jazz", "category_tags": ["events"], "location_address": "8001 Zürich" })
}

/// A form with all that is needed and so many pictures.
pub(crate) fn form(pictures: u32) -> Form {
    (1..=pictures).fold(Form::of(&fields()), |form, number| {
        form.file(&format!("image_{number}"), &picture(number))
    })
}

fn nothing_is_there(service: &Running) {
    for table in ["flyers", "flyer_images", "flyer_categories"] {
        assert_eq!(service.count(table), 0, "{table}");
    }
    assert_eq!(service.agrees(), 0);
}

#[test]
fn one_to_five_pictures_are_stored_in_their_order_and_served() {
    let service = Running::empty();
    let (token, _) = service.register("a@example.org");
    for count in 1..=5 {
        let made = service.send_form("POST", PATH, &token, &form(count));
        let made = made.expect(201);
        let images = made["images"].as_array().unwrap();
        let orders: Vec<_> = images.iter().map(|image| &image["order"]).collect();
        assert_eq!(orders, (0..count).collect::<Vec<_>>());
        for image in images {
            for key in ["url", "thumb_url"] {
                let url = image[key].as_str().unwrap();
                let mut answer = service.agent().get(url).call().unwrap();
                assert_eq!(answer.headers()["content-type"], "image/jpeg");
                let kept = answer.headers()["cache-control"].to_str().unwrap();
                assert!(kept.contains("immutable"), "{kept}");
                let bytes = answer.body_mut().read_to_vec().unwrap();
                assert_eq!(size_of(&bytes), Some((64, 48)), "never enlarged");
            }
        }
    }
    assert_eq!(service.agrees(), 2 * 15);
}

#[test]
fn large_pictures_become_2048_pixels_and_thumbnails_300() {
    let service = Running::empty();
    let (token, _) = service.register("a@example.org");
    let large = flyers::seed::photo(2400, 1200, 3, 70).unwrap();
    let form = Form::of(&fields()).file("image_1", &large);
    let made = service.send_form("POST", PATH, &token, &form).expect(201);
    let size = |key: &str| {
        let url = made["images"][0][key].as_str().unwrap();
        let mut answer = service.agent().get(url).call().unwrap();
        size_of(&answer.body_mut().read_to_vec().unwrap()).unwrap()
    };
    assert_eq!(size("url"), (2048, 1024));
    assert_eq!(size("thumb_url"), (300, 150));
}

#[test]
fn the_same_picture_may_come_twice_and_slots_may_be_left_out() {
    let service = Running::empty();
    let (token, _) = service.register("a@example.org");
    let same = Form::of(&fields())
        .file("image_4", &picture(2))
        .file("image_2", &picture(2));
    service.send_form("POST", PATH, &token, &same).expect(201);
    service.send_form("POST", PATH, &token, &same).expect(201);
    assert_eq!(service.agrees(), 8);
}

#[test]
fn none_or_six_pictures_are_refused() {
    let service = Running::empty();
    let (token, _) = service.register("a@example.org");
    let refused = |form: &Form| service.send_form("POST", PATH, &token, form).fields();
    assert_eq!(refused(&form(0)), ["image_1"]);
    assert_eq!(refused(&form(6)), ["image_6"]);
    let twice = form(1).file("image_1", &picture(9));
    assert_eq!(refused(&twice), ["image_1"]);
    // JSON has no pictures.
    assert_eq!(
        service.post_as(&token, PATH, &fields()).fields(),
        ["image_1"]
    );
    nothing_is_there(&service);
}

#[test]
fn bad_pictures_are_named_one_by_one_and_nothing_remains() {
    let service = Running::empty();
    let (token, _) = service.register("a@example.org");
    let whole = picture(1);
    let form = Form::of(&fields())
        .file("image_1", &whole)
        .file("image_2", &whole[..whole.len() / 2])
        .file("image_3", b"GIF89a and so on")
        .file("image_4", b"")
        .file("image_5", &vec![0; (5 << 20) + 1]);
    let refused = service.send_form("POST", PATH, &token, &form);
    // What is too large is seen while it arrives, before any picture is looked at.
    assert_eq!(refused.fields(), ["image_5"]);
    let form = Form::of(&fields())
        .file("image_1", &whole)
        .file("image_2", &whole[..whole.len() / 2])
        .file("image_3", b"GIF89a and so on")
        .file("image_4", b"");
    let refused = service.send_form("POST", PATH, &token, &form);
    assert_eq!(refused.fields(), ["image_2", "image_3", "image_4"]);
    let messages = refused.json()["fields"].clone();
    assert!(messages["image_3"].as_str().unwrap().contains("GIF"));
    nothing_is_there(&service);
}

#[test]
fn texts_are_judged_before_anything_is_asked_or_made() {
    let geocoder = Arc::new(Counting::default());
    let service = Running::start(&[], geocoder.clone());
    let (token, _) = service.register("a@example.org");
    let bad = json!({ "title": "x".repeat(201), "category_tags": "nonsense",
        "location_address": "8001 Zürich", "publication_date": "tomorrow" });
    let form = Form::of(&bad).file("image_1", b"not looked at");
    let refused = service.send_form("POST", PATH, &token, &form);
    assert_eq!(
        refused.fields(),
        ["publication_date"],
        "what cannot be read comes first"
    );
    let mut bad = bad;
    bad["publication_date"] = json!("2001-01-01T00:00:00Z");
    let form = Form::of(&bad).file("image_1", b"not looked at");
    let refused = service.send_form("POST", PATH, &token, &form);
    assert_eq!(
        refused.fields(),
        ["category_tags", "publication_date", "title"]
    );
    assert_eq!(geocoder.0.load(Ordering::SeqCst), 0);
    nothing_is_there(&service);
}

#[test]
fn an_address_is_looked_up_once_and_an_unknown_one_leaves_nothing() {
    let geocoder = Arc::new(Counting::default());
    let service = Running::start(&[], geocoder.clone());
    let (token, _) = service.register("a@example.org");
    let mut unknown = fields();
    unknown["location_address"] = json!("Atlantis");
    let form_of = |fields: &Value| Form::of(fields).file("image_1", &picture(1));
    let refused = service.send_form("POST", PATH, &token, &form_of(&unknown));
    assert_eq!(refused.fields(), ["location_address"]);
    nothing_is_there(&service);
    // Both faults at once.
    let both = Form::of(&unknown).file("image_1", b"GIF89a");
    let refused = service.send_form("POST", PATH, &token, &both);
    assert_eq!(refused.fields(), ["image_1", "location_address"]);
    geocoder.0.store(0, Ordering::SeqCst);
    let made = service.send_form("POST", PATH, &token, &form_of(&fields()));
    assert_eq!(made.expect(201)["location"]["lat"], 47.0);
    assert_eq!(geocoder.0.load(Ordering::SeqCst), 1);
    service.agrees();
}

#[test]
fn tags_of_a_form_come_in_every_way_that_forms_have() {
    let service = Running::empty();
    let (token, _) = service.register("a@example.org");
    let bare = || {
        Form::default()
            .text("title", "Jazz")
            .text("location_address", "8001 Zürich")
            .file("image_1", &picture(1))
    };
    for form in [
        bare().text("category_tags", "events,retail"),
        bare().text("category_tags", "[\"retail\", \"events\"]"),
        bare()
            .text("category_tags", "events")
            .text("category_tags", "retail"),
    ] {
        let made = service.send_form("POST", PATH, &token, &form).expect(201);
        assert_eq!(made["categories"], json!(["events", "retail"]));
    }
}

#[test]
fn forms_that_cannot_be_read_are_400_and_too_long_ones_413() {
    let service = Running::empty();
    let (token, _) = service.register("a@example.org");
    let whole = form(1).bytes();
    let cut = &whole[..whole.len() - 40];
    let send = |kind: &str, body: &[u8]| service.send_as("POST", PATH, Some(&token), kind, body);
    assert_eq!(send(&Form::kind(), cut).fields(), ["image_1"]);
    assert_eq!(send("multipart/form-data", &whole).status, 400);
    assert_eq!(send(&Form::kind(), b"").status, 400);
    assert_eq!(send("text/plain", b"Jazz").status, 415);
    let mistyped = form(1).text("titel", "x");
    let refused = service.send_form("POST", PATH, &token, &mistyped);
    assert_eq!(refused.fields(), ["titel"]);
    let huge = Form::of(&fields()).file("image_1", &vec![0; 27 << 20]);
    assert_eq!(send(&Form::kind(), &huge.bytes()).status, 413);
    nothing_is_there(&service);
    assert_eq!(
        service
            .send_as("POST", PATH, None, &Form::kind(), &whole)
            .status,
        401
    );
}

#[test]
fn a_token_of_a_user_who_is_gone_makes_nothing() {
    let service = Running::empty();
    let (token, _) = service.register("a@example.org");
    service.execute("DELETE FROM users");
    assert_eq!(
        service.send_form("POST", PATH, &token, &form(2)).status,
        401
    );
    nothing_is_there(&service);
}

#[test]
fn rows_that_cannot_be_written_leave_no_files() {
    let service = Running::empty();
    let (token, _) = service.register("a@example.org");
    service.execute("ALTER TABLE flyer_images RENAME TO elsewhere");
    assert_eq!(
        service.send_form("POST", PATH, &token, &form(2)).status,
        500
    );
    service.execute("ALTER TABLE elsewhere RENAME TO flyer_images");
    nothing_is_there(&service);
    crate::delete::refuse_commits(&service, "INSERT");
    assert_eq!(
        service.send_form("POST", PATH, &token, &form(2)).status,
        500
    );
    nothing_is_there(&service);
}

#[test]
fn a_client_that_hangs_up_leaves_all_or_nothing() {
    let service = Running::empty();
    let (token, _) = service.register("a@example.org");
    let body = form(5).bytes();
    let address = service.origin.strip_prefix("http://").unwrap();
    for wait_ms in [0, 1, 2, 4, 8, 16, 32, 64, 96, 128] {
        use std::io::Write as _;
        let mut client = std::net::TcpStream::connect(address).unwrap();
        let head = format!(
            "POST {PATH} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\ncontent-type: {}\r\ncontent-length: {}\r\n\r\n",
            Form::kind(),
            body.len()
        );
        client.write_all(head.as_bytes()).unwrap();
        client.write_all(&body).unwrap();
        std::thread::sleep(Duration::from_millis(wait_ms));
        client.shutdown(std::net::Shutdown::Both).unwrap();
    }
    // A change that had begun goes on to its end.
    let mut before = usize::MAX;
    loop {
        std::thread::sleep(Duration::from_millis(400));
        let now = usize::try_from(service.count("flyer_images")).unwrap();
        if now == before {
            break;
        }
        before = now;
    }
    assert_eq!(service.agrees(), 2 * before);
    assert_eq!(before % 5, 0, "whole flyers");
}

#[test]
fn more_pictures_than_can_wait_are_told_to_come_back() {
    let service = Running::start(&[("REQUEST_TIMEOUT_S", "300")], Arc::new(Gazetteer));
    let (token, _) = service.register("a@example.org");
    let large = flyers::seed::photo(1600, 1200, 3, 60).unwrap();
    let form = (1..=5).fold(Form::of(&fields()), |form, number| {
        form.file(&format!("image_{number}"), &large)
    });
    let statuses: Vec<(u16, bool)> = std::thread::scope(|scope| {
        let send = || {
            let answer = service.send_form("POST", PATH, &token, &form);
            (answer.status, answer.headers.contains_key("retry-after"))
        };
        let clients: Vec<_> = (0..12).map(|_| scope.spawn(send)).collect();
        clients
            .into_iter()
            .map(|client| client.join().unwrap())
            .collect()
    });
    let made = statuses.iter().filter(|(status, _)| *status == 201).count();
    let busy = statuses
        .iter()
        .filter(|answer| **answer == (503, true))
        .count();
    assert!(made > 0 && busy > 0 && made + busy == 12, "{statuses:?}");
    assert_eq!(service.agrees(), 10 * made);
}

#[test]
fn without_a_connection_in_time_no_file_remains() {
    let service = Running::start(&[("DATABASE_CONNECTIONS", "1")], Arc::new(Gazetteer));
    let (token, _) = service.register("a@example.org");
    let held = service.runtime.block_on(service.database.begin()).unwrap();
    let answer = service.send_form("POST", PATH, &token, &form(2));
    assert_eq!(answer.expect(503)["error"], "unavailable");
    service.runtime.block_on(held.rollback()).unwrap();
    nothing_is_there(&service);
}

#[test]
fn a_change_that_has_begun_goes_on_when_its_request_times_out() {
    let environment = [("REQUEST_TIMEOUT_S", "1"), ("DATABASE_CONNECTIONS", "1")];
    let service = Running::start(&environment, Arc::new(Gazetteer));
    let (token, _) = service.register("a@example.org");
    let held = service.runtime.block_on(service.database.begin()).unwrap();
    let answer = service.send_form("POST", PATH, &token, &form(1));
    assert_eq!(answer.expect(503)["detail"], "the request took too long");
    service.runtime.block_on(held.rollback()).unwrap();
    let started = std::time::Instant::now();
    while service.count("flyers") == 0 {
        assert!(
            started.elapsed() < Duration::from_secs(10),
            "it was given up"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    // The last file operation follows the commit.
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(service.agrees(), 2);
}

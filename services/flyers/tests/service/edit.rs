//! Changing flyers.

use std::sync::{Arc, atomic::Ordering};

use chrono::{TimeDelta, Utc};
use serde_json::{Value, json};

use crate::{
    create::Counting,
    delete::{flyer_with, path_of, refuse_commits},
    forms::{Form, picture},
    running::{Answer, Running, ids},
};

const FEED: &str = "/api/v1/flyers/feed/";

struct Owned {
    service: Running,
    token: String,
    id: i64,
}

impl Owned {
    fn with(pictures: u32) -> Self {
        Self::on(Running::empty(), pictures)
    }

    fn on(service: Running, pictures: u32) -> Self {
        let (token, _) = service.register("a@example.org");
        let id = flyer_with(&service, &token, pictures);
        Self { service, token, id }
    }

    fn patch(&self, fields: &Value) -> Answer {
        self.service
            .send_json("PATCH", &path_of(self.id), &self.token, fields)
    }

    fn patch_form(&self, form: &Form) -> Answer {
        self.service
            .send_form("PATCH", &path_of(self.id), &self.token, form)
    }

    fn read(&self) -> Value {
        self.service
            .get_as(&self.token, &path_of(self.id))
            .expect(200)
    }

    /// Ids of the pictures in their order.
    fn pictures(&self) -> Vec<i64> {
        let flyer = self.read();
        let images = flyer["images"].as_array().unwrap();
        images
            .iter()
            .map(|image| image["id"].as_i64().unwrap())
            .collect()
    }

    fn expire(&self) {
        let (past, _) = Running::around_now();
        self.service
            .set_dates(self.id, past - TimeDelta::days(1), past);
    }
}

#[test]
fn what_is_left_out_of_a_patch_stays() {
    let owned = Owned::with(1);
    let before = owned.read();
    let after = owned
        .patch(&json!({ "title": " Blues ", "info_field_1": "CHF 5" }))
        .expect(200);
    let mut expected = before.clone();
    expected["title"] = json!("Blues");
    expected["info_field_1"] = json!("CHF 5");
    expected["editable"]["version"] = json!(2);
    assert_eq!(after, expected);
    let form = Form::default()
        .text("caption", "New")
        .text("category_tags", "retail,other");
    let after = owned.patch_form(&form).expect(200);
    assert_eq!(after["caption"], "New");
    assert_eq!(after["categories"], json!(["retail", "other"]));
    let found = |list: &str| ids(&owned.service.get(&format!("{FEED}?{list}")).expect(200));
    assert_eq!(found("categories=retail"), [owned.id]);
    assert!(found("categories=events").is_empty());
    assert_eq!(found("search=blues"), [owned.id]);
    assert!(found("search=jazz").is_empty());
    assert_eq!(owned.read(), after);
}

#[test]
fn a_put_says_everything() {
    let owned = Owned::with(2);
    let put = |fields: &Value| {
        let path = path_of(owned.id);
        owned.service.send_json("PUT", &path, &owned.token, fields)
    };
    owned
        .patch(&json!({ "caption": "old", "info_field_2": "old" }))
        .expect(200);
    let fields = put(&json!({ "caption": "new" })).fields();
    let needed = [
        "category_tags",
        "expiration_date",
        "location_address",
        "publication_date",
        "title",
    ];
    assert_eq!(fields, needed);
    let now = owned.read();
    let whole = json!({
        "title": "Whole", "category_tags": ["retail"], "location_address": "8002 Zürich Enge",
        "publication_date": now["editable"]["publication_date"],
        "expiration_date": now["editable"]["expiration_date"],
    });
    let after = put(&whole).expect(200);
    assert_eq!(
        (&after["caption"], &after["info_field_2"]),
        (&json!(""), &json!(""))
    );
    assert_eq!(after["images"], now["images"], "pictures stay");
    assert_eq!(after["editable"]["is_active"], true);
}

#[test]
fn only_the_owner_changes_and_only_what_there_is() {
    let owned = Owned::with(1);
    let (other, _) = owned.service.register("b@example.org");
    let path = path_of(owned.id);
    let fields = json!({ "title": "Mine" });
    for method in ["PATCH", "PUT"] {
        let send = |path: &str, token: &str| owned.service.send_json(method, path, token, &fields);
        assert_eq!(send(&path, &other).expect(403)["error"], "forbidden");
        assert_eq!(send("/api/v1/flyers/4711/", &other).status, 404);
        assert_eq!(send("/api/v1/flyers/x/", &other).status, 404);
        let body = fields.to_string();
        let kind = "application/json";
        let anonymous = owned
            .service
            .send_as(method, &path, None, kind, body.as_bytes());
        assert_eq!(anonymous.status, 401);
    }
    assert_eq!(owned.read()["title"], "Jazz");
}

#[test]
fn every_fault_of_a_change_is_named_and_changes_nothing() {
    let owned = Owned::with(2);
    let before = owned.read();
    let long = "x".repeat(201);
    let bad = json!({ "title": long, "category_tags": [], "location_address": " " });
    assert_eq!(
        owned.patch(&bad).fields(),
        ["category_tags", "location_address", "title"]
    );
    for (fields, wrong) in [
        (json!({ "is_active": "yes" }), "is_active"),
        (json!({ "version": "1" }), "version"),
        (json!({ "remove_images": ["a"] }), "remove_images"),
        (json!({ "remove_images": [4711] }), "remove_images"),
        (json!({ "image_order": [4711] }), "image_order"),
        (json!({ "remove_images": owned.pictures() }), "image_1"),
    ] {
        assert_eq!(owned.patch(&fields).fields(), [wrong], "{fields}");
    }
    for (name, text) in [
        ("is_active", "yes"),
        ("version", "one"),
        ("remove_images", "a"),
        ("publication_date", "tomorrow"),
        ("creator_id", "5"),
    ] {
        let form = Form::default().text(name, text);
        assert_eq!(owned.patch_form(&form).fields(), [name]);
    }
    let sixth = (1..=4).fold(Form::default(), |form, number| {
        form.file(&format!("image_{number}"), &picture(number))
    });
    assert_eq!(owned.patch_form(&sixth).fields(), ["image_1"]);
    let broken = Form::default()
        .file("image_2", b"no picture")
        .text("title", "New");
    assert_eq!(owned.patch_form(&broken).fields(), ["image_2"]);
    assert_eq!(owned.read(), before);
    assert_eq!(owned.service.agrees(), 4);
}

#[test]
fn an_address_is_looked_up_only_when_it_has_changed() {
    let geocoder = Arc::new(Counting::default());
    let owned = Owned::on(Running::start(&[], geocoder.clone()), 1);
    let asked = || geocoder.0.swap(0, Ordering::SeqCst);
    assert_eq!(asked(), 1);
    owned.patch(&json!({ "title": "x" })).expect(200);
    let same = owned
        .patch(&json!({ "location_address": " 8001 Zürich " }))
        .expect(200);
    assert_eq!(asked(), 0);
    let moved = owned
        .patch(&json!({ "location_address": "8002 Zürich Enge" }))
        .expect(200);
    assert_eq!(asked(), 1);
    assert_ne!(same["location"]["lng"], moved["location"]["lng"]);
    assert_eq!(
        owned
            .patch(&json!({ "location_address": "Atlantis" }))
            .fields(),
        ["location_address"]
    );
    assert_eq!(owned.read(), moved);
    // What is refused anyway is not asked for.
    asked();
    owned
        .patch(&json!({ "location_address": "Bern", "version": 1 }))
        .expect(409);
    owned
        .patch(&json!({ "location_address": "Bern", "title": "" }))
        .expect(400);
    assert_eq!(asked(), 0);
}

#[test]
fn pictures_are_added_removed_and_put_in_order() {
    let owned = Owned::with(3);
    let [a, b, c] = owned.pictures()[..] else {
        panic!("three")
    };
    owned
        .patch(&json!({ "image_order": [c, a, b] }))
        .expect(200);
    assert_eq!(owned.pictures(), [c, a, b]);
    let form = Form::default()
        .text("remove_images", &a.to_string())
        .file("image_1", &picture(8));
    owned.patch_form(&form).expect(200);
    let pictures = owned.pictures();
    let new = pictures[2];
    assert_eq!(pictures, [c, b, new]);
    assert_eq!(owned.service.agrees(), 6);
    let form = Form::default()
        .text("remove_images", &format!("[{b}]"))
        .text("image_order", &format!("image_5,{new}"))
        .text("image_order", &format!("[{c}, \"image_1\"]"))
        .file("image_1", &picture(9))
        .file("image_5", &picture(10));
    let after = owned.patch_form(&form).expect(200);
    let orders: Vec<_> = after["images"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["order"])
        .collect();
    assert_eq!(orders, [0, 1, 2, 3]);
    let now = owned.pictures();
    assert_eq!((now.len(), now[1], now[2]), (4, new, c));
    assert_eq!(owned.service.agrees(), 8);
    // All of them for one new picture.
    let all: Vec<String> = now.iter().map(ToString::to_string).collect();
    let form = Form::default()
        .text("remove_images", &all.join(","))
        .file("image_1", &picture(11));
    owned.patch_form(&form).expect(200);
    assert_eq!(owned.service.agrees(), 2);
}

#[test]
fn a_change_that_cannot_be_committed_leaves_files_and_rows_as_they_were() {
    let owned = Owned::with(2);
    let before = owned.read();
    let first = owned.pictures()[0];
    let form = Form::default()
        .text("title", "New")
        .text("remove_images", &first.to_string())
        .file("image_1", &picture(8));
    refuse_commits(&owned.service, "UPDATE");
    assert_eq!(owned.patch_form(&form).status, 500);
    assert_eq!(owned.read(), before);
    assert_eq!(owned.service.agrees(), 4);
}

#[test]
fn the_second_of_two_writers_gets_the_current_flyer() {
    let owned = Owned::with(1);
    owned
        .patch(&json!({ "title": "First", "version": 1 }))
        .expect(200);
    let refused = owned.patch(&json!({ "title": "Second", "version": 1 }));
    let conflict = refused.expect(409);
    assert_eq!(refused.headers["content-type"], "application/problem+json");
    assert_eq!(conflict["error"], "conflict");
    assert_eq!(conflict["current"], owned.read());
    assert_eq!(conflict["current"]["title"], "First");
    let form = Form::default()
        .text("version", "2")
        .file("image_1", &picture(5));
    owned.patch_form(&form).expect(200);
    // Without a version the last one wins.
    owned.patch(&json!({ "title": "Last" })).expect(200);

    let with = |condition: &str| {
        let headers = [
            ("authorization", format!("Bearer {}", owned.token)),
            ("content-type", "application/json".to_owned()),
            ("if-match", condition.to_owned()),
        ];
        let path = path_of(owned.id);
        owned
            .service
            .send_with("PATCH", &path, &headers, b"{\"title\": \"Match\"}")
            .status
    };
    assert_eq!([with("\"3\""), with("\"4\""), with("*")], [409, 200, 200]);
    assert_eq!([with("x"), with("W/\"5\"")], [400, 400]);
}

#[test]
fn of_many_writers_with_one_version_exactly_one_wins() {
    let owned = Owned::with(1);
    for version in 1..6 {
        let statuses: Vec<u16> = std::thread::scope(|scope| {
            let write = || {
                let form = Form::default()
                    .text("version", &format!("{version}"))
                    .text("remove_images", &owned.pictures()[0].to_string())
                    .file("image_1", &picture(version));
                owned.patch_form(&form).status
            };
            let all: Vec<_> = (0..4).map(|_| scope.spawn(write)).collect();
            all.into_iter().map(|one| one.join().unwrap()).collect()
        });
        let won = statuses.iter().filter(|status| **status == 200).count();
        let lost = statuses
            .iter()
            .filter(|status| [409, 400].contains(*status))
            .count();
        assert_eq!((won, lost), (1, 3), "{statuses:?}");
        assert_eq!(owned.service.agrees(), 2);
    }
}

#[test]
fn a_later_date_alone_does_not_bring_an_expired_flyer_back() {
    let owned = Owned::with(1);
    owned.expire();
    let later = Utc::now() + TimeDelta::days(3);
    let extended = owned
        .patch(&json!({ "expiration_date": later }))
        .expect(200);
    assert_eq!(extended["status"], "expired");
    assert_eq!(extended["editable"]["is_active"], false);
    let feed = || ids(&owned.service.get(FEED).expect(200));
    assert!(feed().is_empty());
    assert!(
        ids(&owned
            .service
            .get(&format!("{FEED}?categories=events"))
            .expect(200))
        .is_empty()
    );
    let back = owned.patch(&json!({ "is_active": true })).expect(200);
    assert_eq!(back["status"], "active");
    assert_eq!(feed(), [owned.id]);
    assert_eq!(
        ids(&owned
            .service
            .get(&format!("{FEED}?categories=events"))
            .expect(200)),
        [owned.id]
    );
}

#[test]
fn reactivation_needs_a_date_in_the_future_given_now_or_before() {
    let owned = Owned::with(1);
    owned.expire();
    let refused = owned.patch(&json!({ "is_active": true }));
    assert_eq!(refused.fields(), ["is_active"]);
    assert!(
        refused.json()["detail"]
            .as_str()
            .unwrap()
            .contains("expiration_date")
    );
    // Texts can be changed after the end; the flyer stays over.
    let changed = owned.patch(&json!({ "title": "Over" })).expect(200);
    assert_eq!(
        (&changed["status"], &changed["title"]),
        (&json!("expired"), &json!("Over"))
    );
    let later = Utc::now() + TimeDelta::days(3);
    let both = json!({ "is_active": true, "expiration_date": later });
    assert_eq!(owned.patch(&both).expect(200)["status"], "active");
    let off = owned.patch(&json!({ "is_active": false })).expect(200);
    assert_eq!(off["status"], "expired");
    let even_later = json!({ "expiration_date": later + TimeDelta::days(1) });
    assert_eq!(owned.patch(&even_later).expect(200)["status"], "expired");
    assert_eq!(
        owned.patch(&json!({ "is_active": true })).expect(200)["status"],
        "active"
    );
}

#[test]
fn dates_of_a_change_may_stay_in_the_past_but_not_go_there() {
    let owned = Owned::with(1);
    let (past, future) = Running::around_now();
    owned.service.set_dates(owned.id, past, future);
    let shown = owned.read()["editable"].clone();
    let same = json!({ "publication_date": shown["publication_date"] });
    owned.patch(&same).expect(200);
    let earlier = json!({ "publication_date": past - TimeDelta::hours(1) });
    assert_eq!(owned.patch(&earlier).fields(), ["publication_date"]);
    let ended = json!({ "expiration_date": past + TimeDelta::hours(1) });
    assert_eq!(owned.patch(&ended).fields(), ["expiration_date"]);
    let crossed = json!({ "publication_date": future });
    assert_eq!(owned.patch(&crossed).fields(), ["publication_date"]);
    let both =
        json!({ "publication_date": future, "expiration_date": future + TimeDelta::days(1) });
    assert_eq!(owned.patch(&both).expect(200)["status"], "scheduled");
    owned.expire();
    let shown = owned.read()["editable"].clone();
    let same = json!({
        "publication_date": shown["publication_date"], "expiration_date": shown["expiration_date"],
    });
    owned.patch(&same).expect(200);
}

#[test]
fn a_change_runs_the_same_statements_for_any_number_of_pictures() {
    let texts = |pictures: u32| -> Vec<String> {
        let owned = Owned::with(pictures);
        let mut order = owned.pictures();
        order.reverse();
        let answer = owned.patch(&json!({ "title": "x", "image_order": order }));
        answer.expect(200);
        answer.statements()
    };
    let one = texts(1);
    assert_eq!(one, texts(5));
    // Read; lock, flyer, pictures, order; the answer: flyer, pictures, categories.
    assert_eq!(one.len(), 8, "{one:#?}");
}

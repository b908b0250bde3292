//! Deleting flyers.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use flyers::geocoder::Gazetteer;
use serde_json::json;
use service_kit::database::{Dialect, query};

use crate::{
    create::{fields, form},
    forms::Form,
    running::{Running, ids},
};

/// A flyer with so many pictures.
pub(crate) fn flyer_with(service: &Running, token: &str, pictures: u32) -> i64 {
    let made = service.send_form("POST", "/api/v1/flyers/", token, &form(pictures));
    made.expect(201)["id"].as_i64().unwrap()
}

pub(crate) fn path_of(id: i64) -> String {
    format!("/api/v1/flyers/{id}/")
}

/// From now on a transaction that did this to a flyer fails when it commits, no sooner.
pub(crate) fn refuse_commits(service: &Running, event: &str) {
    if crate::DIALECT == Dialect::Postgres {
        service.execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN RAISE EXCEPTION 'refused at the end'; END $$",
        );
        service.execute(format!(
            "CREATE CONSTRAINT TRIGGER refuse AFTER {event} ON flyers
             DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse()"
        ));
    } else {
        service.execute(
            "CREATE TABLE refused (id INTEGER REFERENCES users (id) DEFERRABLE INITIALLY DEFERRED)",
        );
        service.execute(format!(
            "CREATE TRIGGER refuse AFTER {event} ON flyers
             BEGIN INSERT INTO refused VALUES (-1); END"
        ));
    }
}

/// Everybody likes it, for as many users as there are to be.
fn favorites_of_others(service: &Running, id: i64, users: i64) {
    let now = service_kit::clock::now();
    let row = |n: i64| {
        vec![
            (1000 + n).into(),
            format!("fan{n}@example.org").into(),
            format!("fan{n}").into(),
            "-".into(),
            now.into(),
            now.into(),
        ]
    };
    let into = "INSERT INTO users (id, email, username, password_hash, created_at, updated_at)";
    service.run(service_kit::database::insert_rows(
        into,
        (0..users).map(row).collect(),
    ));
    let row = |n: i64| vec![(1000 + n).into(), id.into(), now.into()];
    let into = "INSERT INTO favorites (user_id, flyer_id, created_at)";
    service.run(service_kit::database::insert_rows(
        into,
        (0..users).map(row).collect(),
    ));
}

#[test]
fn a_deleted_flyer_is_gone_from_everywhere_with_its_files() {
    let service = Running::empty();
    let (token, user) = service.register("a@example.org");
    let keep = flyer_with(&service, &token, 1);
    let gone = flyer_with(&service, &token, 3);
    favorites_of_others(&service, gone, 20);
    favorites_of_others_of(&service, keep);
    let follow = "INSERT INTO follows (follower_id, followed_id, created_at) VALUES ($1, $2, $3)";
    let now = service_kit::clock::now();
    service.run(query(follow).bind(1000_i64).bind(user).bind(now));

    let answer = service.delete_as(&token, &path_of(gone));
    assert_eq!((answer.status, answer.text.as_str()), (204, ""));
    for (table, rows) in [
        ("flyers", 1),
        ("flyer_images", 1),
        ("flyer_categories", 1),
        ("favorites", 1),
        ("follows", 1),
    ] {
        assert_eq!(service.count(table), rows, "{table}");
    }
    assert_eq!(service.agrees(), 2);
    for token in [Some(&token), None] {
        let status = match token {
            Some(token) => service.get_as(token, &path_of(gone)).status,
            None => service.get(&path_of(gone)).status,
        };
        assert_eq!(status, 404);
    }
    for list in ["/api/v1/flyers/feed/?", "/api/v1/flyers/feed/?search=jazz"] {
        assert_eq!(ids(&service.get(list).expect(200)), [keep]);
    }
    let own = service
        .get_as(&token, "/api/v1/users/me/flyers/")
        .expect(200);
    assert_eq!(ids(&own), [keep]);
    assert_eq!(
        service.delete_as(&token, &path_of(gone)).expect(404)["error"],
        "not_found"
    );
}

/// One favorite that must stay.
fn favorites_of_others_of(service: &Running, id: i64) {
    let sql = "INSERT INTO favorites (user_id, flyer_id, created_at) VALUES ($1, $2, $3)";
    let now = service_kit::clock::now();
    service.run(query(sql).bind(1001_i64).bind(id).bind(now));
}

#[test]
fn the_id_of_a_deleted_flyer_is_never_given_away_again() {
    let service = Running::empty();
    let (token, _) = service.register("a@example.org");
    let gone = flyer_with(&service, &token, 1);
    assert_eq!(service.delete_as(&token, &path_of(gone)).status, 204);
    assert_ne!(flyer_with(&service, &token, 1), gone);
    assert_eq!(service.get(&path_of(gone)).status, 404);
}

#[test]
fn only_the_owner_deletes() {
    let service = Running::empty();
    let (token, _) = service.register("a@example.org");
    let (other, _) = service.register("b@example.org");
    let id = flyer_with(&service, &token, 1);
    let anonymous = service.send_as("DELETE", &path_of(id), None, "text/plain", b"");
    assert_eq!(anonymous.status, 401);
    assert_eq!(
        service.delete_as(&other, &path_of(id)).expect(403)["error"],
        "forbidden"
    );
    for nothing in [
        "/api/v1/flyers/4711/",
        "/api/v1/flyers/x/",
        "/api/v1/flyers/-1/",
    ] {
        assert_eq!(service.delete_as(&other, nothing).status, 404);
    }
    assert_eq!(service.agrees(), 2);
    // An expired one too, and by any spelling of the path.
    let (past, _) = Running::around_now();
    service.set_dates(id, past - chrono::TimeDelta::days(1), past);
    assert_eq!(
        service
            .delete_as(&token, &format!("/api/flyers/{id}"))
            .status,
        204
    );
    assert_eq!(service.agrees(), 0);
}

#[test]
fn of_many_who_delete_at_once_exactly_one_did() {
    let service = Running::empty();
    let (token, _) = service.register("a@example.org");
    for _ in 0..10 {
        let id = flyer_with(&service, &token, 2);
        let mut statuses: Vec<u16> = std::thread::scope(|scope| {
            let delete = || service.delete_as(&token, &path_of(id)).status;
            let all: Vec<_> = (0..6).map(|_| scope.spawn(delete)).collect();
            all.into_iter().map(|one| one.join().unwrap()).collect()
        });
        statuses.sort_unstable();
        assert_eq!(statuses, [204, 404, 404, 404, 404, 404]);
    }
    assert_eq!(service.agrees(), 0);
}

#[test]
fn a_delete_and_an_edit_at_once_leave_rows_and_files_that_agree() {
    let service = Running::empty();
    let (token, _) = service.register("a@example.org");
    for round in 0..10 {
        let id = flyer_with(&service, &token, 2);
        let change = match round % 2 {
            0 => Form::of(&json!({ "title": "Blues" })).file("image_1", &crate::forms::picture(7)),
            _ => change_of_pictures(&service, &token, id),
        };
        let (edited, deleted) = std::thread::scope(|scope| {
            let edit = scope.spawn(|| service.send_form("PATCH", &path_of(id), &token, &change));
            let delete = scope.spawn(|| service.delete_as(&token, &path_of(id)));
            (edit.join().unwrap(), delete.join().unwrap())
        });
        assert_eq!(deleted.status, 204);
        assert!([200, 404].contains(&edited.status), "{}", edited.text);
        assert_eq!(service.count("flyers"), 0);
        assert_eq!(service.agrees(), 0);
    }
}

/// Throws a picture away and adds another.
fn change_of_pictures(service: &Running, token: &str, id: i64) -> Form {
    let flyer = service.get_as(token, &path_of(id)).expect(200);
    let first = flyer["images"][0]["id"].to_string();
    Form::default()
        .text("remove_images", &first)
        .file("image_3", &crate::forms::picture(8))
}

#[test]
fn a_commit_that_fails_brings_the_files_back() {
    let service = Running::empty();
    let (token, _) = service.register("a@example.org");
    let id = flyer_with(&service, &token, 3);
    refuse_commits(&service, "DELETE");
    let answer = service.delete_as(&token, &path_of(id));
    assert_eq!(answer.expect(500)["error"], "internal");
    assert!(!answer.text.contains("refused"));
    assert_eq!(service.agrees(), 6);
    service.get(&path_of(id)).expect(200);
}

#[test]
fn files_that_cannot_be_moved_keep_the_flyer() {
    let service = Running::empty();
    let (token, _) = service.register("a@example.org");
    let id = flyer_with(&service, &token, 2);
    // A file where the folder of the trash would be: nothing can be moved there.
    let trash = service.media().join("trash");
    let _ = std::fs::remove_dir_all(&trash);
    std::fs::write(&trash, "in the way").unwrap();
    assert_eq!(
        service.delete_as(&token, &path_of(id)).expect(503)["error"],
        "unavailable"
    );
    std::fs::remove_file(&trash).unwrap();
    assert_eq!(service.agrees(), 4);
    assert_eq!(service.delete_as(&token, &path_of(id)).status, 204);
    assert_eq!(service.agrees(), 0);
}

#[test]
fn pictures_that_rows_share_stay() {
    let service = Running::empty();
    let (token, _) = service.register("a@example.org");
    let id = flyer_with(&service, &token, 1);
    std::fs::create_dir_all(service.media().join("samples")).unwrap();
    let shared = service.media().join("samples/flyer-01.jpg");
    std::fs::write(&shared, "shared").unwrap();
    let sql = "INSERT INTO flyer_images (flyer_id, path, position, created_at) VALUES ($1, 'samples/flyer-01.jpg', 1, $2)";
    service.run(query(sql).bind(id).bind(service_kit::clock::now()));
    assert_eq!(service.delete_as(&token, &path_of(id)).status, 204);
    assert!(shared.exists());
}

/// As many rows of pixels as 2 MB take.
fn photo_of_2_mb(number: u32) -> Vec<u8> {
    let of_rows = |rows: u16| flyers::seed::photo(2000, rows, number, 97).unwrap();
    let rows = 64 * 2_000_000 / of_rows(64).len();
    let photo = of_rows(u16::try_from(rows).unwrap());
    assert!(
        (1_700_000..2_300_000).contains(&photo.len()),
        "{} bytes",
        photo.len()
    );
    photo
}

#[test]
fn seed_000_deletion_with_five_2mb_images_and_1000_favorites_takes_less_than_a_second() {
    // Five photographs take a debug build a while.
    let service = Running::start(&[("REQUEST_TIMEOUT_S", "300")], Arc::new(Gazetteer));
    let (token, _) = service.register("a@example.org");
    let form = (1..=5).fold(Form::of(&fields()), |form, number| {
        let photo = photo_of_2_mb(number);
        form.file(&format!("image_{number}"), &photo)
    });
    let made = service
        .send_form("POST", "/api/v1/flyers/", &token, &form)
        .expect(201);
    let id = made["id"].as_i64().unwrap();
    favorites_of_others(&service, id, 1000);
    assert_eq!(service.agrees(), 10);
    let started = Instant::now();
    let answer = service.delete_as(&token, &path_of(id));
    let took = started.elapsed();
    assert_eq!(answer.status, 204);
    assert_eq!((service.agrees(), service.count("favorites")), (0, 0));
    assert!(took < Duration::from_millis(1000), "{took:?}");
    // Lock, paths, delete: whatever hangs on the flyer.
    let statements = answer.statements();
    assert_eq!(statements.len(), 3, "{statements:#?}");
}

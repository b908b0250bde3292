//! What users change about themselves: profile, picture, privacy.

use std::{
    collections::BTreeSet,
    io::Write as _,
    net::TcpStream,
    path::Path,
    time::{Duration, Instant},
};

use flyers::seed::photo;
use serde_json::{Value, json};
use service_kit::database::{Text, query};

use crate::{
    agreement::size_of,
    forms::{Form, picture},
    running::{Answer, Running},
};

const PROFILE: &str = "/api/v1/users/me/profile/";
const PICTURE: &str = "/api/v1/users/me/profile/picture/";
const PRIVACY: &str = "/api/v1/users/me/privacy-settings/";

fn patch(service: &Running, token: &str, body: &Value) -> Answer {
    service.send_json("PATCH", PROFILE, token, body)
}

fn upload(service: &Running, token: &str, bytes: &[u8]) -> Answer {
    let form = Form::default().file("image", bytes);
    service.send_form("POST", PICTURE, token, &form)
}

/// The files of profile pictures, and whatever waits in the trash.
fn files(service: &Running) -> BTreeSet<String> {
    fn walk(at: &Path, root: &Path, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(at).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, root, found);
            } else {
                let path = path.strip_prefix(root).unwrap();
                found.insert(path.to_str().unwrap().to_owned());
            }
        }
    }
    let mut found = BTreeSet::new();
    for folder in ["profiles", "trash"] {
        walk(&service.media().join(folder), &service.media(), &mut found);
    }
    found
}

/// The files that the rows need.
fn needed(service: &Running) -> BTreeSet<String> {
    let rows: Vec<(Option<String>,)> = service.rows(query("SELECT profile_picture FROM profiles"));
    let paths = rows.into_iter().filter_map(|(path,)| path);
    paths
        .flat_map(|path| {
            let name = path.strip_suffix(".jpg").unwrap();
            [path.clone(), format!("{name}_128.jpg")]
        })
        .collect()
}

fn size_at(service: &Running, url: &Value) -> (usize, usize) {
    let mut answer = service.agent().get(url.as_str().unwrap()).call().unwrap();
    assert_eq!(answer.status(), 200, "{url}");
    assert_eq!(answer.headers()["content-type"], "image/jpeg");
    size_of(&answer.body_mut().read_to_vec().unwrap()).unwrap()
}

#[test]
fn what_is_left_out_of_a_change_stays() {
    let service = Running::empty();
    let (token, id) = service.register("a@example.org");
    service.register("b@example.org");
    let changed = patch(
        &service,
        &token,
        &json!({ "name": " Ann ", "bio": "Hi\nthere" }),
    );
    let changed = changed.expect(200);
    assert_eq!(
        (&changed["name"], &changed["bio"]),
        (&json!("Ann"), &json!("Hi\nthere"))
    );
    let changed = patch(&service, &token, &json!({ "name": "Ännchen 🎷" })).expect(200);
    assert_eq!(changed["bio"], "Hi\nthere");
    let changed = patch(&service, &token, &json!({ "bio": null })).expect(200);
    assert_eq!(
        (&changed["name"], &changed["bio"]),
        (&json!("Ännchen 🎷"), &json!(null))
    );
    assert_eq!(patch(&service, &token, &json!({})).expect(200), changed);
    assert_eq!(service.get_as(&token, PROFILE).expect(200), changed);
    let seen = service.get(&format!("/api/v1/users/{id}/profile/"));
    assert_eq!(seen.expect(200)["name"], "Ännchen 🎷");
    let others: Vec<(String,)> = service.rows(query("SELECT name FROM profiles ORDER BY id"));
    assert_eq!(others[1].0, "b", "others keep theirs");
}

#[test]
fn a_change_is_dated() {
    let service = Running::empty();
    let (token, _) = service.register("a@example.org");
    let later = "SELECT count(*) FROM profiles WHERE updated_at > created_at";
    assert_eq!(service.value::<i64>(later), 0);
    patch(&service, &token, &json!({ "bio": "x" })).expect(200);
    assert_eq!(service.value::<i64>(later), 1);
}

#[test]
fn a_change_is_seen_everywhere_at_once() {
    let service = Running::empty();
    let (token, id) = service.register("a@example.org");
    let flyer = service.flyer(&token, "Jazz", "events", "8001 Zürich");
    patch(&service, &token, &json!({ "name": "Ann" })).expect(200);
    let profile = upload(&service, &token, &picture(1)).expect(200);
    let avatar = &profile["profile_picture_url"];
    assert!(avatar.as_str().unwrap().ends_with("_128.jpg"));
    let feed = service.get("/api/v1/flyers/feed/").expect(200);
    let detail = service.get(&format!("/api/v1/flyers/{flyer}/")).expect(200);
    let list = service
        .get(&format!("/api/v1/users/{id}/flyers/"))
        .expect(200);
    for card in [&feed["results"][0], &detail, &list["results"][0]] {
        assert_eq!(card["creator"]["name"], "Ann");
        assert_eq!(card["creator_name"], "Ann");
        assert_eq!(&card["creator"]["profile_picture"], avatar);
        assert_eq!(&card["creator_profile_picture_url"], avatar);
    }
    let user = service.get(&format!("/api/v1/users/{id}/")).expect(200);
    let full = avatar.as_str().unwrap().replace("_128.jpg", ".jpg");
    assert_eq!(user["profile_picture"], full);
}

#[test]
fn what_cannot_be_a_profile_is_named() {
    let service = Running::empty();
    let (token, _) = service.register("a@example.org");
    let before = service.get_as(&token, PROFILE).expect(200);
    for (body, fields) in [
        (json!({ "name": "" }), &["name"][..]),
        (json!({ "name": "  \t" }), &["name"]),
        (json!({ "name": null }), &["name"]),
        (json!({ "name": 7 }), &["name"]),
        (json!({ "name": "x".repeat(51) }), &["name"]),
        (json!({ "name": "<script>alert(1)</script>" }), &["name"]),
        (json!({ "name": "a\u{0}b" }), &["name"]),
        (json!({ "name": "a\u{1b}b" }), &["name"]),
        (json!({ "bio": "x".repeat(501) }), &["bio"]),
        (json!({ "bio": "a\u{0}b" }), &["bio"]),
        (json!({ "bio": ["a"] }), &["bio"]),
        (
            json!({ "name": "", "bio": "x".repeat(501) }),
            &["bio", "name"],
        ),
    ] {
        assert_eq!(patch(&service, &token, &body).fields(), fields, "{body}");
    }
    assert_eq!(service.get_as(&token, PROFILE).expect(200), before);
    let longest = json!({ "name": "ü".repeat(50), "bio": "ü".repeat(500) });
    patch(&service, &token, &longest).expect(200);
}

#[test]
fn a_picture_is_at_most_500_pixels_wide_with_an_avatar_beside_it() {
    let service = Running::empty();
    let (token, id) = service.register("a@example.org");
    let url = |key: &str| {
        let user = service.get(&format!("/api/v1/users/{id}/")).expect(200);
        let profile = service
            .get(&format!("/api/v1/users/{id}/profile/"))
            .expect(200);
        if key == "full" {
            user["profile_picture"].clone()
        } else {
            profile["profile_picture_url"].clone()
        }
    };
    for (sent, full, small) in [
        ((1200, 900), (500, 375), (128, 96)),
        ((600, 1200), (500, 1000), (64, 128)),
        ((64, 48), (64, 48), (64, 48)),
    ] {
        upload(&service, &token, &photo(sent.0, sent.1, 5, 80).unwrap()).expect(200);
        assert_eq!(size_at(&service, &url("full")), full, "{sent:?}");
        assert_eq!(size_at(&service, &url("small")), small, "{sent:?}");
    }
}

#[test]
fn a_new_picture_takes_the_place_of_the_old_one_and_its_files() {
    let service = Running::empty();
    let (token, id) = service.register("a@example.org");
    let (other, _) = service.register("b@example.org");
    upload(&service, &other, &picture(1)).expect(200);
    let first = upload(&service, &token, &picture(1)).expect(200);
    let second = upload(&service, &token, &picture(2)).expect(200);
    let again = upload(&service, &token, &picture(2)).expect(200);
    assert_ne!(first["profile_picture_url"], second["profile_picture_url"]);
    assert_ne!(
        second["profile_picture_url"], again["profile_picture_url"],
        "never the same path"
    );
    assert_eq!(files(&service), needed(&service));
    assert_eq!(files(&service).len(), 4, "two users with two files");
    let gone = first["profile_picture_url"].as_str().unwrap();
    let gone = gone.strip_prefix(&service.origin).unwrap();
    assert_eq!(service.get(gone).status, 404);

    for _ in 0..2 {
        let without = service.delete_as(&token, PICTURE).expect(200);
        let avatar = without["profile_picture_url"].as_str().unwrap();
        assert!(avatar.ends_with("/media/default-avatar.svg"));
    }
    let user = service.get(&format!("/api/v1/users/{id}/")).expect(200);
    assert!(user["profile_picture"].is_null());
    assert_eq!(files(&service), needed(&service));
    assert_eq!(files(&service).len(), 2, "the other user keeps theirs");
}

#[test]
fn what_is_no_picture_is_refused_and_leaves_nothing() {
    let service = Running::empty();
    let (token, _) = service.register("a@example.org");
    let kept = upload(&service, &token, &picture(1)).expect(200);
    let before = files(&service);
    let whole = picture(2);
    let over = vec![0; (5 << 20) + 1];
    for bytes in [
        &b""[..],
        b"GIF89a and so on",
        b"<svg xmlns=\"http://www.w3.org/2000/svg\"><script>alert(1)</script></svg>",
        b"\x7fELF\x02\x01\x01",
        &whole[..whole.len() / 2],
        &over,
    ] {
        assert_eq!(
            upload(&service, &token, bytes).fields(),
            ["image"],
            "{} bytes",
            bytes.len()
        );
    }
    let send = |form: Form| service.send_form("POST", PICTURE, &token, &form);
    assert_eq!(send(Form::default()).fields(), ["image"]);
    assert_eq!(
        send(Form::default().text("image", "a text")).fields(),
        ["image"]
    );
    assert_eq!(
        send(Form::default().file("picture", &whole)).fields(),
        ["picture"]
    );
    let twice = Form::default().file("image", &whole).file("image", &whole);
    assert_eq!(send(twice).fields(), ["image"]);
    assert_eq!(
        send(Form::default().file("image", &vec![0; 6 << 20])).status,
        413
    );
    let json = service.post_as(&token, PICTURE, &json!({ "image": "x" }));
    assert_eq!(json.expect(415)["error"], "unsupported_media_type");
    assert_eq!(files(&service), before);
    assert_eq!(service.get_as(&token, PROFILE).expect(200), kept);
}

#[test]
fn a_database_that_refuses_leaves_the_old_picture() {
    let service = Running::empty();
    let (token, _) = service.register("a@example.org");
    let kept = upload(&service, &token, &picture(1)).expect(200);
    let before = files(&service);
    let refuse = Text {
        sqlite: "CREATE TRIGGER refuse BEFORE UPDATE ON profiles
                 BEGIN SELECT RAISE(ABORT, 'refused'); END",
        postgres: "ALTER TABLE profiles ADD CONSTRAINT refuse CHECK (user_id < 0) NOT VALID",
    };
    service.execute(refuse);
    assert_eq!(upload(&service, &token, &picture(2)).status, 500);
    assert_eq!(service.delete_as(&token, PICTURE).status, 500);
    assert_eq!(files(&service), before);
    assert_eq!(service.get_as(&token, PROFILE).expect(200), kept);
    size_at(&service, &kept["profile_picture_url"]);
}

#[test]
fn of_many_pictures_at_once_exactly_one_stays() {
    let service = Running::empty();
    let (token, _) = service.register("a@example.org");
    for round in 0..5 {
        let answers: Vec<u16> = std::thread::scope(|scope| {
            let tasks: Vec<_> = (0..4)
                .map(|number| {
                    let (service, token) = (&service, &token);
                    scope.spawn(move || {
                        if round == 4 && number == 3 {
                            return service.delete_as(token, PICTURE).status;
                        }
                        upload(service, token, &picture(round * 4 + number)).status
                    })
                })
                .collect();
            tasks.into_iter().map(|task| task.join().unwrap()).collect()
        });
        assert_eq!(answers, [200; 4]);
        assert_eq!(files(&service), needed(&service), "round {round}");
        assert!(files(&service).len() <= 2, "round {round}");
    }
}

#[test]
fn a_client_that_hangs_up_leaves_rows_and_files_that_agree() {
    let service = Running::empty();
    let (token, _) = service.register("a@example.org");
    upload(&service, &token, &picture(1)).expect(200);
    let host = service.origin.strip_prefix("http://").unwrap();
    let body = Form::default()
        .file("image", &photo(900, 600, 2, 80).unwrap())
        .bytes();
    let head = format!(
        "POST {PICTURE} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: {}\r\nContent-Length: {}\r\n\r\n",
        Form::kind(),
        body.len(),
    );
    for wait_ms in [0, 1, 2, 4, 8, 12, 16, 24, 32, 48] {
        let mut stream = TcpStream::connect(host).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(&body).unwrap();
        std::thread::sleep(Duration::from_millis(wait_ms));
    }
    // Work that was begun ends behind the back of its client.
    let begun = Instant::now();
    while files(&service) != needed(&service) {
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "{:?}",
            files(&service)
        );
        std::thread::sleep(Duration::from_millis(50));
    }
    upload(&service, &token, &picture(3)).expect(200);
    assert_eq!(files(&service), needed(&service));
    assert_eq!(files(&service).len(), 2);
}

#[test]
fn users_say_who_may_write_to_them() {
    let service = Running::empty();
    let (token, _) = service.register("a@example.org");
    let (other, _) = service.register("b@example.org");
    let allowed = |token: &str| service.get_as(token, PRIVACY).expect(200);
    assert_eq!(allowed(&token), json!({ "allow_email_contact": true }));
    let change = |body: Value| service.send_json("PATCH", PRIVACY, &token, &body);
    for value in [false, false, true, false] {
        let body = json!({ "allow_email_contact": value });
        assert_eq!(change(body.clone()).expect(200), body);
        assert_eq!(allowed(&token), body);
        assert_eq!(allowed(&other), json!({ "allow_email_contact": true }));
    }
    for body in [
        json!({}),
        json!({ "allow_email_contact": null }),
        json!({ "allow_email_contact": "false" }),
        json!({ "allow_email_contact": 0 }),
        json!({ "allow_email_contact": [] }),
        json!({ "email_permission": true }),
    ] {
        assert_eq!(
            change(body.clone()).fields(),
            ["allow_email_contact"],
            "{body}"
        );
    }
    assert_eq!(allowed(&token), json!({ "allow_email_contact": false }));
}

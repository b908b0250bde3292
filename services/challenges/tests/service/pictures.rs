//! Photos and avatars.

use serde_json::json;

use crate::running::{Answer, Running, text, wrong};

const PICTURE: &[u8] = include_bytes!("../picture.png");

fn upload(service: &Running, number: u8, kind: &str, field: &str, bytes: &[u8]) -> Answer {
    let mut body = format!(
        "--edge\r\nContent-Disposition: form-data; name=\"{field}\"; filename=\"../../x.exe\"\r\nContent-Type: video/mp4\r\n\r\n"
    )
    .into_bytes();
    body.extend_from_slice(bytes);
    body.extend_from_slice(b"\r\n--edge--\r\n");
    let path = format!("/api/v1/media/upload/?type={kind}");
    let form = "multipart/form-data; boundary=edge";
    service.send_as("POST", &path, Some(&service.token(number)), form, &body)
}

fn code(answer: &Answer, status: u16) -> String {
    text(&answer.expect(status)["detail"]["error"]).to_owned()
}

fn path_of(service: &Running, url: &str) -> String {
    url.strip_prefix(&service.origin).unwrap().to_owned()
}

#[test]
fn a_picture_is_made_stored_shown_and_thrown_away_by_its_owner() {
    let service = Running::new();
    for (kind, bucket, small) in [("photo", "photos", "_300"), ("avatar", "avatars", "_128")] {
        let made = upload(&service, 1, kind, "file", PICTURE).expect(200);
        assert_eq!(
            (&made["success"], &made["type"], &made["bucket"]),
            (&json!(true), &json!(kind), &json!(bucket))
        );
        let url = text(&made["url"]).to_owned();
        assert!(url.ends_with(".jpg") && url.contains(text(&made["filename"])));
        let path = path_of(&service, &url);
        for path in [path.clone(), path.replace(".jpg", &format!("{small}.jpg"))] {
            let head = service.send_as("HEAD", &path, None, "", b"");
            assert_eq!(
                (head.status, &head.headers["content-type"]),
                (200, &"image/jpeg".parse().unwrap())
            );
        }
        let avatar = json!({ "avatar_url": url });
        service.patch_by(1, "/users/me/", &avatar).expect(200);
        let remove = |number: u8| service.delete_by(number, &format!("/media?url={url}"));
        assert_eq!(code(&remove(2), 403), "not_owner");
        assert_eq!(remove(1).expect(200)["success"], true);
        assert_eq!(code(&remove(1), 404), "not_found");
        assert_eq!(service.get(&path).status, 404);
        let profile = service.get_by(1, "/users/me/").expect(200);
        assert_eq!(profile["avatar_url"], json!(null));
    }
}

#[test]
fn what_is_no_picture_is_refused_with_a_code() {
    let service = Running::new();
    assert_eq!(
        code(&upload(&service, 1, "photo", "file", b"GIF89a..."), 400),
        "invalid_file"
    );
    assert_eq!(
        code(&upload(&service, 1, "photo", "file", &PICTURE[..200]), 400),
        "invalid_file"
    );
    let large = vec![0; 6 << 20];
    assert_eq!(
        code(&upload(&service, 1, "avatar", "file", &large), 400),
        "file_too_large"
    );
    assert_eq!(
        wrong(&upload(&service, 1, "video", "file", PICTURE)),
        ["query.type"]
    );
    assert_eq!(
        wrong(&upload(&service, 1, "photo", "other", PICTURE)),
        ["body.other"]
    );
    let larger = vec![0; 12 << 20];
    assert_eq!(upload(&service, 1, "photo", "file", &larger).status, 413);
    assert_eq!(
        code(&service.delete_by(1, "/media/?url=x"), 400),
        "invalid_url"
    );
    assert_eq!(wrong(&service.delete_by(1, "/media/")), ["query.url"]);
    let rows: i64 = service.value("SELECT count(*) FROM media");
    assert_eq!(rows, 0);
}

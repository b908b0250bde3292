use axum::{body::Body, extract::Request, http::StatusCode};
use futures_util::stream;
use proptest::prelude::*;

use super::{Form, FormShape, is_form};
use crate::problem::Problem;

const SHAPE: FormShape = FormShape {
    texts: &["title", "note"],
    lists: &["tag"],
    files: &["image_1", "image_2"],
    text_bytes: 100,
    file_bytes: 2 << 20,
};

const KIND: &str = "multipart/form-data; boundary=XX";

fn part(head: &str, content: &[u8]) -> Vec<u8> {
    let head = format!("--XX\r\nContent-Disposition: form-data; {head}\r\n\r\n");
    [head.as_bytes(), content, b"\r\n"].concat()
}

fn form(parts: &[Vec<u8>]) -> Vec<u8> {
    [parts.concat().as_slice(), b"--XX--\r\n"].concat()
}

async fn read(kind: &str, body: impl Into<Body>) -> Result<Form, Problem> {
    let request = Request::builder().header("content-type", kind);
    SHAPE.read(request.body(body.into()).unwrap()).await
}

async fn fields(parts: &[Vec<u8>]) -> Vec<(String, String)> {
    let problem = read(KIND, form(parts)).await.unwrap_err();
    assert_eq!(problem.status(), StatusCode::BAD_REQUEST, "{problem:?}");
    let fields = problem.fields().iter();
    fields
        .map(|(name, text)| (name.clone(), text.clone()))
        .collect()
}

#[tokio::test]
async fn texts_lists_and_files_are_told_apart() {
    let picture = [0_u8, 255, b'\r', b'\n', b'-'].repeat(1000);
    let body = form(&[
        part("name=\"image_2\"; filename=\"b\"", b"two"),
        part("name=\"tag\"", b"events"),
        part("name=\"title\"", "Jazz am See ä".as_bytes()),
        part("name=\"tag\"", b"retail"),
        part("name=\"image_1\"; filename=\"a.jpg\"", &picture),
    ]);
    let mut form = read(KIND, body).await.unwrap();
    assert_eq!(form.text("title").as_deref(), Some("Jazz am See ä"));
    assert_eq!((form.text("title"), form.text("note")), (None, None));
    assert_eq!(form.list("tag"), Some(vec!["events", "retail"]));
    let files = form.into_files();
    assert_eq!((files[0].0, &files[0].1[..]), ("image_1", &picture[..]));
    assert_eq!((files[1].0, &files[1].1[..]), ("image_2", &b"two"[..]));
}

#[tokio::test]
async fn an_empty_choice_of_a_browser_is_no_file() {
    let body = form(&[part("name=\"image_1\"; filename=\"\"", b"")]);
    assert!(read(KIND, body).await.unwrap().into_files().is_empty());
    let body = form(&[part("name=\"image_1\"; filename=\"a.jpg\"", b"")]);
    assert_eq!(read(KIND, body).await.unwrap().into_files().len(), 1);
}

#[tokio::test]
async fn every_fault_is_named_at_once() {
    let found = fields(&[
        part("name=\"titel\"", b"x"),
        part("name=\"title\"", &[b'x'; 101]),
        part("name=\"note\"", b"\xff"),
        part("name=\"tag\"; filename=\"a\"", b"x"),
        part("name=\"image_1\"; filename=\"a\"", &vec![1; (2 << 20) + 1]),
        part("name=\"image_2\"; filename=\"a\"", b"x"),
        part("name=\"image_2\"; filename=\"a\"", b"x"),
    ])
    .await;
    let found: Vec<_> = found
        .iter()
        .map(|(n, m)| (n.as_str(), m.as_str()))
        .collect();
    assert_eq!(
        found,
        [
            ("image_1", "has more than 2 MB"),
            ("image_2", "is given twice"),
            ("note", "must be a text in UTF-8"),
            ("tag", "must be a text, not a file"),
            ("titel", "is not a field of this form"),
            ("title", "has more than 100 bytes"),
        ]
    );
    let many: Vec<_> = (0..1000)
        .map(|n| part(&format!("name=\"x{n}\""), b""))
        .collect();
    assert_eq!(fields(&many).await.len(), super::MOST_FAULTS);
    let tags: Vec<_> = (0..65).map(|_| part("name=\"tag\"", b"x")).collect();
    assert_eq!(fields(&tags).await[0].1, "is given too often");
}

#[tokio::test]
async fn a_body_that_is_too_long_is_413_announced_or_not() {
    let long = form(&[part("name=\"image_1\"; filename=\"a\"", &vec![1; 5 << 20])]);
    let chunks: Vec<_> = long
        .chunks(8192)
        .map(|chunk| Ok::<_, std::io::Error>(chunk.to_vec()))
        .collect();
    let unannounced = read(KIND, Body::from_stream(stream::iter(chunks))).await;
    assert_eq!(
        unannounced.unwrap_err().status(),
        StatusCode::PAYLOAD_TOO_LARGE
    );
    let request = Request::builder()
        .header("content-type", KIND)
        .header("content-length", "99999999");
    // Nothing of it is read.
    let never = Body::from_stream(stream::pending::<Result<Vec<u8>, std::io::Error>>());
    let announced = SHAPE.read(request.body(never).unwrap()).await;
    assert_eq!(
        announced.unwrap_err().status(),
        StatusCode::PAYLOAD_TOO_LARGE
    );
}

#[tokio::test]
async fn what_is_no_form_is_said_to_be_none() {
    let status = async |kind: &str, body: &str| {
        let problem = read(kind, body.to_owned()).await.unwrap_err();
        (problem.status().as_u16(), format!("{problem:?}"))
    };
    assert_eq!(status("application/json", "{}").await.0, 415);
    for (kind, body, says) in [
        ("multipart/form-data", "", "boundary"),
        (KIND, "", "too early"),
        (
            KIND,
            "--XX\r\nContent-Disposition: form-data; name=\"title\"",
            "too early",
        ),
        (
            KIND,
            "--XX\r\nContent-Disposition: form-data; name=\"title\"\r\n\r\nJazz",
            "ends inside",
        ),
        (
            KIND,
            "--XX\r\nContent-Disposition: form-data\r\n\r\nJazz\r\n--XX--",
            "no name",
        ),
    ] {
        let (code, text) = status(kind, body).await;
        assert!(code == 400 && text.contains(says), "{body}: {code} {text}");
    }
}

proptest! {
    #[test]
    fn any_bytes_end_in_a_form_or_a_problem(body in prop::collection::vec(any::<u8>(), 0..400), cut in 0..400_usize) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut whole = form(&[part("name=\"title\"", &body), part("name=\"image_1\"; filename=\"a\"", &body)]);
        whole.truncate(whole.len().saturating_sub(cut));
        for body in [body, whole] {
            if let Err(problem) = runtime.block_on(read(KIND, body)) {
                prop_assert!(problem.status().is_client_error());
            }
        }
    }

    #[test]
    fn other_content_types_are_not_forms(kind in "[a-z/;= -]{0,30}") {
        let mut headers = axum::http::HeaderMap::new();
        headers.insert("content-type", kind.parse().unwrap());
        prop_assert_eq!(is_form(&headers), kind.split(';').next().unwrap().trim() == "multipart/form-data");
    }
}

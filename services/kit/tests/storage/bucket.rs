//! The same against a bucket: a stand-in that speaks as much of S3 as the storage needs.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    convert::Infallible,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::Bytes,
    extract::{Query, State},
    http::{HeaderMap, Method, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use service_kit::storage::{Storage, StorageUrl};

use crate::media::files_live_and_die;

type Objects = Arc<Mutex<BTreeMap<String, Bytes>>>;

const DATE: (&str, &str) = ("last-modified", "Fri, 20 Nov 2026 10:00:00 GMT");

async fn s3(
    State(objects): State<Objects>,
    method: Method,
    uri: Uri,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    assert!(headers.contains_key("authorization"), "requests are signed");
    let mut objects = objects.lock().unwrap();
    let key = uri
        .path()
        .strip_prefix("/pictures")
        .unwrap()
        .trim_start_matches('/')
        .to_owned();
    let tag = |bytes: &Bytes| format!("\"{}-{}\"", bytes.len(), bytes.first().unwrap_or(&0));
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    match method {
        Method::GET if query.contains_key("list-type") => list(&objects, &query).into_response(),
        Method::GET | Method::HEAD => match objects.get(&key) {
            Some(bytes) => (
                [("etag", tag(bytes)), (DATE.0, DATE.1.into())],
                bytes.clone(),
            )
                .into_response(),
            None => StatusCode::NOT_FOUND.into_response(),
        },
        Method::PUT if text("x-amz-copy-source").is_some() => {
            let source = text("x-amz-copy-source").unwrap().trim_start_matches('/');
            let source = source.strip_prefix("pictures/").unwrap();
            match objects.get(source).cloned() {
                Some(bytes) => {
                    objects.insert(key, bytes);
                    "<CopyObjectResult><ETag>x</ETag></CopyObjectResult>".into_response()
                }
                None => StatusCode::NOT_FOUND.into_response(),
            }
        }
        Method::PUT if text("if-none-match") == Some("*") && objects.contains_key(&key) => {
            StatusCode::PRECONDITION_FAILED.into_response()
        }
        Method::PUT => {
            let tag = tag(&body);
            objects.insert(key, body);
            [("etag", tag)].into_response()
        }
        Method::DELETE => {
            objects.remove(&key);
            StatusCode::NO_CONTENT.into_response()
        }
        _ => StatusCode::METHOD_NOT_ALLOWED.into_response(),
    }
}

fn list(objects: &BTreeMap<String, Bytes>, query: &HashMap<String, String>) -> String {
    let prefix = query.get("prefix").cloned().unwrap_or_default();
    let found = objects.iter().filter(|(key, _)| key.starts_with(&prefix));
    let contents: String = found
        .map(|(key, bytes)| {
            format!(
                "<Contents><Key>{key}</Key><Size>{}</Size><ETag>x</ETag>\
                 <LastModified>2026-11-20T10:00:00.000Z</LastModified></Contents>",
                bytes.len()
            )
        })
        .collect();
    format!("<ListBucketResult><IsTruncated>false</IsTruncated>{contents}</ListBucketResult>")
}

async fn bucket() -> (Objects, impl Fn() -> Storage) {
    let objects = Objects::default();
    let app = Router::new().fallback(s3).with_state(Arc::clone(&objects));
    let app = app.layer(axum::extract::DefaultBodyLimit::disable());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    let open = move || open(&endpoint, "s3://pictures/live");
    (objects, open)
}

fn open(endpoint: &str, url: &str) -> Storage {
    let variables = [
        ("AWS_ENDPOINT", endpoint),
        ("AWS_ACCESS_KEY_ID", "name"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_REGION", "eu-central-1"),
    ];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    Storage::open_with(&StorageUrl::parse(url).unwrap(), variables).unwrap()
}

#[tokio::test]
async fn files_of_a_bucket_live_and_die() {
    let (objects, open) = bucket().await;
    files_live_and_die(open()).await;
    let objects = objects.lock().unwrap();
    // The write to taken paths leaves it to the next recovery to look whose they are.
    let (waiting, left): (Vec<_>, Vec<_>) = objects.keys().partition(|key| key.contains("/trash/"));
    assert_eq!(left, ["live/flyers/1/b.jpg"]);
    assert_eq!(waiting.len(), 2, "{waiting:?}");
}

/// Run by hand against another server: `S3_ENDPOINT=http://127.0.0.1:5000 cargo test … -- --ignored`;
/// it needs an empty bucket `pictures`.
#[tokio::test]
#[ignore = "needs an S3 server"]
async fn files_of_a_real_bucket_live_and_die() {
    let endpoint = std::env::var("S3_ENDPOINT").expect("S3_ENDPOINT names the server");
    files_live_and_die(open(&endpoint, "s3://pictures/live")).await;
}

#[tokio::test]
async fn entries_of_a_bucket_wait_until_nobody_can_be_at_work_on_them() {
    let (objects, open) = bucket().await;
    let written = open()
        .write(vec![("a.jpg".into(), "a".into())])
        .await
        .unwrap();
    drop(written);
    let nothing = |_| async { Ok::<_, Infallible>(HashSet::new()) };
    assert_eq!(open().recover(nothing).await.unwrap().waiting, 1);
    // The same entry, twenty minutes old.
    let aged = |age_ms: u64| {
        let mut objects = objects.lock().unwrap();
        let marker = objects
            .keys()
            .find(|key| key.contains("/trash/"))
            .unwrap()
            .clone();
        let bytes = objects.remove(&marker).unwrap();
        let started = marker.split('-').nth(1).unwrap();
        let earlier = started.parse::<u64>().unwrap() - age_ms;
        objects.insert(marker.replace(started, &earlier.to_string()), bytes);
    };
    aged(14 * 60_000);
    assert_eq!(open().recover(nothing).await.unwrap().waiting, 1);
    aged(2 * 60_000);
    assert_eq!(open().recover(nothing).await.unwrap().deleted, 1);
    assert!(objects.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_bucket_that_does_not_answer_is_not_ready_and_the_secret_is_not_shown() {
    let storage = open("http://127.0.0.1:9", "s3://pictures");
    let error = storage.check().await.unwrap_err();
    let text = format!("{error} {error:?} {storage:?}");
    assert!(text.contains("cannot list `trash`"), "{text}");
    assert!(!text.contains("secret"), "{text}");
}

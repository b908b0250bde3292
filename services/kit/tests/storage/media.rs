//! `GET /media/…` as a browser sees it.

use axum::{
    Router,
    body::Body,
    http::{Method, Request, Response, StatusCode},
};
use http_body_util::BodyExt as _;
use service_kit::storage::{Storage, StorageError, StorageUrl, media};
use tower::ServiceExt as _;

pub(crate) async fn ask(
    app: &Router,
    method: Method,
    path: &str,
    tag: Option<&str>,
) -> Response<Body> {
    let mut request = Request::builder().method(method).uri(path);
    if let Some(tag) = tag {
        request = request.header("if-none-match", tag);
    }
    app.clone()
        .oneshot(request.body(Body::empty()).unwrap())
        .await
        .unwrap()
}

/// The life of files, from their writing to their end, over whatever store it is.
pub(crate) async fn files_live_and_die(storage: Storage) {
    let app = media(storage.clone(), "/media");
    // Larger than what is read at once.
    let large = vec![7_u8; 3 << 20];
    let files = vec![
        ("flyers/1/a.jpg".to_owned(), "small".into()),
        ("flyers/1/b.jpg".to_owned(), large.clone().into()),
    ];
    storage.write(files.clone()).await.unwrap().keep().await;
    let taken = storage.write(files).await.unwrap_err();
    assert!(matches!(taken, StorageError::Exists { .. }), "{taken}");

    let answer = ask(&app, Method::GET, "/media/flyers/1/a.jpg", None).await;
    assert_eq!(answer.status(), StatusCode::OK);
    let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(header("content-type"), "image/jpeg");
    assert_eq!(header("content-length"), "5");
    assert_eq!(
        header("cache-control"),
        "public, max-age=31536000, immutable"
    );
    assert_eq!(header("x-content-type-options"), "nosniff");
    assert_eq!(header("timing-allow-origin"), "*");
    let tag = header("etag");
    assert!(
        tag.starts_with('"') && tag.ends_with('"') && tag.len() > 2,
        "{tag}"
    );
    assert_eq!(
        answer.into_body().collect().await.unwrap().to_bytes(),
        "small"
    );

    for known in [
        tag.clone(),
        format!("W/{tag}"),
        format!("\"x\", {tag}"),
        "*".into(),
    ] {
        let answer = ask(&app, Method::GET, "/media/flyers/1/a.jpg", Some(&known)).await;
        assert_eq!(answer.status(), StatusCode::NOT_MODIFIED, "{known}");
        assert_eq!(answer.headers()["etag"], tag);
        assert!(
            answer
                .into_body()
                .collect()
                .await
                .unwrap()
                .to_bytes()
                .is_empty()
        );
    }
    let other = ask(&app, Method::GET, "/media/flyers/1/b.jpg", Some(&tag)).await;
    assert_eq!(other.status(), StatusCode::OK);
    assert_eq!(other.into_body().collect().await.unwrap().to_bytes(), large);

    let head = ask(&app, Method::HEAD, "/media/flyers/1/b.jpg", None).await;
    assert_eq!(head.headers()["content-length"], (3 << 20).to_string());
    assert!(
        head.into_body()
            .collect()
            .await
            .unwrap()
            .to_bytes()
            .is_empty()
    );

    let paths = || {
        vec![
            "flyers/1/a.jpg".to_owned(),
            "flyers/1/missing.jpg".to_owned(),
        ]
    };
    storage
        .discard(paths())
        .await
        .unwrap()
        .restore()
        .await
        .unwrap();
    assert_eq!(
        storage.get("flyers/1/a.jpg").await.unwrap().unwrap().size,
        5
    );
    let discarded = storage.discard(paths()).await.unwrap();
    assert!(storage.get("flyers/1/a.jpg").await.unwrap().is_none());
    discarded.delete().await;
    let undone = vec![("flyers/2/c.jpg".to_owned(), "c".into())];
    storage.write(undone).await.unwrap().undo().await;
    assert!(storage.get("flyers/2/c.jpg").await.unwrap().is_none());
    storage.check().await.unwrap();

    for path in [
        "/media/flyers/1/a.jpg",
        "/media/flyers/1/..%2f1/b.jpg",
        "/media/flyers//1/b.jpg",
        "/media/flyers/1/%2e%2e/b.jpg",
        "/media/trash/flyers/1/b.jpg",
        "/media/.lock",
        "/media/flyers/1",
        "/media/flyers/1/b.png",
    ] {
        let answer = ask(&app, Method::GET, path, None).await;
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{path}");
        assert_eq!(answer.headers()["cache-control"], "no-store", "{path}");
    }
}

#[tokio::test]
async fn files_of_a_folder_live_and_die() {
    let root = tempfile::tempdir().unwrap();
    let storage = Storage::open(&StorageUrl::Folder(root.path().into())).unwrap();
    files_live_and_die(storage).await;
    let left: Vec<_> = std::fs::read_dir(root.path().join("flyers/1"))
        .unwrap()
        .collect();
    assert_eq!(left.len(), 1);
    assert!(!root.path().join("trash").exists() && !root.path().join("flyers/2").exists());
}

#[tokio::test]
async fn nobody_sees_half_a_file_of_a_folder() {
    let root = tempfile::tempdir().unwrap();
    let storage = Storage::open(&StorageUrl::Folder(root.path().into())).unwrap();
    let large = vec![7_u8; 8 << 20];
    let reader = storage.clone();
    let reading = tokio::spawn(async move {
        loop {
            if let Some(stored) = reader.head("a.jpg").await.unwrap() {
                return stored.size;
            }
            tokio::task::yield_now().await;
        }
    });
    let written = storage
        .write(vec![("a.jpg".into(), large.into())])
        .await
        .unwrap();
    assert_eq!(reading.await.unwrap(), 8 << 20);
    written.keep().await;
}

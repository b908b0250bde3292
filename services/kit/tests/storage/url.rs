//! What `OBJECT_STORE_URL` may say.

use std::path::PathBuf;

use service_kit::storage::{Storage, StorageError, StorageUrl};

#[test]
fn folders_and_buckets_are_told_apart() {
    let s3 = |bucket: &str, prefix: &str| StorageUrl::S3 {
        bucket: bucket.into(),
        prefix: prefix.into(),
    };
    let folder = |path: &str| StorageUrl::Folder(PathBuf::from(path));
    for (text, expected) in [
        ("data/files", folder("data/files")),
        ("file:///srv/files", folder("/srv/files")),
        ("s3://pictures", s3("pictures", "")),
        ("s3://pictures/a/b/", s3("pictures", "a/b")),
    ] {
        assert_eq!(StorageUrl::parse(text).unwrap(), expected, "{text}");
    }
}

#[test]
fn every_other_text_is_an_error_that_names_the_variable_and_no_secret() {
    for text in [
        "",
        "s3://",
        "s3:///prefix",
        "s3://a b",
        "s3://b/x//y",
        "s3://b?region=eu",
        "s3://key:hunter2@b/x",
        "gs://b",
        "https://b.s3.amazonaws.com",
        "file://relative",
    ] {
        let message = StorageUrl::parse(text).unwrap_err().to_string();
        assert!(message.starts_with("OBJECT_STORE_URL is `"), "{message}");
        assert!(!message.contains("hunter2"), "{message}");
    }
}

#[tokio::test]
async fn paths_that_browsers_or_stores_could_read_in_two_ways_are_refused() {
    let root = tempfile::tempdir().unwrap();
    let storage = Storage::open(&StorageUrl::Folder(root.path().into())).unwrap();
    for path in [
        "",
        "/a.jpg",
        "a//b.jpg",
        "../a.jpg",
        "a/../b.jpg",
        "a/.b",
        "trash/a.jpg",
        "ä.jpg",
        "a#1",
        "a%2e",
    ] {
        let written = storage.write(vec![(path.into(), "x".into())]).await;
        assert!(matches!(written, Err(StorageError::Path { .. })), "{path}");
        assert!(storage.get(path).await.unwrap().is_none(), "{path}");
    }
    let twice = vec![("a.jpg".into(), "x".into()), ("a.jpg".into(), "y".into())];
    assert!(matches!(
        storage.write(twice).await,
        Err(StorageError::Path { .. })
    ));
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_is_not_ready() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("files");
    let storage = Storage::open(&StorageUrl::Folder(folder.clone())).unwrap();
    storage.check().await.unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    let message = storage.check().await.unwrap_err().to_string();
    assert!(message.contains("OBJECT_STORE_URL"), "{message}");
}

//! Pictures: what uploads are made into, where they are found, and the picture of those who
//! have none.
//!
//! An upload becomes `<folder>/<uuid>/<hash of its content>.jpg` with its smaller version
//! `…_300.jpg` or `…_128.jpg` beside it; a row names the first. Pictures under `samples/` are different: seeded rows
//! share them, and they are never deleted.

use std::collections::HashSet;

use axum::{Router, http::header, response::IntoResponse, routing::get};
use service_kit::{
    database::{Database, Text, query},
    image::{Form, files_of},
    storage::{Storage, media},
};

const DEFAULT_AVATAR: &str = concat!(
    r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 128 128" width="128" height="128">"##,
    r##"<rect width="128" height="128" fill="#d8dee9"/><circle cx="64" cy="50" r="24" fill="#8893a7"/>"##,
    r##"<path d="M16 128a48 44 0 0 1 96 0z" fill="#8893a7"/></svg>"##
);

/// Where pictures are that many rows share.
pub(crate) const SAMPLES: &str = "samples/";

/// What a flyer's picture is made into.
pub(crate) const OF_FLYER: &[Form] = &[
    Form {
        suffix: "",
        max_width: 2048,
        max_height: 2048,
    },
    Form {
        suffix: "_300",
        max_width: 300,
        max_height: 300,
    },
];

/// Rows that name any of these pictures.
pub(crate) const NAMED: Text = Text {
    sqlite: "
SELECT i.path
FROM json_each($1) AS wanted
CROSS JOIN flyer_images AS i
WHERE i.path = wanted.value
UNION ALL
SELECT p.profile_picture
FROM json_each($1) AS wanted
CROSS JOIN profiles AS p
WHERE p.profile_picture = wanted.value",
    postgres: "
SELECT i.path
FROM flyer_images AS i
WHERE i.path = ANY($1)
UNION ALL
SELECT p.profile_picture
FROM profiles AS p
WHERE p.profile_picture = ANY($1)",
};

/// The files that go with a row's path, if they are the row's own.
pub(crate) fn own_files(path: &str, forms: &'static [Form]) -> Vec<String> {
    match path.starts_with(SAMPLES) {
        true => Vec::new(),
        false => files_of(path, forms),
    }
}

/// Which of these files a row names, itself or by the picture that they are a version of: what
/// [`Storage::recover`] asks.
///
/// # Errors
/// The database fails.
pub async fn referenced(
    database: &Database,
    files: Vec<String>,
) -> Result<HashSet<String>, sqlx::Error> {
    let mains: Vec<String> = files.iter().map(|file| main_of(file)).collect();
    let named: Vec<(String,)> = query(NAMED).bind(mains).fetch_all(database.read()).await?;
    let named: HashSet<String> = named.into_iter().map(|(path,)| path).collect();
    let is_named = |file: &String| named.contains(&main_of(file));
    Ok(files.into_iter().filter(is_named).collect())
}

/// The picture that a file is a version of.
fn main_of(file: &str) -> String {
    let name = file.strip_suffix(".jpg").unwrap_or(file);
    let name = ["_300", "_128"]
        .iter()
        .find_map(|suffix| name.strip_suffix(suffix))
        .unwrap_or(name);
    format!("{name}.jpg")
}

/// The paths under `/media/`.
pub(crate) fn routes(storage: Storage) -> Router {
    let headers = [
        (header::CONTENT_TYPE, "image/svg+xml"),
        (header::CACHE_CONTROL, "public, max-age=86400"),
    ];
    let avatar = get(move || async move { (headers, DEFAULT_AVATAR).into_response() });
    media(storage, "/media").route("/media/default-avatar.svg", avatar)
}

/// The URL of a stored picture.
pub(crate) fn url(origin: &str, path: &str) -> String {
    format!("{origin}/media/{path}")
}

/// The URL of a smaller version: `name.jpg` has `name_300.jpg` beside it.
pub(crate) fn sized_url(origin: &str, path: &str, pixels: u32) -> String {
    match path.rsplit_once('.') {
        Some((name, extension)) => format!("{origin}/media/{name}_{pixels}.{extension}"),
        None => url(origin, path),
    }
}

/// The 128 pixel avatar of a user; never the original, never nothing.
pub(crate) fn avatar_url(origin: &str, path: Option<&str>) -> String {
    match path {
        Some(path) => sized_url(origin, path, 128),
        None => format!("{origin}/media/default-avatar.svg"),
    }
}

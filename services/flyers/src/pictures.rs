//! Where pictures are found, and the picture of those who have none.

use axum::{Router, http::header, response::IntoResponse, routing::get};
use service_kit::storage::{Storage, media};

const DEFAULT_AVATAR: &str = concat!(
    r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 128 128" width="128" height="128">"##,
    r##"<rect width="128" height="128" fill="#d8dee9"/><circle cx="64" cy="50" r="24" fill="#8893a7"/>"##,
    r##"<path d="M16 128a48 44 0 0 1 96 0z" fill="#8893a7"/></svg>"##
);

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

//! The picture of a user: putting it there and taking it away.
//!
//! The row of the profile is locked before its old picture is read, so that of two changes at
//! once each finds what the other left: one picture stays, and no file without a row.

use std::time::Duration;

use axum::{
    Json,
    extract::{Request, State as FromState},
};
use bytes::Bytes;
use service_kit::{
    change::{Change, to_the_end},
    clock::now,
    database::{Text, query},
    image::{self, Form, ImageError, MAX_BYTES, Made},
    multipart::FormShape,
    page::Link,
    problem::Problem,
    text,
    token::Caller,
};

use super::{
    gone,
    profile::{Profile, of_caller},
};
use crate::{app::State, pictures};

/// What a profile picture is made into: at most 500 pixels wide (founding paper 002), and the
/// avatar of the cards.
pub(crate) const OF_PROFILE: &[Form] = &[
    Form {
        suffix: "",
        max_width: 500,
        max_height: u32::MAX,
    },
    Form {
        suffix: "_128",
        max_width: 128,
        max_height: 128,
    },
];

const UPLOAD: FormShape = FormShape {
    texts: &[],
    lists: &[],
    files: &["image"],
    text_bytes: 0,
    file_bytes: MAX_BYTES,
};

/// The old picture, with the row locked. A transaction of SQLite has the database to itself
/// already. `$1` user.
const LOCK: Text = text!(
    "
SELECT p.profile_picture
FROM profiles AS p
WHERE p.user_id = $1"
    { "" | "
FOR UPDATE" });

const SET: &str = "
UPDATE profiles
SET profile_picture = $2,
    updated_at = $3
WHERE user_id = $1";

/// How long a client should wait when all threads for pictures have work.
const BUSY_RETRY: Duration = Duration::from_secs(2);

/// A form with a picture.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "describes the form, which is read field by field")]
pub(crate) struct PictureForm {
    /// JPEG, PNG or WebP of at most 5 MB.
    #[schema(value_type = String, format = Binary)]
    image: Vec<u8>,
}

/// Change your picture
///
/// The new one takes the place of the old one, whose files go. It is made upright, at most
/// 500 pixels wide, without metadata.
#[utoipa::path(post, path = "/api/v1/users/me/profile/picture/",
    request_body(content = PictureForm, content_type = "multipart/form-data"),
    security(("bearer" = [])), responses(
    (status = 200, description = "The profile with the new picture", body = Profile),
    (status = 400, description = "There is no picture, or it cannot be used"),
    (status = 401, description = "Sign in first"),
))]
pub(crate) async fn put_picture(
    FromState(state): FromState<State>,
    caller: Caller,
    link: Link,
    request: Request,
) -> Result<Json<Profile>, Problem> {
    let form = UPLOAD.read(request).await?;
    let Some((_, upload)) = form.into_files().pop() else {
        return Err(Problem::invalid("image", "is required"));
    };
    let made = make(&state, upload).await?;
    let worker = state.clone();
    to_the_end(async move { store(&worker, caller, Some(made)).await }).await?;
    of_caller(&state, caller, &link).await
}

/// Take your picture away
///
/// Nothing happens when there is none.
#[utoipa::path(delete, path = "/api/v1/users/me/profile/picture/", security(("bearer" = [])), responses(
    (status = 200, description = "The profile without a picture", body = Profile),
    (status = 401, description = "Sign in first"),
))]
pub(crate) async fn remove_picture(
    FromState(state): FromState<State>,
    caller: Caller,
    link: Link,
) -> Result<Json<Profile>, Problem> {
    let worker = state.clone();
    to_the_end(async move { store(&worker, caller, None).await }).await?;
    of_caller(&state, caller, &link).await
}

async fn make(state: &State, upload: Bytes) -> Result<Made, Problem> {
    let made = image::make(&state.images, upload, OF_PROFILE, "profiles").await;
    made.map_err(|error| match error {
        ImageError::Busy => Problem::unavailable(error.to_string(), BUSY_RETRY),
        ImageError::Internal => Problem::internal(),
        fault => Problem::invalid("image", fault.to_string()),
    })
}

/// Row and files, together or not at all.
async fn store(state: &State, caller: Caller, made: Option<Made>) -> Result<(), Problem> {
    let (path, files) = match made {
        Some(made) => (Some(made.path), made.files),
        None => (None, Vec::new()),
    };
    let mut change = Change::begin(&state.database, &state.storage, files).await?;
    match swap(state, &mut change, caller, path).await {
        Ok(()) => change.commit().await,
        Err(problem) => {
            change.undo().await;
            Err(problem)
        }
    }
}

async fn swap(
    state: &State,
    change: &mut Change,
    caller: Caller,
    path: Option<String>,
) -> Result<(), Problem> {
    let old: Option<(Option<String>,)> = query(LOCK)
        .bind(caller.id)
        .fetch_optional(change.rows())
        .await?;
    let (old,) = old.ok_or_else(gone)?;
    query(SET)
        .bind(caller.id)
        .bind(path)
        .bind(now())
        .execute(change.rows())
        .await?;
    let files = old.map(|old| pictures::own_files(&old, OF_PROFILE));
    change
        .discard(&state.storage, files.unwrap_or_default())
        .await
}

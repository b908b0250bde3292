//! Pictures that people upload: for check-ins, and of themselves.
//!
//! A picture is read, judged and made anew by the kit; what the client calls it, and what it says
//! that it is, does not matter. It is found under `photos/<user>/` or `avatars/<user>/`, and its row
//! says whose it is.

use std::{collections::HashSet, time::Duration};

use axum::{
    Json,
    extract::{Request, State as FromState},
};
use serde::Serialize;
use service_kit::{
    change::Change,
    clock::now,
    database::{Database, Text, query},
    image::{self, Form, ImageError, files_of},
    multipart::FormShape,
    page::Link,
    problem::{Fields, Problem},
    query::Params,
    text,
    uuid::Uuid,
};

use crate::{
    app::State,
    cached,
    caller::Caller,
    done::Done,
    wording::{check_query, coded},
};

/// Bytes of a photo, and of any upload.
pub(crate) const PHOTO_BYTES: usize = 10 << 20;
const AVATAR_BYTES: usize = 5 << 20;

const OF_PHOTO: &[Form] = &[
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

const OF_AVATAR: &[Form] = &[
    Form {
        suffix: "",
        max_width: 512,
        max_height: 512,
    },
    Form {
        suffix: "_128",
        max_width: 128,
        max_height: 128,
    },
];

/// What a picture is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Photo,
    Avatar,
}

impl Purpose {
    const ALL: [Self; 2] = [Self::Photo, Self::Avatar];

    fn name(self) -> &'static str {
        match self {
            Self::Photo => "photo",
            Self::Avatar => "avatar",
        }
    }

    /// The folder, which the reference calls a bucket.
    fn bucket(self) -> &'static str {
        match self {
            Self::Photo => "photos",
            Self::Avatar => "avatars",
        }
    }

    fn forms(self) -> &'static [Form] {
        match self {
            Self::Photo => OF_PHOTO,
            Self::Avatar => OF_AVATAR,
        }
    }

    fn bytes(self) -> usize {
        match self {
            Self::Photo => PHOTO_BYTES,
            Self::Avatar => AVATAR_BYTES,
        }
    }
}

const UPLOAD: FormShape = FormShape {
    texts: &[],
    lists: &[],
    files: &["file"],
    text_bytes: 0,
    file_bytes: PHOTO_BYTES,
};

/// How long a client should wait when all threads for pictures have work.
const BUSY_RETRY: Duration = Duration::from_secs(2);

/// A form with a picture.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "describes the form, which is read field by field")]
pub(crate) struct Upload {
    /// JPEG, PNG or WebP; a photo of 10 MB, an avatar of 5 MB at most.
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
}

/// A picture that is stored.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Uploaded {
    success: bool,
    /// Where everybody finds it.
    url: String,
    /// Its path in the bucket.
    filename: String,
    /// Bytes.
    size: usize,
    /// photo or avatar.
    #[serde(rename = "type")]
    kind: &'static str,
    bucket: &'static str,
}

pub(crate) const INSERT: &str = "
INSERT INTO media (path, owner_id, kind, size, created_at)
VALUES ($1, $2, $3, $4, $5)";

pub(crate) const OWNER: &str = "
SELECT f.owner_id, f.kind
FROM media AS f
WHERE f.path = $1";

pub(crate) const DELETE: &str = "
DELETE FROM media
WHERE path = $1
  AND owner_id = $2";

/// A picture that is gone is nobody's face.
pub(crate) const FORGET_AVATAR: &str = "
UPDATE user_profiles
SET avatar_url = NULL
WHERE id = $1
  AND avatar_url = $2";

/// Those of these files that a row names.
pub(crate) const NAMED: Text = text!(
    "
SELECT f.path
FROM media AS f
WHERE f.path "
    { "IN (SELECT value FROM json_each($1))" | "= ANY($1)" });

/// Upload a picture
#[utoipa::path(post, path = "/api/v1/media/upload/", tag = "media", security(("bearer" = [])), params(
    ("type" = String, Query, pattern = "^(photo|avatar)$", description = "photo or avatar"),
), request_body(content = Upload, content_type = "multipart/form-data"), responses(
    (status = 200, description = "The picture", body = Uploaded),
    (status = 400, description = "It is no picture that can be used"),
))]
#[tracing::instrument(name = "media.upload", skip_all)]
pub(crate) async fn upload(
    FromState(state): FromState<State>,
    caller: Caller,
    params: Params,
    link: Link,
    request: Request,
) -> Result<Json<Uploaded>, Problem> {
    let mut fields = Fields::new();
    let asked = params.get("type").unwrap_or_default();
    let purpose = Purpose::ALL.into_iter().find(|one| one.name() == asked);
    if purpose.is_none() {
        let message = "must be one of photo, avatar";
        fields.insert("type".to_owned(), message.to_owned());
    }
    check_query(fields)?;
    let purpose = purpose.unwrap_or(Purpose::Photo);
    let form = UPLOAD.read(request).await?;
    let Some((_, bytes)) = form.into_files().pop() else {
        return Err(Problem::invalid("file", "is required"));
    };
    if bytes.len() > purpose.bytes() {
        let why = format!("The file is larger than {} MB", purpose.bytes() >> 20);
        return Err(coded(Problem::refused(why), "file_too_large"));
    }
    let folder = format!("{}/{}", purpose.bucket(), caller.id);
    let made = image::make(&state.images, bytes, purpose.forms(), &folder).await;
    let made = made.map_err(refuse)?;
    let size = made.files.first().map_or(0, |(_, bytes)| bytes.len());
    let path = made.path.clone();
    let worker = state.clone();
    service_kit::change::to_the_end(async move { store(&worker, caller.id, purpose, made).await })
        .await?;
    Ok(Json(Uploaded {
        success: true,
        url: format!("{}/media/{path}", link.origin()),
        filename: path
            .split_once('/')
            .map_or_else(String::new, |(_, name)| name.to_owned()),
        size,
        kind: purpose.name(),
        bucket: purpose.bucket(),
    }))
}

fn refuse(error: ImageError) -> Problem {
    match error {
        ImageError::Busy => Problem::unavailable(error.to_string(), BUSY_RETRY),
        ImageError::Internal => Problem::internal(),
        fault => coded(Problem::refused(fault.to_string()), "invalid_file"),
    }
}

/// Row and files, together or not at all.
async fn store(
    state: &State,
    owner: Uuid,
    purpose: Purpose,
    made: image::Made,
) -> Result<(), Problem> {
    let size = made
        .files
        .iter()
        .map(|(_, bytes)| bytes.len())
        .sum::<usize>();
    let insert = query(INSERT)
        .bind(&made.path)
        .bind(owner)
        .bind(purpose.name())
        .bind(i64::try_from(size).unwrap_or(i64::MAX))
        .bind(now());
    let mut change = Change::begin(&state.database, &state.storage, made.files).await?;
    match insert.execute(change.rows()).await {
        Ok(_) => change.commit().await,
        Err(error) => {
            change.undo().await;
            Err(error.into())
        }
    }
}

/// Throw a picture away
///
/// One's own.
#[utoipa::path(delete, path = "/api/v1/media/", tag = "media", security(("bearer" = [])), params(
    ("url" = String, Query, pattern = "^https?://[a-z]{1,60}\\.example/media/photos/[a-z]{1,60}\\.jpg$", description = "The address that the upload gave"),
), responses(
    (status = 200, description = "Done", body = Done),
    (status = 400, description = "It is no address of a picture here"),
    (status = 403, description = "It is another user's"),
    (status = 404, description = "There is no such picture"),
))]
#[tracing::instrument(name = "media.remove", skip_all)]
pub(crate) async fn remove(
    FromState(state): FromState<State>,
    caller: Caller,
    params: Params,
) -> Result<Json<Done>, Problem> {
    let Some(url) = params.get("url").map(str::to_owned) else {
        return Err(Problem::invalid("query.url", "is required"));
    };
    let path = path_in(&url).ok_or_else(|| {
        coded(
            Problem::refused("This is not the URL of an uploaded file"),
            "invalid_url",
        )
    })?;
    let worker = state.clone();
    let write = move |_| async move { throw_away(&worker, caller.id, &path, &url).await };
    cached::write(&state.cache, [cached::user(caller.id)], write).await?;
    Ok(Json(Done::new("File deleted successfully")))
}

/// The path of a file in the store.
fn path_in(url: &str) -> Option<String> {
    let rest = url
        .strip_prefix("https://")
        .or_else(|| url.strip_prefix("http://"))?;
    let (_, path) = rest.split_once("/media/")?;
    let is_ours = Purpose::ALL.iter().any(|one| {
        let inside = path.strip_prefix(one.bucket());
        inside.is_some_and(|inside| inside.starts_with('/'))
    });
    (is_ours && !path.contains('\0')).then(|| path.to_owned())
}

async fn throw_away(state: &State, caller: Uuid, path: &str, url: &str) -> Result<(), Problem> {
    let missing = || coded(Problem::not_found("There is no such file"), "not_found");
    let owner: Option<(Uuid, String)> = query(OWNER)
        .bind(path)
        .fetch_optional(state.database.read())
        .await?;
    let (owner, kind) = owner.ok_or_else(missing)?;
    if owner != caller {
        let problem = Problem::forbidden("You can only delete your own files");
        return Err(coded(problem, "not_owner"));
    }
    let forms = match kind.as_str() {
        "avatar" => OF_AVATAR,
        _ => OF_PHOTO,
    };
    let mut change = Change::begin(&state.database, &state.storage, Vec::new()).await?;
    match forget(state, &mut change, caller, path, url, forms).await {
        Ok(true) => change.commit().await,
        Ok(false) => {
            change.undo().await;
            Err(missing())
        }
        Err(problem) => {
            change.undo().await;
            Err(problem)
        }
    }
}

/// Says whether there was such a row.
async fn forget(
    state: &State,
    change: &mut Change,
    caller: Uuid,
    path: &str,
    url: &str,
    forms: &'static [Form],
) -> Result<bool, Problem> {
    let delete = query(DELETE).bind(path).bind(caller);
    if delete.execute(change.rows()).await? == 0 {
        return Ok(false);
    }
    let forget = query(FORGET_AVATAR).bind(caller).bind(url);
    forget.execute(change.rows()).await?;
    change
        .discard(&state.storage, files_of(path, forms))
        .await?;
    Ok(true)
}

/// Which of these files a row names, itself or by the picture that they are a version of: what
/// recovery asks.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_pictures_here_have_a_path() {
        let path = "photos/x/y/z.jpg";
        assert_eq!(
            path_in(&format!("http://a/media/{path}")).as_deref(),
            Some(path)
        );
        for other in [
            "",
            "x",
            "http://a/b",
            "http://a/media/flyers/x.jpg",
            "ftp://a/media/photos/x",
        ] {
            assert_eq!(path_in(other), None, "{other}");
        }
    }
}

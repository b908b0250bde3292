//! The caller's own profile: reading and changing it.

use axum::{Json, extract::State as FromState};
use serde::Deserialize;
use service_kit::{
    body::Body,
    clock::now,
    database::query,
    fields::{bound_any, check, required},
    problem::{Fields, Problem},
};

use super::{FullStats, UserProfile, of, search_text};
use crate::{
    account::zone,
    app::State,
    cached,
    caller::{Caller, gone},
    web_address::web_address,
};

pub(crate) const LONGEST_DISPLAY_NAME: usize = 50;
pub(crate) const LONGEST_FULL_NAME: usize = 100;
const LONGEST_BIO: usize = 500;

/// What to change; null and what is left out stay.
#[derive(Default, Deserialize, utoipa::ToSchema)]
pub(crate) struct ProfileChange {
    #[schema(max_length = 100, pattern = r"^[^\x00]*[^\s\x00][^\x00]*$")]
    full_name: Option<String>,
    #[schema(max_length = 50, pattern = r"^[^\x00]*[^\s\x00][^\x00]*$")]
    display_name: Option<String>,
    #[schema(max_length = 500, pattern = r"^[^\x00]*$")]
    bio: Option<String>,
    /// `http` or `https`.
    #[schema(
        max_length = 2048,
        pattern = r"^\s*https?://[^\s/?#\x00-\x1f\x7f-\x9f][^\s\x00-\x1f\x7f-\x9f]*\s*$"
    )]
    avatar_url: Option<String>,
    /// Of the IANA database, such as `Europe/Zurich`.
    #[schema(pattern = "^(UTC|Europe/Zurich|Asia/Tokyo)$")]
    timezone: Option<String>,
}

pub(crate) const CHANGE: &str = "
UPDATE user_profiles
SET full_name = coalesce($2, full_name),
    bio = coalesce($3, bio),
    avatar_url = coalesce($4, avatar_url),
    timezone = coalesce($5, timezone),
    updated_at = $6
WHERE id = $1
RETURNING email";

pub(crate) const RENAME: &str = "
UPDATE user_profiles
SET display_name = $2,
    search_text = $3
WHERE id = $1";

/// One's own profile
///
/// From the cache for five minutes, or until something in it changes.
#[utoipa::path(get, path = "/api/v1/users/me/", tag = "users", security(("bearer" = [])), responses(
    (status = 200, description = "The profile", body = UserProfile),
))]
#[tracing::instrument(name = "users.me", skip_all, fields(cache_hit))]
pub(crate) async fn own(
    FromState(state): FromState<State>,
    caller: Caller,
) -> Result<Json<UserProfile>, Problem> {
    let profile = of(&state, caller.id).await?.ok_or_else(gone)?;
    Ok(Json(profile.own(now())))
}

/// One's own numbers
#[utoipa::path(get, path = "/api/v1/users/me/stats/", tag = "users", security(("bearer" = [])), responses(
    (status = 200, description = "The numbers", body = FullStats),
))]
#[tracing::instrument(name = "users.my_stats", skip_all, fields(cache_hit))]
pub(crate) async fn own_stats(
    FromState(state): FromState<State>,
    caller: Caller,
) -> Result<Json<FullStats>, Problem> {
    let profile = of(&state, caller.id).await?.ok_or_else(gone)?;
    Ok(Json(profile.full_stats(now())))
}

/// Change one's profile
#[utoipa::path(patch, path = "/api/v1/users/me/", tag = "users", security(("bearer" = [])), request_body = ProfileChange, responses(
    (status = 200, description = "The profile as it is now", body = UserProfile),
    (status = 400, description = "There is nothing to change"),
))]
#[tracing::instrument(name = "users.change", skip_all)]
pub(crate) async fn change(
    FromState(state): FromState<State>,
    caller: Caller,
    Body(asked): Body<ProfileChange>,
) -> Result<Json<UserProfile>, Problem> {
    let change = Change::read(asked)?;
    let database = state.database.clone();
    let write = move |_| async move {
        let mut tx = database.begin().await?;
        let email: Option<(String,)> = query(CHANGE)
            .bind(caller.id)
            .bind(change.full_name)
            .bind(change.bio)
            .bind(change.avatar_url)
            .bind(change.timezone)
            .bind(now())
            .fetch_optional(&mut tx)
            .await?;
        let (email,) = email.ok_or_else(gone)?;
        if let Some(name) = change.display_name {
            let rename = query(RENAME).bind(caller.id).bind(&name);
            let rename = rename.bind(search_text(&name, &email));
            rename.execute(&mut tx).await?;
        }
        tx.commit().await?;
        Ok(())
    };
    cached::write(&state.cache, [cached::user(caller.id)], write).await?;
    let profile = of(&state, caller.id).await?.ok_or_else(gone)?;
    Ok(Json(profile.own(now())))
}

struct Change {
    full_name: Option<String>,
    display_name: Option<String>,
    bio: Option<String>,
    avatar_url: Option<String>,
    timezone: Option<&'static str>,
}

impl Change {
    fn read(asked: ProfileChange) -> Result<Self, Problem> {
        let mut fields = Fields::new();
        let mut name = |name, text: Option<String>, longest| {
            text.map(|text| required(name, Some(text), longest, &mut fields))
        };
        let full_name = name("full_name", asked.full_name, LONGEST_FULL_NAME);
        let display_name = name("display_name", asked.display_name, LONGEST_DISPLAY_NAME);
        bound_any("bio", asked.bio.as_deref(), LONGEST_BIO, &mut fields);
        let avatar_url = web_address("avatar_url", asked.avatar_url, &mut fields);
        let timezone = asked.timezone.and_then(|name| zone(&name, &mut fields));
        check(fields)?;
        let change = Self {
            full_name,
            display_name,
            bio: asked.bio,
            avatar_url,
            timezone,
        };
        match change.is_empty() {
            true => Err(Problem::refused("No fields to update")),
            false => Ok(change),
        }
    }

    fn is_empty(&self) -> bool {
        let Self {
            full_name,
            display_name,
            bio,
            avatar_url,
            timezone,
        } = self;
        let texts = [full_name, display_name, bio, avatar_url];
        texts.into_iter().all(Option::is_none) && timezone.is_none()
    }
}

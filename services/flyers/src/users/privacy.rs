//! What users allow others.

use axum::{Json, extract::State as FromState};
use serde::{Deserialize, Serialize};
use service_kit::{body::Body, clock::now, database::query, problem::Problem, token::Caller};

use super::gone;
use crate::app::State;

/// `$1` user.
pub(crate) const PRIVACY: &str = "
SELECT s.allow_email_contact
FROM privacy_settings AS s
WHERE s.user_id = $1";

/// `$1` user, `$2` the answer, `$3` now.
pub(crate) const CHANGE_PRIVACY: &str = "
UPDATE privacy_settings
SET allow_email_contact = $2,
    updated_at = $3
WHERE user_id = $1";

/// What a user allows others.
#[derive(Serialize, sqlx_macros::FromRow, utoipa::ToSchema)]
pub(crate) struct Privacy {
    /// Whether others may write to the user by e-mail.
    allow_email_contact: bool,
}

/// What to allow.
#[derive(Deserialize, utoipa::ToSchema)]
pub(crate) struct PrivacyChange {
    #[schema(required, nullable = false)]
    allow_email_contact: Option<bool>,
}

/// Your privacy settings
#[utoipa::path(get, path = "/api/v1/users/me/privacy-settings/", security(("bearer" = [])), responses(
    (status = 200, description = "The settings", body = Privacy),
    (status = 401, description = "Sign in first"),
))]
pub(crate) async fn privacy(
    FromState(state): FromState<State>,
    caller: Caller,
) -> Result<Json<Privacy>, Problem> {
    let settings: Option<Privacy> = query(PRIVACY)
        .bind(caller.id)
        .fetch_optional(state.database.read())
        .await?;
    settings.map(Json).ok_or_else(gone)
}

/// Change your privacy settings
#[utoipa::path(patch, path = "/api/v1/users/me/privacy-settings/", request_body = PrivacyChange,
    security(("bearer" = [])), responses(
    (status = 200, description = "The settings as they are now", body = Privacy),
    (status = 400, description = "allow_email_contact is missing, or neither true nor false"),
    (status = 401, description = "Sign in first"),
))]
pub(crate) async fn change_privacy(
    FromState(state): FromState<State>,
    caller: Caller,
    Body(change): Body<PrivacyChange>,
) -> Result<Json<Privacy>, Problem> {
    let Some(allow_email_contact) = change.allow_email_contact else {
        return Err(Problem::invalid("allow_email_contact", "is required"));
    };
    let changed = query(CHANGE_PRIVACY)
        .bind(caller.id)
        .bind(allow_email_contact)
        .bind(now())
        .execute(state.database.write())
        .await?;
    if changed == 0 {
        return Err(gone());
    }
    Ok(Json(Privacy {
        allow_email_contact,
    }))
}

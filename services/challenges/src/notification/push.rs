//! Where notifications are to be pushed. Nothing is pushed by this service itself.

use axum::{Json, extract::State as FromState};
use serde::Deserialize;
use service_kit::{
    body::Body,
    database::query,
    fields::{bound_any, check},
    problem::{Fields, Problem},
};

use crate::{
    app::State,
    cached,
    caller::{Caller, gone},
    done::Done,
};

/// A device.
#[derive(Deserialize, utoipa::ToSchema)]
pub(crate) struct Device {
    /// As Expo gives it: `ExponentPushToken[…]`.
    #[schema(
        required,
        nullable = false,
        max_length = 200,
        pattern = r"^ExponentPushToken\[[A-Za-z0-9]{1,100}\]$"
    )]
    token: Option<String>,
    #[schema(max_length = 50, pattern = r"^[^\x00]*$")]
    device_type: Option<String>,
}

const LONGEST: usize = 200;
const LONGEST_TYPE: usize = 50;

pub(crate) const SET: &str = "
UPDATE user_profiles
SET push_token = $2, push_device = $3
WHERE id = $1";

/// Name the device to push to
#[utoipa::path(post, path = "/api/v1/notifications/register-push-token/", tag = "notifications", security(("bearer" = [])), request_body = Device, responses(
    (status = 200, description = "Done", body = Done),
    (status = 400, description = "It is no token of Expo"),
))]
#[tracing::instrument(name = "notifications.register_push", skip_all)]
pub(crate) async fn register_push(
    FromState(state): FromState<State>,
    caller: Caller,
    Body(device): Body<Device>,
) -> Result<Json<Done>, Problem> {
    let mut fields = Fields::new();
    bound_any("token", device.token.as_deref(), LONGEST, &mut fields);
    bound_any(
        "device_type",
        device.device_type.as_deref(),
        LONGEST_TYPE,
        &mut fields,
    );
    if device.token.is_none() {
        fields.insert("token".to_owned(), "is required".to_owned());
    }
    check(fields)?;
    let token = device.token.as_deref().filter(|token| {
        let inner = token.strip_prefix("ExponentPushToken[");
        let inner = inner.and_then(|inner| inner.strip_suffix(']'));
        inner.is_some_and(|inner| !inner.is_empty())
    });
    let token = token.ok_or_else(|| Problem::refused("Invalid Expo push token format"))?;
    set(&state, caller, Some(token), device.device_type.as_deref()).await?;
    Ok(Json(Done::new("Push token registered")))
}

/// Push to no device any more
#[utoipa::path(delete, path = "/api/v1/notifications/push-token/", tag = "notifications", security(("bearer" = [])), responses(
    (status = 200, description = "Done", body = Done),
))]
#[tracing::instrument(name = "notifications.remove_push", skip_all)]
pub(crate) async fn remove_push(
    FromState(state): FromState<State>,
    caller: Caller,
) -> Result<Json<Done>, Problem> {
    set(&state, caller, None, None).await?;
    Ok(Json(Done::new("Push token removed")))
}

async fn set(
    state: &State,
    caller: Caller,
    token: Option<&str>,
    device: Option<&str>,
) -> Result<(), Problem> {
    let set = query(SET).bind(caller.id).bind(token).bind(device);
    let database = state.database.clone();
    let write = move |_| async move {
        match set.execute(database.write()).await? {
            0 => Err(gone()),
            _ => Ok(()),
        }
    };
    cached::write(&state.cache, [cached::user(caller.id)], write).await
}

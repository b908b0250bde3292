//! The profile of somebody else: for friends, and for who takes part in the same challenge.

use axum::{Json, extract::State as FromState};
use service_kit::{
    clock::now,
    database::{Dialect, query},
    problem::Problem,
    uuid::Uuid,
};
use sqlx_macros::FromRow;

use super::record::{COLUMNS, OtherProfile, Profile};
use crate::{
    app::State,
    caller::Caller,
    friend::{in_order, is_pair},
    path::PathId,
};

#[derive(FromRow)]
struct OtherRow {
    #[sqlx(flatten)]
    profile: Profile,
    is_friend: bool,
    shares_challenge: bool,
}

/// `$1` who, `$2` caller, `$3` and `$4` both of them in their order.
fn read_text(dialect: Dialect) -> String {
    let friend = is_pair(dialect, "$3", "$4");
    format!(
        "SELECT {COLUMNS},
    EXISTS (SELECT 1 FROM friendships AS f WHERE {friend} AND f.status = 'accepted') AS is_friend,
    EXISTS (
        SELECT 1
        FROM challenge_members AS mine
        JOIN challenge_members AS theirs ON theirs.challenge_id = mine.challenge_id
        WHERE mine.user_id = $2
          AND mine.status = 'active'
          AND theirs.user_id = $1
          AND theirs.status = 'active'
    ) AS shares_challenge
FROM user_profiles AS p
WHERE p.id = $1"
    )
}

/// Somebody's profile
///
/// One's own, that of a friend, or of somebody who takes part in the same challenge.
#[utoipa::path(get, path = "/api/v1/users/{id}/", tag = "users", security(("bearer" = [])), params(
    ("id" = Uuid, Path, description = "The user"),
), responses(
    (status = 200, description = "The profile", body = OtherProfile),
    (status = 403, description = "It is a stranger"),
    (status = 404, description = "There is no such user"),
))]
#[tracing::instrument(name = "users.other", skip_all)]
pub(crate) async fn other(
    FromState(state): FromState<State>,
    caller: Caller,
    PathId(id): PathId,
) -> Result<Json<OtherProfile>, Problem> {
    let (low, high) = in_order(id, caller.id);
    let found: Option<OtherRow> = query(read_text(state.database.dialect()))
        .bind(id)
        .bind(caller.id)
        .bind(low)
        .bind(high)
        .fetch_optional(state.database.read())
        .await?;
    let row = found.ok_or_else(|| Problem::not_found("User not found"))?;
    if !(row.is_friend || row.shares_challenge || id == caller.id) {
        let why = "You can only see friends and people in your challenges";
        return Err(Problem::forbidden(why));
    }
    Ok(Json(row.profile.seen_by(caller.id, now())))
}

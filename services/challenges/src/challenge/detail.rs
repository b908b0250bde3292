//! One challenge with its members and habits, and its members alone.

use axum::{Json, extract::State as FromState};
use serde::Serialize;
use service_kit::{clock::now, database::query, problem::Problem, uuid::Uuid};

use super::{
    access::{Access, ChallengeHabit},
    record::ChallengeBase,
};
use crate::{
    app::State,
    caller::Caller,
    day::AskedZone,
    membership::{MEMBERS, MOST_SHOWN, Member, MemberRow, MemberStats},
    path::PathId,
};

/// A challenge as its members see it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct ChallengeDetail {
    #[serde(flatten)]
    challenge: ChallengeBase,
    updated_at: chrono::DateTime<chrono::Utc>,
    /// Who has it can join.
    invite_code: String,
    members: Vec<Member>,
    habits: Vec<ChallengeHabit>,
    my_role: String,
    my_status: String,
    my_stats: MemberStats,
}

/// A challenge
///
/// For its members, and for those who have left it.
#[utoipa::path(get, path = "/api/v1/challenges/{id}/", tag = "challenges", security(("bearer" = [])), params(
    ("id" = Uuid, Path, description = "The challenge"),
), responses(
    (status = 200, description = "The challenge", body = ChallengeDetail),
    (status = 403, description = "The caller is no member"),
    (status = 404, description = "There is no such challenge"),
))]
#[tracing::instrument(name = "challenges.detail", skip_all)]
pub(crate) async fn detail(
    FromState(state): FromState<State>,
    caller: Caller,
    PathId(id): PathId,
    zone: AskedZone,
) -> Result<Json<ChallengeDetail>, Problem> {
    Ok(Json(detail_of(&state, caller, id, zone).await?))
}

/// A challenge, from two statements.
pub(crate) async fn detail_of(
    state: &State,
    caller: Caller,
    id: Uuid,
    zone: AskedZone,
) -> Result<ChallengeDetail, Problem> {
    let access = Access::read(&state.database, id, caller, zone).await?;
    let members = members_of(state, id).await?;
    Ok(ChallengeDetail {
        challenge: access.challenge.base(access.today),
        updated_at: access.challenge.updated_at,
        invite_code: access.challenge.invite_code,
        members,
        habits: access.habits,
        my_role: access.role,
        my_status: access.status,
        my_stats: access.stats,
    })
}

async fn members_of(state: &State, id: Uuid) -> Result<Vec<Member>, Problem> {
    let rows = query(MEMBERS).bind(id).bind(MOST_SHOWN);
    let rows: Vec<MemberRow> = rows.fetch_all(state.database.read()).await?;
    let now = now();
    Ok(rows.into_iter().map(|row| row.shown(now)).collect())
}

/// The members of a challenge
///
/// The first ones first, whatever their status; 500 at most.
#[utoipa::path(get, path = "/api/v1/challenges/{id}/members/", tag = "challenges", security(("bearer" = [])), params(
    ("id" = Uuid, Path, description = "The challenge"),
), responses(
    (status = 200, description = "The members", body = Vec<Member>),
    (status = 403, description = "The caller is no member"),
    (status = 404, description = "There is no such challenge"),
))]
#[tracing::instrument(name = "challenges.members", skip_all)]
pub(crate) async fn members(
    FromState(state): FromState<State>,
    caller: Caller,
    PathId(id): PathId,
    zone: AskedZone,
) -> Result<Json<Vec<Member>>, Problem> {
    Access::read(&state.database, id, caller, zone).await?;
    Ok(Json(members_of(&state, id).await?))
}

//! How the members of a challenge compare.

use std::cmp::Reverse;

use axum::{Json, extract::State as FromState};
use serde::Serialize;
use service_kit::{
    fields::within,
    problem::{Fields, Problem},
    query::Params,
    uuid::Uuid,
};

use super::{
    challenge::Performer,
    rank::{Ranked, ranked},
};
use crate::{
    app::State,
    caller::Caller,
    challenge::{Access, word},
    day::AskedZone,
    page::LARGEST,
    path::PathId,
    wording::check_query,
};

/// The members of a challenge, the best first.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Leaderboard {
    leaderboard: Vec<Performer>,
    /// points, streak or completion_rate.
    sort_by: &'static str,
    /// All of them, not only those shown.
    total_members: usize,
}

/// How the members of a challenge compare
///
/// By points, equal ones share a rank; by another number each has a rank of its own. Who has left
/// counts, too.
#[utoipa::path(get, path = "/api/v1/stats/leaderboard/{id}/", tag = "statistics", security(("bearer" = [])), params(
    ("id" = Uuid, Path, description = "The challenge"),
    ("sort_by" = Option<String>, Query, pattern = "^(points|streak|completion_rate)?$", description = "points (the default), streak or completion_rate"),
    ("limit" = Option<i64>, Query, minimum = 1, maximum = 100, description = "Members to show; 100"),
), responses(
    (status = 200, description = "The members", body = Leaderboard),
    (status = 403, description = "The caller is no member"),
    (status = 404, description = "There is no such challenge"),
))]
#[tracing::instrument(name = "stats.leaderboard", skip_all)]
pub(crate) async fn leaderboard(
    FromState(state): FromState<State>,
    caller: Caller,
    PathId(id): PathId,
    zone: AskedZone,
    params: Params,
) -> Result<Json<Leaderboard>, Problem> {
    let mut fields = Fields::new();
    let words = ["points", "streak", "completion_rate"];
    let sort_by = word("sort_by", &params, &words, &mut fields).unwrap_or("points");
    let limit = params.integer("limit", &mut fields);
    let limit = within("limit", limit, LARGEST, 1..=LARGEST, &mut fields);
    check_query(fields)?;
    let access = Access::read(&state.database, id, caller, zone).await?;
    let mut members = ranked(&state.database, &access).await?;
    let total_members = members.len();
    sort(&mut members, sort_by);
    members.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(Json(Leaderboard {
        leaderboard: members.into_iter().map(Performer::of).collect(),
        sort_by,
        total_members,
    }))
}

/// Members that are in the order of their points.
fn sort(members: &mut [Ranked], by: &str) {
    match by {
        "streak" => members.sort_by_key(|member| Reverse(member.streak)),
        "completion_rate" => {
            members.sort_by(|one, other| other.completion.total_cmp(&one.completion));
        }
        _ => return,
    }
    for (place, member) in members.iter_mut().enumerate() {
        member.rank = place + 1;
    }
}

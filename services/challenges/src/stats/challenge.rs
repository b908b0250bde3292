//! The numbers of one challenge.

use axum::{Json, extract::State as FromState};
use serde::Serialize;
use service_kit::{problem::Problem, uuid::Uuid};

use super::rank::{Ranked, ranked};
use crate::{
    app::State,
    caller::Caller,
    challenge::{Access, ChallengeBase, ChallengeHabit},
    day::AskedZone,
    path::PathId,
};

/// The numbers of a challenge.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct ChallengeStats {
    challenge_id: Uuid,
    /// With those who have left.
    total_members: usize,
    active_members: usize,
    /// In per cent.
    avg_completion_rate: f64,
    avg_points: f64,
    avg_streak: f64,
    total_checkins: i64,
    challenge_info: ChallengeBase,
    /// The first ten ranks.
    top_performers: Vec<Performer>,
    habit_stats: Vec<ChallengeHabit>,
}

/// A member with its rank.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Performer {
    pub(super) user_id: Uuid,
    pub(super) display_name: String,
    pub(super) avatar_url: Option<String>,
    pub(super) points_earned: i64,
    pub(super) current_streak: i64,
    /// In per cent.
    pub(super) completion_rate: f64,
    pub(super) rank: usize,
}

const TOP: usize = 10;

/// The numbers of a challenge
///
/// As they are now.
#[utoipa::path(get, path = "/api/v1/stats/challenges/{id}/", tag = "statistics", security(("bearer" = [])), params(
    ("id" = Uuid, Path, description = "The challenge"),
), responses(
    (status = 200, description = "The numbers", body = ChallengeStats),
    (status = 403, description = "The caller is no member"),
    (status = 404, description = "There is no such challenge"),
))]
#[tracing::instrument(name = "stats.challenge", skip_all)]
pub(crate) async fn challenge(
    FromState(state): FromState<State>,
    caller: Caller,
    PathId(id): PathId,
    zone: AskedZone,
) -> Result<Json<ChallengeStats>, Problem> {
    let access = Access::read(&state.database, id, caller, zone).await?;
    let members = ranked(&state.database, &access).await?;
    let top = members.iter().filter(|member| member.rank <= TOP);
    Ok(Json(ChallengeStats {
        challenge_id: id,
        total_members: members.len(),
        active_members: members.iter().filter(|member| member.is_active).count(),
        avg_completion_rate: average(&members, |member| member.completion),
        avg_points: average(&members, |member| member.points as f64),
        avg_streak: average(&members, |member| member.streak as f64),
        total_checkins: members.iter().map(|member| member.checkins).sum(),
        challenge_info: access.challenge.base(access.today),
        top_performers: top.cloned().map(Performer::of).collect(),
        habit_stats: access.habits,
    }))
}

/// With two decimals.
fn average(members: &[Ranked], number: impl Fn(&Ranked) -> f64) -> f64 {
    if members.is_empty() {
        return 0.0;
    }
    let sum: f64 = members.iter().map(number).sum();
    (sum / members.len() as f64 * 100.0).round() / 100.0
}

impl Performer {
    pub(super) fn of(member: Ranked) -> Self {
        Self {
            user_id: member.user_id,
            display_name: member.display_name,
            avatar_url: member.avatar_url,
            points_earned: member.points,
            current_streak: member.streak,
            completion_rate: member.completion,
            rank: member.rank,
        }
    }
}

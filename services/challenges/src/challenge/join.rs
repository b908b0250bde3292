//! Joining by invite code: the last place goes to one.

use axum::{Json, extract::State as FromState};
use chrono::NaiveDate;
use serde::Deserialize;
use service_kit::{
    body::Body,
    clock::now,
    database::{Transaction, query},
    problem::Problem,
    uuid::Uuid,
};
use speedwell_cache::Write;

use super::{
    detail::{ChallengeDetail, detail_of},
    invite::read_code,
};
use crate::{
    app::State,
    cached,
    caller::Caller,
    day::AskedZone,
    notification::{Kind, Note, tell},
};

/// Where to join.
#[derive(Deserialize, utoipa::ToSchema)]
pub(crate) struct Join {
    /// Six letters and digits, in any case.
    #[schema(required, nullable = false, pattern = "^[A-Za-z0-9]{6}$")]
    invite_code: Option<String>,
}

/// `$1` code, `$2` caller.
pub(crate) const FIND: &str = "
SELECT c.id, c.name, c.status, c.end_date, c.created_by, p.display_name, p.timezone, m.status
FROM challenges AS c
JOIN user_profiles AS p ON p.id = $2
LEFT JOIN challenge_members AS m ON m.challenge_id = c.id AND m.user_id = $2
WHERE c.invite_code = $1";

pub(crate) const TAKE_PLACE: &str = "
UPDATE challenges
SET member_count = member_count + 1, updated_at = $2
WHERE id = $1
  AND member_count < max_members";

/// Who comes back has what they had; hitches are not given twice.
pub(crate) const ENTER: &str = "
INSERT INTO challenge_members (id, challenge_id, user_id, role, status, joined_at)
VALUES ($1, $2, $3, 'member', 'active', $4)
ON CONFLICT (challenge_id, user_id) DO UPDATE
SET status = 'active', left_at = NULL
WHERE challenge_members.status IN ('left', 'pending')";

type FoundRow = (
    Uuid,
    String,
    String,
    NaiveDate,
    Uuid,
    String,
    Option<String>,
    Option<String>,
);

/// Join a challenge
///
/// Its creator is told. Who has left may come back, if there is room.
#[utoipa::path(post, path = "/api/v1/challenges/join/", tag = "challenges", security(("bearer" = [])), request_body = Join, responses(
    (status = 200, description = "The challenge", body = ChallengeDetail),
    (status = 400, description = "The caller is a member already, or the challenge is full or over"),
    (status = 403, description = "The caller was sent away"),
    (status = 404, description = "There is no such code"),
))]
#[tracing::instrument(name = "challenges.join", skip_all)]
pub(crate) async fn join(
    FromState(state): FromState<State>,
    caller: Caller,
    zone: AskedZone,
    Body(asked): Body<Join>,
) -> Result<Json<ChallengeDetail>, Problem> {
    let code = asked.invite_code.as_deref().unwrap_or_default();
    let code = read_code(code)
        .ok_or_else(|| Problem::invalid("invite_code", "must be six letters and digits"))?;
    let shared = state.clone();
    let write = move |write: Write| async move {
        let mut tx = shared.database.begin().await?;
        let id = enter(&mut tx, &code, caller, zone).await?;
        tx.commit().await?;
        cached::also_members_of(&write, &shared.database, id, false).await;
        Ok(id)
    };
    let tags = [cached::user(caller.id), cached::lists(caller.id)];
    let id = cached::write(&state.cache, tags, write).await?;
    Ok(Json(detail_of(&state, caller, id, zone).await?))
}

async fn enter(
    tx: &mut Transaction,
    code: &str,
    caller: Caller,
    zone: AskedZone,
) -> Result<Uuid, Problem> {
    let now = now();
    let found: Option<FoundRow> = query(FIND)
        .bind(code)
        .bind(caller.id)
        .fetch_optional(&mut *tx)
        .await?;
    let Some((id, name, status, end, creator, own_name, timezone, membership)) = found else {
        return Err(Problem::not_found("Invalid invite code"));
    };
    refuse_member(membership.as_deref())?;
    let is_over = zone.or(timezone.as_deref()).day(now) > end;
    if is_over || !matches!(status.as_str(), "pending" | "active") {
        return Err(Problem::refused("This challenge is over"));
    }
    let taken = query(TAKE_PLACE).bind(id).bind(now);
    if taken.execute(&mut *tx).await? == 0 {
        return Err(Problem::refused("Challenge is full"));
    }
    let entered = query(ENTER)
        .bind(Uuid::new())
        .bind(id)
        .bind(caller.id)
        .bind(now)
        .execute(&mut *tx)
        .await?;
    if entered == 0 {
        // Another request of the same user was quicker.
        return Err(already());
    }
    let note = Note::new(creator, Kind::MemberJoined)
        .says(
            "New Member!",
            format!("{own_name} joined your challenge '{name}'"),
        )
        .leads_to(format!("/challenges/{id}"))
        .with("challenge_id", id)
        .with("user_id", caller.id);
    tell(tx, vec![note], now).await?;
    Ok(id)
}

fn refuse_member(status: Option<&str>) -> Result<(), Problem> {
    match status {
        Some("active") => Err(already()),
        Some("kicked") => Err(Problem::forbidden("You were removed from this challenge")),
        _ => Ok(()),
    }
}

fn already() -> Problem {
    Problem::refused("You are already a member of this challenge")
}

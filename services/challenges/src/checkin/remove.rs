//! Taking a check-in back.
//!
//! All numbers that counted it count it no more. One of today takes its points with it, and, if it
//! was the only one of the day, the day of the streak; older ones leave streaks and points alone.

use axum::extract::State as FromState;
use axum::http::StatusCode;
use chrono::{DateTime, NaiveDate, Utc};
use service_kit::{
    clock::now,
    database::{Text, Transaction, query},
    problem::Problem,
    text,
    uuid::Uuid,
};
use sqlx_macros::FromRow;

use super::{
    create::bind_streak,
    record::unknown,
    streak::{Stored, Streak},
};
use crate::{app::State, cached, caller::Caller, day::AskedZone, path::PathId};

/// `$1` check-in. What a check-in locks is locked here in the same order.
pub(crate) const FIND: Text = text!(
    "
SELECT k.user_id, k.challenge_id, k.habit_id, k.checkin_date, k.points, p.timezone,
    m.id AS member_id, m.current_streak, m.longest_streak, m.last_checkin_date, m.streak_ends_at,
    m.prior_streak, m.prior_longest, m.prior_date, m.prior_ends_at, m.last_checkin_at, m.prior_checkin_at
FROM check_ins AS k
JOIN challenge_members AS m ON m.challenge_id = k.challenge_id AND m.user_id = k.user_id
JOIN user_profiles AS p ON p.id = k.user_id
WHERE k.id = $1"
    { "" | "
FOR NO KEY UPDATE OF m, p" });

pub(crate) const STREAK_OF_PROFILE: &str = "
SELECT p.current_streak, p.longest_streak, p.last_checkin_date, p.streak_ends_at, p.prior_streak, p.prior_longest,
    p.prior_date, p.prior_ends_at
FROM user_profiles AS p
WHERE p.id = $1";

pub(crate) const DELETE: &str = "
DELETE FROM check_ins
WHERE id = $1";

/// `$1` challenge, `$2` day, `$3` user. When the last one that is left was made.
pub(crate) const LEFT_IN_CHALLENGE: &str = "
SELECT max(k.created_at)
FROM check_ins AS k
WHERE k.challenge_id = $1
  AND k.checkin_date = $2
  AND k.user_id = $3";

/// `$1` user, `$2` day.
pub(crate) const LEFT_ANYWHERE: &str = "
SELECT EXISTS (SELECT 1 FROM check_ins AS k WHERE k.user_id = $1 AND k.checkin_date = $2)";

pub(crate) const UNCOUNT_MEMBER: &str = "
UPDATE challenge_members
SET total_checkins = total_checkins - 1,
    points_earned = points_earned - $2,
    last_checkin_at = $3,
    current_streak = $4, longest_streak = $5, last_checkin_date = $6, streak_ends_at = $7
WHERE id = $1";

pub(crate) const UNCOUNT_PROFILE: &str = "
UPDATE user_profiles
SET total_check_ins = total_check_ins - 1,
    points = points - $2,
    current_streak = $3, longest_streak = $4, last_checkin_date = $5, streak_ends_at = $6
WHERE id = $1";

pub(crate) const UNCOUNT_HABIT: &str = "
UPDATE challenge_habits
SET total_checkins = total_checkins - 1
WHERE challenge_id = $1
  AND habit_id = $2";

#[derive(FromRow)]
struct FoundRow {
    user_id: Uuid,
    challenge_id: Uuid,
    habit_id: Uuid,
    checkin_date: NaiveDate,
    points: i64,
    timezone: Option<String>,
    member_id: Uuid,
    #[sqlx(flatten)]
    member: Stored,
    last_checkin_at: Option<DateTime<Utc>>,
    prior_checkin_at: Option<DateTime<Utc>>,
}

/// What is left of a day when a check-in is gone.
struct Left {
    last_at: Option<DateTime<Utc>>,
    in_challenge: Streak,
    anywhere: Streak,
    points: i64,
}

/// Take a check-in back
///
/// One of today goes with its points and its part of the streak.
#[utoipa::path(delete, path = "/api/v1/checkins/{id}/", tag = "check-ins", security(("bearer" = [])), params(
    ("id" = Uuid, Path, description = "The check-in"),
), responses(
    (status = 204, description = "Done"),
    (status = 403, description = "It is another user's"),
    (status = 404, description = "There is no such check-in"),
))]
#[tracing::instrument(name = "checkins.remove", skip_all)]
pub(crate) async fn remove(
    FromState(state): FromState<State>,
    caller: Caller,
    PathId(id): PathId,
    zone: AskedZone,
) -> Result<StatusCode, Problem> {
    let database = state.database.clone();
    let write = move |_| async move {
        let mut tx = database.begin().await?;
        take_back(&mut tx, id, caller, zone).await?;
        tx.commit().await?;
        Ok(())
    };
    let tags = [cached::user(caller.id), cached::lists(caller.id)];
    cached::write(&state.cache, tags, write).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn take_back(
    tx: &mut Transaction,
    id: Uuid,
    caller: Caller,
    zone: AskedZone,
) -> Result<(), Problem> {
    let found: Option<FoundRow> = query(FIND).bind(id).fetch_optional(&mut *tx).await?;
    let found = found.ok_or_else(unknown)?;
    if found.user_id != caller.id {
        return Err(Problem::forbidden("You can only delete your own check-ins"));
    }
    // Two requests may have found it.
    if query(DELETE).bind(id).execute(&mut *tx).await? == 0 {
        return Err(unknown());
    }
    let today = zone.or(found.timezone.as_deref()).day(now());
    let left = found.left(tx, found.checkin_date == today).await?;
    let member = query(UNCOUNT_MEMBER)
        .bind(found.member_id)
        .bind(left.points)
        .bind(left.last_at);
    bind_streak(member, &left.in_challenge)
        .execute(&mut *tx)
        .await?;
    let profile = query(UNCOUNT_PROFILE).bind(caller.id).bind(left.points);
    bind_streak(profile, &left.anywhere)
        .execute(&mut *tx)
        .await?;
    let habit = query(UNCOUNT_HABIT)
        .bind(found.challenge_id)
        .bind(found.habit_id);
    habit.execute(tx).await?;
    Ok(())
}

impl FoundRow {
    async fn left(&self, tx: &mut Transaction, is_today: bool) -> Result<Left, sqlx::Error> {
        // Read with its row locked.
        let profile: Stored = query(STREAK_OF_PROFILE)
            .bind(self.user_id)
            .fetch_one(&mut *tx)
            .await?;
        if !is_today {
            return Ok(Left {
                last_at: self.last_checkin_at,
                in_challenge: self.member.streak(),
                anywhere: profile.streak(),
                points: 0,
            });
        }
        let last_at: Option<DateTime<Utc>> = query(LEFT_IN_CHALLENGE)
            .bind(self.challenge_id)
            .bind(self.checkin_date)
            .bind(self.user_id)
            .fetch_scalar(&mut *tx)
            .await?;
        let anywhere: bool = query(LEFT_ANYWHERE)
            .bind(self.user_id)
            .bind(self.checkin_date)
            .fetch_scalar(tx)
            .await?;
        Ok(Left {
            in_challenge: match last_at {
                Some(_) => self.member.streak(),
                None => self.member.without(self.checkin_date),
            },
            last_at: last_at.or(self.prior_checkin_at),
            anywhere: match anywhere {
                true => profile.streak(),
                false => profile.without(self.checkin_date),
            },
            points: self.points,
        })
    }
}

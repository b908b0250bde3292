//! Checking in: the check-in with all that it changes in one transaction.
//!
//! Membership and profile are locked first, so that of a user's check-ins one follows the other.

use axum::{Json, extract::State as FromState, http::StatusCode};
use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use service_kit::{
    body::Body,
    clock::now,
    database::{Query, Text, Transaction, query},
    fields::{bound_any, check},
    problem::{Fields, Problem},
    text,
    uuid::Uuid,
};
use sqlx_macros::FromRow;

use super::{
    record::{Checkin, LONGEST_CAPTION},
    streak::{Advance, Stored, Streak},
};
use crate::{
    app::State,
    cached,
    caller::Caller,
    challenge::{status_on, unknown},
    day::{AskedZone, Zone},
    web_address::web_address,
};

/// A habit that was kept today.
#[derive(Deserialize, utoipa::ToSchema)]
pub(crate) struct NewCheckin {
    #[schema(required, nullable = false)]
    challenge_id: Option<Uuid>,
    #[schema(required, nullable = false)]
    habit_id: Option<Uuid>,
    #[schema(max_length = 500, pattern = r"^[^\x00]*$")]
    caption: Option<String>,
    /// `http` or `https`.
    #[schema(
        max_length = 2048,
        pattern = r"^\s*https?://[^\s/?#\x00-\x1f\x7f-\x9f][^\s\x00-\x1f\x7f-\x9f]*\s*$"
    )]
    photo_url: Option<String>,
    /// `http` or `https`.
    #[schema(
        max_length = 2048,
        pattern = r"^\s*https?://[^\s/?#\x00-\x1f\x7f-\x9f][^\s\x00-\x1f\x7f-\x9f]*\s*$"
    )]
    video_url: Option<String>,
}

/// A check-in and what it did.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct CheckedIn {
    checkin: Checkin,
    /// Days in a row in the challenge.
    new_streak: i64,
    points_earned: i64,
    /// Whether a day was missed before.
    is_streak_broken: bool,
    message: String,
}

/// `$1` challenge, `$2` habit, `$3` caller. A transaction of SQLite that writes is alone anyway.
pub(crate) const FIND: Text = text!(
    "
SELECT c.status, c.start_date, c.end_date, c.checkin_type, c.require_evidence, m.status AS member_status, p.timezone,
    (SELECT h.id FROM challenge_habits AS h WHERE h.challenge_id = c.id AND h.habit_id = $2) AS habit,
    m.id AS member_id, m.current_streak, m.longest_streak, m.last_checkin_date, m.streak_ends_at,
    m.prior_streak, m.prior_longest, m.prior_date, m.prior_ends_at, m.last_checkin_at,
    p.current_streak AS p_current_streak, p.longest_streak AS p_longest_streak,
    p.last_checkin_date AS p_last_checkin_date, p.streak_ends_at AS p_streak_ends_at,
    p.prior_streak AS p_prior_streak, p.prior_longest AS p_prior_longest, p.prior_date AS p_prior_date,
    p.prior_ends_at AS p_prior_ends_at
FROM challenge_members AS m
JOIN challenges AS c ON c.id = m.challenge_id
JOIN user_profiles AS p ON p.id = m.user_id
WHERE m.challenge_id = $1
  AND m.user_id = $3"
    { "" | "
FOR NO KEY UPDATE OF m, p" });

pub(crate) const INSERT: &str = "
INSERT INTO check_ins (id, challenge_id, habit_id, user_id, checkin_date, photo_url, video_url, caption, points, created_at, updated_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10)
ON CONFLICT (challenge_id, habit_id, user_id, checkin_date) DO NOTHING";

pub(crate) const COUNT_MEMBER: &str = "
UPDATE challenge_members
SET total_checkins = total_checkins + 1,
    points_earned = points_earned + $2,
    last_checkin_at = $3,
    prior_checkin_at = CASE WHEN $4 THEN last_checkin_at ELSE prior_checkin_at END,
    current_streak = $5, longest_streak = $6, last_checkin_date = $7, streak_ends_at = $8,
    prior_streak = $9, prior_longest = $10, prior_date = $11, prior_ends_at = $12
WHERE id = $1";

pub(crate) const COUNT_PROFILE: &str = "
UPDATE user_profiles
SET total_check_ins = total_check_ins + 1,
    points = points + $2,
    current_streak = $3, longest_streak = $4, last_checkin_date = $5, streak_ends_at = $6,
    prior_streak = $7, prior_longest = $8, prior_date = $9, prior_ends_at = $10
WHERE id = $1";

pub(crate) const COUNT_HABIT: &str = "
UPDATE challenge_habits
SET total_checkins = total_checkins + 1
WHERE id = $1";

/// The streak of a profile, whose columns have the names of those of a membership.
#[derive(FromRow)]
struct OfProfile {
    p_current_streak: i64,
    p_longest_streak: i64,
    p_last_checkin_date: Option<NaiveDate>,
    p_streak_ends_at: Option<DateTime<Utc>>,
    p_prior_streak: i64,
    p_prior_longest: i64,
    p_prior_date: Option<NaiveDate>,
    p_prior_ends_at: Option<DateTime<Utc>>,
}

#[derive(FromRow)]
struct FoundRow {
    status: String,
    start_date: NaiveDate,
    end_date: NaiveDate,
    checkin_type: String,
    require_evidence: bool,
    member_status: String,
    timezone: Option<String>,
    habit: Option<Uuid>,
    member_id: Uuid,
    #[sqlx(flatten)]
    member: Stored,
    #[sqlx(flatten)]
    profile: OfProfile,
}

/// Check in
///
/// Once a day for each habit of a challenge.
#[utoipa::path(post, path = "/api/v1/checkins/", tag = "check-ins", security(("bearer" = [])), request_body = NewCheckin, responses(
    (status = 201, description = "The check-in and what it earned", body = CheckedIn),
    (status = 400, description = "It was made today already, there is no evidence, the habit is no part of the challenge, or the challenge is not active"),
    (status = 403, description = "The caller does not take part"),
    (status = 404, description = "There is no such challenge"),
))]
#[tracing::instrument(name = "checkins.create", skip_all)]
pub(crate) async fn create(
    FromState(state): FromState<State>,
    caller: Caller,
    zone: AskedZone,
    Body(new): Body<NewCheckin>,
) -> Result<(StatusCode, Json<CheckedIn>), Problem> {
    let checked = Checked::read(new)?;
    let database = state.database.clone();
    let write = move |_| async move {
        let mut tx = database.begin().await?;
        let done = checked.carry_out(&mut tx, caller.id, zone).await?;
        tx.commit().await?;
        Ok(done)
    };
    let tags = [cached::user(caller.id), cached::lists(caller.id)];
    let done = cached::write(&state.cache, tags, write).await?;
    Ok((StatusCode::CREATED, Json(done)))
}

struct Checked {
    challenge: Uuid,
    habit: Uuid,
    caption: Option<String>,
    photo_url: Option<String>,
    video_url: Option<String>,
}

impl Checked {
    fn read(new: NewCheckin) -> Result<Self, Problem> {
        let mut fields = Fields::new();
        let mut id = |name: &str, id: Option<Uuid>| {
            if id.is_none() {
                fields.insert(name.to_owned(), "is required".to_owned());
            }
            id.unwrap_or_default()
        };
        let (challenge, habit) = (
            id("challenge_id", new.challenge_id),
            id("habit_id", new.habit_id),
        );
        bound_any(
            "caption",
            new.caption.as_deref(),
            LONGEST_CAPTION,
            &mut fields,
        );
        let checked = Self {
            challenge,
            habit,
            caption: new.caption.filter(|caption| !caption.trim().is_empty()),
            photo_url: web_address("photo_url", new.photo_url, &mut fields),
            video_url: web_address("video_url", new.video_url, &mut fields),
        };
        check(fields)?;
        Ok(checked)
    }

    async fn carry_out(
        self,
        tx: &mut Transaction,
        caller: Uuid,
        zone: AskedZone,
    ) -> Result<CheckedIn, Problem> {
        let now = now();
        let found: Option<FoundRow> = query(FIND)
            .bind(self.challenge)
            .bind(self.habit)
            .bind(caller)
            .fetch_optional(&mut *tx)
            .await?;
        let Some(found) = found else {
            return Err(why_nobody(tx, self.challenge).await?);
        };
        let zone = zone.or(found.timezone.as_deref());
        let today = zone.day(now);
        let habit = self.allowed(&found, today)?;
        let (advance, profile) = found.advance(today, zone);
        let made = self.insert(tx, caller, &advance, today, now).await?;
        count_member(found.member_id, &advance, now)
            .execute(&mut *tx)
            .await?;
        count_profile(caller, &advance, &profile)
            .execute(&mut *tx)
            .await?;
        query(COUNT_HABIT).bind(habit).execute(tx).await?;
        Ok(CheckedIn::of(made, &advance))
    }

    /// The habit as part of the challenge, if it can be kept now.
    fn allowed(&self, found: &FoundRow, today: NaiveDate) -> Result<Uuid, Problem> {
        if found.member_status != "active" {
            return Err(Problem::forbidden(
                "You are not an active member of this challenge",
            ));
        }
        let habit = found
            .habit
            .ok_or_else(|| Problem::refused("The habit is not part of this challenge"))?;
        let refused = match status_on(&found.status, found.start_date, today) {
            "active" if today < found.start_date => "The challenge has not started yet",
            "active" if today > found.end_date => "The challenge has ended",
            "active" if found.require_evidence && !self.is_evident(&found.checkin_type) => {
                "Evidence is required: send a photo, a video or a caption as the challenge asks"
            }
            "active" => return Ok(habit),
            "pending" => "The challenge has not started yet",
            _ => "The challenge is not active",
        };
        Err(Problem::refused(refused))
    }

    /// A caption always does.
    fn is_evident(&self, checkin_type: &str) -> bool {
        let photo = self.photo_url.is_some();
        let video = self.video_url.is_some();
        self.caption.is_some()
            || match checkin_type {
                "photo" => photo,
                "video" => video,
                "caption" => false,
                _ => photo || video,
            }
    }

    async fn insert(
        self,
        tx: &mut Transaction,
        caller: Uuid,
        advance: &Advance,
        today: NaiveDate,
        now: DateTime<Utc>,
    ) -> Result<Checkin, Problem> {
        let id = Uuid::new();
        let made = query(INSERT)
            .bind(id)
            .bind(self.challenge)
            .bind(self.habit)
            .bind(caller)
            .bind(today)
            .bind(self.photo_url.as_deref())
            .bind(self.video_url.as_deref())
            .bind(self.caption.as_deref())
            .bind(advance.points)
            .bind(now)
            .execute(tx)
            .await?;
        if made == 0 {
            return Err(Problem::refused("Already checked in today"));
        }
        Ok(Checkin {
            id,
            challenge_id: self.challenge,
            habit_id: self.habit,
            user_id: caller,
            checkin_date: today,
            status: "completed".to_owned(),
            photo_url: self.photo_url,
            video_url: self.video_url,
            caption: self.caption,
            is_on_time: true,
            points: advance.points,
            created_at: now,
            updated_at: now,
        })
    }
}

impl FoundRow {
    /// In the challenge, and over all challenges.
    fn advance(&self, today: NaiveDate, zone: Zone) -> (Advance, Advance) {
        let one = &self.profile;
        let profile = Stored {
            current_streak: one.p_current_streak,
            longest_streak: one.p_longest_streak,
            last_checkin_date: one.p_last_checkin_date,
            streak_ends_at: one.p_streak_ends_at,
            prior_streak: one.p_prior_streak,
            prior_longest: one.p_prior_longest,
            prior_date: one.p_prior_date,
            prior_ends_at: one.p_prior_ends_at,
        };
        (
            self.member.advance(today, zone),
            profile.advance(today, zone),
        )
    }
}

impl CheckedIn {
    fn of(checkin: Checkin, advance: &Advance) -> Self {
        let (streak, points) = (advance.streak.current, advance.points);
        let message = match advance.is_broken {
            true => format!("Check-in successful! Your streak was reset. Earned {points} points."),
            false => format!(
                "Check-in successful! Current streak: {streak} days! Earned {points} points."
            ),
        };
        Self {
            checkin,
            new_streak: streak,
            points_earned: points,
            is_streak_broken: advance.is_broken,
            message,
        }
    }
}

fn count_member(id: Uuid, advance: &Advance, now: DateTime<Utc>) -> Query {
    let count = query(COUNT_MEMBER)
        .bind(id)
        .bind(advance.points)
        .bind(now)
        .bind(advance.is_first);
    bind_streak(bind_streak(count, &advance.streak), &advance.prior)
}

fn count_profile(id: Uuid, member: &Advance, profile: &Advance) -> Query {
    let count = query(COUNT_PROFILE).bind(id).bind(member.points);
    bind_streak(bind_streak(count, &profile.streak), &profile.prior)
}

/// The four columns of a streak.
pub(super) fn bind_streak(query: Query, streak: &Streak) -> Query {
    query
        .bind(streak.current)
        .bind(streak.longest)
        .bind(streak.last)
        .bind(streak.ends_at)
}

pub(crate) const EXISTS: &str = "
SELECT c.id
FROM challenges AS c
WHERE c.id = $1";

/// Why somebody has no membership there.
async fn why_nobody(tx: &mut Transaction, challenge: Uuid) -> Result<Problem, Problem> {
    let found: Option<(Uuid,)> = query(EXISTS).bind(challenge).fetch_optional(tx).await?;
    Ok(match found {
        Some(_) => Problem::forbidden("You are not an active member of this challenge"),
        None => unknown(),
    })
}

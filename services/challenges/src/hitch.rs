//! Hitches: reminding others of a habit that they have not kept today.
//!
//! A member has two for a challenge. One goes with each call, whatever the number of those who are
//! reminded. Who has kept the habit already, or was reminded of it by the same member today, is
//! passed over.

use axum::{Json, extract::State as FromState};
use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use service_kit::{
    body::Body,
    clock::now,
    database::{Text, Transaction, Value, insert_rows_or, query},
    fields::check,
    problem::{Fields, Problem},
    text,
    uuid::Uuid,
};
use sqlx_macros::FromRow;

use crate::{
    app::State,
    cached,
    caller::Caller,
    challenge,
    day::{AskedZone, before},
    notification::{Kind, Note, tell},
    wording::coded,
};

/// Whom to remind of what.
#[derive(Deserialize, utoipa::ToSchema)]
pub(crate) struct Hitch {
    #[schema(required, nullable = false)]
    challenge_id: Option<Uuid>,
    #[schema(required, nullable = false)]
    habit_id: Option<Uuid>,
    #[schema(required, nullable = false, min_items = 1, max_items = 10)]
    target_user_ids: Option<Vec<Uuid>>,
}

/// What became of it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Hitched {
    success: bool,
    /// How many were reminded.
    hitches_sent: usize,
    /// How many more times the caller may, in this challenge.
    remaining_hitches: i64,
    message: String,
}

const MOST_TARGETS: usize = 10;

/// `$1` challenge, `$2` habit, `$3` caller. The membership is locked: hitches are not spent twice.
pub(crate) const FIND: Text = text!(
    "
SELECT c.name AS challenge_name, m.id AS member_id, m.status, m.hitch_count, p.display_name, p.timezone,
    (
        SELECT coalesce(ch.custom_name, h.name)
        FROM challenge_habits AS ch
        JOIN habits AS h ON h.id = ch.habit_id
        WHERE ch.challenge_id = c.id
          AND ch.habit_id = $2
    ) AS habit_name
FROM challenge_members AS m
JOIN challenges AS c ON c.id = m.challenge_id
JOIN user_profiles AS p ON p.id = m.user_id
WHERE m.challenge_id = $1
  AND m.user_id = $3"
    { "" | "
FOR NO KEY UPDATE OF m" });

/// `$1` challenge, `$2` habit, `$3` ids, `$4` the day before the earliest one that it may be for
/// anybody. With the last day on which each has kept the habit.
pub(crate) const TARGETS: Text = text!(
    "
SELECT m.user_id, p.timezone,
    (
        SELECT max(k.checkin_date)
        FROM check_ins AS k
        WHERE k.challenge_id = m.challenge_id
          AND k.habit_id = $2
          AND k.user_id = m.user_id
          AND k.checkin_date >= $4
    ) AS kept
FROM challenge_members AS m
JOIN user_profiles AS p ON p.id = m.user_id
WHERE m.challenge_id = $1
  AND m.status = 'active'
  AND m.user_id "
    { "IN (SELECT value FROM json_each($3))" | "= ANY($3)" }
    "
ORDER BY m.user_id");

const LOG: &str = "INSERT INTO hitch_log (id, challenge_id, habit_id, sender_id, target_id, created_at, hitch_date)";
const NEW_ONES: &str = " ON CONFLICT DO NOTHING RETURNING target_id";

pub(crate) const SPEND: &str = "
UPDATE challenge_members
SET hitch_count = hitch_count - 1
WHERE id = $1
RETURNING hitch_count";

#[derive(FromRow)]
struct Sender {
    challenge_name: String,
    member_id: Uuid,
    status: String,
    hitch_count: i64,
    display_name: String,
    timezone: Option<String>,
    habit_name: Option<String>,
}

#[derive(FromRow)]
struct Target {
    user_id: Uuid,
    timezone: Option<String>,
    kept: Option<NaiveDate>,
}

/// Remind others of a habit
#[utoipa::path(post, path = "/api/v1/hitch/", tag = "hitches", security(("bearer" = [])), request_body = Hitch, responses(
    (status = 200, description = "They are reminded", body = Hitched),
    (status = 400, description = "The caller has no hitches left, or nobody of them is to be reminded"),
    (status = 403, description = "The caller does not take part"),
    (status = 404, description = "There is no such challenge, or no such habit in it"),
))]
#[tracing::instrument(name = "hitch.send", skip_all)]
pub(crate) async fn send(
    FromState(state): FromState<State>,
    caller: Caller,
    zone: AskedZone,
    Body(hitch): Body<Hitch>,
) -> Result<Json<Hitched>, Problem> {
    let wanted = Wanted::read(hitch, caller)?;
    let database = state.database.clone();
    let write = move |_| async move {
        let mut tx = database.begin().await?;
        let hitched = wanted.carry_out(&mut tx, zone).await?;
        tx.commit().await?;
        Ok(hitched)
    };
    let tags = [cached::user(caller.id), cached::lists(caller.id)];
    Ok(Json(cached::write(&state.cache, tags, write).await?))
}

struct Wanted {
    challenge: Uuid,
    habit: Uuid,
    sender: Uuid,
    targets: Vec<Uuid>,
}

impl Wanted {
    fn read(hitch: Hitch, caller: Caller) -> Result<Self, Problem> {
        let mut fields = Fields::new();
        let mut id = |name: &str, id: Option<Uuid>| {
            if id.is_none() {
                fields.insert(name.to_owned(), "is required".to_owned());
            }
            id.unwrap_or_default()
        };
        let (challenge, habit) = (
            id("challenge_id", hitch.challenge_id),
            id("habit_id", hitch.habit_id),
        );
        let mut targets = hitch.target_user_ids.unwrap_or_default();
        let message = match targets.len() {
            0 => Some("is required"),
            1..=MOST_TARGETS => None,
            _ => Some("must be one to ten users"),
        };
        if let Some(message) = message {
            fields.insert("target_user_ids".to_owned(), message.to_owned());
        }
        check(fields)?;
        if targets.contains(&caller.id) {
            let problem = Problem::refused("You cannot remind yourself");
            return Err(coded(problem, "invalid_target"));
        }
        targets.sort_unstable();
        targets.dedup();
        Ok(Self {
            challenge,
            habit,
            sender: caller.id,
            targets,
        })
    }

    async fn carry_out(&self, tx: &mut Transaction, zone: AskedZone) -> Result<Hitched, Problem> {
        let now = now();
        let (sender, habit) = self.sender(tx).await?;
        let today = zone.or(sender.timezone.as_deref()).day(now);
        let targets = self.targets(tx, now).await?;
        let told = self.log(tx, targets, today, now).await?;
        if told.is_empty() {
            let why = "Nobody of them is an active member who has not kept the habit or been reminded today";
            return Err(coded(Problem::refused(why), "no_valid_targets"));
        }
        let sent = told.len();
        let notes = told
            .into_iter()
            .map(|target| self.note(target, &sender, &habit));
        tell(tx, notes.collect(), now).await?;
        let spend = query(SPEND).bind(sender.member_id);
        let remaining: i64 = spend.fetch_scalar(tx).await?;
        Ok(Hitched {
            success: true,
            hitches_sent: sent,
            remaining_hitches: remaining,
            message: format!("Sent {sent} hitch reminder(s)"),
        })
    }

    async fn sender(&self, tx: &mut Transaction) -> Result<(Sender, String), Problem> {
        let found: Option<Sender> = query(FIND)
            .bind(self.challenge)
            .bind(self.habit)
            .bind(self.sender)
            .fetch_optional(&mut *tx)
            .await?;
        let not_active = || {
            let problem = Problem::forbidden("You are not an active member of this challenge");
            coded(problem, "not_a_member")
        };
        let Some(sender) = found else {
            let exists: Option<(Uuid,)> = query(crate::checkin::EXISTS)
                .bind(self.challenge)
                .fetch_optional(tx)
                .await?;
            return Err(match exists {
                Some(_) => not_active(),
                None => coded(challenge::unknown(), "challenge_not_found"),
            });
        };
        if sender.status != "active" {
            return Err(not_active());
        }
        let Some(habit) = sender.habit_name.clone() else {
            let problem = Problem::not_found("Habit not found in this challenge");
            return Err(coded(problem, "habit_not_found"));
        };
        if sender.hitch_count <= 0 {
            let problem = Problem::refused("You have no hitches left in this challenge");
            return Err(coded(problem, "no_hitches_remaining"));
        }
        Ok((sender, habit))
    }

    /// Those who take part and have not kept the habit on their own day.
    async fn targets(
        &self,
        tx: &mut Transaction,
        now: DateTime<Utc>,
    ) -> Result<Vec<Uuid>, sqlx::Error> {
        let targets: Vec<Target> = query(TARGETS)
            .bind(self.challenge)
            .bind(self.habit)
            .bind(self.targets.clone())
            .bind(before(now.date_naive()))
            .fetch_all(tx)
            .await?;
        let open = targets.into_iter().filter(|target| {
            let today = AskedZone::none().or(target.timezone.as_deref()).day(now);
            target.kept.is_none_or(|kept| kept < today)
        });
        Ok(open.map(|target| target.user_id).collect())
    }

    /// Those who were not reminded today.
    async fn log(
        &self,
        tx: &mut Transaction,
        targets: Vec<Uuid>,
        today: NaiveDate,
        now: DateTime<Utc>,
    ) -> Result<Vec<Uuid>, sqlx::Error> {
        if targets.is_empty() {
            return Ok(targets);
        }
        let row = |target: Uuid| -> Vec<Value> {
            vec![
                Uuid::new().into(),
                self.challenge.into(),
                self.habit.into(),
                self.sender.into(),
                target.into(),
                now.into(),
                today.into(),
            ]
        };
        let rows = targets.into_iter().map(row).collect();
        let new: Vec<(Uuid,)> = insert_rows_or(LOG, rows, NEW_ONES).fetch_all(tx).await?;
        Ok(new.into_iter().map(|(target,)| target).collect())
    }

    fn note(&self, target: Uuid, sender: &Sender, habit: &str) -> Note {
        let body = format!(
            "{} reminds you of '{habit}' in '{}'",
            sender.display_name, sender.challenge_name
        );
        Note::new(target, Kind::HitchReminder)
            .says("Reminder: Check-in needed! 🔔", body)
            .leads_to(format!("/challenges/{}", self.challenge))
            .with("challenge_id", self.challenge)
            .with("habit_id", self.habit)
            .with("sender_id", self.sender)
            .with("habit_name", habit)
    }
}

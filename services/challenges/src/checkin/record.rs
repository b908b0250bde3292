//! A check-in as it is shown.

use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;
use service_kit::{problem::Problem, uuid::Uuid};
use sqlx_macros::FromRow;

pub(super) const LONGEST_CAPTION: usize = 500;

/// The columns of [`Checkin`], of `check_ins AS k`.
pub(super) const COLUMNS: &str = "k.id, k.challenge_id, k.habit_id, k.user_id, k.checkin_date, k.status, k.photo_url, k.video_url, k.caption,
    k.is_on_time, k.points, k.created_at, k.updated_at";

/// That a habit was kept on a day.
#[derive(Debug, Clone, FromRow, Serialize, utoipa::ToSchema)]
pub(crate) struct Checkin {
    pub(super) id: Uuid,
    pub(super) challenge_id: Uuid,
    pub(super) habit_id: Uuid,
    pub(super) user_id: Uuid,
    /// On the clock of who made it.
    pub(super) checkin_date: NaiveDate,
    pub(super) status: String,
    pub(super) photo_url: Option<String>,
    pub(super) video_url: Option<String>,
    pub(super) caption: Option<String>,
    pub(super) is_on_time: bool,
    /// What it earned.
    pub(super) points: i64,
    pub(super) created_at: DateTime<Utc>,
    pub(super) updated_at: DateTime<Utc>,
}

pub(super) fn unknown() -> Problem {
    Problem::not_found("Check-in not found")
}

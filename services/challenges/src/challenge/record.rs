//! What a challenge is, whoever looks at it.

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use service_kit::{problem::Problem, uuid::Uuid};
use sqlx_macros::FromRow;

/// What a challenge may be.
pub(crate) const STATUSES: [&str; 5] = ["pending", "active", "completed", "failed", "archived"];
pub(crate) const TYPES: [&str; 2] = ["individual", "group"];
pub(crate) const CHECKIN_TYPES: [&str; 4] = ["photo", "video", "caption", "any"];

pub(crate) const LONGEST_NAME: usize = 200;
pub(crate) const LONGEST_DESCRIPTION: usize = 2000;
pub(crate) const MOST_MEMBERS: i64 = 50;

/// The columns of [`ChallengeRow`], of `challenges AS c`.
pub(crate) const COLUMNS: &str = "c.id AS challenge_id, c.name, c.description, c.type, c.status AS stored_status, c.start_date, c.end_date,
    CAST(c.duration_days AS BIGINT) AS duration_days, c.checkin_type, c.require_evidence, c.is_public, c.max_members,
    c.member_count, c.created_at, c.updated_at, c.created_by, c.invite_code";

/// A challenge.
#[derive(Debug, Clone, FromRow, Serialize, Deserialize)]
pub(crate) struct ChallengeRow {
    pub(crate) challenge_id: Uuid,
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    #[sqlx(rename = "type")]
    pub(crate) kind: String,
    stored_status: String,
    pub(crate) start_date: NaiveDate,
    pub(crate) end_date: NaiveDate,
    pub(crate) duration_days: i64,
    pub(crate) checkin_type: String,
    pub(crate) require_evidence: bool,
    pub(crate) is_public: bool,
    pub(crate) max_members: i64,
    pub(crate) member_count: i64,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) updated_at: DateTime<Utc>,
    pub(crate) created_by: Uuid,
    pub(crate) invite_code: String,
}

/// A challenge as everybody who may see it sees it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct ChallengeBase {
    id: Uuid,
    name: String,
    description: Option<String>,
    /// individual or group.
    #[serde(rename = "type")]
    kind: String,
    /// pending, active, completed, failed or archived. A pending one is active from its first day.
    status: String,
    start_date: NaiveDate,
    end_date: NaiveDate,
    /// From the first day to the last one, without the last one.
    duration_days: i64,
    /// photo, video, caption or any.
    checkin_type: String,
    require_evidence: bool,
    is_public: bool,
    max_members: i64,
    /// Members that take part.
    member_count: i64,
    created_at: DateTime<Utc>,
    created_by: Uuid,
}

impl ChallengeRow {
    /// What it is on this day.
    pub(crate) fn status(&self, today: NaiveDate) -> &str {
        status_on(&self.stored_status, self.start_date, today)
    }

    /// As it is on this day.
    pub(crate) fn base(&self, today: NaiveDate) -> ChallengeBase {
        ChallengeBase {
            status: self.status(today).to_owned(),
            id: self.challenge_id,
            name: self.name.clone(),
            description: self.description.clone(),
            kind: self.kind.clone(),
            start_date: self.start_date,
            end_date: self.end_date,
            duration_days: self.duration_days,
            checkin_type: self.checkin_type.clone(),
            require_evidence: self.require_evidence,
            is_public: self.is_public,
            max_members: self.max_members,
            member_count: self.member_count,
            created_at: self.created_at,
            created_by: self.created_by,
        }
    }
}

/// What a challenge that is stored with this status is on this day: a pending one begins by itself.
pub(crate) fn status_on(stored: &str, start: NaiveDate, today: NaiveDate) -> &str {
    match stored {
        "pending" if start <= today => "active",
        stored => stored,
    }
}

/// The condition that a challenge has this status on the day `$today`.
pub(crate) fn has_status(status: &str, today: &str) -> String {
    match status {
        "active" => {
            format!("(c.status = 'active' OR (c.status = 'pending' AND c.start_date <= {today}))")
        }
        "pending" => format!("(c.status = 'pending' AND c.start_date > {today})"),
        "completed" => "c.status = 'completed'".to_owned(),
        "failed" => "c.status = 'failed'".to_owned(),
        _ => "c.status = 'archived'".to_owned(),
    }
}

/// Which share of the check-ins that were possible somebody has made, in per cent.
///
/// All days count, the last one too, whether or not they are over.
pub(crate) fn completion(checkins: i64, duration_days: i64, habits: i64) -> f64 {
    share(checkins, (duration_days + 1) * habits)
}

/// A share in per cent, with two decimals; nothing of nothing is nothing.
pub(crate) fn share(part: i64, whole: i64) -> f64 {
    if whole <= 0 {
        return 0.0;
    }
    let percent = part as f64 / whole as f64 * 100.0;
    (percent * 100.0).round() / 100.0
}

pub(crate) fn unknown() -> Problem {
    Problem::not_found("Challenge not found")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pending_challenge_begins_on_its_first_day() {
        let day = |text: &str| text.parse::<NaiveDate>().unwrap();
        let start = day("2026-03-02");
        assert_eq!(status_on("pending", start, day("2026-03-01")), "pending");
        assert_eq!(status_on("pending", start, start), "active");
        assert_eq!(status_on("archived", start, start), "archived");
    }

    #[test]
    fn shares_have_two_decimals() {
        assert_eq!(share(1, 3), 33.33);
        assert_eq!(share(2, 3), 66.67);
        assert_eq!((share(0, 0), share(5, 5)), (0.0, 100.0));
        assert_eq!(completion(4, 1, 2), 100.0);
    }
}

//! Who may see what is in a challenge: its members, and those who have left.

use chrono::NaiveDate;
use serde::Serialize;
use service_kit::{
    clock::now,
    database::{Database, query},
    problem::Problem,
    uuid::Uuid,
};
use sqlx_macros::FromRow;

use super::record::{COLUMNS, ChallengeRow, share, unknown};
use crate::{caller::Caller, day::AskedZone, membership::MemberStats};

/// A challenge with one of its habits, and how the caller takes part in it.
#[derive(FromRow)]
struct AccessRow {
    #[sqlx(flatten)]
    challenge: ChallengeRow,
    timezone: Option<String>,
    my_role: Option<String>,
    my_status: Option<String>,
    my_current: Option<i64>,
    my_ends_at: Option<chrono::DateTime<chrono::Utc>>,
    my_longest: Option<i64>,
    my_total: Option<i64>,
    my_points: Option<i64>,
    my_hitches: Option<i64>,
    habit_id: Option<Uuid>,
    habit_name: Option<String>,
    habit_icon: Option<String>,
    habit_description: Option<String>,
    display_order: Option<i64>,
    habit_total: Option<i64>,
}

/// A challenge that the caller may look into.
pub(crate) struct Access {
    pub(crate) challenge: ChallengeRow,
    /// Today on the clock of the caller.
    pub(crate) today: NaiveDate,
    pub(crate) role: String,
    pub(crate) status: String,
    pub(crate) stats: MemberStats,
    /// In their order.
    pub(crate) habits: Vec<ChallengeHabit>,
}

/// A habit of a challenge.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub(crate) struct ChallengeHabit {
    pub(crate) habit_id: Uuid,
    pub(crate) name: String,
    icon: Option<String>,
    description: Option<String>,
    display_order: i64,
    /// Of all members.
    pub(crate) total_checkins: i64,
    /// Which share of the check-ins that its members could have made by now were made, in per cent.
    pub(crate) completion_rate: f64,
}

/// `$1` challenge, `$2` caller.
static READ: std::sync::LazyLock<String> = std::sync::LazyLock::new(|| {
    format!(
        "SELECT {COLUMNS}, p.timezone,
    m.role AS my_role, m.status AS my_status, m.current_streak AS my_current, m.streak_ends_at AS my_ends_at,
    m.longest_streak AS my_longest, m.total_checkins AS my_total, m.points_earned AS my_points,
    m.hitch_count AS my_hitches,
    h.id AS habit_id, coalesce(ch.custom_name, h.name) AS habit_name,
    coalesce(ch.custom_icon, h.icon) AS habit_icon, coalesce(ch.description, h.description) AS habit_description,
    ch.display_order, ch.total_checkins AS habit_total
FROM challenges AS c
LEFT JOIN user_profiles AS p ON p.id = $2
LEFT JOIN challenge_members AS m ON m.challenge_id = c.id AND m.user_id = $2
LEFT JOIN challenge_habits AS ch ON ch.challenge_id = c.id
LEFT JOIN habits AS h ON h.id = ch.habit_id
WHERE c.id = $1"
    )
});

impl Access {
    /// A challenge, for its members and for those who have left it.
    ///
    /// # Errors
    /// 404 when there is no such challenge, 403 when the caller is no member or was sent away.
    pub(crate) async fn read(
        database: &Database,
        challenge: Uuid,
        caller: Caller,
        zone: AskedZone,
    ) -> Result<Self, Problem> {
        let rows: Vec<AccessRow> = query(READ.as_str())
            .bind(challenge)
            .bind(caller.id)
            .fetch_all(database.read())
            .await?;
        Self::of(rows, zone)
    }

    fn of(rows: Vec<AccessRow>, zone: AskedZone) -> Result<Self, Problem> {
        let first = rows.first().ok_or_else(unknown)?;
        let (Some(role), Some("active" | "left"), Some(status)) =
            (&first.my_role, first.my_status.as_deref(), &first.my_status)
        else {
            return Err(Problem::forbidden("You are not a member of this challenge"));
        };
        let now = now();
        let today = zone.or(first.timezone.as_deref()).day(now);
        let challenge = first.challenge.clone();
        let mut habits: Vec<_> = rows
            .iter()
            .filter_map(|row| row.habit(&challenge, today))
            .collect();
        habits.sort_by_key(|habit| (habit.display_order, habit.habit_id));
        Ok(Self {
            role: role.clone(),
            status: status.clone(),
            stats: MemberStats::new(
                (first.my_current.unwrap_or_default(), first.my_ends_at, now),
                first.my_longest.unwrap_or_default(),
                first.my_total.unwrap_or_default(),
                first.my_points.unwrap_or_default(),
                first.my_hitches.unwrap_or_default(),
            ),
            habits,
            challenge,
            today,
        })
    }
}

impl AccessRow {
    fn habit(&self, challenge: &ChallengeRow, today: NaiveDate) -> Option<ChallengeHabit> {
        let total = self.habit_total.unwrap_or_default();
        let days = (today.min(challenge.end_date) - challenge.start_date).num_days() + 1;
        let possible = days.max(0) * challenge.member_count;
        Some(ChallengeHabit {
            habit_id: self.habit_id?,
            name: self.habit_name.clone()?,
            icon: self.habit_icon.clone(),
            description: self.habit_description.clone(),
            display_order: self.display_order.unwrap_or_default(),
            total_checkins: total,
            // Those who have left made some, too.
            completion_rate: share(total, possible).min(100.0),
        })
    }
}

//! How somebody takes part in a challenge.

use chrono::{DateTime, Utc};
use serde::Serialize;
use service_kit::uuid::Uuid;
use sqlx_macros::FromRow;

use crate::checkin::lasting;

/// What a member has done.
#[derive(Debug, Clone, Copy, Serialize, utoipa::ToSchema)]
pub(crate) struct MemberStats {
    /// Days in a row; 0 when one was missed.
    pub(crate) current_streak: i64,
    longest_streak: i64,
    pub(crate) total_checkins: i64,
    pub(crate) points_earned: i64,
    /// How many more hitches the member may send.
    hitch_count: i64,
}

impl MemberStats {
    /// The streak is as stored, with its end and the present.
    pub(crate) fn new(
        (streak, ends_at, now): (i64, Option<DateTime<Utc>>, DateTime<Utc>),
        longest_streak: i64,
        total_checkins: i64,
        points_earned: i64,
        hitch_count: i64,
    ) -> Self {
        Self {
            current_streak: lasting(streak, ends_at, now),
            longest_streak,
            total_checkins,
            points_earned,
            hitch_count,
        }
    }
}

/// A member as stored, with name and picture.
#[derive(Debug, FromRow)]
pub(crate) struct MemberRow {
    id: Uuid,
    pub(crate) user_id: Uuid,
    pub(crate) display_name: String,
    pub(crate) avatar_url: Option<String>,
    role: String,
    pub(crate) status: String,
    current_streak: i64,
    streak_ends_at: Option<DateTime<Utc>>,
    longest_streak: i64,
    total_checkins: i64,
    points_earned: i64,
    hitch_count: i64,
    joined_at: DateTime<Utc>,
    left_at: Option<DateTime<Utc>>,
    last_checkin_at: Option<DateTime<Utc>>,
}

/// A member.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Member {
    id: Uuid,
    user_id: Uuid,
    display_name: String,
    avatar_url: Option<String>,
    /// creator, admin or member.
    role: String,
    /// pending, active, left or kicked.
    status: String,
    stats: MemberStats,
    joined_at: DateTime<Utc>,
    left_at: Option<DateTime<Utc>>,
    last_checkin_at: Option<DateTime<Utc>>,
}

/// `$1` challenge, `$2` how many. The first ones first, whatever their status.
pub(crate) const MEMBERS: &str = "
SELECT m.id, m.user_id, p.display_name, p.avatar_url, m.role, m.status, m.current_streak, m.streak_ends_at,
    m.longest_streak, m.total_checkins, m.points_earned, m.hitch_count, m.joined_at, m.left_at, m.last_checkin_at
FROM challenge_members AS m
JOIN user_profiles AS p ON p.id = m.user_id
WHERE m.challenge_id = $1
ORDER BY m.joined_at, m.id
LIMIT $2";

/// Members that are shown: fifty take part at most, but any number may have left.
pub(crate) const MOST_SHOWN: i64 = 500;

impl MemberRow {
    pub(crate) fn stats(&self, now: DateTime<Utc>) -> MemberStats {
        MemberStats::new(
            (self.current_streak, self.streak_ends_at, now),
            self.longest_streak,
            self.total_checkins,
            self.points_earned,
            self.hitch_count,
        )
    }

    pub(crate) fn shown(self, now: DateTime<Utc>) -> Member {
        Member {
            stats: self.stats(now),
            id: self.id,
            user_id: self.user_id,
            display_name: self.display_name,
            avatar_url: self.avatar_url,
            role: self.role,
            status: self.status,
            joined_at: self.joined_at,
            left_at: self.left_at,
            last_checkin_at: self.last_checkin_at,
        }
    }
}

//! A profile as it is stored, cached and shown.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use service_kit::{
    database::{Database, query},
    problem::Problem,
    uuid::Uuid,
};
use sqlx_macros::FromRow;

use crate::{app::State, cached, checkin::lasting};

/// A profile with its numbers.
#[derive(Debug, Clone, FromRow, Serialize, Deserialize)]
pub(crate) struct Profile {
    pub(crate) id: Uuid,
    pub(crate) email: String,
    full_name: Option<String>,
    display_name: String,
    avatar_url: Option<String>,
    bio: Option<String>,
    account_type: String,
    organization_id: Option<Uuid>,
    pub(crate) timezone: Option<String>,
    current_streak: i64,
    streak_ends_at: Option<DateTime<Utc>>,
    longest_streak: i64,
    pub(crate) total_check_ins: i64,
    total_challenges_completed: i64,
    points: i64,
    created_at: DateTime<Utc>,
    last_seen_at: Option<DateTime<Utc>>,
    active_challenges: i64,
    friend_count: i64,
}

/// What somebody has done.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Stats {
    /// Days in a row; 0 when one was missed.
    current_streak: i64,
    longest_streak: i64,
    total_check_ins: i64,
    total_challenges_completed: i64,
    points: i64,
}

/// What somebody has done, and with whom.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct FullStats {
    #[serde(flatten)]
    stats: Stats,
    /// Challenges in which they take part.
    active_challenges: i64,
    friend_count: i64,
}

/// Who one is.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Me {
    id: Uuid,
    email: String,
    full_name: Option<String>,
    display_name: String,
    avatar_url: Option<String>,
    bio: Option<String>,
    account_type: String,
    stats: Stats,
    created_at: DateTime<Utc>,
}

/// One's own profile.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct UserProfile {
    id: Uuid,
    email: String,
    full_name: Option<String>,
    display_name: String,
    avatar_url: Option<String>,
    bio: Option<String>,
    account_type: String,
    organization_id: Option<Uuid>,
    /// Days begin and end by it; UTC where it is not set.
    timezone: Option<String>,
    stats: FullStats,
    created_at: DateTime<Utc>,
    last_seen_at: Option<DateTime<Utc>>,
}

/// The profile of somebody else.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct OtherProfile {
    id: Uuid,
    display_name: String,
    avatar_url: Option<String>,
    bio: Option<String>,
    stats: FullStats,
    is_you: bool,
}

/// The columns of [`Profile`], of `user_profiles AS p`.
pub(super) const COLUMNS: &str = "p.id, p.email, p.full_name, p.display_name, p.avatar_url, p.bio, p.account_type, p.organization_id, p.timezone,
    p.current_streak, p.streak_ends_at, p.longest_streak, p.total_check_ins, p.total_challenges_completed, p.points,
    p.created_at, p.last_seen_at,
    (SELECT count(*) FROM challenge_members AS m WHERE m.user_id = p.id AND m.status = 'active') AS active_challenges,
    (SELECT count(*) FROM friendships AS f WHERE f.requester_id = p.id AND f.status = 'accepted')
    + (SELECT count(*) FROM friendships AS f WHERE f.addressee_id = p.id AND f.status = 'accepted') AS friend_count";

static READ: std::sync::LazyLock<String> = std::sync::LazyLock::new(|| {
    format!("SELECT {COLUMNS}\nFROM user_profiles AS p\nWHERE p.id = $1")
});

async fn read(database: &Database, id: Uuid) -> Result<Option<Profile>, sqlx::Error> {
    let profile = query(READ.as_str()).bind(id);
    profile.fetch_optional(database.read()).await
}

/// The profile of a user: from the cache, or with one statement.
pub(crate) async fn of(state: &State, id: Uuid) -> Result<Option<Arc<Profile>>, Problem> {
    let database = state.database.clone();
    let load = move || async move { read(&database, id).await };
    let key = format!("user_profile:{id}");
    let tags = [cached::user(id)];
    cached::find(&state.cache, &key, &state.policies.profile, tags, load).await
}

impl Profile {
    /// As of now: a streak that was not continued is none.
    pub(crate) fn stats(&self, now: DateTime<Utc>) -> Stats {
        Stats {
            current_streak: lasting(self.current_streak, self.streak_ends_at, now),
            longest_streak: self.longest_streak,
            total_check_ins: self.total_check_ins,
            total_challenges_completed: self.total_challenges_completed,
            points: self.points,
        }
    }

    pub(crate) fn full_stats(&self, now: DateTime<Utc>) -> FullStats {
        FullStats {
            stats: self.stats(now),
            active_challenges: self.active_challenges,
            friend_count: self.friend_count,
        }
    }

    pub(crate) fn me(&self, now: DateTime<Utc>) -> Me {
        Me {
            id: self.id,
            email: self.email.clone(),
            full_name: self.full_name.clone(),
            display_name: self.display_name.clone(),
            avatar_url: self.avatar_url.clone(),
            bio: self.bio.clone(),
            account_type: self.account_type.clone(),
            stats: self.stats(now),
            created_at: self.created_at,
        }
    }

    pub(super) fn own(&self, now: DateTime<Utc>) -> UserProfile {
        UserProfile {
            id: self.id,
            email: self.email.clone(),
            full_name: self.full_name.clone(),
            display_name: self.display_name.clone(),
            avatar_url: self.avatar_url.clone(),
            bio: self.bio.clone(),
            account_type: self.account_type.clone(),
            organization_id: self.organization_id,
            timezone: self.timezone.clone(),
            stats: self.full_stats(now),
            created_at: self.created_at,
            last_seen_at: self.last_seen_at,
        }
    }

    pub(super) fn seen_by(self, caller: Uuid, now: DateTime<Utc>) -> OtherProfile {
        OtherProfile {
            stats: self.full_stats(now),
            is_you: self.id == caller,
            id: self.id,
            display_name: self.display_name,
            avatar_url: self.avatar_url,
            bio: self.bio,
        }
    }
}

//! What is cached, what it depends on, and how it is written.
//!
//! | what | key | kept | depends on |
//! |---|---|---|---|
//! | a profile with its numbers | `user_profile:{id}` | 5 minutes | `user:{id}` |
//! | a page of a user's challenges | `challenges:{user}:{filters}:{page}` | 1 minute | `user-lists:{user}` |
//!
//! A page belongs to one user: the invite code is its creator's only, and the role differs. Who
//! changes a challenge looks up its members and invalidates the pages of all of them.
//!
//! Nothing that changes with time alone is cached: whether a streak still counts and whether a
//! challenge has begun is found out at each answer.

use std::time::Duration;

pub(crate) use service_kit::cache::{find, write};
use service_kit::{
    config::ConfigError,
    database::{Database, query},
    uuid::Uuid,
};
use speedwell_cache::{Policy, Write};

/// To be raised when what is cached changes its meaning.
pub(crate) const VERSION: u64 = 1;

/// How long things are kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Policies {
    pub(crate) profile: Policy,
    pub(crate) list: Policy,
}

/// Founding paper 003: profiles 5 minutes, lists 1 minute.
const PROFILE: Duration = Duration::from_secs(300);
const LIST: Duration = Duration::from_secs(60);

impl Policies {
    /// `CACHE`: `on`, the default, or `off`, where nothing is kept.
    pub(crate) fn from_lookup(
        lookup: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        let (profile, list) = match lookup("CACHE").as_deref() {
            None | Some("" | "on") => (PROFILE, LIST),
            Some("off") => (Duration::ZERO, Duration::ZERO),
            Some(other) => {
                return Err(ConfigError {
                    variable: "CACHE",
                    problem: format!("`{other}` is neither on nor off"),
                    remedy: "write on or off".to_owned(),
                });
            }
        };
        Ok(Self {
            profile: Policy::new(profile).negative_ttl(Duration::ZERO),
            list: Policy::new(list),
        })
    }
}

/// Of the profile of a user.
pub(crate) fn user(id: Uuid) -> String {
    format!("user:{id}")
}

/// Of the pages of challenges of a user.
pub(crate) fn lists(id: Uuid) -> String {
    format!("user-lists:{id}")
}

/// All members, whatever their status: who has left still has the challenge in some list.
pub(crate) const MEMBERS_OF: &str = "
SELECT m.user_id
FROM challenge_members AS m
WHERE m.challenge_id = $1";

/// Adds the pages of all members of a challenge to what a write invalidates, and their profiles if
/// `profiles`. To be called when it has committed: who joined just before, and read their
/// challenges just before, is found only then.
pub(crate) async fn also_members_of(
    write: &Write,
    database: &Database,
    challenge: Uuid,
    profiles: bool,
) {
    let found: Result<Vec<(Uuid,)>, sqlx::Error> = query(MEMBERS_OF)
        .bind(challenge)
        .fetch_all(database.read())
        .await;
    match found {
        Ok(found) => {
            let tags = found
                .iter()
                .flat_map(|(id,)| std::iter::once(lists(*id)).chain(profiles.then(|| user(*id))));
            // Only a strict cache refuses, and before the commit.
            let _told = write.also(tags).await;
        }
        Err(error) => {
            tracing::warn!(%error, "the members are not known: they see the change within a minute");
        }
    }
}

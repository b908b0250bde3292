//! Invented data of a real shape: the same for the same numbers.
//!
//! `scale` users (at least 200). How much they do together, by their number:
//!
//! | users | check-ins | notifications | friendships | memberships |
//! |---|---|---|---|---|
//! | up to 1000 | 200 each | 25 each | 13 each | 9.5 each |
//! | 10 000 | 250 000 | 60 000 | 50 000 | 45 000 |
//! | 100 000 | 400 000 | 150 000 | 150 000 | 150 000 |
//!
//! In between it is on a straight line, above as many each as at 100 000. Challenges have 4 to 50
//! members.
//!
//! The first 200 users do as much as those of a small database at every scale: about 200 check-ins,
//! 14 friends or more, requests in both directions, 28 notifications or more of which some are
//! unread; a challenge of their own with room for many, five or more that others have made and that
//! go on for two months at least, one or two completed, one that they have left. They have not
//! checked in today and have sent no reminder; the file of users names what they can do next.
//!
//! Every counter, point and streak is what the check-ins say by the rules of the service. Everybody
//! lives by UTC. All accounts have the same password with the same salt, hashed once: a seeded
//! database holds no secrets.
//!
//! Dates count back from the last full hour, so two runs within an hour give the same
//! rows; [`Plan::run_at`] fixes them for good.

mod amounts;
mod challenge;
mod checkin;
mod friends;
mod groups;
mod habit;
mod hitches;
mod listed;
mod member;
mod notices;
mod person;
mod streak;
mod words;
mod world;
mod write;

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
pub use service_kit::seed::SeedError;
use service_kit::{
    database::{Database, Transaction},
    password,
    seed::{self, last_full_hour},
    token::Tokens,
};

use self::{
    world::World,
    write::{ASIDE, TABLES},
};

/// The password of every seeded account.
pub const PASSWORD: &str = "Correct-horse1";

/// What to make.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// Users.
    pub scale: u32,
    /// Where the random numbers begin.
    pub seed: u64,
    /// Throw away what is there.
    pub replace: bool,
    /// Where to write the first users with what is theirs.
    pub users_csv: Option<PathBuf>,
    /// What signs the bearer tokens in that file; without it they are empty.
    pub tokens: Option<Tokens>,
}

/// What was made.
#[derive(Debug, Clone, Copy)]
pub struct Done {
    /// Users.
    pub users: usize,
    /// Challenges.
    pub challenges: usize,
    /// Memberships, those that have ended too.
    pub members: usize,
    /// Check-ins.
    pub check_ins: usize,
    /// Friendships, and requests.
    pub friendships: usize,
    /// Notifications.
    pub notifications: usize,
    /// How long it took.
    pub took: Duration,
}

/// Fills a migrated database in one transaction.
///
/// # Errors
/// It is not empty, it fails, or the CSV file cannot be written. Nothing is left behind in the
/// database.
pub async fn run(database: &Database, plan: &Plan) -> Result<Done, SeedError> {
    plan.run_at(database, last_full_hour()).await
}

impl Plan {
    /// Like [`run`], with the present given.
    ///
    /// # Errors
    /// As [`run`].
    pub async fn run_at(&self, database: &Database, now: DateTime<Utc>) -> Result<Done, SeedError> {
        let started = Instant::now();
        let hash = password::hash_with_salt(PASSWORD, b"challenges seed salt")
            .map_err(|_| SeedError::Password)?;
        // Before anything is invented: that takes a while, which no transaction should last.
        TABLES.refuse_users(database.write(), self.replace).await?;
        let world = World::new(self.scale, self.seed, now);
        let mut transaction = database.begin().await?;
        self.fill(&mut transaction, &world, &hash).await?;
        // Before the commit: a file that cannot be written leaves the database as it was.
        if let Some(path) = &self.users_csv {
            seed::write_file(path, &listed::text(&world, self.tokens.as_ref())?)?;
        }
        transaction.commit().await?;
        TABLES.finish(database).await?;
        Ok(world.done(started.elapsed()))
    }

    async fn fill(&self, tx: &mut Transaction, world: &World, hash: &str) -> Result<(), SeedError> {
        seed::take_time(tx).await?;
        let aside = ASIDE.put(tx).await?;
        TABLES.make_room(tx, self.replace).await?;
        write::people(tx, world, hash).await?;
        write::challenges(tx, world).await?;
        write::check_ins(tx, world).await?;
        write::friends(tx, world).await?;
        write::told(tx, world).await?;
        aside.put_back(tx).await?;
        Ok(())
    }
}

impl World {
    fn done(&self, took: Duration) -> Done {
        Done {
            users: self.people.len(),
            challenges: self.groups.challenges.len(),
            members: self.groups.members.len(),
            check_ins: self.check_ins.len(),
            friendships: self.friends.all.len(),
            notifications: self.notices.len(),
            took,
        }
    }
}

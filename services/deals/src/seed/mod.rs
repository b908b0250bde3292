//! Invented data of a real shape: the same for the same numbers.
//!
//! `scale` listings with 200 processors and other parts, by `scale / 20` users (at least 200).
//! The first 200 users each have a collection of exactly 100 items and one of 150 (or of all
//! listings, where there are fewer), public for the odd ones and private for the even ones; each
//! tenth of them one of 500 items where there are so many listings. All users have up to four
//! smaller collections. Every public or unlisted collection has a link.
//!
//! `scale / 10` links to listings (at least 200), one of them by each of the first 200 users.
//! `scale / 10` deals from user to user (at least 400), and three more to each of the first 200
//! users that have not been looked at. Nobody sent a deal within the last two hours.
//!
//! Dates count back from the last full hour, so two runs within an hour give the same
//! rows; [`Plan::run_at`] fixes them for good.

mod catalog;
mod collection;
mod links;
mod listed;
mod listing;
mod parts;
mod share;
mod words;
mod world;
mod write;

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use chrono::{DateTime, SubsecRound as _, Utc};
pub use service_kit::seed::SeedError;
use service_kit::{
    database::Database,
    seed::{self, last_full_hour},
    token::Tokens,
};

use self::{
    world::World,
    write::{SEARCH, TABLES},
};

/// What to make.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// Listings.
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
    pub users: i64,
    /// Listings.
    pub listings: i64,
    /// Collections.
    pub collections: i64,
    /// Items of all collections.
    pub items: i64,
    /// Links to listings, and deals from user to user.
    pub shares: i64,
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
        let mut world = World::new(self.scale, self.seed, now.trunc_subsecs(6));
        let mut transaction = database.begin().await?;
        seed::take_time(&mut transaction).await?;
        let search = SEARCH.put(&mut transaction).await?;
        TABLES.make_room(&mut transaction, self.replace).await?;
        if self.replace {
            // The same rows get the same ids again.
            write::continue_ids(&mut transaction).await?;
        }
        write::parts(&mut transaction, &world).await?;
        write::users(&mut transaction, &world).await?;
        write::listings(&mut transaction, &mut world).await?;
        let (collections, items) = write::collections(&mut transaction, &mut world).await?;
        let shares = write::shares(&mut transaction, &mut world).await?;
        write::continue_ids(&mut transaction).await?;
        search.put_back(&mut transaction).await?;
        // Before the commit: a file that cannot be written leaves the database as it was.
        if let Some(path) = &self.users_csv {
            seed::write_file(path, &listed::text(&world, self.tokens.as_ref())?)?;
        }
        transaction.commit().await?;
        TABLES.finish(database).await?;
        Ok(Done {
            users: world.users(),
            listings: i64::from(self.scale),
            collections,
            items,
            shares,
            took: started.elapsed(),
        })
    }
}

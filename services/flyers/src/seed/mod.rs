//! Invented data of a real shape: the same for the same numbers.
//!
//! `scale` flyers by `scale / 10` users (at least 200), within 50 km of Zurich. How many
//! flyers a user has follows Zipf's law, cut off at 200. 30 % of the flyers have expired,
//! two thirds of those still marked active, as check-on-read leaves them; 3 % are
//! scheduled. Every user has the same password with the same salt, hashed once: a seeded
//! database holds no secrets.
//!
//! With a file of users and a place for pictures there are 200 flyers more, one for each user in
//! the file, to be deleted by an audit: live, older than all others (on no first page), with
//! five pictures of their own and 1000 favorites of users who are not in the file. Where there
//! are fewer than 1200 users, all others like it: 199 favorites more for each user at a scale of
//! 1000 flyers, 200 at 10 000; at 100 000 some 20 for those who are not in the file.
//!
//! Dates count back from the last full hour, so two runs within an hour give the same
//! rows; [`Plan::run_at`] fixes them for good.

mod gallery;
mod make;
mod photo;
mod words;
mod write;

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use service_kit::{
    database::Database,
    image::ImageError,
    seed::{self, last_full_hour},
    storage::{Storage, StorageError},
};

pub use self::photo::{PhotoError, photo, write_photos};
use self::{
    gallery::Gallery,
    make::Maker,
    write::{SEARCH, TABLES},
};

/// The password of every seeded user.
pub const PASSWORD: &str = "Flyers-2024";
/// Users written to the CSV file.
const USERS_IN_CSV: i64 = 200;

/// What to make.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// Flyers.
    pub scale: u32,
    /// Where the random numbers begin.
    pub seed: u64,
    /// Throw away what is there.
    pub replace: bool,
    /// Where to write e-mail, password and id of the first users. With `storage` each of them
    /// gets one flyer more, to be deleted, which is named there too.
    pub users_csv: Option<PathBuf>,
    /// Where to write pictures; without it there are rows only.
    pub storage: Option<Storage>,
}

/// What was made.
#[derive(Debug, Clone, Copy)]
pub struct Done {
    /// Users.
    pub users: i64,
    /// Flyers.
    pub flyers: i64,
    /// Pictures of flyers, in rows. They share a few files.
    pub images: i64,
    /// How long it took.
    pub took: Duration,
}

/// Why nothing was made.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    /// As with any service.
    #[error(transparent)]
    Filling(#[from] seed::SeedError),
    /// The database failed.
    #[error("the database failed while seeding: {0}")]
    Database(#[from] sqlx::Error),
    /// The pictures cannot be written.
    #[error("cannot write the pictures (OBJECT_STORE_URL): {0}")]
    Storage(#[from] StorageError),
    /// The pictures cannot be made.
    #[error("cannot make the pictures: {0}")]
    Picture(#[from] ImageError),
}

/// Fills a migrated database in one transaction.
///
/// # Errors
/// It is not empty, it fails, or the CSV file cannot be written. Nothing is left behind.
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
        let hash = service_kit::password::hash_with_salt(PASSWORD, b"flyers seed salt")
            .map_err(|_| seed::SeedError::Password)?;
        let mut maker = Maker::new(self.scale, self.seed, now);
        let gallery = match (&self.storage, &self.users_csv) {
            (Some(_), Some(_)) => Some(Gallery::make()?),
            _ => None,
        };
        if let Some(storage) = &self.storage {
            gallery::write_samples(storage).await?;
        }
        let listed = USERS_IN_CSV.min(maker.users());
        let mut transaction = database.begin().await?;
        seed::take_time(&mut transaction).await?;
        let search = SEARCH.put(&mut transaction).await?;
        let left_over = write::make_room(&mut transaction, self.replace).await?;
        write::users(&mut transaction, &mut maker, &hash).await?;
        let images = write::flyers(&mut transaction, &mut maker).await?;
        write::engagement(&mut transaction, &mut maker, listed).await?;
        let doomed = match &gallery {
            Some(gallery) => write::doomed(&mut transaction, &mut maker, listed, gallery).await?,
            None => Vec::new(),
        };
        write::continue_ids(&mut transaction).await?;
        search.put_back(&mut transaction).await?;
        transaction.commit().await?;
        if let Some(storage) = &self.storage {
            // In this order: the same numbers give the same names again.
            storage.discard(left_over).await?.delete().await;
            if let Some(gallery) = &gallery {
                gallery.write(storage, &doomed).await?;
            }
        }
        TABLES.finish(database).await?;
        if let Some(path) = &self.users_csv {
            seed::write_file(path, &csv(&maker, listed, gallery.is_some()))?;
        }
        Ok(Done {
            users: maker.users(),
            flyers: i64::from(self.scale),
            images,
            took: started.elapsed(),
        })
    }
}

/// The names need no quotes: letters, digits, dots.
fn csv(maker: &Maker, listed: i64, with_doomed: bool) -> String {
    let mut text = String::from("email,password,user_id");
    text += if with_doomed { ",doomed\n" } else { "\n" };
    for id in 1..=listed {
        text += &format!("{},{PASSWORD},{id}", make::email(id));
        if with_doomed {
            text += &format!(",{}", i64::from(maker.scale()) + id);
        }
        text.push('\n');
    }
    text
}

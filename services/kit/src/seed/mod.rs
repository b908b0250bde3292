//! Databases full of invented data: what the seeds of the services share.
//!
//! A seed draws its rows from [`Dice`], so that the same numbers give the same rows, and writes
//! them in one transaction:
//!
//! ```no_run
//! # use service_kit::{database::{Database, Value}, seed::{self, Cells, SeedError, Tables}};
//! # async fn fill(database: &Database, people: Vec<Cells>) -> Result<(), SeedError> {
//! const TABLES: Tables = Tables {
//!     users: "people",
//!     emptied: &["letters", "people"],
//!     deleted: &[],
//! };
//! let mut transaction = database.begin().await?;
//! seed::take_time(&mut transaction).await?;
//! TABLES.make_room(&mut transaction, false).await?;
//! seed::insert(&mut transaction, "people", people).await?;
//! transaction.commit().await?;
//! TABLES.finish(database).await?;
//! # Ok(())
//! # }
//! ```

mod aside;
mod dice;
mod error;
mod file;
mod room;
mod rows;

use chrono::{DateTime, DurationRound as _, TimeDelta, Utc};

pub use self::{
    aside::{Aside, PutAside},
    dice::Dice,
    error::SeedError,
    file::{bearer, write_file},
    room::{Tables, take_time},
    rows::{Cells, insert},
};

/// The present of invented data: dates count back from it, so that two runs within an hour give
/// the same rows.
pub fn last_full_hour() -> DateTime<Utc> {
    let now = Utc::now();
    now.duration_trunc(TimeDelta::hours(1)).unwrap_or(now)
}

//! The service without its cache: it answers the same.

// Clippy knows test functions, not the functions that they share.
#![allow(clippy::unwrap_used, clippy::panic)]

use service_kit::database::Dialect;

/// What the tests run on.
pub(crate) const DIALECT: Dialect = Dialect::Sqlite;
/// What `CACHE` says.
pub(crate) const CACHE: &str = "off";

#[path = "../service/accounts.rs"]
mod accounts;
#[path = "../service/bad_input.rs"]
mod bad_input;
#[path = "../service/challenges.rs"]
mod challenges;
#[path = "../service/checkins.rs"]
mod checkins;
#[path = "../service/friends.rs"]
mod friends;
#[path = "../service/hitches.rs"]
mod hitches;
#[path = "../service/notifications.rs"]
mod notifications;
#[path = "../service/pictures.rs"]
mod pictures;
#[path = "../service/profiles.rs"]
mod profiles;
#[path = "../service/races.rs"]
mod races;
#[path = "../service/running.rs"]
mod running;
#[path = "../service/statistics.rs"]
mod statistics;

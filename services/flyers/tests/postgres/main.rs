//! The service on PostgreSQL: everything that it does on SQLite, and what only a server can
//! do or fail at.

// Clippy knows test functions, not the functions that they share.
#![allow(clippy::unwrap_used, clippy::panic)]

use service_kit::database::Dialect;

/// What the tests run on.
pub(crate) const DIALECT: Dialect = Dialect::Postgres;

#[path = "../service/accounts.rs"]
mod accounts;
#[path = "../service/agreement.rs"]
mod agreement;
#[path = "../service/availability.rs"]
mod availability;
#[path = "../service/bad_input.rs"]
mod bad_input;
#[path = "../service/bulk.rs"]
mod bulk;
#[path = "../service/combining.rs"]
mod combining;
#[path = "../service/command.rs"]
mod command;
#[path = "../service/crash.rs"]
mod crash;
#[path = "../service/create.rs"]
mod create;
#[path = "../service/delete.rs"]
mod delete;
#[path = "../service/edit.rs"]
mod edit;
#[path = "../service/engagement.rs"]
mod engagement;
#[path = "../service/expire.rs"]
mod expire;
#[path = "../service/faults.rs"]
mod faults;
#[path = "../service/feed.rs"]
mod feed;
#[path = "../service/flyers.rs"]
mod flyers;
#[path = "../service/forms.rs"]
mod forms;
#[path = "../service/gallery.rs"]
mod gallery;
#[path = "../service/lists.rs"]
mod lists;
#[path = "../service/operation.rs"]
mod operation;
mod plans;
#[path = "../service/profile.rs"]
mod profile;
#[path = "../service/relations.rs"]
mod relations;
#[path = "../service/rules.rs"]
mod rules;
#[path = "../service/running.rs"]
mod running;
#[path = "../service/schema.rs"]
mod schema;
#[path = "../service/seeding.rs"]
mod seeding;
#[path = "../service/speed.rs"]
mod speed;
#[path = "../service/statements.rs"]
mod statements;

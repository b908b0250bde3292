//! The service as a client meets it: the real application on a free port over a SQLite file.

// Clippy knows test functions, not the functions that they share.
#![allow(clippy::unwrap_used, clippy::panic)]

mod accounts;
mod bulk;
mod command;
mod faults;
mod feed;
mod flyers;
mod operation;
mod plans;
mod rules;
mod running;
mod seeding;
mod speed;
mod statements;

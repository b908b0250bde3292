//! The service as a client meets it: the real application on a free port over a SQLite file.

mod accounts;
mod faults;
mod feed;
mod flyers;
mod plans;
mod running;
mod seeding;
mod statements;

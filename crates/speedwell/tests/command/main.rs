//! The command, run as its users run it.

#![allow(clippy::unwrap_used)]

mod advise;
mod advise_migrations;
mod advise_sources;
mod arrows;
mod export;
mod faulty;
mod init;
mod interrupt;
mod load;
mod misuse;
mod postgres;
mod support;
mod uploads;

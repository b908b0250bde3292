//! The command, run as its users run it.

#![allow(clippy::unwrap_used)]

mod arrows;
mod faulty;
mod misuse;
mod support;

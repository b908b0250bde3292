#![doc = include_str!("../README.md")]

pub mod body;
pub mod clock;
pub mod config;
pub mod cursor;
pub mod database;
pub mod etag;
pub mod id;
pub mod image;
pub mod metrics;
mod observe;
pub mod page;
pub mod password;
pub mod problem;
pub mod query;
pub mod routes;
pub mod server;
pub mod storage;
pub mod telemetry;
pub mod token;

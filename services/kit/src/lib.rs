#![doc = include_str!("../README.md")]

mod background;
pub mod body;
pub mod breaker;
pub mod cache;
pub mod change;
pub mod clock;
pub mod config;
pub mod cursor;
pub mod database;
mod drain;
pub mod email;
pub mod etag;
pub mod fields;
pub mod forwarded;
pub mod id;
pub mod image;
pub mod limiter;
pub mod login;
pub mod metrics;
pub mod multipart;
pub mod observe;
pub mod openapi;
pub mod page;
pub mod partial;
pub mod password;
pub mod problem;
pub mod query;
pub mod routes;
pub mod seed;
pub mod server;
pub mod storage;
pub mod telemetry;
#[cfg(feature = "testing")]
pub mod testing;
pub mod token;
pub mod uuid;

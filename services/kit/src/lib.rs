#![doc = include_str!("../README.md")]

pub mod body;
pub mod breaker;
pub mod clock;
pub mod config;
pub mod cursor;
pub mod database;
mod drain;
pub mod etag;
pub mod forwarded;
pub mod id;
pub mod image;
pub mod limiter;
pub mod login;
pub mod metrics;
pub mod multipart;
mod observe;
pub mod openapi;
pub mod page;
pub mod password;
pub mod problem;
pub mod query;
pub mod routes;
pub mod server;
pub mod storage;
pub mod telemetry;
pub mod token;

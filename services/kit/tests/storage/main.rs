//! Files over HTTP, from a folder and from a bucket.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod bucket;
mod media;
mod url;

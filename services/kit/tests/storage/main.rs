//! Files over HTTP, from a folder and from a bucket.

mod bucket;
mod media;
mod url;

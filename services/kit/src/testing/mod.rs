//! What the tests of every service need: a database of their own, a client, and sight of what each
//! request did. Only with the feature `testing`.

// A test that cannot have what it needs has failed.
#![allow(clippy::unwrap_used, clippy::panic)]

mod client;
mod place;
mod service;

pub use self::{
    client::{Answer, Client, watch},
    place::Place,
    service::{Service, config, take_time},
};

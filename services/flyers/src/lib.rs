#![doc = include_str!("../README.md")]

mod accounts;
pub mod app;
mod categories;
mod expiry;
pub mod feed;
mod flyer;
pub mod geo;
pub mod geocoder;
mod pictures;
mod search;
pub mod seed;
mod users;
mod web;

/// The schema, in plain SQL.
pub static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("migrations/sqlite");

/// The statements of requests that are one fixed text, by name: for tests of their plans.
/// Those of the lists are made by [`feed::statement::Filter`].
pub const STATEMENTS: &[(&str, &str)] = &[
    ("login", accounts::FIND_LOGIN),
    ("categories", categories::ACTIVE),
    ("count of hits", feed::statement::COUNT_HITS),
    ("user exists", feed::statement::USER_EXISTS),
    ("images of a page", feed::IMAGES_OF),
    ("categories of a page", feed::CATEGORIES_OF),
    ("flyer", flyer::DETAIL),
    ("user", users::USER),
    ("profile", users::PROFILE),
    ("published flyers", users::PUBLISHED),
    ("own flyers", users::OWN),
    ("count of own flyers", users::COUNT_OWN),
];

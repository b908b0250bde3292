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
pub mod surroundings;
mod users;
mod web;

use service_kit::database::{Migrations, Text};

static SQLITE: sqlx::migrate::Migrator = sqlx::migrate!("migrations/sqlite");
static POSTGRES: sqlx::migrate::Migrator = sqlx::migrate!("migrations/postgres");

/// The schema, in plain SQL.
pub const MIGRATIONS: Migrations = Migrations {
    sqlite: &SQLITE,
    postgres: &POSTGRES,
};

/// The statements of requests that are one fixed text, by name: for tests of their plans.
/// Those of the lists are made by [`feed::statement::Filter`].
pub const STATEMENTS: &[(&str, Text)] = &[
    ("login", Text::same(accounts::FIND_LOGIN)),
    ("categories", Text::same(categories::ACTIVE)),
    ("count of hits", feed::statement::COUNT_HITS),
    ("user exists", Text::same(feed::statement::USER_EXISTS)),
    ("images of a page", feed::IMAGES_OF),
    ("categories of a page", feed::CATEGORIES_OF),
    ("flyer", Text::same(flyer::DETAIL)),
    ("user", Text::same(users::USER)),
    ("profile", users::PROFILE),
    ("published flyers", users::PUBLISHED),
    ("own flyers", users::OWN),
    ("count of own flyers", Text::same(users::COUNT_OWN)),
];

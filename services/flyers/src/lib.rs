#![doc = include_str!("../README.md")]

mod accounts;
pub mod app;
mod categories;
mod describe;
mod expiry;
mod favorites;
pub mod feed;
mod flyer;
mod follows;
pub mod geo;
pub mod geocoder;
pub mod pictures;
mod search;
pub mod seed;
pub mod surroundings;
pub mod sweep;
mod users;
mod web;

use service_kit::database::{Migrations, Text};

static SQLITE: sqlx::migrate::Migrator = sqlx_macros::migrate!("migrations/sqlite");
static POSTGRES: sqlx::migrate::Migrator = sqlx_macros::migrate!("migrations/postgres");

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
    ("add a favorite", Text::same(favorites::INSERT)),
    ("favorite since", Text::same(favorites::SINCE)),
    ("remove a favorite", Text::same(favorites::DELETE)),
    ("follow", Text::same(follows::INSERT)),
    ("follows since", Text::same(follows::SINCE)),
    ("unfollow", Text::same(follows::DELETE)),
    ("follow status", Text::same(follows::STATUS)),
    ("flyer", Text::same(flyer::DETAIL)),
    ("flyer to change", Text::same(flyer::READ)),
    ("rows of files", pictures::NAMED),
    ("expired flyers to turn off", sweep::TURN_OFF),
    ("user", Text::same(users::USER)),
    ("profile", users::PROFILE),
    ("published flyers", users::PUBLISHED),
    ("own flyers", users::OWN),
    ("count of own flyers", Text::same(users::COUNT_OWN)),
    ("change a profile", Text::same(users::UPDATE)),
    ("privacy", Text::same(users::PRIVACY)),
    ("change privacy", Text::same(users::CHANGE_PRIVACY)),
];

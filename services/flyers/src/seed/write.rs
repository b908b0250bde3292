//! From invented rows to the database, many rows a statement.

use chrono::{DateTime, Utc};
use service_kit::database::Database;
use sqlx::{AssertSqlSafe, QueryBuilder, Sqlite, Transaction};
use std::collections::BTreeSet;

use super::{
    SeedError,
    make::{Flyer, Maker, User},
};

/// Rows of one INSERT. Sixteen values each stay below the 32 766 that SQLite binds.
const ROWS: usize = 500;

type Tx = Transaction<'static, Sqlite>;

const COUNT_USERS: &str = "SELECT count(*) FROM users AS u";
/// Everything but categories, children before parents: a cascade from the users would
/// look for children of every row, four times as long.
const EMPTY: [&str; 8] = [
    "DELETE FROM favorites",
    "DELETE FROM follows",
    "DELETE FROM flyer_categories",
    "DELETE FROM flyer_images",
    "DELETE FROM flyers",
    "DELETE FROM privacy_settings",
    "DELETE FROM profiles",
    "DELETE FROM users",
];

/// The search index is built once at the end instead of row by row. SQLite only.
const SEARCH_TRIGGERS: &str = "
SELECT name, sql
FROM sqlite_schema
WHERE type = 'trigger'
  AND name IN ('flyers_search_insert', 'flyers_search_delete', 'flyers_search_update')";
const BUILD_SEARCH: &str = "INSERT INTO flyer_search (flyer_search) VALUES ('rebuild')";

/// What keeps the search index up to date, while it is put aside.
pub(super) struct SearchTriggers(Vec<String>);

impl SearchTriggers {
    pub(super) async fn put_aside(tx: &mut Tx) -> Result<Self, sqlx::Error> {
        let triggers: Vec<(String, String)> =
            sqlx::query_as(SEARCH_TRIGGERS).fetch_all(&mut **tx).await?;
        for (name, _) in &triggers {
            // One of three names that stand above.
            let drop = AssertSqlSafe(format!("DROP TRIGGER {name}"));
            sqlx::query(drop).execute(&mut **tx).await?;
        }
        Ok(Self(triggers.into_iter().map(|(_, sql)| sql).collect()))
    }

    /// Builds the index anew and lets it follow the flyers again.
    pub(super) async fn put_back(self, tx: &mut Tx) -> Result<(), sqlx::Error> {
        sqlx::query(BUILD_SEARCH).execute(&mut **tx).await?;
        for sql in self.0 {
            // The text comes from the schema as the migration wrote it.
            sqlx::query(AssertSqlSafe(sql)).execute(&mut **tx).await?;
        }
        Ok(())
    }
}

pub(super) async fn make_room(tx: &mut Tx, replace: bool) -> Result<(), SeedError> {
    let users: i64 = sqlx::query_scalar(COUNT_USERS).fetch_one(&mut **tx).await?;
    if users > 0 && !replace {
        return Err(SeedError::NotEmpty { users });
    }
    if users > 0 {
        for table in EMPTY {
            sqlx::query(table).execute(&mut **tx).await?;
        }
    }
    Ok(())
}

pub(super) async fn users(tx: &mut Tx, maker: &mut Maker, hash: &str) -> Result<(), SeedError> {
    let all: Vec<User> = (1..=maker.users()).map(|id| maker.user(id)).collect();
    for some in all.chunks(ROWS) {
        let mut insert = QueryBuilder::<Sqlite>::new(
            "INSERT INTO users (id, email, username, password_hash, latitude, longitude, created_at, updated_at) ",
        );
        insert.push_values(some, |mut row, user| {
            row.push_bind(user.id)
                .push_bind(&user.email)
                .push_bind(&user.username)
                .push_bind(hash)
                .push_bind(user.place.lat)
                .push_bind(user.place.lng)
                .push_bind(user.created)
                .push_bind(user.created);
        });
        insert.build().persistent(false).execute(&mut **tx).await?;
        let mut insert = QueryBuilder::<Sqlite>::new(
            "INSERT INTO profiles (user_id, name, bio, profile_picture, created_at, updated_at) ",
        );
        insert.push_values(some, |mut row, user| {
            row.push_bind(user.id)
                .push_bind(&user.name)
                .push_bind(user.bio)
                .push_bind(&user.picture)
                .push_bind(user.created)
                .push_bind(user.created);
        });
        insert.build().persistent(false).execute(&mut **tx).await?;
        let mut insert = QueryBuilder::<Sqlite>::new(
            "INSERT INTO privacy_settings (user_id, created_at, updated_at) ",
        );
        insert.push_values(some, |mut row, user| {
            row.push_bind(user.id)
                .push_bind(user.created)
                .push_bind(user.created);
        });
        insert.build().persistent(false).execute(&mut **tx).await?;
    }
    Ok(())
}

/// Gives the number of images.
pub(super) async fn flyers(tx: &mut Tx, maker: &mut Maker) -> Result<i64, SeedError> {
    let numbers: Vec<u32> = (0..maker.scale()).collect();
    let mut images = 0;
    for some in numbers.chunks(ROWS) {
        let flyers: Vec<Flyer> = some.iter().map(|number| maker.flyer(*number)).collect();
        insert_flyers(tx, &flyers).await?;
        images += insert_images(tx, &flyers).await?;
        insert_links(tx, &flyers).await?;
    }
    Ok(images)
}

async fn insert_flyers(tx: &mut Tx, flyers: &[Flyer]) -> Result<(), SeedError> {
    let mut insert = QueryBuilder::<Sqlite>::new(
        "INSERT INTO flyers (id, creator_id, title, caption, info_field_1, info_field_2, \
         location_address, latitude, longitude, publication_date, expiration_date, is_active, \
         search_text, created_at, updated_at) ",
    );
    insert.push_values(flyers, |mut row, flyer| {
        row.push_bind(flyer.id)
            .push_bind(flyer.creator)
            .push_bind(&flyer.title)
            .push_bind(&flyer.caption)
            .push_bind(flyer.info[0])
            .push_bind(flyer.info[1])
            .push_bind(&flyer.address)
            .push_bind(flyer.place.lat)
            .push_bind(flyer.place.lng)
            .push_bind(flyer.publication)
            .push_bind(flyer.expiration)
            .push_bind(flyer.is_active)
            .push_bind(&flyer.search_text)
            .push_bind(flyer.created)
            .push_bind(flyer.created);
    });
    insert.build().execute(&mut **tx).await?;
    Ok(())
}

async fn insert_images(tx: &mut Tx, flyers: &[Flyer]) -> Result<i64, SeedError> {
    let images = flyers.iter().flat_map(|flyer| {
        flyer
            .images
            .iter()
            .zip(0_i64..)
            .map(move |(path, position)| (flyer, path, position))
    });
    let mut count = 0;
    let mut insert = QueryBuilder::<Sqlite>::new(
        "INSERT INTO flyer_images (flyer_id, path, position, created_at) ",
    );
    insert.push_values(images, |mut row, (flyer, path, position)| {
        count += 1;
        row.push_bind(flyer.id)
            .push_bind(path)
            .push_bind(position)
            .push_bind(flyer.created);
    });
    insert.build().persistent(false).execute(&mut **tx).await?;
    Ok(count)
}

async fn insert_links(tx: &mut Tx, flyers: &[Flyer]) -> Result<(), SeedError> {
    let links = flyers.iter().flat_map(|flyer| {
        flyer
            .categories
            .iter()
            .map(move |category| (flyer, category))
    });
    let mut insert = QueryBuilder::<Sqlite>::new(
        "INSERT INTO flyer_categories (flyer_id, category_id, created_at, publication_date, \
         expiration_date, is_active) ",
    );
    insert.push_values(links, |mut row, (flyer, category)| {
        row.push_bind(flyer.id)
            .push_bind(category)
            .push_bind(flyer.created)
            .push_bind(flyer.publication)
            .push_bind(flyer.expiration)
            .push_bind(flyer.is_active);
    });
    insert.build().persistent(false).execute(&mut **tx).await?;
    Ok(())
}

/// Ten favorites a user and five follows on average; user 1 is keen: 1000 and 100.
pub(super) async fn engagement(tx: &mut Tx, maker: &mut Maker) -> Result<(), SeedError> {
    let (users, flyers) = (maker.users(), i64::from(maker.scale()));
    if flyers > 0 {
        let favorites = pairs(maker, users * 10, 1000.min(flyers / 2), flyers);
        insert_pairs(
            tx,
            "INSERT INTO favorites (user_id, flyer_id, created_at) ",
            &favorites,
        )
        .await?;
    }
    let mut follows = pairs(maker, users * 5, 100.min(users / 2), users);
    follows.retain(|(follower, followed, _)| follower != followed);
    insert_pairs(
        tx,
        "INSERT INTO follows (follower_id, followed_id, created_at) ",
        &follows,
    )
    .await
}

fn pairs(maker: &mut Maker, count: i64, keen: i64, bound: i64) -> Vec<(i64, i64, DateTime<Utc>)> {
    let users = maker.users();
    let mut pairs = BTreeSet::new();
    for _ in 0..count {
        pairs.insert((maker.id_up_to(users), maker.id_up_to(bound)));
    }
    for _ in 0..keen {
        pairs.insert((1, maker.id_up_to(bound)));
    }
    pairs
        .into_iter()
        .map(|(user, other)| (user, other, maker.recently()))
        .collect()
}

async fn insert_pairs(
    tx: &mut Tx,
    text: &'static str,
    pairs: &[(i64, i64, DateTime<Utc>)],
) -> Result<(), SeedError> {
    for some in pairs.chunks(ROWS * 4) {
        let mut insert = QueryBuilder::<Sqlite>::new(text);
        insert.push_values(some, |mut row, (user, other, created)| {
            row.push_bind(*user).push_bind(*other).push_bind(*created);
        });
        insert.build().persistent(false).execute(&mut **tx).await?;
    }
    Ok(())
}

/// Statistics for the planner, and the log folded into the file, so that a service that
/// starts on it is not the one to do it.
pub(super) async fn finish(database: &Database) -> Result<(), SeedError> {
    sqlx::query("ANALYZE").execute(database.write()).await?;
    sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)")
        .execute(database.write())
        .await?;
    Ok(())
}

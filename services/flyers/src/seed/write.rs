//! From invented rows to the database, many rows a statement.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use service_kit::{
    database::{Dialect, Transaction, insert_rows, query},
    image::Form,
    seed::{Aside, Tables},
};

use super::{
    SeedError,
    gallery::Gallery,
    make::{Flyer, Maker, User},
};
use crate::{
    pictures::{OF_FLYER, own_files},
    users::OF_PROFILE,
};

/// Rows of one INSERT. Sixteen values each stay below the 32 766 that SQLite binds.
const ROWS: usize = 500;

/// Everything but categories.
pub(super) const TABLES: Tables = Tables {
    users: "users",
    emptied: &[
        "favorites",
        "follows",
        "flyer_categories",
        "flyer_images",
        "flyers",
        "privacy_settings",
        "profiles",
        "users",
    ],
    deleted: &[],
};

/// The search index is built once at the end instead of row by row.
pub(super) const SEARCH: Aside = Aside {
    sqlite: &[
        "flyers_search_delete",
        "flyers_search_insert",
        "flyers_search_update",
    ],
    postgres: &["flyers_search_text"],
    catch_up: Some("INSERT INTO flyer_search (flyer_search) VALUES ('rebuild')"),
};

/// Files that go with the rows.
const OWN_PICTURES: [(&str, &[Form]); 2] = [
    (
        "SELECT path FROM flyer_images AS i WHERE path NOT LIKE 'samples/%'",
        OF_FLYER,
    ),
    (
        "SELECT profile_picture FROM profiles AS p WHERE profile_picture NOT LIKE 'samples/%'",
        OF_PROFILE,
    ),
];

/// Gives the files that no row will name after the commit.
pub(super) async fn make_room(
    tx: &mut Transaction,
    replace: bool,
) -> Result<Vec<String>, SeedError> {
    let users = TABLES.refuse_users(&mut *tx, replace).await?;
    let mut files = Vec::new();
    if users > 0 {
        for (paths, forms) in OWN_PICTURES {
            let paths: Vec<(String,)> = query(paths).fetch_all(&mut *tx).await?;
            files.extend(paths.iter().flat_map(|(path,)| own_files(path, forms)));
        }
        TABLES.empty(tx).await?;
    }
    Ok(files)
}

pub(super) async fn users(
    tx: &mut Transaction,
    maker: &mut Maker,
    hash: &str,
) -> Result<(), SeedError> {
    let all: Vec<User> = (1..=maker.users()).map(|id| maker.user(id)).collect();
    for some in all.chunks(ROWS) {
        let users = some.iter().map(|user| {
            vec![
                user.id.into(),
                (&user.email).into(),
                (&user.username).into(),
                hash.into(),
                user.place.lat.into(),
                user.place.lng.into(),
                user.created.into(),
                user.created.into(),
            ]
        });
        let into = "INSERT INTO users (id, email, username, password_hash, latitude, longitude, created_at, updated_at)";
        insert_rows(into, users.collect()).execute(&mut *tx).await?;
        let profiles = some.iter().map(|user| {
            vec![
                user.id.into(),
                (&user.name).into(),
                user.bio.into(),
                user.picture.clone().into(),
                user.created.into(),
                user.created.into(),
            ]
        });
        let into =
            "INSERT INTO profiles (user_id, name, bio, profile_picture, created_at, updated_at)";
        insert_rows(into, profiles.collect())
            .execute(&mut *tx)
            .await?;
        let privacy = some
            .iter()
            .map(|user| vec![user.id.into(), user.created.into(), user.created.into()]);
        let into = "INSERT INTO privacy_settings (user_id, created_at, updated_at)";
        insert_rows(into, privacy.collect())
            .execute(&mut *tx)
            .await?;
    }
    Ok(())
}

/// Gives the number of images.
pub(super) async fn flyers(tx: &mut Transaction, maker: &mut Maker) -> Result<i64, SeedError> {
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

/// One more flyer for each of the first users, which many others like; for audits of deletion.
/// Gives what their pictures are called.
pub(super) async fn doomed(
    tx: &mut Transaction,
    maker: &mut Maker,
    owners: i64,
    gallery: &Gallery,
) -> Result<Vec<Vec<String>>, SeedError> {
    let flyers: Vec<Flyer> = (1..=owners)
        .map(|user| maker.doomed(user, gallery))
        .collect();
    for some in flyers.chunks(ROWS) {
        insert_flyers(tx, some).await?;
        insert_images(tx, some).await?;
        insert_links(tx, some).await?;
    }
    let mut favorites = Vec::new();
    for flyer in &flyers {
        let fans = maker.fans_of(flyer.creator, owners);
        favorites.extend(fans.map(|user| (user, flyer.id, flyer.created)));
    }
    favorites.sort_unstable();
    insert_pairs(
        tx,
        "INSERT INTO favorites (user_id, flyer_id, created_at)",
        &favorites,
    )
    .await?;
    Ok(flyers.into_iter().map(|flyer| flyer.images).collect())
}

async fn insert_flyers(tx: &mut Transaction, flyers: &[Flyer]) -> Result<(), SeedError> {
    let rows = flyers.iter().map(|flyer| {
        vec![
            flyer.id.into(),
            flyer.creator.into(),
            (&flyer.title).into(),
            (&flyer.caption).into(),
            flyer.info[0].into(),
            flyer.info[1].into(),
            (&flyer.address).into(),
            flyer.place.lat.into(),
            flyer.place.lng.into(),
            flyer.publication.into(),
            flyer.expiration.into(),
            flyer.is_active.into(),
            (&flyer.search_text).into(),
            flyer.created.into(),
            flyer.created.into(),
        ]
    });
    let into = "INSERT INTO flyers (id, creator_id, title, caption, info_field_1, info_field_2, \
         location_address, latitude, longitude, publication_date, expiration_date, is_active, \
         search_text, created_at, updated_at)";
    insert_rows(into, rows.collect()).execute(tx).await?;
    Ok(())
}

async fn insert_images(tx: &mut Transaction, flyers: &[Flyer]) -> Result<i64, SeedError> {
    let rows = flyers.iter().flat_map(|flyer| {
        let images = flyer.images.iter().zip(0_i64..);
        images.map(|(path, position)| {
            vec![
                flyer.id.into(),
                path.into(),
                position.into(),
                flyer.created.into(),
            ]
        })
    });
    let into = "INSERT INTO flyer_images (flyer_id, path, position, created_at)";
    let count = insert_rows(into, rows.collect()).execute(tx).await?;
    Ok(i64::try_from(count).unwrap_or(i64::MAX))
}

async fn insert_links(tx: &mut Transaction, flyers: &[Flyer]) -> Result<(), SeedError> {
    let rows = flyers.iter().flat_map(|flyer| {
        flyer.categories.iter().map(|category| {
            vec![
                flyer.id.into(),
                (*category).into(),
                flyer.created.into(),
                flyer.publication.into(),
                flyer.expiration.into(),
                flyer.is_active.into(),
            ]
        })
    });
    let into = "INSERT INTO flyer_categories (flyer_id, category_id, created_at, publication_date, \
         expiration_date, is_active)";
    insert_rows(into, rows.collect()).execute(tx).await?;
    Ok(())
}

/// Ten favorites a user and five follows on average. The first users are keen, as the papers
/// ask of feeds: 100 of both for the odd ones, 1000 for the even ones, or half of what there is.
pub(super) async fn engagement(
    tx: &mut Transaction,
    maker: &mut Maker,
    keen: i64,
) -> Result<(), SeedError> {
    let (users, flyers) = (maker.users(), i64::from(maker.scale()));
    if flyers > 0 {
        let favorites = pairs(maker, users * 10, keen, flyers);
        let into = "INSERT INTO favorites (user_id, flyer_id, created_at)";
        insert_pairs(tx, into, &favorites).await?;
    }
    let mut follows = pairs(maker, users * 5, keen, users);
    follows.retain(|(follower, followed, _)| follower != followed);
    let into = "INSERT INTO follows (follower_id, followed_id, created_at)";
    insert_pairs(tx, into, &follows).await
}

fn pairs(maker: &mut Maker, count: i64, keen: i64, bound: i64) -> Vec<(i64, i64, DateTime<Utc>)> {
    let users = maker.users();
    let mut pairs = BTreeSet::new();
    for _ in 0..count {
        pairs.insert((maker.id_up_to(users), maker.id_up_to(bound)));
    }
    for user in 1..=keen {
        let wanted = if user % 2 == 1 { 100 } else { 1000 };
        let wanted = usize::try_from(wanted.min(bound / 2)).unwrap_or(0);
        let mut has = pairs.range((user, 0)..(user + 1, 0)).count();
        while has < wanted {
            has += usize::from(pairs.insert((user, maker.id_up_to(bound))));
        }
    }
    pairs
        .into_iter()
        .map(|(user, other)| (user, other, maker.recently()))
        .collect()
}

async fn insert_pairs(
    tx: &mut Transaction,
    into: &'static str,
    pairs: &[(i64, i64, DateTime<Utc>)],
) -> Result<(), SeedError> {
    for some in pairs.chunks(ROWS * 4) {
        let rows = some
            .iter()
            .map(|(user, other, created)| vec![(*user).into(), (*other).into(), (*created).into()]);
        insert_rows(into, rows.collect()).execute(&mut *tx).await?;
    }
    Ok(())
}

/// Ids were given out by the seed; the next one comes from a sequence.
const NEXT_IDS: [&str; 2] = [
    "SELECT setval(pg_get_serial_sequence('users', 'id'), max(id)) FROM users",
    "SELECT setval(pg_get_serial_sequence('flyers', 'id'), max(id)) FROM flyers",
];

pub(super) async fn continue_ids(tx: &mut Transaction) -> Result<(), SeedError> {
    if tx.dialect() == Dialect::Postgres {
        for sequence in NEXT_IDS {
            query(sequence).execute(&mut *tx).await?;
        }
    }
    Ok(())
}

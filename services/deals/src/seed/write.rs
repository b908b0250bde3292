//! From invented rows to the database, many rows a statement.

use chrono::TimeDelta;
use service_kit::database::{Database, Dialect, Text, Transaction, Value, insert_rows, query};

use super::{
    SeedError, catalog,
    collection::{self, Collection, Kind},
    listing::{Listing, listing},
    share::{self, Deal, Link},
    world::{Known, World},
};

/// A row: columns and their values, in the same order in all rows of a table.
pub(super) type Cells = Vec<(&'static str, Value)>;

/// Values of one INSERT. SQLite binds 32 766 at most.
const VALUES: usize = 16_000;
/// Rows that are made before they are written.
const ROWS: usize = 500;

/// All tables, children before parents: a cascade from the users would look for children of
/// every row.
const TABLES: [&str; 18] = [
    "notification",
    "user_share",
    "listing_share",
    "collection_share_token",
    "collection_item",
    "collection",
    "listing_score_snapshot",
    "listing_component",
    "listing",
    "valuation_ruleset",
    "profile",
    "storage_profile",
    "ram_spec",
    "port",
    "ports_profile",
    "gpu",
    "cpu",
    r#""user""#,
];

/// The search index is built once at the end instead of row by row.
const SEARCH: Text = Text {
    sqlite: "
SELECT name, sql
FROM sqlite_schema
WHERE type = 'trigger'
  AND name IN ('collection_search_insert', 'collection_search_delete', 'collection_search_update')
ORDER BY name",
    postgres: "
SELECT indexname::text, indexdef
FROM pg_indexes
WHERE schemaname = current_schema()
  AND indexname = 'collection_search_text'",
};
const BUILD_SEARCH: &str = "INSERT INTO collection_search (collection_search) VALUES ('rebuild')";

/// What keeps the search index up to date, while it is put aside: triggers of SQLite, the
/// index itself of PostgreSQL.
pub(super) struct SearchIndex(Vec<String>);

impl SearchIndex {
    pub(super) async fn put_aside(tx: &mut Transaction) -> Result<Self, sqlx::Error> {
        let parts: Vec<(String, String)> = query(SEARCH).fetch_all(&mut *tx).await?;
        let kind = match tx.dialect() {
            Dialect::Sqlite => "TRIGGER",
            Dialect::Postgres => "INDEX",
        };
        for (name, _) in &parts {
            // One of the names that stand above.
            query(format!("DROP {kind} {name}"))
                .execute(&mut *tx)
                .await?;
        }
        Ok(Self(parts.into_iter().map(|(_, sql)| sql).collect()))
    }

    /// Builds the index anew and lets it follow the collections again.
    pub(super) async fn put_back(self, tx: &mut Transaction) -> Result<(), sqlx::Error> {
        if tx.dialect() == Dialect::Sqlite {
            query(BUILD_SEARCH).execute(&mut *tx).await?;
        }
        for sql in self.0 {
            // The text comes from the schema as the migration wrote it.
            query(sql).execute(&mut *tx).await?;
        }
        Ok(())
    }
}

/// Filling takes longer than a request may. And the server checks each reference with a statement
/// of its own, which the plans that requests ask for would plan anew for each row.
const FOR_LONG: [&str; 2] = [
    "SET LOCAL statement_timeout = 0",
    "SET LOCAL plan_cache_mode = auto",
];

pub(super) async fn take_time(tx: &mut Transaction) -> Result<(), sqlx::Error> {
    if tx.dialect() == Dialect::Postgres {
        for setting in FOR_LONG {
            query(setting).execute(&mut *tx).await?;
        }
    }
    Ok(())
}

pub(super) async fn make_room(tx: &mut Transaction, replace: bool) -> Result<(), SeedError> {
    let count = r#"SELECT count(*) FROM "user" AS u"#;
    let users: i64 = query(count).fetch_scalar(&mut *tx).await?;
    if users > 0 && !replace {
        return Err(SeedError::NotEmpty { users });
    }
    if replace {
        for table in TABLES {
            query(format!("DELETE FROM {table}"))
                .execute(&mut *tx)
                .await?;
        }
        // The same rows get the same ids again.
        continue_ids(tx).await?;
    }
    Ok(())
}

/// Writes rows of one table, if there are any.
async fn insert(tx: &mut Transaction, table: &str, rows: Vec<Cells>) -> Result<(), SeedError> {
    let Some(first) = rows.first() else {
        return Ok(());
    };
    let columns: Vec<&str> = first.iter().map(|(column, _)| *column).collect();
    let into = format!("INSERT INTO {table} ({})", columns.join(", "));
    let at_once = VALUES / columns.len();
    let mut rows = rows
        .into_iter()
        .map(|cells| cells.into_iter().map(|(_, value)| value).collect());
    loop {
        let some: Vec<Vec<Value>> = rows.by_ref().take(at_once).collect();
        if some.is_empty() {
            return Ok(());
        }
        insert_rows(&into, some).execute(&mut *tx).await?;
    }
}

pub(super) async fn parts(tx: &mut Transaction, world: &World) -> Result<(), SeedError> {
    // Older than all listings.
    let at = world.dice.now() - TimeDelta::days(365);
    for (table, rows) in catalog::rows(&world.parts, at) {
        insert(tx, table, rows).await?;
    }
    Ok(())
}

pub(super) async fn users(tx: &mut Transaction, world: &World) -> Result<(), SeedError> {
    insert(tx, r#""user""#, world.users_cells()).await
}

pub(super) async fn listings(tx: &mut Transaction, world: &mut World) -> Result<(), SeedError> {
    let numbers: Vec<u32> = (0..world.scale).collect();
    for some in numbers.chunks(ROWS) {
        let mut rows = Rows::default();
        for number in some {
            let made = listing(&mut world.dice, &world.parts, *number, world.scale);
            rows.add(world, made);
        }
        insert(tx, "listing", rows.listings).await?;
        insert(tx, "listing_component", rows.components).await?;
        insert(tx, "listing_score_snapshot", rows.snapshots).await?;
    }
    Ok(())
}

#[derive(Default)]
struct Rows {
    listings: Vec<Cells>,
    components: Vec<Cells>,
    snapshots: Vec<Cells>,
}

impl Rows {
    fn add(&mut self, world: &mut World, listing: Listing) {
        world.known.push(Known {
            title: listing.title.clone(),
            created: listing.created,
        });
        self.components.extend(listing.components(&mut world.dice));
        self.snapshots.extend(listing.snapshots(&mut world.dice));
        self.listings.push(listing.cells(&mut world.dice));
    }
}

/// Gives the number of collections and of items.
pub(super) async fn collections(
    tx: &mut Transaction,
    world: &mut World,
) -> Result<(i64, i64), SeedError> {
    let users = world.users();
    let wanted = collection::wanted(&mut world.dice, users, world.scale);
    let count = count(wanted.len());
    let numbered: Vec<_> = wanted.into_iter().zip(0..).collect();
    let mut items = 0;
    for some in numbered.chunks(ROWS) {
        let (dice, known) = (&mut world.dice, &world.known);
        let made: Vec<Collection> = some
            .iter()
            .map(|(wanted, number)| collection::collection(dice, known, *wanted, *number, count))
            .collect();
        for collection in &made {
            note(world, collection);
            items += self::count(collection.items.len());
        }
        insert(
            tx,
            "collection",
            made.iter().map(Collection::cells).collect(),
        )
        .await?;
        let rows = made.iter().flat_map(Collection::item_cells);
        insert(tx, "collection_item", rows.collect()).await?;
        let rows = made.iter().filter_map(Collection::link_cells);
        insert(tx, "collection_share_token", rows.collect()).await?;
    }
    Ok((count, items))
}

/// A length is far below the largest number.
fn count(length: usize) -> i64 {
    length as i64
}

/// For the file of users.
fn note(world: &mut World, collection: &Collection) {
    let place = collection.wanted.user as usize - 1;
    let Some(listed) = world.listed.get_mut(place) else {
        return;
    };
    match collection.wanted.kind {
        Kind::Hundred => {
            listed.hundred = collection.id;
            listed.hundred_token = collection.link.as_ref().map(|link| link.token.clone());
        }
        Kind::HundredFifty => listed.hundred_fifty = collection.id,
        Kind::Other => {}
    }
}

/// Links to listings and deals. Gives the number of both together.
pub(super) async fn shares(tx: &mut Transaction, world: &mut World) -> Result<i64, SeedError> {
    if world.known.is_empty() {
        return Ok(0);
    }
    let links = links(tx, world).await?;
    let deals = deals(tx, world).await?;
    Ok(links + deals)
}

async fn links(tx: &mut Transaction, world: &mut World) -> Result<i64, SeedError> {
    let wanted = share::links_wanted(world);
    let count = count(wanted.len());
    let mut rows = Vec::new();
    for (wanted, number) in wanted.into_iter().zip(0..) {
        let link: Link = share::link(world, wanted, number, count);
        rows.push(link.cells());
        if wanted.named {
            world.listed[wanted.user as usize - 1].link = Some((link.listing, link.token));
        }
    }
    insert(tx, "listing_share", rows).await?;
    Ok(count)
}

async fn deals(tx: &mut Transaction, world: &mut World) -> Result<i64, SeedError> {
    let wanted = share::deals_wanted(world);
    let count = count(wanted.len());
    let mut deals: Vec<Deal> = Vec::new();
    for (wanted, number) in wanted.into_iter().zip(0..) {
        let deal = share::deal(world, wanted, number, count);
        if wanted.named {
            world.listed[wanted.user as usize - 1].inbox = Some(deal.token.clone());
        }
        deals.push(deal);
    }
    insert(tx, "user_share", deals.iter().map(Deal::cells).collect()).await?;
    insert(tx, "notification", share::notices(world, &deals)).await?;
    Ok(count)
}

/// Ids were given out by the seed; the next one comes from a sequence. Altered, it is as it was
/// when the transaction fails; `setval` would stay, below the ids of the rows that stay too.
pub(super) async fn continue_ids(tx: &mut Transaction) -> Result<(), sqlx::Error> {
    if tx.dialect() == Dialect::Sqlite {
        return Ok(());
    }
    for table in TABLES {
        let next = format!(
            "SELECT pg_get_serial_sequence('{table}', 'id'), coalesce(max(id), 0) + 1 FROM {table} AS t"
        );
        let (sequence, next): (String, i64) = query(next).fetch_one(&mut *tx).await?;
        // The server has quoted the name.
        query(format!("ALTER SEQUENCE {sequence} RESTART WITH {next}"))
            .execute(&mut *tx)
            .await?;
    }
    Ok(())
}

/// Statistics for the planner, and the log of SQLite folded into the file, so that a service
/// that starts on it is not the one to do it. On PostgreSQL the visibility map too, without
/// which an index never answers alone.
pub(super) async fn finish(database: &Database) -> Result<(), SeedError> {
    let statements: Vec<String> = match database.dialect() {
        Dialect::Sqlite => ["ANALYZE", "PRAGMA wal_checkpoint(TRUNCATE)"]
            .map(str::to_owned)
            .into(),
        Dialect::Postgres => TABLES
            .map(|table| format!("VACUUM (ANALYZE) {table}"))
            .into(),
    };
    for statement in statements {
        query(statement).execute(database.write()).await?;
    }
    Ok(())
}

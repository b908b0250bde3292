//! From invented rows to the database, many rows a statement.

use chrono::TimeDelta;
use service_kit::{
    database::{Dialect, Transaction, query},
    seed::{Aside, Cells, Tables, insert},
};

use super::{
    catalog,
    collection::{self, Collection, Kind},
    listing::{Listing, listing},
    share::{self, Deal, Link},
    world::{Known, World},
};

/// Rows that are made before they are written.
const ROWS: usize = 500;

pub(super) const TABLES: Tables = Tables {
    users: r#""user""#,
    emptied: &[
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
    ],
    deleted: &[],
};

/// The search index is built once at the end instead of row by row.
pub(super) const SEARCH: Aside = Aside {
    sqlite: &[
        "collection_search_delete",
        "collection_search_insert",
        "collection_search_update",
    ],
    postgres: &["collection_search_text"],
    catch_up: Some("INSERT INTO collection_search (collection_search) VALUES ('rebuild')"),
};

pub(super) async fn parts(tx: &mut Transaction, world: &World) -> Result<(), sqlx::Error> {
    // Older than all listings.
    let at = world.dice.now() - TimeDelta::days(365);
    for (table, rows) in catalog::rows(&world.parts, at) {
        insert(tx, table, rows).await?;
    }
    Ok(())
}

pub(super) async fn users(tx: &mut Transaction, world: &World) -> Result<(), sqlx::Error> {
    insert(tx, TABLES.users, world.users_cells()).await
}

pub(super) async fn listings(tx: &mut Transaction, world: &mut World) -> Result<(), sqlx::Error> {
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
) -> Result<(i64, i64), sqlx::Error> {
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
        insert(tx, "collection", made.iter().map(Collection::cells)).await?;
        let rows = made.iter().flat_map(Collection::item_cells);
        insert(tx, "collection_item", rows).await?;
        let rows = made.iter().filter_map(Collection::link_cells);
        insert(tx, "collection_share_token", rows).await?;
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
pub(super) async fn shares(tx: &mut Transaction, world: &mut World) -> Result<i64, sqlx::Error> {
    if world.known.is_empty() {
        return Ok(0);
    }
    let links = links(tx, world).await?;
    let deals = deals(tx, world).await?;
    Ok(links + deals)
}

async fn links(tx: &mut Transaction, world: &mut World) -> Result<i64, sqlx::Error> {
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

async fn deals(tx: &mut Transaction, world: &mut World) -> Result<i64, sqlx::Error> {
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
    insert(tx, "user_share", deals.iter().map(Deal::cells)).await?;
    insert(tx, "notification", share::notices(world, &deals)).await?;
    Ok(count)
}

/// Ids were given out by the seed; the next one comes from a sequence. Altered, it is as it was
/// when the transaction fails; `setval` would stay, below the ids of the rows that stay too.
pub(super) async fn continue_ids(tx: &mut Transaction) -> Result<(), sqlx::Error> {
    if tx.dialect() == Dialect::Sqlite {
        return Ok(());
    }
    for table in TABLES.emptied {
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

//! The data: a shop of any size, made by arithmetic alone, so that the same scale is the same data.

use anyhow::Context;
use sqlx::{Connection, SqliteConnection};

use crate::{Database, database};

/// What is filled in for `$1`, the scale, in the order of the foreign keys.
const TABLES: [(&str, &str); 14] = [
    ("settings", "
        INSERT INTO settings (name, value)
        VALUES ('currency', 'EUR'), ('visits', '0'), ('country', 'PT'), ('language', 'en')"),
    ("categories", "
        INSERT INTO categories (id, name)
        VALUES (1, 'Lighting'), (2, 'Chairs'), (3, 'Tables'), (4, 'Shelves'), (5, 'Rugs'), (6, 'Clocks'),
               (7, 'Mirrors'), (8, 'Plants'), (9, 'Kitchen'), (10, 'Bath'), (11, 'Garden'), (12, 'Office')"),
    ("tags", "
        INSERT INTO tags (id, name)
        VALUES (1, 'new'), (2, 'used'), (3, 'handmade'), (4, 'vintage'), (5, 'rare'), (6, 'gift'),
               (7, 'small'), (8, 'large'), (9, 'light'), (10, 'heavy'), (11, 'indoor'), (12, 'outdoor')"),
    ("couriers", "
        WITH RECURSIVE numbers (n) AS (
            SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 40
        )
        INSERT INTO couriers (id, code, name)
        SELECT n, printf('C-%02d', n), printf('Courier %02d', n)
        FROM numbers"),
    // Shop 1 is the department store; the others have about five items each.
    ("shops", "
        WITH RECURSIVE numbers (n) AS (
            SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < MAX($1 / 5, 2)
        )
        INSERT INTO shops (id, name, city)
        SELECT n,
               printf('Shop %05d', n),
               CASE n % 4 WHEN 0 THEN 'Porto' WHEN 1 THEN 'Ghent' WHEN 2 THEN 'Graz' ELSE 'Bergen' END
        FROM numbers"),
    ("authors", "
        WITH RECURSIVE numbers (n) AS (
            SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < MAX($1 / 10, 100)
        )
        INSERT INTO authors (id, name)
        SELECT n, printf('Author %05d', n)
        FROM numbers"),
    ("items", "
        WITH RECURSIVE numbers (n) AS (
            SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < $1
        )
        INSERT INTO items (id, shop_id, category_id, shop_ref, title, price_cents, weight_g, stock, created_at)
        SELECT n,
               CASE n % 50 WHEN 0 THEN 1 ELSE 2 + n * 7919 % (MAX($1 / 5, 2) - 1) END,
               1 + n * 31 % 12,
               printf('REF-%06d', n % MAX($1 / 4, 1)),
               printf('%s %s %06d',
                      CASE n % 10 WHEN 0 THEN 'Lamp' WHEN 1 THEN 'Chair' WHEN 2 THEN 'Table'
                                  WHEN 3 THEN 'Shelf' WHEN 4 THEN 'Rug' WHEN 5 THEN 'Clock'
                                  WHEN 6 THEN 'Mirror' WHEN 7 THEN 'Vase' WHEN 8 THEN 'Bowl'
                                  ELSE 'Bench' END,
                      CASE n * 7 / 3 % 6 WHEN 0 THEN 'brass' WHEN 1 THEN 'oak' WHEN 2 THEN 'linen'
                                         WHEN 3 THEN 'glass' WHEN 4 THEN 'wool' ELSE 'clay' END,
                      n),
               100 + n * 7919 % 99001,
               50 + n * 104729 % 20000,
               n * 13 % 20,
               1735689600 + n / 2 * 60
        FROM numbers"),
    ("reviews", "
        INSERT INTO reviews (id, item_id, author_id, stars, body)
        SELECT 2 * items.id + k,
               items.id,
               1 + (2 * items.id + k) * 37 % MAX($1 / 10, 100),
               1 + (items.id * 3 + k * 5) % 5,
               'As described, arrived in time, and looks well where it stands.'
        FROM items
        CROSS JOIN (SELECT 0 AS k UNION ALL SELECT 1)"),
    // The newest items are talked about: 30 reviews more.
    ("reviews", "
        WITH RECURSIVE numbers (k) AS (
            SELECT 2 UNION ALL SELECT k + 1 FROM numbers WHERE k < 31
        )
        INSERT INTO reviews (item_id, author_id, stars, body)
        SELECT items.id,
               1 + (items.id * 30 + k) * 37 % MAX($1 / 10, 100),
               1 + (items.id * 3 + k * 5) % 5,
               'Bought it as a present; it was liked, and it is still in use every day.'
        FROM items
        CROSS JOIN numbers
        WHERE items.id > $1 - 200"),
    ("item_tags", "
        INSERT INTO item_tags (item_id, tag_id)
        SELECT items.id, 1 + (items.id * 5 + k * 7) % 12
        FROM items
        CROSS JOIN (SELECT 0 AS k UNION ALL SELECT 1)"),
    ("orders", "
        WITH RECURSIVE numbers (n) AS (
            SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < MAX($1 / 5, 1)
        )
        INSERT INTO orders (id, shop_id, placed_at)
        SELECT n, 1 + n % MAX($1 / 5, 2), 1767225600 + n * 40
        FROM numbers"),
    ("order_lines", "
        INSERT INTO order_lines (id, order_id, item_id, quantity)
        SELECT 3 * orders.id + k, orders.id, 1 + (orders.id * 97 + k * 11) % $1, 1 + (orders.id + k) % 4
        FROM orders
        CROSS JOIN (SELECT 0 AS k UNION ALL SELECT 1 UNION ALL SELECT 2)"),
    ("shipments", "
        INSERT INTO shipments (id, order_id, courier_code, weight_g)
        SELECT orders.id,
               orders.id,
               (SELECT code FROM couriers WHERE couriers.id = 1 + orders.id % 40),
               100 + orders.id * 7919 % 20000
        FROM orders"),
    ("audit_log", "
        INSERT INTO audit_log (event, subject)
        VALUES ('seed', $1)"),
];

/// Replaces all data by a shop with `scale` items. Services that have the database open see the old
/// data until all of the new is there.
///
/// # Errors
/// When the database cannot be written, or is locked by another writer for longer than 5 s.
pub async fn seed(database: &Database, scale: i64) -> anyhow::Result<()> {
    let mut connection = database.writes.acquire().await?;
    // Checking two million references of rows just made from each other takes longer than making them.
    sqlx::raw_sql("PRAGMA foreign_keys = OFF")
        .execute(&mut *connection)
        .await?;
    fill(&mut connection, scale).await?;
    sqlx::raw_sql("PRAGMA foreign_keys = ON")
        .execute(&mut *connection)
        .await?;
    // Statistics are part of the data: without them the planner guesses, and a growing database
    // of a running service has them from `PRAGMA optimize`.
    sqlx::raw_sql("ANALYZE").execute(&mut *connection).await?;
    sqlx::raw_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        .execute(&mut *connection)
        .await?;
    Ok(())
}

async fn fill(connection: &mut SqliteConnection, scale: i64) -> anyhow::Result<()> {
    let mut transaction = connection.begin().await?;
    database::recreate_tables(&mut transaction)
        .await
        .context("cannot replace the tables")?;
    for (table, insert) in TABLES {
        sqlx::query(insert)
            .bind(scale)
            .execute(&mut *transaction)
            .await
            .with_context(|| format!("cannot fill the table `{table}`"))?;
    }
    transaction.commit().await?;
    Ok(())
}

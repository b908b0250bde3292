//! The eight tables, generated and copied into the database.

use std::fmt::{Display, Write as _};

use sqlx::PgConnection;
use tpchgen::generators::{
    CustomerGenerator, LineItemGenerator, NationGenerator, OrderGenerator, PartGenerator,
    PartSuppGenerator, RegionGenerator, SupplierGenerator,
};

/// Bytes that are sent at a time.
const PIECE: usize = 1 << 16;

/// Fills every table.
pub(crate) async fn copy(database: &mut PgConnection, scale: f64) {
    table(database, "region", RegionGenerator::new(scale, 1, 1).iter()).await;
    table(database, "nation", NationGenerator::new(scale, 1, 1).iter()).await;
    table(
        database,
        "supplier",
        SupplierGenerator::new(scale, 1, 1).iter(),
    )
    .await;
    table(database, "part", PartGenerator::new(scale, 1, 1).iter()).await;
    table(
        database,
        "partsupp",
        PartSuppGenerator::new(scale, 1, 1).iter(),
    )
    .await;
    table(
        database,
        "customer",
        CustomerGenerator::new(scale, 1, 1).iter(),
    )
    .await;
    table(database, "orders", OrderGenerator::new(scale, 1, 1).iter()).await;
    table(
        database,
        "lineitem",
        LineItemGenerator::new(scale, 1, 1).iter(),
    )
    .await;
}

/// Sends rows as the generator writes them: values with a bar behind each.
async fn table(database: &mut PgConnection, name: &str, rows: impl Iterator<Item = impl Display>) {
    let statement = format!("COPY {name} FROM STDIN (DELIMITER '|')");
    let mut sink = database.copy_in_raw(&statement).await.expect(name);
    let mut piece = String::with_capacity(2 * PIECE);
    for row in rows {
        let _ = write!(piece, "{row}");
        if piece.ends_with('|') {
            piece.pop();
        }
        piece.push('\n');
        if piece.len() > PIECE {
            sink.send(piece.as_bytes()).await.expect(name);
            piece.clear();
        }
    }
    sink.send(piece.as_bytes()).await.expect(name);
    sink.finish().await.expect(name);
}

//! From invented rows to the database, many rows a statement.

use crate::database::{Transaction, Value, insert_rows};

/// A row: columns and their values, in the same order in all rows of a table.
pub type Cells = Vec<(&'static str, Value)>;

/// Values of one INSERT. SQLite binds 32 766 at most.
const VALUES: usize = 16_000;

/// Writes rows of one table, if there are any. They are taken as they are written, so that they
/// need not all be there at once.
///
/// # Errors
/// The database fails.
pub async fn insert(
    tx: &mut Transaction,
    table: &str,
    rows: impl IntoIterator<Item = Cells, IntoIter: Send>,
) -> Result<(), sqlx::Error> {
    let mut rows = rows.into_iter().peekable();
    let Some(first) = rows.peek() else {
        return Ok(());
    };
    let columns: Vec<&str> = first.iter().map(|(column, _)| *column).collect();
    let into = format!("INSERT INTO {table} ({})", columns.join(", "));
    let at_once = VALUES / columns.len();
    loop {
        let some: Vec<Vec<Value>> = rows.by_ref().take(at_once).map(values).collect();
        if some.is_empty() {
            return Ok(());
        }
        insert_rows(&into, some).execute(&mut *tx).await?;
    }
}

fn values(cells: Cells) -> Vec<Value> {
    cells.into_iter().map(|(_, value)| value).collect()
}

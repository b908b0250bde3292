//! The table of simulated users: one row of a CSV file each.

use std::{fmt, path::Path, sync::Arc};

use thiserror::Error;

/// Why the file of users cannot be used.
#[derive(Debug, Error)]
pub enum RowsError {
    /// The file cannot be read or is not CSV.
    #[error(
        "cannot read users from `{path}`: {source}; `users` must name a CSV file whose first line names the columns"
    )]
    Read {
        /// The file as given.
        path: String,
        /// What went wrong.
        source: csv::Error,
    },
    /// The file has a heading and nothing below it.
    #[error("`{path}` has no rows; it needs at least one line below the column names")]
    Empty {
        /// The file as given.
        path: String,
    },
}

/// Rows of a CSV file, shared by all users.
#[derive(Clone)]
pub struct Rows {
    columns: Arc<[String]>,
    rows: Arc<[csv::StringRecord]>,
    /// The row of user 0.
    first: usize,
}

impl Rows {
    /// Reads a CSV file with a line of column names.
    ///
    /// # Errors
    /// When the file cannot be read, is not CSV, or has no rows.
    pub fn read(path: &Path) -> Result<Self, RowsError> {
        let in_file = |source| RowsError::Read {
            path: path.display().to_string(),
            source,
        };
        let mut reader = csv::ReaderBuilder::new()
            .trim(csv::Trim::Headers)
            .from_path(path)
            .map_err(in_file)?;
        let columns = reader
            .headers()
            .map_err(in_file)?
            .iter()
            .map(str::to_owned)
            .collect();
        let rows = reader
            .records()
            .collect::<Result<Vec<_>, _>>()
            .map_err(in_file)?;
        if rows.is_empty() {
            return Err(RowsError::Empty {
                path: path.display().to_string(),
            });
        }
        Ok(Self {
            columns,
            rows: rows.into(),
            first: 0,
        })
    }

    /// The same rows, the first user having the row after the first `taken` ones: for users who
    /// come after others did what can be done once. There are as many different rows as before,
    /// because the last user is followed by the first row.
    #[must_use]
    pub fn after(mut self, taken: usize) -> Self {
        self.first = taken;
        self
    }

    /// The row of a user, counted from 0. Users beyond the last row share rows from the first
    /// on; [`Rows::shared_by`] tells when that happens.
    #[must_use]
    pub fn get(&self, user: u64) -> Option<Row> {
        let user = user.wrapping_add(self.first as u64);
        let index = usize::try_from(user % self.rows.len().max(1) as u64).ok()?;
        (index < self.rows.len()).then(|| Row {
            columns: Arc::clone(&self.columns),
            rows: Arc::clone(&self.rows),
            index,
        })
    }

    /// True when `users` are more than the rows, so that some users act with the same account
    /// and may share its cache entries.
    #[must_use]
    pub fn shared_by(&self, users: usize) -> bool {
        users > self.rows.len()
    }

    /// Number of rows; at least 1.
    #[must_use]
    #[allow(clippy::len_without_is_empty)] // A file without rows is refused when it is read.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Names of the columns.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(String::as_str)
    }
}

// Rows hold passwords: only their number and columns are shown.
impl fmt::Debug for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rows")
            .field("columns", &self.columns)
            .field("len", &self.len())
            .finish()
    }
}

/// One user's row.
#[derive(Clone)]
pub struct Row {
    columns: Arc<[String]>,
    rows: Arc<[csv::StringRecord]>,
    index: usize,
}

impl Row {
    /// The value in a column, as text.
    #[must_use]
    pub fn get(&self, column: &str) -> Option<&str> {
        let position = self.columns.iter().position(|name| name == column)?;
        self.rows.get(self.index)?.get(position)
    }
}

// Values are accounts and passwords: never shown.
impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Row")
            .field("index", &self.index)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn file(text: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    }

    #[test]
    fn users_beyond_the_last_row_start_again_and_are_told_of() {
        let file = file("email,password\na@x,one\nb@x,\"two, three\"\n");
        let rows = Rows::read(file.path()).unwrap();
        assert_eq!(rows.len(), 2);
        assert_eq!(rows.get(1).unwrap().get("password"), Some("two, three"));
        assert_eq!(rows.get(2).unwrap().get("email"), Some("a@x"));
        assert_eq!(rows.get(0).unwrap().get("phone"), None);
        assert!(rows.shared_by(3) && !rows.shared_by(2));
    }

    #[test]
    fn users_who_come_after_others_have_the_rows_that_nobody_used() {
        let file = file("name\na\nb\nc\n");
        let rows = Rows::read(file.path()).unwrap().after(2);
        let names: Vec<_> = (0..3)
            .map(|user| rows.get(user).unwrap().get("name").unwrap().to_owned())
            .collect();
        assert_eq!(names, ["c", "a", "b"]);
        assert!(rows.shared_by(4) && !rows.shared_by(3));
    }

    #[test]
    fn a_file_without_rows_or_with_ragged_lines_is_refused_by_name() {
        let empty = file("email\n");
        assert!(matches!(
            Rows::read(empty.path()),
            Err(RowsError::Empty { .. })
        ));
        let ragged = file("a,b\n1\n");
        assert!(matches!(
            Rows::read(ragged.path()),
            Err(RowsError::Read { .. })
        ));
        let missing = Rows::read(Path::new("no-such-file.csv"))
            .unwrap_err()
            .to_string();
        assert!(missing.contains("no-such-file.csv"), "{missing}");
    }

    #[test]
    fn debug_shows_no_values() {
        let file = file("email,password\na@x,secret\n");
        let rows = Rows::read(file.path()).unwrap();
        let shown = format!("{rows:?} {:?}", rows.get(0));
        assert!(
            !shown.contains("secret") && !shown.contains("a@x"),
            "{shown}"
        );
    }
}

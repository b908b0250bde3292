//! One statement with its values, the same for both databases.
//!
//! ```no_run
//! # use service_kit::database::{Database, query};
//! # async fn names(database: &Database) -> Result<Vec<(i64, String)>, sqlx::Error> {
//! query("SELECT id, username FROM users WHERE id = $1")
//!     .bind(7_i64)
//!     .fetch_all(database.read())
//!     .await
//! # }
//! ```

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::{
    AssertSqlSafe, FromRow, Postgres, SqlSafeStr as _, SqlStr, Sqlite,
    postgres::{PgArguments, PgRow},
    query::{Query as SqlxQuery, QueryAs},
    sqlite::{SqliteArguments, SqliteRow},
};

use super::{
    Dialect,
    target::{Connection, Target},
};
use crate::uuid::Uuid;

/// A statement in the words of each database, where they differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Text {
    /// For SQLite.
    pub sqlite: &'static str,
    /// For PostgreSQL.
    pub postgres: &'static str,
}

impl Text {
    /// One text for both.
    pub const fn same(text: &'static str) -> Self {
        Self {
            sqlite: text,
            postgres: text,
        }
    }

    /// The text for one of them.
    pub const fn of(self, dialect: Dialect) -> &'static str {
        match dialect {
            Dialect::Sqlite => self.sqlite,
            Dialect::Postgres => self.postgres,
        }
    }
}

/// A [`Text`](crate::database::Text) of pieces: literals for both databases, and pairs
/// `{ "for SQLite" | "for PostgreSQL" }`.
///
/// ```
/// use service_kit::{database::Text, text};
///
/// const NEWEST: Text = text!(
///     "SELECT id FROM flyers " { "INDEXED BY newest " | "" } "ORDER BY created_at DESC LIMIT $1"
/// );
/// assert_eq!(NEWEST.postgres, "SELECT id FROM flyers ORDER BY created_at DESC LIMIT $1");
/// ```
#[macro_export]
macro_rules! text {
    (@sqlite [$($done:literal)*]) => { concat!($($done),*) };
    (@sqlite [$($done:literal)*] { $one:literal | $other:literal } $($rest:tt)*) => {
        $crate::text!(@sqlite [$($done)* $one] $($rest)*)
    };
    (@sqlite [$($done:literal)*] $both:literal $($rest:tt)*) => {
        $crate::text!(@sqlite [$($done)* $both] $($rest)*)
    };
    (@postgres [$($done:literal)*]) => { concat!($($done),*) };
    (@postgres [$($done:literal)*] { $one:literal | $other:literal } $($rest:tt)*) => {
        $crate::text!(@postgres [$($done)* $other] $($rest)*)
    };
    (@postgres [$($done:literal)*] $both:literal $($rest:tt)*) => {
        $crate::text!(@postgres [$($done)* $both] $($rest)*)
    };
    ($($piece:tt)+) => {
        $crate::database::Text {
            sqlite: $crate::text!(@sqlite [] $($piece)+),
            postgres: $crate::text!(@postgres [] $($piece)+),
        }
    };
}

/// What a statement says.
#[derive(Debug, Clone)]
pub enum Wording {
    /// Known when the program was built.
    Fixed(Text),
    /// Put together at run time. Values never belong in it.
    Composed(String),
    /// An `INSERT` of several rows.
    Rows(Insert),
}

/// An `INSERT` of several rows; see [`insert_rows`].
#[derive(Debug, Clone)]
pub struct Insert {
    into: String,
    /// How many values each row has.
    widths: Vec<usize>,
    /// What stands after the rows.
    end: &'static str,
}

impl Insert {
    /// To SQLite `$7` is a name, which it looks up among all names before: thousands of them
    /// take it seconds. A plain `?` is the next value.
    fn text(&self, dialect: Dialect) -> String {
        let mut text = self.into.clone();
        text += " VALUES ";
        let mut place = 0_usize;
        for (row, width) in self.widths.iter().enumerate() {
            text += if row == 0 { "(" } else { ", (" };
            for column in 0..*width {
                place += 1;
                if column > 0 {
                    text.push(',');
                }
                match dialect {
                    Dialect::Sqlite => text.push('?'),
                    Dialect::Postgres => {
                        text.push('$');
                        text += &place.to_string();
                    }
                }
            }
            text.push(')');
        }
        text += self.end;
        text
    }
}

impl From<&'static str> for Wording {
    fn from(text: &'static str) -> Self {
        Self::Fixed(Text::same(text))
    }
}

impl From<Text> for Wording {
    fn from(text: Text) -> Self {
        Self::Fixed(text)
    }
}

impl From<String> for Wording {
    fn from(text: String) -> Self {
        Self::Composed(text)
    }
}

impl Wording {
    /// The only place where a text that is not a constant becomes a statement.
    fn of(self, dialect: Dialect) -> SqlStr {
        match self {
            Self::Fixed(text) => text.of(dialect).into_sql_str(),
            Self::Composed(text) => AssertSqlSafe(text).into_sql_str(),
            Self::Rows(insert) => AssertSqlSafe(insert.text(dialect)).into_sql_str(),
        }
    }
}

/// A value to bind. Every kind has a null, because PostgreSQL wants to know of what.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A whole number.
    Int(Option<i64>),
    /// A number.
    Real(Option<f64>),
    /// Yes or no.
    Bool(Option<bool>),
    /// A text.
    Text(Option<String>),
    /// A point in time.
    Time(Option<DateTime<Utc>>),
    /// A day.
    Date(Option<NaiveDate>),
    /// An id of 128 bits.
    Uuid(Option<Uuid>),
    /// JSON: `jsonb` of PostgreSQL, a text of SQLite.
    Json(serde_json::Value),
    /// Whole numbers: an array for `= ANY($1)`, on SQLite a JSON text for `json_each($1)`.
    Ints(Vec<i64>),
    /// Texts, likewise.
    Texts(Vec<String>),
    /// Ids, likewise.
    Uuids(Vec<Uuid>),
}

macro_rules! value_from {
    ($($kind:ident: $type:ty),+) => {$(
        impl From<$type> for Value {
            fn from(value: $type) -> Self {
                Self::$kind(Some(value))
            }
        }
        impl From<Option<$type>> for Value {
            fn from(value: Option<$type>) -> Self {
                Self::$kind(value)
            }
        }
    )+};
}

value_from!(Int: i64, Real: f64, Bool: bool, Text: String, Time: DateTime<Utc>, Date: NaiveDate, Uuid: Uuid);

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(Some(value.to_owned()))
    }
}

impl From<&String> for Value {
    fn from(value: &String) -> Self {
        Self::Text(Some(value.clone()))
    }
}

impl From<Option<&str>> for Value {
    fn from(value: Option<&str>) -> Self {
        Self::Text(value.map(str::to_owned))
    }
}

impl From<Vec<i64>> for Value {
    fn from(values: Vec<i64>) -> Self {
        Self::Ints(values)
    }
}

impl From<&[i64]> for Value {
    fn from(values: &[i64]) -> Self {
        Self::Ints(values.to_vec())
    }
}

impl From<Vec<String>> for Value {
    fn from(values: Vec<String>) -> Self {
        Self::Texts(values)
    }
}

impl From<serde_json::Value> for Value {
    fn from(value: serde_json::Value) -> Self {
        Self::Json(value)
    }
}

impl From<Vec<Uuid>> for Value {
    fn from(values: Vec<Uuid>) -> Self {
        Self::Uuids(values)
    }
}

/// What a row can become, from either database. `#[derive(sqlx_macros::FromRow)]` and tuples do.
pub trait Record:
    for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin
{
}

impl<T> Record for T where
    T: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin
{
}

/// A statement and its values.
#[derive(Debug, Clone)]
#[must_use = "a query does nothing until it is fetched or executed"]
pub struct Query {
    wording: Wording,
    values: Vec<Value>,
    once: bool,
}

/// A statement; bind its values with [`Query::bind`].
pub fn query(wording: impl Into<Wording>) -> Query {
    Query {
        wording: wording.into(),
        values: Vec::new(),
        once: false,
    }
}

/// An `INSERT` of many rows: `into` is the text up to `VALUES`, each row has as many values.
///
/// One statement binds at most 32 766 values on SQLite and 65 535 on PostgreSQL.
pub fn insert_rows(into: &str, rows: Vec<Vec<Value>>) -> Query {
    insert_rows_or(into, rows, "")
}

/// The same with what stands after the rows: `ON CONFLICT …`, `RETURNING …`.
pub fn insert_rows_or(into: &str, rows: Vec<Vec<Value>>, end: &'static str) -> Query {
    let insert = Insert {
        into: into.trim_end().to_owned(),
        widths: rows.iter().map(Vec::len).collect(),
        end,
    };
    Query {
        wording: Wording::Rows(insert),
        values: rows.into_iter().flatten().collect(),
        // Another number of rows is another text: not worth keeping.
        once: true,
    }
}

impl Query {
    /// Binds the next value: the first one is `$1`.
    pub fn bind(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self
    }

    /// Binds several values in order.
    pub fn bind_all(mut self, values: impl IntoIterator<Item = Value>) -> Self {
        self.values.extend(values);
        self
    }

    /// Plans the statement for these values and forgets it. A plan that is kept for all
    /// values is a bad one where the best way depends on them, as with a search text.
    pub fn once(mut self) -> Self {
        self.once = true;
        self
    }

    /// All rows.
    ///
    /// # Errors
    /// The database fails, or a row does not fit `T`.
    pub async fn fetch_all<T: Record>(
        self,
        on: impl Into<Target<'_>>,
    ) -> Result<Vec<T>, sqlx::Error> {
        let mut held = on.into().hold().await?;
        match held.connection() {
            Connection::Sqlite(connection) => self.sqlite_as().fetch_all(connection).await,
            Connection::Postgres(connection, health) => {
                health.note(self.postgres_as().fetch_all(connection).await)
            }
        }
    }

    /// The first row, if there is one.
    ///
    /// # Errors
    /// The database fails, or the row does not fit `T`.
    pub async fn fetch_optional<T: Record>(
        self,
        on: impl Into<Target<'_>>,
    ) -> Result<Option<T>, sqlx::Error> {
        let mut held = on.into().hold().await?;
        match held.connection() {
            Connection::Sqlite(connection) => self.sqlite_as().fetch_optional(connection).await,
            Connection::Postgres(connection, health) => {
                health.note(self.postgres_as().fetch_optional(connection).await)
            }
        }
    }

    /// The only row.
    ///
    /// # Errors
    /// The database fails, there is no row, or it does not fit `T`.
    pub async fn fetch_one<T: Record>(self, on: impl Into<Target<'_>>) -> Result<T, sqlx::Error> {
        self.fetch_optional(on)
            .await?
            .ok_or(sqlx::Error::RowNotFound)
    }

    /// The first column of the only row.
    ///
    /// # Errors
    /// As [`Query::fetch_one`].
    pub async fn fetch_scalar<T>(self, on: impl Into<Target<'_>>) -> Result<T, sqlx::Error>
    where
        (T,): Record,
    {
        self.fetch_one::<(T,)>(on).await.map(|(value,)| value)
    }

    /// Runs it for its effect; gives the number of rows affected.
    ///
    /// # Errors
    /// The database fails.
    pub async fn execute(self, on: impl Into<Target<'_>>) -> Result<u64, sqlx::Error> {
        let mut held = on.into().hold().await?;
        match held.connection() {
            Connection::Sqlite(connection) => {
                let Self {
                    wording,
                    values,
                    once,
                } = self;
                let text = wording.of(Dialect::Sqlite);
                let query = sqlx::query(text).persistent(!once);
                let done = bind_sqlite(query, values).execute(connection).await?;
                Ok(done.rows_affected())
            }
            Connection::Postgres(connection, health) => {
                let Self {
                    wording,
                    values,
                    once,
                } = self;
                let text = wording.of(Dialect::Postgres);
                let query = sqlx::query(text).persistent(!once);
                let done = bind_postgres(query, values).execute(connection).await;
                Ok(health.note(done)?.rows_affected())
            }
        }
    }

    fn sqlite_as<T: Record>(self) -> QueryAs<'static, Sqlite, T, SqliteArguments> {
        let text = self.wording.of(Dialect::Sqlite);
        let query = sqlx::query_as(text).persistent(!self.once);
        bind_sqlite(query, self.values)
    }

    fn postgres_as<T: Record>(self) -> QueryAs<'static, Postgres, T, PgArguments> {
        let text = self.wording.of(Dialect::Postgres);
        let query = sqlx::query_as(text).persistent(!self.once);
        bind_postgres(query, self.values)
    }
}

/// Takes a value that SQLite can store.
trait BindSqlite: Sized {
    fn value(self, value: Value) -> Self;
}

/// Takes a value that PostgreSQL can store.
trait BindPostgres: Sized {
    fn value(self, value: Value) -> Self;
}

fn bind_sqlite<Q: BindSqlite>(query: Q, values: Vec<Value>) -> Q {
    values.into_iter().fold(query, Q::value)
}

fn bind_postgres<Q: BindPostgres>(query: Q, values: Vec<Value>) -> Q {
    values.into_iter().fold(query, Q::value)
}

macro_rules! bind_value {
    ($query:ident, $value:ident, $list:path) => {
        match $value {
            Value::Int(value) => $query.bind(value),
            Value::Real(value) => $query.bind(value),
            Value::Bool(value) => $query.bind(value),
            Value::Text(value) => $query.bind(value),
            Value::Time(value) => $query.bind(value),
            Value::Date(value) => $query.bind(value),
            Value::Uuid(value) => $query.bind(value),
            Value::Json(value) => $query.bind(sqlx::types::Json(value)),
            Value::Ints(values) => $query.bind($list(values)),
            Value::Texts(values) => $query.bind($list(values)),
            Value::Uuids(values) => $query.bind($list(values)),
        }
    };
}

fn json<T: serde::Serialize>(values: Vec<T>) -> String {
    serde_json::json!(values).to_string()
}

impl<T> BindSqlite for QueryAs<'static, Sqlite, T, SqliteArguments> {
    fn value(self, value: Value) -> Self {
        bind_value!(self, value, json)
    }
}

impl BindSqlite for SqlxQuery<'static, Sqlite, SqliteArguments> {
    fn value(self, value: Value) -> Self {
        bind_value!(self, value, json)
    }
}

impl<T> BindPostgres for QueryAs<'static, Postgres, T, PgArguments> {
    fn value(self, value: Value) -> Self {
        bind_value!(self, value, std::convert::identity)
    }
}

impl BindPostgres for SqlxQuery<'static, Postgres, PgArguments> {
    fn value(self, value: Value) -> Self {
        bind_value!(self, value, std::convert::identity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_numbered_through_for_postgresql_and_never_named_for_sqlite() {
        let rows = vec![
            vec![1_i64.into(), "a".into()],
            vec![2_i64.into(), "b".into()],
        ];
        let query = insert_rows("INSERT INTO t (id, name) ", rows);
        let text = |dialect| query.wording.clone().of(dialect).as_str().to_owned();
        assert_eq!(
            text(Dialect::Postgres),
            "INSERT INTO t (id, name) VALUES ($1,$2), ($3,$4)"
        );
        assert_eq!(
            text(Dialect::Sqlite),
            "INSERT INTO t (id, name) VALUES (?,?), (?,?)"
        );
        assert_eq!(query.values.len(), 4);
    }
}

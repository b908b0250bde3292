//! A SQLite file, opened for reading only: its plans and its schema.

mod sample;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use speedwell_sql::{Dialect, Token, TokenKind};
use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection, Row as _, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteRow},
};

use crate::{
    Column, ExplainError, ForeignKey, Index, IndexColumn, Plan, Schema, Table,
    phrase::{self, Names},
    schema::BTREE,
    statement,
};

use self::sample::SqliteSample;

/// How long a lock is waited for.
const BUSY_TIMEOUT: Duration = Duration::from_secs(1);
/// How long the planner may take for one statement. A plan takes well under a millisecond; only
/// joins of dozens of tables take longer.
const PLAN_TIME: Duration = Duration::from_secs(10);
/// How long the rows of one table are counted. A core counts about 30 million rows in a second.
const COUNT_TIME: Duration = Duration::from_secs(2);
/// Instructions of SQLite's machine between two looks at the clock: some 100 microseconds.
const CLOCK_EVERY: i32 = 10_000;

/// A SQLite database under audit. It is opened read-only, twice over (`mode=ro`, `query_only`):
/// nothing that is asked of it can change it.
pub(crate) struct Sqlite {
    connection: SqliteConnection,
    path: PathBuf,
    /// When the running question is given up.
    deadline: Arc<Mutex<Option<Instant>>>,
}

impl Sqlite {
    pub(crate) async fn open(url: &str) -> Result<Self, ExplainError> {
        let path = file(url)?;
        if !path.exists() {
            return Err(ExplainError::Missing(path));
        }
        if path.is_dir() {
            let reason = "it is a directory".to_owned();
            return Err(ExplainError::CannotOpen { path, reason });
        }
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .read_only(true)
            .create_if_missing(false)
            .busy_timeout(BUSY_TIMEOUT)
            .pragma("query_only", "ON")
            .disable_statement_logging();
        let opened = SqliteConnection::connect_with(&options).await;
        let mut connection = opened.map_err(|error| ExplainError::opening(error, &path))?;
        let deadline = Arc::default();
        watch(&mut connection, &deadline)
            .await
            .map_err(|error| ExplainError::opening(error, &path))?;
        // SQLite reads nothing before it is asked something.
        sqlx::query("SELECT COUNT(*) FROM sqlite_schema")
            .fetch_one(&mut connection)
            .await
            .map_err(|error| ExplainError::opening(error, &path))?;
        Ok(Self {
            connection,
            path,
            deadline,
        })
    }

    pub(crate) async fn explain(&mut self, sql: &str) -> Result<Plan, ExplainError> {
        let statement = statement::explainable(sql)?;
        self.plan(&statement, &[]).await
    }

    pub(crate) async fn version(&mut self) -> Result<String, ExplainError> {
        let rows = self.ask("SELECT sqlite_version()", None).await?;
        let version: Option<String> = rows.first().map(|row| row.get(0));
        Ok(format!("SQLite {}", version.unwrap_or_default()))
    }

    /// The plan of one statement with these values bound.
    pub(crate) async fn plan(
        &mut self,
        statement: &str,
        values: &[SqliteSample],
    ) -> Result<Plan, ExplainError> {
        let names = self.names(statement).await?;
        self.allow(PLAN_TIME);
        let question = format!("EXPLAIN QUERY PLAN {statement}");
        // Nothing but a plan can come of this text: `explainable` has let one statement through,
        // and the connection cannot write.
        let mut query = sqlx::query(AssertSqlSafe(question)).persistent(false);
        for value in values {
            query = match value.clone() {
                SqliteSample::Null => query.bind(None::<i64>),
                SqliteSample::Integer(value) => query.bind(value),
                SqliteSample::Real(value) => query.bind(value),
                SqliteSample::Text(value) => query.bind(value),
            };
        }
        let rows = query
            .fetch_all(&mut self.connection)
            .await
            .map_err(|error| ExplainError::from_sqlx(error, &self.path))?;
        let rows = rows.iter().map(read_row).collect::<Result<Vec<_>, _>>();
        let rows = rows.map_err(ExplainError::Connection)?;
        Ok(Plan {
            system: Dialect::Sqlite,
            nodes: phrase::tree(&rows, &names),
        })
    }

    /// Rows are counted, because what `ANALYZE` left in `sqlite_stat1` may be from long ago.
    pub(crate) async fn schema(&mut self) -> Result<Schema, ExplainError> {
        let mut schema = Schema::default();
        for row in self.ask(TABLES, None).await? {
            let mut table = Table {
                name: row.get("name"),
                virtual_table: row.get::<String, _>("type") == "virtual",
                without_rowid: row.get("wr"),
                ..Table::default()
            };
            self.read_columns(&mut table).await?;
            self.read_indexes(&mut table).await?;
            self.read_foreign_keys(&mut table).await?;
            if !table.virtual_table {
                table.rows = self.count(&table.name).await?;
            }
            schema.tables.insert(table.name.clone(), table);
        }
        Ok(schema)
    }

    async fn read_columns(&mut self, table: &mut Table) -> Result<(), ExplainError> {
        let mut key: Vec<(i64, String)> = Vec::new();
        for row in self.ask(COLUMNS, Some(&table.name)).await? {
            let column = Column {
                name: row.get("name"),
                kind: row.get("type"),
                distinct: None,
            };
            if row.get::<i64, _>("pk") > 0 {
                key.push((row.get("pk"), column.name.clone()));
            }
            table.columns.push(column);
        }
        key.sort();
        table.primary_key = key.into_iter().map(|(_, name)| name).collect();
        Ok(())
    }

    async fn read_indexes(&mut self, table: &mut Table) -> Result<(), ExplainError> {
        for row in self.ask(INDEXES, Some(&table.name)).await? {
            let name: String = row.get("name");
            let declaration = Declaration::read(row.get::<Option<&str>, _>("sql").unwrap_or(""));
            let terms = self.ask(INDEX_TERMS, Some(&name)).await?;
            let columns = terms.iter().enumerate().map(|(position, term)| {
                let column: Option<String> = term.get("name");
                IndexColumn {
                    expression: column.is_none(),
                    name: column
                        .or_else(|| declaration.terms.get(position).cloned())
                        .unwrap_or_else(|| "expression".to_owned()),
                    descending: term.get("desc"),
                }
            });
            table.indexes.push(Index {
                columns: columns.collect(),
                unique: row.get("unique"),
                partial: declaration.condition,
                declared: row.get::<String, _>("origin") == "c",
                included: Vec::new(),
                method: BTREE.to_owned(),
                valid: true,
                name,
            });
        }
        Ok(())
    }

    async fn read_foreign_keys(&mut self, table: &mut Table) -> Result<(), ExplainError> {
        let mut last = None;
        for row in self.ask(FOREIGN_KEYS, Some(&table.name)).await? {
            let id: i64 = row.get("id");
            if last != Some(id) {
                let key = ForeignKey {
                    columns: Vec::new(),
                    table: row.get("table"),
                };
                table.foreign_keys.push(key);
                last = Some(id);
            }
            if let Some(key) = table.foreign_keys.last_mut() {
                key.columns.push(row.get("from"));
            }
        }
        Ok(())
    }

    /// Rows of a table, or `None` if that takes too long.
    async fn count(&mut self, table: &str) -> Result<Option<u64>, ExplainError> {
        self.allow(COUNT_TIME);
        // A plain `COUNT(*)` is a single instruction that never looks at the clock.
        let question = format!("SELECT SUM(1) FROM \"{}\"", table.replace('"', "\"\""));
        let counted = sqlx::query_scalar::<_, Option<i64>>(AssertSqlSafe(question))
            .persistent(false)
            .fetch_one(&mut self.connection)
            .await
            .map_err(|error| ExplainError::from_sqlx(error, &self.path));
        match counted {
            Ok(rows) => Ok(Some(
                rows.and_then(|rows| u64::try_from(rows).ok()).unwrap_or(0),
            )),
            Err(ExplainError::TimedOut) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What the names in a plan of `statement` stand for.
    async fn names(&mut self, statement: &str) -> Result<Names, ExplainError> {
        let mut names = Names::default();
        let mut views = Vec::new();
        for row in self.ask(CATALOGUE, None).await? {
            let (name, table): (String, String) = (row.get("name"), row.get("tbl_name"));
            match row.get::<&str, _>("type") {
                "table" => drop(names.tables.insert(name.to_lowercase(), name)),
                "index" => drop(names.indexes.insert(name.to_lowercase(), table)),
                "view" => views.extend(row.get::<Option<String>, _>("sql")),
                _ => {}
            }
        }
        // The statement's own aliases last: they win over those of views.
        for text in views.iter().map(String::as_str).chain([statement]) {
            let is_table = |name: &str| names.tables.contains_key(&name.to_lowercase());
            for (alias, table) in statement::aliases(text, &is_table) {
                if let Some(table) = names.tables.get(&table.to_lowercase()) {
                    names.aliases.insert(alias.to_lowercase(), table.clone());
                }
            }
        }
        Ok(names)
    }

    async fn ask(
        &mut self,
        question: &'static str,
        about: Option<&str>,
    ) -> Result<Vec<SqliteRow>, ExplainError> {
        self.allow(PLAN_TIME);
        let mut query = sqlx::query(question);
        if let Some(about) = about {
            query = query.bind(about.to_owned());
        }
        query
            .fetch_all(&mut self.connection)
            .await
            .map_err(|error| ExplainError::from_sqlx(error, &self.path))
    }

    fn allow(&self, time: Duration) {
        *self.deadline.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + time);
    }
}

/// Gives up whatever runs past the deadline.
async fn watch(
    connection: &mut SqliteConnection,
    deadline: &Arc<Mutex<Option<Instant>>>,
) -> Result<(), sqlx::Error> {
    let deadline = Arc::clone(deadline);
    connection
        .lock_handle()
        .await?
        .set_progress_handler(CLOCK_EVERY, move || {
            let deadline = *deadline.lock().unwrap_or_else(PoisonError::into_inner);
            deadline.is_none_or(|deadline| Instant::now() < deadline)
        });
    Ok(())
}

/// The file that an address names.
pub(crate) fn file(url: &str) -> Result<PathBuf, ExplainError> {
    let path = match url.split_once(':') {
        Some(("sqlite", rest)) => {
            let rest = rest.strip_prefix("//").unwrap_or(rest);
            rest.split_once('?').map_or(rest, |(path, _)| path)
        }
        Some((scheme, rest)) if rest.starts_with("//") => {
            return Err(ExplainError::NotYet(scheme.to_owned()));
        }
        _ => url,
    };
    if path.is_empty() || path == ":memory:" {
        return Err(ExplainError::InMemory);
    }
    Ok(Path::new(path).to_owned())
}

fn read_row(row: &SqliteRow) -> Result<phrase::Row, sqlx::Error> {
    Ok(phrase::Row {
        id: row.try_get("id")?,
        parent: row.try_get("parent")?,
        detail: row.try_get("detail")?,
    })
}

/// What only the text of a `CREATE INDEX` tells.
#[derive(Debug, Default, PartialEq, Eq)]
struct Declaration {
    /// Terms as written, without their direction.
    terms: Vec<String>,
    /// What follows `WHERE`.
    condition: Option<String>,
}

impl Declaration {
    fn read(sql: &str) -> Self {
        let tokens = statement::tokens(sql);
        let mut declaration = Self::default();
        let (mut depth, mut term_start) = (0_usize, 0);
        for (position, token) in tokens.iter().enumerate() {
            use TokenKind::{Comma, LeftParen, RightParen};
            let ends_term = depth == 1 && matches!(token.kind, Comma | RightParen);
            if ends_term {
                declaration
                    .terms
                    .push(term(sql, &tokens[term_start..position]));
            }
            if ends_term || depth == 0 && token.kind == LeftParen {
                term_start = position + 1;
            }
            match token.kind {
                LeftParen => depth += 1,
                RightParen => depth = depth.saturating_sub(1),
                _ if depth == 0 && token.is_word("WHERE") => {
                    declaration.condition = Some(text(sql, &tokens[position + 1..]));
                    break;
                }
                _ => {}
            }
        }
        declaration
    }
}

fn term(sql: &str, tokens: &[Token<'_>]) -> String {
    match tokens {
        [rest @ .., last] if last.is_word("ASC") || last.is_word("DESC") => text(sql, rest),
        all => text(sql, all),
    }
}

fn text(sql: &str, tokens: &[Token<'_>]) -> String {
    let (Some(first), Some(last)) = (tokens.first(), tokens.last()) else {
        return String::new();
    };
    sql[first.start..last.end()].to_owned()
}

const CATALOGUE: &str = "
    SELECT type, name, tbl_name, sql
    FROM sqlite_schema
    ORDER BY name";

const TABLES: &str = "
    SELECT name, type, wr
    FROM pragma_table_list
    WHERE schema = 'main'
      AND type IN ('table', 'virtual')
      AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
    ORDER BY name";

const COLUMNS: &str = "
    SELECT name, type, pk
    FROM pragma_table_xinfo($1)
    WHERE hidden <> 1
    ORDER BY cid";

const INDEXES: &str = "
    SELECT l.name, l.\"unique\", l.origin, s.sql
    FROM pragma_index_list($1) AS l
    LEFT JOIN sqlite_schema AS s ON s.type = 'index' AND s.name = l.name
    ORDER BY l.name";

const INDEX_TERMS: &str = "
    SELECT name, \"desc\"
    FROM pragma_index_xinfo($1)
    WHERE \"key\" = 1
    ORDER BY seqno";

const FOREIGN_KEYS: &str = "
    SELECT id, \"table\", \"from\"
    FROM pragma_foreign_key_list($1)
    ORDER BY id, seq";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_a_file_or_says_why_not() {
        for url in [
            "sqlite:a/b.db",
            "sqlite://a/b.db",
            "a/b.db",
            "sqlite:a/b.db?mode=rw",
        ] {
            assert_eq!(file(url).unwrap(), Path::new("a/b.db"), "{url}");
        }
        assert_eq!(file("sqlite:///a/b.db").unwrap(), Path::new("/a/b.db"));
        let error = file("mysql://ann:secret@host/db").unwrap_err();
        assert!(matches!(&error, ExplainError::NotYet(scheme) if scheme == "mysql"));
        assert!(!format!("{error} {error:?}").contains("secret"));
        assert!(matches!(
            file("sqlite::memory:"),
            Err(ExplainError::InMemory)
        ));
        assert!(matches!(file(""), Err(ExplainError::InMemory)));
    }

    #[test]
    fn the_text_of_an_index_tells_its_expressions_and_condition() {
        let declaration = Declaration::read(
            "CREATE INDEX i ON t (lower(a, 'x,)'), b DESC, (c + 1)) WHERE is_active AND d > 1",
        );
        assert_eq!(declaration.terms, ["lower(a, 'x,)')", "b", "(c + 1)"]);
        assert_eq!(
            declaration.condition.as_deref(),
            Some("is_active AND d > 1")
        );
        assert_eq!(Declaration::read(""), Declaration::default());
    }
}

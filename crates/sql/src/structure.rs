//! Predicates, joins and order of a statement, from a full parse (off the hot path).

use sqlparser::dialect::{Dialect as Grammar, MySqlDialect, PostgreSqlDialect, SQLiteDialect};
use sqlparser::parser::Parser;

use crate::Dialect;
use crate::rewrite::readable_by_parser;
use crate::walk::Walk;

/// How a column is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Comparison {
    /// `=`, `IS`, bare boolean column.
    Equal,
    /// `IN (..)`, `= ANY(..)`.
    In,
    /// `<`, `<=`, `>`, `>=`, `BETWEEN`.
    Range,
    /// `LIKE`, `ILIKE`, `GLOB` with a pattern that may begin with a constant.
    Prefix,
    /// `LIKE '%…'`.
    Contains,
    /// `IS NULL`.
    IsNull,
    /// `<>`, `NOT IN`, `IS NOT NULL`, anything an index does not serve.
    Other,
}

/// What a column is compared with.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Operand {
    /// A placeholder.
    Placeholder,
    /// A constant, as written.
    Literal(String),
    /// A column of another table: a join.
    Column {
        /// Table name (not alias).
        table: String,
        /// Column name.
        column: String,
    },
    /// A subquery or an expression.
    Expression,
}

/// One AND-ed condition on a column of a base table.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Predicate {
    /// Table name (not alias).
    pub table: String,
    /// Column name.
    pub column: String,
    /// How it is compared.
    pub comparison: Comparison,
    /// With what.
    pub operand: Operand,
    /// The placeholders that it is compared with, counted from 0 through the whole text: one for
    /// `= $1`, two for `BETWEEN $1 AND $2`. Each occurrence counts, however it is written.
    pub placeholders: Vec<usize>,
    /// The query block it stands in: a number of its own for the outermost query, each subquery
    /// and each part of a `UNION`. Only predicates of one block narrow one search together.
    pub block: usize,
}

/// One column of `ORDER BY` (or `GROUP BY`, when `Structure::grouped` says so).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OrderColumn {
    /// Table name (not alias).
    pub table: String,
    /// Column name.
    pub column: String,
    /// Descending?
    pub descending: bool,
}

/// The structure of one statement, names resolved to base tables.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Structure {
    /// Base tables in order of appearance, with their aliases.
    pub tables: Vec<(String, Option<String>)>,
    /// AND-ed predicates of every query block. Those under OR are left out.
    pub predicates: Vec<Predicate>,
    /// `ORDER BY` of the outermost query, or its `GROUP BY` if it groups. Constants are left
    /// out; empty if any other term is not a plain column in the database's own order of nulls.
    pub order: Vec<OrderColumn>,
    /// The query block of [`Structure::order`], as in [`Predicate::block`].
    pub order_block: usize,
    /// Whether the outermost query groups.
    pub grouped: bool,
}

/// Why a statement has no [`Structure`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StructureError {
    /// The parser refused the text.
    #[error("cannot parse the statement: {0}")]
    Parse(String),
    /// More than one statement, or none.
    #[error("expected one statement, found {0}")]
    Count(usize),
}

/// The structure of `sql`. A column without a table name is resolved when only one table is in
/// scope, or by `columns(table) -> names` when given by the caller.
///
/// Placeholders of every spelling are read, and SQLite's `INDEXED BY` is passed over.
///
/// # Errors
///
/// [`StructureError::Parse`] if the parser refuses the text, or if the text nests or chains
/// more operators than can be walked safely; [`StructureError::Count`] if it is not one statement.
pub fn structure(
    sql: &str,
    dialect: Dialect,
    columns: &dyn Fn(&str) -> Vec<String>,
) -> Result<Structure, StructureError> {
    let text = readable_by_parser(sql, dialect).map_err(StructureError::Parse)?;
    let statements = Parser::parse_sql(grammar(dialect), &text)
        .map_err(|error| StructureError::Parse(without_values(&error.to_string())))?;
    match statements.as_slice() {
        [statement] => Ok(Walk::of(statement, dialect, columns)),
        other => Err(StructureError::Count(other.len())),
    }
}

/// The parser's message without the constant it stopped at, which may be a user's value.
fn without_values(message: &str) -> String {
    let Some((before, rest)) = message.split_once("found: ") else {
        return message.to_owned();
    };
    let place = rest.rfind(" at Line").map_or("", |at| &rest[at..]);
    let found = rest.strip_suffix(place).unwrap_or(rest);
    let plain = found == "EOF"
        || found
            .chars()
            .all(|c| c.is_alphabetic() || "_().,;".contains(c));
    format!("{before}found: {}{place}", if plain { found } else { "…" })
}

fn grammar(dialect: Dialect) -> &'static dyn Grammar {
    match dialect {
        Dialect::Sqlite => &SQLiteDialect {},
        Dialect::Postgres => &PostgreSqlDialect {},
        Dialect::MySql => &MySqlDialect {},
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(table: &str) -> Vec<String> {
        let columns: &[&str] = match table {
            "users" => &["id", "name", "email", "is_active", "team_id"],
            "orders" => &["id", "user_id", "status", "created_at"],
            _ => &[],
        };
        columns.iter().map(|column| (*column).to_owned()).collect()
    }

    fn read(sql: &str, dialect: Dialect) -> Structure {
        structure(sql, dialect, &columns).unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    #[test]
    fn every_row_lock_of_postgresql_is_read() {
        for lock in [
            "UPDATE",
            "NO KEY UPDATE",
            "SHARE OF u, \"o\"",
            "KEY SHARE OF u",
        ] {
            let sql = format!(
                "SELECT u.id FROM users AS u, orders AS o WHERE u.email = $1 FOR {lock} SKIP LOCKED"
            );
            assert_eq!(read(&sql, Dialect::Postgres).predicates.len(), 1, "{lock}");
        }
    }

    /// Predicates as `table.column Comparison operand`.
    fn predicates(sql: &str, dialect: Dialect) -> Vec<String> {
        let write = |predicate: Predicate| {
            let Predicate {
                table,
                column,
                comparison,
                operand,
                ..
            } = predicate;
            let operand = match operand {
                Operand::Placeholder => "?".to_owned(),
                Operand::Literal(text) => text,
                Operand::Column { table, column } => format!("{table}.{column}"),
                Operand::Expression => "(..)".to_owned(),
            };
            format!("{table}.{column} {comparison:?} {operand}")
        };
        read(sql, dialect)
            .predicates
            .into_iter()
            .map(write)
            .collect()
    }

    fn check(dialect: Dialect, cases: &[(&str, &[&str])]) {
        for (condition, expected) in cases {
            let sql = format!("SELECT id FROM users WHERE {condition}");
            assert_eq!(predicates(&sql, dialect), *expected, "{sql}");
        }
    }

    #[test]
    fn comparisons_are_read_in_both_dialects() {
        for dialect in [Dialect::Sqlite, Dialect::Postgres] {
            check(
                dialect,
                &[
                    ("id = $1", &["users.id Equal ?"]),
                    ("? = id", &["users.id Equal ?"]),
                    (
                        "id = %s AND name = %(name)s",
                        &["users.id Equal ?", "users.name Equal ?"],
                    ),
                    ("id = -1", &["users.id Equal -1"]),
                    ("name = 'o''x'", &["users.name Equal 'o''x'"]),
                    (
                        "id > 5 AND id <= :max",
                        &["users.id Range 5", "users.id Range ?"],
                    ),
                    ("id BETWEEN 1 AND 2", &["users.id Range 1"]),
                    ("id NOT BETWEEN 1 AND 2", &["users.id Other 1"]),
                    ("id IN (1, 2)", &["users.id In 1, 2"]),
                    ("id IN (?, 2)", &["users.id In ?"]),
                    ("id NOT IN (1)", &["users.id Other 1"]),
                    ("name LIKE 'a%'", &["users.name Prefix 'a%'"]),
                    ("name LIKE '%a'", &["users.name Contains '%a'"]),
                    ("name LIKE '%' || $1", &["users.name Contains (..)"]),
                    ("name LIKE $1", &["users.name Prefix ?"]),
                    ("name NOT LIKE 'a%'", &["users.name Other 'a%'"]),
                    ("name IS NULL", &["users.name IsNull NULL"]),
                    ("name IS NOT NULL", &["users.name Other NULL"]),
                    ("name <> 'a'", &["users.name Other 'a'"]),
                    ("is_active", &["users.is_active Equal TRUE"]),
                    ("is_active = TRUE", &["users.is_active Equal TRUE"]),
                    ("is_active IS TRUE", &["users.is_active Equal TRUE"]),
                    ("NOT is_active", &["users.is_active Equal FALSE"]),
                    ("NOT (id = 1)", &["users.id Other 1"]),
                    ("NOT (id = 1 AND name = 'a')", &[]),
                    (
                        "(id, name) < ($1, $2)",
                        &["users.id Range ?", "users.name Other ?"],
                    ),
                    (
                        "(id, name) = ($1, $2)",
                        &["users.id Equal ?", "users.name Equal ?"],
                    ),
                    ("id = 1 OR name = 'a'", &[]),
                    (
                        "team_id = 1 AND (id = 1 OR name = 'a')",
                        &["users.team_id Equal 1"],
                    ),
                    ("lower(name) = 'a'", &[]),
                    ("CAST(id AS TEXT) = 'a'", &[]),
                    ("id = CAST(? AS INTEGER)", &["users.id Equal ?"]),
                    (
                        "id = team_id",
                        &["users.id Equal (..)", "users.team_id Equal (..)"],
                    ),
                ],
            );
        }
    }

    #[test]
    fn what_only_one_dialect_has_is_read() {
        check(
            Dialect::Postgres,
            &[
                ("id = ANY($1)", &["users.id In ?"]),
                ("id = ANY($1::bigint[])", &["users.id In ?"]),
                ("id <> ALL($1)", &["users.id Other ?"]),
                ("name ILIKE '%a'", &["users.name Contains '%a'"]),
                ("name IS NOT DISTINCT FROM $1", &["users.name Equal ?"]),
                ("id = $1::INTEGER", &["users.id Equal ?"]),
            ],
        );
        check(
            Dialect::Sqlite,
            &[
                ("name GLOB 'a*'", &["users.name Prefix 'a*'"]),
                ("name IS ?1", &["users.name Equal ?"]),
                ("id IS NOT 0", &["users.id Other 0"]),
                ("name MATCH 'a'", &["users.name Other 'a'"]),
            ],
        );
        assert_eq!(
            predicates(
                "SELECT id FROM users INDEXED BY i WHERE id = ?",
                Dialect::Sqlite
            ),
            ["users.id Equal ?"]
        );
        assert_eq!(
            predicates(
                "SELECT id FROM users u NOT INDEXED WHERE u.id = ?",
                Dialect::Sqlite
            ),
            ["users.id Equal ?"]
        );
    }

    #[test]
    fn predicates_name_the_placeholders_that_they_are_compared_with() {
        let places = |sql: &str, dialect| -> Vec<(String, Vec<usize>)> {
            let predicates = read(sql, dialect).predicates.into_iter();
            predicates
                .map(|predicate| (predicate.column, predicate.placeholders))
                .collect()
        };
        let own = |places: &[(&str, &[usize])]| -> Vec<(String, Vec<usize>)> {
            let pairs = places.iter();
            pairs
                .map(|(name, at)| ((*name).to_owned(), at.to_vec()))
                .collect()
        };
        for (dialect, sql) in [
            (
                Dialect::Postgres,
                "UPDATE users SET name = $4 WHERE id = $1::bigint AND team_id IN ($2, 3, $1) \
                 AND email BETWEEN $3 AND $2 AND (id, name) < ($1, $1) AND name LIKE $2",
            ),
            (
                Dialect::Sqlite,
                "UPDATE users SET name = ? WHERE id = CAST(? AS INTEGER) AND team_id IN (?, 3, ?) \
                 AND email BETWEEN ? AND ? AND (id, name) < (:a, :b) AND name LIKE %s",
            ),
        ] {
            let expected = own(&[
                ("id", &[1]),
                ("team_id", &[2, 3]),
                ("email", &[4, 5]),
                ("id", &[6]),
                ("name", &[7]),
                ("name", &[8]),
            ]);
            assert_eq!(places(sql, dialect), expected, "{sql}");
        }
        assert_eq!(
            places(
                "SELECT 1 FROM users WHERE id = 1 AND name = lower($1)",
                Dialect::Postgres
            ),
            own(&[("id", &[]), ("name", &[])])
        );
    }

    #[test]
    fn joins_are_predicates_of_both_tables() {
        let sql = "SELECT o.id FROM Orders AS o JOIN users u ON u.id = o.user_id WHERE status = $1";
        assert_eq!(
            predicates(sql, Dialect::Postgres),
            [
                "users.id Equal orders.user_id",
                "orders.user_id Equal users.id",
                "orders.status Equal ?"
            ]
        );
        assert_eq!(
            read(sql, Dialect::Postgres).tables,
            [
                ("orders".to_owned(), Some("o".to_owned())),
                ("users".to_owned(), Some("u".to_owned()))
            ]
        );
        assert_eq!(
            predicates("SELECT 1 FROM a JOIN b USING (k)", Dialect::Sqlite),
            ["b.k Equal a.k", "a.k Equal b.k"]
        );
        assert_eq!(
            predicates(
                "SELECT 1 FROM users p JOIN users c ON c.team_id = p.id",
                Dialect::Sqlite
            ),
            [
                "users.team_id Equal users.id",
                "users.id Equal users.team_id"
            ]
        );
    }

    #[test]
    fn subqueries_see_the_tables_around_them() {
        assert_eq!(
            predicates(
                "SELECT id FROM users u WHERE EXISTS \
                 (SELECT 1 FROM orders WHERE user_id = u.id AND status = 'x')",
                Dialect::Postgres
            ),
            [
                "orders.user_id Equal users.id",
                "users.id Equal orders.user_id",
                "orders.status Equal 'x'"
            ]
        );
        assert_eq!(
            predicates(
                "SELECT id FROM users WHERE id IN (SELECT user_id FROM orders WHERE email = name)",
                Dialect::Sqlite
            ),
            [
                "users.id In (..)",
                "users.email Equal (..)",
                "users.name Equal (..)"
            ]
        );
        assert_eq!(
            predicates(
                "WITH users AS (SELECT * FROM orders WHERE id = $1) SELECT * FROM users WHERE name = 'a'",
                Dialect::Postgres
            ),
            ["orders.id Equal ?"]
        );
    }

    #[test]
    fn writes_have_predicates_too() {
        for (sql, expected) in [
            (
                "UPDATE users SET name = $1 WHERE id = $2",
                vec!["users.id Equal ?"],
            ),
            (
                "UPDATE users SET name = o.status FROM orders o WHERE o.user_id = users.id",
                vec![
                    "orders.user_id Equal users.id",
                    "users.id Equal orders.user_id",
                ],
            ),
            (
                "DELETE FROM orders WHERE created_at < $1",
                vec!["orders.created_at Range ?"],
            ),
            (
                "INSERT INTO orders (user_id) SELECT id FROM users WHERE is_active",
                vec!["users.is_active Equal TRUE"],
            ),
            (
                "INSERT INTO users (id) VALUES ($1) ON CONFLICT (id) DO UPDATE SET name = excluded.name",
                vec![],
            ),
        ] {
            assert_eq!(predicates(sql, Dialect::Postgres), expected, "{sql}");
        }
    }

    #[test]
    fn the_order_is_that_of_the_outermost_query() {
        let order = |sql: &str| -> (Vec<String>, bool) {
            let structure = read(sql, Dialect::Postgres);
            let write = |order: &OrderColumn| {
                let direction = if order.descending { "DESC" } else { "ASC" };
                format!("{}.{} {direction}", order.table, order.column)
            };
            (
                structure.order.iter().map(write).collect(),
                structure.grouped,
            )
        };
        let cases: [(&str, &[&str], bool); 10] = [
            (
                "ORDER BY name DESC, id",
                &["users.name DESC", "users.id ASC"],
                false,
            ),
            ("ORDER BY users.name ASC", &["users.name ASC"], false),
            ("ORDER BY 1", &["users.id ASC"], false),
            ("ORDER BY shown", &["users.name ASC"], false),
            ("ORDER BY NULL, id", &["users.id ASC"], false),
            ("ORDER BY lower(name), id", &[], false),
            ("ORDER BY name NULLS LAST", &["users.name ASC"], false),
            ("ORDER BY name NULLS FIRST", &[], false),
            ("ORDER BY $1", &[], false),
            (
                "GROUP BY team_id, name ORDER BY 1",
                &["users.team_id ASC", "users.name ASC"],
                true,
            ),
        ];
        for (clause, columns, grouped) in cases {
            let sql = format!("SELECT id, name AS shown FROM users {clause}");
            let (found, found_grouped) = order(&sql);
            assert_eq!(
                (found, found_grouped),
                (columns.iter().map(|c| (*c).to_owned()).collect(), grouped),
                "{sql}"
            );
        }
    }

    #[test]
    fn each_query_block_has_a_number_of_its_own() {
        let blocks = |sql: &str| -> (Vec<usize>, usize) {
            let structure = read(sql, Dialect::Sqlite);
            let blocks = structure.predicates.iter().map(|p| p.block).collect();
            (blocks, structure.order_block)
        };
        let cases: [(&str, &[usize], usize); 4] = [
            (
                "SELECT id FROM users WHERE id = 1 AND name = 'a' ORDER BY id",
                &[0, 0],
                0,
            ),
            (
                "SELECT id FROM users WHERE id = 1 UNION SELECT id FROM users WHERE name = 'a'",
                &[0, 1],
                0,
            ),
            (
                "WITH page AS (SELECT id FROM orders WHERE status = 'x')
                 SELECT users.id FROM page JOIN users ON users.id = 3 ORDER BY users.name",
                &[0, 1],
                1,
            ),
            (
                "SELECT id FROM users WHERE team_id = 1 AND id IN (SELECT user_id FROM orders WHERE status = 'x')",
                &[0, 0, 1],
                0,
            ),
        ];
        for (sql, expected, order) in cases {
            assert_eq!(blocks(sql), (expected.to_vec(), order), "{sql}");
        }
    }

    #[test]
    fn what_is_not_one_statement_is_an_error() {
        let error = |sql| structure(sql, Dialect::Sqlite, &columns);
        assert_eq!(error(""), Err(StructureError::Count(0)));
        assert_eq!(error("SELECT 1; SELECT 2"), Err(StructureError::Count(2)));
        assert!(matches!(
            error("SELECT FROM WHERE"),
            Err(StructureError::Parse(_))
        ));
        let chain = format!("SELECT 1 WHERE {} 1", "1 = 1 AND ".repeat(2000));
        assert!(matches!(error(&chain), Err(StructureError::Parse(_))));
        assert_eq!(error("BEGIN"), Ok(Structure::default()));
    }

    #[test]
    fn an_error_does_not_tell_values() {
        for sql in [
            "SELECT a FROM t WHERE 'secret' 'secret'",
            "SELECT a FROM t secret 4711 4711",
        ] {
            let message = structure(sql, Dialect::Postgres, &columns)
                .expect_err("two values in a row are no condition")
                .to_string();
            assert!(
                !message.contains("'secret'") && !message.contains("4711"),
                "{message}"
            );
            assert!(message.contains("Line: 1"), "{message}");
        }
    }
}

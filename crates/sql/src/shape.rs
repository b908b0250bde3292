//! What a statement does, read from its tokens alone, so that it never fails.

use crate::Dialect;
use crate::lexer::TokenKind;
use crate::limit::{limits, nested_limit, source_limit};
use crate::outer::Outer;
use crate::select_list::select_list;
use crate::table_scan::tables;
use crate::tokens::Tokens;

/// What kind of statement this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `SELECT`, `VALUES`, `TABLE`, and `WITH` that ends in one of them.
    Select,
    /// `INSERT`, `REPLACE`.
    Insert,
    /// `UPDATE`.
    Update,
    /// `DELETE`.
    Delete,
    /// `BEGIN`, `COMMIT`, `ROLLBACK`, `SAVEPOINT`, `RELEASE`.
    Transaction,
    /// `CREATE`, `ALTER`, `DROP`, ...
    Definition,
    /// `PRAGMA`, `SET`, `SHOW`, `EXPLAIN`, `ANALYZE`, `VACUUM`, ...
    Utility,
    /// Anything else, truncated text included.
    Other,
}

/// A table that the statement names.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TableUse {
    /// Name, folded if unquoted, without schema.
    pub name: String,
    /// Whether the statement writes to it.
    pub written: bool,
}

/// How a `LIMIT` or `OFFSET` is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Limit {
    /// A number in the text.
    Literal(u64),
    /// A placeholder or an expression: the value is not in the text.
    Unknown,
}

/// What a statement does, as far as its tokens tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    /// Kind of statement (of the main one, behind a `WITH`).
    pub kind: Kind,
    /// Tables, sorted, without the names of common table expressions.
    pub tables: Vec<TableUse>,
    /// `LIMIT` / `FETCH FIRST` of the outermost query.
    pub limit: Option<Limit>,
    /// `OFFSET` of the outermost query.
    pub offset: Option<Limit>,
    /// Whether any nested query has a `LIMIT`.
    pub nested_limit: bool,
    /// Whether a query that the outermost one takes its rows from (in `FROM`, `WITH` or `IN`) has
    /// a `LIMIT`, which then bounds the outermost one as well. One in the select list does not.
    pub source_limit: bool,
    /// Number of placeholders (occurrences).
    pub placeholders: usize,
    /// Whether the outermost select list is only aggregates without `GROUP BY`: one row.
    pub single_row: bool,
    /// Whether the outermost select list holds `COUNT(...)` without `GROUP BY`.
    pub counts: bool,
    /// Whether it holds `IN (list)`, `= ANY(..)`, `json_each(..)`, `unnest(..)` or several `VALUES` rows: a batch.
    pub batch: bool,
    /// Whether a `LIKE`/`ILIKE`/`GLOB` pattern begins with a wildcard: `Some(true)` it does,
    /// `Some(false)` it does not, `None` no pattern match or the pattern is a bare placeholder.
    pub leading_wildcard: Option<bool>,
    /// Whether there is a `WHERE` in the outermost query.
    pub filtered: bool,
    /// Whether the outermost select list is or contains `*`.
    pub star: bool,
}

/// The shape of `sql`. Total: text that is not SQL gives [`Kind::Other`] and nothing else.
///
/// Of several statements in one text, the kind is that of the first.
pub fn shape(sql: &str, dialect: Dialect) -> Shape {
    let tokens = Tokens::of(sql, dialect);
    let outer = Outer::of(&tokens);
    let kind = outer.kind;
    let queries = matches!(
        kind,
        Kind::Select | Kind::Insert | Kind::Update | Kind::Delete
    );
    let mut shape = Shape {
        kind,
        tables: Vec::new(),
        limit: None,
        offset: None,
        nested_limit: false,
        source_limit: false,
        placeholders: count(&tokens, TokenKind::Placeholder),
        single_row: false,
        counts: false,
        batch: false,
        leading_wildcard: None,
        filtered: false,
        star: false,
    };
    if queries || kind == Kind::Definition || outer.explained {
        shape.tables = tables(&tokens);
    }
    if queries {
        let limits = limits(&tokens, &outer);
        shape.limit = limits.limit;
        shape.offset = limits.offset;
        shape.nested_limit = nested_limit(&tokens, &outer);
        shape.source_limit = shape.nested_limit && source_limit(&tokens);
        shape.batch = is_batch(&tokens);
        shape.leading_wildcard = leading_wildcard(&tokens);
        shape.filtered = outer.find(&tokens, "WHERE").is_some();
        let list = select_list(&tokens, &outer, dialect);
        shape.star = list.star;
        shape.counts = list.counts;
        shape.single_row = list.single_row && kind == Kind::Select;
    }
    shape
}

fn count(tokens: &Tokens<'_>, kind: TokenKind) -> usize {
    (0..tokens.len())
        .filter(|&index| tokens.is(index, kind))
        .count()
}

/// Functions that make rows from one list value.
pub(crate) const UNNESTING: [&str; 12] = [
    "json_each",
    "json_tree",
    "jsonb_each",
    "jsonb_tree",
    "json_array_elements",
    "json_array_elements_text",
    "jsonb_array_elements",
    "jsonb_array_elements_text",
    "json_to_recordset",
    "jsonb_to_recordset",
    "json_table",
    "unnest",
];

/// Whether the statement deals with a list of values at once.
fn is_batch(tokens: &Tokens<'_>) -> bool {
    (0..tokens.len()).any(|index| {
        if !tokens.is(index, TokenKind::Word) || !tokens.is(index + 1, TokenKind::LeftParen) {
            return false;
        }
        let list = !tokens.begins_query(index + 2);
        if tokens.word(index, "IN") {
            return list;
        }
        if tokens.any_word(index, &["ANY", "SOME"]) {
            return list && index > 0 && tokens.is(index - 1, TokenKind::Operator);
        }
        if tokens.word(index, "VALUES") {
            let behind = tokens.after(index + 1);
            return tokens.is(behind, TokenKind::Comma)
                && tokens.is(behind + 1, TokenKind::LeftParen);
        }
        tokens.any_word(index, &UNNESTING)
    })
}

/// Whether a pattern begins with a wildcard; a pattern that does outweighs one that does not.
fn leading_wildcard(tokens: &Tokens<'_>) -> Option<bool> {
    let verdicts = (0..tokens.len()).filter_map(|index| {
        let wildcards: &[char] = if tokens.any_word(index, &["LIKE", "ILIKE"]) {
            &['%', '_']
        } else if tokens.word(index, "GLOB") {
            &['*', '?', '[']
        } else {
            return None;
        };
        let pattern = first_value(tokens, index + 1);
        if !tokens.is(pattern, TokenKind::String) {
            return None;
        }
        let text = tokens.text(pattern);
        let body = text
            .split_once(['\'', '"', '$'])
            .map_or("", |(_, body)| body);
        Some(body.starts_with(wildcards))
    });
    verdicts.reduce(|one, other| one || other)
}

/// The first value of an expression, inside brackets and calls: of `concat('%', ?)` the string.
fn first_value(tokens: &Tokens<'_>, mut index: usize) -> usize {
    while tokens.is(index, TokenKind::LeftParen)
        || (tokens.is(index, TokenKind::Word) && tokens.is(index + 1, TokenKind::LeftParen))
    {
        index += 1;
    }
    index
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sqlite(sql: &str) -> Shape {
        shape(sql, Dialect::Sqlite)
    }

    fn postgres(sql: &str) -> Shape {
        shape(sql, Dialect::Postgres)
    }

    /// Names of the tables, written ones with a `!`.
    fn tables_of(sql: &str) -> Vec<String> {
        let marked = |table: TableUse| {
            if table.written {
                format!("{}!", table.name)
            } else {
                table.name
            }
        };
        postgres(sql).tables.into_iter().map(marked).collect()
    }

    #[test]
    fn the_kind_is_that_of_the_main_statement() {
        let kinds = [
            ("SELECT 1", Kind::Select),
            ("(SELECT 1) UNION (SELECT 2)", Kind::Select),
            ("VALUES (1)", Kind::Select),
            ("WITH a AS (SELECT 1) SELECT * FROM a", Kind::Select),
            (
                "WITH a AS (SELECT 1), b (x) AS MATERIALIZED (SELECT 2) DELETE FROM t",
                Kind::Delete,
            ),
            (
                "WITH d AS (DELETE FROM t RETURNING id) SELECT * FROM d",
                Kind::Select,
            ),
            ("/* x */ INSERT INTO t VALUES (1)", Kind::Insert),
            ("REPLACE INTO t VALUES (1)", Kind::Insert),
            ("UPDATE t SET a = 1", Kind::Update),
            ("BEGIN IMMEDIATE", Kind::Transaction),
            ("release savepoint s", Kind::Transaction),
            ("CREATE INDEX i ON t (a)", Kind::Definition),
            ("PRAGMA foreign_keys = ON", Kind::Utility),
            ("EXPLAIN ANALYZE SELECT 1", Kind::Utility),
            ("SEL", Kind::Other),
            ("", Kind::Other),
            ("'text'", Kind::Other),
        ];
        for (sql, kind) in kinds {
            assert_eq!(postgres(sql).kind, kind, "{sql}");
        }
    }

    #[test]
    fn tables_are_found_wherever_they_stand() {
        let cases: [(&str, &[&str]); 27] = [
            ("SELECT * FROM users", &["users"]),
            (
                "SELECT * FROM public.Users u, \"Orders\" AS o",
                &["Orders", "users"],
            ),
            (
                "SELECT * FROM a JOIN b ON a.x = b.x LEFT JOIN c USING (y), d",
                &["a", "b", "c", "d"],
            ),
            (
                "SELECT * FROM (a CROSS JOIN b) JOIN (SELECT 1 FROM c) s ON TRUE",
                &["a", "b", "c"],
            ),
            (
                "SELECT (SELECT max(x) FROM b) FROM a WHERE y IN (SELECT y FROM c)",
                &["a", "b", "c"],
            ),
            (
                "SELECT EXTRACT(YEAR FROM at), trim(BOTH FROM n) FROM events",
                &["events"],
            ),
            ("SELECT a IS DISTINCT FROM b FROM t", &["t"]),
            (
                "WITH r AS (SELECT * FROM t) SELECT * FROM r JOIN u ON TRUE",
                &["t", "u"],
            ),
            (
                "WITH users AS (SELECT * FROM users) SELECT * FROM users",
                &["users"],
            ),
            (
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION SELECT i + 1 FROM n) SELECT * FROM n",
                &[],
            ),
            (
                "SELECT * FROM json_each($1) j, unnest($2) u, generate_series(1, 3), t",
                &["t"],
            ),
            (
                "SELECT * FROM t, LATERAL (SELECT * FROM u WHERE u.a = t.a) x",
                &["t", "u"],
            ),
            ("INSERT INTO t (a, b) VALUES ($1, $2) RETURNING id", &["t!"]),
            ("INSERT INTO t SELECT a FROM u", &["t!", "u"]),
            ("INSERT INTO t (a) SELECT t.a FROM t", &["t!"]),
            ("INSERT OR REPLACE INTO t VALUES (1)", &["t!"]),
            (
                "INSERT INTO t AS x (a) VALUES (1) ON CONFLICT (a) DO UPDATE SET a = 2",
                &["t!"],
            ),
            (
                "UPDATE ONLY t SET a = u.a FROM u WHERE t.id = u.id",
                &["t!", "u"],
            ),
            ("UPDATE OR IGNORE t SET a = 1", &["t!"]),
            (
                "DELETE FROM s.t USING u, v WHERE t.id = u.id",
                &["t!", "u", "v"],
            ),
            ("SELECT * FROM t WHERE id = 1 FOR UPDATE", &["t"]),
            (
                "WITH d AS (DELETE FROM t RETURNING id) INSERT INTO u SELECT id FROM d",
                &["t!", "u!"],
            ),
            ("CREATE TABLE IF NOT EXISTS t (a int, b text)", &["t!"]),
            ("CREATE UNIQUE INDEX i ON t (a, b)", &["t!"]),
            ("DROP TABLE IF EXISTS a, b", &["a!", "b!"]),
            ("ALTER TABLE t ADD COLUMN a int, ADD COLUMN b int", &["t!"]),
            (
                "MERGE INTO t USING s ON t.id = s.id WHEN MATCHED THEN DELETE",
                &["s", "t!"],
            ),
        ];
        for (sql, names) in cases {
            assert_eq!(tables_of(sql), names, "{sql}");
        }
    }

    #[test]
    fn limits_are_read_in_every_spelling() {
        use Limit::{Literal, Unknown};
        let cases = [
            ("SELECT a FROM t LIMIT 20", Some(Literal(20)), None),
            (
                "SELECT a FROM t LIMIT 20 OFFSET 40;",
                Some(Literal(20)),
                Some(Literal(40)),
            ),
            (
                "SELECT a FROM t OFFSET 40 LIMIT 20",
                Some(Literal(20)),
                Some(Literal(40)),
            ),
            (
                "SELECT a FROM t LIMIT 40, 20",
                Some(Literal(20)),
                Some(Literal(40)),
            ),
            (
                "SELECT a FROM t LIMIT $1 OFFSET $2",
                Some(Unknown),
                Some(Unknown),
            ),
            ("SELECT a FROM t LIMIT 10 + 5", Some(Unknown), None),
            ("SELECT a FROM t LIMIT (SELECT 1)", Some(Unknown), None),
            ("SELECT a FROM t LIMIT ALL", None, None),
            ("SELECT a FROM t LIMIT -1 OFFSET 3", None, Some(Literal(3))),
            (
                "SELECT a FROM t OFFSET 5 ROWS FETCH NEXT 10 ROWS ONLY",
                Some(Literal(10)),
                Some(Literal(5)),
            ),
            (
                "SELECT a FROM t FETCH FIRST ROW ONLY",
                Some(Literal(1)),
                None,
            ),
            ("(SELECT a FROM t LIMIT 3)", Some(Literal(3)), None),
            (
                "SELECT a FROM t LIMIT 5 FOR UPDATE OF t, u",
                Some(Literal(5)),
                None,
            ),
            ("SELECT t.limit, t.offset FROM t", None, None),
            ("SELECT a FROM t LIMIT", None, None),
        ];
        for (sql, limit, offset) in cases {
            let shape = postgres(sql);
            assert_eq!((shape.limit, shape.offset), (limit, offset), "{sql}");
            assert!(!shape.nested_limit, "{sql}");
        }
        let nested = postgres("SELECT (SELECT a FROM t LIMIT 1) FROM u");
        assert!(nested.nested_limit && nested.limit.is_none());
    }

    #[test]
    fn a_limit_bounds_what_takes_its_rows_from_it() {
        let cases = [
            (
                "WITH p AS (SELECT id FROM t LIMIT $1) SELECT * FROM p JOIN u ON u.id = p.id",
                true,
            ),
            (
                "WITH a AS (SELECT 1), p AS NOT MATERIALIZED (SELECT 2 LIMIT 3) SELECT * FROM p",
                true,
            ),
            ("SELECT * FROM (SELECT id FROM t LIMIT 20) p, u", true),
            ("SELECT * FROM u, (SELECT id FROM t LIMIT 20) p", true),
            (
                "SELECT * FROM u JOIN (SELECT id FROM t FETCH FIRST 9 ROWS ONLY) p USING (id)",
                true,
            ),
            (
                "SELECT * FROM u WHERE id IN (SELECT id FROM t ORDER BY id LIMIT 20)",
                true,
            ),
            ("SELECT * FROM ((SELECT id FROM t LIMIT 20)) p", true),
            (
                "(SELECT a FROM t LIMIT 5) UNION ALL (SELECT a FROM u LIMIT 5)",
                true,
            ),
            (
                "SELECT a, (SELECT url FROM i WHERE i.t = t.id LIMIT 1) FROM t",
                false,
            ),
            (
                "SELECT (SELECT x FROM (SELECT x FROM i LIMIT 1) s) FROM t",
                false,
            ),
            (
                "SELECT * FROM t WHERE EXISTS (SELECT 1 FROM i LIMIT 1)",
                false,
            ),
            (
                "SELECT * FROM t WHERE a = (SELECT max(a) FROM i LIMIT 1)",
                false,
            ),
            (
                "SELECT * FROM t WHERE id NOT IN (SELECT id FROM i LIMIT 20)",
                false,
            ),
            (
                "SELECT * FROM t LEFT JOIN (SELECT id FROM i LIMIT 3) p ON p.id = t.id",
                false,
            ),
            (
                "SELECT * FROM t, LATERAL (SELECT id FROM i WHERE i.t = t.id LIMIT 3) p",
                false,
            ),
            (
                "SELECT * FROM t ORDER BY a, (SELECT b FROM i LIMIT 1)",
                false,
            ),
            ("SELECT a FROM t LIMIT 3", false),
            ("SELECT a FROM t", false),
            (") LIMIT", false),
        ];
        for (sql, bounds) in cases {
            assert_eq!(postgres(sql).source_limit, bounds, "{sql}");
        }
    }

    #[test]
    fn one_row_and_counts_are_seen() {
        // Statement, single row, counts.
        let cases = [
            ("SELECT count(*) FROM t", true, true),
            (
                "SELECT COUNT(DISTINCT a), max(b) FROM t WHERE c = 1",
                true,
                true,
            ),
            ("SELECT COALESCE(sum(a), 0) AS s FROM t", true, false),
            ("SELECT EXISTS (SELECT 1 FROM t)", true, false),
            ("SELECT count(*) FROM t GROUP BY a", false, false),
            ("SELECT count(*) OVER () FROM t", false, false),
            (
                "SELECT count(*) FILTER (WHERE a) OVER (ORDER BY b) FROM t",
                false,
                false,
            ),
            ("SELECT (SELECT count(*) FROM u) FROM t", false, false),
            ("SELECT min(a, b) FROM t", false, false),
            ("SELECT min(a) FROM t", true, false),
            (
                "SELECT count(*) FROM t UNION ALL SELECT count(*) FROM u",
                false,
                true,
            ),
            ("SELECT a FROM t", false, false),
            ("INSERT INTO t SELECT count(*) FROM u", false, true),
        ];
        for (sql, single_row, counts) in cases {
            let shape = sqlite(sql);
            assert_eq!(
                (shape.single_row, shape.counts),
                (single_row, counts),
                "{sql}"
            );
        }
        assert!(!postgres("SELECT unnest($1)").single_row);
    }

    #[test]
    fn batches_are_seen() {
        for sql in [
            "SELECT a FROM t WHERE id IN (?, ?)",
            "SELECT a FROM t WHERE id = ANY($1)",
            "SELECT a FROM t WHERE id IN (SELECT value FROM json_each(?))",
            "INSERT INTO t VALUES (1, 2), (3, 4)",
            "INSERT INTO t SELECT * FROM unnest($1::int[], $2::text[])",
        ] {
            assert!(postgres(sql).batch, "{sql}");
        }
        for sql in [
            "SELECT a FROM t WHERE id = $1",
            "SELECT a FROM t WHERE id IN (SELECT id FROM u)",
            "SELECT a FROM t WHERE id = ANY(SELECT id FROM u)",
            "INSERT INTO t VALUES (1, 2)",
        ] {
            assert!(!postgres(sql).batch, "{sql}");
        }
    }

    #[test]
    fn wildcards_at_the_beginning_of_a_pattern_are_seen() {
        let cases = [
            ("a LIKE '%x'", Some(true)),
            ("a ILIKE 'x%'", Some(false)),
            ("a LIKE $1", None),
            ("a LIKE '%' || $1 || '%'", Some(true)),
            ("a LIKE concat('%', $1)", Some(true)),
            ("a NOT LIKE E'_x'", Some(true)),
            ("a GLOB '*x'", Some(true)),
            ("a GLOB '%x'", Some(false)),
            ("a LIKE 'x%' OR b LIKE '%x'", Some(true)),
            ("a = '%x'", None),
        ];
        for (condition, expected) in cases {
            let sql = format!("SELECT a FROM t WHERE {condition}");
            assert_eq!(postgres(&sql).leading_wildcard, expected, "{sql}");
        }
    }

    #[test]
    fn stars_filters_and_placeholders_are_seen() {
        for sql in [
            "SELECT * FROM t",
            "SELECT t.*, a FROM t",
            "SELECT DISTINCT * FROM t",
        ] {
            assert!(postgres(sql).star, "{sql}");
        }
        for sql in [
            "SELECT a * b FROM t",
            "SELECT count(*) FROM t",
            "SELECT a FROM (SELECT * FROM t) s",
        ] {
            assert!(!postgres(sql).star, "{sql}");
        }
        assert!(postgres("DELETE FROM t WHERE a = 1").filtered);
        assert!(!postgres("SELECT a FROM (SELECT a FROM t WHERE b = 1) s").filtered);
        assert_eq!(
            postgres("SELECT $1, $2::int FROM t WHERE a ? 'k' AND b = $1").placeholders,
            3
        );
        assert_eq!(sqlite("SELECT ?, :a, @b, $c, ?5 FROM t").placeholders, 5);
    }

    #[test]
    fn text_that_is_not_sql_has_no_shape() {
        let shape = postgres("hello, world FROM nowhere LIMIT 5 WHERE");
        assert_eq!(shape.kind, Kind::Other);
        assert!(shape.tables.is_empty() && shape.limit.is_none() && !shape.filtered);
    }
}

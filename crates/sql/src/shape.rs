//! What a statement does, read from its tokens alone, so that it never fails.

use crate::Dialect;
use crate::lexer::TokenKind;
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

/// The outermost statement: what kind it is and which tokens it covers.
struct Outer {
    kind: Kind,
    /// The word that begins the main statement, behind `WITH` and `EXPLAIN`.
    from: usize,
    /// Behind its last token.
    to: usize,
    /// Whether an `EXPLAIN` stands before it.
    explained: bool,
}

impl Outer {
    fn of(tokens: &Tokens<'_>) -> Self {
        let (mut from, mut to) = (0, tokens.len());
        while tokens.is(from, TokenKind::Semicolon) {
            from += 1;
        }
        if let Some(semicolon) = tokens
            .outer(from, to)
            .find(|&index| tokens.is(index, TokenKind::Semicolon))
        {
            to = semicolon;
        }
        let explained = tokens.word(from, "EXPLAIN");
        if explained {
            from = skip_explain(tokens, from + 1);
        }
        // A whole statement in brackets: the outermost query is the one inside.
        while tokens.is(from, TokenKind::LeftParen) && tokens.after(from) >= to {
            to = to.min(tokens.end_of(from));
            from += 1;
        }
        from = skip_with(tokens, from, to);
        let mut first = from;
        while tokens.is(first, TokenKind::LeftParen) {
            first += 1;
        }
        let kind = if explained {
            Kind::Utility
        } else {
            kind_of(tokens, first)
        };
        Self {
            kind,
            from,
            to,
            explained,
        }
    }

    /// The keyword `word` of the outermost statement itself, not of a nested query.
    fn find(&self, tokens: &Tokens<'_>, word: &str) -> Option<usize> {
        self.clauses(tokens).find(|&index| tokens.word(index, word))
    }

    /// Outermost words that are not the second part of a qualified name.
    fn clauses<'a>(&self, tokens: &'a Tokens<'a>) -> impl Iterator<Item = usize> + 'a {
        tokens.outer(self.from, self.to).filter(|&index| {
            tokens.is(index, TokenKind::Word)
                && !(index > 0 && tokens.is(index - 1, TokenKind::Dot))
        })
    }
}

fn skip_explain(tokens: &Tokens<'_>, mut at: usize) -> usize {
    while tokens.any_word(at, &["ANALYZE", "ANALYSE", "VERBOSE", "QUERY", "PLAN"])
        || (tokens.is(at, TokenKind::LeftParen) && !tokens.begins_query(at + 1))
    {
        at = tokens.after(at);
    }
    at
}

/// The index of the main statement behind the common table expressions.
fn skip_with(tokens: &Tokens<'_>, from: usize, to: usize) -> usize {
    if !tokens.word(from, "WITH") {
        return from;
    }
    let mains = [
        "SELECT", "INSERT", "UPDATE", "DELETE", "REPLACE", "MERGE", "VALUES", "TABLE",
    ];
    let mut behind_body = false;
    for index in tokens.outer(from + 1, to) {
        let bracket = tokens.is(index, TokenKind::LeftParen);
        // `WITH a AS (..) (SELECT ..)`: the second bracket in a row is the query.
        if behind_body && (bracket || tokens.any_word(index, &mains)) {
            return index;
        }
        behind_body = bracket;
    }
    from
}

fn kind_of(tokens: &Tokens<'_>, first: usize) -> Kind {
    if !tokens.is(first, TokenKind::Word) {
        return Kind::Other;
    }
    match tokens.text(first).to_ascii_uppercase().as_str() {
        "SELECT" | "VALUES" | "TABLE" => Kind::Select,
        "INSERT" | "REPLACE" => Kind::Insert,
        "UPDATE" | "MERGE" => Kind::Update,
        "DELETE" => Kind::Delete,
        "BEGIN" | "START" | "COMMIT" | "ROLLBACK" | "SAVEPOINT" | "RELEASE" | "END" | "ABORT" => {
            Kind::Transaction
        }
        "CREATE" | "ALTER" | "DROP" | "TRUNCATE" | "RENAME" | "COMMENT" | "GRANT" | "REVOKE" => {
            Kind::Definition
        }
        "PRAGMA" | "SET" | "SHOW" | "RESET" | "EXPLAIN" | "ANALYZE" | "ANALYSE" | "VACUUM"
        | "REINDEX" | "CLUSTER" | "CHECKPOINT" | "DISCARD" | "LISTEN" | "UNLISTEN" | "NOTIFY"
        | "LOAD" | "LOCK" | "COPY" | "PREPARE" | "EXECUTE" | "DEALLOCATE" | "DECLARE" | "FETCH"
        | "MOVE" | "CLOSE" | "ATTACH" | "DETACH" | "REFRESH" | "USE" | "DESCRIBE" | "DESC"
        | "OPTIMIZE" | "CALL" | "DO" => Kind::Utility,
        _ => Kind::Other,
    }
}

#[derive(Default)]
struct Limits {
    limit: Option<Limit>,
    offset: Option<Limit>,
}

/// `LIMIT`, `OFFSET` and `FETCH` of the outermost query.
fn limits(tokens: &Tokens<'_>, outer: &Outer) -> Limits {
    let mut limits = Limits::default();
    for index in outer.clauses(tokens) {
        let value = index + 1;
        if tokens.word(index, "LIMIT") {
            limits.limit = limit_value(tokens, value, outer.to);
            let comma = tokens
                .outer(value, outer.to)
                .take_while(|&at| !tokens.any_word(at, &["OFFSET", "FOR", "FETCH"]))
                .find(|&at| tokens.is(at, TokenKind::Comma));
            if let Some(comma) = comma {
                // MySQL's and SQLite's `LIMIT offset, count`.
                limits.offset = limits.limit.take();
                limits.limit = limit_value(tokens, comma + 1, outer.to);
            }
        } else if tokens.word(index, "OFFSET") && begins_operand(tokens, value) {
            limits.offset = limit_value(tokens, value, outer.to);
        } else if tokens.word(index, "FETCH") && tokens.any_word(value, &["FIRST", "NEXT"]) {
            limits.limit = if tokens.any_word(value + 1, &["ROW", "ROWS"]) {
                Some(Limit::Literal(1))
            } else {
                limit_value(tokens, value + 1, outer.to)
            };
        }
    }
    limits
}

/// Whether a value, not an operator or the next item, stands at `index`: `offset` is also a
/// name that a column may bear.
fn begins_operand(tokens: &Tokens<'_>, index: usize) -> bool {
    matches!(
        tokens.kind(index),
        Some(
            TokenKind::Number
                | TokenKind::String
                | TokenKind::Placeholder
                | TokenKind::LeftParen
                | TokenKind::Word
        )
    ) && !tokens.any_word(
        index,
        &["FROM", "AS", "ASC", "DESC", "IS", "IN", "AND", "OR", "NOT"],
    ) || matches!(tokens.text(index), "-" | "+")
}

/// The limit given at `index`; none if it does not limit (`ALL`, `NULL`, `-1`).
fn limit_value(tokens: &Tokens<'_>, index: usize, end: usize) -> Option<Limit> {
    if index >= end || tokens.any_word(index, &["ALL", "NULL"]) {
        return None;
    }
    let next = index + 1;
    let alone = next >= end
        || matches!(
            tokens.kind(next),
            Some(TokenKind::Word | TokenKind::Comma | TokenKind::Semicolon | TokenKind::RightParen)
        );
    if tokens.text(index) == "-" && tokens.is(next, TokenKind::Number) {
        return None;
    }
    let number = tokens.text(index).replace('_', "").parse().ok();
    match number {
        Some(number) if alone => Some(Limit::Literal(number)),
        _ => Some(Limit::Unknown),
    }
}

/// Whether a query inside the outermost one limits its rows.
fn nested_limit(tokens: &Tokens<'_>, outer: &Outer) -> bool {
    let outermost: Vec<usize> = outer.clauses(tokens).collect();
    (0..tokens.len()).any(|index| {
        let limits = tokens.word(index, "LIMIT")
            || (tokens.word(index, "FETCH") && tokens.any_word(index + 1, &["FIRST", "NEXT"]));
        limits
            && !(index > 0 && tokens.is(index - 1, TokenKind::Dot))
            && outermost.binary_search(&index).is_err()
    })
}

/// Functions that make rows from one list value.
const UNNESTING: [&str; 12] = [
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

#[derive(Default)]
struct SelectList {
    star: bool,
    counts: bool,
    single_row: bool,
}

/// What the outermost select list tells about the rows.
fn select_list(tokens: &Tokens<'_>, outer: &Outer, dialect: Dialect) -> SelectList {
    let Some(select) = outer.find(tokens, "SELECT") else {
        return SelectList::default();
    };
    let clause = |words: &'static [&'static str]| {
        outer
            .clauses(tokens)
            .find(move |&index| index > select && tokens.any_word(index, words))
    };
    let compound = clause(&["UNION", "INTERSECT", "EXCEPT"]).is_some();
    let grouped = clause(&["GROUP"]).is_some();
    let from = clause(&["FROM"]);
    let ends = [
        "FROM",
        "WHERE",
        "GROUP",
        "HAVING",
        "ORDER",
        "LIMIT",
        "UNION",
        "INTERSECT",
        "EXCEPT",
    ];
    let end = tokens
        .outer(select + 1, outer.to)
        .find(|&index| tokens.any_word(index, &ends) && !tokens.is(index - 1, TokenKind::Dot))
        .unwrap_or(outer.to);
    let calls = aggregates(tokens, select + 1, end, dialect);
    let many = (select + 1..end)
        .any(|index| tokens.any_word(index, &UNNESTING) || tokens.word(index, "generate_series"));
    SelectList {
        star: tokens
            .outer(select + 1, end)
            .any(|index| is_star(tokens, index, end)),
        counts: !grouped && calls.iter().any(|&call| tokens.word(call, "COUNT")),
        single_row: !compound
            && !grouped
            && !many
            && end > select + 1
            && (!calls.is_empty() || from.is_none()),
    }
}

/// Whether `*` or `t.*` stands at `index`, not a multiplication.
fn is_star(tokens: &Tokens<'_>, index: usize, end: usize) -> bool {
    let before = tokens.kind(index - 1);
    tokens.text(index) == "*"
        && (matches!(before, Some(TokenKind::Comma | TokenKind::Dot))
            || tokens.any_word(index - 1, &["SELECT", "DISTINCT", "ALL"]))
        && (index + 1 >= end || tokens.is(index + 1, TokenKind::Comma))
}

/// Functions that make one row of many.
const AGGREGATES: [&str; 24] = [
    "count",
    "sum",
    "avg",
    "min",
    "max",
    "total",
    "group_concat",
    "string_agg",
    "array_agg",
    "json_agg",
    "jsonb_agg",
    "json_object_agg",
    "jsonb_object_agg",
    "json_group_array",
    "json_group_object",
    "jsonb_group_array",
    "jsonb_group_object",
    "bool_and",
    "bool_or",
    "every",
    "bit_and",
    "bit_or",
    "stddev",
    "variance",
];

/// Calls of aggregates in the list, outside of nested queries and windows.
fn aggregates(tokens: &Tokens<'_>, from: usize, end: usize, dialect: Dialect) -> Vec<usize> {
    let mut calls = Vec::new();
    let mut index = from;
    while index < end {
        if tokens.is(index, TokenKind::LeftParen) && tokens.begins_query(index + 1) {
            index = tokens.after(index);
            continue;
        }
        if tokens.any_word(index, &AGGREGATES) && is_aggregate(tokens, index, dialect) {
            calls.push(index);
        }
        index += 1;
    }
    calls
}

fn is_aggregate(tokens: &Tokens<'_>, name: usize, dialect: Dialect) -> bool {
    let open = name + 1;
    if !tokens.is(open, TokenKind::LeftParen) {
        return false;
    }
    let close = tokens.end_of(open);
    // SQLite's `min(a, b)` is the smaller of two values of one row.
    if dialect == Dialect::Sqlite && tokens.any_word(name, &["min", "max"]) {
        let several = tokens
            .outer(open + 1, close)
            .any(|at| tokens.is(at, TokenKind::Comma));
        if several {
            return false;
        }
    }
    let mut behind = close + 1;
    if tokens.word(behind, "FILTER") {
        behind = tokens.after(behind + 1);
    }
    !tokens.word(behind, "OVER")
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

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
        limits && outermost.binary_search(&index).is_err()
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

//! Which tables a statement names, read from its tokens.

use std::collections::BTreeMap;

use crate::lexer::TokenKind;
use crate::shape::TableUse;
use crate::tokens::Tokens;

/// The tables that `tokens` name, sorted. A table both read and written is written.
pub(crate) fn tables(tokens: &Tokens<'_>) -> Vec<TableUse> {
    let mut scan = Scan {
        tokens,
        common: common_tables(tokens),
        levels: vec![Level::default()],
        found: BTreeMap::new(),
    };
    let mut index = 0;
    while index < tokens.len() {
        index = scan.step(index);
    }
    scan.found
        .into_iter()
        .map(|(name, written)| TableUse { name, written })
        .collect()
}

/// Where the name of a common table expression hides a table of the same name.
struct CommonTable {
    name: String,
    visible: std::ops::Range<usize>,
}

/// The common table expressions of every `WITH`. A plain one is visible behind its body, a
/// recursive one in it as well, both to the end of the query that the `WITH` begins.
fn common_tables(tokens: &Tokens<'_>) -> Vec<CommonTable> {
    let mut found = Vec::new();
    let mut open = Vec::new();
    for index in 0..tokens.len() {
        match tokens.kind(index) {
            Some(TokenKind::LeftParen) => open.push(tokens.end_of(index)),
            Some(TokenKind::RightParen) => {
                open.pop();
            }
            Some(TokenKind::Word) if tokens.word(index, "WITH") => {
                let end = open.last().copied().unwrap_or(tokens.len());
                common_tables_of(tokens, index + 1, end, &mut found);
            }
            _ => {}
        }
    }
    found
}

fn common_tables_of(tokens: &Tokens<'_>, mut at: usize, end: usize, found: &mut Vec<CommonTable>) {
    let recursive = tokens.word(at, "RECURSIVE");
    if recursive {
        at += 1;
    }
    loop {
        let begin = at;
        let Some(name) = tokens.name(at) else { return };
        at += 1;
        if tokens.is(at, TokenKind::LeftParen) {
            at = tokens.after(at);
        }
        if !tokens.word(at, "AS") {
            return;
        }
        at += 1;
        while tokens.any_word(at, &["NOT", "MATERIALIZED"]) {
            at += 1;
        }
        if !tokens.is(at, TokenKind::LeftParen) {
            return;
        }
        at = tokens.after(at);
        let visible = if recursive { begin..end } else { at..end };
        found.push(CommonTable { name, visible });
        if !tokens.is(at, TokenKind::Comma) {
            return;
        }
        at += 1;
    }
}

/// What the tokens of one bracket level expect next.
#[derive(Debug, Clone, Copy, Default)]
struct Level {
    /// Between `FROM` and the next clause: a comma begins a further table.
    in_from: bool,
    /// A table name stands next; the value tells whether it is written to.
    expected: Option<bool>,
    /// The level is a `DELETE` whose `FROM` has not come yet.
    deletes: bool,
    /// The level is an `INSERT`, `REPLACE` or `MERGE` whose `INTO` has not come yet.
    inserts: bool,
    /// The last table was joined, so that `USING` names columns.
    joined: bool,
    /// `DROP TABLE a, b`: a comma begins a further table that is written to.
    listed: bool,
    /// The level is a `CREATE INDEX` or `CREATE TRIGGER`: `ON` names its table.
    placed: bool,
    /// The brackets of a function such as `EXTRACT(YEAR FROM a)`: its `FROM` names no table.
    function: bool,
}

struct Scan<'a> {
    tokens: &'a Tokens<'a>,
    common: Vec<CommonTable>,
    levels: Vec<Level>,
    found: BTreeMap<String, bool>,
}

/// Words that may stand between the clause and the table's name.
const BEFORE_TABLE: [&str; 13] = [
    "ONLY",
    "LATERAL",
    "IF",
    "NOT",
    "EXISTS",
    "INTO",
    "IGNORE",
    "LOW_PRIORITY",
    "DELAYED",
    "HIGH_PRIORITY",
    "QUICK",
    "CONCURRENTLY",
    "TABLE",
];

/// Clauses that end the tables of a `FROM`.
const AFTER_FROM: [&str; 13] = [
    "WHERE",
    "GROUP",
    "ORDER",
    "HAVING",
    "LIMIT",
    "OFFSET",
    "FETCH",
    "UNION",
    "INTERSECT",
    "EXCEPT",
    "WINDOW",
    "SET",
    "RETURNING",
];

impl Scan<'_> {
    /// Reads the token at `index` and returns the index of the next one to read.
    fn step(&mut self, index: usize) -> usize {
        match self.tokens.kind(index) {
            Some(TokenKind::LeftParen) => self.open(index),
            Some(TokenKind::RightParen) if self.levels.len() > 1 => {
                self.levels.pop();
            }
            Some(TokenKind::Semicolon) => *self.level() = Level::default(),
            Some(TokenKind::Comma) => {
                let level = self.level();
                if level.listed {
                    level.expected = Some(true);
                } else if level.in_from {
                    level.expected = Some(false);
                    level.joined = false;
                }
            }
            Some(TokenKind::Word) if self.keyword(index) => {}
            Some(TokenKind::Word | TokenKind::Quoted | TokenKind::String) => {
                if let Some(written) = self.level().expected.take() {
                    return self.table(index, written);
                }
            }
            _ => {}
        }
        index + 1
    }

    fn level(&mut self) -> &mut Level {
        if self.levels.is_empty() {
            self.levels.push(Level::default());
        }
        let last = self.levels.len() - 1;
        &mut self.levels[last]
    }

    /// Enters a bracket: a query, a nested join, or anything else.
    fn open(&mut self, index: usize) {
        let expected = self.level().expected.take();
        let query = self.tokens.begins_query(index + 1);
        let nested = expected.is_some() && !query;
        let statement = query
            || self.tokens.any_word(
                index + 1,
                &["INSERT", "UPDATE", "DELETE", "REPLACE", "MERGE"],
            )
            || self.tokens.is(index + 1, TokenKind::LeftParen);
        self.levels.push(Level {
            in_from: nested,
            expected: expected.filter(|_| nested),
            function: !nested && !statement,
            ..Level::default()
        });
    }

    /// Reads a word that begins or ends a list of tables. False if it is none.
    fn keyword(&mut self, index: usize) -> bool {
        let tokens = self.tokens;
        // `t.from` and a quoted name are names whatever they say.
        if index > 0 && tokens.is(index - 1, TokenKind::Dot) {
            return false;
        }
        let begins = self.begins_statement(index);
        let defines = self.in_definition(index);
        let word = tokens.text(index).to_ascii_uppercase();
        let level = self.level();
        match word.as_str() {
            "FROM" => return self.from(index),
            "JOIN" | "STRAIGHT_JOIN" => {
                level.in_from = true;
                level.joined = true;
                level.expected = Some(false);
            }
            "USING" => {
                if !level.joined {
                    level.in_from = true;
                    level.expected = Some(false);
                }
                level.joined = false;
            }
            "ON" if level.placed => level.expected = Some(true),
            "INSERT" | "MERGE" if begins => level.inserts = true,
            // `REPLACE(a, b, c)` is a function; MySQL's `INSERT t` has no `INTO`.
            "REPLACE" if begins && !tokens.is(index + 1, TokenKind::LeftParen) => {
                level.inserts = true;
            }
            "INTO" if level.inserts => {
                level.inserts = false;
                level.expected = Some(true);
            }
            "UPDATE" if begins => level.expected = Some(true),
            "DELETE" if begins => level.deletes = true,
            "TRUNCATE" if begins => {
                level.listed = true;
                level.expected = Some(true);
            }
            "TABLE" if level.expected.is_none() => self.table_keyword(index, begins),
            "INDEX" | "TRIGGER" if defines => level.placed = true,
            "OR" if level.expected.is_some() => {}
            _ if AFTER_FROM.contains(&word.as_str()) => {
                level.in_from = false;
                level.listed = false;
                level.expected = None;
                level.joined = false;
            }
            "SELECT" | "VALUES" | "DEFAULT" | "AS" | "DO" => level.expected = None,
            _ => {
                let skipped = BEFORE_TABLE.contains(&word.as_str()) || self.behind_or(index);
                return skipped && self.level().expected.is_some();
            }
        }
        true
    }

    /// `UPDATE OR IGNORE t`, `INSERT OR REPLACE INTO t`: the word behind `OR` is no table.
    fn behind_or(&self, index: usize) -> bool {
        index > 0 && self.tokens.word(index - 1, "OR")
    }

    fn from(&mut self, index: usize) -> bool {
        let distinct = index > 0 && self.tokens.word(index - 1, "DISTINCT");
        let level = self.level();
        if distinct || level.function {
            return true;
        }
        let written = std::mem::take(&mut level.deletes);
        level.in_from = !written;
        level.listed = false;
        level.joined = false;
        level.expected = Some(written);
        true
    }

    /// `CREATE TABLE t`, `DROP TABLE a, b`, or `TABLE t` as a query.
    fn table_keyword(&mut self, index: usize, begins: bool) {
        let defines = self.in_definition(index);
        let drops = index > 0 && self.tokens.any_word(index - 1, &["DROP", "LOCK"]);
        let level = self.level();
        if defines {
            level.listed = drops;
            level.expected = Some(true);
        } else if begins {
            level.expected = Some(false);
        }
    }

    /// Whether `CREATE`, `ALTER` or `DROP` stands at most three words before `index`.
    fn in_definition(&self, index: usize) -> bool {
        let begin = index.saturating_sub(3);
        (begin..index).any(|at| {
            self.tokens
                .any_word(at, &["CREATE", "ALTER", "DROP", "LOCK"])
        })
    }

    /// Whether a statement may begin at `index`, so that `UPDATE` there is not `FOR UPDATE`.
    fn begins_statement(&self, index: usize) -> bool {
        let Some(before) = index.checked_sub(1) else {
            return true;
        };
        match self.tokens.kind(before) {
            Some(TokenKind::LeftParen | TokenKind::RightParen | TokenKind::Semicolon) => true,
            Some(TokenKind::Word) => self
                .tokens
                .any_word(before, &["EXPLAIN", "ANALYZE", "VERBOSE", "PLAN", "AS"]),
            _ => false,
        }
    }

    /// Reads a table's name at `index`, qualified or not.
    fn table(&mut self, index: usize, written: bool) -> usize {
        let mut at = index;
        while self.tokens.is(at + 1, TokenKind::Dot) && self.tokens.name(at + 2).is_some() {
            at += 2;
        }
        let Some(name) = self.tokens.name(at) else {
            return at + 1;
        };
        // A bracket behind a name that is read is a call; behind one that is written,
        // it holds the columns.
        let function = !written && self.tokens.is(at + 1, TokenKind::LeftParen);
        let qualified = at > index;
        if !function && (written || qualified || !self.is_common(&name, at)) {
            *self.found.entry(name).or_default() |= written;
        }
        at + 1
    }

    fn is_common(&self, name: &str, index: usize) -> bool {
        self.common
            .iter()
            .any(|table| table.name == name && table.visible.contains(&index))
    }
}

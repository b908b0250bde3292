//! `LIMIT`, `OFFSET` and `FETCH`, in all their spellings.

use crate::lexer::TokenKind;
use crate::outer::Outer;
use crate::shape::Limit;
use crate::tokens::Tokens;

/// How many rows the outermost query returns and how many it skips.
#[derive(Default)]
pub(crate) struct Limits {
    pub(crate) limit: Option<Limit>,
    pub(crate) offset: Option<Limit>,
}

/// `LIMIT`, `OFFSET` and `FETCH` of the outermost query.
pub(crate) fn limits(tokens: &Tokens<'_>, outer: &Outer) -> Limits {
    let mut limits = Limits::default();
    for index in outer.clauses(tokens) {
        let value = index + 1;
        if tokens.word(index, "LIMIT") {
            limits.limit = limit_value(tokens, value, outer.to);
            let comma = tokens
                .outer(value, outer.to)
                .take_while(|&at| !tokens.any_word(at, &["LIMIT", "OFFSET", "FOR", "FETCH"]))
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
pub(crate) fn nested_limit(tokens: &Tokens<'_>, outer: &Outer) -> bool {
    let outermost: Vec<usize> = outer.clauses(tokens).collect();
    (0..tokens.len()).any(|index| {
        let limits = tokens.word(index, "LIMIT")
            || (tokens.word(index, "FETCH") && tokens.any_word(index + 1, &["FIRST", "NEXT"]));
        limits
            && !(index > 0 && tokens.is(index - 1, TokenKind::Dot))
            && outermost.binary_search(&index).is_err()
    })
}

/// Whether a query that the outermost one takes its rows from limits them.
pub(crate) fn source_limit(tokens: &Tokens<'_>) -> bool {
    let mut levels = vec![Level::default()];
    for index in 0..tokens.len() {
        let around = levels.last().copied().unwrap_or_default();
        match tokens.kind(index) {
            Some(TokenKind::LeftParen) => levels.push(Level {
                is_source: around.is_source && opens_source(tokens, index, around.in_from),
                in_from: false,
            }),
            Some(TokenKind::RightParen) if levels.len() > 1 => drop(levels.pop()),
            Some(TokenKind::Word) if !(index > 0 && tokens.is(index - 1, TokenKind::Dot)) => {
                let limits = tokens.word(index, "LIMIT")
                    || (tokens.word(index, "FETCH")
                        && tokens.any_word(index + 1, &["FIRST", "NEXT"]));
                if limits && around.is_source && levels.len() > 1 {
                    return true;
                }
                if let (Some(level), Some(in_from)) = (levels.last_mut(), clause(tokens, index)) {
                    level.in_from = in_from;
                }
            }
            _ => {}
        }
    }
    false
}

/// What is known of an open bracket, or of the text outside of all.
#[derive(Clone, Copy)]
struct Level {
    /// Whether its rows become rows of the outermost query.
    is_source: bool,
    /// Whether the clause being read names sources: `FROM` or `WITH`.
    in_from: bool,
}

impl Default for Level {
    fn default() -> Self {
        Self {
            is_source: true,
            in_from: false,
        }
    }
}

/// Whether the word begins a clause that names sources; `None` if it begins no clause.
fn clause(tokens: &Tokens<'_>, index: usize) -> Option<bool> {
    if tokens.any_word(index, &["FROM", "WITH", "JOIN"]) {
        return Some(true);
    }
    let others = [
        "SELECT",
        "WHERE",
        "ON",
        "GROUP",
        "HAVING",
        "ORDER",
        "SET",
        "RETURNING",
    ];
    tokens.any_word(index, &others).then_some(false)
}

/// Whether the bracket at `open` holds rows that the query around it goes through. One behind
/// `LATERAL` or an outer join bounds only what is joined to each row.
fn opens_source(tokens: &Tokens<'_>, open: usize, in_from: bool) -> bool {
    let Some(before) = open.checked_sub(1) else {
        return true;
    };
    let second = |words: &[&str]| open > 1 && tokens.any_word(open - 2, words);
    if tokens.word(before, "IN") {
        return !second(&["NOT"]);
    }
    if tokens.word(before, "JOIN") {
        return !second(&["LEFT", "FULL", "OUTER"]);
    }
    let begins = ["FROM", "AS", "MATERIALIZED", "UNION", "ALL"];
    tokens.any_word(before, &begins)
        || tokens.is(before, TokenKind::LeftParen)
        || (tokens.is(before, TokenKind::Comma) && in_from)
}

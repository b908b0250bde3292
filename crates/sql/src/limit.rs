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

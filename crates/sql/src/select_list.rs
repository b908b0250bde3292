//! What the outermost select list tells about the rows that come back.

use crate::Dialect;
use crate::lexer::TokenKind;
use crate::outer::Outer;
use crate::shape::UNNESTING;
use crate::tokens::Tokens;

#[derive(Default)]
pub(crate) struct SelectList {
    pub(crate) star: bool,
    pub(crate) counts: bool,
    pub(crate) single_row: bool,
}

/// What the outermost select list tells about the rows.
pub(crate) fn select_list(tokens: &Tokens<'_>, outer: &Outer, dialect: Dialect) -> SelectList {
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

//! Statement texts rewritten into what the parser reads, with the same meaning for
//! predicates, joins and order.

use crate::Dialect;
use crate::lexer::TokenKind;
use crate::tokens::Tokens;

/// The parser builds a chain of operators (`a AND b AND c ..`) as a tree as deep as the chain is
/// long, and a tree is walked and dropped by recursion. This many fit a thread's stack many
/// times over; statements that people and ORMs write have a few dozen.
const LONGEST_CHAIN: usize = 1000;

/// Words that chain like operators do.
const CHAINING: [&str; 14] = [
    "AND",
    "OR",
    "UNION",
    "INTERSECT",
    "EXCEPT",
    "IS",
    "ISNULL",
    "NOTNULL",
    "LIKE",
    "ILIKE",
    "COLLATE",
    "AT",
    "BETWEEN",
    "IN",
];

/// `sql` without comments, with placeholders the parser knows, and without what it does not.
///
/// # Errors
///
/// A sentence if the statement chains too many operators.
pub(crate) fn readable_by_parser(sql: &str, dialect: Dialect) -> Result<String, String> {
    let tokens = Tokens::of(sql, dialect);
    let chained = (0..tokens.len())
        .filter(|&index| {
            matches!(
                tokens.kind(index),
                Some(TokenKind::Operator | TokenKind::Cast)
            ) || tokens.any_word(index, &CHAINING)
        })
        .count();
    if chained > LONGEST_CHAIN {
        return Err(format!(
            "{chained} operators in one statement, at most {LONGEST_CHAIN} are read"
        ));
    }
    let mut text = String::with_capacity(sql.len() + 16);
    let mut index = 0;
    while index < tokens.len() {
        index = rewrite_one(&tokens, index, dialect, &mut text);
        text.push(' ');
    }
    Ok(text)
}

/// Appends what the token at `index` becomes, and returns the index of the next one.
fn rewrite_one(tokens: &Tokens<'_>, index: usize, dialect: Dialect, text: &mut String) -> usize {
    match tokens.kind(index) {
        Some(TokenKind::Placeholder) => {
            text.push_str(if dialect == Dialect::Postgres {
                "$1"
            } else {
                "?"
            });
            index + 1
        }
        Some(TokenKind::Word) if dialect == Dialect::Sqlite => {
            if tokens.word(index, "INDEXED") && tokens.word(index + 1, "BY") {
                return index + 3;
            }
            if tokens.word(index, "NOT") && tokens.word(index + 1, "INDEXED") {
                return index + 2;
            }
            if tokens.word(index, "IS") {
                return rewrite_is(tokens, index, text);
            }
            if tokens.word(index, "ISNULL") {
                text.push_str("IS NULL");
                return index + 1;
            }
            // One negated pattern is like another: no index serves it.
            if tokens.word(index, "NOT") && tokens.any_word(index + 1, &PATTERNS) {
                text.push_str("NOT LIKE");
                return index + 2;
            }
            if tokens.word(index, "IN") && tokens.name(index + 1).is_some() {
                return rewrite_in(tokens, index, text);
            }
            text.push_str(tokens.text(index));
            index + 1
        }
        _ => {
            text.push_str(tokens.text(index));
            index + 1
        }
    }
}

/// SQLite's pattern operators that the parser does not know negated.
const PATTERNS: [&str; 3] = ["GLOB", "MATCH", "REGEXP"];

/// SQLite's `a IN t` and `a IN f(..)` name a table where others want a query.
fn rewrite_in(tokens: &Tokens<'_>, index: usize, text: &mut String) -> usize {
    let mut end = index + 2;
    while tokens.is(end, TokenKind::Dot) {
        end += 2;
    }
    if tokens.is(end, TokenKind::LeftParen) {
        end = tokens.after(end);
    }
    text.push_str("IN (SELECT * FROM ");
    for at in index + 1..end.min(tokens.len()) {
        let placeholder = tokens.is(at, TokenKind::Placeholder);
        text.push_str(if placeholder { "?" } else { tokens.text(at) });
        text.push(' ');
    }
    text.push(')');
    end
}

/// SQLite's `a IS 1` and `a IS NOT ?` compare any two values, and nulls as values.
fn rewrite_is(tokens: &Tokens<'_>, index: usize, text: &mut String) -> usize {
    let negated = tokens.word(index + 1, "NOT");
    let value = index + 1 + usize::from(negated);
    let known = [
        "NULL",
        "TRUE",
        "FALSE",
        "DISTINCT",
        "UNKNOWN",
        "NOT",
        "JSON",
        "NORMALIZED",
    ];
    if tokens.any_word(value, &known) {
        text.push_str(if negated { "IS NOT" } else { "IS" });
    } else {
        text.push_str(if negated { "<>" } else { "=" });
    }
    value
}

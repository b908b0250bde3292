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
            text.push_str(tokens.text(index));
            index + 1
        }
        _ => {
            text.push_str(tokens.text(index));
            index + 1
        }
    }
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

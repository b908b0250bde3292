//! Statement texts rewritten into what the parser reads, with the same meaning for
//! predicates, joins and order.

use crate::Dialect;
use crate::lexer::TokenKind;
use crate::row_lock;
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
    let mut rewriting = Rewriting {
        tokens: &tokens,
        dialect,
        text: String::with_capacity(sql.len() + 16),
        placeholders: 0,
    };
    let mut index = 0;
    while index < tokens.len() {
        index = rewriting.one(index);
        rewriting.text.push(' ');
    }
    Ok(rewriting.text)
}

/// The place that [`readable_by_parser`] wrote into a placeholder, counted from 0.
pub(crate) fn place_of(placeholder: &str) -> Option<usize> {
    placeholder
        .strip_prefix(['$', '?'])?
        .parse::<usize>()
        .ok()?
        .checked_sub(1)
}

struct Rewriting<'t, 'a> {
    tokens: &'t Tokens<'a>,
    dialect: Dialect,
    text: String,
    placeholders: usize,
}

impl Rewriting<'_, '_> {
    /// Appends what the token at `index` becomes, and returns the index of the next one.
    fn one(&mut self, index: usize) -> usize {
        let tokens = self.tokens;
        match tokens.kind(index) {
            Some(TokenKind::Placeholder) => {
                self.placeholder();
                return index + 1;
            }
            Some(TokenKind::Word) if self.dialect == Dialect::Sqlite => {
                if tokens.word(index, "INDEXED") && tokens.word(index + 1, "BY") {
                    return index + 3;
                }
                if tokens.word(index, "NOT") && tokens.word(index + 1, "INDEXED") {
                    return index + 2;
                }
                if tokens.word(index, "IS") {
                    return rewrite_is(tokens, index, &mut self.text);
                }
                if tokens.word(index, "ISNULL") {
                    self.text.push_str("IS NULL");
                    return index + 1;
                }
                // One negated pattern is like another: no index serves it.
                if tokens.word(index, "NOT") && tokens.any_word(index + 1, &PATTERNS) {
                    self.text.push_str("NOT LIKE");
                    return index + 2;
                }
                if tokens.word(index, "IN") && tokens.name(index + 1).is_some() {
                    return self.in_table(index);
                }
            }
            Some(TokenKind::Word) => {
                if let Some((lock, next)) = row_lock::known(tokens, index) {
                    self.text.push_str(lock);
                    return next;
                }
            }
            _ => {}
        }
        self.text.push_str(tokens.text(index));
        index + 1
    }

    /// Each occurrence gets a number of its own, so that a predicate can name it.
    fn placeholder(&mut self) {
        self.placeholders += 1;
        let mark = if self.dialect == Dialect::Postgres {
            '$'
        } else {
            '?'
        };
        self.text.push(mark);
        self.text.push_str(&self.placeholders.to_string());
    }

    /// SQLite's `a IN t` and `a IN f(..)` name a table where others want a query.
    fn in_table(&mut self, index: usize) -> usize {
        let tokens = self.tokens;
        let mut end = index + 2;
        while tokens.is(end, TokenKind::Dot) {
            end += 2;
        }
        if tokens.is(end, TokenKind::LeftParen) {
            end = tokens.after(end);
        }
        self.text.push_str("IN (SELECT * FROM ");
        for at in index + 1..end.min(tokens.len()) {
            if tokens.is(at, TokenKind::Placeholder) {
                self.placeholder();
            } else {
                self.text.push_str(tokens.text(at));
            }
            self.text.push(' ');
        }
        self.text.push(')');
        end
    }
}

/// SQLite's pattern operators that the parser does not know negated.
const PATTERNS: [&str; 3] = ["GLOB", "MATCH", "REGEXP"];

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

//! One statement as text: that it is one, that it may be explained, and with placeholders that
//! the database accepts.

use std::collections::BTreeMap;

use crate::ExplainError;

/// A piece of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token<'a> {
    pub(crate) kind: TokenKind,
    pub(crate) text: &'a str,
    /// Position of its first byte.
    pub(crate) start: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenKind {
    /// A keyword, an unquoted name or a number.
    Word,
    /// A name in `"`, `` ` `` or `[]`.
    Quoted,
    /// A string.
    String,
    /// `?`: nothing but its position.
    Positional,
    /// `?1`, `$1`, `:name`, `@name`, `%s`, `%(name)s`.
    Named,
    /// Any other character.
    Mark,
}

impl Token<'_> {
    /// Whether this is the keyword, in any case.
    pub(crate) fn is(&self, keyword: &str) -> bool {
        self.kind == TokenKind::Word && self.text.eq_ignore_ascii_case(keyword)
    }

    /// Whether this is the character.
    pub(crate) fn is_mark(&self, mark: &str) -> bool {
        self.kind == TokenKind::Mark && self.text == mark
    }

    /// The name it stands for, quotes removed; `None` if it is no name.
    pub(crate) fn identifier(&self) -> Option<String> {
        match self.kind {
            TokenKind::Word => Some(self.text.to_owned()),
            TokenKind::Quoted => {
                let close = self.text.chars().last()?;
                let inner = self.text.get(1..self.text.len().checked_sub(1)?)?;
                Some(inner.replace(&format!("{close}{close}"), &close.to_string()))
            }
            _ => None,
        }
    }
}

/// The text in pieces, without white space and comments. Total: whatever is left open at the end
/// of the text ends there.
pub(crate) fn tokens(sql: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(first) = sql[at..].chars().next() {
        let rest = &sql[at..];
        let skipped = blank(rest);
        if skipped > 0 {
            at += skipped;
            continue;
        }
        let (kind, length) = token(rest, first);
        tokens.push(Token {
            kind,
            text: &rest[..length],
            start: at,
        });
        at += length;
    }
    tokens
}

/// Length of the white space or comment that `rest` begins with.
fn blank(rest: &str) -> usize {
    if rest.starts_with("--") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if let Some(comment) = rest.strip_prefix("/*") {
        return comment.find("*/").map_or(rest.len(), |end| end + 4);
    }
    rest.len() - rest.trim_start().len()
}

fn token(rest: &str, first: char) -> (TokenKind, usize) {
    match first {
        '\'' => (TokenKind::String, quoted(rest, '\'')),
        '"' | '`' => (TokenKind::Quoted, quoted(rest, first)),
        '[' => (
            TokenKind::Quoted,
            rest.find(']').map_or(rest.len(), |end| end + 1),
        ),
        '?' => match digits(&rest[1..]) {
            0 => (TokenKind::Positional, 1),
            length => (TokenKind::Named, 1 + length),
        },
        // `::` is PostgreSQL's cast, never the beginning of a name.
        ':' if rest.starts_with("::") => (TokenKind::Mark, 2),
        ':' | '@' | '$' => match word(&rest[1..]) {
            0 => (TokenKind::Mark, 1),
            length => (TokenKind::Named, 1 + length),
        },
        '%' => percent(rest),
        _ if is_word(first) => (TokenKind::Word, word(rest)),
        _ => (TokenKind::Mark, first.len_utf8()),
    }
}

/// Length of a quoted piece; a doubled quote stands for itself.
fn quoted(rest: &str, quote: char) -> usize {
    let mut at = 1;
    while let Some(end) = rest[at..].find(quote) {
        at += end + 1;
        if !rest[at..].starts_with(quote) {
            return at;
        }
        at += 1;
    }
    rest.len()
}

/// Python's placeholders: `%s` and `%(name)s`. Any other `%` is the remainder operator.
fn percent(rest: &str) -> (TokenKind, usize) {
    let ends_there = |length: usize| !rest[length..].starts_with(is_word);
    if rest.starts_with("%s") && ends_there(2) {
        return (TokenKind::Named, 2);
    }
    if rest.starts_with("%(")
        && let Some(close) = rest.find(")s")
        && word(&rest[2..]) == close - 2
        && ends_there(close + 2)
    {
        return (TokenKind::Named, close + 2);
    }
    (TokenKind::Mark, 1)
}

fn digits(text: &str) -> usize {
    text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len()
}

fn word(text: &str) -> usize {
    text.len() - text.trim_start_matches(is_word).len()
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$' || !c.is_ascii() && !c.is_whitespace()
}

/// What a database can be asked to explain. Everything else either has no plan or, like some
/// pragmas, acts while it is being prepared.
const EXPLAINABLE: [&str; 7] = [
    "SELECT", "WITH", "VALUES", "INSERT", "REPLACE", "UPDATE", "DELETE",
];

/// The one statement of `sql`, ready to stand behind `EXPLAIN QUERY PLAN`: without the semicolon,
/// with every placeholder that carries a name or number written as `$n`, because the driver
/// knows only those and a bare `?`. The `?+` of normal texts is a placeholder too.
pub(crate) fn explainable(sql: &str) -> Result<String, ExplainError> {
    if sql.contains('\0') {
        return Err(ExplainError::Refused(
            "the text holds a zero byte".to_owned(),
        ));
    }
    let tokens = tokens(sql);
    let statements: Vec<&[Token<'_>]> = tokens
        .split(|token| token.is_mark(";"))
        .filter(|statement| !statement.is_empty())
        .collect();
    let [statement] = statements[..] else {
        return Err(ExplainError::NotOneStatement(statements.len()));
    };
    let first = statement[0];
    if !EXPLAINABLE.iter().any(|keyword| first.is(keyword)) {
        return Err(ExplainError::NotExplainable(
            first.text.chars().take(20).collect(),
        ));
    }
    Ok(with_numbers(sql, statement))
}

fn with_numbers(sql: &str, statement: &[Token<'_>]) -> String {
    let (Some(first), Some(last)) = (statement.first(), statement.last()) else {
        return String::new();
    };
    let mut text = String::with_capacity(sql.len());
    let mut numbers: BTreeMap<&str, usize> = BTreeMap::new();
    let mut count = 0;
    let mut copied = first.start;
    for (position, token) in statement.iter().enumerate() {
        let following = &statement[position + 1..];
        match token.kind {
            TokenKind::Named => {
                // Each `%s` is a parameter of its own; the others are the same wherever they stand.
                let number = match numbers.get(token.text) {
                    Some(&number) if token.text != "%s" => number,
                    _ => {
                        count += 1;
                        numbers.insert(token.text, count);
                        count
                    }
                };
                text.push_str(&sql[copied..token.start]);
                text.push_str(&format!("${number}"));
                copied = token.start + token.text.len();
            }
            TokenKind::Positional if is_collapsed_list(following) => {
                text.push_str(&sql[copied..token.start + 1]);
                copied = following[0].start + 1;
            }
            _ => {}
        }
    }
    text.push_str(&sql[copied..last.start + last.text.len()]);
    text
}

/// Whether a `?` begins `?+`: a list of any length, in a text from which the values were taken.
fn is_collapsed_list(following: &[Token<'_>]) -> bool {
    matches!(following, [plus, close, ..] if plus.is_mark("+") && close.is_mark(")"))
}

/// Words that may follow a table name and are not its alias.
const NOT_AN_ALIAS: [&str; 26] = [
    "ON",
    "WHERE",
    "USING",
    "SET",
    "ORDER",
    "GROUP",
    "HAVING",
    "LIMIT",
    "OFFSET",
    "LEFT",
    "RIGHT",
    "FULL",
    "INNER",
    "OUTER",
    "CROSS",
    "NATURAL",
    "JOIN",
    "UNION",
    "INTERSECT",
    "EXCEPT",
    "INDEXED",
    "NOT",
    "VALUES",
    "DEFAULT",
    "SELECT",
    "RETURNING",
];

/// Aliases of base tables: (alias, table as written), in order of appearance. A name counts as a
/// table when `is_table` says so and it stands where tables stand.
pub(crate) fn aliases(sql: &str, is_table: &dyn Fn(&str) -> bool) -> Vec<(String, String)> {
    let tokens = tokens(sql);
    let stands_before_table = |token: &Token<'_>| {
        ["FROM", "JOIN", "UPDATE", "INTO"]
            .iter()
            .any(|keyword| token.is(keyword))
            || [",", "(", "."].iter().any(|mark| token.is_mark(mark))
    };
    let mut found = Vec::new();
    for window in tokens.windows(3) {
        let [before, table, after] = window else {
            continue;
        };
        let Some(name) = table.identifier().filter(|name| is_table(name)) else {
            continue;
        };
        if !stands_before_table(before) {
            continue;
        }
        let alias = if after.is("AS") {
            let position = tokens.iter().position(|token| token.start == after.start);
            position
                .and_then(|position| tokens.get(position + 1))
                .copied()
        } else {
            Some(*after).filter(|after| !NOT_AN_ALIAS.iter().any(|keyword| after.is(keyword)))
        };
        if let Some(alias) = alias.and_then(|alias| alias.identifier()) {
            found.push((alias, name));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_style_of_placeholder_becomes_one_that_the_driver_takes() {
        let cases = [
            ("SELECT ?", "SELECT ?"),
            ("SELECT ?2, ?1, ?2", "SELECT $1, $2, $1"),
            ("SELECT $1::INTEGER", "SELECT $1::INTEGER"),
            ("SELECT :a, @b, :a", "SELECT $1, $2, $1"),
            ("SELECT %s, %s, %(x)s, %(x)s", "SELECT $1, $2, $3, $3"),
            (
                "SELECT 5 % s, 5 %size, '%s', \":a\" -- :b",
                "SELECT 5 % s, 5 %size, '%s', \":a\"",
            ),
            (
                "SELECT a$1 /* ? */, [:x], `@y`",
                "SELECT a$1 /* ? */, [:x], `@y`",
            ),
            ("SELECT 'it''s :a', :a;", "SELECT 'it''s :a', $1"),
            (
                "SELECT ? + 1 FROM t WHERE a IN (?+)",
                "SELECT ? + 1 FROM t WHERE a IN (?)",
            ),
        ];
        for (from, to) in cases {
            assert_eq!(explainable(from).unwrap(), to, "{from}");
        }
    }

    #[test]
    fn only_one_statement_that_has_a_plan_is_let_through() {
        assert!(matches!(
            explainable(" -- x\n;"),
            Err(ExplainError::NotOneStatement(0))
        ));
        assert!(matches!(
            explainable("SELECT 1; DROP TABLE t"),
            Err(ExplainError::NotOneStatement(2))
        ));
        assert!(explainable("SELECT ';' ; /* ; */ ;").is_ok());
        for refused in [
            "PRAGMA query_only=0",
            "ATTACH 'x' AS y",
            "explain select 1",
            "VACUUM",
        ] {
            assert!(matches!(
                explainable(refused),
                Err(ExplainError::NotExplainable(_))
            ));
        }
    }

    #[test]
    fn aliases_are_found_where_tables_stand() {
        let is_table = |name: &str| ["flyers", "users"].contains(&name);
        let sql = "SELECT flyers x FROM main.flyers AS f, users \"the u\" \
                   WHERE EXISTS (SELECT 1 FROM flyers WHERE id = f.id)";
        let expected = [("f", "flyers"), ("the u", "users")]
            .map(|(alias, table)| (alias.to_owned(), table.to_owned()));
        assert_eq!(aliases(sql, &is_table), expected);
    }

    proptest! {
        #[test]
        fn any_text_is_cut_into_pieces_that_stand_in_it(sql in "\\PC*|[-'\"\\[\\]%()$:@?;a-z0-9 \n/*é]*") {
            let mut end = 0;
            for token in tokens(&sql) {
                prop_assert!(token.start >= end && !token.text.is_empty());
                prop_assert_eq!(&sql[token.start..token.start + token.text.len()], token.text);
                end = token.start + token.text.len();
                let _ = token.identifier();
            }
            let _ = explainable(&sql);
            let _ = aliases(&sql, &|_| true);
        }
    }
}

//! One statement as text: that it is one, that it may be explained, and with placeholders that
//! the database accepts.

use std::collections::BTreeMap;

use speedwell_sql::{Dialect, Token, TokenKind};

use crate::ExplainError;

/// The text in pieces, as SQLite reads it.
pub(crate) fn tokens(sql: &str) -> Vec<Token<'_>> {
    speedwell_sql::tokens(sql, Dialect::Sqlite).collect()
}

/// What PostgreSQL can be asked to prepare.
const PREPARABLE: [&str; 7] = [
    "SELECT", "WITH", "VALUES", "INSERT", "UPDATE", "DELETE", "MERGE",
];

/// What a database can be asked to explain. Everything else either has no plan or, like some
/// pragmas, acts while it is being prepared.
const EXPLAINABLE: [&str; 7] = [
    "SELECT", "WITH", "VALUES", "INSERT", "REPLACE", "UPDATE", "DELETE",
];

/// The one statement of `sql`, ready to stand behind `EXPLAIN QUERY PLAN`: without the semicolon,
/// with every placeholder that carries a name or number written as `$n`, because the driver
/// knows only those and a bare `?`. The `?+` of normal texts is a placeholder too.
pub(crate) fn explainable(sql: &str) -> Result<String, ExplainError> {
    one_statement(sql, Dialect::Sqlite, false)
}

/// The one statement of `sql` with every placeholder written as `$n`.
pub(crate) fn numbered(sql: &str, dialect: Dialect) -> Result<String, ExplainError> {
    one_statement(sql, dialect, true)
}

fn one_statement(sql: &str, dialect: Dialect, numbered: bool) -> Result<String, ExplainError> {
    if sql.contains('\0') {
        return Err(ExplainError::Refused(
            "the text holds a zero byte".to_owned(),
        ));
    }
    let tokens: Vec<Token<'_>> = speedwell_sql::tokens(sql, dialect).collect();
    let statements: Vec<&[Token<'_>]> = tokens
        .split(|token| token.kind == TokenKind::Semicolon)
        .filter(|statement| !statement.is_empty())
        .collect();
    let [statement] = statements[..] else {
        return Err(ExplainError::NotOneStatement(statements.len()));
    };
    let postgres = dialect == Dialect::Postgres;
    // PostgreSQL takes a query in brackets.
    let opening = |token: &&Token<'_>| postgres && token.kind == TokenKind::LeftParen;
    let first = statement.iter().find(|token| !opening(token));
    let first = first.unwrap_or(&statement[0]);
    let keywords = if postgres { &PREPARABLE } else { &EXPLAINABLE };
    if !keywords.iter().any(|keyword| first.is_word(keyword)) {
        return Err(ExplainError::NotExplainable(
            first.text.chars().take(20).collect(),
        ));
    }
    Ok(with_numbers(sql, statement, numbered))
}

/// What stands for a literal in a normal text.
const BLANKED_LITERAL: &str = "…";

fn with_numbers(sql: &str, statement: &[Token<'_>], numbered: bool) -> String {
    let (Some(first), Some(last)) = (statement.first(), statement.last()) else {
        return String::new();
    };
    let mut text = String::with_capacity(sql.len());
    let mut numbers = Numbers::default();
    let mut copied = first.start;
    // Where `%s` is a placeholder, the driver makes `%%` a plain `%`, in strings too.
    let doubled = statement
        .iter()
        .any(|token| token.kind == TokenKind::Placeholder && token.text.starts_with('%'));
    for (position, token) in statement.iter().enumerate() {
        let blanked = token.kind == TokenKind::Number && token.text == BLANKED_LITERAL;
        let placeholder = match token.kind {
            _ if blanked || token.text == "?" && token.kind == TokenKind::Placeholder => {
                match numbered {
                    true => format!("${}", numbers.of("?")),
                    false => "?".to_owned(),
                }
            }
            TokenKind::Placeholder => format!("${}", numbers.of(token.text)),
            TokenKind::String | TokenKind::Operator if doubled && token.text.contains("%%") => {
                token.text.replace("%%", "%")
            }
            _ => continue,
        };
        text.push_str(&sql[copied..token.start]);
        text.push_str(&placeholder);
        copied = match &statement[position + 1..] {
            // `?+` and `…+`: a list of any length, in a text from which the values were taken.
            [plus, next, ..] if plus.text == "+" && ends_element(next) => plus.end(),
            _ => token.end(),
        };
    }
    text.push_str(&sql[copied..last.end()]);
    text
}

fn ends_element(token: &Token<'_>) -> bool {
    matches!(token.kind, TokenKind::RightParen | TokenKind::Comma)
}

/// The number of each named or numbered placeholder.
#[derive(Default)]
struct Numbers<'a> {
    known: BTreeMap<&'a str, usize>,
    count: usize,
}

impl<'a> Numbers<'a> {
    /// Each `%s` and `?` is a parameter of its own; the others are the same wherever they stand.
    fn of(&mut self, text: &'a str) -> usize {
        let is_shared = text != "?" && (!text.starts_with('%') || text.starts_with("%("));
        if let Some(&number) = self.known.get(text).filter(|_| is_shared) {
            return number;
        }
        self.count += 1;
        self.known.insert(text, self.count);
        self.count
    }
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
        use TokenKind::{Comma, Dot, LeftParen};
        matches!(token.kind, Comma | Dot | LeftParen)
            || ["FROM", "JOIN", "UPDATE", "INTO"]
                .iter()
                .any(|keyword| token.is_word(keyword))
    };
    let mut found = Vec::new();
    for (position, window) in tokens.windows(3).enumerate() {
        let [before, table, after] = window else {
            continue;
        };
        let Some(name) = table.name().filter(|name| is_table(name)) else {
            continue;
        };
        if !stands_before_table(before) {
            continue;
        }
        let alias = if after.is_word("AS") {
            tokens.get(position + 3)
        } else {
            Some(after).filter(|after| !NOT_AN_ALIAS.iter().any(|keyword| after.is_word(keyword)))
        };
        if let Some(alias) = alias.and_then(Token::name) {
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
            (
                "SELECT a FROM t WHERE b = … AND c IN (…+) AND d IN (…+, a)",
                "SELECT a FROM t WHERE b = ? AND c IN (?) AND d IN (?, a)",
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
    fn every_style_of_placeholder_gets_a_number_for_postgresql() {
        for (from, to) in [
            ("SELECT ?, ?", "SELECT $1, $2"),
            ("SELECT $2::INTEGER, $1, $2", "SELECT $1::INTEGER, $2, $1"),
            ("SELECT :a::text, :a", "SELECT $1::text, $1"),
            ("SELECT %s, %(x)s, %(x)s", "SELECT $1, $2, $2"),
            ("SELECT 5 %% %s, 'a%%' FROM t", "SELECT 5 % $1, 'a%' FROM t"),
            ("SELECT 'a%%'", "SELECT 'a%%'"),
            (
                "(SELECT 1) UNION (SELECT $1)",
                "(SELECT 1) UNION (SELECT $1)",
            ),
            (
                "SELECT … FROM t WHERE a IN (…+)",
                "SELECT $1 FROM t WHERE a IN ($2)",
            ),
            ("SELECT 'a' -- $1", "SELECT 'a'"),
            ("SELECT $$ ? $$, ?", "SELECT $$ ? $$, $1"),
        ] {
            assert_eq!(numbered(from, Dialect::Postgres).unwrap(), to, "{from}");
        }
        for refused in [
            "SET x = 1",
            "DO $$ $$",
            "COPY t TO STDOUT",
            "EXECUTE p",
            "(DROP TABLE t)",
        ] {
            assert!(numbered(refused, Dialect::Postgres).is_err(), "{refused}");
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
        fn any_text_is_read_without_panic(sql in "\\PC*|[-'\"\\[\\]%()$:@?;a-z0-9 \n/*é…+]*") {
            let _ = explainable(&sql);
            let _ = numbered(&sql, Dialect::Postgres);
            let _ = aliases(&sql, &|_| true);
        }
    }
}

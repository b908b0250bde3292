//! Row locks of PostgreSQL in words that the parser knows.

use crate::Dialect;
use crate::lexer::TokenKind;
use crate::tokens::Tokens;

/// The statement with every row lock of PostgreSQL as one that `sqlparser` reads: `FOR NO KEY UPDATE`
/// becomes `FOR UPDATE`, `FOR KEY SHARE` becomes `FOR SHARE`, and the tables that one names go. Nothing
/// else changes.
#[must_use]
pub fn known_row_locks(sql: &str) -> String {
    let tokens = Tokens::of(sql, Dialect::Postgres);
    let mut text = String::with_capacity(sql.len());
    let (mut copied, mut index) = (0, 0);
    while index < tokens.len() {
        let Some((lock, next)) = known(&tokens, index) else {
            index += 1;
            continue;
        };
        text.push_str(&sql[copied..tokens.start(index)]);
        text.push_str(lock);
        text.push(' ');
        copied = tokens.start(next);
        index = next;
    }
    text.push_str(&sql[copied..]);
    text
}

/// A row lock of PostgreSQL as one that the parser knows: the weaker ones are as the others, and
/// which tables' rows are locked does not matter. With it the index of the token behind.
pub(crate) fn known(tokens: &Tokens<'_>, index: usize) -> Option<(&'static str, usize)> {
    if !tokens.word(index, "FOR") {
        return None;
    }
    let words = |words: &[&str]| {
        let mut words = words.iter().enumerate();
        words.all(|(by, word)| tokens.word(index + 1 + by, word))
    };
    let locks: [(&[&str], &str); 4] = [
        (&["NO", "KEY", "UPDATE"], "FOR UPDATE"),
        (&["KEY", "SHARE"], "FOR SHARE"),
        (&["UPDATE"], "FOR UPDATE"),
        (&["SHARE"], "FOR SHARE"),
    ];
    let (own, known) = locks.into_iter().find(|(own, _)| words(own))?;
    let mut next = index + 1 + own.len();
    if tokens.word(next, "OF") {
        next += 2;
        while tokens.is(next, TokenKind::Comma) {
            next += 2;
        }
    }
    Some((known, next))
}

#[cfg(test)]
mod tests {
    use super::known_row_locks;

    #[test]
    fn row_locks_are_put_into_words_that_the_parser_knows() {
        for (lock, known) in [
            ("FOR NO KEY UPDATE", "FOR UPDATE "),
            ("for key share of a, b", "FOR SHARE "),
            ("FOR UPDATE OF t SKIP LOCKED", "FOR UPDATE SKIP LOCKED"),
            ("FOR SHARE NOWAIT", "FOR SHARE NOWAIT"),
        ] {
            let query = "SELECT substring(a FROM 1 FOR 2) /* FOR KEY SHARE */ FROM t ";
            assert_eq!(
                known_row_locks(&format!("{query}{lock}")),
                format!("{query}{known}")
            );
        }
    }
}

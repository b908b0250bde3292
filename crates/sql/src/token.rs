//! The tokens of a text, for those who cut or rewrite statements.

use crate::Dialect;
use crate::lexer::{Lexer, TokenKind};
use crate::tokens::unquote;

/// One piece of a statement, borrowed from its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token<'a> {
    /// What it is.
    pub kind: TokenKind,
    /// The piece as written, quotes included.
    pub text: &'a str,
    /// Where it begins in the whole text, in bytes.
    pub start: usize,
}

/// The tokens of `sql` in their order, without white space and comments.
///
/// Total: any text has tokens. They do not overlap, and each is a slice of `sql`: what lies
/// between two of them is white space or a comment. A string, quoted name or comment without an
/// end runs to the end of the text.
///
/// ```
/// use speedwell_sql::{Dialect, TokenKind, tokens};
///
/// let sql = "SELECT a /* :x */ FROM t WHERE b = :x";
/// let placeholder = tokens(sql, Dialect::Sqlite)
///     .find(|token| token.kind == TokenKind::Placeholder);
/// assert_eq!(placeholder.map(|token| (token.text, token.start)), Some((":x", 35)));
/// ```
pub fn tokens(sql: &str, dialect: Dialect) -> impl Iterator<Item = Token<'_>> {
    Lexer::new(sql, dialect)
        .filter(|token| token.kind != TokenKind::Comment)
        .map(|token| Token {
            kind: token.kind,
            text: sql.get(token.start..token.end).unwrap_or_default(),
            start: token.start,
        })
}

impl Token<'_> {
    /// Where it ends in the whole text: the first byte behind it.
    pub fn end(&self) -> usize {
        self.start + self.text.len()
    }

    /// Whether it is this keyword or unquoted name, in any case.
    pub fn is_word(&self, word: &str) -> bool {
        self.kind == TokenKind::Word && self.text.eq_ignore_ascii_case(word)
    }

    /// Whether it is a name, quoted or not; a keyword looks like an unquoted one.
    pub fn is_name(&self) -> bool {
        matches!(self.kind, TokenKind::Word | TokenKind::Quoted)
    }

    /// The name it stands for: quotes removed, an unquoted one as written.
    pub fn name(&self) -> Option<String> {
        match self.kind {
            TokenKind::Word => Some(self.text.to_owned()),
            TokenKind::Quoted => Some(unquote(self.text)),
            _ => None,
        }
    }
}

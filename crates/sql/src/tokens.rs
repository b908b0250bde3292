//! A statement's tokens with their brackets matched: what shape and tables are read from.

use crate::Dialect;
use crate::lexer::{Lexer, Token, TokenKind};

/// The tokens of a text without comments. Behind the end there is nothing, not an error.
pub(crate) struct Tokens<'a> {
    sql: &'a str,
    tokens: Vec<Token>,
    /// For an opening bracket the index of its end, or the number of tokens if it has none.
    ends: Vec<usize>,
}

impl<'a> Tokens<'a> {
    pub(crate) fn of(sql: &'a str, dialect: Dialect) -> Self {
        let tokens: Vec<Token> = Lexer::new(sql, dialect)
            .filter(|token| token.kind != TokenKind::Comment)
            .collect();
        let mut ends = vec![tokens.len(); tokens.len()];
        let mut open = Vec::new();
        for (index, token) in tokens.iter().enumerate() {
            match token.kind {
                TokenKind::LeftParen | TokenKind::LeftBracket => open.push(index),
                TokenKind::RightParen | TokenKind::RightBracket => {
                    if let Some(begin) = open.pop() {
                        ends[begin] = index;
                    }
                }
                _ => {}
            }
        }
        Self { sql, tokens, ends }
    }

    pub(crate) fn len(&self) -> usize {
        self.tokens.len()
    }

    pub(crate) fn kind(&self, index: usize) -> Option<TokenKind> {
        self.tokens.get(index).map(|token| token.kind)
    }

    pub(crate) fn is(&self, index: usize, kind: TokenKind) -> bool {
        self.kind(index) == Some(kind)
    }

    /// Where a token begins in the text, in bytes; the length of the text behind the end.
    pub(crate) fn start(&self, index: usize) -> usize {
        let token = self.tokens.get(index);
        token.map_or(self.sql.len(), |token| token.start)
    }

    /// The text of a token, empty behind the end.
    pub(crate) fn text(&self, index: usize) -> &'a str {
        let token = self.tokens.get(index);
        token
            .and_then(|token| self.sql.get(token.start..token.end))
            .unwrap_or_default()
    }

    /// Whether the token is the keyword or unquoted name `word`, in any case.
    pub(crate) fn word(&self, index: usize, word: &str) -> bool {
        self.is(index, TokenKind::Word) && self.text(index).eq_ignore_ascii_case(word)
    }

    pub(crate) fn any_word(&self, index: usize, words: &[&str]) -> bool {
        self.is(index, TokenKind::Word)
            && words
                .iter()
                .any(|word| self.text(index).eq_ignore_ascii_case(word))
    }

    /// The index of the bracket that closes the one at `open`.
    pub(crate) fn end_of(&self, open: usize) -> usize {
        self.ends.get(open).copied().unwrap_or(self.tokens.len())
    }

    /// The index behind the token, or behind the whole bracket that opens with it.
    pub(crate) fn after(&self, index: usize) -> usize {
        match self.kind(index) {
            Some(TokenKind::LeftParen | TokenKind::LeftBracket) => self.end_of(index) + 1,
            _ => index + 1,
        }
    }

    /// Indexes of the tokens from `from` up to `to` that lie in no bracket of that range.
    pub(crate) fn outer(&self, from: usize, to: usize) -> impl Iterator<Item = usize> {
        let to = to.min(self.len());
        std::iter::successors(Some(from), move |&index| Some(self.after(index)))
            .take_while(move |&index| index < to)
    }

    /// Whether a query begins at `index`.
    pub(crate) fn begins_query(&self, index: usize) -> bool {
        self.any_word(index, &["SELECT", "WITH", "VALUES", "TABLE"])
    }

    /// The name at `index`: unquoted and folded as its quoting says.
    pub(crate) fn name(&self, index: usize) -> Option<String> {
        match self.kind(index)? {
            TokenKind::Word => Some(self.text(index).to_ascii_lowercase()),
            TokenKind::Quoted => Some(unquote(self.text(index))),
            // MySQL's strings in double quotes are names in other dialects and in ANSI mode.
            TokenKind::String if self.text(index).starts_with('"') => {
                Some(unquote(self.text(index)))
            }
            _ => None,
        }
    }
}

/// A quoted name without its quotes.
pub(crate) fn unquote(text: &str) -> String {
    let text = text
        .strip_prefix("U&")
        .or_else(|| text.strip_prefix("u&"))
        .unwrap_or(text);
    let mut chars = text.chars();
    let Some(open) = chars.next() else {
        return String::new();
    };
    let close = if open == '[' { ']' } else { open };
    let body = chars.as_str();
    let body = body.strip_suffix(close).unwrap_or(body);
    if open == '[' {
        return body.to_owned();
    }
    let mut doubled = String::with_capacity(2);
    doubled.push(close);
    doubled.push(close);
    body.replace(&doubled, &doubled[..1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lose_their_quotes() {
        let tokens = Tokens::of(r#"Users "Users" `a``b` [c d] "open"#, Dialect::Sqlite);
        let names: Vec<_> = (0..tokens.len())
            .filter_map(|index| tokens.name(index))
            .collect();
        assert_eq!(names, ["users", "Users", "a`b", "c d", "open"]);
    }

    #[test]
    fn outer_tokens_leave_out_brackets() {
        let tokens = Tokens::of("a (b (c)) d (e", Dialect::Sqlite);
        let outer: Vec<_> = tokens
            .outer(0, tokens.len())
            .map(|i| tokens.text(i))
            .collect();
        assert_eq!(outer, ["a", "(", "d", "("]);
    }
}

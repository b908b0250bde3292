//! The two forms in which a canonical statement is written: bytes to hash, and text to read.

use crate::Dialect;
use crate::keyword::{expects_operand, is_keyword};
use crate::lexer::{LITERAL_MARK, TokenKind};

/// One piece of the canonical form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    /// A keyword or unquoted name, as written.
    Word(&'a [u8]),
    /// A quoted name, as written.
    Quoted(&'a [u8]),
    /// A literal of any kind, its sign included.
    Literal,
    /// A placeholder of any spelling.
    Placeholder,
    /// An operator.
    Operator(&'a [u8]),
    /// One of `( ) [ ] , . ; ::`.
    Mark(TokenKind),
}

/// Writes pieces into a buffer in one of the two forms.
pub(crate) trait Form {
    /// Appends `piece`; `previous` is the piece before it, if there is one.
    fn write(out: &mut Vec<u8>, piece: Piece<'_>, previous: Option<Piece<'_>>, dialect: Dialect);
    /// Marks the element just written as a list of any length.
    fn write_many(_out: &mut Vec<u8>) {}
}

/// Whether `piece` ends an operand; the lexer asks the same of tokens.
pub(crate) fn ends_operand(piece: Piece<'_>) -> bool {
    match piece {
        Piece::Word(word) => !expects_operand(word),
        Piece::Quoted(_) | Piece::Literal | Piece::Placeholder => true,
        Piece::Mark(kind) => matches!(kind, TokenKind::RightParen | TokenKind::RightBracket),
        Piece::Operator(_) => false,
    }
}

/// The bytes that are hashed: one tag per piece, names in lower case.
///
/// Tags are part of the fingerprint: changing one changes every fingerprint.
pub(crate) enum Compact {}

impl Form for Compact {
    #[inline]
    fn write(out: &mut Vec<u8>, piece: Piece<'_>, _previous: Option<Piece<'_>>, _: Dialect) {
        match piece {
            Piece::Word(word) => {
                out.push(1);
                let start = out.len();
                out.extend_from_slice(word);
                out[start..].make_ascii_lowercase();
            }
            Piece::Quoted(name) => {
                out.push(2);
                // The length, because a quoted name may hold any byte, tags included.
                out.extend_from_slice(&(name.len() as u64).to_le_bytes());
                out.extend_from_slice(name);
            }
            Piece::Literal => out.push(3),
            Piece::Placeholder => out.push(4),
            Piece::Operator(operator) => {
                out.push(5);
                out.push(operator.len().min(255) as u8);
                out.extend_from_slice(operator);
            }
            Piece::Mark(kind) => out.push(mark_text(kind).1),
        }
    }
}

/// Text and tag of a mark.
fn mark_text(kind: TokenKind) -> (&'static str, u8) {
    match kind {
        TokenKind::LeftParen => ("(", 6),
        TokenKind::RightParen => (")", 7),
        TokenKind::LeftBracket => ("[", 8),
        TokenKind::RightBracket => ("]", 11),
        TokenKind::Comma => (",", 12),
        TokenKind::Dot => (".", 14),
        TokenKind::Semicolon => (";", 15),
        _ => ("::", 16),
    }
}

/// Text for people: keywords in capitals, names in lower case, one space where one helps.
pub(crate) enum Readable {}

impl Form for Readable {
    fn write(out: &mut Vec<u8>, piece: Piece<'_>, previous: Option<Piece<'_>>, dialect: Dialect) {
        if previous.is_some_and(|previous| spaced(previous, piece)) {
            out.push(b' ');
        }
        match piece {
            Piece::Word(word) => {
                let start = out.len();
                out.extend_from_slice(word);
                if is_keyword(word) {
                    out[start..].make_ascii_uppercase();
                } else {
                    out[start..].make_ascii_lowercase();
                }
            }
            Piece::Quoted(text) | Piece::Operator(text) => out.extend_from_slice(text),
            Piece::Literal => out.extend_from_slice(LITERAL_MARK.as_bytes()),
            // Behind an operand PostgreSQL would read `?` as an operator.
            Piece::Placeholder
                if dialect == Dialect::Postgres && previous.is_some_and(ends_operand) =>
            {
                out.extend_from_slice(b"$1");
            }
            Piece::Placeholder => out.push(b'?'),
            Piece::Mark(kind) => out.extend_from_slice(mark_text(kind).0.as_bytes()),
        }
    }

    fn write_many(out: &mut Vec<u8>) {
        out.push(b'+');
    }
}

/// Keywords that are called like functions.
fn is_call(word: &[u8]) -> bool {
    [
        b"any".as_slice(),
        b"cast",
        b"left",
        b"replace",
        b"right",
        b"some",
    ]
    .iter()
    .any(|known| word.eq_ignore_ascii_case(known))
}

/// Whether a space stands between two pieces. Where there is none, the two must read
/// back as the same two tokens.
fn spaced(previous: Piece<'_>, piece: Piece<'_>) -> bool {
    use TokenKind::{
        Cast, Comma, Dot, LeftBracket, LeftParen, RightBracket, RightParen, Semicolon,
    };
    let after_name = matches!(previous, Piece::Quoted(_))
        || matches!(previous, Piece::Word(word) if !is_keyword(word));
    let after_operand = after_name
        || matches!(previous, Piece::Literal | Piece::Placeholder)
        || matches!(previous, Piece::Mark(RightParen | RightBracket));
    let before_name = matches!(piece, Piece::Word(_) | Piece::Quoted(_));
    match (previous, piece) {
        (_, Piece::Mark(Comma | RightParen | RightBracket | Semicolon)) => false,
        (Piece::Mark(LeftParen | LeftBracket), _) => false,
        (Piece::Word(word), Piece::Mark(LeftParen)) => is_keyword(word) && !is_call(word),
        (_, Piece::Mark(LeftParen)) => !after_name,
        (Piece::Word(word), Piece::Mark(LeftBracket)) => {
            is_keyword(word) && !word.eq_ignore_ascii_case(b"array")
        }
        (Piece::Word(_), Piece::Mark(Dot)) => false,
        (_, Piece::Mark(LeftBracket | Dot | Cast)) => !after_operand,
        (Piece::Mark(Dot), Piece::Operator(operator)) => operator != b"*",
        (Piece::Mark(Dot | Cast), _) => !before_name,
        _ => true,
    }
}

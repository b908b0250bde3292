//! The identity of a statement's shape, and what was said in the comments around it.

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;

use twox_hash::XxHash3_64;

use crate::Dialect;
use crate::canon::{Scratch, write_form};
use crate::comment::read_tags;
use crate::form::{Compact, Readable};
use crate::lexer::{Lexer, Token, TokenKind};

/// Identity of a statement's shape: literals, list lengths, comments, the case of
/// keywords and white space do not count; tables, columns and operators do.
/// Stable between runs, machines and versions of the same major release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint(pub u64);

impl fmt::Display for Fingerprint {
    /// Sixteen hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// sqlcommenter tags found in the comments around a statement, sorted by key, values decoded.
pub type Tags = std::collections::BTreeMap<String, String>;

/// What the memo remembers of one raw text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digest {
    /// The statement's identity.
    pub fingerprint: Fingerprint,
    /// The raw text, trimmed of white space, of trailing semicolons and of the comments
    /// around it.
    pub text: Arc<str>,
    /// Whether the text holds placeholders, so that values may be hidden.
    pub has_placeholders: bool,
    /// sqlcommenter tags.
    pub tags: Tags,
}

thread_local! {
    /// One set of buffers per thread, so that a fingerprint allocates nothing.
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// Runs `use_scratch` on this thread's buffers.
fn with_scratch<T>(use_scratch: impl FnOnce(&mut Scratch) -> T) -> T {
    SCRATCH.with(|scratch| match scratch.try_borrow_mut() {
        Ok(mut scratch) => use_scratch(&mut scratch),
        Err(_) => use_scratch(&mut Scratch::default()),
    })
}

/// The fingerprint of one statement. Total: any text has one.
///
/// - Literals (numbers with their sign, strings, blobs) are one thing, placeholders of
///   every spelling another. `TRUE`, `FALSE` and `NULL` are neither: a partial index may
///   depend on them. Only inside a row of `VALUES` are they literals.
/// - Unquoted names and keywords fold to lower case. A quoted name counts exactly as
///   written, quotes included: `"users"` and `users` differ.
/// - Lists collapse inside `IN (..)`, `ARRAY[..]` and the rows of `VALUES`, and so does the
///   number of rows: a list is the set of its different elements in order of appearance.
///   Arguments of functions and `LIMIT a, b` do not collapse.
/// - Comments, white space and trailing semicolons do not count.
pub fn fingerprint(sql: &str, dialect: Dialect) -> Fingerprint {
    with_scratch(|scratch| {
        write_form::<Compact>(sql, dialect, scratch);
        Fingerprint(XxHash3_64::oneshot(&scratch.out))
    })
}

/// The canonical text behind the fingerprint, for people to read:
/// `SELECT a FROM t WHERE b IN (?+) AND c = …`.
///
/// A placeholder is `?`, a literal is `…`, a collapsed list `?+` or `…+`. Keywords are in
/// capitals, unquoted names in lower case. Statements have the same text exactly when they
/// have the same fingerprint, and the text of the text is the text itself. (In PostgreSQL
/// a placeholder where an operator should stand, which no valid statement has, is `$1`.)
pub fn normalize(sql: &str, dialect: Dialect) -> String {
    with_scratch(|scratch| {
        write_form::<Readable>(sql, dialect, scratch);
        String::from_utf8_lossy(&scratch.out).into_owned()
    })
}

/// The sqlcommenter tags in the comments before and after a statement.
///
/// Read are `key='url-encoded'`, `key=value` and `key:value`; comments in the middle of a
/// statement are left alone. If a key stands twice, the later one wins.
pub fn tags(sql: &str, dialect: Dialect) -> Tags {
    Frame::of(sql, dialect).tags(sql)
}

/// Fingerprint, trimmed text and tags of one raw text.
pub(crate) fn digest(sql: &str, dialect: Dialect) -> Digest {
    let frame = Frame::of(sql, dialect);
    let text = sql.get(frame.start..frame.end).unwrap_or_default();
    Digest {
        fingerprint: fingerprint(sql, dialect),
        text: text.into(),
        has_placeholders: frame.has_placeholders,
        tags: frame.tags(sql),
    }
}

/// Where the statement lies in its text, and which comments stand around it.
#[derive(Default)]
struct Frame {
    start: usize,
    end: usize,
    has_placeholders: bool,
    leading: Vec<Token>,
    trailing: Vec<Token>,
}

impl Frame {
    fn of(sql: &str, dialect: Dialect) -> Self {
        let mut frame = Self::default();
        let mut begun = false;
        for token in Lexer::new(sql, dialect) {
            match token.kind {
                TokenKind::Comment if begun => frame.trailing.push(token),
                TokenKind::Comment => frame.leading.push(token),
                TokenKind::Semicolon => {}
                kind => {
                    if !begun {
                        frame.start = token.start;
                        begun = true;
                    }
                    frame.end = token.end;
                    frame.trailing.clear();
                    frame.has_placeholders |= kind == TokenKind::Placeholder;
                }
            }
        }
        frame
    }

    fn tags(&self, sql: &str) -> Tags {
        let mut tags = Tags::new();
        for comment in self.leading.iter().chain(&self.trailing) {
            read_tags(
                sql.get(comment.start..comment.end).unwrap_or_default(),
                &mut tags,
            );
        }
        tags
    }
}

//! The identity of a statement's shape, and the memo that makes it cheap.
use std::sync::Arc;

use crate::Dialect;

/// Identity of a statement's shape: literals, list lengths, comments, the case of
/// keywords and white space do not count; tables, columns and operators do.
/// Stable between runs, machines and versions of the same major release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint(pub u64);

/// sqlcommenter tags found in the comments around a statement, sorted by key, values decoded.
pub type Tags = std::collections::BTreeMap<String, String>;

/// What the memo remembers of one raw text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digest {
    /// The statement's identity.
    pub fingerprint: Fingerprint,
    /// The raw text, trimmed of white space and of the comments around it.
    pub text: Arc<str>,
    /// Whether the text holds placeholders, so that values may be hidden.
    pub has_placeholders: bool,
    /// sqlcommenter tags.
    pub tags: Tags,
}

/// A bounded memo from raw text to [`Digest`]; cheap to share between threads.
pub struct Memo {}

impl Memo {
    /// A memo of at most `capacity` texts.
    pub fn new(_dialect: Dialect, _capacity: usize) -> Self { todo!() }
    /// The digest of `sql`, from memory if it was seen before.
    pub fn digest(&self, _sql: &str) -> Arc<Digest> { todo!() }
}

/// The fingerprint of one statement.
pub fn fingerprint(_sql: &str, _dialect: Dialect) -> Fingerprint { todo!() }
/// The canonical text behind the fingerprint: `SELECT a FROM t WHERE b IN (?+)`; for people to read.
pub fn normalize(_sql: &str, _dialect: Dialect) -> String { todo!() }
/// The sqlcommenter tags in the comments before and after a statement.
pub fn tags(_sql: &str, _dialect: Dialect) -> Tags { todo!() }

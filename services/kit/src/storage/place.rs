//! Where a file is: in its place, or in the trash of one operation.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use object_store::path::Path;

use super::error::StorageError;

/// The first part of every path in the trash; no file can have it.
pub(super) const TRASH: &str = "trash";

/// Checks a path: parts of ASCII letters, digits, `-`, `_` and `.`, parted by `/`. All stores
/// and all browsers write such a path in the same way.
pub(super) fn checked(path: &str) -> Result<Path, StorageError> {
    let wrong = |reason| StorageError::Path {
        path: path.to_owned(),
        reason,
    };
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    for part in path.split('/') {
        if part.is_empty() {
            return Err(wrong("it has an empty part"));
        }
        if part.starts_with('.') {
            return Err(wrong("a part begins with a dot"));
        }
        if !part.chars().all(allowed) {
            return Err(wrong(
                "only letters, digits, `-`, `_` and `.` are allowed between `/`",
            ));
        }
    }
    if path.split('/').next() == Some(TRASH) {
        return Err(wrong("`trash` is where deleted files go"));
    }
    // The longest key of S3 is 1024 bytes; a prefix and the trash need some of them.
    if path.len() > 512 {
        return Err(wrong("it is longer than 512 bytes"));
    }
    Ok(Path::from(path))
}

/// What an operation does with its files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The entry is an empty marker: the file is being written.
    New,
    /// The entry is the file itself: it is being deleted.
    Old,
}

/// One operation: the folder of its entries in the trash is `new-<milliseconds>-<random>`.
///
/// Each has a folder of its own, so that two operations on the same path never take each
/// other's entry. Its age is in the name, because a rename keeps the time of the file.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Operation(String);

impl Operation {
    pub(super) fn start(kind: Kind) -> Self {
        let kind = match kind {
            Kind::New => "new",
            Kind::Old => "old",
        };
        Self(format!("{kind}-{}-{:016x}", now(), rand::random::<u64>()))
    }

    /// Where the entry for a path is.
    pub(super) fn entry(&self, path: &Path) -> Path {
        Path::from(format!("{TRASH}/{}/{path}", self.0))
    }

    fn parse(name: &str) -> Option<(Self, Kind, u64)> {
        let mut parts = name.split('-');
        let kind = match parts.next()? {
            "new" => Kind::New,
            "old" => Kind::Old,
            _ => return None,
        };
        let started = parts.next()?.parse().ok()?;
        Some((Self(name.to_owned()), kind, started))
    }
}

/// An entry found in the trash.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) operation: Operation,
    pub(super) kind: Kind,
    /// Where the file belongs.
    pub(super) path: Path,
    started: u64,
}

impl Entry {
    /// Reads the path of an entry; `None` for anything that no operation has written.
    pub(super) fn parse(location: &Path) -> Option<Self> {
        let rest = location.as_ref().strip_prefix(TRASH)?.strip_prefix('/')?;
        let (operation, path) = rest.split_once('/')?;
        let (operation, kind, started) = Operation::parse(operation)?;
        Some(Self {
            operation,
            kind,
            path: checked(path).ok()?,
            started,
        })
    }

    pub(super) fn location(&self) -> Path {
        self.operation.entry(&self.path)
    }

    pub(super) fn is_older_than(&self, age: Duration) -> bool {
        let age = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
        now().saturating_sub(self.started) >= age
    }
}

/// Milliseconds since 1970.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}

/// The operations of this process that are not at their end, and whether somebody still
/// holds them.
#[derive(Debug, Clone, Default)]
pub(super) struct Operations(Arc<Mutex<HashMap<Operation, bool>>>);

impl Operations {
    pub(super) fn begin(&self, operation: &Operation) {
        self.set(operation, true);
    }

    /// Somebody let go of it before its end.
    pub(super) fn abandon(&self, operation: &Operation) {
        self.set(operation, false);
    }

    fn set(&self, operation: &Operation, held: bool) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(operation.clone(), held);
    }

    pub(super) fn end(&self, operation: &Operation) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.remove(operation);
    }

    /// `None` for an operation of another process.
    pub(super) fn held(&self, operation: &Operation) -> Option<bool> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(operation).copied()
    }

    pub(super) fn is_empty(&self) -> bool {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.is_empty()
    }
}

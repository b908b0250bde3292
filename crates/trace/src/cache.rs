//! What a request did with the cache, read from the events that the cache sends.

use std::{sync::Arc, time::Duration};

use crate::{Fingerprint, Site};

/// One use of the cache inside a request. Keys are never kept: a read says the group of its key
/// and a hash of it, which tells equal keys from different ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheOperation {
    /// Name of the cache.
    pub cache: Arc<str>,
    /// What was done.
    pub action: CacheAction,
    /// Start, counted from the start of the request.
    pub offset: Duration,
    /// How long the caller waited for it; of a read that loaded, the load included.
    pub duration: Duration,
    /// Code that ran it.
    pub site: Option<Site>,
}

/// What was done with the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CacheAction {
    /// A value was asked for.
    Read {
        /// The part of the key before the first colon.
        group: Arc<str>,
        /// Hash of the key.
        key_hash: u64,
        /// Where the answer came from.
        outcome: ReadOutcome,
    },
    /// Values were put in or thrown out.
    Change {
        /// How.
        change: CacheChange,
        /// Tags or keys that it named.
        names: u64,
        /// Whether the other processes know.
        outcome: ChangeOutcome,
    },
}

/// Where the answer to a read came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReadOutcome {
    /// The memory of this process.
    Memory,
    /// Redis.
    Redis,
    /// An old value, because a new one could not be had in time.
    Stale,
    /// The loader, run for this read.
    Load,
    /// A load that another reader of the same key had begun.
    Coalesced,
    /// Nowhere: the loader failed.
    Failed,
}

/// How a cache was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CacheChange {
    /// A write to the database together with the tags that it changes.
    Write,
    /// Everything that carries some tags was thrown out.
    Invalidate,
    /// A value was put in.
    Set,
    /// Keys were thrown out.
    Delete,
    /// All keys of a pattern were thrown out.
    DeletePattern,
    /// Everything was thrown out.
    Clear,
}

/// Whether the other processes know of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChangeOutcome {
    /// They were told.
    Told,
    /// They will be told when the connection is back; until then they may not read old values.
    Delayed,
}

impl CacheOperation {
    /// What was done, by the name that the events use: `read`, `write`, `invalidate`, …
    pub fn operation(&self) -> &'static str {
        match self.action {
            CacheAction::Read { .. } => CacheAction::READ,
            CacheAction::Change { change, .. } => change.name(),
        }
    }

    /// How it ended, by the name that the events use: `memory`, `load`, `told`, …
    pub fn outcome(&self) -> &'static str {
        match self.action {
            CacheAction::Read { outcome, .. } => outcome.name(),
            CacheAction::Change { outcome, .. } => outcome.name(),
        }
    }

    /// Where the answer came from; `None` for a change.
    pub fn read(&self) -> Option<ReadOutcome> {
        match self.action {
            CacheAction::Read { outcome, .. } => Some(outcome),
            CacheAction::Change { .. } => None,
        }
    }

    /// The group of the key that was read; `None` for a change.
    pub fn group(&self) -> Option<&str> {
        match &self.action {
            CacheAction::Read { group, .. } => Some(group),
            CacheAction::Change { .. } => None,
        }
    }

    /// Whether values were put in or thrown out.
    pub fn is_change(&self) -> bool {
        matches!(self.action, CacheAction::Change { .. })
    }

    /// When it ended, counted from the start of the request.
    pub fn end(&self) -> Duration {
        self.offset.saturating_add(self.duration)
    }
}

impl CacheAction {
    /// The name of reads; changes have theirs in [`CacheChange::name`].
    pub(crate) const READ: &str = "read";

    /// An action from the names that the events use. `None` if it is not known, or a part that
    /// belongs to it is missing: better nothing than half of it.
    pub fn from_names(
        operation: &str,
        outcome: &str,
        group: Option<&str>,
        key_hash: Option<u64>,
        names: Option<u64>,
    ) -> Option<Self> {
        if operation == Self::READ {
            return Some(Self::Read {
                group: group?.into(),
                key_hash: key_hash?,
                outcome: ReadOutcome::from_name(outcome)?,
            });
        }
        Some(Self::Change {
            change: CacheChange::from_name(operation)?,
            names: names.unwrap_or(0),
            outcome: ChangeOutcome::from_name(outcome)?,
        })
    }
}

/// Names both ways, so that they cannot drift apart.
macro_rules! names {
    ($type:ident { $($variant:ident => $name:literal),+ $(,)? }) => {
        impl $type {
            /// The name that the events use.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name),+
                }
            }

            /// The one of this name.
            pub fn from_name(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$variant),)+
                    _ => None,
                }
            }
        }
    };
}

names!(ReadOutcome {
    Memory => "memory",
    Redis => "redis",
    Stale => "stale",
    Load => "load",
    Coalesced => "coalesced",
    Failed => "failed",
});

names!(CacheChange {
    Write => "write",
    Invalidate => "invalidate",
    Set => "set",
    Delete => "delete",
    DeletePattern => "delete_pattern",
    Clear => "clear",
});

names!(ChangeOutcome {
    Told => "told",
    Delayed => "delayed",
});

impl ReadOutcome {
    /// Whether the cache had a value. One that another reader is just loading is not there yet.
    pub fn is_hit(self) -> bool {
        matches!(self, Self::Memory | Self::Redis | Self::Stale)
    }
}

/// What a finding about reads of one group is identified by, for there is no statement.
pub(crate) fn group_fingerprint(cache: &str, group: &str) -> Fingerprint {
    let text = format!("cache\0{cache}\0{group}");
    Fingerprint(twox_hash::XxHash3_64::oneshot(text.as_bytes()))
}

/// What a finding about reads of one group shows in place of a statement.
pub(crate) fn group_text(cache: &str, group: &str) -> Arc<str> {
    format!("{CACHE_READ}{cache}/{group}").into()
}

/// How that text begins.
pub(crate) const CACHE_READ: &str = "cache read of ";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_an_event_is_none() {
        let read = |group, key| CacheAction::from_names("read", "memory", group, key, None);
        assert!(read(Some("share"), Some(7)).is_some());
        assert_eq!(read(None, Some(7)), None);
        assert_eq!(read(Some("share"), None), None);
        assert_eq!(
            CacheAction::from_names("read", "told", Some("share"), Some(7), None),
            None
        );
        assert_eq!(
            CacheAction::from_names("burn", "told", None, None, Some(1)),
            None
        );
    }

    #[test]
    fn only_what_the_cache_had_is_a_hit() {
        let hits = ["memory", "redis", "stale", "load", "coalesced", "failed"]
            .map(|name| ReadOutcome::from_name(name).unwrap().is_hit());
        assert_eq!(hits, [true, true, true, false, false, false]);
    }
}

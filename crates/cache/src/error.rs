//! What can go wrong, for those who asked.

use std::{error::Error, fmt, sync::Arc, time::Duration};

/// Why a value could not be had. The cache itself is never the reason: without it, there is
/// the loader.
#[derive(Debug)]
pub enum LoadError<E> {
    /// The loader failed. All who waited for it get the same error.
    Failed(Arc<E>),
    /// The load took longer than [`crate::Policy::hard_timeout`], or than its deadline.
    TimedOut {
        /// How long was waited.
        after: Duration,
    },
    /// The loader panicked, or its runtime is shutting down.
    Aborted,
}

impl<E> Clone for LoadError<E> {
    fn clone(&self) -> Self {
        match self {
            Self::Failed(error) => Self::Failed(Arc::clone(error)),
            Self::TimedOut { after } => Self::TimedOut { after: *after },
            Self::Aborted => Self::Aborted,
        }
    }
}

impl<E: fmt::Display> fmt::Display for LoadError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(error) => write!(f, "cannot load the value: {error}"),
            Self::TimedOut { after } => write!(f, "loading the value took longer than {after:?}"),
            Self::Aborted => f.write_str("loading the value was aborted"),
        }
    }
}

impl<E: Error + 'static> Error for LoadError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Failed(error) => Some(&**error),
            Self::TimedOut { .. } | Self::Aborted => None,
        }
    }
}

/// Why a write did not happen, or is not known to have.
#[derive(Debug, thiserror::Error)]
pub enum WriteError<E> {
    /// Redis could not be told beforehand, so the write was not begun ([`crate::Mode::Strict`]
    /// only). Answer 503: it may succeed in a moment.
    #[error("the cache cannot be told of the write, so it was not begun; try again in a moment")]
    Refused,
    /// The transaction failed.
    #[error("{0}")]
    Failed(E),
    /// The transaction took longer than the cache may wait for it; it may have committed.
    #[error("the write took longer than {after:?}; whether it was done is not known")]
    TimedOut {
        /// The limit.
        after: Duration,
    },
    /// It was done, but for as long as its mark lasts Redis could not be told of it
    /// ([`crate::Mode::Strict`] only): others may read what was before.
    #[error("the write was done, but the cache could not be told of it")]
    Untold,
    /// It was done and everybody was told, but it changed what it had not named beforehand
    /// ([`crate::Mode::Strict`] with observed statements only): name these tags, all of them, in
    /// `Cache::write` or with `Write::also`. While it ran, readers may have seen the new and then the
    /// old.
    #[error(
        "the write was done, but it changed what it had not named as its tags: {}",
        if tags.is_empty() { "something that its statements do not tell".to_owned() } else { tags.join(", ") }
    )]
    Unmarked {
        /// Tags that it must name; none if its statements do not tell.
        tags: Vec<String>,
    },
    /// The transaction panicked, or its runtime is shutting down.
    #[error("the write was aborted; whether it was done is not known")]
    Aborted,
}

/// An invalidation that has not reached Redis yet. It is tried again until it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "Redis could not be told what is invalid; it is tried again, and until then other processes may answer what they hold"
)]
pub struct NotTold;

/// Why a cache could not be made.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The address is none.
    #[error(
        "`{shown}` is no address of a Redis server: {reason}; write redis://host:port/database"
    )]
    Address {
        /// The address without user and password.
        shown: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The name is empty or has characters that stand for something else.
    #[error("`{0}` is no name of a cache; use letters, digits, `-` and `_`")]
    Name(String),
}

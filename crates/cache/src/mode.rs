//! What a cache guarantees, in one sentence for each mode. The checker checks these.

use std::time::Duration;

/// The sentence of [`Mode::Strict`].
const STRICT: &str = "When a write returns Ok, no read that starts later, in any process, through memory or Redis, returns a value older than that write; reads never go back in time; killing, freezing or restarting Redis can cost latency or refuse a write, never a stale answer.";

/// The sentence of [`Mode::Bounded`].
const BOUNDED: &str = "When a write returns Ok, no read that starts later, in any process, returns a value older than that write, as long as the writer reaches Redis; while it does not, what is read is older by at most max_stale.";

/// The sentence of [`Mode::Ttl`].
const TTL: &str = "A read never returns a value that was loaded longer ago than its time to live and the time for which it may be stale.";

/// How much a cache promises, and what that costs.
///
/// A cache without Redis is strict by itself, whatever its mode, as long as only one process
/// writes to what it caches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Writes tell everybody before they commit, and are refused when they cannot.
    ///
    /// When a write returns Ok, no read that starts later, in any process, through memory or
    /// Redis, returns a value older than that write; reads never go back in time; killing,
    /// freezing or restarting Redis can cost latency or refuse a write, never a stale answer.
    Strict,
    /// Writes tell everybody after they have committed, and are never refused.
    ///
    /// When a write returns Ok, no read that starts later, in any process, returns a value older
    /// than that write, as long as the writer reaches Redis; while it does not, what is read is
    /// older by at most `max_stale`.
    #[default]
    Bounded,
    /// Values live for their time; invalidating is done as well as it goes.
    ///
    /// A read never returns a value that was loaded longer ago than its time to live and the
    /// time for which it may be stale.
    Ttl,
}

impl Mode {
    /// The guarantee, as the documentation has it and the checker checks it.
    pub fn guarantee(self) -> &'static str {
        match self {
            Self::Strict => STRICT,
            Self::Bounded => BOUNDED,
            Self::Ttl => TTL,
        }
    }

    /// Whether what is in memory may be used only while invalidations are sure to arrive.
    pub(crate) fn needs_lease(self) -> bool {
        !matches!(self, Self::Ttl)
    }
}

/// Values of [`Mode::Bounded`] live no longer than this unless the cache is told otherwise.
pub(crate) const MAX_STALE: Duration = Duration::from_secs(300);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documentation_and_guarantee_are_the_same_words() {
        let plain = |text: &str| {
            let text = text.replace("///", " ").replace(['`', '"'], "");
            text.split_whitespace().collect::<Vec<_>>().join(" ")
        };
        let source = plain(include_str!("mode.rs"));
        let front_page = plain(include_str!("../README.md"));
        for mode in [Mode::Strict, Mode::Bounded, Mode::Ttl] {
            let sentence = plain(mode.guarantee());
            assert!(source.matches(&sentence).count() >= 2, "{sentence}");
            assert!(front_page.contains(&sentence), "{sentence}");
        }
    }
}

//! How one kind of value is cached: for how long, what may be stale, how long loading may take.

use std::time::Duration;

/// Longer times to live are taken as this: thirty days.
pub const LONGEST_TTL: Duration = Duration::from_secs(30 * 24 * 3600);

/// How one kind of value is cached. Cheap to copy; meant to be a constant.
///
/// ```
/// use std::time::Duration;
/// use speedwell_cache::Policy;
///
/// const PROFILE: Policy = Policy::new(Duration::from_secs(300))
///     .stale_while_revalidate(Duration::from_secs(30))
///     .negative_ttl(Duration::from_secs(5));
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Policy {
    pub(crate) ttl: Duration,
    pub(crate) jitter: f64,
    pub(crate) early_refresh: f64,
    pub(crate) stale_while_revalidate: Duration,
    pub(crate) fail_safe: Duration,
    pub(crate) soft_timeout: Option<Duration>,
    pub(crate) hard_timeout: Duration,
    pub(crate) load_deadline: Duration,
    pub(crate) negative_ttl: Duration,
    pub(crate) error_ttl: Duration,
    pub(crate) compress_from: Option<usize>,
}

impl Policy {
    /// Values live for `ttl`. Zero: nothing is kept, but loads that run at the same time are
    /// still one. More than [`LONGEST_TTL`] is that.
    pub const fn new(ttl: Duration) -> Self {
        Self {
            ttl: shorter(ttl, LONGEST_TTL),
            jitter: 0.1,
            early_refresh: 1.0,
            stale_while_revalidate: Duration::ZERO,
            fail_safe: Duration::ZERO,
            soft_timeout: None,
            hard_timeout: Duration::from_secs(10),
            load_deadline: Duration::from_secs(30),
            negative_ttl: Duration::from_secs(5),
            error_ttl: Duration::from_millis(200),
            compress_from: None,
        }
    }

    /// Each value lives up to this share shorter, at random. Default 0.1.
    ///
    /// Without it, what was loaded together (at a start, say) expires together, and all of it is
    /// loaded again in one moment. Values outside 0 to 1 are brought into it.
    #[must_use]
    pub const fn jitter(mut self, share: f64) -> Self {
        self.jitter = if share.is_nan() {
            0.0
        } else {
            share.clamp(0.0, 1.0)
        };
        self
    }

    /// How eagerly a value is loaded anew before it expires. Default 1, off with 0.
    ///
    /// The chance that a read starts this grows as expiry comes nearer, and earlier for what
    /// takes long to load: a read starts it when now - load time * beta * ln(random) passes the
    /// expiry ("XFetch": Vattani, Chierichetti, Lowenstein, Optimal Probabilistic Cache Stampede
    /// Prevention, VLDB 2015). Without it, readers of a popular key all wait when it expires.
    #[must_use]
    pub const fn early_refresh(mut self, beta: f64) -> Self {
        self.early_refresh = if beta > 0.0 { beta } else { 0.0 };
        self
    }

    /// After its time to live, a value is still answered for so long while one load runs in the
    /// background. Default zero.
    ///
    /// Without it, whoever comes first after the expiry waits for the load. What was invalidated
    /// is never answered.
    #[must_use]
    pub const fn stale_while_revalidate(mut self, time: Duration) -> Self {
        self.stale_while_revalidate = shorter(time, LONGEST_TTL);
        self
    }

    /// After its time to live, a value is still answered for so long if it cannot be loaded:
    /// the loader fails, or takes longer than the soft timeout. Default zero.
    ///
    /// Without it, the error of the loader is the answer. What was invalidated is never
    /// answered.
    #[must_use]
    pub const fn fail_safe(mut self, time: Duration) -> Self {
        self.fail_safe = shorter(time, LONGEST_TTL);
        self
    }

    /// A load that takes longer is answered with the expired value, if [`Policy::fail_safe`]
    /// still has one, and goes on in the background. Default: none.
    #[must_use]
    pub const fn soft_timeout(mut self, time: Duration) -> Self {
        self.soft_timeout = Some(time);
        self
    }

    /// A reader waits no longer than this; the load goes on for those who come later. Default
    /// 10 s.
    ///
    /// Without it, a reader hangs as long as the database does.
    #[must_use]
    pub const fn hard_timeout(mut self, time: Duration) -> Self {
        self.hard_timeout = time;
        self
    }

    /// A load that takes longer is given up, and the next reader starts another. Default 30 s.
    ///
    /// Without it, one statement that hangs makes its key hang for ever.
    #[must_use]
    pub const fn load_deadline(mut self, time: Duration) -> Self {
        self.load_deadline = time;
        self
    }

    /// How long it is remembered that there is nothing (see `find_or_load`). Default 5 s; never
    /// longer than the time to live. Zero: not at all.
    ///
    /// Without it, whoever asks for what is not there reaches the database every time.
    #[must_use]
    pub const fn negative_ttl(mut self, time: Duration) -> Self {
        self.negative_ttl = time;
        self
    }

    /// How long an error of the loader is shared with those who come later. Default 200 ms.
    ///
    /// Without it, a thousand waiters of a database that is down ask it a thousand times, one
    /// after the other.
    #[must_use]
    pub const fn error_ttl(mut self, time: Duration) -> Self {
        self.error_ttl = time;
        self
    }

    /// Values of at least so many bytes, encoded, are stored in Redis compressed with LZ4.
    /// Default: never.
    ///
    /// It saves memory of Redis and network, about four times for JSON-like data, and costs some
    /// 40 µs for 10 kB.
    #[must_use]
    pub const fn compress_from(mut self, bytes: usize) -> Self {
        self.compress_from = Some(bytes);
        self
    }

    /// The same with no time longer than `longest` in all: for [`crate::Mode::Bounded`].
    pub(crate) fn at_most(mut self, longest: Duration) -> Self {
        self.ttl = self.ttl.min(longest);
        let rest = longest - self.ttl;
        self.stale_while_revalidate = self.stale_while_revalidate.min(rest);
        self.fail_safe = self.fail_safe.min(rest);
        self
    }

    /// How long this value lives, `random` being in 0 to 1.
    pub(crate) fn lifetime(&self, found: bool, random: f64) -> Lifetime {
        if found {
            let ttl = self.ttl.mul_f64(1.0 - self.jitter * random);
            return Lifetime {
                ttl,
                revalidate: self.stale_while_revalidate,
                fail_safe: self.fail_safe,
            };
        }
        Lifetime {
            ttl: self.negative_ttl.min(self.ttl),
            revalidate: Duration::ZERO,
            fail_safe: Duration::ZERO,
        }
    }
}

/// How long one value lives from its load on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lifetime {
    pub(crate) ttl: Duration,
    /// After the ttl.
    pub(crate) revalidate: Duration,
    /// After the ttl, too.
    pub(crate) fail_safe: Duration,
}

impl Lifetime {
    /// Until nothing may be answered with it any more.
    pub(crate) fn whole(self) -> Duration {
        self.ttl + self.revalidate.max(self.fail_safe)
    }
}

const fn shorter(one: Duration, other: Duration) -> Duration {
    if one.as_nanos() < other.as_nanos() {
        one
    } else {
        other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn jitter_only_shortens() {
        let policy = Policy::new(100 * SECOND).jitter(0.2);
        assert_eq!(policy.lifetime(true, 0.0).ttl, 100 * SECOND);
        assert_eq!(policy.lifetime(true, 1.0).ttl, 80 * SECOND);
    }

    #[test]
    fn nonsense_is_brought_into_range() {
        let policy = Policy::new(Duration::MAX)
            .jitter(f64::NAN)
            .early_refresh(-3.0);
        assert_eq!(policy.ttl, LONGEST_TTL);
        assert_eq!(policy.jitter, 0.0);
        assert_eq!(policy.early_refresh, 0.0);
        assert_eq!(Policy::new(SECOND).jitter(7.0).jitter, 1.0);
    }

    #[test]
    fn nothing_is_remembered_no_longer_than_something() {
        let policy = Policy::new(SECOND)
            .negative_ttl(9 * SECOND)
            .fail_safe(SECOND);
        assert_eq!(policy.lifetime(false, 0.0).whole(), SECOND);
    }

    #[test]
    fn a_bound_holds_for_the_whole_life_of_a_value() {
        let policy = Policy::new(8 * SECOND)
            .stale_while_revalidate(8 * SECOND)
            .fail_safe(9 * SECOND)
            .at_most(10 * SECOND);
        assert_eq!(policy.lifetime(true, 0.0).whole(), 10 * SECOND);
        let short = Policy::new(90 * SECOND).at_most(10 * SECOND);
        assert_eq!(short.lifetime(true, 0.0).whole(), 10 * SECOND);
    }
}

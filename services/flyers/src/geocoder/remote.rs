//! A geocoder somewhere else, asked with care: what is known is not asked again, what
//! fails is tried again within a time limit, and what keeps failing is left alone for a
//! while.

use std::{
    future::Future,
    time::{Duration, Instant as StdInstant},
};

use moka::{Expiry, future::Cache};
use rand::RngExt as _;
use service_kit::breaker::{self, Breaker};
use tokio::time::{Instant, sleep, timeout_at};

use crate::{
    geo::Point,
    geocoder::{GeocodeError, Geocoder, Lookup, pace::Pace},
    search::fold,
};

/// Asks once.
pub(crate) trait Ask: Send + Sync {
    /// The place of an address, or `None` when there is no such address.
    fn ask(&self, address: &str) -> impl Future<Output = Result<Option<Point>, AskError>> + Send;
}

/// One try that brought no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub(crate) struct AskError {
    /// For the log; never holds the address.
    pub(crate) reason: String,
    /// Whether another try may go better.
    pub(crate) again: bool,
    /// How long the other side wants to be left alone.
    pub(crate) retry_after: Option<Duration>,
}

/// How much care.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings {
    /// Time for one lookup with all its tries and waits.
    pub(crate) total: Duration,
    /// Least time between two requests.
    pub(crate) interval: Duration,
    /// How long a place is remembered.
    pub(crate) found_for: Duration,
    /// How long it is remembered that there is no such address.
    pub(crate) missing_for: Duration,
}

/// Papers m01-e01-t03: 5 s for a try, 3 tries, 1, 2, 4 s between them.
const TRY: Duration = Duration::from_secs(5);
const TRIES: usize = 3;
const BACKOFF: [Duration; 3] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
];
/// A wait grows by up to this part of itself, so that clients that failed together do not
/// come back together.
const JITTER: f64 = 0.25;
/// With less time than this left (or a quarter of a very short limit) nobody is asked: it
/// would fail for the wrong reason.
const SHORTEST_TRY: Duration = Duration::from_secs(1);
/// A longer `Retry-After` is taken for a mistake of the other side.
const LONGEST_HOLD: Duration = Duration::from_secs(600);
/// Papers m01-e01-t03, circuit breaker.
const BREAKER: breaker::Settings = breaker::Settings {
    failures_to_open: 3,
    open_for: Duration::from_secs(60),
    successes_to_close: 2,
};
/// Addresses remembered: at most 500 characters each, so some 5 MB.
const REMEMBERED: u64 = 10_000;

impl Settings {
    /// The usual care within a time limit. Towns do not move, and a day keeps a mended map
    /// from being missed for long; a missing address may be mended within minutes.
    pub(crate) fn within(total: Duration) -> Self {
        Self {
            total,
            interval: Duration::ZERO,
            found_for: Duration::from_secs(24 * 3600),
            missing_for: Duration::from_secs(600),
        }
    }
}

/// Whatever [`Ask`] reaches, as a [`Geocoder`].
#[derive(Debug)]
pub(crate) struct Remote<A> {
    asked: A,
    settings: Settings,
    breaker: Breaker,
    pace: Pace,
    /// By folded address. Lookups of one address at the same time are one call.
    answers: Cache<String, Option<Point>>,
}

impl<A: Ask> Remote<A> {
    pub(crate) fn new(asked: A, settings: Settings) -> Self {
        Self {
            asked,
            settings,
            breaker: Breaker::new("geocoder", BREAKER),
            pace: Pace::new(settings.interval),
            answers: Cache::builder()
                .max_capacity(REMEMBERED)
                .expire_after(Remembered(settings))
                .build(),
        }
    }

    /// One call with all its tries.
    async fn call(&self, address: &str, deadline: Instant) -> Result<Option<Point>, CallError> {
        let permit = self.breaker.acquire()?;
        match self.tries(address, deadline).await {
            Ok(answer) => {
                permit.succeed();
                Ok(answer)
            }
            // Too many lookups here are no fault over there: the permit ends unsettled.
            Err(CallError::Crowded) => Err(CallError::Crowded),
            Err(error) => {
                permit.fail();
                Err(error)
            }
        }
    }

    async fn tries(&self, address: &str, deadline: Instant) -> Result<Option<Point>, CallError> {
        let latest = deadline - SHORTEST_TRY.min(self.settings.total / 4);
        let mut failed: Option<AskError> = None;
        for (tried, backoff) in (1..=TRIES).zip(BACKOFF) {
            if self.pace.turn(latest).await.is_err() {
                break;
            }
            let error = match self.one_try(address, deadline).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let wait = self.wait_after(&error, backoff);
            let over = !error.again || tried == TRIES || Instant::now() + wait >= latest;
            failed = Some(error);
            if over {
                break;
            }
            sleep(wait).await;
        }
        Err(failed.map_or(CallError::Crowded, CallError::Failed))
    }

    async fn one_try(&self, address: &str, deadline: Instant) -> Result<Option<Point>, AskError> {
        let end = deadline.min(Instant::now() + TRY);
        timeout_at(end, self.asked.ask(address))
            .await
            .unwrap_or_else(|_| {
                Err(AskError {
                    reason: "no answer in time".to_owned(),
                    again: true,
                    retry_after: None,
                })
            })
    }

    /// The time before the next try. Who is asked to stay away stays away with all lookups.
    fn wait_after(&self, error: &AskError, backoff: Duration) -> Duration {
        let asked = error.retry_after.unwrap_or_default().min(LONGEST_HOLD);
        if !asked.is_zero() {
            self.pace.hold(Instant::now() + asked);
        }
        let jitter = rand::rng().random_range(0.0..JITTER);
        asked.max(backoff.mul_f64(1.0 + jitter))
    }
}

impl<A: Ask> Geocoder for Remote<A> {
    fn locate<'a>(&'a self, address: &'a str) -> Lookup<'a> {
        Box::pin(async move {
            let key = fold(address);
            if key.is_empty() {
                return Err(GeocodeError::NotFound);
            }
            let deadline = Instant::now() + self.settings.total;
            let call = self.call(address.trim(), deadline);
            match self.answers.try_get_with(key, call).await {
                Ok(Some(place)) => Ok(place),
                Ok(None) => Err(GeocodeError::NotFound),
                Err(error) => {
                    tracing::warn!(%error, "an address cannot be looked up");
                    Err(GeocodeError::Unavailable)
                }
            }
        })
    }
}

/// A call that brought no answer.
#[derive(Debug, thiserror::Error)]
enum CallError {
    #[error(transparent)]
    Open(#[from] breaker::Refused),
    /// The turn would come after the deadline.
    #[error("too many lookups are waiting")]
    Crowded,
    #[error("{0}")]
    Failed(AskError),
}

/// How long an answer is remembered.
struct Remembered(Settings);

impl Expiry<String, Option<Point>> for Remembered {
    fn expire_after_create(
        &self,
        _: &String,
        answer: &Option<Point>,
        _: StdInstant,
    ) -> Option<Duration> {
        Some(match answer {
            Some(_) => self.0.found_for,
            None => self.0.missing_for,
        })
    }
}

#[cfg(test)]
mod tests;

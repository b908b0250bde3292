//! Budgets in tests: run a block, look at the statements that it ran, fail if they are too many.
//!
//! ```
//! # async fn handler() -> u32 { 7 }
//! # async fn test() {
//! use speedwell_trace::{Budget, assert_within};
//!
//! let answer = assert_within!(Budget::new().statements(3), async { handler().await });
//! # let _ = answer;
//! # }
//! ```
//!
//! One global subscriber serves all tests of a process, and each recording has a span of its own.
//! A subscriber per thread (`set_default`) would lose the statements of SQLite, which run on a
//! thread of the driver. [`install`] sets it; a test suite with a subscriber of its own adds
//! [`layer`](fn@layer) to it instead.

use std::{
    collections::HashMap,
    fmt::Write as _,
    future::Future,
    sync::{
        Arc, LazyLock, Mutex, Once, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Poll, Waker},
    time::Duration,
};

use tracing::{Instrument, Subscriber};
use tracing_subscriber::{Layer, layer::SubscriberExt, registry::LookupSpan};

use crate::{
    Budget, Detectors, Observation, Options, Proof, Request, Sink, Thresholds, TraceId,
    detect::wording::{beginning, millis},
    layer::recording_span,
    showable_text,
};

/// Evaluates to the value of a block, and panics if its statements break the budget or show a
/// fault that is likely or proved, with the statements in the message.
///
/// `assert_within!(budget, async { … })` stands in an async function. A block that runs no
/// statement at all fails as well, unless the budget says `statements(0)`.
#[macro_export]
macro_rules! assert_within {
    ($budget:expr, $block:expr $(,)?) => {
        $crate::testing::within($budget, concat!(file!(), ":", line!()), $block).await
    };
}

/// Sets the global subscriber, once per process; further calls do nothing. If the process has one
/// already, that one must hold [`layer`](fn@layer).
pub fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let subscriber = tracing_subscriber::registry().with(layer(Options::new()));
        // An error means that there is one already; `record` finds out whether it serves.
        let _ = tracing::subscriber::set_global_default(subscriber);
    });
}

/// The layer that serves recordings, for a subscriber of your own.
pub fn layer<S>(options: Options) -> impl Layer<S> + Send + Sync
where
    S: Subscriber + for<'lookup> LookupSpan<'lookup>,
{
    crate::layer(options, vec![sink()])
}

/// The sink behind [`layer`](fn@layer), for a subscriber that holds a
/// [`speedwell_trace::layer`](crate::layer()) already: add it to the sinks of that one.
pub fn sink() -> Arc<dyn Sink> {
    Arc::new(Recordings)
}

/// Runs a block and returns its value and the statements that ran in it, as one request. Requests
/// that the block itself made spans for are part of it.
///
/// # Panics
/// If no subscriber with the recording layer is installed, or if a spawned task keeps the
/// recording open for more than five seconds.
pub async fn record<T>(block: impl Future<Output = T>) -> (T, Request) {
    install();
    let recording = Recording::start();
    let span = recording_span("recorded block", recording.trace_id);
    assert!(
        !span.is_disabled(),
        "nothing can be recorded: the global subscriber was set elsewhere and does not hold \
         speedwell_trace::testing::layer(), or filters it; add it there"
    );
    let value = block.instrument(span.clone()).await;
    drop(span);
    let request = recording.finished().await;
    (value, request)
}

/// What [`assert_within!`](crate::assert_within) does: `place` is where the test stands.
///
/// # Panics
/// If the budget is broken, a fault shows, or nothing was observed.
pub async fn within<T>(budget: Budget, place: &str, block: impl Future<Output = T>) -> T {
    static DETECTORS: LazyLock<Detectors> =
        LazyLock::new(|| Detectors::standard(Thresholds::tests()));
    let (value, request) = record(block).await;
    let observation = DETECTORS.inspect(&request, Some(&budget));
    if let Some(report) = complaint(&budget, &request, &observation) {
        panic!("{place}: {report}");
    }
    value
}

/// What is wrong with a recorded block, for a person to read; `None` if nothing is.
pub fn complaint(budget: &Budget, request: &Request, seen: &Observation) -> Option<String> {
    // What the cache answers alone needs no statement; what it loads does.
    let answered_by_cache = !request.cache.is_empty() && request.cache_hits_and_misses().1 == 0;
    if request.statements.is_empty() && !answered_by_cache && budget.statements != Some(0) {
        return Some(
            "observed nothing: the block ran no statement that the layer saw. Statements of a \
             spawned task need `.in_current_span()`; sqlx with `log_statements(Off)` says \
             nothing. If none is right, say so with `Budget::new().statements(0)`."
                .to_owned(),
        );
    }
    let breaches = budget.breaches(request);
    let faults: Vec<_> = seen
        .findings
        .iter()
        .filter(|finding| finding.proof >= Proof::Likely)
        .collect();
    if breaches.is_empty() && faults.is_empty() {
        return None;
    }
    let mut report = String::from("over budget\n");
    for breach in &breaches {
        let _ = writeln!(report, "  {}: {}", breach.limit, breach.sentence);
    }
    for fault in &faults {
        let _ = writeln!(report, "  {}: {}", fault.kind.name(), fault.summary);
        for sentence in &fault.evidence {
            let _ = writeln!(report, "    {sentence}");
        }
        let _ = writeln!(report, "    {}", fault.remedy.replace('\n', "\n      "));
    }
    list_statements(&mut report, request);
    Some(report)
}

/// Statements listed in a report; the rest is counted.
const STATEMENTS_LISTED: usize = 50;

fn list_statements(report: &mut String, request: &Request) {
    let total = request.statements.len() as u64 + request.statements_dropped;
    let _ = writeln!(report, "{total} statements");
    for (number, statement) in request
        .statements
        .iter()
        .take(STATEMENTS_LISTED)
        .enumerate()
    {
        let rows = match (statement.rows_returned, statement.rows_affected) {
            (Some(0) | None, Some(affected)) if affected > 0 => format!("{affected} written"),
            (Some(returned), _) => format!("{returned} rows"),
            (None, _) => "rows unknown".to_owned(),
        };
        let _ = writeln!(
            report,
            "  {:>3}  {:>9}  {:>12}  {}",
            number + 1,
            millis(statement.duration),
            rows,
            beginning(&showable_text(statement), 120)
        );
    }
    if let Some(more) = request.statements.len().checked_sub(STATEMENTS_LISTED + 1) {
        let _ = writeln!(report, "       and {} more", more + 1);
    }
    if !request.cache.is_empty() {
        let (hits, misses) = request.cache_hits_and_misses();
        let changes = request.cache.iter().filter(|each| each.is_change()).count();
        let _ = writeln!(
            report,
            "cache: {hits} hits, {misses} misses, {changes} changes"
        );
    }
}

/// Where finished recordings wait for the test that started them.
static WAITING: LazyLock<Mutex<HashMap<TraceId, Slot>>> = LazyLock::new(Mutex::default);

#[derive(Default)]
struct Slot {
    request: Option<Arc<Request>>,
    waker: Option<Waker>,
}

/// The sink behind every recording.
struct Recordings;

impl Sink for Recordings {
    fn request(&self, request: &Arc<Request>, _: &Observation) {
        let waker = {
            let mut waiting = WAITING.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(slot) = waiting.get_mut(&request.trace_id) else {
                return;
            };
            // A request inside the block may carry the same trace; the block's own closes last.
            slot.request = Some(Arc::clone(request));
            slot.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// One recording from start to end; leaves nothing behind, even when its block panics.
struct Recording {
    trace_id: TraceId,
}

/// A driver's thread may hold the span for a moment after the last row arrived; a forgotten task
/// may hold it for ever.
const PATIENCE: Duration = Duration::from_secs(5);

impl Recording {
    fn start() -> Self {
        let trace_id = TraceId::random();
        WAITING
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(trace_id, Slot::default());
        Self { trace_id }
    }

    fn poll(&self, waker: &Waker) -> Option<Arc<Request>> {
        let mut waiting = WAITING.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = waiting.get_mut(&self.trace_id)?;
        if slot.request.is_none() {
            slot.waker = Some(waker.clone());
        }
        slot.request.take()
    }

    async fn finished(self) -> Request {
        let late = Arc::new(AtomicBool::new(false));
        let mut watched = false;
        let request = std::future::poll_fn(|context| {
            if let Some(request) = self.poll(context.waker()) {
                return Poll::Ready(Some(request));
            }
            if late.load(Ordering::Acquire) {
                return Poll::Ready(None);
            }
            if !watched {
                watched = true;
                wake_after(PATIENCE, context.waker().clone(), Arc::clone(&late));
            }
            Poll::Pending
        })
        .await;
        let Some(request) = request else {
            panic!(
                "the recording did not end within {PATIENCE:?}: either a task that the block \
                 spawned still holds its span, or the global subscriber does not hold \
                 speedwell_trace::testing::layer()"
            );
        };
        Arc::unwrap_or_clone(request)
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        WAITING
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.trace_id);
    }
}

/// The crate has no runtime of its own, so a thread keeps the time.
fn wake_after(time: Duration, waker: Waker, late: Arc<AtomicBool>) {
    std::thread::spawn(move || {
        std::thread::sleep(time);
        late.store(true, Ordering::Release);
        waker.wake();
    });
}

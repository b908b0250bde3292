//! What one load or one write was seen to do.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, Once, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use speedwell_sql::{Dependency, Dialect, Narrow, dependency};
use tokio::{sync::watch, time::timeout};
use tracing::{Level, Span, debug_span, enabled, warn};

use super::layer::{DRIVER_TARGET, WATCH};
use crate::{
    event::TARGET,
    learning::{Dependencies, Tags},
    mutant::{Mutant, Mutation},
};

/// Statements that end after their load are waited for so long: SQLite reports from a thread of its
/// own, some microseconds late. What is left running for longer will not end with the load.
const PATIENCE: Duration = Duration::from_millis(100);

/// A load or a write whose statements are noted.
pub(crate) struct Watch {
    span: Span,
    /// Nothing: statements are not observed at all.
    found: Option<Arc<Found>>,
    is_heard: bool,
}

/// What was noted of it.
#[derive(Debug)]
pub(super) struct Found {
    dialect: Dialect,
    noted: Mutex<Noted>,
    closed: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct Noted {
    statements: u64,
    is_unknown: bool,
    reads: Tags,
    changes: Tags,
}

impl Watch {
    pub(super) fn unobserved(around: &Span) -> Self {
        Self {
            span: around.clone(),
            found: None,
            is_heard: false,
        }
    }

    /// Begins to note what happens inside a span of its own.
    pub(super) fn begin(around: &Span, dialect: Dialect) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let found = Arc::new(Found::new(dialect));
        unclaimed().insert(number, Arc::clone(&found));
        // DEBUG, so that layers which show where a statement comes from pass it over.
        let span = debug_span!(target: TARGET, parent: around.id(), WATCH, watch = number);
        let is_claimed = unclaimed().remove(&number).is_none();
        let is_heard = is_claimed && span.in_scope(nothing_is_hidden);
        if !is_heard {
            complain();
        }
        Self {
            span: if is_claimed { span } else { around.clone() },
            found: Some(found),
            is_heard,
        }
    }

    /// In which the load or the write is to run.
    pub(crate) fn span(&self) -> Span {
        self.span.clone()
    }

    /// All that was noted, when the last statement has ended.
    pub(crate) async fn end(self, mutation: Mutation) -> Dependencies {
        let Some(found) = self.found else {
            return Dependencies::AsGiven;
        };
        // It closes when nobody holds it any more: no task, and no statement under way.
        drop(self.span);
        if mutation.is(Mutant::NotWaitForStatements) {
            return found.all();
        }
        let mut closed = found.closed.subscribe();
        let all = timeout(PATIENCE, closed.wait_for(|closed| *closed)).await;
        match self.is_heard && matches!(all, Ok(Ok(_))) {
            true => found.all(),
            false => Dependencies::Unknown,
        }
    }
}

impl Found {
    fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            noted: Mutex::default(),
            closed: watch::Sender::new(false),
        }
    }

    pub(super) fn statement(&self, text: &str) {
        let dependency = dependency(text, self.dialect, &[], &Narrow::none());
        let mut noted = self.noted();
        noted.statements += 1;
        match dependency {
            Dependency::Known { reads, changes } => {
                let tag = |tag: speedwell_sql::Tag| tag.to_string().into_bytes();
                noted.reads.extend(reads.into_iter().map(tag));
                noted.changes.extend(changes.into_iter().map(tag));
            }
            Dependency::Unknown => noted.is_unknown = true,
        }
    }

    /// What a cache answers depends on more than statements show.
    pub(super) fn uses_a_cache(&self) {
        self.noted().is_unknown = true;
    }

    pub(super) fn close(&self) {
        self.closed.send_replace(true);
    }

    fn all(&self) -> Dependencies {
        let noted = self.noted();
        // To have seen nothing is no proof that there was nothing.
        if noted.is_unknown || noted.statements == 0 {
            return Dependencies::Unknown;
        }
        Dependencies::Known {
            reads: noted.reads.clone(),
            changes: noted.changes.clone(),
        }
    }

    fn noted(&self) -> MutexGuard<'_, Noted> {
        // Nothing panics while it is held half-changed.
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What waits for the layer to see its span, by the number that the span carries.
fn unclaimed() -> MutexGuard<'static, BTreeMap<u64, Arc<Found>>> {
    static UNCLAIMED: Mutex<BTreeMap<u64, Arc<Found>>> = Mutex::new(BTreeMap::new());
    UNCLAIMED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes what the span of this number is to note into.
pub(super) fn claim(number: u64) -> Option<Arc<Found>> {
    unclaimed().remove(&number)
}

/// Whether a filter in front of the layer lets statements through, and uses of a cache.
fn nothing_is_hidden() -> bool {
    enabled!(target: DRIVER_TARGET, Level::DEBUG) && enabled!(target: TARGET, Level::DEBUG)
}

fn complain() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        warn!(
            target: TARGET,
            "statements are to be observed and cannot be: install `speedwell_cache::statements::layer()` \
             and let no filter in front of it hide `sqlx::query` at DEBUG; until then nothing is kept, \
             and each write invalidates everything"
        );
    });
}

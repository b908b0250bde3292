//! Spans waiting for the rest of their trace, within bounds.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use speedwell_trace::{Request, SpanId, TraceId};
use tokio::time::Instant;

use crate::{
    Counters, Limits,
    assemble::{Assembled, Dropped, assemble},
    span::{Role, Span},
};

/// Traces by id, and the order in which they began to arrive.
pub(crate) struct Store {
    limits: Limits,
    traces: HashMap<TraceId, Trace>,
    order: BTreeMap<u64, TraceId>,
    begun: u64,
    spans: usize,
    /// Bytes of texts that the spans hold.
    text: usize,
    /// Traces handed out not long ago.
    done: HashSet<TraceId>,
    done_order: VecDeque<TraceId>,
    /// Requests of a trace of which one was handed out already.
    ready: VecDeque<Request>,
    next_sweep: Option<Instant>,
    pub(crate) counters: Counters,
}

struct Trace {
    number: u64,
    first: Instant,
    /// Arrival of the newest request.
    rooted: Option<Instant>,
    spans: HashMap<SpanId, Span>,
    /// Bytes of texts that the spans hold.
    text: usize,
    /// Requests among the spans.
    roots: usize,
    /// What was not kept.
    dropped: Dropped,
    /// Whether the trace was handed out before.
    late: bool,
}

impl Store {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            traces: HashMap::new(),
            order: BTreeMap::new(),
            begun: 0,
            spans: 0,
            text: 0,
            done: HashSet::new(),
            done_order: VecDeque::new(),
            ready: VecDeque::new(),
            next_sweep: None,
            counters: Counters::default(),
        }
    }

    /// Takes in one span. Says whether it is a request.
    pub(crate) fn add(&mut self, span: Span, now: Instant) -> bool {
        self.sweep(now);
        let is_root = matches!(span.role, Role::Request(_));
        let id = span.trace;
        if !self.traces.contains_key(&id) {
            self.begin(id, now);
        }
        let Some(trace) = self.traces.get_mut(&id) else {
            return false;
        };
        if trace.spans.contains_key(&span.id) {
            self.counters.ignored += 1;
            return false;
        }
        // Requests have a bound of their own: without them all other spans are worthless.
        let (kept, limit) = (
            trace.spans.len() - trace.roots,
            self.limits.max_spans_per_trace,
        );
        let full = if is_root {
            trace.roots >= limit
        } else {
            kept >= limit
        };
        if full || trace.text + span.text > self.limits.max_text {
            self.counters.dropped += 1;
            trace.dropped.statements += u64::from(matches!(span.role, Role::Statement(_)));
            trace.dropped.cache += u64::from(matches!(span.role, Role::Cache(_)));
            return false;
        }
        if is_root {
            trace.rooted = Some(now);
            trace.roots += 1;
        }
        trace.text += span.text;
        self.text += span.text;
        self.spans += 1;
        trace.spans.insert(span.id, span);
        self.make_room(id);
        is_root
    }

    fn begin(&mut self, id: TraceId, now: Instant) {
        self.order.insert(self.begun, id);
        let trace = Trace {
            number: self.begun,
            first: now,
            rooted: None,
            spans: HashMap::new(),
            text: 0,
            roots: 0,
            dropped: Dropped::default(),
            late: self.done.contains(&id),
        };
        self.begun += 1;
        self.traces.insert(id, trace);
    }

    /// Lets the oldest traces go until the rest fits; never the one that is growing now.
    fn make_room(&mut self, keep: TraceId) {
        while self.traces.len() > self.limits.max_traces.max(1)
            || self.spans > self.limits.max_spans
            || self.text > self.limits.max_text
        {
            let Some(oldest) = self.order.values().find(|id| **id != keep).copied() else {
                return;
            };
            self.remove(oldest);
            self.counters.evicted += 1;
        }
    }

    fn remove(&mut self, id: TraceId) -> Option<Trace> {
        let trace = self.traces.remove(&id)?;
        self.order.remove(&trace.number);
        self.spans -= trace.spans.len();
        self.text -= trace.text;
        Some(trace)
    }

    /// Lets go of traces that no request came for. Looks at all of them, so not at each span.
    fn sweep(&mut self, now: Instant) {
        let age = self.limits.orphan_age;
        if self.next_sweep.is_some_and(|next| now < next) {
            return;
        }
        self.next_sweep = Some(now + age / 8);
        let old = |trace: &&Trace| trace.rooted.is_none() && now >= trace.first + age;
        let numbers: Vec<u64> = self
            .traces
            .values()
            .filter(old)
            .map(|trace| trace.number)
            .collect();
        for number in numbers {
            let Some(trace) = self
                .order
                .get(&number)
                .copied()
                .and_then(|id| self.remove(id))
            else {
                continue;
            };
            let (late, orphaned) = trace.leftovers();
            self.counters.late += late;
            self.counters.orphaned += orphaned;
        }
    }

    /// What was counted, what is waiting in vain included.
    pub(crate) fn counters(&mut self, now: Instant) -> Counters {
        self.next_sweep = None;
        self.sweep(now);
        let waiting = self.traces.values().filter(|trace| trace.rooted.is_none());
        let late: u64 = waiting.map(|trace| trace.leftovers().0).sum();
        Counters {
            late: self.counters.late + late,
            ..self.counters
        }
    }

    /// When the requests of a trace will be complete; `None` while there is none.
    pub(crate) fn complete_at(&self, id: TraceId) -> Option<Instant> {
        Some(self.traces.get(&id)?.rooted? + self.limits.grace)
    }

    /// The trace that is complete first, and when.
    fn first_complete(&self) -> Option<(Instant, TraceId)> {
        let complete = |(id, trace): (&TraceId, &Trace)| Some((trace.rooted?, trace.number, *id));
        let (rooted, _, id) = self.traces.iter().filter_map(complete).min()?;
        Some((rooted + self.limits.grace, id))
    }

    /// The next complete request, or when there will be one.
    pub(crate) fn next(&mut self, now: Instant) -> Result<Request, Option<Instant>> {
        loop {
            if let Some(request) = self.ready.pop_front() {
                return Ok(request);
            }
            match self.first_complete() {
                Some((at, id)) if at <= now => {
                    let requests = self.take(id);
                    self.ready.extend(requests);
                }
                Some((at, _)) => return Err(Some(at)),
                None => return Err(None),
            }
        }
    }

    /// The requests of a trace, which is then done. Empty if it has none.
    pub(crate) fn take(&mut self, id: TraceId) -> Vec<Request> {
        if self.complete_at(id).is_none() {
            return Vec::new();
        }
        let Some(trace) = self.remove(id) else {
            return Vec::new();
        };
        let Assembled { requests, orphaned } = assemble(id, &trace.spans, trace.dropped);
        self.counters.orphaned += orphaned;
        self.counters.requests += requests.len() as u64;
        if self.done.insert(id) {
            self.done_order.push_back(id);
        }
        if self.done_order.len() > self.limits.max_traces
            && let Some(old) = self.done_order.pop_front()
        {
            self.done.remove(&old);
        }
        requests
    }
}

impl Trace {
    /// What is lost when no request comes: (late spans, orphaned statements).
    fn leftovers(&self) -> (u64, u64) {
        if self.late {
            return (self.spans.len() as u64, 0);
        }
        let statements = self
            .spans
            .values()
            .filter(|span| matches!(span.role, Role::Statement(_)));
        (0, statements.count() as u64)
    }
}

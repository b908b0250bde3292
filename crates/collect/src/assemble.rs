//! The spans of one trace, put together into requests.

use std::{
    collections::HashMap,
    time::{Duration, UNIX_EPOCH},
};

use speedwell_trace::{CacheOperation, Request, Site, Source, SpanId, Statement, TraceId, Values};

use crate::span::{CachePart, RequestPart, Role, Span, StatementPart};

/// What comes of one trace.
pub(crate) struct Assembled {
    /// In order of their start.
    pub(crate) requests: Vec<Request>,
    /// Statements below no request.
    pub(crate) orphaned: u64,
}

/// What a trace lost because it was too large.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Dropped {
    pub(crate) statements: u64,
    pub(crate) cache: u64,
}

/// The requests of a trace, each with the statements and the uses of the cache below it. The order
/// in which the spans came does not matter. `dropped`: what was not kept.
pub(crate) fn assemble(
    trace: TraceId,
    spans: &HashMap<SpanId, Span>,
    dropped: Dropped,
) -> Assembled {
    let tree = Tree { spans };
    let mut below: HashMap<SpanId, Vec<Ran<'_>>> = HashMap::new();
    let mut cache: HashMap<SpanId, Vec<(&Span, &CachePart)>> = HashMap::new();
    let mut roots: Vec<(&Span, &RequestPart)> = Vec::new();
    let mut orphaned = 0;
    let mut known = HashMap::new();
    for span in in_order(spans) {
        match &span.role {
            Role::Request(part) => roots.push((span, part.as_ref())),
            Role::Statement(part) => match tree.root_of(span, &mut known) {
                Some(root) => below.entry(root).or_default().push(Ran {
                    span,
                    part: part.as_ref(),
                }),
                None => orphaned += 1,
            },
            // Without a request it is a refresh in the background, and nobody misses it.
            Role::Cache(part) => {
                if let Some(root) = tree.root_of(span, &mut known) {
                    cache.entry(root).or_default().push((span, part.as_ref()));
                }
            }
            Role::Between(_) | Role::Link => {}
        }
    }
    let requests = roots
        .into_iter()
        .enumerate()
        .map(|(position, (span, part))| {
            let ran = below.remove(&span.id).unwrap_or_default();
            let cached = cache.remove(&span.id).unwrap_or_default();
            // Nobody knows whose they were; said once, with the first.
            let dropped = match position {
                0 => dropped,
                _ => Dropped::default(),
            };
            Request {
                trace_id: trace,
                span_id: span.id,
                parent_span_id: span.parent,
                route: part.route.clone(),
                path: part.path.clone(),
                status: part.status,
                started: UNIX_EPOCH + Duration::from_nanos(span.start),
                duration: Duration::from_nanos(span.end - span.start),
                statements: one_per_statement(ran)
                    .into_iter()
                    .map(|group| statement(&tree, span, &group))
                    .collect(),
                statements_dropped: part.dropped.saturating_add(dropped.statements),
                cache: cached
                    .into_iter()
                    .map(|(at, part)| operation(&tree, span, at, part))
                    .collect(),
                cache_dropped: part.cache_dropped.saturating_add(dropped.cache),
                rows_answered: None,
                attributes: Vec::new(),
                source: Source::Otlp,
            }
        });
    Assembled {
        requests: requests.collect(),
        orphaned,
    }
}

fn in_order(spans: &HashMap<SpanId, Span>) -> Vec<&Span> {
    let mut spans: Vec<&Span> = spans.values().collect();
    spans.sort_unstable_by_key(|span| (span.start, span.end, span.id));
    spans
}

struct Tree<'a> {
    spans: &'a HashMap<SpanId, Span>,
}

impl<'a> Tree<'a> {
    fn parent(&self, span: &Span) -> Option<&'a Span> {
        self.spans.get(&span.parent?)
    }

    /// The request that a span runs in. Remembers what it finds on the way, so that a long chain
    /// is walked once; spans that are their own ancestors run in none.
    fn root_of(
        &self,
        span: &'a Span,
        known: &mut HashMap<SpanId, Option<SpanId>>,
    ) -> Option<SpanId> {
        let mut walked = Vec::new();
        let mut at = Some(span);
        let root = loop {
            let Some(span) = at else { break None };
            if matches!(span.role, Role::Request(_)) {
                break Some(span.id);
            }
            if let Some(&found) = known.get(&span.id) {
                break found;
            }
            // Until the end of the walk it runs in none: a ring ends here.
            known.insert(span.id, None);
            walked.push(span.id);
            at = self.parent(span);
        };
        known.extend(walked.into_iter().map(|id| (id, root)));
        root
    }

    /// The nearest code around a span, below its request. Instrumentations nest a statement a few
    /// spans deep; a chain longer than this names nothing useful.
    fn site_around(&self, span: &'a Span) -> Option<Site> {
        let ancestors = std::iter::successors(self.parent(span), |span| self.parent(span));
        ancestors.take(64).find_map(|span| match &span.role {
            Role::Between(site) => Some(Some(site.clone())),
            Role::Request(_) => Some(None),
            Role::Statement(_) | Role::Cache(_) | Role::Link => None,
        })?
    }
}

/// The use of the cache that a span tells of.
fn operation(tree: &Tree<'_>, root: &Span, span: &Span, part: &CachePart) -> CacheOperation {
    CacheOperation {
        cache: part.cache.clone(),
        action: part.action.clone(),
        offset: Duration::from_nanos(span.start.saturating_sub(root.start)),
        duration: Duration::from_nanos(span.end - span.start),
        site: part.site.clone().or_else(|| tree.site_around(span)),
    }
}

/// One span of a statement.
#[derive(Clone, Copy)]
struct Ran<'a> {
    span: &'a Span,
    part: &'a StatementPart,
}

impl Ran<'_> {
    /// Whether both tell of one execution: an ORM's span and its driver's, side by side or one in
    /// the other, of one text and at one time. One instrumentation never tells twice.
    fn is_same_execution(&self, other: &Ran<'_>) -> bool {
        let related = self.span.parent == other.span.parent
            || self.span.parent == Some(other.span.id)
            || other.span.parent == Some(self.span.id);
        related
            && self.part.scope != other.part.scope
            && self.part.digest.text == other.part.digest.text
            && self.span.start <= other.span.end
            && other.span.start <= self.span.end
    }
}

/// The spans of each execution, in order of start. `ran` must be in order of start.
fn one_per_statement(ran: Vec<Ran<'_>>) -> Vec<Vec<Ran<'_>>> {
    let mut groups: Vec<Vec<Ran<'_>>> = Vec::with_capacity(ran.len());
    // Groups that a later span of the same text may still belong to.
    let mut open: HashMap<&str, Vec<usize>> = HashMap::new();
    for ran in ran {
        let candidates = open.entry(&ran.part.digest.text).or_default();
        candidates.retain(|&at| {
            groups[at]
                .iter()
                .all(|other| other.span.end >= ran.span.start)
        });
        let group = candidates
            .iter()
            .copied()
            .find(|&at| groups[at].iter().all(|other| other.is_same_execution(&ran)));
        match group {
            Some(at) => groups[at].push(ran),
            None => {
                candidates.push(groups.len());
                groups.push(vec![ran]);
            }
        }
    }
    groups
}

/// The statement that the spans of one execution tell of. The innermost span is the driver's and
/// has the truest times; each of them may know something that the others do not.
fn statement(tree: &Tree<'_>, root: &Span, group: &[Ran<'_>]) -> Statement {
    let by_length = |ran: &&Ran<'_>| (ran.span.end - ran.span.start, ran.span.id);
    let (Some(inner), Some(outer)) = (
        group.iter().min_by_key(by_length),
        group.iter().max_by_key(by_length),
    ) else {
        unreachable!("groups are made with one span in them");
    };
    let part = inner.part;
    let values = group.iter().map(|ran| &ran.part.values);
    Statement {
        text: part.digest.text.clone(),
        fingerprint: part.digest.fingerprint,
        dialect: part.dialect,
        offset: Duration::from_nanos(inner.span.start.saturating_sub(root.start)),
        duration: Duration::from_nanos(inner.span.end - inner.span.start),
        rows_returned: group.iter().find_map(|ran| ran.part.rows_returned),
        rows_affected: group.iter().find_map(|ran| ran.part.rows_affected),
        values: values
            .clone()
            .find(|values| matches!(values, Values::Hashed(_)))
            .unwrap_or(&part.values)
            .clone(),
        site: group
            .iter()
            .find_map(|ran| ran.part.site.clone())
            .or_else(|| tree.site_around(outer.span)),
        parent: outer.span.parent,
        failed: group.iter().any(|ran| ran.part.failed),
    }
}

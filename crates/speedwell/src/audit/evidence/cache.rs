//! Writes that leave old values in the cache: what one route caches, another changes without a word.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use speedwell_sql::{Kind, Shape, shape};
use speedwell_trace::{
    CacheAction, CacheOperation, Cost, Finding, FindingId, FindingKind, Proof, ReadOutcome,
    Request, Statement,
};

use super::Weighing;
use crate::audit::probe::Probe;

impl Weighing<'_> {
    /// Reports the writes to a table that cached values are made of, in requests that tell the cache
    /// nothing.
    pub(super) fn find_uncached_writes(&mut self) {
        let probes = || self.scales.iter().flat_map(|at| &at.probes);
        let cached = cached_tables(probes());
        if cached.is_empty() {
            return;
        }
        let mut found: BTreeMap<(&str, &str), Finding> = BTreeMap::new();
        for probe in probes() {
            let requests = probe.samples.iter().map(|sample| &sample.request);
            for request in requests.filter(|request| is_silent(request)) {
                for (statement, shape) in writes(request) {
                    for (table, readers) in read_elsewhere(&cached, &shape, &probe.name) {
                        found
                            .entry((&probe.name, table))
                            .or_insert_with(|| report(request, statement, table, &readers));
                    }
                }
            }
        }
        let found: Vec<(String, Finding)> = found
            .into_iter()
            .map(|((name, _), finding)| (name.to_owned(), finding))
            .collect();
        for (name, finding) in found {
            self.add(&name, finding, None);
        }
    }
}

/// The groups of cached values that are made of a table, and the routes that read them.
type Cached<'a> = BTreeMap<String, BTreeMap<Group<'a>, BTreeSet<&'a str>>>;

/// Name of the cache, group of the keys.
type Group<'a> = (&'a str, &'a str);

/// Which tables are read while the cache loads a value.
fn cached_tables<'a>(probes: impl Iterator<Item = &'a Probe>) -> Cached<'a> {
    let mut cached = Cached::new();
    for probe in probes {
        // Most values are loaded once, by the request that found the cache empty.
        for request in probe.requests() {
            for (load, group) in request.cache.iter().filter_map(load) {
                let read = request
                    .statements
                    .iter()
                    .filter(|each| is_within(each, load));
                for shape in read.map(|each| shape(&each.text, each.dialect)) {
                    if shape.kind != Kind::Select {
                        continue;
                    }
                    for table in shape.tables {
                        let groups = cached.entry(table.name).or_default();
                        groups.entry(group).or_default().insert(&probe.name);
                    }
                }
            }
        }
    }
    cached
}

fn load(operation: &CacheOperation) -> Option<(&CacheOperation, Group<'_>)> {
    match &operation.action {
        CacheAction::Read {
            group,
            outcome: ReadOutcome::Load,
            ..
        } => Some((operation, (&operation.cache, group))),
        CacheAction::Read { .. } | CacheAction::Change { .. } => None,
    }
}

/// Both times are taken when the event arrives, and that of the cache is cut to microseconds.
const CLOCK_SLACK: Duration = Duration::from_micros(20);

/// Whether a statement ran while the cache loaded.
fn is_within(statement: &Statement, load: &CacheOperation) -> bool {
    let ended = statement.offset.saturating_add(statement.duration);
    load.offset <= statement.offset.saturating_add(CLOCK_SLACK)
        && ended <= load.end().saturating_add(CLOCK_SLACK)
}

/// Whether a request tells the cache nothing, as far as can be seen. One that failed has rolled its
/// writes back.
fn is_silent(request: &Request) -> bool {
    let failed = request.status.is_some_and(|status| status >= 400);
    let told = request.cache.iter().any(CacheOperation::is_change);
    !failed && !told && request.cache_dropped == 0
}

/// The statements that changed something.
fn writes(request: &Request) -> impl Iterator<Item = (&Statement, Shape)> {
    let in_vain = |each: &Statement| {
        each.failed || each.rows_affected == Some(0) && each.rows_returned.unwrap_or(0) == 0
    };
    request
        .statements
        .iter()
        .filter(move |each| !in_vain(each))
        .map(|each| (each, shape(&each.text, each.dialect)))
        .filter(|(_, shape)| shape.tables.iter().any(|table| table.written))
}

/// Who caches what a write changes.
struct Readers<'a> {
    groups: BTreeSet<Group<'a>>,
    routes: BTreeSet<&'a str>,
}

/// The tables that a statement writes and that another route than `writer` caches.
fn read_elsewhere<'c, 'a>(
    cached: &'c Cached<'a>,
    shape: &Shape,
    writer: &str,
) -> Vec<(&'c str, Readers<'a>)> {
    let written = shape.tables.iter().filter(|table| table.written);
    written
        .filter_map(|table| cached.get_key_value(&table.name))
        .filter_map(|(table, groups)| {
            let mut readers = Readers {
                groups: BTreeSet::new(),
                routes: BTreeSet::new(),
            };
            for (group, routes) in groups {
                let others: Vec<&str> = routes.iter().copied().filter(|at| *at != writer).collect();
                if !others.is_empty() {
                    readers.groups.insert(*group);
                    readers.routes.extend(others);
                }
            }
            (!readers.routes.is_empty()).then_some((table.as_str(), readers))
        })
        .collect()
}

fn report(request: &Request, statement: &Statement, table: &str, readers: &Readers<'_>) -> Finding {
    let kind = FindingKind::UncachedWrite;
    let route = request.route.clone();
    let function = statement.site.as_ref().map(|site| &*site.function);
    let groups: Vec<String> = readers
        .groups
        .iter()
        .map(|(cache, group)| format!("{cache}/{group}"))
        .collect();
    let tags: BTreeSet<&str> = readers.groups.iter().map(|(_, group)| *group).collect();
    let routes: Vec<String> = readers
        .routes
        .iter()
        .map(|name| format!("`{name}`"))
        .collect();
    Finding {
        id: FindingId::new(kind, &route, statement.fingerprint, function),
        kind,
        route,
        fingerprint: statement.fingerprint,
        statement: statement.text.clone(),
        parent: None,
        site: statement.site.clone(),
        // Values of other rows may be all that is cached, and an old value may be meant.
        proof: Proof::Likely,
        count: 1,
        cost: Cost::default(),
        summary: format!(
            "This write to {table} invalidates nothing, and {} is cached from {table}.",
            listed(&groups)
        ),
        evidence: vec![
            format!(
                "{} read {table} while the cache loaded {}.",
                listed(&routes),
                listed(&groups)
            ),
            "The request that writes changed nothing in the cache: readers may get the old value \
             until it expires."
                .to_owned(),
        ],
        remedy: format!(
            "Wrap the transaction in `cache.write` with the tag of {}, so that readers load anew \
             once it is committed.",
            listed(&tags.iter().map(|tag| (*tag).to_owned()).collect::<Vec<_>>())
        ),
    }
}

/// `a`, `a and b`, `a, b and c`.
fn listed(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use speedwell_sql::{Dialect, fingerprint};
    use speedwell_trace::{CacheChange, ChangeOutcome, FindingKind, Route};

    use super::{
        super::{
            sample::{at, probe, ran},
            tests::audited,
            weigh,
        },
        *,
    };

    const MS: Duration = Duration::from_millis(1);
    const READ: &str = "SELECT id, name FROM deals WHERE id = $1";
    const WRITE: &str = "UPDATE deals SET name = $1 WHERE id = $2";

    fn cache(action: CacheAction) -> CacheOperation {
        CacheOperation {
            cache: "deals".into(),
            action,
            offset: MS,
            duration: MS * 3,
            site: None,
        }
    }

    fn read(outcome: ReadOutcome) -> CacheOperation {
        cache(CacheAction::Read {
            group: "share".into(),
            key_hash: 7,
            outcome,
        })
    }

    fn told() -> CacheOperation {
        cache(CacheAction::Change {
            change: CacheChange::Write,
            names: 1,
            outcome: ChangeOutcome::Told,
        })
    }

    fn execution(text: &str, dialect: Dialect, offset: Duration) -> Statement {
        Statement {
            dialect,
            fingerprint: fingerprint(text, dialect),
            offset,
            rows_affected: Some(1),
            ..ran(text, 0, MS)
        }
    }

    /// A route of this name that runs one statement and uses the cache once.
    fn route(name: &str, statement: Statement, cache: Option<CacheOperation>) -> Probe {
        let mut probe = probe(1000, None, "/", &[statement]);
        probe.name = name.to_owned();
        for sample in &mut probe.samples {
            sample.request.route = Route::new("ANY", &format!("/{name}"));
            sample.request.cache = cache.clone().into_iter().collect();
        }
        probe
    }

    fn found(probes: Vec<Probe>) -> Vec<(String, Finding)> {
        let evidence = weigh(&audited(), &[at(1000, probes)], true);
        let findings = evidence.findings.into_iter();
        findings
            .filter(|each| each.finding.kind == FindingKind::UncachedWrite)
            .map(|each| (each.name, each.finding))
            .collect()
    }

    fn pair(
        dialect: Dialect,
        loaded: Option<CacheOperation>,
        changed: Option<CacheOperation>,
    ) -> Vec<Probe> {
        vec![
            route("show", execution(READ, dialect, MS * 2), loaded),
            route("rename", execution(WRITE, dialect, MS * 2), changed),
        ]
    }

    #[test]
    fn a_write_to_what_another_route_caches_is_reported_on_both_databases() {
        for dialect in [Dialect::Sqlite, Dialect::Postgres] {
            let found = found(pair(dialect, Some(read(ReadOutcome::Load)), None));
            let [(name, finding)] = found.as_slice() else {
                panic!("{found:#?}")
            };
            assert_eq!((name.as_str(), finding.proof), ("rename", Proof::Likely));
            assert_eq!(&*finding.statement, WRITE);
            assert_eq!(
                finding.summary,
                "This write to deals invalidates nothing, and deals/share is cached from deals."
            );
            assert_eq!(
                finding.evidence[0],
                "`show` read deals while the cache loaded deals/share."
            );
            assert!(
                finding
                    .remedy
                    .contains("`cache.write` with the tag of share")
            );
        }
    }

    #[test]
    fn what_only_the_first_request_loaded_is_cached() {
        let mut show = route(
            "show",
            execution(READ, Dialect::Sqlite, MS * 2),
            Some(read(ReadOutcome::Load)),
        );
        show.cold = vec![show.samples[0].request.clone()];
        for sample in &mut show.samples {
            sample.request.statements.clear();
            sample.request.cache = vec![read(ReadOutcome::Memory)];
        }
        let rename = route("rename", execution(WRITE, Dialect::Sqlite, MS * 2), None);
        assert_eq!(found(vec![show, rename]).len(), 1);
    }

    #[test]
    fn a_write_that_tells_the_cache_is_none() {
        let loaded = || Some(read(ReadOutcome::Load));
        assert!(found(pair(Dialect::Sqlite, loaded(), Some(told()))).is_empty());
        // A read of the cache is no word to it.
        let hit = Some(read(ReadOutcome::Memory));
        assert_eq!(found(pair(Dialect::Sqlite, loaded(), hit)).len(), 1);
    }

    #[test]
    fn what_is_read_beside_a_load_or_without_one_is_not_cached() {
        assert!(found(pair(Dialect::Sqlite, Some(read(ReadOutcome::Redis)), None)).is_empty());
        assert!(found(pair(Dialect::Sqlite, None, None)).is_empty());
        let after = execution(READ, Dialect::Sqlite, MS * 10);
        let beside = vec![
            route("show", after, Some(read(ReadOutcome::Load))),
            route("rename", execution(WRITE, Dialect::Sqlite, MS), None),
        ];
        assert!(found(beside).is_empty());
    }

    #[test]
    fn a_write_to_another_table_in_vain_or_rolled_back_is_none() {
        let show = || {
            let select = execution(READ, Dialect::Sqlite, MS * 2);
            route("show", select, Some(read(ReadOutcome::Load)))
        };
        let elsewhere = execution("DELETE FROM logs WHERE id = $1", Dialect::Sqlite, MS);
        assert!(found(vec![show(), route("purge", elsewhere, None)]).is_empty());
        let mut vain = execution(WRITE, Dialect::Sqlite, MS);
        vain.rows_affected = Some(0);
        assert!(found(vec![show(), route("rename", vain, None)]).is_empty());
        let mut refused = route("rename", execution(WRITE, Dialect::Sqlite, MS), None);
        for sample in &mut refused.samples {
            sample.request.status = Some(409);
        }
        assert!(found(vec![show(), refused]).is_empty());
    }

    #[test]
    fn a_route_that_writes_what_only_it_caches_is_none() {
        let loaded = || Some(read(ReadOutcome::Load));
        let mut alone = route("show", execution(READ, Dialect::Sqlite, MS * 2), loaded());
        for sample in &mut alone.samples {
            let count = execution(
                "UPDATE deals SET seen = seen + 1 WHERE id = $1",
                Dialect::Sqlite,
                MS * 5,
            );
            sample.request.statements.push(count);
        }
        assert!(found(vec![alone]).is_empty());
    }
}

//! Stampede: several readers load one value into the cache at the same time.
//!
//! One request cannot show it, so this is a memory of the loads of many requests. A cache that
//! lets one reader load and the others wait (single flight) never shows up here.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::wording::{millis, number};
use crate::{
    CacheAction, CacheOperation, Cost, Finding, FindingId, FindingKind, Observation, Proof,
    ReadOutcome, Request,
    cache::{group_fingerprint, group_text},
};

/// Loads of late, by key, within bounds.
#[derive(Debug)]
pub(crate) struct Stampedes {
    /// Loads at one time that are too many.
    needed: usize,
    keys: Mutex<HashMap<(Arc<str>, u64), Loads>>,
}

/// Keys watched at a time. A service has few that are missed again and again; one that misses
/// other keys each time shows no stampede, and must not fill memory.
const KEYS_WATCHED: usize = 1_024;

/// Loads remembered per key beyond those needed: requests end in another order than their loads.
const LOADS_SPARE: usize = 13;

/// A stampede goes on for as long as the value is slow to load; it is reported once in this time.
const WINDOW: Duration = Duration::from_secs(60);

/// The loads of one key.
#[derive(Debug, Default)]
struct Loads {
    recent: VecDeque<Load>,
    reported: Option<Instant>,
}

#[derive(Debug, Clone, Copy)]
struct Load {
    began: Instant,
    ended: Instant,
}

impl Stampedes {
    /// `needed`: loads at one time that are reported.
    pub(crate) fn new(needed: u64) -> Self {
        Self {
            // One load is none; more than this is not remembered.
            needed: usize::try_from(needed).unwrap_or(usize::MAX).clamp(2, 256),
            keys: Mutex::default(),
        }
    }

    /// Those among requests of which only the time of day is known.
    pub(crate) fn among<'a>(
        &self,
        requests: impl IntoIterator<Item = &'a Request>,
    ) -> Vec<Finding> {
        let mut requests: Vec<&Request> = requests.into_iter().collect();
        requests.sort_by_key(|request| request.started);
        let Some(first) = requests.first().map(|request| request.started) else {
            return Vec::new();
        };
        let (origin, mut out) = (Instant::now(), Observation::default());
        for request in requests {
            let later = request.started.duration_since(first).unwrap_or_default();
            if let Some(began) = origin.checked_add(later) {
                self.inspect(request, began, &mut out);
            }
        }
        out.findings
    }

    /// Notes the loads of a request that began at `began` and is finished, and adds a finding for
    /// each stampede that one of them completes.
    pub(crate) fn inspect(&self, request: &Request, began: Instant, out: &mut Observation) {
        let mut loads = request.cache.iter().filter_map(load).peekable();
        // Most requests load nothing: they take no lock.
        if loads.peek().is_none() {
            return;
        }
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        for (operation, group, key_hash) in loads {
            let at = |offset| began.checked_add(offset);
            let (Some(began), Some(ended)) = (at(operation.offset), at(operation.end())) else {
                continue;
            };
            let load = Load { began, ended };
            let key = (Arc::clone(&operation.cache), key_hash);
            make_room(&mut keys, &key, ended);
            let known = keys.entry(key).or_default();
            known.note(load, self.needed + LOADS_SPARE);
            let at_once = known.at_once(load);
            let fresh = known
                .reported
                .is_none_or(|reported| ended.saturating_duration_since(reported) >= WINDOW);
            if at_once >= self.needed && fresh {
                known.reported = Some(ended);
                let finding = report(request, operation, group, at_once as u64);
                // Several keys of one group are one fault of this request.
                if out.findings.iter().all(|other| other.id != finding.id) {
                    out.findings.push(finding);
                }
            }
        }
    }
}

/// The operation if it is a load, with the group and the hash of its key.
fn load(operation: &CacheOperation) -> Option<(&CacheOperation, &str, u64)> {
    match &operation.action {
        CacheAction::Read {
            group,
            key_hash,
            outcome: ReadOutcome::Load,
        } => Some((operation, group, *key_hash)),
        CacheAction::Read { .. } | CacheAction::Change { .. } => None,
    }
}

/// Forgets keys until one more fits: first those that were not loaded of late, then all.
fn make_room(keys: &mut HashMap<(Arc<str>, u64), Loads>, wanted: &(Arc<str>, u64), now: Instant) {
    if keys.len() < KEYS_WATCHED || keys.contains_key(wanted) {
        return;
    }
    keys.retain(|_, loads| {
        (loads.recent.back()).is_some_and(|load| now.saturating_duration_since(load.ended) < WINDOW)
    });
    if keys.len() >= KEYS_WATCHED {
        keys.clear();
    }
}

impl Loads {
    fn note(&mut self, load: Load, kept: usize) {
        if self.recent.len() >= kept {
            self.recent.pop_front();
        }
        self.recent.push_back(load);
    }

    /// The most loads that ran at one moment of `load`, itself included.
    fn at_once(&self, load: Load) -> usize {
        let beside = |other: &&Load| other.began < load.ended && load.began < other.ended;
        let moments = self.recent.iter().filter(beside);
        moments
            .map(|other| other.began.max(load.began))
            .map(|moment| {
                let runs = |each: &&Load| each.began <= moment && moment < each.ended;
                self.recent.iter().filter(runs).count()
            })
            .max()
            .unwrap_or(1)
    }
}

fn report(request: &Request, operation: &CacheOperation, group: &str, at_once: u64) -> Finding {
    let kind = FindingKind::Stampede;
    let fingerprint = group_fingerprint(&operation.cache, group);
    let route = request.route.clone();
    let site = operation.site.clone();
    let function = site.as_ref().map(|site| &*site.function);
    Finding {
        id: FindingId::new(kind, &route, fingerprint, function),
        kind,
        route,
        fingerprint,
        statement: group_text(&operation.cache, group),
        parent: None,
        site,
        // A load that was begun anew, because its value was thrown out meanwhile, looks alike.
        proof: Proof::Likely,
        count: at_once,
        cost: Cost {
            statements: 0,
            rows: 0,
            time: operation.duration,
        },
        summary: format!(
            "{} loads of one value of {}/{group} ran at the same time; this one took {}.",
            number(at_once),
            operation.cache,
            millis(operation.duration)
        ),
        evidence: vec![
            "They had one key, overlapped in time and each ran the loader: the readers did not \
             wait for one of them."
                .to_owned(),
        ],
        remedy: "Let one reader load and the others wait for it (single flight); spread the times \
                 of expiry, and serve the old value while a new one is made."
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::{Route, Source, SpanId, TraceId};

    const MS: Duration = Duration::from_millis(1);

    fn loading(key_hash: u64, from_ms: u32, for_ms: u32) -> Request {
        Request {
            trace_id: TraceId([1; 16]),
            span_id: SpanId([1; 8]),
            parent_span_id: None,
            route: Route::new("GET", "/deals"),
            path: None,
            status: Some(200),
            started: SystemTime::UNIX_EPOCH,
            duration: MS * 100,
            statements: Vec::new(),
            statements_dropped: 0,
            cache: vec![CacheOperation {
                cache: "deals".into(),
                action: CacheAction::Read {
                    group: "list".into(),
                    key_hash,
                    outcome: ReadOutcome::Load,
                },
                offset: MS * from_ms,
                duration: MS * for_ms,
                site: None,
            }],
            cache_dropped: 0,
            rows_answered: None,
            attributes: Vec::new(),
            source: Source::Layer,
        }
    }

    fn found(stampedes: &Stampedes, request: &Request, began: Instant) -> usize {
        let mut out = Observation::default();
        stampedes.inspect(request, began, &mut out);
        out.findings.len()
    }

    #[test]
    fn three_loads_of_one_key_at_one_time_are_reported_once() {
        let (stampedes, now) = (Stampedes::new(3), Instant::now());
        let seen: Vec<usize> = (0..6)
            .map(|turn| found(&stampedes, &loading(7, turn, 50), now))
            .collect();
        assert_eq!(seen, [0, 0, 1, 0, 0, 0]);
        let later = now + WINDOW * 2;
        let seen: Vec<usize> = (0..3)
            .map(|turn| found(&stampedes, &loading(7, turn, 50), later))
            .collect();
        assert_eq!(seen, [0, 0, 1]);
    }

    #[test]
    fn loads_one_after_the_other_or_of_other_keys_are_none() {
        let (stampedes, now) = (Stampedes::new(3), Instant::now());
        for turn in 0..20 {
            assert_eq!(found(&stampedes, &loading(7, turn * 10, 10), now), 0);
            assert_eq!(
                found(&stampedes, &loading(100 + u64::from(turn), 0, 50), now),
                0
            );
        }
    }

    #[test]
    fn a_chain_of_loads_of_which_two_meet_at_a_time_is_none() {
        let (stampedes, now) = (Stampedes::new(3), Instant::now());
        for turn in 0..10 {
            assert_eq!(found(&stampedes, &loading(7, turn * 10, 15), now), 0);
        }
    }

    #[test]
    fn the_order_in_which_the_requests_end_does_not_matter() {
        let (stampedes, now) = (Stampedes::new(3), Instant::now());
        let seen: usize = [(20, 50), (0, 100), (10, 30)]
            .map(|(from, time)| found(&stampedes, &loading(7, from, time), now))
            .iter()
            .sum();
        assert_eq!(seen, 1);
    }

    #[test]
    fn requests_of_a_while_are_compared_by_the_time_of_day() {
        let at = |second: u64| {
            let mut request = loading(7, 0, 50);
            request.started = SystemTime::UNIX_EPOCH + Duration::from_secs(second);
            request
        };
        let among = |seconds: [u64; 4]| {
            let requests = seconds.map(at);
            Stampedes::new(3).among(&requests).len()
        };
        assert_eq!(among([90, 30, 90, 90]), 1);
        assert_eq!(among([90, 30, 60, 90]), 0);
        assert!(Stampedes::new(3).among([]).is_empty());
    }

    #[test]
    fn memory_is_bounded() {
        let (stampedes, now) = (Stampedes::new(3), Instant::now());
        for key in 0..10_000 {
            found(&stampedes, &loading(key, 0, 50), now);
            found(&stampedes, &loading(0, 0, 0), now);
        }
        let keys = stampedes.keys.lock().unwrap();
        assert!(keys.len() <= KEYS_WATCHED, "{}", keys.len());
        let most = keys.values().map(|loads| loads.recent.len()).max();
        assert!(most <= Some(3 + LOADS_SPARE), "{most:?}");
    }
}

//! Cache read loop: the cache is asked once per row, where it could be asked once.

use std::{collections::HashSet, time::Duration};

use super::{
    Detector, View,
    wording::{millis, number, times},
};
use crate::{
    CacheAction, CacheOperation, Cost, Finding, FindingId, FindingKind, Observation, Proof,
    ReadOutcome, Suppressed,
    cache::{group_fingerprint, group_text},
};

/// Reads of one group with different keys, one after the other.
pub(super) struct CacheReadLoop;

impl Detector for CacheReadLoop {
    fn kind(&self) -> FindingKind {
        FindingKind::CacheReadLoop
    }

    fn inspect(&self, view: &View<'_>, out: &mut Observation) {
        let needed = view.thresholds.cache_read_loop;
        for reads in groups(view) {
            let keys = different_keys(&reads.all);
            if keys < needed {
                continue;
            }
            let in_turn = one_after_the_other(&reads.all);
            match different_keys(&in_turn) < needed {
                true => out.suppressed.push(suppressed(view, &reads)),
                false => out.findings.push(report(view, &reads, &in_turn)),
            }
        }
    }
}

/// The reads of one group of keys, in order of their start.
struct Reads<'a> {
    cache: &'a str,
    group: &'a str,
    all: Vec<Read<'a>>,
}

#[derive(Clone, Copy)]
struct Read<'a> {
    operation: &'a CacheOperation,
    key_hash: u64,
    outcome: ReadOutcome,
}

/// The reads of the request by group, in order of the first.
fn groups<'a>(view: &View<'a>) -> Vec<Reads<'a>> {
    let mut order: Vec<&CacheOperation> = view.request.cache.iter().collect();
    order.sort_by_key(|operation| operation.offset);
    let mut groups: Vec<Reads<'_>> = Vec::new();
    for operation in order {
        let CacheAction::Read {
            group,
            key_hash,
            outcome,
        } = &operation.action
        else {
            continue;
        };
        let read = Read {
            operation,
            key_hash: *key_hash,
            outcome: *outcome,
        };
        let (cache, group) = (&*operation.cache, &**group);
        match (groups.iter_mut()).find(|known| (known.cache, known.group) == (cache, group)) {
            Some(known) => known.all.push(read),
            None => groups.push(Reads {
                cache,
                group,
                all: vec![read],
            }),
        }
    }
    groups
}

fn different_keys(reads: &[Read<'_>]) -> u64 {
    let keys: HashSet<u64> = reads.iter().map(|read| read.key_hash).collect();
    keys.len() as u64
}

/// The longest run of reads of which each began when the one before had ended. What is read side
/// by side waits once.
fn one_after_the_other<'a>(reads: &[Read<'a>]) -> Vec<Read<'a>> {
    let mut by_end = reads.to_vec();
    by_end.sort_by_key(|read| read.operation.end());
    let mut free = Duration::ZERO;
    by_end.retain(|read| {
        let follows = read.operation.offset >= free;
        if follows {
            free = read.operation.end();
        }
        follows
    });
    by_end
}

fn suppressed(view: &View<'_>, reads: &Reads<'_>) -> Suppressed {
    Suppressed {
        kind: FindingKind::CacheReadLoop,
        route: view.request.route.clone(),
        fingerprint: group_fingerprint(reads.cache, reads.group),
        statement: group_text(reads.cache, reads.group),
        count: reads.all.len() as u64,
        reason: "the values are read side by side".to_owned(),
    }
}

fn report(view: &View<'_>, reads: &Reads<'_>, in_turn: &[Read<'_>]) -> Finding {
    let kind = FindingKind::CacheReadLoop;
    let fingerprint = group_fingerprint(reads.cache, reads.group);
    let route = view.request.route.clone();
    let count = in_turn.len() as u64;
    let keys = different_keys(in_turn);
    let time = in_turn.iter().fold(Duration::ZERO, |sum, read| {
        sum.saturating_add(read.operation.duration)
    });
    let of = |wanted: ReadOutcome| in_turn.iter().filter(|read| read.outcome == wanted).count();
    let memory = of(ReadOutcome::Memory);
    let sites = in_turn.iter().map(|read| &read.operation.site);
    let site = sites.flatten().next().cloned();
    let function = site.as_ref().map(|site| &*site.function);
    let mut evidence = vec![format!(
        "{} reads of {}/{} asked for {} different keys, each after the one before had ended.",
        number(count),
        reads.cache,
        reads.group,
        number(keys)
    )];
    // A read from memory costs next to nothing, until the memory is cold.
    let proof = if memory == in_turn.len() {
        evidence.push(
            "All of them were answered from memory. After a start or an invalidation each of them \
             goes to Redis or to the database."
                .to_owned(),
        );
        Proof::Possible
    } else {
        evidence.push(format!(
            "{} came from memory, {} from Redis, {} were loaded.",
            number(memory as u64),
            number(of(ReadOutcome::Redis) as u64),
            number(of(ReadOutcome::Load) as u64)
        ));
        Proof::Likely
    };
    Finding {
        id: FindingId::new(kind, &route, fingerprint, function),
        kind,
        route,
        fingerprint,
        statement: group_text(reads.cache, reads.group),
        parent: None,
        site,
        proof,
        count,
        cost: Cost {
            statements: 0,
            rows: 0,
            time,
        },
        summary: format!(
            "The cache was asked for {}/{} {} in one request, {} in all.",
            reads.cache,
            reads.group,
            times(count),
            millis(time)
        ),
        evidence,
        remedy: format!(
            "Read the values of {} together, or cache the list that is made of them as one value.",
            reads.group
        ),
    }
}

//! From what was observed to findings: the detectors' word on each request, joined with what only
//! growth, plans and the whole workload can tell.

mod answers;
mod cache;
pub(super) mod growth;
pub(super) mod plans;
#[cfg(test)]
mod sample;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use speedwell_plan::{Plan, Sampled, Schema};
use speedwell_sql::{Dialect, Fingerprint, Kind, Shape, Structure};
use speedwell_trace::{
    Detectors, Finding, FindingId, FindingKind, Proof, Route, Statement, Suppressed, Thresholds,
};

use super::probe::Probe;
use crate::config::{Audited, BudgetSpec};

/// All that was observed at one scale.
pub(crate) struct AtScale {
    pub(crate) scale: u64,
    pub(crate) probes: Vec<Probe>,
    pub(crate) explained: BTreeMap<Fingerprint, Explained>,
    pub(crate) schema: Schema,
    /// Which database it was.
    pub(crate) version: String,
    /// Why the service may have used another one.
    pub(crate) doubt: Option<String>,
}

/// One distinct statement and what the database says of it.
pub(crate) struct Explained {
    pub(crate) text: String,
    pub(crate) dialect: Dialect,
    pub(crate) shape: Shape,
    /// `None` when the statement is beyond the parser.
    pub(crate) structure: Option<Structure>,
    /// The plan, or why there is none.
    pub(crate) plan: Result<Plan, String>,
    /// Its plans with values from the database.
    pub(crate) sampled: Vec<Sampled>,
}

impl Explained {
    /// Whether a database could have a plan for it: not for the end of a transaction.
    pub(crate) fn has_plan(&self) -> bool {
        self.shape.kind != Kind::Transaction
    }
}

/// What all scales together say.
pub(crate) struct Evidence {
    pub(crate) findings: Vec<Judged>,
    pub(crate) suppressed: Vec<Suppressed>,
}

/// A finding, and the name of the route in the configuration that shows it.
pub(crate) struct Judged {
    pub(crate) finding: Finding,
    pub(crate) name: String,
    /// A change to the database that should help, not tried.
    pub(crate) untried: Option<String>,
}

/// Weighs everything that was observed, smallest scale first. `whole` says that no route was left
/// out: only then can an index be called unused.
pub(crate) fn weigh(audited: &Audited, scales: &[AtScale], whole: bool) -> Evidence {
    let Some(largest) = scales.last() else {
        return Evidence {
            findings: Vec::new(),
            suppressed: Vec::new(),
        };
    };
    let budgets: BTreeMap<&str, &BudgetSpec> = audited
        .setup
        .iter()
        .chain(&audited.routes)
        .map(|route| (route.name.as_str(), &route.budget))
        .collect();
    let growing = growing_tables(scales);
    let mut weighed = Weighing {
        scales,
        largest,
        growing,
        found: BTreeMap::new(),
        suppressed: Vec::new(),
    };
    weighed.inspect_requests(&budgets);
    weighed.inspect_plans(&budgets);
    weighed.find_uncached_writes();
    if whole && weighed.all_is_known() {
        weighed.inspect_workload();
    }
    weighed.finish()
}

/// Tables that hold at least twice as many rows at the largest scale as at the smallest. With one
/// scale there is no growth to see: then a table of 1,000 rows or more counts as growing.
fn growing_tables(scales: &[AtScale]) -> BTreeSet<String> {
    let (Some(first), Some(last)) = (scales.first(), scales.last()) else {
        return BTreeSet::new();
    };
    let rows = |at: &AtScale, table: &str| {
        at.schema
            .tables
            .get(table)
            .and_then(|table| table.rows)
            .unwrap_or(0)
    };
    last.schema
        .tables
        .keys()
        .filter(|table| match scales.len() {
            1 => rows(last, table) >= 1000,
            _ => rows(last, table) >= 2 * rows(first, table).max(1),
        })
        .cloned()
        .collect()
}

struct Weighing<'a> {
    scales: &'a [AtScale],
    largest: &'a AtScale,
    growing: BTreeSet<String>,
    /// By the route's name in the configuration: several of them may share one route.
    found: BTreeMap<(String, FindingId), Judged>,
    suppressed: Vec<(String, Suppressed)>,
}

impl Weighing<'_> {
    /// Runs the detectors over every probed request of the largest scale.
    fn inspect_requests(&mut self, budgets: &BTreeMap<&str, &BudgetSpec>) {
        let detectors = Detectors::standard(Thresholds::default());
        for probe in &self.largest.probes {
            let budget = budgets
                .get(probe.name.as_str())
                .map(|budget| budget.of_request());
            for sample in &probe.samples {
                let observation = detectors.inspect(&sample.request, budget.as_ref());
                for finding in observation.findings {
                    self.add(&probe.name, finding, None);
                }
                for suppressed in observation.suppressed {
                    self.suppress(&probe.name, suppressed);
                }
            }
        }
        self.inspect_cold(&detectors);
        self.weigh_growth();
    }

    /// What only a cache that is empty shows: reads in a loop that memory answers later, and several
    /// who load one value at the same time.
    fn inspect_cold(&mut self, detectors: &Detectors) {
        for probe in &self.largest.probes {
            let seen = probe.cold.iter().flat_map(|request| {
                let findings = detectors.inspect(request, None).findings.into_iter();
                findings.filter(|finding| finding.kind == FindingKind::CacheReadLoop)
            });
            for finding in seen.chain(detectors.stampedes(&probe.cold)) {
                self.add(&probe.name, finding, None);
            }
        }
    }

    /// Whether every request was seen and every statement explained: only then is what no plan
    /// uses unused.
    fn all_is_known(&self) -> bool {
        let probes = self.largest.probes.iter();
        probes
            .clone()
            .all(|probe| probe.unseen == 0 && probe.failure.is_none())
            && self
                .largest
                .explained
                .values()
                .all(|each| each.plan.is_ok() || !each.has_plan())
    }

    /// Keeps the strongest of several sightings of one finding.
    fn add(&mut self, name: &str, finding: Finding, untried: Option<String>) {
        let judged = Judged {
            finding,
            name: name.to_owned(),
            untried,
        };
        let key = (name.to_owned(), judged.finding.id);
        match self.found.get(&key) {
            Some(seen) if strength(&seen.finding) >= strength(&judged.finding) => {}
            _ => {
                self.found.insert(key, judged);
            }
        }
    }

    fn suppress(&mut self, name: &str, suppressed: Suppressed) {
        let same = |(seen_in, seen): &&mut (String, Suppressed)| {
            seen_in == name
                && seen.kind == suppressed.kind
                && seen.fingerprint == suppressed.fingerprint
        };
        match self.suppressed.iter_mut().find(same) {
            Some((_, seen)) if seen.count >= suppressed.count => {}
            Some((_, seen)) => *seen = suppressed,
            None => self.suppressed.push((name.to_owned(), suppressed)),
        }
    }

    fn finish(self) -> Evidence {
        let found: BTreeSet<(String, FindingKind, Fingerprint)> = self
            .found
            .values()
            .map(|judged| {
                let finding = &judged.finding;
                (judged.name.clone(), finding.kind, finding.fingerprint)
            })
            .collect();
        let mut findings: Vec<Judged> = self.found.into_values().collect();
        findings.sort_by(|a, b| {
            let rank = |judged: &Judged| (judged.finding.proof, judged.finding.cost.time);
            rank(b)
                .cmp(&rank(a))
                .then_with(|| (a.finding.id, &a.name).cmp(&(b.finding.id, &b.name)))
        });
        let mut suppressed: Vec<Suppressed> = self
            .suppressed
            .into_iter()
            .filter(|(name, each)| !found.contains(&(name.clone(), each.kind, each.fingerprint)))
            .map(|(_, suppressed)| suppressed)
            .collect();
        suppressed.sort_by(|a, b| {
            (&a.route, a.kind, a.fingerprint).cmp(&(&b.route, b.kind, b.fingerprint))
        });
        Evidence {
            findings,
            suppressed,
        }
    }
}

fn strength(finding: &Finding) -> (Proof, u64, Duration) {
    (finding.proof, finding.count, finding.cost.time)
}

/// The distinct statements of a probe, each with one execution, a counted one if there is one. What a
/// cache has hidden from the counted requests is among them.
fn distinct(probe: &Probe) -> BTreeMap<Fingerprint, &Statement> {
    let statements = probe.requests().flat_map(|request| &request.statements);
    let mut distinct = BTreeMap::new();
    for statement in statements {
        distinct.entry(statement.fingerprint).or_insert(statement);
    }
    distinct
}

/// The route that the service reported for a probe.
fn route_of(probe: &Probe) -> Route {
    let first = probe.samples.first();
    first.map_or_else(|| Route("*".into()), |sample| sample.request.route.clone())
}

/// The statements of a probe that have this fingerprint, request by request.
fn executions<'a>(
    probe: &'a Probe,
    fingerprint: Fingerprint,
) -> impl Iterator<Item = Vec<&'a Statement>> + 'a {
    probe.samples.iter().map(move |sample| {
        sample
            .request
            .statements
            .iter()
            .filter(|statement| statement.fingerprint == fingerprint)
            .collect()
    })
}

#[cfg(test)]
mod tests {
    use super::{
        sample::{at, probe, ran},
        *,
    };
    use crate::config;
    use speedwell_trace::{CacheAction, CacheOperation, ReadOutcome};

    const LIST: &str = "SELECT id, author_id FROM items ORDER BY id LIMIT $1";
    const CHILD: &str = "SELECT name FROM authors WHERE id = $1";
    const QUICK: Duration = Duration::from_micros(50);

    pub(super) fn audited() -> Audited {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("speedwell.toml");
        let text = "[service]\nname = \"s\"\ncommand = \"c\"\nready = \"/\"\ndatabase = \"sqlite:x\"\n\
                    [budget]\np95_ms = 200\n[[route]]\nname = \"items\"\nget = \"/items\"\n";
        std::fs::write(&path, text).unwrap();
        config::load(&path, config::Use::Start).unwrap().remove(0)
    }

    fn found(scales: &[AtScale]) -> Vec<(FindingKind, Proof)> {
        let evidence = weigh(&audited(), scales, true);
        evidence
            .findings
            .iter()
            .map(|each| (each.finding.kind, each.finding.proof))
            .collect()
    }

    fn page(scale: u64, size: u64, children: u64) -> Probe {
        let mut statements = vec![ran(LIST, size, QUICK)];
        statements.extend((0..children).map(|_| ran(CHILD, 1, QUICK)));
        probe(scale, Some(size), "/items", &statements)
    }

    #[test]
    fn executions_that_follow_the_page_prove_an_n_plus_one() {
        let scales = [at(1000, vec![page(1000, 10, 10), page(1000, 50, 50)])];
        assert_eq!(found(&scales), [(FindingKind::NPlusOne, Proof::Proved)]);
    }

    #[test]
    fn executions_that_do_not_follow_the_page_are_no_more_than_possible() {
        let scales = [at(1000, vec![page(1000, 10, 8), page(1000, 50, 8)])];
        assert_eq!(found(&scales), [(FindingKind::NPlusOne, Proof::Possible)]);
        let one_size = [at(1000, vec![page(1000, 10, 8)])];
        assert_eq!(found(&one_size), [(FindingKind::NPlusOne, Proof::Likely)]);
    }

    #[test]
    fn an_answer_that_grows_shows_a_list_whose_rows_nobody_reports() {
        let list = |scale, rows| {
            let mut statement = ran("SELECT id FROM items WHERE shop_id = $1", 0, QUICK);
            statement.rows_returned = None;
            let mut probe = probe(scale, None, "/items", &[statement]);
            for sample in &mut probe.samples {
                sample.request.rows_answered = Some(rows);
            }
            at(scale, vec![probe])
        };
        let growing = [list(1000, 20), list(100_000, 2000)];
        assert_eq!(
            found(&growing),
            [(FindingKind::UnboundedList, Proof::Likely)]
        );
        assert_eq!(found(&[list(1000, 120), list(100_000, 120)]), []);
    }

    #[test]
    fn a_list_whose_rows_follow_the_data_is_unbounded() {
        let list = |scale, rows| {
            let statement = ran("SELECT id FROM items WHERE shop_id = $1", rows, QUICK);
            at(scale, vec![probe(scale, None, "/items", &[statement])])
        };
        let growing = [list(1000, 20), list(10_000, 200), list(100_000, 2000)];
        assert_eq!(
            found(&growing),
            [(FindingKind::UnboundedList, Proof::Proved)]
        );
        let constant = [list(1000, 150), list(10_000, 150), list(100_000, 150)];
        assert_eq!(found(&constant), []);
        let reasons = weigh(&audited(), &constant, true).suppressed;
        assert!(
            reasons
                .iter()
                .any(|each| each.reason.contains("do not grow")),
            "{reasons:?}"
        );
    }

    #[test]
    fn a_page_whose_depth_follows_the_data_is_a_deep_offset() {
        let deep = |scale: u64, depth: u64, time| {
            let statement = ran(
                "SELECT id FROM items ORDER BY id LIMIT $1 OFFSET $2",
                20,
                time,
            );
            at(
                scale,
                vec![probe(
                    scale,
                    None,
                    &format!("/items?offset={depth}"),
                    &[statement],
                )],
            )
        };
        let millis = Duration::from_millis;
        let proved = [deep(1000, 1000, QUICK), deep(100_000, 100_000, millis(8))];
        assert_eq!(found(&proved), [(FindingKind::DeepOffset, Proof::Proved)]);
        let noisy = [
            deep(1000, 1000, millis(3)),
            deep(100_000, 100_000, millis(4)),
        ];
        assert_eq!(found(&noisy), [(FindingKind::DeepOffset, Proof::Likely)]);
        let constant = [deep(1000, 2000, QUICK), deep(100_000, 2000, QUICK)];
        assert_eq!(found(&constant), []);
        let shallow = [deep(1000, 20, QUICK), deep(100_000, 20, millis(8))];
        assert_eq!(found(&shallow), []);
    }

    #[test]
    fn the_same_observations_give_the_same_evidence() {
        let scales = || [at(1000, vec![page(1000, 10, 10), page(1000, 50, 50)])];
        let told = |scales: &[AtScale]| {
            let evidence = weigh(&audited(), scales, true);
            let findings: Vec<_> = evidence
                .findings
                .iter()
                .map(|each| format!("{:?}", each.finding))
                .collect();
            (findings, format!("{:?}", evidence.suppressed))
        };
        assert_eq!(told(&scales()), told(&scales()));
    }

    #[test]
    fn what_only_an_empty_cache_shows_is_found() {
        let load = |key_hash, offset| CacheOperation {
            cache: "deals".into(),
            action: CacheAction::Read {
                group: "share".into(),
                key_hash,
                outcome: ReadOutcome::Load,
            },
            offset: QUICK * offset,
            duration: QUICK,
            site: None,
        };
        let list = || probe(1000, None, "/items", &[ran(LIST, 1, QUICK)]);
        let crowd = |loads: Vec<CacheOperation>| {
            let mut probe = list();
            probe.cold = vec![probe.samples[0].request.clone(); 3];
            for request in &mut probe.cold {
                request.cache = loads.clone();
            }
            found(&[at(1000, vec![probe])])
        };
        assert_eq!(crowd(Vec::new()), []);
        assert_eq!(
            crowd(vec![load(7, 0)]),
            [(FindingKind::Stampede, Proof::Likely)]
        );
        let in_turn = (0..6).map(|turn| load(u64::from(turn), turn)).collect();
        let kinds: Vec<FindingKind> = crowd(in_turn).into_iter().map(|each| each.0).collect();
        assert!(kinds.contains(&FindingKind::CacheReadLoop), "{kinds:?}");
    }

    #[test]
    fn routes_that_share_a_template_each_have_their_own_finding() {
        let renamed = |name: &str| {
            let mut probe = page(1000, 10, 10);
            probe.name = name.to_owned();
            probe
        };
        let evidence = weigh(
            &audited(),
            &[at(1000, vec![renamed("one"), renamed("two")])],
            true,
        );
        let names: Vec<&str> = evidence
            .findings
            .iter()
            .map(|each| each.name.as_str())
            .collect();
        assert_eq!(names, ["one", "two"]);
    }

    #[test]
    fn nothing_observed_gives_no_evidence() {
        assert_eq!(found(&[]), []);
    }
}

//! What growth proves: a fault that costs more with every row is one, whatever a single request
//! looks like; one that costs the same at every size is not.

use std::{collections::BTreeMap, time::Duration};

use speedwell_sql::{Fingerprint, Limit, shape};
use speedwell_trace::{
    Cost, Finding, FindingId, FindingKind, Proof, Statement, Suppressed, detect::keyset_remedy,
};

use super::{Weighing, distinct, executions, route_of};
use crate::{
    audit::probe::{Probe, Sample},
    growth::{exponent, median},
    report::thousands,
};

/// A cost that grows at least with the square root of the data grows.
pub(crate) const GROWS: f64 = 0.5;
/// A cost that grows less than this does not grow: a tenfold size makes it half as much again.
const FLAT: f64 = 0.2;
/// Times below this are within the noise of a shared machine and say nothing of growth.
pub(crate) const TIME_FLOOR_MS: f64 = 0.2;
/// A page this many rows deep is deep (the threshold of the detector, for hidden values).
const DEEP_ROWS: u64 = 1000;
/// A list that never exceeds this is not worth a page.
pub(super) const LONG_LIST: u64 = 100;

impl Weighing<'_> {
    /// Holds every sighting against the other sizes, and adds what only growth can see.
    pub(super) fn weigh_growth(&mut self) {
        let mut kept = BTreeMap::new();
        for (key, mut judged) in std::mem::take(&mut self.found) {
            match self.verdict(&judged.name, &judged.finding) {
                Growing::Proved(evidence) => {
                    judged.finding.proof = Proof::Proved;
                    judged.finding.evidence.push(evidence);
                    kept.insert(key, judged);
                }
                Growing::Doubted(evidence) => {
                    judged.finding.proof = Proof::Possible;
                    judged.finding.evidence.push(evidence);
                    kept.insert(key, judged);
                }
                Growing::Silent => {
                    kept.insert(key, judged);
                }
                Growing::Refuted(reason) => {
                    let finding = judged.finding;
                    self.suppress(
                        &judged.name,
                        Suppressed {
                            kind: finding.kind,
                            route: finding.route,
                            fingerprint: finding.fingerprint,
                            statement: finding.statement,
                            count: finding.count,
                            reason,
                        },
                    );
                }
            }
        }
        self.found = kept;
        self.find_deep_offsets();
        self.find_long_answers();
    }

    fn verdict(&self, name: &str, finding: &Finding) -> Growing {
        match finding.kind {
            FindingKind::NPlusOne | FindingKind::WriteLoop => self.loop_grows(name, finding),
            FindingKind::UnboundedList => self.list_grows(name, finding),
            FindingKind::CountPerPage | FindingKind::LeadingWildcard => {
                self.time_grows(name, finding.fingerprint)
            }
            _ => Growing::Silent,
        }
    }

    /// Executions at two page sizes, or at two scales.
    fn loop_grows(&self, name: &str, finding: &Finding) -> Growing {
        let pages: Vec<(u64, u64, u64)> = self
            .largest
            .probes
            .iter()
            .filter(|probe| probe.name == name)
            .filter_map(|probe| {
                let executions = count(probe, finding.fingerprint)?;
                Some((probe.page_size?, executions, rows_answered(probe)?))
            })
            .collect();
        let by_page: Vec<(u64, u64)> = pages.iter().map(|page| (page.0, page.1)).collect();
        let by_scale: Vec<(u64, u64)> = self
            .probes_by_scale(name)
            .filter_map(|probe| Some((probe.scale, count(probe, finding.fingerprint)?)))
            .collect();
        for (size, counts) in [("a page of", by_page), ("a scale of", by_scale)] {
            if let (Some(&(small, few)), Some(&(large, many))) = (counts.first(), counts.last())
                && many >= few + 3
                && many * 2 >= few * 3
            {
                return Growing::Proved(format!(
                    "It ran {few} times for {size} {small} and {many} times for {size} {large}."
                ));
            }
        }
        if let (Some(first), Some(last)) = (pages.first(), pages.last())
            && first.1 == last.1
            && last.2 * 2 >= first.2 * 3
            && last.2 > first.2
        {
            return Growing::Doubted(format!(
                "It ran {} times for a page of {} and for a page of {}: it does not follow the rows.",
                first.1, first.0, last.0
            ));
        }
        Growing::Silent
    }

    fn list_grows(&self, name: &str, finding: &Finding) -> Growing {
        let rows: Vec<(u64, u64)> = self
            .probes_by_scale(name)
            .filter_map(|probe| Some((probe.scale, rows(probe, finding.fingerprint)?)))
            .collect();
        let (Some(first), Some(last)) = (rows.first(), rows.last()) else {
            return Growing::Silent;
        };
        match exponent(rows.iter().map(|(scale, rows)| (*scale, *rows as f64)), 1.0) {
            None => Growing::Silent,
            Some(power) if power >= GROWS && last.1 >= LONG_LIST => Growing::Proved(format!(
                "It returned {} rows at scale {} and {} at scale {}: rows grow with exponent {power:.2}.",
                thousands(first.1),
                thousands(first.0),
                thousands(last.1),
                thousands(last.0)
            )),
            Some(power) if power >= FLAT => Growing::Silent,
            Some(_) => Growing::Refuted(format!(
                "its rows do not grow with the data: {} at scale {}, {} at scale {}",
                thousands(first.1),
                thousands(first.0),
                thousands(last.1),
                thousands(last.0)
            )),
        }
    }

    /// Whether the time of a statement grows with the data, by more than noise.
    pub(super) fn time_grows(&self, name: &str, fingerprint: Fingerprint) -> Growing {
        let times: Vec<(u64, f64)> = self
            .probes_by_scale(name)
            .filter_map(|probe| {
                Some((
                    probe.scale,
                    time(probe, fingerprint)?.as_secs_f64() * 1000.0,
                ))
            })
            .collect();
        let (Some(first), Some(last)) = (times.first(), times.last()) else {
            return Growing::Silent;
        };
        match exponent(times.iter().copied(), TIME_FLOOR_MS) {
            Some(power) if power >= GROWS && last.1 >= 5.0 * TIME_FLOOR_MS => {
                Growing::Proved(format!(
                    "It took {:.2} ms at scale {} and {:.2} ms at scale {}: time grows with exponent {power:.2}.",
                    first.1,
                    thousands(first.0),
                    last.1,
                    thousands(last.0)
                ))
            }
            _ => Growing::Silent,
        }
    }

    /// The sentence to say if the time of a statement stays the same while the data grows.
    pub(super) fn time_is_flat(&self, name: &str, fingerprint: Fingerprint) -> Option<String> {
        let times: Vec<(u64, f64)> = self
            .probes_by_scale(name)
            .filter_map(|probe| {
                Some((
                    probe.scale,
                    time(probe, fingerprint)?.as_secs_f64() * 1000.0,
                ))
            })
            .collect();
        let power = exponent(times.iter().copied(), TIME_FLOOR_MS)?;
        let (first, last) = (times.first()?, times.last()?);
        (power < FLAT).then(|| {
            format!(
                "It took {:.2} ms at scale {} and {:.2} ms at scale {}: its time does not grow with the data.",
                first.1,
                thousands(first.0),
                last.1,
                thousands(last.0)
            )
        })
    }

    /// The probes of one route at its largest page size, smallest scale first.
    pub(super) fn probes_by_scale<'b>(
        &'b self,
        name: &'b str,
    ) -> impl Iterator<Item = &'b Probe> + 'b {
        self.scales.iter().filter_map(move |at| {
            at.probes
                .iter()
                .filter(|probe| probe.name == name)
                .max_by_key(|probe| probe.page_size)
        })
    }

    /// An `OFFSET` whose value the source hides: the request says how deep the page is. A depth
    /// that follows the data makes every page dearer as the data grows; time proves it where it
    /// stands out of the noise. A depth that stays the same costs the same at every size.
    fn find_deep_offsets(&mut self) {
        let mut found = Vec::new();
        for probe in &self.largest.probes {
            let depths: Vec<u64> = self
                .probes_by_scale(&probe.name)
                .filter_map(deepest)
                .collect();
            let (Some(&first), Some(&last)) = (depths.first(), depths.last()) else {
                continue;
            };
            if last < DEEP_ROWS {
                continue;
            }
            for statement in distinct(probe).into_values() {
                if shape(&statement.text, statement.dialect).offset != Some(Limit::Unknown) {
                    continue;
                }
                let (proof, evidence) = match self.time_grows(&probe.name, statement.fingerprint) {
                    Growing::Proved(evidence) => (Proof::Proved, Some(evidence)),
                    _ if last >= 2 * first.max(1) => (Proof::Likely, None),
                    _ => continue,
                };
                found.push((
                    probe.name.clone(),
                    deep_offset(probe, statement, last, proof, evidence),
                ));
            }
        }
        for (name, finding) in found {
            self.add(&name, finding, None);
        }
    }
}

/// What the other sizes say of a sighting.
pub(super) enum Growing {
    /// It costs more with more rows; the sentence gives the numbers.
    Proved(String),
    /// It is not the fault it looked like; the reason.
    Refuted(String),
    /// It does not follow the data, so it counts against no budget; the sentence gives the numbers.
    Doubted(String),
    /// Nothing can be said.
    Silent,
}

fn count(probe: &Probe, fingerprint: Fingerprint) -> Option<u64> {
    let counts: Vec<u64> = executions(probe, fingerprint)
        .map(|all| all.len() as u64)
        .collect();
    median(&counts)
}

pub(super) fn rows_answered(probe: &Probe) -> Option<u64> {
    let rows: Vec<u64> = probe
        .samples
        .iter()
        .filter_map(|sample| sample.request.rows_answered)
        .collect();
    median(&rows)
}

fn rows(probe: &Probe, fingerprint: Fingerprint) -> Option<u64> {
    let rows: Vec<u64> = executions(probe, fingerprint)
        .map(|all| {
            all.iter()
                .filter_map(|statement| statement.rows_returned)
                .sum()
        })
        .collect();
    median(&rows)
}

/// The shortest time that a probe spent in a statement: what else the machine does only adds.
pub(super) fn time(probe: &Probe, fingerprint: Fingerprint) -> Option<Duration> {
    executions(probe, fingerprint)
        .filter(|all| !all.is_empty())
        .map(|all| all.iter().map(|statement| statement.duration).sum())
        .min()
}

/// The deepest page that a probe asked for.
fn deepest(probe: &Probe) -> Option<u64> {
    probe.samples.iter().filter_map(depth).max()
}

/// Rows that the request asked to skip, as far as its query string tells: `offset=`, `skip=`,
/// `start=`, or `page=` times the page size.
fn depth(sample: &Sample) -> Option<u64> {
    let (_, query) = sample.path.split_once('?')?;
    let number = |wanted: &[&str]| {
        query.split('&').find_map(|pair| {
            let (name, value) = pair.split_once('=')?;
            wanted.contains(&name).then(|| value.parse::<u64>().ok())?
        })
    };
    let size = number(&["page_size", "per_page", "limit", "size"]).unwrap_or(1);
    number(&["offset", "skip", "start"])
        .or_else(|| Some(number(&["page"])?.saturating_sub(1).saturating_mul(size)))
}

fn deep_offset(
    probe: &Probe,
    statement: &Statement,
    depth: u64,
    proof: Proof,
    evidence: Option<String>,
) -> Finding {
    let route = route_of(probe);
    let function = statement.site.as_ref().map(|site| &*site.function);
    let kind = FindingKind::DeepOffset;
    Finding {
        id: FindingId::new(kind, &route, statement.fingerprint, function),
        kind,
        fingerprint: statement.fingerprint,
        statement: statement.text.clone(),
        parent: None,
        site: statement.site.clone(),
        proof,
        count: 1,
        cost: Cost {
            statements: 0,
            rows: depth,
            time: time(probe, statement.fingerprint).unwrap_or_default(),
        },
        summary: format!(
            "The page is found by skipping about {} rows with OFFSET.",
            thousands(depth)
        ),
        evidence: std::iter::once(
            "The database reads and throws away every row before the page.".to_owned(),
        )
        .chain(evidence)
        .collect(),
        remedy: keyset_remedy(&statement.text, statement.dialect),
        route,
    }
}

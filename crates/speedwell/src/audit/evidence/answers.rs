//! What the answers tell where the service does not report how many rows its statements return.

use speedwell_trace::{
    Cost, Finding, FindingId, FindingKind, Proof, Statement, detect::is_list_without_limit,
};

use super::{
    Weighing, distinct,
    growth::{GROWS, LONG_LIST, rows_answered, time},
    route_of,
};
use crate::{audit::probe::Probe, growth::exponent, report::thousands};

impl Weighing<'_> {
    /// A list without limit whose rows nobody reports, in a route whose answer grows with the data.
    pub(super) fn find_long_answers(&mut self) {
        let mut found = Vec::new();
        for probe in &self.largest.probes {
            let Some(evidence) = self.answer_grows(&probe.name) else {
                continue;
            };
            for statement in distinct(probe).into_values() {
                let explained = self.largest.explained.get(&statement.fingerprint);
                let is_list = explained.is_some_and(|each| {
                    is_list_without_limit(&each.shape)
                        && each
                            .shape
                            .tables
                            .iter()
                            .any(|table| self.growing.contains(&table.name))
                });
                if is_list && statement.rows_returned.is_none() {
                    found.push((probe.name.clone(), long_answer(probe, statement, &evidence)));
                }
            }
        }
        for (name, finding) in found {
            self.add(&name, finding, None);
        }
    }

    fn answer_grows(&self, name: &str) -> Option<String> {
        let rows: Vec<(u64, u64)> = self
            .probes_by_scale(name)
            .filter_map(|probe| Some((probe.scale, rows_answered(probe)?)))
            .collect();
        let (first, last) = (rows.first()?, rows.last()?);
        let power = exponent(rows.iter().map(|(scale, rows)| (*scale, *rows as f64)), 1.0)?;
        (power >= GROWS && last.1 >= LONG_LIST).then(|| {
            format!(
                "The answer showed {} rows at scale {} and {} at scale {}: it grows with exponent {power:.2}.",
                thousands(first.1),
                thousands(first.0),
                thousands(last.1),
                thousands(last.0)
            )
        })
    }
}

fn long_answer(probe: &Probe, statement: &Statement, evidence: &str) -> Finding {
    let kind = FindingKind::UnboundedList;
    let route = route_of(probe);
    let function = statement.site.as_ref().map(|site| &*site.function);
    Finding {
        id: FindingId::new(kind, &route, statement.fingerprint, function),
        kind,
        route,
        fingerprint: statement.fingerprint,
        statement: statement.text.clone(),
        parent: None,
        site: statement.site.clone(),
        proof: Proof::Likely,
        count: 1,
        cost: Cost {
            statements: 0,
            rows: rows_answered(probe).unwrap_or(0),
            time: time(probe, statement.fingerprint).unwrap_or_default(),
        },
        summary: "A list is read without LIMIT, and the answer grows with the data.".to_owned(),
        evidence: vec![
            evidence.to_owned(),
            "The service does not report the rows of this statement; the rows of the answer speak for them.".to_owned(),
        ],
        remedy: "Read it in pages: ORDER BY a unique key, LIMIT, and start after the last key of the page before.".to_owned(),
    }
}

//! A fault seen: what it is, how sure it is, what it costs and what to do.

use std::{fmt, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use speedwell_sql::Fingerprint;

use crate::{Route, Site};

/// What kind of fault this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    /// A statement runs once per row of an earlier one.
    #[serde(rename = "n_plus_one")]
    NPlusOne,
    /// The same statement with the same values, and no write in between.
    Repeated,
    /// One statement takes longer than the threshold.
    Slow,
    /// More statements than the route's budget.
    Chatty,
    /// Many more rows are fetched than the answer shows.
    OverFetch,
    /// A list is read without a limit.
    UnboundedList,
    /// A write runs once per row instead of once for all.
    WriteLoop,
    /// Each write of a loop is committed on its own.
    CommitPerRow,
    /// A page is found by skipping all rows before it.
    DeepOffset,
    /// All matching rows are counted to show one page of them.
    CountPerPage,
    /// A pattern that begins with a wildcard reads every row.
    LeadingWildcard,
    /// A growing table is read from end to end to find some of its rows.
    FullScan,
    /// A set without bound is sorted in a temporary b-tree.
    UnboundedSort,
    /// The database builds an index for one statement and throws it away.
    AutomaticIndex,
    /// A declared index that no observed statement uses.
    UnusedIndex,
    /// The cache is read once per row instead of once for all.
    CacheReadLoop,
    /// Several requests load one value into the cache at the same time.
    Stampede,
    /// A table that cached values come from is written, and the cache is told nothing.
    UncachedWrite,
}

/// How sure a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Proof {
    /// It may be one; said, but never fails a budget.
    Possible,
    /// Everything that can be seen says so.
    Likely,
    /// Values, plans or growth show it.
    Proved,
}

/// Stable identity: kind, route, fingerprint and function; never ids, line numbers or offsets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FindingId(pub u64);

/// What a fault costs in one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cost {
    /// Statements that would not be needed.
    pub statements: u64,
    /// Rows that would not be needed.
    pub rows: u64,
    /// Time spent in the statements concerned.
    pub time: Duration,
}

/// A fault seen in one route.
#[derive(Debug, Clone)]
pub struct Finding {
    /// Stable identity.
    pub id: FindingId,
    /// What kind of fault.
    pub kind: FindingKind,
    /// Where.
    pub route: Route,
    /// In which statement.
    pub fingerprint: Fingerprint,
    /// A text of that statement.
    pub statement: Arc<str>,
    /// The statement whose rows drive it, for an N+1.
    pub parent: Option<Arc<str>>,
    /// Code that ran it.
    pub site: Option<Site>,
    /// How sure.
    pub proof: Proof,
    /// Executions seen in one request.
    pub count: u64,
    /// What it costs.
    pub cost: Cost,
    /// One sentence: what was seen, with numbers.
    pub summary: String,
    /// Why it is a fault and how that is known, a sentence each.
    pub evidence: Vec<String>,
    /// What to do; for an N+1 with the batched statement written out.
    pub remedy: String,
}

/// A group of statements that looks like a fault and is not reported, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suppressed {
    /// What it would have been.
    pub kind: FindingKind,
    /// Where.
    pub route: Route,
    /// Which statement.
    pub fingerprint: Fingerprint,
    /// A text of that statement.
    pub statement: Arc<str>,
    /// Executions.
    pub count: u64,
    /// Why it is not a fault.
    pub reason: String,
}

/// All that the detectors say of one request.
#[derive(Debug, Clone, Default)]
pub struct Observation {
    /// Faults.
    pub findings: Vec<Finding>,
    /// Groups looked at and left out, with the reason.
    pub suppressed: Vec<Suppressed>,
}

impl Observation {
    /// Puts the findings in their order: surest first, then dearest.
    pub(crate) fn sort(&mut self) {
        self.findings.sort_by(|a, b| {
            (b.proof.cmp(&a.proof))
                .then(b.cost.time.cmp(&a.cost.time))
                .then(a.id.cmp(&b.id))
        });
    }
}

impl fmt::Display for FindingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FindingKind {
    /// Whether what a finding of this kind shows as its statement is SQL. For one about reads of
    /// the cache it is a few words that name them.
    pub fn has_sql(self) -> bool {
        !matches!(self, Self::CacheReadLoop | Self::Stampede)
    }

    /// The name used in configuration, reports and FAULTS.toml.
    pub fn name(self) -> &'static str {
        match self {
            Self::NPlusOne => "n_plus_one",
            Self::Repeated => "repeated",
            Self::Slow => "slow",
            Self::Chatty => "chatty",
            Self::OverFetch => "over_fetch",
            Self::UnboundedList => "unbounded_list",
            Self::WriteLoop => "write_loop",
            Self::CommitPerRow => "commit_per_row",
            Self::DeepOffset => "deep_offset",
            Self::CountPerPage => "count_per_page",
            Self::LeadingWildcard => "leading_wildcard",
            Self::FullScan => "full_scan",
            Self::UnboundedSort => "unbounded_sort",
            Self::AutomaticIndex => "automatic_index",
            Self::UnusedIndex => "unused_index",
            Self::CacheReadLoop => "cache_read_loop",
            Self::Stampede => "stampede",
            Self::UncachedWrite => "uncached_write",
        }
    }
}

impl FindingId {
    /// The identity of a finding. `function` is a function or span name.
    pub fn new(
        kind: FindingKind,
        route: &Route,
        fingerprint: Fingerprint,
        function: Option<&str>,
    ) -> Self {
        let text = format!(
            "{}\0{route}\0{:016x}\0{}",
            kind.name(),
            fingerprint.0,
            function.unwrap_or("")
        );
        Self(twox_hash::XxHash3_64::oneshot(text.as_bytes()))
    }
}

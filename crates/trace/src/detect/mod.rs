//! Looks at one finished request and says what is wrong with it.
//!
//! A detector is one small type: it looks at the [`View`] of a request and adds findings, and
//! groups that look like a fault and are not, each with the reason. There is no time window: a
//! slow loop is as much a loop as a fast one.

mod batched;
mod cache_read_loop;
mod chatty;
mod commit_per_row;
mod count_per_page;
mod deep_offset;
mod known;
mod leading_wildcard;
mod n_plus_one;
mod over_fetch;
mod repeated;
mod slow;
mod stampede;
mod thresholds;
mod unbounded_list;
mod view;
pub(crate) mod wording;
mod write_loop;

pub use batched::{Batched, batched_statement};
pub use deep_offset::keyset_remedy;
pub(crate) use stampede::Stampedes;
pub use thresholds::Thresholds;
pub use unbounded_list::is_list_without_limit;
pub use view::{Group, Run, View, counts_as_work};

use self::known::KnownTexts;
use crate::{Budget, Finding, FindingKind, Observation, Request};

/// Looks for one kind of fault in a request.
pub trait Detector: Send + Sync {
    /// What it looks for.
    fn kind(&self) -> FindingKind;

    /// Adds what it finds, and what it leaves out with the reason.
    fn inspect(&self, view: &View<'_>, out: &mut Observation);
}

/// The detectors, with their thresholds.
pub struct Detectors {
    thresholds: Thresholds,
    detectors: Vec<Box<dyn Detector>>,
    texts: KnownTexts,
}

impl std::fmt::Debug for Detectors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Detectors")
            .field("thresholds", &self.thresholds)
            .finish_non_exhaustive()
    }
}

impl Detectors {
    /// Every detector that needs nothing but the request.
    pub fn standard(thresholds: Thresholds) -> Self {
        Self::with(
            thresholds,
            vec![
                Box::new(n_plus_one::NPlusOne),
                Box::new(repeated::Repeated),
                Box::new(slow::Slow),
                Box::new(chatty::Chatty),
                Box::new(over_fetch::OverFetch),
                Box::new(unbounded_list::UnboundedList),
                Box::new(write_loop::WriteLoop),
                Box::new(commit_per_row::CommitPerRow),
                Box::new(deep_offset::DeepOffset),
                Box::new(count_per_page::CountPerPage),
                Box::new(leading_wildcard::LeadingWildcard),
                Box::new(cache_read_loop::CacheReadLoop),
            ],
        )
    }

    /// A choice of detectors.
    pub fn with(thresholds: Thresholds, detectors: Vec<Box<dyn Detector>>) -> Self {
        Self {
            thresholds,
            detectors,
            texts: KnownTexts::default(),
        }
    }

    /// What is wrong with `request`. The same request gives the same answer, in the same order:
    /// surest first, then dearest. Limits of `budget` replace the thresholds of the same name.
    /// Run it again when more is known of the request, such as the rows of its answer.
    pub fn inspect(&self, request: &Request, budget: Option<&Budget>) -> Observation {
        let view = View::new(request, budget, &self.thresholds, &self.texts);
        let mut observation = Observation::default();
        for detector in &self.detectors {
            detector.inspect(&view, &mut observation);
        }
        observation.sort();
        observation
    }

    /// The stampedes on the cache among requests that one service answered, in any order: what no
    /// request shows by itself. For who has the requests of a while together; the layer looks for
    /// stampedes by itself.
    pub fn stampedes<'a>(&self, requests: impl IntoIterator<Item = &'a Request>) -> Vec<Finding> {
        Stampedes::new(self.thresholds.stampede).among(requests)
    }
}

//! What a load was found to depend on, and a write to change.

use std::collections::BTreeSet;

#[cfg(feature = "statements")]
pub(crate) use crate::statements::Learning;
#[cfg(not(feature = "statements"))]
pub(crate) use given::Learning;

/// Tags, as those who name them by hand do.
pub(crate) type Tags = BTreeSet<Vec<u8>>;

/// What is known of a load or of a write when it has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(
    not(feature = "statements"),
    expect(dead_code, reason = "what is named by hand is all there is")
)]
pub(crate) enum Dependencies {
    /// What was named by hand is all, by the word of who named it.
    AsGiven,
    /// All of these.
    Known { reads: Tags, changes: Tags },
    /// Anything.
    Unknown,
}

/// A cache that learns nothing: what values depend on is named by hand.
#[cfg(not(feature = "statements"))]
mod given {
    use tracing::Span;

    use super::{Dependencies, Tags};
    use crate::{generation::Seen, mutant::Mutation};

    pub(crate) struct Learning;

    /// A load or a write that nobody watches.
    pub(crate) struct Watch(Span);

    impl Learning {
        pub(crate) fn watch(&self, around: &Span) -> Watch {
            Watch(around.clone())
        }

        pub(crate) fn tags(&self, _: &[u8]) -> Tags {
            Tags::new()
        }

        pub(crate) fn settles(&self, _: &[u8], _: &Seen, _: &Dependencies) -> bool {
            true
        }

        pub(crate) fn keep_if_settled(&self, _: &[u8], _: &Seen, keep: impl FnOnce()) -> bool {
            keep();
            true
        }
    }

    impl Watch {
        pub(crate) fn span(&self) -> Span {
            self.0.clone()
        }

        pub(crate) async fn end(self, _: Mutation) -> Dependencies {
            Dependencies::AsGiven
        }
    }
}

//! Ways to be wrong, chosen by the tests of the checker: one that has never found anything
//! proves nothing. Without the feature `mutants` none can be chosen.

/// A cache with one of its safeguards taken out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[cfg_attr(
    not(feature = "mutants"),
    expect(unreachable_pub, reason = "it is exported with the feature only")
)]
pub enum Mutant {
    /// A load is stored whatever happened since it began.
    FillWithoutComparing,
    /// A reader joins a load that began before what it depends on was invalidated.
    FlightsWithoutGenerations,
    /// A write invalidates before it commits instead of after.
    RenewBeforeCommit,
    /// A strict write does not say beforehand that it comes.
    NoMark,
    /// What is in memory is used whether or not invalidations are sure to have arrived, and
    /// writers do not wait until they have.
    NoLease,
    /// Stamps are numbers that count up, and start again when they are lost.
    CountersAsStamps,
    /// A load that read what was not watched before it began is kept (feature `statements`).
    KeepUnsettled,
    /// Such a load is handed to readers who came while it ran.
    ShareUnsettled,
    /// Statements that are reported after their load or write has ended are not waited for.
    #[allow(dead_code, reason = "there is none to wait for without the feature")]
    NotWaitForStatements,
}

#[cfg(feature = "mutants")]
impl Mutant {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::FillWithoutComparing,
        Self::FlightsWithoutGenerations,
        Self::RenewBeforeCommit,
        Self::NoMark,
        Self::NoLease,
        Self::CountersAsStamps,
        Self::KeepUnsettled,
        Self::ShareUnsettled,
        Self::NotWaitForStatements,
    ];
}

/// Which mutant this is, if any.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Mutation(pub(crate) Option<Mutant>);

impl Mutation {
    pub(crate) fn is(self, mutant: Mutant) -> bool {
        cfg!(feature = "mutants") && self.0 == Some(mutant)
    }
}

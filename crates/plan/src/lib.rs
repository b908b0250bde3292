#![doc = include_str!("../README.md")]

mod advice;
mod database;
mod error;
mod lint;
mod phrase;
mod plan;
mod postgres;
mod sampled;
mod schema;
mod scratch;
mod sqlite;
mod statement;
mod suggest;

pub use advice::{
    Advice, AdviceError, AdviceOptions, AdvisedIndex, Asked, Bought, Estimated, Figures, Goal,
    Judged, Needless, NeedlessIndex, Refused, Rewrite, RewriteKind, RewriteOutcome, RowPrice,
    Times, Verdict, advise, build_indexes,
};
pub use database::{Activity, Database};
pub use error::ExplainError;
pub use lint::{Certainty, Lint, LintContext, LintKind, lint, unused_indexes};
pub use plan::{Estimate, Grouping, JoinMethod, Operation, Plan, PlanNode, SortReason, Store};
pub use postgres::{Recorded, Recording, RecordingError, recorded};
pub use sampled::{Label, Sampled, SampledValues};
pub use schema::{Column, ForeignKey, Index, IndexColumn, Schema, Table};
pub use scratch::ScratchDatabase;
pub use suggest::{IndexSuggestion, suggest};

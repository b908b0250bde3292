#![doc = include_str!("../README.md")]

mod error;
mod lint;
mod phrase;
mod plan;
mod schema;
mod sqlite;
mod statement;
mod suggest;

pub use error::ExplainError;
pub use lint::{Certainty, Lint, LintContext, LintKind, lint, unused_indexes};
pub use plan::{Operation, Plan, PlanNode, SortReason};
pub use schema::{Column, ForeignKey, Index, IndexColumn, Schema, Table};
pub use sqlite::Database;
pub use suggest::{IndexSuggestion, suggest};

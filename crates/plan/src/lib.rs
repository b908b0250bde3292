//! What SQLite says it will do with a statement, and which index would serve it.

mod error;
mod phrase;
mod plan;
mod schema;
mod sqlite;
mod statement;
mod suggest;

pub use error::ExplainError;
pub use plan::{Operation, Plan, PlanNode, SortReason};
pub use schema::{Column, ForeignKey, Index, IndexColumn, Schema, Table};
pub use sqlite::Database;
pub use suggest::{IndexSuggestion, suggest};

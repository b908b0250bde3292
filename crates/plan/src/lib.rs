//! What SQLite says it will do with a statement.

mod error;
mod phrase;
mod plan;
mod schema;
mod sqlite;
mod statement;

pub use error::ExplainError;
pub use plan::{Operation, Plan, PlanNode, SortReason};
pub use schema::{Column, ForeignKey, Index, IndexColumn, Schema, Table};
pub use sqlite::Database;

#![doc = include_str!("../README.md")]

mod canon;
mod comment;
pub mod dependency;
mod dialect;
mod fingerprint;
mod form;
mod keyword;
mod lexer;
mod limit;
mod memo;
mod outer;
mod predicate;
mod rewrite;
mod row_lock;
mod select_list;
mod shape;
mod structure;
mod table_scan;
mod token;
mod tokens;
mod walk;

pub use dependency::{Dependency, Narrow, Tag, dependency, row_tags};
pub use dialect::Dialect;
pub use fingerprint::{Digest, Fingerprint, Tags, fingerprint, normalize, tags};
pub use lexer::TokenKind;
pub use memo::Memo;
pub use row_lock::known_row_locks;
pub use shape::{Kind, Limit, Shape, TableUse, shape};
pub use structure::{
    Comparison, Operand, OrderColumn, Predicate, Structure, StructureError, structure,
};
pub use token::{Token, tokens};

//! One SQL statement: what it is (its [`Fingerprint`]), what was said beside it
//! (its sqlcommenter [tags](Tags)) and what it does (its [`Shape`] and [`Structure`]).

mod dialect;
mod fingerprint;
mod shape;
mod structure;

pub use dialect::Dialect;
pub use fingerprint::{Digest, Fingerprint, Memo, Tags, fingerprint, normalize, tags};
pub use shape::{Kind, Limit, Shape, TableUse, shape};
pub use structure::{
    Comparison, Operand, OrderColumn, Predicate, Structure, StructureError, structure,
};

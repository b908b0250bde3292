//! People: the caller's own profile, those of others, finding them.

mod edit;
mod other;
mod record;
mod search;
mod searched;

pub(crate) use self::{edit::*, other::*, record::*, search::*, searched::*};

//! What people are told.

mod list;
mod mark;
mod push;
mod record;

pub(crate) use self::{list::*, mark::*, push::*, record::*};

//! Challenges: making, joining, changing and leaving them, and what their members have done.

mod access;
mod change;
mod create;
mod detail;
mod grid;
mod invite;
mod join;
mod leave;
mod list;
mod progress;
mod record;

pub(crate) use self::{
    access::*, change::*, create::*, detail::*, grid::*, join::*, leave::*, list::*, progress::*,
    record::*,
};

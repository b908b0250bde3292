//! Check-ins: keeping a habit on a day, and what that changes.

mod create;
mod list;
mod one;
mod record;
mod remove;
mod streak;
mod today;

pub(crate) use self::{create::*, list::*, one::*, remove::*, streak::lasting, today::*};

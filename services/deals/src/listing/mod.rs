//! Listings: what is for sale somewhere, and what it is worth.

mod change;
mod detail;
mod input;
mod list;
mod page;
mod record;
mod summary;

pub(crate) use self::{
    change::{__path_change, __path_create, __path_remove, __path_replace},
    detail::__path_detail,
    list::__path_list,
    page::__path_page,
};
pub(crate) use self::{
    change::{change, create, remove, replace},
    detail::detail,
    list::list,
    page::page,
    summary::{JOINS, ListingSummary, SUMMARY, StorageSummary, SummaryRow},
};

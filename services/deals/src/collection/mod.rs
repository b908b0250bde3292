//! Collections: listings that a user put together, for themselves or for others to see.

mod copy;
mod discover;
mod edit;
mod export;
mod items;
mod link;
mod own;
mod record;
mod view;

pub(crate) use self::{
    copy::{__path_copy, copy},
    discover::{__path_discover, discover},
    edit::{
        __path_change, __path_create, __path_remove, __path_show_to, INSERT as INSERT_COLLECTION,
        change, create, gone, remove, show_to,
    },
    export::{__path_export, export},
    items::{
        __path_add_item, __path_change_item, __path_remove_item, add_item, change_item,
        insert as put, insert_item, remove_item, why_not,
    },
    link::{__path_end_link, __path_links, __path_new_link, end_link, links, new_link},
    own::{__path_list, list},
    record::ItemRead,
    view::{__path_public, __path_shared, __path_view, public, shared, view},
};

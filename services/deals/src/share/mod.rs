//! A listing for everybody who has the link.

mod crawler;
mod html;
mod manage;
mod page;

pub use self::page::warm_up;
pub(crate) use self::{
    crawler::is_crawler,
    manage::{__path_create, __path_list, __path_revoke, create, list, revoke},
    page::{__path_page, page},
};

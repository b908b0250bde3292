//! Listings that one user sends to another.

mod import;
mod lists;
mod preview;
mod record;
mod send;

pub(crate) use self::{
    import::{__path_import, import},
    lists::{__path_inbox, __path_sent, inbox, sent},
    preview::{__path_preview, preview},
    send::{__path_send, send},
};

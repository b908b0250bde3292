//! Friends: asking, answering, ending it. Two people have one friendship, whoever asked.
//!
//! | status | means | who may end it |
//! |---|---|---|
//! | pending | the requester waits for the addressee | both |
//! | accepted | they are friends | both |
//! | rejected | the addressee said no; either may ask again | both |
//! | blocked | the addressee wants no more requests | the addressee |

mod list;
mod pair;
mod remove;
mod request;
mod requests;
mod respond;

pub(crate) use self::{list::*, pair::*, remove::*, request::*, requests::*, respond::*};

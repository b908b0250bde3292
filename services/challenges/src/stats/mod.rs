//! Numbers of challenges: how members compare, and what one has behind oneself.

mod challenge;
mod dashboard;
mod history;
mod leaderboard;
mod rank;

pub(crate) use self::{challenge::*, dashboard::*, history::*, leaderboard::*};

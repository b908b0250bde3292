//! A listing sent to somebody, as it is stored and as it is shown.

use chrono::{DateTime, Utc};
use serde::Serialize;
use service_kit::{clock::now, problem::Problem};
use sqlx_macros::FromRow;

use crate::listing::{ListingSummary, SummaryRow};

/// The columns of a [`UserShareRow`]; `m` is the share, `sn` its sender, `rc` its recipient.
pub(super) const COLUMNS: &str = "m.id AS share_id, m.sender_id, m.recipient_id, m.listing_id, \
    m.share_token, m.message, m.shared_at, m.expires_at, m.viewed_at, m.imported_at, \
    sn.username AS sender_username, sn.display_name AS sender_name, rc.username AS recipient_username";

/// Who sent it and to whom.
pub(super) const PEOPLE: &str = "
JOIN \"user\" AS sn ON sn.id = m.sender_id
JOIN \"user\" AS rc ON rc.id = m.recipient_id";

/// A row of [`COLUMNS`] and a listing's summary.
#[derive(FromRow)]
pub(super) struct UserShareRow {
    pub(super) share_id: i64,
    pub(super) sender_id: i64,
    pub(super) recipient_id: i64,
    pub(super) listing_id: i64,
    pub(super) share_token: String,
    pub(super) message: Option<String>,
    pub(super) shared_at: DateTime<Utc>,
    pub(super) expires_at: DateTime<Utc>,
    pub(super) viewed_at: Option<DateTime<Utc>>,
    pub(super) imported_at: Option<DateTime<Utc>>,
    sender_username: String,
    sender_name: Option<String>,
    recipient_username: String,
    #[sqlx(flatten)]
    listing: SummaryRow,
}

/// A listing sent to somebody.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct UserShareRead {
    id: i64,
    sender_id: i64,
    sender_username: String,
    sender_name: Option<String>,
    recipient_id: i64,
    recipient_username: String,
    listing_id: i64,
    share_token: String,
    message: Option<String>,
    shared_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
    viewed_at: Option<DateTime<Utc>>,
    imported_at: Option<DateTime<Utc>>,
    is_expired: bool,
    is_viewed: bool,
    is_imported: bool,
    listing: ListingSummary,
}

impl UserShareRow {
    pub(super) fn is_expired(&self) -> bool {
        self.expires_at <= now()
    }

    pub(super) fn read(self) -> UserShareRead {
        UserShareRead {
            is_expired: self.is_expired(),
            is_viewed: self.viewed_at.is_some(),
            is_imported: self.imported_at.is_some(),
            id: self.share_id,
            sender_id: self.sender_id,
            sender_username: self.sender_username,
            sender_name: self.sender_name,
            recipient_id: self.recipient_id,
            recipient_username: self.recipient_username,
            listing_id: self.listing_id,
            share_token: self.share_token,
            message: self.message,
            shared_at: self.shared_at,
            expires_at: self.expires_at,
            viewed_at: self.viewed_at,
            imported_at: self.imported_at,
            listing: self.listing.into(),
        }
    }
}

pub(super) fn unknown() -> Problem {
    Problem::not_found("there is no such share, or it has expired")
}

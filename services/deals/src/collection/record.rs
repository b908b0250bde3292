//! A collection and its items, as they are stored and as they are shown.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use service_kit::problem::Problem;
use sqlx_macros::FromRow;

use crate::{app::State, listing::ListingSummary};

pub(super) const LONGEST_NAME: usize = 100;
pub(super) const LONGEST_DESCRIPTION: usize = 1000;
pub(super) const LONGEST_NOTES: usize = 500;
/// Who may see a collection; the first one unless its owner says otherwise.
pub(super) const VISIBILITIES: [&str; 3] = ["private", "unlisted", "public"];
/// What its owner thinks of an item; the first one unless they say otherwise.
pub(super) const STATUSES: [&str; 4] = ["undecided", "shortlisted", "rejected", "bought"];

/// The columns of a [`CollectionRow`]; `c` is the collection.
pub(super) const COLUMNS: &str = "c.id, c.user_id, c.name, c.description, c.visibility, c.created_at, \
    c.updated_at, (SELECT count(*) FROM collection_item AS n WHERE n.collection_id = c.id) AS item_count";

/// A row of [`COLUMNS`].
#[derive(Debug, FromRow)]
pub(super) struct CollectionRow {
    pub(super) id: i64,
    pub(super) user_id: i64,
    pub(super) name: String,
    pub(super) description: Option<String>,
    pub(super) visibility: String,
    pub(super) created_at: DateTime<Utc>,
    pub(super) updated_at: DateTime<Utc>,
    pub(super) item_count: i64,
}

/// A collection as its owner sees it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct CollectionRead {
    pub(super) id: i64,
    pub(super) user_id: i64,
    pub(super) name: String,
    pub(super) description: Option<String>,
    /// private, unlisted or public.
    pub(super) visibility: String,
    pub(super) created_at: DateTime<Utc>,
    pub(super) updated_at: DateTime<Utc>,
    /// Items in all, not on this page.
    pub(super) item_count: i64,
    pub(super) items: Option<Vec<ItemRead>>,
    /// Items on a page, where there are items.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) limit: Option<i64>,
    /// Whether there is another page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) has_next: Option<bool>,
    /// Value for `cursor=` of the next page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) next_cursor: Option<String>,
}

/// A collection as everybody sees it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct PublicCollectionRead {
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) description: Option<String>,
    pub(super) visibility: String,
    pub(super) owner_username: String,
    pub(super) created_at: DateTime<Utc>,
    pub(super) updated_at: DateTime<Utc>,
    pub(super) item_count: i64,
    pub(super) items: Option<Vec<ItemRead>>,
    /// Items on a page, where there are items.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) limit: Option<i64>,
    /// Whether there is another page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) has_next: Option<bool>,
    /// Value for `cursor=` of the next page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) next_cursor: Option<String>,
}

/// Which part of the items an answer shows. More than 200 come in pages.
#[derive(Debug)]
pub(crate) struct ItemPage {
    /// Items on a page.
    pub(super) limit: i64,
    pub(super) has_next: bool,
    /// Value for `cursor=` of the next page.
    pub(super) next_cursor: Option<String>,
}

/// A listing in a collection.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub(crate) struct ItemRead {
    pub(crate) id: i64,
    pub(crate) collection_id: i64,
    pub(crate) listing_id: i64,
    /// undecided, shortlisted, rejected or bought.
    pub(crate) status: String,
    /// Only its owner sees them.
    pub(crate) notes: Option<String>,
    pub(crate) position: Option<i64>,
    pub(crate) added_at: DateTime<Utc>,
    pub(crate) updated_at: DateTime<Utc>,
    /// What it is; left out with `expand=none`, and in answers to changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) listing: Option<ListingSummary>,
}

/// The columns of an [`ItemRow`]; `i` is the item.
pub(super) const ITEM: &str = "i.id AS item_id, i.collection_id, i.listing_id, i.status AS item_status, \
    i.notes, i.position, i.added_at, i.updated_at AS item_updated_at";

/// A row of [`ITEM`].
#[derive(Debug, FromRow)]
pub(super) struct ItemRow {
    pub(super) item_id: i64,
    pub(super) collection_id: i64,
    pub(super) listing_id: i64,
    pub(super) item_status: String,
    pub(super) notes: Option<String>,
    pub(super) position: Option<i64>,
    pub(super) added_at: DateTime<Utc>,
    pub(super) item_updated_at: DateTime<Utc>,
}

impl ItemRow {
    pub(super) fn read(self, listing: Option<ListingSummary>) -> ItemRead {
        ItemRead {
            id: self.item_id,
            collection_id: self.collection_id,
            listing_id: self.listing_id,
            status: self.item_status,
            notes: self.notes,
            position: self.position,
            added_at: self.added_at,
            updated_at: self.item_updated_at,
            listing,
        }
    }
}

impl CollectionRow {
    pub(super) fn read(self) -> CollectionRead {
        CollectionRead {
            id: self.id,
            user_id: self.user_id,
            name: self.name,
            description: self.description,
            visibility: self.visibility,
            created_at: self.created_at,
            updated_at: self.updated_at,
            item_count: self.item_count,
            items: None,
            limit: None,
            has_next: None,
            next_cursor: None,
        }
    }

    pub(super) fn read_by_all(self, owner_username: String) -> PublicCollectionRead {
        PublicCollectionRead {
            id: self.id,
            name: self.name,
            description: self.description,
            visibility: self.visibility,
            owner_username,
            created_at: self.created_at,
            updated_at: self.updated_at,
            item_count: self.item_count,
            items: None,
            limit: None,
            has_next: None,
            next_cursor: None,
        }
    }
}

pub(super) fn unknown() -> Problem {
    Problem::not_found("there is no such collection")
}

/// The collection is another user's: 403, or 404 where that is set, which does not say that it
/// exists.
pub(super) fn foreign(state: &State) -> Problem {
    match state.hides_foreign {
        true => unknown(),
        false => Problem::forbidden("this collection is another user's"),
    }
}

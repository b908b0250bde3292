//! Telling somebody something, in the transaction in which it happens.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Map, Value as Json, json};
use service_kit::{
    database::{Transaction, Value, insert_rows},
    uuid::Uuid,
};
use sqlx_macros::FromRow;

/// What it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    FriendRequest,
    FriendAccepted,
    ChallengeStarted,
    ChallengeCompleted,
    HitchReminder,
    MemberJoined,
    MemberLeft,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::FriendRequest => "friend_request",
            Self::FriendAccepted => "friend_accepted",
            Self::ChallengeStarted => "challenge_started",
            Self::ChallengeCompleted => "challenge_completed",
            Self::HitchReminder => "hitch_reminder",
            Self::MemberJoined => "member_joined",
            Self::MemberLeft => "member_left",
        }
    }
}

/// Something to tell.
#[derive(Debug)]
pub(crate) struct Note {
    to: Uuid,
    kind: Kind,
    title: &'static str,
    body: String,
    data: Map<String, Json>,
    action_url: Option<String>,
}

impl Note {
    pub(crate) fn new(to: Uuid, kind: Kind) -> Self {
        Self {
            to,
            kind,
            title: "",
            body: String::new(),
            data: Map::new(),
            action_url: None,
        }
    }

    pub(crate) fn says(mut self, title: &'static str, body: String) -> Self {
        self.title = title;
        self.body = body;
        self
    }

    pub(crate) fn leads_to(mut self, place: String) -> Self {
        self.action_url = Some(place);
        self
    }

    pub(crate) fn with(mut self, name: &str, value: impl Serialize) -> Self {
        self.data.insert(name.to_owned(), json!(value));
        self
    }

    fn row(self, now: DateTime<Utc>) -> Vec<Value> {
        vec![
            Uuid::new().into(),
            self.to.into(),
            self.kind.name().into(),
            self.title.into(),
            self.body.into(),
            Json::Object(self.data).into(),
            self.action_url.into(),
            now.into(),
        ]
    }
}

const INSERT: &str =
    "INSERT INTO notifications (id, user_id, type, title, body, data, action_url, created_at)";

/// Tells all of it, with one statement.
pub(crate) async fn tell(
    tx: &mut Transaction,
    notes: Vec<Note>,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    if notes.is_empty() {
        return Ok(());
    }
    let rows = notes.into_iter().map(|note| note.row(now)).collect();
    insert_rows(INSERT, rows).execute(tx).await?;
    Ok(())
}

/// Something that somebody was told.
#[derive(Debug, FromRow)]
pub(super) struct NotificationRow {
    pub(super) id: Uuid,
    user_id: Uuid,
    #[sqlx(rename = "type")]
    kind: String,
    title: String,
    body: String,
    data: sqlx::types::Json<Json>,
    action_url: Option<String>,
    is_read: bool,
    read_at: Option<DateTime<Utc>>,
    pub(super) created_at: DateTime<Utc>,
}

/// Something that one was told.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Notification {
    id: Uuid,
    user_id: Uuid,
    #[serde(rename = "type")]
    kind: String,
    title: String,
    body: String,
    /// Ids of what it is about, by name.
    #[schema(value_type = std::collections::BTreeMap<String, String>)]
    data: Json,
    /// Where it leads in the application.
    action_url: Option<String>,
    is_read: bool,
    read_at: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
}

pub(super) const COLUMNS: &str = "n.id, n.user_id, n.type, n.title, n.body, n.data, n.action_url, n.is_read, n.read_at, n.created_at";

impl NotificationRow {
    pub(super) fn shown(self) -> Notification {
        Notification {
            id: self.id,
            user_id: self.user_id,
            kind: self.kind,
            title: self.title,
            body: self.body,
            data: self.data.0,
            action_url: self.action_url,
            is_read: self.is_read,
            read_at: self.read_at,
            created_at: self.created_at,
        }
    }
}

//! Finding collections of others.

use axum::{Json, extract::State as FromState};
use service_kit::{
    database::{Database, Dialect, Value, query},
    fields::{bound, check, choice, within},
    page::DEEPEST,
    partial::{self, small},
    problem::{Fields, Problem},
    query::Params,
};
use sqlx_macros::FromRow;

use super::record::{COLUMNS, CollectionRow, PublicCollectionRead};
use crate::app::State;

const LONGEST_SEARCH: usize = 100;
/// What the index of SQLite knows: shorter texts are looked for in each row.
const TRIGRAM: usize = 3;

#[derive(FromRow)]
struct FoundRow {
    #[sqlx(flatten)]
    collection: CollectionRow,
    username: String,
}

/// Public collections
///
/// All filters together. `popular` are those whose links were looked at most.
#[utoipa::path(get, path = "/api/v1/collections/discover/", tag = "collections", params(
    ("q" = Option<String>, Query, max_length = 100, description = "Part of name or description; also as `search`"),
    ("owner_id" = Option<i64>, Query, description = "Only of this user; also as `owner_filter`"),
    ("sort" = Option<String>, Query, pattern = "^(recent|popular)?$", description = "recent (the default) or popular"),
    ("limit" = Option<i64>, Query, minimum = 1, maximum = 100, description = "Collections to show; 20"),
    ("offset" = Option<i64>, Query, minimum = 0, maximum = 10000, description = "Collections to pass over"),
), responses((status = 200, description = "The collections, without items", body = Vec<PublicCollectionRead>)))]
#[tracing::instrument(name = "collections.discover", skip_all)]
pub(crate) async fn discover(
    FromState(state): FromState<State>,
    params: Params,
) -> Result<Json<Vec<PublicCollectionRead>>, Problem> {
    let wanted = Wanted::read(&params)?;
    let rows = wanted.find(&state.database).await?;
    tracing::info!(
        target: "dealbrain.analytics",
        "event=collection.discovered payload={{\"sort\":\"{}\",\"searched\":{},\"result_count\":{}}}",
        wanted.sort,
        wanted.text.is_some(),
        rows.len(),
    );
    let found = rows
        .into_iter()
        .map(|row| row.collection.read_by_all(row.username));
    Ok(Json(found.collect()))
}

struct Wanted {
    text: Option<String>,
    owner: Option<i64>,
    sort: &'static str,
    limit: i64,
    offset: i64,
}

impl Wanted {
    fn read(params: &Params) -> Result<Self, Problem> {
        let mut fields = Fields::new();
        let text = params.any(&["q", "search"]).map(|(name, text)| {
            bound(name, text, LONGEST_SEARCH, &mut fields);
            small(text)
        });
        let owner = params
            .any(&["owner_id", "owner_filter"])
            .map(|(name, _)| name);
        let owner = owner.and_then(|name| params.integer(name, &mut fields));
        let sort = params.get("sort").map(str::to_owned);
        let sort = choice("sort", sort, &["recent", "popular"], &mut fields);
        let limit = params.integer("limit", &mut fields);
        let limit = within("limit", limit, 20, 1..=100, &mut fields);
        let offset = params.integer("offset", &mut fields);
        let offset = within("offset", offset, 0, 0..=DEEPEST, &mut fields);
        check(fields)?;
        Ok(Self {
            text,
            owner,
            sort,
            limit,
            offset,
        })
    }

    async fn find(&self, database: &Database) -> Result<Vec<FoundRow>, sqlx::Error> {
        let mut values: Vec<Value> = Vec::new();
        let mut conditions = "c.visibility = 'public'".to_owned();
        if let Some(text) = &self.text {
            let (condition, value) = search(database.dialect(), text);
            values.push(value);
            conditions += &format!("\n  AND {condition}");
        }
        if let Some(owner) = self.owner {
            values.push(owner.into());
            conditions += &format!("\n  AND c.user_id = ${}", values.len());
        }
        let order = match self.sort {
            "popular" => "c.share_views DESC, c.created_at DESC, c.id DESC",
            _ => "c.created_at DESC, c.id DESC",
        };
        let (limit, offset) = (values.len() + 1, values.len() + 2);
        let text = format!(
            "SELECT {COLUMNS}, u.username
FROM collection AS c
JOIN \"user\" AS u ON u.id = c.user_id
WHERE {conditions}
ORDER BY {order}
LIMIT ${limit} OFFSET ${offset}"
        );
        let query = values
            .into_iter()
            .fold(query(text), |query, value| query.bind(value));
        query
            .bind(self.limit)
            .bind(self.offset)
            .fetch_all(database.read())
            .await
    }
}

/// The condition, whose placeholder is `$1`, and its value. Every character stands for itself.
fn search(dialect: Dialect, text: &str) -> (&'static str, Value) {
    if dialect == Dialect::Sqlite && text.chars().count() >= TRIGRAM {
        return (
            "c.id IN (SELECT s.rowid FROM collection_search AS s WHERE s.collection_search MATCH $1)",
            partial::phrase(text).into(),
        );
    }
    (
        "c.search_text LIKE $1 ESCAPE '\\'",
        partial::pattern(text).into(),
    )
}

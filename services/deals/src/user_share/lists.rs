//! What a user received and sent.

use axum::{Json, extract::State as FromState};
use service_kit::{
    clock::now,
    database::{Value, query},
    fields::{check, choice, within},
    page::DEEPEST,
    problem::{Fields, Problem},
    query::Params,
    token::Caller,
};

use super::record::{COLUMNS, PEOPLE, UserShareRead, UserShareRow};
use crate::{
    app::State,
    listing::{JOINS, SUMMARY},
};

struct Part {
    limit: i64,
    skip: i64,
}

impl Part {
    fn read(params: &Params, fields: &mut Fields) -> Self {
        let limit = params.integer("limit", fields);
        let limit = within("limit", limit, 20, 1..=100, fields);
        let name = params
            .any(&["skip", "offset"])
            .map_or("skip", |(name, _)| name);
        let skip = params.integer(name, fields);
        let skip = within(name, skip, 0, 0..=DEEPEST, fields);
        Self { limit, skip }
    }
}

/// Listings received, newest first
#[utoipa::path(get, path = "/api/v1/user-shares/", tag = "user shares", security(("bearer" = [])), params(
    ("filter" = Option<String>, Query, pattern = "^(all|unviewed|active)?$", description = "all (the default), unviewed, or active: neither expired nor imported"),
    ("limit" = Option<i64>, Query, minimum = 1, maximum = 100, description = "Shares to show; 20"),
    ("skip" = Option<i64>, Query, minimum = 0, maximum = 10000, description = "Shares to pass over; also as `offset`"),
), responses((status = 200, description = "The shares", body = Vec<UserShareRead>)))]
#[tracing::instrument(name = "user_shares.list_inbox", skip_all)]
pub(crate) async fn inbox(
    FromState(state): FromState<State>,
    caller: Caller,
    params: Params,
) -> Result<Json<Vec<UserShareRead>>, Problem> {
    let mut fields = Fields::new();
    let part = Part::read(&params, &mut fields);
    let filter = params.get("filter").map(str::to_owned);
    let filter = choice(
        "filter",
        filter,
        &["all", "unviewed", "active"],
        &mut fields,
    );
    check(fields)?;
    let mut values: Vec<Value> = vec![caller.id.into()];
    let condition = match filter {
        "unviewed" => "m.recipient_id = $1\n  AND m.viewed_at IS NULL",
        "active" => {
            values.push(now().into());
            "m.recipient_id = $1\n  AND m.imported_at IS NULL\n  AND m.expires_at > $2"
        }
        _ => "m.recipient_id = $1",
    };
    select(
        &state,
        condition,
        "m.shared_at DESC, m.id DESC",
        values,
        &part,
    )
    .await
}

/// Listings sent, newest first
#[utoipa::path(get, path = "/api/v1/user-shares/sent/", tag = "user shares", security(("bearer" = [])), params(
    ("limit" = Option<i64>, Query, minimum = 1, maximum = 100, description = "Shares to show; 20"),
    ("skip" = Option<i64>, Query, minimum = 0, maximum = 10000, description = "Shares to pass over; also as `offset`"),
), responses((status = 200, description = "The shares", body = Vec<UserShareRead>)))]
#[tracing::instrument(name = "user_shares.list_sent", skip_all)]
pub(crate) async fn sent(
    FromState(state): FromState<State>,
    caller: Caller,
    params: Params,
) -> Result<Json<Vec<UserShareRead>>, Problem> {
    let mut fields = Fields::new();
    let part = Part::read(&params, &mut fields);
    check(fields)?;
    let values = vec![caller.id.into()];
    select(
        &state,
        "m.sender_id = $1",
        "m.created_at DESC, m.id DESC",
        values,
        &part,
    )
    .await
}

async fn select(
    state: &State,
    condition: &str,
    order: &str,
    mut values: Vec<Value>,
    part: &Part,
) -> Result<Json<Vec<UserShareRead>>, Problem> {
    values.extend([part.limit.into(), part.skip.into()]);
    let (limit, skip) = (values.len() - 1, values.len());
    let text = format!(
        "SELECT {COLUMNS}, {SUMMARY}
FROM user_share AS m{PEOPLE}
JOIN listing AS l ON l.id = m.listing_id{JOINS}
WHERE {condition}
ORDER BY {order}
LIMIT ${limit} OFFSET ${skip}"
    );
    let query = values
        .into_iter()
        .fold(query(text), |query, value| query.bind(value));
    let rows: Vec<UserShareRow> = query.fetch_all(state.database.read()).await?;
    Ok(Json(rows.into_iter().map(UserShareRow::read).collect()))
}

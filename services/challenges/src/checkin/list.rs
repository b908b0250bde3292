//! One's own check-ins, in pages.

use axum::{Json, extract::State as FromState};
use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use service_kit::{
    database::{Value, query},
    problem::{Fields, Problem},
    query::Params,
    uuid::Uuid,
};
use sqlx_macros::FromRow;

use super::record::{COLUMNS, Checkin};
use crate::{
    app::State,
    caller::Caller,
    page::{PageInfo, Part},
    wording::check_query,
};

#[derive(FromRow)]
struct ListRow {
    #[sqlx(flatten)]
    checkin: Checkin,
    user_display_name: String,
    user_avatar_url: Option<String>,
}

/// A check-in in a list.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct CheckinOfUser {
    #[serde(flatten)]
    checkin: Checkin,
    user_display_name: String,
    user_avatar_url: Option<String>,
    is_you: bool,
}

/// A page of check-ins.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Checkins {
    checkins: Vec<CheckinOfUser>,
    #[serde(flatten)]
    page: PageInfo,
}

/// The place of a check-in in the list.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Place(NaiveDate, Uuid);

/// The numbers are kept with each check-in: nothing is counted here. `$1` caller.
pub(crate) const TOTAL: &str = "
SELECT p.total_check_ins
FROM user_profiles AS p
WHERE p.id = $1";

/// `$2` challenge.
pub(crate) const TOTAL_IN_CHALLENGE: &str = "
SELECT m.total_checkins
FROM challenge_members AS m
WHERE m.user_id = $1
  AND m.challenge_id = $2";

/// One's check-ins, newest day first
#[utoipa::path(get, path = "/api/v1/checkins/", tag = "check-ins", security(("bearer" = [])), params(
    ("challenge_id" = Option<String>, Query, pattern = "^([0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})?$", description = "Only of this challenge"),
    ("page" = Option<i64>, Query, minimum = 1, description = "The page, from 1"),
    ("limit" = Option<i64>, Query, minimum = 1, maximum = 100, description = "Check-ins on a page; 20"),
    ("cursor" = Option<String>, Query, pattern = "^$", description = "Goes on after the page that gave it, however deep"),
), responses((status = 200, description = "The page", body = Checkins)))]
#[tracing::instrument(name = "checkins.list", skip_all)]
pub(crate) async fn list(
    FromState(state): FromState<State>,
    caller: Caller,
    params: Params,
) -> Result<Json<Checkins>, Problem> {
    let mut fields = Fields::new();
    let part = Part::<Place>::read(&params, &mut fields);
    let challenge = id_of("challenge_id", &params, &mut fields);
    check_query(fields)?;
    let mut rows = read(&state, caller, challenge, &part).await?;
    let total = match part.tells_total(rows.len()) {
        Some(total) => total,
        None => total(&state, caller, challenge).await?,
    };
    let page = part.finish(&mut rows, total, |row| {
        Place(row.checkin.checkin_date, row.checkin.id)
    });
    let shown = rows.into_iter().map(|row| CheckinOfUser {
        is_you: row.checkin.user_id == caller.id,
        checkin: row.checkin,
        user_display_name: row.user_display_name,
        user_avatar_url: row.user_avatar_url,
    });
    Ok(Json(Checkins {
        checkins: shown.collect(),
        page,
    }))
}

/// An id in a query; a fault goes to `fields`.
fn id_of(name: &str, params: &Params, fields: &mut Fields) -> Option<Uuid> {
    let text = params.get(name)?;
    let id = text.parse().ok();
    if id.is_none() {
        fields.insert(name.to_owned(), "must be a UUID".to_owned());
    }
    id
}

async fn read(
    state: &State,
    caller: Caller,
    challenge: Option<Uuid>,
    part: &Part<Place>,
) -> Result<Vec<ListRow>, sqlx::Error> {
    let mut values: Vec<Value> = vec![caller.id.into()];
    let mut place = |value: Value| {
        values.push(value);
        format!("${}", values.len())
    };
    let mut condition = "k.user_id = $1".to_owned();
    if let Some(challenge) = challenge {
        condition += &format!("\n  AND k.challenge_id = {}", place(challenge.into()));
    }
    if let Some(Place(day, id)) = &part.after {
        let (day, id) = (place((*day).into()), place((*id).into()));
        condition += &format!("\n  AND (k.checkin_date, k.id) < ({day}, {id})");
    }
    let (limit, offset) = (place(part.rows().into()), place(part.offset().into()));
    let text = format!(
        "SELECT {COLUMNS}, p.display_name AS user_display_name, p.avatar_url AS user_avatar_url
FROM check_ins AS k
JOIN user_profiles AS p ON p.id = k.user_id
WHERE {condition}
ORDER BY k.checkin_date DESC, k.id DESC
LIMIT {limit} OFFSET {offset}"
    );
    let query = query(text).bind_all(values);
    query.fetch_all(state.database.read()).await
}

async fn total(state: &State, caller: Caller, challenge: Option<Uuid>) -> Result<i64, sqlx::Error> {
    let total = match challenge {
        None => query(TOTAL).bind(caller.id),
        Some(challenge) => query(TOTAL_IN_CHALLENGE).bind(caller.id).bind(challenge),
    };
    let found: Option<(i64,)> = total.fetch_optional(state.database.read()).await?;
    Ok(found.map_or(0, |(total,)| total))
}

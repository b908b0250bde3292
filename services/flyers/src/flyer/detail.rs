//! Reading one flyer.

use axum::{Json, extract::State as FromState};
use chrono::{DateTime, Utc};
use serde::Serialize;
use service_kit::{
    clock::now,
    database::query,
    id::Id,
    page::Link,
    problem::{Fields, Problem},
    query::Params,
    token::Caller,
};

use super::no_such_flyer;
use crate::{
    app::State,
    describe::PlaceParams,
    expiry::Status,
    feed::{Card, CardRow, Extras, point_of, present},
    geo::Point,
};

/// One flyer with its creator. `$1` flyer, `$2` signed-in user or null.
pub(crate) const DETAIL: &str = "
SELECT f.id, f.title, f.caption, f.info_field_1, f.info_field_2,
       f.location_address, f.latitude, f.longitude,
       f.publication_date, f.expiration_date, f.is_active, f.created_at,
       f.creator_id, u.username, p.name AS creator_name, p.profile_picture AS creator_picture,
       CAST(NULL AS DOUBLE PRECISION) AS haversine,
       EXISTS (SELECT 1 FROM favorites AS v WHERE v.user_id = $2 AND v.flyer_id = f.id) AS is_favorited,
       EXISTS (SELECT 1 FROM follows AS w WHERE w.follower_id = $2 AND w.followed_id = f.creator_id) AS is_following,
       f.version
FROM flyers AS f
JOIN users AS u ON u.id = f.creator_id
JOIN profiles AS p ON p.user_id = f.creator_id
WHERE f.id = $1";

/// A flyer and what its owner may do with it.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Detail {
    #[serde(flatten)]
    card: Card,
    is_owner: bool,
    can_edit: bool,
    /// What an edit form needs; for the owner alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    editable: Option<Editable>,
}

#[derive(Serialize, utoipa::ToSchema)]
struct Editable {
    publication_date: DateTime<Utc>,
    expiration_date: DateTime<Utc>,
    is_active: bool,
    version: i64,
}

#[derive(sqlx_macros::FromRow)]
struct DetailRow {
    #[sqlx(flatten)]
    card: CardRow,
    version: i64,
}

/// One flyer
///
/// With all its pictures, and the distance if the caller says where they are. A flyer
/// that is expired, turned off or scheduled is there for its owner alone.
#[utoipa::path(get, path = "/api/v1/flyers/{id}/", params(
    ("id" = i64, Path, description = "The flyer"), PlaceParams,
), security((), ("bearer" = [])), responses(
    (status = 200, description = "The flyer", body = Detail),
    (status = 404, description = "There is none that the caller may see"),
))]
pub(crate) async fn detail(
    FromState(state): FromState<State>,
    id: Id,
    caller: Option<Caller>,
    params: Params,
    link: Link,
) -> Result<Json<Detail>, Problem> {
    let mut fields = Fields::new();
    let from = point_of(&params, &mut fields);
    if !fields.is_empty() {
        return Err(Problem::validation(fields));
    }
    let id = id.or(no_such_flyer)?;
    load(&state, id, caller, from, now(), &link).await.map(Json)
}

/// A flyer as the caller sees it.
///
/// # Errors
/// 404 when there is none that they may see.
pub(super) async fn load(
    state: &State,
    id: i64,
    caller: Option<Caller>,
    from: Option<Point>,
    now: DateTime<Utc>,
    link: &Link,
) -> Result<Detail, Problem> {
    let viewer = caller.map(|caller| caller.id);
    let row: Option<DetailRow> = query(DETAIL)
        .bind(id)
        .bind(viewer)
        .fetch_optional(state.database.read())
        .await?;
    let DetailRow { card: row, version } = row.ok_or_else(no_such_flyer)?;
    let is_owner = viewer == Some(row.creator_id);
    let validity = row.validity();
    if !is_owner && validity.status(now) != Status::Active {
        return Err(no_such_flyer());
    }
    let mut extras = Extras::load(state, &[id]).await?;
    Ok(Detail {
        card: present(row, &mut extras, from, viewer, now, link),
        is_owner,
        can_edit: is_owner,
        editable: is_owner.then_some(Editable {
            publication_date: validity.publication,
            expiration_date: validity.expiration,
            is_active: validity.is_active,
            version,
        }),
    })
}

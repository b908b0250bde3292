//! Who has kept which habit on a day: each member that takes part, with each habit.

use chrono::{DateTime, NaiveDate, Utc};
use service_kit::{
    database::{Database, query},
    uuid::Uuid,
};
use sqlx_macros::FromRow;

/// One habit of one member on the day.
#[derive(Debug, FromRow)]
pub(crate) struct Cell {
    pub(crate) user_id: Uuid,
    pub(crate) display_name: String,
    pub(crate) avatar_url: Option<String>,
    pub(crate) habit_id: Uuid,
    pub(crate) habit_name: String,
    pub(crate) habit_icon: Option<String>,
    /// Nothing: not kept.
    pub(crate) checked_in_at: Option<DateTime<Utc>>,
    pub(crate) photo_url: Option<String>,
    display_order: i64,
}

/// `$1` challenge, `$2` day. By member, the first one first. Fifty members with four habits at most.
pub(crate) const GRID: &str = "
SELECT m.user_id, p.display_name, p.avatar_url, h.id AS habit_id, coalesce(ch.custom_name, h.name) AS habit_name,
    coalesce(ch.custom_icon, h.icon) AS habit_icon, k.created_at AS checked_in_at, k.photo_url, ch.display_order
FROM challenge_members AS m
JOIN user_profiles AS p ON p.id = m.user_id
JOIN challenge_habits AS ch ON ch.challenge_id = m.challenge_id
JOIN habits AS h ON h.id = ch.habit_id
LEFT JOIN check_ins AS k ON k.challenge_id = $1
    AND k.checkin_date = $2
    AND k.user_id = m.user_id
    AND k.habit_id = ch.habit_id
    AND k.status = 'completed'
WHERE m.challenge_id = $1
  AND m.status = 'active'
ORDER BY m.joined_at, m.id";

/// All cells of a day, by member, then by habit in its order.
pub(crate) async fn grid(
    database: &Database,
    challenge: Uuid,
    day: NaiveDate,
) -> Result<Vec<Cell>, sqlx::Error> {
    let cells = query(GRID).bind(challenge).bind(day);
    let mut cells: Vec<Cell> = cells.fetch_all(database.read()).await?;
    for of_member in cells.chunk_by_mut(|one, next| one.user_id == next.user_id) {
        of_member.sort_by_key(|cell| (cell.display_order, cell.habit_id));
    }
    Ok(cells)
}

//! The sweep: turns off flyers whose time is over, so that lists need not walk past them.
//!
//! Nothing depends on it. Every statement looks at the dates itself; a flyer that is expired
//! but not swept yet is shown to nobody. Several instances may sweep at the same time.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use service_kit::{
    clock::now,
    config::ConfigError,
    database::{Database, Dialect, Text, query},
    storage::Storage,
    text,
};
use tokio::{sync::oneshot, task::JoinHandle, time::MissedTickBehavior};
use tracing::Instrument as _;

use crate::pictures;

/// Turns off some of what has expired, the longest expired first. `$1` now, `$2` how many.
///
/// On PostgreSQL rows that another instance sweeps or a user changes are passed over.
pub(crate) const TURN_OFF: Text = text!(
    "
UPDATE flyers
SET is_active = FALSE
WHERE id IN (
    SELECT f.id
    FROM flyers AS f"
    { " INDEXED BY flyers_active_expiration" | "" }
    "
    WHERE f.is_active = TRUE
      AND f.expiration_date <= $1
    ORDER BY f.expiration_date
    LIMIT $2"
    { "" | "
    FOR NO KEY UPDATE SKIP LOCKED" }
    "
)");

/// Flyers of one transaction: about 15 ms of SQLite's only writer.
const BATCH: i64 = 500;
/// Between two transactions, so that writers get through.
const PAUSE: Duration = Duration::from_millis(50);
/// How often the sweep runs unless told otherwise.
const INTERVAL: Duration = Duration::from_secs(60);
/// How often files are looked at whose change nobody ended. They wait that long anyway.
const TRASH_INTERVAL: Duration = Duration::from_secs(15 * 60);

/// How often to sweep: `SWEEP_INTERVAL_S`, a minute unless told otherwise, 0 is never.
///
/// # Errors
/// The variable is no number of seconds up to a day.
pub fn interval_from_env(
    lookup: impl Fn(&str) -> Option<String>,
) -> Result<Option<Duration>, ConfigError> {
    let text = lookup("SWEEP_INTERVAL_S").filter(|text| !text.trim().is_empty());
    let Some(text) = text else {
        return Ok(Some(INTERVAL));
    };
    match text.trim().parse() {
        Ok(0) => Ok(None),
        Ok(seconds @ 1..=86_400) => Ok(Some(Duration::from_secs(seconds))),
        _ => Err(ConfigError {
            variable: "SWEEP_INTERVAL_S",
            problem: format!("`{text}` is not a number in range"),
            remedy: "give a whole number from 0 (never) to 86400".to_owned(),
        }),
    }
}

/// Turns off all that has expired by `now`, in batches. Gives the number of flyers.
///
/// # Errors
/// The database fails. What was turned off until then stays so.
pub async fn sweep(database: &Database, now: DateTime<Utc>) -> Result<u64, sqlx::Error> {
    let mut swept = 0;
    loop {
        let batch = query(TURN_OFF)
            .bind(now)
            .bind(BATCH)
            .execute(database.write())
            .await?;
        swept += batch;
        if batch < BATCH.unsigned_abs() {
            break;
        }
        tokio::time::sleep(PAUSE).await;
    }
    // PostgreSQL renews its statistics by itself, SQLite when it is asked to.
    if swept > 0 && database.dialect() == Dialect::Sqlite {
        query("PRAGMA optimize").execute(database.write()).await?;
    }
    Ok(swept)
}

/// The housekeeping of a service: sweeps, and looks at files whose change nobody ended.
#[derive(Debug)]
pub struct Housekeeping {
    task: JoinHandle<()>,
    stop: oneshot::Sender<()>,
}

impl Housekeeping {
    /// Begins at once, in the background.
    pub fn start(database: Database, storage: Storage, sweep_every: Option<Duration>) -> Self {
        let (stop, stopped) = oneshot::channel();
        let work = async move {
            let work = async {
                tokio::join!(
                    sweep_forever(&database, sweep_every),
                    look_at_trash_forever(&database, &storage)
                )
            };
            tokio::select! {
                _ = work => {}
                _ = stopped => {}
            }
        };
        // A span of its own: what it asks belongs to no request.
        let span = tracing::info_span!(parent: None, "housekeeping");
        Self {
            task: tokio::spawn(work.instrument(span)),
            stop,
        }
    }

    /// Ends it, in the middle of a sweep if need be.
    pub async fn end(self) {
        // Nobody listens only when it has ended already.
        let _gone = self.stop.send(());
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the housekeeping broke");
        }
    }
}

async fn sweep_forever(database: &Database, every: Option<Duration>) {
    let Some(every) = every else {
        return std::future::pending().await;
    };
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let started = Instant::now();
        match sweep(database, now()).await {
            Ok(0) => tracing::debug!("no flyer has expired"),
            Ok(swept) => {
                let took_ms = started.elapsed().as_secs_f64() * 1e3;
                tracing::info!(swept, took_ms, "expired flyers were turned off");
            }
            Err(error) => tracing::warn!(%error, "the sweep failed; it is tried again"),
        }
    }
}

async fn look_at_trash_forever(database: &Database, storage: &Storage) {
    loop {
        tokio::time::sleep(TRASH_INTERVAL).await;
        if let Err(error) = recover(database, storage).await {
            tracing::warn!(%error, "the trash could not be settled; it is tried again");
        }
    }
}

/// Makes files agree with rows where a process ended, or lost its database, half way.
///
/// # Errors
/// The store or the database fails.
pub async fn recover(
    database: &Database,
    storage: &Storage,
) -> Result<(), service_kit::storage::StorageError> {
    storage
        .recover(|files| pictures::referenced(database, files))
        .await
        .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_is_a_minute_or_what_is_said() {
        let read = |text: &str| interval_from_env(|_| Some(text.to_owned()));
        assert_eq!(read("").unwrap(), Some(INTERVAL));
        assert_eq!(read("0").unwrap(), None);
        assert_eq!(read(" 5 ").unwrap(), Some(Duration::from_secs(5)));
        for wrong in ["-1", "86401", "1m", "1.5"] {
            let error = read(wrong).unwrap_err();
            assert_eq!(error.variable, "SWEEP_INTERVAL_S");
        }
    }
}

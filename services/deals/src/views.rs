//! Counting who looked at a link: in memory at once, in the database once a second.
//!
//! Every view counts, cached or not, and an answer shows what is stored and what waits. A process
//! that is killed loses at most the second that waited; one that is told to stop loses nothing.
//! Views that another process counted are seen when this one stores its own.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde_json::json;
use service_kit::{
    database::{Database, Text, query},
    text,
};
use tokio::{sync::watch, task::JoinHandle, time::interval};

/// How often views are stored.
pub const STORE_EVERY: Duration = Duration::from_secs(1);
/// A link that nobody looked at for so many rounds is forgotten here.
const IDLE_ROUNDS: u32 = 600;

/// What was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Link {
    /// A link to a listing, by the id of its row.
    Listing(i64),
    /// A link to a collection, by the id of its row.
    Collection(i64),
}

#[derive(Debug, Clone, Copy, Default)]
struct Count {
    /// As the database had it when views were stored last; before that, as who looked knew it.
    stored: i64,
    waiting: i64,
    waiting_crawlers: i64,
    /// On their way to the database.
    under_way: i64,
    under_way_crawlers: i64,
    idle: u32,
}

/// Views that are counted and not stored yet. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Views(Arc<Mutex<HashMap<Link, Count>>>);

impl Views {
    /// Counts one view; gives how many there are with it. `stored` is what the database had when
    /// the caller read it, or an older value.
    pub fn count(&self, link: Link, stored: i64, by_crawler: bool) -> i64 {
        let mut counts = self.lock();
        let count = counts.entry(link).or_default();
        count.stored = count.stored.max(stored);
        count.waiting += 1;
        count.waiting_crawlers += i64::from(by_crawler);
        count.idle = 0;
        count.stored + count.under_way + count.waiting
    }

    /// Views, and those by crawlers among them, that the database does not have yet.
    pub fn waiting(&self, link: Link) -> (i64, i64) {
        let count = self.lock().get(&link).copied().unwrap_or_default();
        (
            count.waiting + count.under_way,
            count.waiting_crawlers + count.under_way_crawlers,
        )
    }

    /// Stores what waits. What cannot be stored waits on.
    ///
    /// # Errors
    /// The database fails.
    pub async fn store(&self, database: &Database) -> Result<(), sqlx::Error> {
        let taken = self.take();
        if taken.is_empty() {
            return Ok(());
        }
        let stored = store_all(database, &taken).await;
        match stored {
            Ok(now) => {
                self.settle(&taken, &now);
                Ok(())
            }
            Err(error) => {
                self.give_back(&taken);
                Err(error)
            }
        }
    }

    fn take(&self) -> Vec<(Link, i64, i64)> {
        let mut counts = self.lock();
        counts.retain(|_, count| {
            count.idle += 1;
            count.waiting > 0 || count.under_way > 0 || count.idle < IDLE_ROUNDS
        });
        let mut taken = Vec::new();
        for (link, count) in counts.iter_mut().filter(|(_, count)| count.waiting > 0) {
            taken.push((*link, count.waiting, count.waiting_crawlers));
            count.under_way += std::mem::take(&mut count.waiting);
            count.under_way_crawlers += std::mem::take(&mut count.waiting_crawlers);
        }
        // Rows are locked in one order by all processes.
        taken.sort_unstable();
        taken
    }

    fn settle(&self, taken: &[(Link, i64, i64)], now: &HashMap<Link, i64>) {
        let mut counts = self.lock();
        for (link, views, crawlers) in taken {
            let Some(count) = counts.get_mut(link) else {
                continue;
            };
            count.under_way -= views;
            count.under_way_crawlers -= crawlers;
            // A link that is gone is not looked at again.
            count.stored = now.get(link).copied().unwrap_or(count.stored);
        }
    }

    fn give_back(&self, taken: &[(Link, i64, i64)]) {
        let mut counts = self.lock();
        for (link, views, crawlers) in taken {
            let count = counts.entry(*link).or_default();
            count.under_way -= views;
            count.under_way_crawlers -= crawlers;
            count.waiting += views;
            count.waiting_crawlers += crawlers;
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Link, Count>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `$1`: `[[id, views, views by crawlers], …]`. All of them in one statement.
pub(crate) const LISTINGS: Text = text!(
    "UPDATE listing_share AS s
     SET view_count = s.view_count + v.views, crawler_views = s.crawler_views + v.crawlers
     FROM (" {
     "SELECT value ->> 0 AS id, value ->> 1 AS views, value ->> 2 AS crawlers FROM json_each($1)" |
     "SELECT (j ->> 0)::bigint AS id, (j ->> 1)::bigint AS views, (j ->> 2)::bigint AS crawlers FROM jsonb_array_elements($1::jsonb) AS j"
     } ") AS v
     WHERE s.id = v.id
     RETURNING " { "id, view_count" | "s.id, s.view_count" }
);

/// The same for links to collections.
pub(crate) const COLLECTIONS: Text = text!(
    "UPDATE collection_share_token AS s
     SET view_count = s.view_count + v.views, crawler_views = s.crawler_views + v.crawlers
     FROM (" {
     "SELECT value ->> 0 AS id, value ->> 1 AS views, value ->> 2 AS crawlers FROM json_each($1)" |
     "SELECT (j ->> 0)::bigint AS id, (j ->> 1)::bigint AS views, (j ->> 2)::bigint AS crawlers FROM jsonb_array_elements($1::jsonb) AS j"
     } ") AS v
     WHERE s.id = v.id
     RETURNING " { "id, view_count" | "s.id, s.view_count" }
);

/// The sum of all links of each collection, by which "popular" is sorted.
pub(crate) const SUMS: Text = text!(
    "UPDATE collection AS c
     SET share_views = c.share_views + v.views
     FROM (SELECT t.collection_id, sum(w.views)" { "" | "::bigint" } " AS views
           FROM (" {
           "SELECT value ->> 0 AS id, value ->> 1 AS views FROM json_each($1)" |
           "SELECT (j ->> 0)::bigint AS id, (j ->> 1)::bigint AS views FROM jsonb_array_elements($1::jsonb) AS j"
           } ") AS w
           JOIN collection_share_token AS t ON t.id = w.id
           GROUP BY t.collection_id) AS v
     WHERE c.id = v.collection_id"
);

/// Gives what the database has now.
async fn store_all(
    database: &Database,
    taken: &[(Link, i64, i64)],
) -> Result<HashMap<Link, i64>, sqlx::Error> {
    let of = |wanted: fn(&Link) -> Option<i64>| {
        let rows = taken.iter();
        let rows =
            rows.filter_map(|(link, views, crawlers)| Some((wanted(link)?, *views, *crawlers)));
        rows.collect::<Vec<_>>()
    };
    let listings = of(|link| match link {
        Link::Listing(id) => Some(*id),
        Link::Collection(_) => None,
    });
    let collections = of(|link| match link {
        Link::Collection(id) => Some(*id),
        Link::Listing(_) => None,
    });
    let mut now = HashMap::new();
    let mut tx = database.begin().await?;
    if !listings.is_empty() {
        let rows: Vec<(i64, i64)> = query(LISTINGS)
            .bind(json!(listings).to_string())
            .fetch_all(&mut tx)
            .await?;
        now.extend(
            rows.into_iter()
                .map(|(id, views)| (Link::Listing(id), views)),
        );
    }
    if !collections.is_empty() {
        let json = json!(collections).to_string();
        let rows: Vec<(i64, i64)> = query(COLLECTIONS)
            .bind(json.as_str())
            .fetch_all(&mut tx)
            .await?;
        now.extend(
            rows.into_iter()
                .map(|(id, views)| (Link::Collection(id), views)),
        );
        query(SUMS).bind(json).execute(&mut tx).await?;
    }
    tx.commit().await?;
    Ok(now)
}

/// Stores views again and again.
#[derive(Debug)]
pub struct Storing {
    stop: watch::Sender<bool>,
    running: JoinHandle<()>,
    views: Views,
    database: Database,
}

impl Storing {
    /// Begins.
    pub fn start(views: &Views, database: &Database) -> Self {
        let (stop, mut stopped) = watch::channel(false);
        let (here, there) = (views.clone(), database.clone());
        let running = tokio::spawn(async move {
            let mut rounds = interval(STORE_EVERY);
            loop {
                tokio::select! {
                    _ = rounds.tick() => store_or_say(&here, &there).await,
                    _ = stopped.changed() => return,
                }
            }
        });
        Self {
            stop,
            running,
            views: views.clone(),
            database: database.clone(),
        }
    }

    /// Stores what is left. To be called when nobody looks any more.
    pub async fn end(self) {
        // A round under way is waited for.
        let _gone = self.stop.send(true);
        let _ended = self.running.await;
        store_or_say(&self.views, &self.database).await;
    }
}

async fn store_or_say(views: &Views, database: &Database) {
    if let Err(error) = views.store(database).await {
        tracing::warn!(%error, "views could not be stored; they wait");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_shows_what_is_stored_and_what_waits() {
        let views = Views::default();
        let link = Link::Listing(7);
        assert_eq!(views.count(link, 10, false), 11);
        assert_eq!(views.count(link, 10, true), 12);
        let taken = views.take();
        assert_eq!(taken, [(link, 2, 1)]);
        // While they are on their way, and while they wait again.
        assert_eq!(views.count(link, 10, false), 13);
        views.give_back(&taken);
        assert_eq!(views.waiting(link), (3, 1));
        let taken = views.take();
        views.settle(&taken, &HashMap::from([(link, 40)]));
        assert_eq!(views.count(link, 10, false), 41);
    }

    #[test]
    fn links_that_nobody_looks_at_are_forgotten() {
        let views = Views::default();
        views.count(Link::Collection(1), 0, false);
        let taken = views.take();
        views.settle(&taken, &HashMap::new());
        for _ in 0..=IDLE_ROUNDS {
            assert!(views.take().is_empty());
        }
        assert!(views.lock().is_empty());
    }
}

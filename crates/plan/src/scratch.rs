//! A database of PostgreSQL that is made for one purpose and dropped afterwards.

use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection as _, postgres::PgConnectOptions};

use crate::{
    ExplainError,
    postgres::{connect, options, refused},
};

/// What stands for the name in an address.
const PLACE: &str = "{scratch}";
/// The database that is connected to in order to make and drop others; every server has it.
const MAINTENANCE: &str = "postgres";
/// A server that was still making the database when the caller went away is given this long.
const MAKING: Duration = Duration::from_millis(500);
/// Dropping a database takes some milliseconds; a server that hangs must not hold up the end.
const DROP_TIME: Duration = Duration::from_secs(10);

/// An empty database. It is dropped with this value, with everybody who is connected to it
/// thrown out: nothing but the death of the process leaves it behind.
pub struct ScratchDatabase {
    server: PgConnectOptions,
    name: String,
    url: String,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Making,
    Made,
    Dropped,
}

impl ScratchDatabase {
    /// Whether the address asks for one.
    pub fn is_asked_for(url: &str) -> bool {
        url.contains(PLACE)
    }

    /// Makes the database `name` on the server at `url`, in which `{scratch}` stands for its
    /// name. The name is for people who look at the server's list, so it should say who made it;
    /// at most 63 bytes of it count.
    ///
    /// # Errors
    /// When there is no connection, or the user may not create databases.
    pub async fn create(url: &str, name: &str) -> Result<Self, ExplainError> {
        let server = options(&url.replace(PLACE, MAINTENANCE))?;
        let mut connection = connect(&server).await?;
        // From here on there may be something to drop, even if this future is dropped first.
        let mut scratch = Self {
            server,
            name: name.to_owned(),
            url: url.replace(PLACE, name),
            state: State::Making,
        };
        // Nobody connects to template0, so that it can always be copied.
        let create = format!("CREATE DATABASE {} TEMPLATE template0", quoted(name));
        let created = sqlx::raw_sql(AssertSqlSafe(create))
            .execute(&mut connection)
            .await;
        if let Err(error) = created {
            scratch.state = State::Dropped;
            return Err(refused(error));
        }
        scratch.state = State::Made;
        let _ = connection.close().await;
        Ok(scratch)
    }

    /// Its address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Drops it now rather than with this value, and says if that fails.
    ///
    /// # Errors
    /// When the server does not drop it.
    pub async fn remove(mut self) -> Result<(), ExplainError> {
        remove(&self.server, &self.name).await?;
        self.state = State::Dropped;
        Ok(())
    }
}

impl Drop for ScratchDatabase {
    fn drop(&mut self) {
        if self.state == State::Dropped {
            return;
        }
        let (server, name) = (self.server.clone(), self.name.clone());
        let making = self.state == State::Making;
        // A value is dropped where nothing can be awaited, so another thread does it.
        let dropping = std::thread::spawn(move || {
            let Ok(runtime) = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
            else {
                return;
            };
            runtime.block_on(async {
                if making {
                    tokio::time::sleep(MAKING).await;
                }
                let _ = tokio::time::timeout(DROP_TIME, remove(&server, &name)).await;
            });
        });
        let _ = dropping.join();
    }
}

async fn remove(server: &PgConnectOptions, name: &str) -> Result<(), ExplainError> {
    let Err(refusal) = drop_database(server, name).await else {
        return Ok(());
    };
    // A checkpoint comes first, for which a full disk may have no room while the tables are there.
    match empty(server, name).await {
        Ok(()) => drop_database(server, name).await,
        Err(_) => Err(refusal),
    }
}

async fn drop_database(server: &PgConnectOptions, name: &str) -> Result<(), ExplainError> {
    let mut connection = connect(server).await?;
    let statement = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", quoted(name));
    sqlx::raw_sql(AssertSqlSafe(statement))
        .execute(&mut connection)
        .await
        .map_err(refused)?;
    Ok(())
}

/// Drops all tables of a database, the largest first.
async fn empty(server: &PgConnectOptions, name: &str) -> Result<(), ExplainError> {
    let mut connection = connect(&server.clone().database(name)).await?;
    let tables: Vec<String> = sqlx::query_scalar(TABLES)
        .fetch_all(&mut connection)
        .await
        .map_err(refused)?;
    for table in tables {
        let statement = format!("DROP TABLE IF EXISTS {table} CASCADE");
        sqlx::raw_sql(AssertSqlSafe(statement))
            .execute(&mut connection)
            .await
            .map_err(refused)?;
    }
    let _ = connection.close().await;
    Ok(())
}

/// 16384 is where the numbers of what users make begin.
const TABLES: &str = "
    SELECT format('%I.%I', n.nspname, c.relname)
    FROM pg_class AS c
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p')
      AND c.oid >= 16384
      AND n.nspname NOT LIKE 'pg\\_%'
      AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.objid = c.oid AND d.deptype = 'e')
    ORDER BY pg_total_relation_size(c.oid) DESC";

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

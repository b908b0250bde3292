//! The comparison on PostgreSQL.

#[path = "../shared/postgres.rs"]
mod server;

use std::time::Instant;

use speedwell_plan::Advice;
use speedwell_sql::Dialect;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, Row as _};

use self::server::{explained, figure, run};
use crate::{
    bench::Bench,
    store::{Measured, Statement, Store},
};

/// A throwaway server with one filled database.
pub(crate) struct Postgres {
    connection: PgConnection,
    home: throwaway::Database,
    // The last to go.
    _server: throwaway::Postgres,
}

/// Starts a server and fills a database.
pub(crate) async fn fill(bench: &Bench) -> Postgres {
    let begun = Instant::now();
    let server = throwaway::Postgres::start().expect("PostgreSQL is installed");
    let home = server.database().expect("a database");
    let mut connection = PgConnection::connect(&home.url()).await.expect("connected");
    for statement in bench.schema(Dialect::Postgres) {
        run(&mut connection, statement).await;
    }
    println!("filled in {:.1} s", begun.elapsed().as_secs_f64());
    Postgres {
        connection,
        home,
        _server: server,
    }
}

impl Store for Postgres {
    const DIALECT: Dialect = Dialect::Postgres;
    const UNIT: &'static str = "pages";
    const IS_RIVALS_HOME: bool = true;

    fn url(&self) -> String {
        self.home.url()
    }

    async fn literals(&mut self, question: &str) -> Vec<Vec<String>> {
        // The simple protocol gives every value as a text.
        let asked = sqlx::raw_sql(AssertSqlSafe(question.to_owned()));
        let rows = asked.fetch_all(&mut self.connection).await;
        let rows = rows.unwrap_or_else(|error| panic!("{error}: {question}"));
        let literal = |row: &sqlx::postgres::PgRow, place| {
            let value: String = row.try_get_unchecked(place).expect("a value");
            format!("'{}'", value.replace('\'', "''"))
        };
        rows.iter()
            .map(|row| (0..row.len()).map(|place| literal(row, place)).collect())
            .collect()
    }

    async fn rebuild(&mut self, indexes: &[String]) {
        server::rebuild(&mut self.connection, indexes).await;
    }

    async fn migrate(&mut self, advice: &Advice) {
        for index in &advice.indexes {
            run(&mut self.connection, index.ddl.clone()).await;
        }
        run(&mut self.connection, "VACUUM ANALYZE".to_owned()).await;
    }

    async fn measure(&mut self, statements: &[Statement]) -> Vec<Measured> {
        let mut all = Vec::with_capacity(statements.len());
        for statement in statements {
            all.push(self.one(statement).await);
        }
        all
    }

    async fn write(&mut self, bench: &Bench) -> Option<f64> {
        let statements = bench.writes();
        let mut best = f64::MAX;
        for _ in 0..3 {
            let mut transaction = self.connection.begin().await.expect("a transaction");
            let begun = Instant::now();
            for statement in &statements {
                let statement = AssertSqlSafe(statement.clone());
                let done = transaction.execute(statement).await;
                done.expect("rows are written");
            }
            best = best.min(begun.elapsed().as_secs_f64() * 1000.0);
            transaction.rollback().await.expect("rolled back");
        }
        Some(best)
    }
}

impl Postgres {
    async fn one(&mut self, statement: &Statement) -> Measured {
        let (mut cost, mut millis, mut triggers) = (0.0, Vec::new(), 0.0);
        if let Some(first) = statement.texts.first() {
            explained(&mut self.connection, options(first), first).await;
        }
        for text in &statement.texts {
            let top = explained(&mut self.connection, options(text), text).await;
            let fired = top["Triggers"].as_array().into_iter().flatten();
            let own: f64 = fired.filter_map(|trigger| trigger["Time"].as_f64()).sum();
            cost += figure(&top, "Shared Hit Blocks") + figure(&top, "Shared Read Blocks");
            triggers += own;
            millis.push(top["Execution Time"].as_f64().unwrap_or(0.0) - own);
        }
        millis.sort_by(f64::total_cmp);
        let count = statement.texts.len() as f64;
        Measured {
            name: statement.name.clone(),
            cost: cost / count,
            millis: millis[millis.len() / 2],
            trigger_millis: triggers / count,
        }
    }
}

/// Without timing the time of foreign keys is not told; with it every row costs more.
fn options(text: &str) -> &'static str {
    match text.starts_with("DELETE") {
        true => "ANALYZE, BUFFERS, TIMING ON",
        false => "ANALYZE, BUFFERS, TIMING OFF",
    }
}

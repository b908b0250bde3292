//! The statements that a PostgreSQL server has recorded in `pg_stat_statements`.

use anyhow::{Context, bail};
use speedwell_plan::{Recording, recorded};
use speedwell_sql::{Dialect, Token, TokenKind, tokens};

use super::{
    seen::{Seen, Sight},
    short::short,
    source::Workload,
};

/// Reads them; the database is only read.
///
/// # Errors
/// When there are none to be had, with what to do about it.
pub(super) async fn read(database: &str) -> anyhow::Result<Workload> {
    let recording = recorded(database).await.context("--pg-stat-statements")?;
    let hidden = hidden(&recording);
    let mut seen = Seen::default();
    for statement in &recording.statements {
        let sql = readable(&statement.sql);
        let name = short(&sql, Dialect::Postgres);
        seen.add(&Sight {
            name: &name.unwrap_or_else(|| format!("query {}", statement.query_id)),
            sql: &sql,
            dialect: Dialect::Postgres,
            executions: statement.executions,
            time: statement.time,
        });
    }
    let ranking = seen.ranking();
    match (ranking.asked.is_empty(), hidden) {
        (true, Some(hidden)) => bail!("--pg-stat-statements: there is nothing to read: {hidden}"),
        (true, None) => bail!(
            "--pg-stat-statements: no statement on a table of this database is recorded yet; let the service work, and check that `pg_stat_statements.track` is not `none`"
        ),
        (false, hidden) => Ok(Workload::ranked(ranking, hidden)),
    }
}

/// What this user may not see.
fn hidden(recording: &Recording) -> Option<String> {
    let seconds = recording.hidden_time.as_secs_f64();
    (recording.hidden > 0).then(|| {
        format!(
            "{} statements of other users ({seconds:.1} s in all) are hidden from this one: GRANT pg_read_all_stats to it.",
            recording.hidden
        )
    })
}

/// Types whose constants PostgreSQL writes as `INTERVAL $1`, which it does not read.
const TYPED: [&str; 5] = ["DATE", "TIME", "TIMESTAMP", "TIMESTAMPTZ", "INTERVAL"];

/// The statement with such constants as casts. A length of time cannot be found among the rows, so
/// a day stands for it.
fn readable(sql: &str) -> String {
    let all: Vec<Token<'_>> = tokens(sql, Dialect::Postgres).collect();
    let mut text = String::with_capacity(sql.len());
    let mut copied = 0;
    for pair in all.windows(2) {
        let [kind, value] = pair else { continue };
        let typed = TYPED.iter().find(|name| kind.is_word(name));
        let Some(name) = typed.filter(|_| value.kind == TokenKind::Placeholder) else {
            continue;
        };
        text.push_str(&sql[copied..kind.start]);
        text.push_str(&match *name {
            "INTERVAL" => "INTERVAL '1 day'".to_owned(),
            name => format!("{}::{name}", value.text),
        });
        copied = value.end();
    }
    text.push_str(&sql[copied..]);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typed_constants_are_made_readable() {
        for (from, to) in [
            (
                "SELECT a FROM t WHERE b > now() - interval $1 AND c < $2",
                "SELECT a FROM t WHERE b > now() - INTERVAL '1 day' AND c < $2",
            ),
            (
                "SELECT a FROM t WHERE b >= DATE $1",
                "SELECT a FROM t WHERE b >= $1::DATE",
            ),
            ("SELECT date FROM t LIMIT $1", "SELECT date FROM t LIMIT $1"),
        ] {
            assert_eq!(readable(from), to);
        }
    }
}

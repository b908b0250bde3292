//! The schema and rows of a database, copied into another.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::StreamExt as _;
use sqlx::{
    AssertSqlSafe, Connection as _, Executor as _, PgConnection, Row as _,
    postgres::PgConnectOptions,
};

use crate::{advice::error::AdviceError, postgres::connect};

/// Tables that are copied at a time: one for each core of a small machine.
const COPIERS: usize = 2;

/// Bytes that are sent at a time: rows come one by one, and each would be a call of its own.
const PARCEL: usize = 1 << 16;

/// One table to be copied.
struct Source {
    /// As the statements of the workload may call it.
    plain: String,
    /// Qualified and quoted.
    name: String,
    create: String,
    /// Those that are stored, not computed.
    columns: String,
    estimate: f64,
}

impl Source {
    /// How many times more rows it has than are copied, if not all are.
    fn times(&self, most_rows: f64) -> Option<f64> {
        (self.estimate > most_rows).then(|| self.estimate / most_rows.max(1.0))
    }
}

/// Tables that wait to be copied.
type Queue = Arc<Mutex<Vec<Source>>>;

/// Copies everything that plans depend on from one database to the other: the `wanted` tables, or
/// all where a view, a trigger or a function may read further ones. The first is only read, in
/// transactions that see one state. Of tables of more than `most_rows` rows a sample is copied; the
/// answer says of these how many times larger they are.
pub(super) async fn copy(
    from: &PgConnectOptions,
    to: &PgConnectOptions,
    wanted: &BTreeSet<String>,
    most_rows: f64,
) -> Result<BTreeMap<String, f64>, AdviceError> {
    let mut source = connect(from).await?;
    let mut target = connect(to).await?;
    execute(&mut source, READING).await?;
    // What a table does not depend on may fail: an extension that this server lacks, a function
    // in a language that it lacks. A table that needed it fails by itself.
    for question in [SCHEMAS, EXTENSIONS, ENUMS, DOMAINS, SEQUENCES, FUNCTIONS] {
        for statement in texts(&mut source, question).await? {
            let _ = target.execute(AssertSqlSafe(statement)).await;
        }
    }
    let mut sources = sources(&mut source).await?;
    if texts(&mut source, HIDDEN_READERS).await?.is_empty() {
        sources.retain(|each| wanted.contains(&each.plain));
    }
    let sampled = sources.iter().filter_map(|each| {
        let times = each.times(most_rows)?;
        Some((each.plain.clone(), times))
    });
    let sampled = sampled.collect();
    let ends = Ends {
        from,
        to,
        most_rows,
    };
    all_rows(&ends, &mut source, sources).await?;
    for question in [FOREIGN_KEYS, CHECKS, DEFAULTS, VIEWS] {
        for statement in texts(&mut source, question).await? {
            let _ = target.execute(AssertSqlSafe(statement)).await;
        }
    }
    let _ = source.close().await;
    let _ = target.close().await;
    Ok(sampled)
}

/// Where rows are copied from and to, and how many of a table at most.
struct Ends<'e> {
    from: &'e PgConnectOptions,
    to: &'e PgConnectOptions,
    most_rows: f64,
}

/// Copies the tables, several at a time, the largest first.
async fn all_rows(
    ends: &Ends<'_>,
    source: &mut PgConnection,
    mut sources: Vec<Source>,
) -> Result<(), AdviceError> {
    sources.sort_by(|one, other| one.estimate.total_cmp(&other.estimate));
    let queue: Queue = Arc::new(Mutex::new(sources));
    let snapshot = texts(source, "SELECT pg_export_snapshot()").await?;
    let snapshot = snapshot.first().cloned().unwrap_or_default();
    let copiers = (0..COPIERS).map(|_| copier(ends, &snapshot, &queue));
    let done = futures_util::future::join_all(copiers).await;
    done.into_iter().collect()
}

/// Copies tables until none waits, each with its keys, its indexes and the planner's statistics.
async fn copier(ends: &Ends<'_>, snapshot: &str, queue: &Queue) -> Result<(), AdviceError> {
    let (mut from, mut to) = (connect(ends.from).await?, connect(ends.to).await?);
    let state = READING.replace(
        "READ ONLY;",
        &format!("READ ONLY; SET TRANSACTION SNAPSHOT '{snapshot}';"),
    );
    execute(&mut from, &state).await?;
    execute(&mut to, WRITING).await?;
    loop {
        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let Some(source) = next else { break };
        rows(&mut from, &mut to, &source, ends.most_rows).await?;
        for question in [KEYS, INDEXES] {
            let built = sqlx::query_scalar::<_, String>(question)
                .bind(&source.name)
                .fetch_all(&mut from)
                .await
                .map_err(AdviceError::Scratch)?;
            for statement in built {
                execute(&mut to, &statement).await?;
            }
        }
        let identities = sqlx::query_scalar::<_, String>(IDENTITIES)
            .bind(&source.name)
            .fetch_all(&mut from)
            .await
            .map_err(AdviceError::Scratch)?;
        for statement in identities {
            execute(&mut to, &statement).await?;
        }
        execute(&mut to, &format!("ANALYZE {}", source.name)).await?;
    }
    let _ = from.close().await;
    let _ = to.close().await;
    Ok(())
}

async fn execute(connection: &mut PgConnection, statement: &str) -> Result<(), AdviceError> {
    let executed = sqlx::raw_sql(AssertSqlSafe(statement.to_owned()))
        .execute(connection)
        .await;
    executed.map(drop).map_err(|source| AdviceError::Copy {
        doing: statement.chars().take(60).collect(),
        source,
    })
}

async fn texts(
    connection: &mut PgConnection,
    question: &'static str,
) -> Result<Vec<String>, AdviceError> {
    let rows = connection.fetch_all(question).await;
    let rows = rows.map_err(AdviceError::Scratch)?;
    let texts = rows.iter().map(|row| row.try_get(0));
    texts
        .collect::<Result<_, _>>()
        .map_err(AdviceError::Scratch)
}

async fn sources(connection: &mut PgConnection) -> Result<Vec<Source>, AdviceError> {
    let rows = connection
        .fetch_all(TABLES)
        .await
        .map_err(AdviceError::Scratch)?;
    let read = |row: &sqlx::postgres::PgRow| -> Result<Source, sqlx::Error> {
        Ok(Source {
            plain: row.try_get("plain")?,
            name: row.try_get("name")?,
            create: row.try_get("create")?,
            columns: row.try_get("columns")?,
            estimate: f64::from(row.try_get::<f32, _>("estimate")?),
        })
    };
    let sources = rows.iter().map(read).collect::<Result<_, _>>();
    sources.map_err(AdviceError::Scratch)
}

/// Makes the table and fills it in one transaction, so that its rows are known to be visible
/// without another look.
async fn rows(
    from: &mut PgConnection,
    to: &mut PgConnection,
    source: &Source,
    most_rows: f64,
) -> Result<(), AdviceError> {
    let failed = |error| AdviceError::Copy {
        doing: format!("table {}", source.name),
        source: error,
    };
    execute(to, &format!("BEGIN; {}", source.create)).await?;
    let sample = match source.times(most_rows) {
        Some(times) => format!(" TABLESAMPLE BERNOULLI ({}) REPEATABLE (7)", 100.0 / times),
        None => String::new(),
    };
    let (name, columns) = (&source.name, &source.columns);
    let out = format!("COPY (SELECT {columns} FROM {name}{sample}) TO STDOUT (FORMAT binary)");
    let into = format!("COPY {name} ({columns}) FROM STDIN (FORMAT binary, FREEZE)");
    if !columns.is_empty() {
        let mut pieces = from.copy_out_raw(&out).await.map_err(failed)?;
        let mut sink = to.copy_in_raw(&into).await.map_err(failed)?;
        let mut parcel: Vec<u8> = Vec::with_capacity(2 * PARCEL);
        while let Some(piece) = pieces.next().await {
            parcel.extend_from_slice(&piece.map_err(failed)?);
            if parcel.len() >= PARCEL {
                sink.send(&parcel[..]).await.map_err(failed)?;
                parcel.clear();
            }
        }
        sink.send(&parcel[..]).await.map_err(failed)?;
        sink.finish().await.map_err(failed)?;
    }
    execute(to, "COMMIT").await
}

/// One state of the database, nothing written, no lock waited for.
const READING: &str = "
    BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
    SET LOCAL statement_timeout = '120s';
    SET LOCAL lock_timeout = '1s'";

/// Nobody waits for the disk of a copy that is thrown away.
const WRITING: &str = "
    SET synchronous_commit = off;
    SET maintenance_work_mem = '128MB'";

const SCHEMAS: &str = "
    SELECT format('CREATE SCHEMA IF NOT EXISTS %I', nspname)
    FROM pg_namespace
    WHERE nspname NOT LIKE 'pg\\_%'
      AND nspname <> 'information_schema'
    ORDER BY nspname";

const EXTENSIONS: &str = "
    SELECT format('CREATE EXTENSION IF NOT EXISTS %I WITH SCHEMA %I CASCADE', e.extname, n.nspname)
    FROM pg_extension AS e
    JOIN pg_namespace AS n ON n.oid = e.extnamespace
    WHERE e.extname <> 'plpgsql'
    ORDER BY e.extname";

const ENUMS: &str = "
    SELECT format('CREATE TYPE %I.%I AS ENUM (%s)', n.nspname, t.typname,
                  string_agg(quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder))
    FROM pg_type AS t
    JOIN pg_namespace AS n ON n.oid = t.typnamespace
    JOIN pg_enum AS e ON e.enumtypid = t.oid
    GROUP BY n.nspname, t.typname
    ORDER BY n.nspname, t.typname";

const DOMAINS: &str = "
    SELECT format('CREATE DOMAIN %I.%I AS %s', n.nspname, t.typname,
                  format_type(t.typbasetype, t.typtypmod))
    FROM pg_type AS t
    JOIN pg_namespace AS n ON n.oid = t.typnamespace
    WHERE t.typtype = 'd'
      AND n.nspname <> 'information_schema'
    ORDER BY t.oid";

const SEQUENCES: &str = "
    SELECT format('CREATE SEQUENCE IF NOT EXISTS %I.%I START %s', schemaname, sequencename,
                  COALESCE(last_value + 1, start_value))
    FROM pg_sequences
    ORDER BY schemaname, sequencename";

const FUNCTIONS: &str = "
    SELECT pg_get_functiondef(p.oid)
    FROM pg_proc AS p
    JOIN pg_namespace AS n ON n.oid = p.pronamespace
    WHERE n.nspname NOT LIKE 'pg\\_%'
      AND n.nspname <> 'information_schema'
      AND p.prokind = 'f'
      AND NOT EXISTS (SELECT 1
                      FROM pg_depend AS d
                      WHERE d.objid = p.oid
                        AND d.deptype = 'e')
    ORDER BY p.oid";

/// What reads tables that no statement names.
const HIDDEN_READERS: &str = "
    SELECT c.relname::TEXT
    FROM pg_class AS c
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('v', 'm')
      AND n.nspname NOT LIKE 'pg\\_%'
      AND n.nspname <> 'information_schema'
      AND NOT EXISTS (SELECT 1
                      FROM pg_depend AS d
                      WHERE d.objid = c.oid
                        AND d.deptype = 'e')
    UNION ALL
    SELECT tgname::TEXT
    FROM pg_trigger
    WHERE NOT tgisinternal
    UNION ALL
    SELECT p.proname::TEXT
    FROM pg_proc AS p
    JOIN pg_namespace AS n ON n.oid = p.pronamespace
    WHERE n.nspname NOT LIKE 'pg\\_%'
      AND n.nspname <> 'information_schema'
      AND NOT EXISTS (SELECT 1
                      FROM pg_depend AS d
                      WHERE d.objid = p.oid
                        AND d.deptype = 'e')
    LIMIT 1";

/// Unlogged, because nobody will want the copy back, and left alone by the server, because what is known
/// of a table must not change between two trials. A partitioned table is copied as one. Of a table
/// that was never analyzed the rows are guessed from its size.
const TABLES: &str = "
    SELECT c.relname::TEXT AS plain,
           format('%I.%I', n.nspname, c.relname) AS name,
           CASE WHEN c.reltuples < 0 THEN pg_relation_size(c.oid) / 100
                ELSE c.reltuples
           END::FLOAT4 AS estimate,
           format('CREATE UNLOGGED TABLE %I.%I (%s)', n.nspname, c.relname,
                  string_agg(format('%I %s%s%s%s', a.attname,
                                    format_type(a.atttypid, a.atttypmod),
                                    CASE WHEN a.attcollation <> t.typcollation
                                         THEN format(' COLLATE %s', a.attcollation::REGCOLLATION)
                                         ELSE '' END,
                                    CASE WHEN a.attgenerated = 's'
                                         THEN format(' GENERATED ALWAYS AS (%s) STORED',
                                                     pg_get_expr(d.adbin, d.adrelid))
                                         WHEN a.attidentity <> ''
                                         THEN ' GENERATED BY DEFAULT AS IDENTITY'
                                         ELSE '' END,
                                    CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END),
                             ', ' ORDER BY a.attnum))
               || ' WITH (autovacuum_enabled = false)' AS create,
           COALESCE(string_agg(format('%I', a.attname), ', ' ORDER BY a.attnum)
                    FILTER (WHERE a.attgenerated = ''), '') AS columns
    FROM pg_class AS c
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    JOIN pg_type AS t ON t.oid = a.atttypid
    LEFT JOIN pg_attrdef AS d ON d.adrelid = c.oid AND d.adnum = a.attnum
    WHERE c.relkind IN ('r', 'p')
      AND NOT c.relispartition
      AND n.nspname NOT LIKE 'pg\\_%'
      AND n.nspname <> 'information_schema'
      AND NOT EXISTS (SELECT 1
                      FROM pg_depend AS e
                      WHERE e.objid = c.oid
                        AND e.deptype = 'e')
    GROUP BY n.nspname, c.oid, c.relname, c.reltuples
    ORDER BY n.nspname, c.relname";

const KEYS: &str = "
    SELECT format('ALTER TABLE %I.%I ADD CONSTRAINT %I %s', n.nspname, c.relname, k.conname,
                  pg_get_constraintdef(k.oid))
    FROM pg_constraint AS k
    JOIN pg_class AS c ON c.oid = k.conrelid
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE k.contype IN ('p', 'u', 'x')
      AND format('%I.%I', n.nspname, c.relname) = $1
    ORDER BY k.conname";

/// New rows get numbers that no copied row has.
const IDENTITIES: &str = "
    SELECT format('SELECT setval(pg_get_serial_sequence(%L, %L), COALESCE(MAX(%I), 0) + 1) FROM %s',
                  $1, a.attname, a.attname, $1)
    FROM pg_attribute AS a
    WHERE a.attrelid = $1::REGCLASS
      AND a.attidentity <> ''
      AND NOT a.attisdropped
    ORDER BY a.attnum";

const INDEXES: &str = "
    SELECT replace(pg_get_indexdef(i.indexrelid), ' ON ONLY ', ' ON ')
    FROM pg_index AS i
    JOIN pg_class AS c ON c.oid = i.indrelid
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE i.indisvalid
      AND format('%I.%I', n.nspname, c.relname) = $1
      AND NOT EXISTS (SELECT 1 FROM pg_constraint AS k WHERE k.conindid = i.indexrelid
                        AND k.contype IN ('p', 'u', 'x'))
    ORDER BY i.indexrelid::REGCLASS::TEXT";

/// Not checked again: the rows come from where they were checked, or are a sample.
const FOREIGN_KEYS: &str = "
    SELECT format('ALTER TABLE %I.%I ADD CONSTRAINT %I %s', n.nspname, c.relname, k.conname,
                  pg_get_constraintdef(k.oid))
           || CASE WHEN k.convalidated THEN ' NOT VALID' ELSE '' END
    FROM pg_constraint AS k
    JOIN pg_class AS c ON c.oid = k.conrelid
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE k.contype = 'f'
      AND k.conparentid = 0
    ORDER BY n.nspname, c.relname, k.conname";

/// The planner leaves out what a check excludes.
const CHECKS: &str = "
    SELECT format('ALTER TABLE %I.%I ADD CONSTRAINT %I %s', n.nspname, c.relname, k.conname,
                  pg_get_constraintdef(k.oid))
    FROM pg_constraint AS k
    JOIN pg_class AS c ON c.oid = k.conrelid
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE k.contype = 'c'
      AND NOT c.relispartition
      AND n.nspname NOT LIKE 'pg\\_%'
      AND n.nspname <> 'information_schema'
    ORDER BY n.nspname, c.relname, k.conname";

const DEFAULTS: &str = "
    SELECT format('ALTER TABLE %I.%I ALTER COLUMN %I SET DEFAULT %s', n.nspname, c.relname,
                  a.attname, pg_get_expr(d.adbin, d.adrelid))
    FROM pg_attrdef AS d
    JOIN pg_class AS c ON c.oid = d.adrelid
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = d.adnum
    WHERE a.attgenerated = ''
      AND NOT c.relispartition
      AND n.nspname NOT LIKE 'pg\\_%'
      AND n.nspname <> 'information_schema'
    ORDER BY n.nspname, c.relname, a.attnum";

const VIEWS: &str = "
    SELECT format('CREATE %s VIEW %I.%I AS %s',
                  CASE c.relkind WHEN 'm' THEN 'MATERIALIZED' ELSE '' END,
                  n.nspname, c.relname, pg_get_viewdef(c.oid))
    FROM pg_class AS c
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('v', 'm')
      AND n.nspname NOT LIKE 'pg\\_%'
      AND n.nspname <> 'information_schema'
    ORDER BY c.oid";

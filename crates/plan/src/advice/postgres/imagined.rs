//! Indexes that are not there: HypoPG lets the planner believe that they are.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::Executor as _;

use super::session::{BACK, PostgresGround};
use crate::advice::{
    candidate::{Candidate, Method},
    error::{AdviceError, refusal},
    ground::{Ground as _, Inquiry},
};

/// What is known of an index that is only imagined.
struct Hypothetical {
    /// What plans call it.
    name: String,
    /// Its size as HypoPG guesses it, in bytes.
    bytes: u64,
}

/// What is known of the columns of a table.
struct Entries {
    rows: f64,
    columns: BTreeMap<String, Values>,
}

/// The values of a column.
struct Values {
    distinct: f64,
    /// Bytes of one.
    width: f64,
    /// Whether an index stores equal ones once.
    merge: bool,
}

impl Entries {
    /// Bytes of an index as it is built (`nbtsort.c`): equal keys are stored once, each with lists of
    /// its rows, since version 13. None if its columns are not known.
    fn bytes(&self, candidate: &Candidate) -> Option<u64> {
        if candidate.condition.is_some() {
            return None;
        }
        let (mut distinct, mut width) = (1.0_f64, 0.0);
        let mut merge = candidate.included.is_empty();
        let keys = candidate.keys.iter().map(|key| &key.term);
        for name in keys.chain(&candidate.included) {
            let values = self.columns.get(name)?;
            distinct *= values.distinct.max(1.0);
            width += values.width;
            merge &= values.merge;
        }
        let distinct = match merge {
            true => distinct.min(self.rows).max(1.0),
            false => self.rows,
        };
        let key = LINE_POINTER + ENTRY_HEADER + (width / 8.0).ceil() * 8.0;
        let of_one_key = self.rows / distinct.max(1.0);
        let lists = (of_one_key * ROW_POINTER / LONGEST_LIST).ceil();
        let pointers = match of_one_key > 1.0 {
            true => self.rows * ROW_POINTER,
            false => 0.0,
        };
        Some(((distinct * lists * key + pointers) / FILLED) as u64)
    }
}

/// Bytes of a row's address, of an entry's place on its page, of an entry besides its key, and of
/// the longest list that is stored with one key when an index is built.
const ROW_POINTER: f64 = 6.0;
/// See [`ROW_POINTER`].
const LINE_POINTER: f64 = 4.0;
/// See [`ROW_POINTER`].
const ENTRY_HEADER: f64 = 8.0;
/// See [`ROW_POINTER`].
const LONGEST_LIST: f64 = 808.0;
/// Share of a page that is filled.
const FILLED: f64 = 0.9;

/// Those that the planner would use, all being there or each alone.
pub(super) async fn promising(
    ground: &mut PostgresGround,
    candidates: Vec<(Candidate, Vec<&str>)>,
) -> Result<Vec<Candidate>, AdviceError> {
    if !ground.has_hypopg().await {
        return Ok(candidates.into_iter().map(|(index, _)| index).collect());
    }
    ground.enter(&[], false).await?;
    let mut kept = ground.planned(&candidates).await?;
    for each in candidates {
        // One that is not the best of all may be the best beside what is chosen.
        let alone = std::slice::from_ref(&each);
        if !kept.contains(&each.0) && !ground.planned(alone).await?.is_empty() {
            kept.insert(each.0);
        }
    }
    ground.leave().await?;
    Ok(kept.into_iter().collect())
}

/// The sizes of indexes, in bytes, those of partial ones as HypoPG guesses them; none of what it
/// cannot imagine.
pub(super) async fn sizes(
    ground: &mut PostgresGround,
    candidates: &[Candidate],
) -> Result<Option<Vec<Option<u64>>>, AdviceError> {
    if !ground.has_hypopg().await {
        return Ok(None);
    }
    ground.enter(&[], false).await?;
    let mut sizes = Vec::with_capacity(candidates.len());
    let mut tables: BTreeMap<&str, Entries> = BTreeMap::new();
    for candidate in candidates {
        let index = ground.imagined(candidate).await?;
        ground.forget().await?;
        let table = candidate.table.as_str();
        if !tables.contains_key(table) {
            tables.insert(table, ground.entries(table).await?);
        }
        let known = tables.get(table).and_then(|own| own.bytes(candidate));
        sizes.push(index.map(|index| ground.in_full(table, known.unwrap_or(index.bytes))));
    }
    ground.leave().await?;
    Ok(Some(sizes))
}

/// What the planner says that statements cost with a set of indexes.
pub(super) async fn estimates(
    ground: &mut PostgresGround,
    asked: &Inquiry<'_>,
) -> Result<Vec<Option<f64>>, AdviceError> {
    if asked.are_built {
        let hidden: Vec<String> = asked.without.iter().map(|index| index.name()).collect();
        ground.enter(&hidden, false).await?;
    } else {
        ground.enter(&[], false).await?;
        ground.imagine_all(&asked.with).await?;
    }
    let mut costs = Vec::with_capacity(asked.statements.len());
    for statement in &asked.statements {
        costs.push(ground.cost(statement).await?);
    }
    if !asked.are_built {
        ground.forget().await?;
    }
    ground.leave().await?;
    Ok(costs)
}

impl PostgresGround {
    /// Whether the server has HypoPG.
    async fn has_hypopg(&mut self) -> bool {
        let made = self
            .connection
            .execute("CREATE EXTENSION IF NOT EXISTS hypopg")
            .await;
        made.is_ok()
    }

    /// What the planner says that a statement costs, if it takes it.
    async fn cost(&mut self, statement: &str) -> Result<Option<f64>, AdviceError> {
        let question = format!("EXPLAIN (FORMAT JSON) {statement}");
        let plan = self.explain(question).await?.ok();
        Ok(plan.and_then(|plan| plan[0]["Plan"]["Total Cost"].as_f64()))
    }

    /// Those of the indexes that plans use, were they there; where that cannot be asked they may.
    async fn planned(
        &mut self,
        candidates: &[(Candidate, Vec<&str>)],
    ) -> Result<BTreeSet<Candidate>, AdviceError> {
        let mut planned = BTreeSet::new();
        let mut names: Vec<(String, &Candidate)> = Vec::new();
        let mut texts: BTreeSet<&str> = BTreeSet::new();
        for (candidate, concerned) in candidates {
            match self.imagined(candidate).await? {
                Some(index) => {
                    names.push((index.name, candidate));
                    texts.extend(concerned);
                }
                None => {
                    planned.insert(candidate.clone());
                }
            }
        }
        for text in texts {
            if names.len() == 1 && !planned.is_empty() {
                break;
            }
            let plan = self.plan(text).await?.unwrap_or_default();
            let used = names.iter().filter(|(name, _)| plan.contains(name));
            planned.extend(used.map(|(_, index)| (*index).clone()));
        }
        self.forget().await?;
        Ok(planned)
    }

    /// What is known of the columns of a table.
    async fn entries(&mut self, table: &str) -> Result<Entries, AdviceError> {
        let columns = sqlx::query_as::<_, (String, f64, f64, f64, bool)>(ENTRIES)
            .bind(table.to_owned())
            .fetch_all(&mut self.connection)
            .await
            .map_err(AdviceError::Scratch)?;
        let rows = columns.first().map_or(0.0, |(_, rows, ..)| *rows);
        let columns = columns
            .into_iter()
            .map(|(name, rows, distinct, width, merge)| {
                let distinct = match distinct < 0.0 {
                    true => -distinct * rows,
                    false => distinct,
                };
                let values = Values {
                    distinct,
                    width,
                    merge,
                };
                (name, values)
            });
        Ok(Entries {
            rows,
            columns: columns.collect(),
        })
    }

    /// Lets the planner believe that the index is there.
    async fn imagined(
        &mut self,
        candidate: &Candidate,
    ) -> Result<Option<Hypothetical>, AdviceError> {
        // How selective an expression is, is known only once it was looked at in a built index.
        let is_estimated = candidate.keys.iter().all(|key| !key.expression);
        if candidate.method != Method::Btree || !is_estimated {
            return Ok(None);
        }
        let imagined = sqlx::query_as::<_, (String, i64)>(IMAGINE)
            .bind(spelled(candidate))
            .fetch_one(&mut self.connection)
            .await;
        match imagined {
            Ok((name, bytes)) => Ok(Some(Hypothetical {
                name,
                bytes: u64::try_from(bytes).unwrap_or(0),
            })),
            Err(error) => {
                refusal(error)?;
                self.simple(BACK).await?;
                Ok(None)
            }
        }
    }

    /// The same for several of which it is known that they can be imagined.
    async fn imagine_all(&mut self, candidates: &[&Candidate]) -> Result<(), AdviceError> {
        let definitions: Vec<String> = candidates.iter().map(|index| spelled(index)).collect();
        let imagined = self
            .connection
            .execute(sqlx::query(IMAGINE_ALL).bind(definitions))
            .await;
        imagined.map(drop).map_err(AdviceError::Scratch)
    }

    async fn forget(&mut self) -> Result<(), AdviceError> {
        self.simple("SELECT hypopg_reset()").await
    }
}

/// The statement that builds the index, in words that HypoPG understands.
fn spelled(candidate: &Candidate) -> String {
    let spelled = Candidate {
        condition: candidate.condition.as_deref().map(as_planned),
        ..candidate.clone()
    };
    spelled.ddl(speedwell_sql::Dialect::Postgres)
}

/// A condition as the planner has it in mind: it makes `flag` of `flag = true`, and HypoPG compares
/// the condition of an index as it is written.
fn as_planned(condition: &str) -> String {
    let parts = condition.split(" AND ").map(|part| {
        let (name, value) = part.rsplit_once(" = ").unwrap_or((part, ""));
        match value.to_lowercase().as_str() {
            "true" => name.to_owned(),
            "false" => format!("NOT {name}"),
            _ => part.to_owned(),
        }
    });
    parts.collect::<Vec<_>>().join(" AND ")
}

/// The name that plans call the index by, and its bytes.
const IMAGINE: &str = "
    SELECT indexname, hypopg_relation_size(indexrelid)::BIGINT
    FROM hypopg_create_index($1)";

const IMAGINE_ALL: &str = "
    SELECT hypopg_create_index(definition)
    FROM UNNEST($1) AS definition";

/// Columns with the rows of their table, their number of values (or minus their share of the rows),
/// their width, and whether equal values are the same bytes: the fourth support function of their
/// class says so.
const ENTRIES: &str = "
    SELECT a.attname::TEXT,
           GREATEST(c.reltuples, 0)::FLOAT8,
           s.n_distinct::FLOAT8,
           s.avg_width::FLOAT8,
           EXISTS (SELECT 1
                   FROM pg_opclass AS o
                   JOIN pg_am AS m ON m.oid = o.opcmethod
                   JOIN pg_amproc AS p ON p.amprocfamily = o.opcfamily
                                      AND p.amproclefttype = o.opcintype
                                      AND p.amprocnum = 4
                   WHERE m.amname = 'btree'
                     AND o.opcdefault
                     AND o.opcintype = CASE a.atttypid
                                         WHEN 'VARCHAR'::REGTYPE THEN 'TEXT'::REGTYPE
                                         ELSE a.atttypid
                                       END)
    FROM pg_class AS c
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    JOIN pg_stats AS s ON s.schemaname = n.nspname
                      AND s.tablename = c.relname
                      AND s.attname = a.attname
    WHERE c.oid = quote_ident($1)::REGCLASS";

#[cfg(test)]
mod tests {
    use super::as_planned;

    #[test]
    fn a_condition_is_spelled_as_the_planner_has_it_in_mind() {
        assert_eq!(
            as_planned("is_active = true AND status = 'new' AND \"is read\" = FALSE AND x IS NULL"),
            "is_active AND status = 'new' AND NOT \"is read\" AND x IS NULL"
        );
    }
}

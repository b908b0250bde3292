//! Index advice for a workload: candidates from its structure, built on a scratch copy, chosen
//! and proved by executing every statement before and after.

mod candidate;
mod choice;
mod condition;
mod error;
mod facts;
mod generate;
mod ground;
mod hygiene;
mod outcome;
mod postgres;
mod prove;
mod sample;
mod sqlite;
mod trial;
mod walk;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use speedwell_sql::Dialect;

use self::{
    facts::{Facts, facts},
    generate::{Workload, candidates},
    ground::Ground,
    sample::Samples,
    trial::{Trials, Tried},
};
use crate::{Database, Schema};

pub use error::AdviceError;
pub use hygiene::{Needless, NeedlessIndex};
pub use outcome::{Advice, AdvisedIndex, Bought, Figures, Judged, Times, Verdict};

/// A statement of a workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// What it is called in the report.
    pub name: String,
    /// Its text; placeholders need no values.
    pub sql: String,
}

/// Advises indexes for the workload on the database at `url`, which is only read. Indexes are
/// built and statements executed on a scratch copy, which is removed on every path: of a SQLite
/// file another file, of a PostgreSQL database another one on the server of `scratch`, by default
/// the audited one's server.
///
/// # Errors
/// When the database cannot be read or the copy cannot be made. A statement that cannot be
/// analysed or executed costs only its own verdict.
pub async fn advise(
    url: &str,
    scratch: Option<&str>,
    workload: &[Asked],
) -> Result<Advice, AdviceError> {
    let begun = Instant::now();
    let mut database = Database::open(url).await?;
    let schema = database.schema().await?;
    let dialect = database.dialect();
    drop(database);
    let read: Vec<Result<Facts, String>> = workload
        .iter()
        .map(|asked| facts(&asked.sql, dialect, &schema).map_err(|error| error.to_string()))
        .collect();
    let work = |samples, trigrams| Work {
        dialect,
        schema: &schema,
        samples,
        trigrams,
        workload,
        read: &read,
    };
    let (mut advice, copied) = match dialect {
        Dialect::Postgres => {
            let mut ground = postgres::open(url, scratch.unwrap_or(url)).await?;
            let copied = begun.elapsed();
            let work = work(ground.samples(&schema).await?, ground.has_trigrams().await);
            let (result, ground) = work.solve(ground).await;
            ground.remove().await?;
            (result?, copied)
        }
        _ => {
            let mut ground = sqlite::open(url).await?;
            let copied = begun.elapsed();
            let work = work(ground.samples(&schema).await?, false);
            let (result, ground) = work.solve(ground).await;
            ground.remove().await?;
            (result?, copied)
        }
    };
    advice.needless = hygiene::needless(&schema);
    advice.times.copy = copied;
    advice.times.all = begun.elapsed();
    Ok(advice)
}

/// Everything that is known before the trials.
struct Work<'a> {
    dialect: Dialect,
    schema: &'a Schema,
    samples: Samples,
    trigrams: bool,
    workload: &'a [Asked],
    read: &'a [Result<Facts, String>],
}

impl Work<'_> {
    /// Builds, chooses and proves; gives the scratch copy back, whatever happened.
    async fn solve<G: Ground>(self, mut ground: G) -> (Result<Advice, AdviceError>, G) {
        let begun = Instant::now();
        let asked = candidates(&Workload {
            dialect: self.dialect,
            schema: self.schema,
            samples: &self.samples,
            facts: self.read.iter().flatten().collect(),
            trigrams: self.trigrams,
        });
        let built = match ground.build(asked).await {
            Ok(built) => built,
            Err(error) => return (Err(error), ground),
        };
        let building = begun.elapsed();
        let statements: Vec<Tried> = self
            .read
            .iter()
            .flatten()
            .map(|facts| Tried {
                texts: self.samples.texts(facts, self.dialect, self.schema),
                facts: facts.clone(),
            })
            .collect();
        let mut trials = Trials::new(ground, statements, built, self.schema, fired(self.schema));
        let proved = prove::prove(&mut trials).await;
        let result = proved.map(|proved| {
            let mut advice = outcome::advice(
                &proved,
                &trials,
                self.dialect,
                self.workload,
                self.read,
                self.schema,
            );
            advice.times.build = building;
            advice.times.choose = proved.choosing;
            advice
        });
        (result, trials.ground)
    }
}

/// For each table those that refer to it, directly or through others: what a DELETE looks at.
fn fired(schema: &Schema) -> BTreeMap<String, BTreeSet<String>> {
    let mut fired: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for child in schema.tables.values() {
        for key in &child.foreign_keys {
            if let Some(parent) = schema.table(&key.table) {
                fired
                    .entry(parent.name.clone())
                    .or_default()
                    .insert(child.name.clone());
            }
        }
    }
    loop {
        let before = fired.clone();
        for children in fired.values_mut() {
            let further: Vec<String> = children
                .iter()
                .filter_map(|child| before.get(child))
                .flatten()
                .cloned()
                .collect();
            children.extend(further);
        }
        if fired == before {
            return fired;
        }
    }
}

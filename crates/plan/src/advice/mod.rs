//! Index advice for a workload: candidates from its structure, built on a scratch copy, chosen
//! and proved by executing every statement before and after.

mod alike;
mod candidate;
mod choice;
mod condition;
mod draft;
mod drops;
mod error;
mod facts;
mod generate;
mod ground;
mod hygiene;
mod outcome;
mod plans;
mod postgres;
mod prove;
mod relevance;
mod rewrite;
mod sample;
mod sqlite;
mod trial;
mod walk;

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use speedwell_sql::Dialect;

use self::{
    candidate::Candidate,
    draft::{Drafting, Weighed, draft},
    facts::{Facts, facts},
    generate::{Workload, candidates},
    ground::{Built, Ground},
    relevance::{Fired, felt, is_felt, is_fired},
    rewrite::Field,
    sample::Samples,
    trial::{Drafted, Trials, Tried},
};
use crate::{Database, Schema};

pub use error::AdviceError;
pub use hygiene::{Needless, NeedlessIndex};
pub use outcome::{
    Advice, AdvisedIndex, Bought, Estimated, Figures, Judged, Refused, RowPrice, Times, Verdict,
};
pub use rewrite::{Rewrite, RewriteKind, RewriteOutcome};

/// A statement of a workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// What it is called in the report.
    pub name: String,
    /// Its text; placeholders need no values.
    pub sql: String,
    /// How often one request executes it; 1 where that is not known.
    pub repeated: u64,
}

impl Asked {
    /// A statement of which nothing further is known.
    pub fn new(name: impl Into<String>, sql: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            sql: sql.into(),
            repeated: 1,
        }
    }
}

/// See [`AdviceOptions::most_time`].
const MOST_TIME: Duration = Duration::from_secs(60);

/// What the advised indexes are to do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Goal {
    /// Make each statement as many times cheaper as they can, whether it is long or short: what
    /// those want who wait for answers.
    #[default]
    Each,
    /// Make all statements together as cheap as they can, by the planner's estimate: what reports
    /// want, under [`AdviceOptions::most_bytes`] above all. That estimate leaves out what a write does
    /// for the indexes; it is measured and told, and not weighed.
    Total,
}

/// See [`AdviceOptions::most_built`].
const MOST_BUILT: u64 = 1 << 30;
/// See [`AdviceOptions::most_rows`].
const MOST_ROWS: u64 = 2_000_000;

/// Where advice is sought, what for, and within which bounds.
#[derive(Debug, Clone, Copy, Default)]
pub struct AdviceOptions<'a> {
    /// The server for the scratch copy of a PostgreSQL database; by default the audited one's.
    pub scratch: Option<&'a str>,
    /// What the indexes are to do.
    pub goal: Goal,
    /// Bytes that all advised indexes together may take; by default as many as they are worth.
    pub most_bytes: Option<u64>,
    /// How long a statement may take in a trial before it is given up; by default a minute.
    pub most_time: Option<Duration>,
    /// Bytes that candidates may take, all of them being built; by default a gigabyte. Where they would
    /// take more, those that no plan would use are left out, if HypoPG is there to tell.
    pub most_built: Option<u64>,
    /// Rows of one table that are copied from PostgreSQL, of a larger one a sample; by default two
    /// million. Of a SQLite file the whole is copied.
    pub most_rows: Option<u64>,
}

/// Advises indexes for the workload on the database at `url`, which is only read. Indexes are
/// built and statements executed on a scratch copy, which is removed on every path: of a SQLite
/// file another file, of a PostgreSQL database another one on a server.
///
/// # Errors
/// When the database cannot be read or the copy cannot be made. A statement that cannot be
/// analysed or executed costs only its own verdict.
pub async fn advise(
    url: &str,
    workload: &[Asked],
    options: AdviceOptions<'_>,
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
        goal: options.goal,
        most_built: options.most_built.unwrap_or(MOST_BUILT),
        most_bytes: options.most_bytes,
        most_time: options.most_time.unwrap_or(MOST_TIME),
    };
    let (mut advice, copied) = match dialect {
        Dialect::Postgres => {
            let wanted = wanted(workload, dialect, &schema);
            let server = options.scratch.unwrap_or(url);
            let most_rows = options.most_rows.unwrap_or(MOST_ROWS);
            let mut ground = postgres::open(url, server, &wanted, most_rows).await?;
            let copied = begun.elapsed();
            let mut copies = schema.clone();
            copies.tables.retain(|name, _| wanted.contains(name));
            let work = work(ground.samples(&copies).await?, ground.has_trigrams().await);
            let (result, ground) = work.solve(ground).await;
            let removed = ground.remove().await;
            (tidied_up(result, removed)?, copied)
        }
        _ => {
            let mut ground = sqlite::open(url).await?;
            let copied = begun.elapsed();
            let work = work(ground.samples(&schema).await?, false);
            let (result, ground) = work.solve(ground).await;
            let removed = ground.remove().await;
            (tidied_up(result, removed)?, copied)
        }
    };
    advice.times.copy = copied;
    advice.times.all = begun.elapsed();
    Ok(advice)
}

/// The advice, if there is some and nothing is left behind.
fn tidied_up(
    result: Result<Advice, AdviceError>,
    removed: Result<(), AdviceError>,
) -> Result<Advice, AdviceError> {
    match (result, removed) {
        (Err(first), Err(left)) => Err(AdviceError::Left {
            first: Box::new(first),
            left: Box::new(left),
        }),
        (result, removed) => removed.and(result),
    }
}

/// Builds advised indexes in a database that the caller made, and lets the planner look at them.
///
/// # Errors
/// When one cannot be built; those before it stay.
pub async fn build_indexes(url: &str, indexes: &[AdvisedIndex]) -> Result<(), AdviceError> {
    match url.split(':').next() {
        Some("postgres" | "postgresql") => postgres::build(url, indexes).await,
        _ => sqlite::build(url, indexes).await,
    }
}

/// What does not fit by its guessed size may fit when it is built: such a part more than fits is
/// built.
const MARGIN_OF_GUESSES: u64 = 8;

/// What candidates are built for.
struct Building<'b> {
    statements: &'b [Tried],
    fired: &'b Fired,
}

/// The candidates that are built.
struct Candidates {
    built: Vec<Built>,
    drafted: Option<Drafted>,
}

/// Everything that is known before the trials.
struct Work<'a> {
    dialect: Dialect,
    schema: &'a Schema,
    samples: Samples,
    trigrams: bool,
    workload: &'a [Asked],
    read: &'a [Result<Facts, String>],
    goal: Goal,
    most_built: u64,
    most_bytes: Option<u64>,
    most_time: Duration,
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
        let statements: Vec<Tried> = self
            .read
            .iter()
            .flatten()
            .map(|facts| Tried {
                texts: self.samples.texts(facts, self.dialect, self.schema),
                facts: facts.clone(),
            })
            .collect();
        let fired = fired(self.schema);
        let field = Building {
            statements: &statements,
            fired: &fired,
        };
        let building = match self.goal {
            Goal::Each => self.built(&mut ground, asked, &field).await,
            Goal::Total => self.drafted(&mut ground, asked, &field).await,
        };
        let building = match building {
            Ok(building) => building,
            Err(error) => return (Err(error), ground),
        };
        let spent = begun.elapsed();
        let mut trials = Trials::new(ground, statements, building.built, self.schema, fired);
        trials.most_bytes = self.most_bytes;
        let drafting = building.drafted.as_ref().map(|drafted| drafted.time);
        let drafting = drafting.unwrap_or_default();
        trials.drafted = building.drafted;
        let mut result = self.proved(&mut trials).await;
        if let Ok(advice) = &mut result {
            advice.times.build = spent.saturating_sub(drafting);
            if let Some(drafted) = trials.drafted {
                // The later choices were a part of choosing.
                let later = drafted.time.saturating_sub(drafting);
                advice.times.choose = advice.times.choose.saturating_sub(later);
                advice.times.draft = drafted.time;
                advice.estimated = drafted.chosen.map(|chosen| Estimated {
                    requests: drafted.estimates + chosen.estimates,
                    without: chosen.without,
                    with: chosen.with,
                });
            }
        }
        (result, trials.ground)
    }

    /// Builds the candidates that can come to anything.
    async fn built<G: Ground>(
        &self,
        ground: &mut G,
        asked: Vec<Candidate>,
        field: &Building<'_>,
    ) -> Result<Candidates, AdviceError> {
        let sizes = ground.sizes(&asked).await?.unwrap_or_default();
        if sizes.into_iter().flatten().sum::<u64>() <= self.most_built {
            return Ok(Candidates {
                built: ground.build(asked).await?,
                drafted: None,
            });
        }
        let (mut kept, others) = self.fired_first(asked, field);
        let others = others.into_iter().map(|candidate| {
            let concerned = field.statements.iter().filter(|statement| {
                is_felt(&statement.facts, &candidate, field.fired, self.schema)
            });
            let texts = concerned.flat_map(|statement| statement.texts.iter().take(choice::VALUES));
            let texts = texts.map(String::as_str).collect();
            (candidate, texts)
        });
        kept.extend(ground.promising(others.collect()).await?);
        kept.sort();
        Ok(Candidates {
            built: ground.build(kept).await?,
            drafted: None,
        })
    }

    /// Builds what estimates would choose, and more, for sizes are guessed.
    async fn drafted<G: Ground>(
        &self,
        ground: &mut G,
        asked: Vec<Candidate>,
        field: &Building<'_>,
    ) -> Result<Candidates, AdviceError> {
        let begun = Instant::now();
        let tried = self.workload.iter().zip(self.read);
        let tried = tried.filter(|(_, facts)| facts.is_ok());
        let mut drafted = Drafted {
            repeated: tried.map(|(asked, _)| asked.repeated).collect(),
            ..Drafted::default()
        };
        let (fired, others) = self.fired_first(asked, field);
        let mut wanted = match ground.sizes(&others).await? {
            None => others,
            Some(sizes) => {
                let (mut known, mut unknown) = (Vec::new(), Vec::new());
                for (candidate, bytes) in others.into_iter().zip(sizes) {
                    match bytes {
                        Some(bytes) => known.push(Weighed { candidate, bytes }),
                        None => unknown.push(candidate),
                    }
                }
                let candidates = known.iter().map(|sized| &sized.candidate).collect();
                let facts = field.statements.iter().map(|tried| &tried.facts);
                let drafting = Drafting {
                    sized: &known,
                    are_built: false,
                    statements: field.statements,
                    felt: felt(facts, candidates, field.fired, self.schema),
                    repeated: &drafted.repeated,
                    banned: &BTreeSet::new(),
                    most_bytes: self.most_bytes.map(|most| most + most / MARGIN_OF_GUESSES),
                };
                let chosen = draft(ground, &drafting).await?;
                let places = chosen.set.iter();
                unknown.extend(places.map(|at| known[*at].candidate.clone()));
                drafted.estimates = chosen.estimates;
                unknown
            }
        };
        drafted.time = begun.elapsed();
        wanted.extend(fired.iter().cloned());
        wanted.sort();
        let built = ground.build(wanted).await?;
        let is_beside = |at: &usize| fired.contains(&built[*at].candidate);
        drafted.beside = (0..built.len()).filter(is_beside).collect();
        Ok(Candidates {
            drafted: Some(drafted),
            built,
        })
    }

    /// Those that triggers of foreign keys search, which is in no plan, and the others.
    fn fired_first(
        &self,
        asked: Vec<Candidate>,
        field: &Building<'_>,
    ) -> (Vec<Candidate>, Vec<Candidate>) {
        asked.into_iter().partition(|candidate| {
            let mut facts = field.statements.iter().map(|statement| &statement.facts);
            facts.any(|facts| is_fired(facts, candidate, field.fired, self.schema))
        })
    }

    /// Everything that the trials tell.
    async fn proved<G: Ground>(&self, trials: &mut Trials<G>) -> Result<Advice, AdviceError> {
        let proved = prove::prove(trials, self.most_time).await?;
        let tried = self.workload.iter().zip(self.read);
        let (names, repeated): (Vec<&str>, Vec<u64>) = tried
            .filter(|(_, facts)| facts.is_ok())
            .map(|(asked, _)| (asked.name.as_str(), asked.repeated))
            .unzip();
        let field = Field {
            dialect: self.dialect,
            schema: self.schema,
            samples: &self.samples,
        };
        let rewrites = rewrite::rewrites(trials, &proved, &field, &names, &repeated).await?;
        let needless = drops::drops(trials, &proved, self.schema).await?;
        let prices = prove::prices(trials, &proved.chosen).await?;
        let (workload, read) = (self.workload, self.read);
        let mut advice = outcome::advice(
            &proved,
            &prices,
            trials,
            self.dialect,
            workload,
            read,
            self.schema,
        );
        advice.rewrites = rewrites;
        advice.needless = needless;
        advice.times.choose = proved.choosing;
        Ok(advice)
    }
}

/// The tables that the workload's statements name, with what refers to them or they refer to.
fn wanted(workload: &[Asked], dialect: Dialect, schema: &Schema) -> BTreeSet<String> {
    let words: BTreeSet<String> = workload
        .iter()
        .flat_map(|asked| speedwell_sql::tokens(&asked.sql, dialect))
        .map(|token| token.text.trim_matches('"').to_lowercase())
        .collect();
    let mut wanted: BTreeSet<String> = schema
        .tables
        .keys()
        .filter(|name| words.contains(&name.to_lowercase()))
        .cloned()
        .collect();
    loop {
        let before = wanted.len();
        for table in schema.tables.values() {
            for key in &table.foreign_keys {
                let Some(parent) = schema.table(&key.table) else {
                    continue;
                };
                if wanted.contains(&table.name) || wanted.contains(&parent.name) {
                    wanted.insert(table.name.clone());
                    wanted.insert(parent.name.clone());
                }
            }
        }
        if wanted.len() == before {
            return wanted;
        }
    }
}

/// For each table those that refer to it, directly or through others: what a DELETE looks at.
fn fired(schema: &Schema) -> Fired {
    let mut fired = Fired::new();
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

//! Statements executed under sets of indexes, each execution only once.

use std::{
    collections::{BTreeSet, HashMap},
    time::{Duration, Instant},
};

use super::{
    alike::{Alike, alike},
    draft::{Chosen, Drafting, Weighed, draft},
    error::AdviceError,
    facts::Facts,
    ground::{Built, Ground, Run, Set, Stopped},
    plans::Plans,
    relevance::{Fired, felt},
};
use crate::Schema;

/// What estimates choose from those built.
#[derive(Debug, Clone, Default)]
pub(crate) struct Drafted {
    /// Those of which estimates say nothing, because triggers of foreign keys search them.
    pub(crate) beside: Set,
    /// How often each statement is executed in a request.
    pub(crate) repeated: Vec<u64>,
    /// How long estimates took.
    pub(crate) time: Duration,
    /// How many there were before anything was built.
    pub(crate) estimates: u64,
    /// The first choice among those built, with the estimates of all choices.
    pub(crate) chosen: Option<Chosen>,
}

/// A statement with the values that it is tried with.
pub(crate) struct Tried {
    pub(crate) facts: Facts,
    pub(crate) texts: Vec<String>,
}

/// What a statement costs under a set of indexes, on average over its values.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cost {
    Measured(Run),
    /// The database's reason why it cannot be executed.
    Failed(String),
    /// It was given up.
    TookTooLong,
}

/// What a statement that was given up counts as: more pages than any that came to its end.
const ENDLESS: f64 = 1e8;

/// What a sort weighs, in pages: so much that of two plans that look at as many the one is taken that
/// needs none.
const PAGES_OF_SORT: f64 = 3.0;

impl Cost {
    /// Pages, those of triggers included.
    pub(crate) fn pages(&self) -> f64 {
        match self {
            Self::Measured(run) => run.pages + run.trigger_pages,
            Self::Failed(_) => 0.0,
            Self::TookTooLong => ENDLESS,
        }
    }

    /// Pages and what else is to be weighed when plans are compared.
    pub(crate) fn weight(&self) -> f64 {
        let sorts = self.run().map_or(0.0, |run| run.sorts);
        self.pages() + sorts * PAGES_OF_SORT
    }

    pub(crate) fn run(&self) -> Option<Run> {
        match self {
            Self::Measured(run) => Some(*run),
            Self::Failed(_) | Self::TookTooLong => None,
        }
    }
}

/// A statement that has taken so long without advice is tried with no further values.
const LONG: Duration = Duration::from_secs(8);
/// One that takes so long without advice is not waited for to its end while choosing.
const SLOW_MILLIS: f64 = 4000.0;
/// Only indexes with which it takes this share are of interest then.
const OF_INTEREST: f64 = 0.1;
/// And once one is known that does better, those with which it does not take much longer.
const MUCH_LONGER: u32 = 10;
/// See [`OF_INTEREST`] and [`MUCH_LONGER`]: a second is never long.
const SHORT: Duration = Duration::from_secs(1);

/// A statement that looks at so many times the pages that it does without advice with the first of its
/// values, and takes longer, is tried with no others while choosing.
const MUCH_WORSE: f64 = 4.0;
/// And at so many pages more.
const MUCH_WORSE_PAGES: f64 = 64.0;

/// A statement that takes long without advice.
#[derive(Debug, Clone, Copy)]
struct Slow {
    limit: Duration,
    /// What it costs without advice, which is what it counts as when it is given up.
    run: Run,
}

/// A statement, how many values it was tried with, the indexes there that it can feel, those of the
/// database that were away, and whether the trial was impatient.
type Asked = (usize, usize, Vec<usize>, BTreeSet<String>, bool);

/// What is known of the trials so far.
pub(crate) struct Trials<G> {
    pub(crate) ground: G,
    pub(crate) statements: Vec<Tried>,
    pub(crate) built: Vec<Built>,
    /// For each of those built what begins like it.
    pub(crate) alike: Vec<Alike>,
    /// Tables whose writing sets triggers off, foreign keys among them: their statements depend
    /// on indexes of other tables too.
    pub(crate) fired: Fired,
    /// Bytes that all chosen indexes together may take.
    pub(crate) most_bytes: Option<u64>,
    /// Of advice for the least total.
    pub(crate) drafted: Option<Drafted>,
    /// Indexes of the database that are away.
    pub(crate) besides: BTreeSet<String>,
    /// Whether statements that take long without advice are given up once it is plain that they
    /// still do.
    pub(crate) impatient: bool,
    slow: Vec<Option<Slow>>,
    plans: Plans,
    /// The names of what is hidden in the trial that is to begin, and whether it writes.
    next: Option<(Vec<String>, bool)>,
    /// See [`Ground::give_up_after`].
    limit: Duration,
    /// Values that each statement is tried with at most; known once it came to its end, which is
    /// without advice unless it takes too long then.
    values: Vec<Option<usize>>,
    costs: HashMap<Asked, Cost>,
    /// What each statement costs with each of its values without advice.
    without: HashMap<(usize, usize), Run>,
    runs: HashMap<(usize, usize, String), Run>,
    /// Executions, for the report.
    pub(crate) executed: u64,
    /// For each statement the indexes that can change what it costs.
    felt: Vec<Set>,
}

impl<G> Trials<G> {
    /// Values that the statement was tried with.
    pub(crate) fn values(&self, statement: usize) -> usize {
        let all = self.statements[statement].texts.len();
        self.values[statement].unwrap_or(all).min(all)
    }
}

impl<G: Ground> Trials<G> {
    pub(crate) fn new(
        ground: G,
        statements: Vec<Tried>,
        built: Vec<Built>,
        schema: &Schema,
        fired: Fired,
    ) -> Self {
        let candidates = built.iter().map(|built| &built.candidate).collect();
        let facts = statements.iter().map(|tried| &tried.facts);
        let felt = felt(facts, candidates, &fired, schema);
        Self {
            impatient: false,
            slow: vec![None; statements.len()],
            plans: Plans::default(),
            next: None,
            limit: Duration::MAX,
            values: vec![None; statements.len()],
            felt,
            alike: alike(&built, schema),
            ground,
            statements,
            built,
            fired,
            most_bytes: None,
            drafted: None,
            besides: BTreeSet::new(),
            costs: HashMap::new(),
            without: HashMap::new(),
            runs: HashMap::new(),
            executed: 0,
        }
    }

    /// What estimates choose among those built, some of them left out.
    pub(crate) async fn draft(&mut self, banned: &Set) -> Result<Set, AdviceError> {
        let begun = Instant::now();
        let mut drafted = self.drafted.take().unwrap_or_default();
        let sized = self.built.iter().map(|built| Weighed {
            candidate: built.candidate.clone(),
            bytes: built.bytes,
        });
        let sized: Vec<Weighed> = sized.collect();
        let drafting = Drafting {
            sized: &sized,
            are_built: true,
            statements: &self.statements,
            felt: self.felt.clone(),
            repeated: &drafted.repeated,
            banned,
            most_bytes: self.most_bytes,
        };
        let chosen = draft(&mut self.ground, &drafting).await?;
        let set = chosen.set.clone();
        drafted.time += begun.elapsed();
        match &mut drafted.chosen {
            Some(first) => first.estimates += chosen.estimates,
            none => *none = Some(chosen),
        }
        self.drafted = Some(drafted);
        Ok(set)
    }

    /// The tables whose indexes a statement can feel.
    pub(crate) fn tables(&self, statement: usize) -> BTreeSet<&str> {
        let facts = &self.statements[statement].facts;
        let mut tables = facts.tables();
        if let Some(write) = &facts.write
            && let Some(fired) = self.fired.get(&write.table)
        {
            tables.extend(fired.iter().map(String::as_str));
        }
        tables
    }

    /// The statements that can feel an index of the table.
    pub(crate) fn concerned(&self, table: &str) -> Vec<usize> {
        let all = 0..self.statements.len();
        all.filter(|statement| self.tables(*statement).contains(table))
            .collect()
    }

    fn writes(&self, statement: usize) -> bool {
        self.statements[statement].facts.write.is_some()
    }

    /// Whether the indexes of a set may take the room they need.
    pub(crate) fn has_room(&self, set: &Set) -> bool {
        let bytes: u64 = set.iter().map(|index| self.built[*index].bytes).sum();
        self.most_bytes.is_none_or(|most| bytes <= most)
    }

    /// Those of the set that the statement can feel: it uses what it speaks of, and keeps up
    /// what it writes.
    fn relevant(&self, statement: usize, set: &Set) -> Vec<usize> {
        let felt = &self.felt[statement];
        set.intersection(felt).copied().collect()
    }

    /// The costs of statements with their first `values` choices of values under a set.
    pub(crate) async fn costs(
        &mut self,
        statements: &[usize],
        set: &Set,
        values: usize,
    ) -> Result<Vec<Cost>, AdviceError> {
        let key = |trials: &Self, statement: usize| {
            let relevant = trials.relevant(statement, set);
            let besides = trials.besides.clone();
            (statement, values, relevant, besides, trials.impatient)
        };
        let unknown: Vec<usize> = statements
            .iter()
            .copied()
            .filter(|statement| !self.costs.contains_key(&key(self, *statement)))
            .collect();
        let (writing, reading): (Vec<usize>, Vec<usize>) = unknown
            .into_iter()
            .partition(|statement| self.writes(*statement));
        for (alike, writes) in [(reading, false), (writing, true)] {
            if alike.is_empty() {
                continue;
            }
            self.next = Some((self.hidden(&alike, set), writes));
            for statement in alike {
                let key = key(self, statement);
                let cost = self.cost(statement, values, &key.2).await?;
                self.costs.insert(key, cost);
            }
            if self.next.take().is_none() {
                self.ground.leave().await?;
            }
        }
        let known = |statement: &usize| self.costs.get(&key(self, *statement)).cloned();
        Ok(statements.iter().filter_map(known).collect())
    }

    /// Milliseconds of a statement under a set, the quickest of several executions of each choice
    /// of values, on average over these.
    pub(crate) async fn again(
        &mut self,
        statement: usize,
        set: &Set,
        looks: usize,
    ) -> Result<f64, AdviceError> {
        let hidden = self.hidden(&[statement], set);
        let texts = self.statements[statement].texts.clone();
        self.ground.enter(&hidden, self.writes(statement)).await?;
        let mut total = 0.0;
        for text in &texts {
            let mut least = f64::MAX;
            for _ in 0..looks {
                if let Ok(run) = self.ground.run(text).await? {
                    least = least.min(run.millis);
                    self.executed += 1;
                }
            }
            total += if least == f64::MAX { 0.0 } else { least };
        }
        self.ground.leave().await?;
        Ok(total / texts.len().max(1) as f64)
    }

    /// Forgets what statements cost under any set; what is known of an execution by its plan stays.
    pub(crate) fn forget_costs(&mut self) {
        self.costs.clear();
        self.plans = Plans::default();
    }

    /// Names of the indexes outside the set that the statements could feel.
    pub(crate) fn hidden(&self, statements: &[usize], set: &Set) -> Vec<String> {
        let tables: BTreeSet<&str> = statements.iter().flat_map(|s| self.tables(*s)).collect();
        let built = self.built.iter().enumerate();
        built
            .filter(|(at, built)| {
                !set.contains(at) && tables.contains(built.candidate.table.as_str())
            })
            .map(|(_, built)| built.candidate.name())
            .chain(self.besides.iter().cloned())
            .collect()
    }

    /// Gives up statements that take longer from now on.
    pub(crate) async fn give_up_after(&mut self, limit: Duration) -> Result<(), AdviceError> {
        self.limit = limit;
        self.ground.give_up_after(limit).await
    }

    /// Notes what every statement costs without advice: those that take long are not waited for
    /// any more where the trials are impatient.
    pub(crate) fn know(&mut self, before: &[Cost]) {
        let slow = before.iter().map(|cost| {
            let run = cost.run().filter(|run| run.millis > SLOW_MILLIS)?;
            let limit = Duration::from_secs_f64(run.millis * OF_INTEREST / 1000.0);
            let limit = limit.max(SHORT);
            Some(Slow { limit, run })
        });
        self.slow = slow.collect();
    }

    /// Begins the trial that is next, unless it has begun.
    async fn enter(&mut self) -> Result<(), AdviceError> {
        match self.next.take() {
            Some((hidden, writes)) => self.ground.enter(&hidden, writes).await,
            None => Ok(()),
        }
    }

    /// The plan of a statement with one of its values; the error is the database's reason.
    async fn plan(
        &mut self,
        (statement, value): (usize, usize),
        text: &str,
        relevant: &[usize],
    ) -> Result<Result<String, String>, AdviceError> {
        if !self.besides.is_empty() || self.writes(statement) {
            self.enter().await?;
            return self.ground.plan(text).await;
        }
        let among: Set = relevant.iter().copied().collect();
        // What proves the choice is asked for.
        if self.impatient
            && let Some(plan) = self.plans.known((statement, value), &among)
        {
            return Ok(Ok(plan.to_owned()));
        }
        self.enter().await?;
        let plan = self.ground.plan(text).await?;
        if let Ok(plan) = &plan {
            let uses = |index: &usize| self.ground.uses(plan, &self.built[*index].candidate.name());
            let used = among.iter().copied().filter(uses).collect();
            self.plans.note((statement, value), among, used, plan);
        }
        Ok(plan)
    }

    /// What an execution costs, and whether it was waited for to its end.
    async fn executed(
        &mut self,
        statement: usize,
        text: &str,
    ) -> Result<Result<(Run, bool), Stopped>, AdviceError> {
        self.executed += 1;
        self.enter().await?;
        let slow = self.slow[statement].filter(|_| self.impatient);
        let Some(slow) = slow else {
            let run = self.ground.run(text).await?;
            return Ok(run.map(|run| (run, true)));
        };
        self.ground.give_up_after(slow.limit).await?;
        let run = self.ground.run(text).await?;
        self.ground.give_up_after(self.limit).await?;
        if let (Ok(run), Some(known)) = (&run, &mut self.slow[statement]) {
            let better = Duration::from_secs_f64(run.millis / 1000.0) * MUCH_LONGER;
            known.limit = known.limit.min(better.max(SHORT));
        }
        Ok(match run {
            Err(Stopped::TookTooLong) => Ok((slow.run, false)),
            other => other.map(|run| (run, true)),
        })
    }

    fn is_much_worse(&self, statement: usize, value: usize, run: &Run) -> bool {
        let known = self.without.get(&(statement, value));
        known.is_some_and(|known| {
            run.pages > known.pages * MUCH_WORSE + MUCH_WORSE_PAGES && run.millis > known.millis
        })
    }

    async fn cost(
        &mut self,
        statement: usize,
        values: usize,
        relevant: &[usize],
    ) -> Result<Cost, AdviceError> {
        let texts = self.statements[statement].texts.clone();
        // What a write costs depends on all indexes of the table, whatever its plan is.
        let written = match self.statements[statement].facts.write {
            Some(_) => format!("{relevant:?} {:?}", self.besides),
            None => String::new(),
        };
        let tables = self.tables(statement).into_iter().map(str::to_owned);
        let tables: BTreeSet<String> = tables.collect();
        let mut total = Run::default();
        let mut count = 0;
        let mut given_up = false;
        let begun = Instant::now();
        let values = values.min(self.values[statement].unwrap_or(usize::MAX));
        for (at, text) in texts.iter().enumerate().take(values) {
            if self.values[statement].is_none() && count > 0 && begun.elapsed() > LONG {
                break;
            }
            let plan = match self.plan((statement, at), text, relevant).await? {
                Ok(plan) => plan,
                Err(reason) => return Ok(Cost::Failed(reason)),
            };
            total.pages += self.ground.uncounted(&plan, &tables);
            total.sorts += self.ground.sorts(&plan) as f64;
            total.reads_all |= self.ground.reads_all(&plan);
            let plan = plan + &written;
            let known = self.runs.get(&(statement, at, plan.clone())).copied();
            let (run, ended) = match known {
                Some(run) => (run, true),
                None => match self.executed(statement, text).await? {
                    Ok(run) => run,
                    Err(Stopped::Refused(reason)) => return Ok(Cost::Failed(reason)),
                    Err(Stopped::TookTooLong) => return Ok(Cost::TookTooLong),
                },
            };
            if known.is_none() && ended {
                self.runs.insert((statement, at, plan), run);
            }
            total.pages += run.pages;
            total.trigger_pages += run.trigger_pages;
            total.millis += run.millis;
            total.rows += run.rows;
            count += 1;
            if relevant.is_empty() && self.besides.is_empty() {
                self.without.insert((statement, at), run);
            } else if self.impatient && self.is_much_worse(statement, at, &run) {
                given_up = true;
                break;
            }
        }
        if !given_up {
            self.values[statement].get_or_insert(count);
        }
        if count > 0 {
            let count = count as f64;
            total.pages /= count;
            total.trigger_pages /= count;
            total.millis /= count;
            total.rows /= count;
            total.sorts /= count;
        }
        Ok(Cost::Measured(total))
    }
}

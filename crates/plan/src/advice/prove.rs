//! The proof: every statement executed with all its values before and after, and what each index
//! buys and costs.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use super::{
    choice::{choose, is_worse},
    error::AdviceError,
    ground::{Ground, Set, WritePrice},
    trial::{Cost, Trials},
};

/// Times that an index is refused and the choice made again. After that what is guilty is only
/// taken out: the search may be drawn to one variant of it after the other.
const MOST_ROUNDS: usize = 8;
/// All the values that a statement has.
const ALL: usize = usize::MAX;

/// What an index saves is told if it is more than this share and these pages.
const NOTICEABLE: f64 = 1.05;
/// See [`NOTICEABLE`].
const NOTICEABLE_PAGES: f64 = 0.5;
/// A statement may take this share more time.
const SLOWER: f64 = 1.5;
/// And so many milliseconds.
const SLOWER_MILLIS: f64 = 5.0;
/// With an index no statement may take so many times as long as the slowest of all without: a plan
/// that went wrong is known before it ends.
const MUCH_SLOWER: u32 = 5;
/// Each statement may take this long whatever the others take.
const LEAST_TIME: Duration = Duration::from_secs(2);
/// Executions of which the quickest counts.
const LOOKS: usize = 3;

/// Writings of which the quickest counts.
const WRITINGS: usize = 2;

/// A proved choice.
pub(crate) struct Proved {
    pub(crate) chosen: Set,
    /// Of each statement without and with the indexes.
    pub(crate) before: Vec<Cost>,
    pub(crate) after: Vec<Cost>,
    /// Of each chosen index the statements that are dearer without it alone, and their cost then.
    pub(crate) without: BTreeMap<usize, BTreeMap<usize, Cost>>,
    /// Indexes that were refused, and the statement that got worse, without the advice and with it.
    pub(crate) refused: BTreeMap<usize, (usize, Cost, Cost)>,
    pub(crate) choosing: Duration,
}

/// Chooses, executes everything, and refuses what makes a statement worse. No statement takes
/// longer than `most`.
pub(crate) async fn prove<G: Ground>(
    trials: &mut Trials<G>,
    most: Duration,
) -> Result<Proved, AdviceError> {
    let begun = Instant::now();
    let all: Vec<usize> = (0..trials.statements.len()).collect();
    let mut refused = BTreeMap::new();
    trials.give_up_after(most).await?;
    let before = trials.costs(&all, &Set::new(), ALL).await?;
    let millis = before.iter().filter_map(Cost::run).map(|run| run.millis);
    let slowest = Duration::from_secs_f64(millis.fold(0.0, f64::max) / 1000.0);
    trials
        .give_up_after((slowest * MUCH_SLOWER).max(LEAST_TIME).min(most))
        .await?;
    trials.know(&before);
    let mut chosen = quickly(trials, &BTreeSet::new()).await?;
    let mut after = trials.costs(&all, &chosen, ALL).await?;
    loop {
        let worse = match worse(trials, &before, &after) {
            Some(statement) => Some(statement),
            None => slower(trials, &before, &after, &chosen).await?,
        };
        let Some(worse) = worse else { break };
        let Some(index) = guilty(trials, worse, &chosen).await? else {
            break;
        };
        let figures = (worse, before[worse].clone(), after[worse].clone());
        refused.insert(index, figures);
        if refused.len() < MOST_ROUNDS {
            chosen = quickly(trials, &refused.keys().copied().collect()).await?;
        } else {
            chosen.remove(&index);
        }
        after = trials.costs(&all, &chosen, ALL).await?;
    }
    let choosing = begun.elapsed();
    let mut without = BTreeMap::new();
    trials.impatient = true;
    for index in &chosen {
        without.insert(*index, dearer(trials, *index, &chosen, &after).await?);
    }
    trials.impatient = false;
    Ok(Proved {
        chosen,
        before,
        after,
        without,
        refused,
        choosing,
    })
}

/// A choice for which nothing slow is waited for; what is proved is.
async fn quickly<G: Ground>(
    trials: &mut Trials<G>,
    banned: &BTreeSet<usize>,
) -> Result<Set, AdviceError> {
    trials.impatient = true;
    let chosen = choose(trials, banned).await;
    trials.impatient = false;
    chosen
}

/// The first statement that got worse by its pages. What a write does for the indexes themselves
/// is their price, not a fault.
fn worse<G>(trials: &Trials<G>, before: &[Cost], after: &[Cost]) -> Option<usize> {
    if trials.drafted.is_some() {
        // For the least total a statement may look at more pages, if that takes no longer.
        return None;
    }
    (0..before.len()).find(|statement| {
        let writes = trials.statements[*statement].facts.write.is_some();
        !writes && is_worse(&before[*statement], &after[*statement])
    })
}

/// The first statement that got slower, looked at again so that no accident is taken for a fault.
async fn slower<G: Ground>(
    trials: &mut Trials<G>,
    before: &[Cost],
    after: &[Cost],
    chosen: &Set,
) -> Result<Option<usize>, AdviceError> {
    let is_slower = |before: f64, after: f64| after > before * SLOWER + SLOWER_MILLIS;
    let millis = |cost: &Cost| cost.run().map_or(0.0, |run| run.millis);
    for statement in 0..before.len() {
        let ended = before[statement].run().is_some();
        if !ended || !is_slower(millis(&before[statement]), millis(&after[statement])) {
            continue;
        }
        let was = trials.again(statement, &Set::new(), LOOKS).await?;
        let is = trials.again(statement, chosen, LOOKS).await?;
        if is_slower(was, is) {
            return Ok(Some(statement));
        }
    }
    Ok(None)
}

/// The index without which the statement is cheapest; for the least total, quickest.
async fn guilty<G: Ground>(
    trials: &mut Trials<G>,
    statement: usize,
    chosen: &Set,
) -> Result<Option<usize>, AdviceError> {
    let mut best: Option<(f64, usize)> = None;
    for index in chosen {
        let mut others = chosen.clone();
        others.remove(index);
        let cost = trials.costs(&[statement], &others, ALL).await?;
        let price = match cost.first() {
            Some(Cost::Measured(run)) if trials.drafted.is_some() => run.millis,
            Some(cost @ Cost::Measured(_)) => cost.pages(),
            _ => f64::MAX,
        };
        if best.is_none_or(|(least, _)| price < least) {
            best = Some((price, *index));
        }
    }
    Ok(best.map(|(_, index)| index))
}

/// The statements that are dearer without this index alone.
async fn dearer<G: Ground>(
    trials: &mut Trials<G>,
    index: usize,
    chosen: &Set,
    after: &[Cost],
) -> Result<BTreeMap<usize, Cost>, AdviceError> {
    let mut others = chosen.clone();
    others.remove(&index);
    let concerned = trials.concerned(&trials.built[index].candidate.table.clone());
    let costs = trials.costs(&concerned, &others, ALL).await?;
    let pairs = concerned.into_iter().zip(costs);
    Ok(pairs
        .filter(|(statement, cost)| {
            cost.pages() > after[*statement].pages() * NOTICEABLE + NOTICEABLE_PAGES
        })
        .collect())
}

/// Of each chosen index the price of writing to its table with all indexes and without it.
pub(crate) type Prices = BTreeMap<usize, (WritePrice, WritePrice)>;

/// What writing to the tables of the chosen indexes costs, with all and without each. It comes
/// last: what was written and taken back leaves tables larger, and plans follow their size.
pub(crate) async fn prices<G: Ground>(
    trials: &mut Trials<G>,
    chosen: &Set,
) -> Result<Prices, AdviceError> {
    let mut tables: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for index in chosen {
        let table = trials.built[*index].candidate.table.clone();
        tables.entry(table).or_default().push(*index);
    }
    let mut prices = BTreeMap::new();
    for (table, own) in tables {
        // The first time the rows find other places than later.
        let all = written(trials, &table, &own, chosen, WRITINGS + 1).await?;
        for index in own {
            let mut others = chosen.clone();
            others.remove(&index);
            let less = written(trials, &table, &[index], &others, WRITINGS).await?;
            if let (Some(all), Some(less)) = (all.get(&index), less.get(&index)) {
                prices.insert(index, (*all, *less));
            }
        }
    }
    Ok(prices)
}

/// What writing to a table costs under a set, and setting the columns of each of some indexes: pages,
/// and the quickest time of several writings. Nothing of a table that cannot be written to.
async fn written<G: Ground>(
    trials: &mut Trials<G>,
    table: &str,
    indexes: &[usize],
    set: &Set,
    writings: usize,
) -> Result<BTreeMap<usize, WritePrice>, AdviceError> {
    let built = trials.built.iter().enumerate();
    let hidden: Vec<String> = built
        .filter(|(at, built)| built.candidate.table == table && !set.contains(at))
        .map(|(_, built)| built.candidate.name())
        .collect();
    trials.ground.enter_for_writing(&hidden).await?;
    let mut prices: BTreeMap<usize, WritePrice> = BTreeMap::new();
    for _ in 0..writings {
        let mut updates = Vec::with_capacity(indexes.len());
        for index in indexes {
            let columns = trials.built[*index].candidate.columns();
            updates.push(trials.ground.set_again(table, &columns).await?);
        }
        let Some(replaced) = trials.ground.replace(table).await? else {
            break;
        };
        for (index, update) in indexes.iter().zip(updates) {
            let next = WritePrice { update, ..replaced };
            let price = prices
                .get(index)
                .map_or(next, |known| quicker(*known, next));
            prices.insert(*index, price);
        }
    }
    trials.ground.leave().await?;
    Ok(prices)
}

fn quicker(before: WritePrice, next: WritePrice) -> WritePrice {
    let update = before.update.zip(next.update);
    WritePrice {
        rows: next.rows,
        insert: before.insert.quicker(next.insert),
        delete: before.delete.quicker(next.delete),
        update: update.map(|(one, other)| one.quicker(other)),
    }
}

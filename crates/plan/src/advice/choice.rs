//! Which of the built indexes to advise: the set that makes the workload cheapest for its price.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    error::AdviceError,
    ground::{Ground, Set},
    trial::{Cost, Trials},
};

/// Values that each statement is tried with while choosing: a hot, a rare and an absent one.
pub(crate) const VALUES: usize = 3;
/// Pages below which a saving is not worth speaking of.
const FLOOR: f64 = 8.0;
/// An index must make one statement one and a half times as cheap, or several by as much together:
/// `log2(1.5)`.
const LEAST_GAIN: f64 = 0.585;
/// One that saves less than this beside the others goes again. It is below the gain that an
/// addition must have, so that nothing is put in and taken out in turn.
const LEAST_LOSS: f64 = 0.5;
/// An exchange must be worth this much, so that it cannot go round in circles.
const LEAST_EXCHANGE: f64 = 0.15;
/// Each pass makes the workload cheaper by the difference of the two at least; two are usual.
const MOST_PASSES: usize = 6;
/// What an index costs that begins like another one: nobody builds a second for a little.
const PRICE_OF_OVERLAP: f64 = 0.4;
/// What an index costs that differs from another one only in what it holds beside.
const PRICE_OF_TWIN: f64 = 1.0;
/// What an index costs that is as large as its table.
const PRICE_OF_SIZE: f64 = 0.3;
/// What an index costs besides: its upkeep at every write.
const PRICE_OF_ANY: f64 = 0.05;
/// A statement may get worse by this share and these pages before the index is refused.
const MARGIN: f64 = 1.10;
/// See [`MARGIN`].
const MARGIN_PAGES: f64 = 16.0;
/// Share of the time that makes up for more pages.
const CLEARLY_FASTER: f64 = 0.67;
/// A statement this cheap needs no help, whatever it does.
const CHEAP_PAGES: f64 = 200.0;
/// Nor does one that only looks up what it needs: about a millisecond.
const CHEAP_LOOKUPS: f64 = 500.0;
/// Bits by which a statement that got worse weighs against a set.
const PENALTY: f64 = 8.0;

/// Chooses greedily; `banned` are left out. What comes out would be chosen again: nothing that is
/// left gains enough beside it, so that whoever builds it and asks again is advised nothing.
pub(crate) async fn choose<G: Ground>(
    trials: &mut Trials<G>,
    banned: &BTreeSet<usize>,
) -> Result<Set, AdviceError> {
    if let Some(drafted) = &trials.drafted {
        let beside = &drafted.beside - banned;
        let mut chosen = trials.draft(banned).await?;
        let mut promising = Promising::new(beside.into_iter().filter(|at| !chosen.contains(at)));
        while let Some(best) = promising.best(trials, &chosen).await? {
            chosen.insert(best);
        }
        return Ok(chosen);
    }
    let mut chosen = Set::new();
    let mut useful = Set::new();
    for _ in 0..MOST_PASSES {
        let before = chosen.clone();
        let is_free = |index: &usize| !banned.contains(index) && !before.contains(index);
        let mut promising = Promising::new((0..trials.built.len()).filter(is_free));
        while let Some(best) = promising.best(trials, &chosen).await? {
            chosen.insert(best);
        }
        if chosen == before {
            break;
        }
        useful.extend(promising.useful());
        exchange(trials, &mut chosen, &useful).await?;
        prune(trials, &mut chosen).await?;
    }
    Ok(chosen)
}

/// The indexes not yet chosen with what each was last seen to gain.
///
/// What an index gains hardly ever grows while others are added, so an old figure is an upper
/// bound: only the best-looking need be looked at again. Before the search ends everything is.
struct Promising {
    gains: BTreeMap<usize, f64>,
    /// What each gained alone.
    alone: BTreeMap<usize, f64>,
}

impl Promising {
    fn new(free: impl Iterator<Item = usize>) -> Self {
        Self {
            gains: free.map(|index| (index, f64::MAX)).collect(),
            alone: BTreeMap::new(),
        }
    }

    /// The index that gains most beside the chosen ones, if any gains enough; taken out.
    async fn best<G: Ground>(
        &mut self,
        trials: &mut Trials<G>,
        chosen: &Set,
    ) -> Result<Option<usize>, AdviceError> {
        for thorough in [false, true] {
            let mut fresh = Set::new();
            while let Some((index, gain)) = self.most() {
                if gain < LEAST_GAIN && (!thorough || fresh.len() == self.gains.len()) {
                    break;
                }
                if fresh.contains(&index) && (gain >= LEAST_GAIN || !thorough) {
                    self.gains.remove(&index);
                    return Ok(Some(index));
                }
                let next = match thorough && fresh.contains(&index) {
                    true => self
                        .gains
                        .keys()
                        .copied()
                        .find(|index| !fresh.contains(index)),
                    false => Some(index),
                };
                let Some(next) = next else { break };
                let gain = self.look(trials, chosen, next).await?;
                self.gains.insert(next, gain);
                fresh.insert(next);
            }
        }
        Ok(None)
    }

    /// The first of those that gain most, so that equals are always taken in one order.
    fn most(&self) -> Option<(usize, f64)> {
        let pairs = self.gains.iter().map(|(index, gain)| (*index, *gain));
        pairs.reduce(|most, next| if next.1 > most.1 { next } else { most })
    }

    async fn look<G: Ground>(
        &mut self,
        trials: &mut Trials<G>,
        chosen: &Set,
        index: usize,
    ) -> Result<f64, AdviceError> {
        let mut with = chosen.clone();
        with.insert(index);
        if !trials.has_room(&with) {
            // It stays in the list, for an exchange may make room for it.
            return Ok(0.0);
        }
        let gain = difference(trials, chosen, &with, index).await?;
        let net = rounded(gain - price_beside(trials, index, chosen));
        self.alone.entry(index).or_insert(net);
        Ok(net)
    }

    /// Those that would be chosen if there were no others.
    fn useful(&self) -> Set {
        let pairs = self.alone.iter();
        pairs
            .filter(|(_, gain)| **gain >= LEAST_GAIN)
            .map(|(index, _)| *index)
            .collect()
    }
}

/// Puts another index of the same table in the place of a chosen one where that is better, now
/// that all the others are there.
async fn exchange<G: Ground>(
    trials: &mut Trials<G>,
    chosen: &mut Set,
    useful: &Set,
) -> Result<(), AdviceError> {
    for old in chosen.clone() {
        let mut best: Option<(f64, usize)> = None;
        for &new in useful {
            let of_one_table =
                trials.built[new].candidate.table == trials.built[old].candidate.table;
            if !of_one_table || chosen.contains(&new) {
                continue;
            }
            let mut other = chosen.clone();
            other.remove(&old);
            other.insert(new);
            if !trials.has_room(&other) {
                continue;
            }
            let gain = difference(trials, chosen, &other, old).await?;
            let net = rounded(
                gain - price_beside(trials, new, &other) + price_beside(trials, old, chosen),
            );
            if net >= LEAST_EXCHANGE && best.is_none_or(|(most, _)| net > most) {
                best = Some((net, new));
            }
        }
        if let Some((_, new)) = best {
            chosen.remove(&old);
            chosen.insert(new);
        }
    }
    Ok(())
}

/// Takes out what others have made needless, the most needless first.
async fn prune<G: Ground>(trials: &mut Trials<G>, chosen: &mut Set) -> Result<(), AdviceError> {
    loop {
        let mut least: Option<(f64, usize)> = None;
        for &index in chosen.iter() {
            let mut without = chosen.clone();
            without.remove(&index);
            let loss = difference(trials, &without, chosen, index).await?;
            let net = rounded(loss - price_beside(trials, index, chosen));
            if net < LEAST_LOSS && least.is_none_or(|(known, _)| net < known) {
                least = Some((net, index));
            }
        }
        match least {
            Some((_, index)) => chosen.remove(&index),
            None => return Ok(()),
        };
    }
}

/// Bits that the workload gains from the first set to the second, which differ in the indexes of
/// one table.
async fn difference<G: Ground>(
    trials: &mut Trials<G>,
    from: &Set,
    to: &Set,
    index: usize,
) -> Result<f64, AdviceError> {
    let table = trials.built[index].candidate.table.clone();
    let concerned = trials.concerned(&table);
    let base = trials.costs(&concerned, &Set::new(), VALUES).await?;
    let before = trials.costs(&concerned, from, VALUES).await?;
    let after = trials.costs(&concerned, to, VALUES).await?;
    let mut gain = 0.0;
    for (at, statement) in concerned.iter().enumerate() {
        let writes = trials.statements[*statement].facts.write.is_some();
        let bits = |cost: &Cost| {
            let worse = !writes && is_worse(&base[at], cost);
            // A failure gains nothing either.
            let gains = !matches!(cost, Cost::Failed(_)) && !is_fine(&base[at], cost, writes);
            let pages = match gains {
                true => cost.weight(),
                false => cost.weight().max(base[at].weight()),
            };
            (FLOOR + pages).log2() + if worse { PENALTY } else { 0.0 }
        };
        gain += bits(&before[at]) - bits(&after[at]);
    }
    Ok(gain)
}

/// Whether a statement is cheap without advice, and stays so while its tables grow, because it reads
/// none of them from end to end: fewer pages are worth no index then, only a sort that goes.
fn is_fine(without: &Cost, with: &Cost, writes: bool) -> bool {
    let (Some(before), Some(after)) = (without.run(), with.run()) else {
        return false;
    };
    let is_cheap = !writes && !before.reads_all && is_cheap(without);
    is_cheap && after.sorts >= before.sorts
}

/// Whether a statement needs no help.
pub(crate) fn is_cheap(cost: &Cost) -> bool {
    let most = match cost.run() {
        Some(run) if !run.reads_all => CHEAP_LOOKUPS,
        _ => CHEAP_PAGES,
    };
    cost.pages() <= most
}

/// Whether a statement looks at more pages beyond the margin, and is not clearly faster for it:
/// pages that are looked at again and again cost less than pages of a whole table. One that could
/// be executed before and is given up now is worse.
pub(crate) fn is_worse(before: &Cost, after: &Cost) -> bool {
    match (before, after) {
        (Cost::Measured(_), Cost::Failed(_) | Cost::TookTooLong) => return true,
        (Cost::TookTooLong, _) => return false,
        _ => {}
    }
    let millis = |cost: &Cost| cost.run().map_or(0.0, |run| run.millis);
    after.pages() > before.pages() * MARGIN + MARGIN_PAGES
        && millis(after) > millis(before) * CLEARLY_FASTER
}

fn price<G>(trials: &Trials<G>, index: usize) -> f64 {
    let built = &trials.built[index];
    let size = built.bytes as f64 / (built.table_bytes.max(8192) as f64);
    PRICE_OF_ANY + PRICE_OF_SIZE * size
}

/// What the index costs beside the others, in bits.
fn price_beside<G>(trials: &Trials<G>, index: usize, others: &Set) -> f64 {
    let alike = &trials.alike[index];
    let any = |set: &Set| {
        set.iter()
            .any(|other| *other != index && others.contains(other))
    };
    let overlap = if alike.twin_is_there || any(&alike.twins) {
        PRICE_OF_TWIN
    } else if alike.is_there || any(&alike.built) {
        PRICE_OF_OVERLAP
    } else {
        0.0
    };
    price(trials, index) + overlap
}

/// Differences below a thousandth of a bit are accidents.
fn rounded(bits: f64) -> f64 {
    (bits * 1000.0).round() / 1000.0
}

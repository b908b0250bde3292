//! A choice by estimates, for the least that all statements cost together: nothing is executed where
//! the planner can be asked, so that it takes seconds on a database of any size. What it chooses is
//! proved like everything else.
//!
//! It is a greedy choice by gain for each byte, as Extend makes it (Schlosser, Kossmann, Boissier:
//! *Efficient scalable multi-attribute index selection using recursive strategies*, ICDE 2019), over
//! candidates that have all their columns from the start, and mended by exchanges.

use std::collections::{BTreeMap, HashMap};

use super::{
    candidate::Candidate,
    choice::VALUES,
    error::AdviceError,
    ground::{Ground, Inquiry, Set},
    trial::Tried,
};

/// Share of what all statements cost without advice that an index must save, as Extend has it.
const LEAST_SHARE: f64 = 0.003;

/// Bytes of the smallest index.
const PAGE: u64 = 8192;

/// An index to choose from.
pub(crate) struct Weighed {
    pub(crate) candidate: Candidate,
    pub(crate) bytes: u64,
}

/// What is chosen from, and what for.
pub(crate) struct Drafting<'d> {
    pub(crate) sized: &'d [Weighed],
    /// Whether they are built.
    pub(crate) are_built: bool,
    pub(crate) statements: &'d [Tried],
    /// For each statement the indexes that can change what it costs.
    pub(crate) felt: Vec<Set>,
    /// How often each statement is executed in a request.
    pub(crate) repeated: &'d [u64],
    /// Those that may not be chosen.
    pub(crate) banned: &'d Set,
    /// Bytes that those chosen may take together.
    pub(crate) most_bytes: Option<u64>,
}

/// What came out.
#[derive(Debug, Clone, Default)]
pub(crate) struct Chosen {
    /// The places of those chosen.
    pub(crate) set: Set,
    /// How many estimates that took.
    pub(crate) estimates: u64,
    /// What all statements cost without them, by these estimates.
    pub(crate) without: f64,
    /// And with them.
    pub(crate) with: f64,
}

/// Chooses for the least total.
pub(crate) async fn draft<G: Ground>(
    ground: &mut G,
    drafting: &Drafting<'_>,
) -> Result<Chosen, AdviceError> {
    let mut draft = Draft::new(ground, drafting);
    let nothing = Set::new();
    let without = draft.total(&nothing).await?;
    draft.least = without * LEAST_SHARE;
    draft.most = vec![0.0; drafting.sized.len()];
    draft.look(&nothing).await?;
    let all = 0..drafting.sized.len();
    let free: Vec<usize> = all
        .filter(|place| !drafting.banned.contains(place))
        .collect();
    let grown = draft.grown(nothing, &free).await?;
    // Some gain nothing alone, and much beside others: the other side of a join.
    draft.look_beside(&grown).await?;
    let grown = draft.grown(grown, &free).await?;
    // Without a bound, whatever is of some use is built first, and chosen from then.
    let mended = match drafting.are_built || drafting.most_bytes.is_some() {
        true => draft.mended(grown).await?,
        false => grown,
    };
    let set = draft.pruned(mended).await?;
    let with = draft.total(&set).await?;
    Ok(Chosen {
        set,
        estimates: draft.estimates,
        without,
        with,
    })
}

struct Draft<'d, G> {
    ground: &'d mut G,
    drafting: &'d Drafting<'d>,
    felt: &'d [Set],
    /// For each statement those of a set that is growing with which it costs as much as without:
    /// what comes after them is looked at without them.
    idle: Vec<Set>,
    /// What a statement costs with those that it can feel, of which some may be idle.
    costs: HashMap<(usize, bool, Vec<usize>), f64>,
    /// What each index was seen to gain at most, alone or beside others.
    most: Vec<f64>,
    /// What an index must save.
    least: f64,
    /// Estimates so far.
    estimates: u64,
}

impl<'d, G: Ground> Draft<'d, G> {
    fn new(ground: &'d mut G, drafting: &'d Drafting<'d>) -> Self {
        Self {
            ground,
            drafting,
            felt: &drafting.felt,
            idle: vec![Set::new(); drafting.statements.len()],
            costs: HashMap::new(),
            most: Vec::new(),
            least: 0.0,
            estimates: 0,
        }
    }

    /// Adds to a set what gains most, until nothing gains enough or fits.
    async fn grown(&mut self, set: Set, free: &[usize]) -> Result<Set, AdviceError> {
        let mut set = set;
        // What an index gains hardly ever grows while others are added, so an old figure is an
        // upper bound, and only the best-looking need be looked at again.
        let free = free.iter().filter(|place| !set.contains(place));
        let mut gains: BTreeMap<usize, f64> =
            free.map(|place| (*place, self.most[*place])).collect();
        loop {
            let room = self.room(&set);
            gains.retain(|place, _| self.bytes(*place) <= room);
            let mut fresh = Set::new();
            let best = loop {
                let Some((place, _)) = self.best(&gains) else {
                    break None;
                };
                if fresh.contains(&place) {
                    break Some(place);
                }
                let gain = self.gain(&set, place).await?;
                gains.insert(place, gain);
                fresh.insert(place);
            };
            let Some(best) = best else { break };
            gains.remove(&best);
            self.note_idle(&set, best).await?;
            set.insert(best);
        }
        self.idle.iter_mut().for_each(Set::clear);
        Ok(set)
    }

    /// Notes for which statements an index does nothing beside the set.
    async fn note_idle(&mut self, set: &Set, place: usize) -> Result<(), AdviceError> {
        let mut with = set.clone();
        with.insert(place);
        for statement in self.concerned(place) {
            let before = self.sum(set, &[statement]).await?;
            if self.sum(&with, &[statement]).await? >= before {
                self.idle[statement].insert(place);
            }
        }
        Ok(())
    }

    /// Looks at what each index gains beside the set.
    async fn look(&mut self, set: &Set) -> Result<(), AdviceError> {
        for place in 0..self.most.len() {
            let gain = self.gain(set, place).await?;
            self.most[place] = self.most[place].max(gain);
        }
        Ok(())
    }

    /// The same beside a set that is grown already, where most gain nothing any more: what several gain
    /// together is no less than what one of them does, so that many need not be looked at alone.
    async fn look_beside(&mut self, set: &Set) -> Result<(), AdviceError> {
        let mut gains = vec![0.0; self.most.len()];
        for statement in 0..self.felt.len() {
            let cost = self.sum(set, &[statement]).await?;
            let others = self.felt[statement].difference(set).copied();
            let free = others.filter(|place| !self.drafting.banned.contains(place));
            let mut groups = vec![free.collect::<Vec<usize>>()];
            while let Some(mut group) = groups.pop() {
                let with: Set = set.iter().chain(&group).copied().collect();
                let gain = cost - self.sum(&with, &[statement]).await?;
                match group.as_slice() {
                    [] => {}
                    _ if gain <= 0.0 => {}
                    [place] => gains[*place] += gain,
                    several => {
                        let half = group.split_off(several.len() / 2);
                        groups.extend([half, group]);
                    }
                }
            }
        }
        for (most, gain) in self.most.iter_mut().zip(gains) {
            *most = most.max(gain);
        }
        Ok(())
    }

    /// Takes each index out and lets others of its table come in its place, where that is better.
    async fn mended(&mut self, mut set: Set) -> Result<Set, AdviceError> {
        for place in set.clone() {
            let mut without = set.clone();
            without.remove(&place);
            let lost = self.gain(&without, place).await?;
            let heirs = self.heirs(place, &without, lost).await?;
            let other = self.grown(without, &heirs).await?;
            if self.total(&other).await? < self.total(&set).await? - self.least {
                set = other;
            }
        }
        Ok(set)
    }

    /// What may do for the statements what an index does that is taken out of a set.
    async fn heirs(
        &mut self,
        place: usize,
        without: &Set,
        lost: f64,
    ) -> Result<Vec<usize>, AdviceError> {
        let mut with = without.clone();
        with.insert(place);
        let mut served = Set::new();
        for statement in self.concerned(place) {
            let cost = self.sum(without, &[statement]).await?;
            if self.sum(&with, &[statement]).await? < cost {
                served.insert(statement);
            }
        }
        let table = |place: usize| &self.drafting.sized[place].candidate.table;
        let is_heir = |other: &usize| {
            let mut serves = self.concerned(*other).into_iter();
            *other != place
                && !self.drafting.banned.contains(other)
                && table(*other) == table(place)
                && self.most[*other] > lost
                && serves.any(|statement| served.contains(&statement))
        };
        Ok((0..self.most.len()).filter(is_heir).collect())
    }

    /// Takes out what others have made needless.
    async fn pruned(&mut self, mut set: Set) -> Result<Set, AdviceError> {
        for place in set.clone() {
            let mut without = set.clone();
            without.remove(&place);
            let gain = self.gain(&without, place).await?;
            if !self.is_enough(gain) {
                set = without;
            }
        }
        Ok(set)
    }

    /// Where nothing can be estimated all costs nothing, and no index saves a share of that.
    fn is_enough(&self, gain: f64) -> bool {
        gain > 0.0 && gain >= self.least
    }

    fn bytes(&self, place: usize) -> u64 {
        self.drafting.sized[place].bytes
    }

    fn room(&self, set: &Set) -> u64 {
        let taken: u64 = set.iter().map(|place| self.bytes(*place)).sum();
        let most = self.drafting.most_bytes.unwrap_or(u64::MAX);
        most.saturating_sub(taken)
    }

    /// The best-looking one for each byte. That comes to a better end even where room is not short.
    fn best(&self, gains: &BTreeMap<usize, f64>) -> Option<(usize, f64)> {
        let enough = gains.iter().filter(|(_, gain)| self.is_enough(**gain));
        let scored = enough.map(|(place, gain)| {
            let bytes = self.bytes(*place).max(PAGE) as f64;
            (*place, *gain, gain / bytes)
        });
        let best = scored.reduce(|most, next| if next.2 > most.2 { next } else { most });
        best.map(|(place, gain, _)| (place, gain))
    }

    /// What all statements cost less with the index beside the set.
    async fn gain(&mut self, set: &Set, place: usize) -> Result<f64, AdviceError> {
        let concerned = self.concerned(place);
        let mut with = set.clone();
        with.insert(place);
        let before = self.sum(set, &concerned).await?;
        Ok(before - self.sum(&with, &concerned).await?)
    }

    /// The statements that can feel the index.
    fn concerned(&self, place: usize) -> Vec<usize> {
        let all = 0..self.felt.len();
        all.filter(|statement| self.felt[*statement].contains(&place))
            .collect()
    }

    /// What all statements cost.
    async fn total(&mut self, set: &Set) -> Result<f64, AdviceError> {
        let all: Vec<usize> = (0..self.felt.len()).collect();
        self.sum(set, &all).await
    }

    async fn sum(&mut self, set: &Set, statements: &[usize]) -> Result<f64, AdviceError> {
        let key = |draft: &Self, statement: usize| {
            let felt: Set = set.intersection(&draft.felt[statement]).copied().collect();
            let awake: Vec<usize> = felt.difference(&draft.idle[statement]).copied().collect();
            (statement, awake.len() < felt.len(), awake)
        };
        let unknown: Vec<usize> = statements
            .iter()
            .copied()
            .filter(|statement| !self.costs.contains_key(&key(self, *statement)))
            .collect();
        if !unknown.is_empty() {
            let costs = self.asked(set, &unknown).await?;
            for (statement, cost) in unknown.into_iter().zip(costs) {
                self.costs.insert(key(self, statement), cost);
            }
        }
        let costs = statements.iter().map(|statement| {
            let cost = self.costs.get(&key(self, *statement));
            cost.copied().unwrap_or(0.0)
        });
        Ok(costs.sum())
    }

    /// What the statements cost, each with some of its values, as often as it is executed.
    async fn asked(&mut self, set: &Set, statements: &[usize]) -> Result<Vec<f64>, AdviceError> {
        let drafting = self.drafting;
        let texts = statements
            .iter()
            .map(|statement| drafting.statements[*statement].texts.iter().take(VALUES));
        let counts: Vec<usize> = texts.clone().map(Iterator::count).collect();
        let all = drafting.sized.iter().enumerate();
        let (with, without): (Vec<_>, Vec<_>) = all.partition(|(place, _)| set.contains(place));
        let only = |some: Vec<(usize, &'d Weighed)>| -> Vec<&'d Candidate> {
            let some = some.into_iter();
            some.map(|(_, sized)| &sized.candidate).collect()
        };
        let asked = Inquiry {
            with: only(with),
            without: only(without),
            are_built: drafting.are_built,
            statements: texts.flatten().map(String::as_str).collect(),
        };
        let estimates = self.ground.estimates(&asked).await?;
        self.estimates += estimates.len() as u64;
        let mut estimates = estimates.into_iter();
        let costs = statements.iter().zip(counts).map(|(statement, count)| {
            let of_one = estimates.by_ref().take(count);
            let sum: f64 = of_one.map(|cost| cost.unwrap_or(0.0)).sum();
            let repeated = drafting.repeated.get(*statement).copied().unwrap_or(1);
            sum / count.max(1) as f64 * repeated as f64
        });
        Ok(costs.collect())
    }
}

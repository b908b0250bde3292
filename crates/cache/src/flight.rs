//! One load for all who want the same value under the same generations.
//!
//! A load runs in a task of its own: who asked for it may go away. What tells loads apart is the
//! key *and* the generations that its readers saw, so a reader who starts after an invalidation
//! never joins a load that began before it.
//!
//! When generations cannot be known (Redis does not answer, a write is under way), readers may
//! only join a load that has not begun: at most one runs and one waits, however many ask.

use std::{
    any::{Any, TypeId},
    collections::HashMap,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::watch;

use crate::{LoadError, key};

const SHARDS: usize = 16;
/// A load past the cache is not waited for longer by the next one: it may hang.
const NEXT_AFTER: Duration = Duration::from_secs(1);

/// What a load gives; nothing: there is nothing.
pub(crate) type Outcome<T, E> = Result<Option<Arc<T>>, LoadError<E>>;

/// How a load ended.
pub(crate) struct Landed<T, E> {
    pub(crate) outcome: Outcome<T, E>,
    /// Whether readers who came while it ran may have it: what it read was known when it began, so
    /// that what they saw tells them whether it is out of date.
    pub(crate) may_be_shared: bool,
}

impl<T, E> Landed<T, E> {
    pub(crate) fn shared(outcome: Outcome<T, E>) -> Self {
        Self {
            outcome,
            may_be_shared: true,
        }
    }
}

// Not derived: neither value nor error need be cloned.
impl<T, E> Clone for Landed<T, E> {
    fn clone(&self) -> Self {
        Self {
            outcome: self.outcome.clone(),
            may_be_shared: self.may_be_shared,
        }
    }
}

type Sender<T, E> = watch::Sender<Option<Landed<T, E>>>;
type Receiver<T, E> = watch::Receiver<Option<Landed<T, E>>>;

/// Which load.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Id {
    key: Box<[u8]>,
    /// Of value and error: other types cannot share a load.
    types: TypeId,
    /// Whether "there is nothing" is an answer: a reader who does not expect it must not get it.
    absent_counts: bool,
    under: Under,
}

/// What all readers of one load have seen.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Under {
    Generations(Vec<u64>),
    /// Nothing is known: only a load that has not begun is safe.
    Nothing,
}

/// A load under way.
pub(crate) struct Flight<T, E>(Receiver<T, E>);

/// A load, and the other one that was not started because this one was joined.
pub(crate) type Boarded<T, E> = (Flight<T, E>, Option<Box<dyn LoadTask<T, E>>>);

/// Loads that may not be joined once they run.
struct Lane<T, E> {
    running: Receiver<T, E>,
    waiting: Option<Receiver<T, E>>,
}

/// All loads under way.
#[derive(Default)]
pub(crate) struct Flights {
    shards: [Mutex<Shard>; SHARDS],
}

type Shard = HashMap<Id, Box<dyn Any + Send>>;

/// A task that runs a load: it gives the outcome, then keeps it or waits. Its end is the end
/// of the flight.
pub(crate) trait Load<T, E>: Send + 'static {
    fn run(self, sender: Arc<Publish<T, E>>) -> impl Future<Output = ()> + Send;

    /// What it loads is not to be kept.
    fn pass_the_cache(&mut self);
}

/// Hands the outcome to all who wait.
pub(crate) struct Publish<T, E>(Sender<T, E>);

impl<T, E> Publish<T, E> {
    pub(crate) fn landed(&self, outcome: Outcome<T, E>, may_be_shared: bool) {
        let landed = Landed {
            outcome,
            may_be_shared,
        };
        self.0.send_replace(Some(landed));
    }
}

impl Id {
    pub(crate) fn new<T: 'static, E: 'static>(
        key: &[u8],
        absent_counts: bool,
        under: Under,
    ) -> Self {
        Self {
            key: key.into(),
            types: TypeId::of::<(T, E)>(),
            absent_counts,
            under,
        }
    }
}

impl Flights {
    /// Joins the load of this name or starts it; who joins gets back what would have been started.
    ///
    /// `kept` is asked when none is under way: a load is taken off the table only after its value
    /// was kept, so one that ended a moment ago counts as joined.
    pub(crate) fn join_or_start<T, E>(
        self: &Arc<Self>,
        id: Id,
        load: Box<dyn LoadTask<T, E>>,
        kept: impl FnOnce() -> Option<Option<Arc<T>>>,
    ) -> Boarded<T, E>
    where
        T: Send + Sync + 'static,
        E: Send + Sync + 'static,
    {
        let mut shard = self.shard(&id);
        match id.under {
            Under::Generations(_) => self.board(&mut shard, id, load, kept),
            Under::Nothing => self.queue(&mut shard, id, load),
        }
    }

    fn board<T, E>(
        self: &Arc<Self>,
        shard: &mut Shard,
        id: Id,
        load: Box<dyn LoadTask<T, E>>,
        kept: impl FnOnce() -> Option<Option<Arc<T>>>,
    ) -> Boarded<T, E>
    where
        T: Send + Sync + 'static,
        E: Send + Sync + 'static,
    {
        if let Some(flight) = flight_of(shard, &id) {
            return (flight, Some(load));
        }
        if let Some(value) = kept() {
            return (Flight::over(Ok(value)), Some(load));
        }
        let (sender, receiver) = watch::channel(None);
        shard.insert(id.clone(), Box::new(receiver.clone()));
        let done = Landing(Arc::clone(self), id);
        tokio::spawn(async move {
            load.run(Arc::new(Publish(sender))).await;
            drop(done);
        });
        (Flight(receiver), None)
    }

    fn queue<T, E>(
        self: &Arc<Self>,
        shard: &mut Shard,
        id: Id,
        load: Box<dyn LoadTask<T, E>>,
    ) -> Boarded<T, E>
    where
        T: Send + Sync + 'static,
        E: Send + Sync + 'static,
    {
        let lane = shard.get_mut(&id).and_then(|one| one.downcast_mut());
        let (sender, receiver) = watch::channel(None);
        let before = match lane {
            Some(Lane {
                waiting: Some(next),
                ..
            }) if is_alive::<T, E>(next) => {
                return (Flight(next.clone()), Some(load));
            }
            Some(lane) if is_open(&lane.running) => {
                lane.waiting = Some(receiver.clone());
                Some(lane.running.clone())
            }
            _ => {
                let lane = Lane {
                    running: receiver.clone(),
                    waiting: None,
                };
                shard.insert(id.clone(), Box::new(lane));
                None
            }
        };
        let (flights, own) = (Arc::clone(self), receiver.clone());
        tokio::spawn(async move {
            if let Some(before) = before {
                wait_for(before).await;
                flights.next_runs::<T, E>(&id, own.clone());
            }
            load.run(Arc::new(Publish(sender))).await;
            flights.leave_lane::<T, E>(&id, &own);
        });
        (Flight(receiver), None)
    }

    /// The load of this name, if it is under way.
    pub(crate) fn under_way<T, E>(&self, id: &Id) -> Option<Flight<T, E>>
    where
        T: Send + Sync + 'static,
        E: Send + Sync + 'static,
    {
        flight_of(&self.shard(id), id)
    }

    /// From now on nobody may join the load that waited.
    fn next_runs<T: 'static + Send + Sync, E: 'static + Send + Sync>(
        &self,
        id: &Id,
        own: Receiver<T, E>,
    ) {
        let lane = Lane {
            running: own,
            waiting: None,
        };
        self.shard(id).insert(id.clone(), Box::new(lane));
    }

    fn leave_lane<T: 'static, E: 'static>(&self, id: &Id, own: &Receiver<T, E>) {
        let mut shard = self.shard(id);
        let lane = shard
            .get(id)
            .and_then(|one| one.downcast_ref::<Lane<T, E>>());
        let last =
            lane.is_some_and(|lane| lane.waiting.is_none() && lane.running.same_channel(own));
        if last {
            shard.remove(id);
        }
    }

    fn shard(&self, id: &Id) -> MutexGuard<'_, Shard> {
        let shard = &self.shards[key::hash(&id.key) as usize % SHARDS];
        // Nothing panics while it is held half-changed.
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(crate) fn count(&self) -> usize {
        self.shards
            .iter()
            .map(|shard| shard.lock().unwrap().len())
            .sum()
    }
}

/// [`Load`] as an object.
pub(crate) trait LoadTask<T, E>: Send {
    fn run(
        self: Box<Self>,
        sender: Arc<Publish<T, E>>,
    ) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

    fn pass_the_cache(&mut self);
}

impl<T, E, L: Load<T, E>> LoadTask<T, E> for L
where
    T: Send + Sync + 'static,
    E: Send + Sync + 'static,
{
    fn run(
        self: Box<Self>,
        sender: Arc<Publish<T, E>>,
    ) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(Load::run(*self, sender))
    }

    fn pass_the_cache(&mut self) {
        Load::pass_the_cache(self);
    }
}

/// Takes the flight off the table however its task ends.
struct Landing(Arc<Flights>, Id);

impl Drop for Landing {
    fn drop(&mut self) {
        self.0.shard(&self.1).remove(&self.1);
    }
}

fn flight_of<T: 'static, E: 'static>(shard: &Shard, id: &Id) -> Option<Flight<T, E>> {
    let receiver: &Receiver<T, E> = shard.get(id)?.downcast_ref()?;
    is_alive(receiver).then(|| Flight(receiver.clone()))
}

/// Whether it runs still, or has an outcome.
fn is_alive<T, E>(receiver: &Receiver<T, E>) -> bool {
    receiver.has_changed().is_ok() || receiver.borrow().is_some()
}

/// Whether it has no outcome yet and can still have one.
fn is_open<T, E>(receiver: &Receiver<T, E>) -> bool {
    receiver.has_changed().is_ok() && receiver.borrow().is_none()
}

async fn wait_for<T, E>(mut before: Receiver<T, E>) {
    let ended = before.wait_for(Option::is_some);
    let _ended_or_patience = tokio::time::timeout(NEXT_AFTER, ended).await;
}

impl<T, E> Flight<T, E> {
    /// One that has ended.
    fn over(outcome: Outcome<T, E>) -> Self {
        Self(watch::channel(Some(Landed::shared(outcome))).1)
    }

    /// How it ended, when it has.
    pub(crate) async fn landed(mut self) -> Landed<T, E> {
        let ended = self.0.wait_for(Option::is_some).await;
        let landed = ended.ok().and_then(|landed| landed.clone());
        landed.unwrap_or(Landed::shared(Err(LoadError::Aborted)))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::time::{sleep, timeout};

    use super::*;

    struct Slow(Arc<AtomicUsize>, Duration);

    impl Load<usize, ()> for Slow {
        async fn run(self, sender: Arc<Publish<usize, ()>>) {
            let number = self.0.fetch_add(1, Ordering::SeqCst) + 1;
            sleep(self.1).await;
            sender.landed(Ok(Some(Arc::new(number))), true);
        }

        fn pass_the_cache(&mut self) {}
    }

    struct Panics;

    impl Load<usize, ()> for Panics {
        async fn run(self, _: Arc<Publish<usize, ()>>) {
            panic!("on purpose");
        }

        fn pass_the_cache(&mut self) {}
    }

    const MOMENT: Duration = Duration::from_millis(50);

    async fn number(flight: Flight<usize, ()>) -> usize {
        *flight.landed().await.outcome.unwrap().unwrap()
    }

    fn id(under: Under) -> Id {
        Id::new::<usize, ()>(b"k", false, under)
    }

    #[tokio::test]
    async fn all_who_saw_the_same_share_one_load_and_others_do_not() {
        let (flights, count) = (Arc::new(Flights::default()), Arc::default());
        let start = |generation| {
            let load = Box::new(Slow(Arc::clone(&count), MOMENT));
            flights.join_or_start(id(Under::Generations(vec![generation])), load, || None)
        };
        let (one, joined) = start(1);
        assert!(joined.is_none());
        let (same, joined) = start(1);
        assert!(joined.is_some());
        let (other, joined) = start(2);
        assert!(joined.is_none());
        assert_eq!(number(one).await, 1);
        assert_eq!(number(same).await, 1);
        assert_eq!(number(other).await, 2);
        sleep(MOMENT).await;
        assert_eq!(flights.count(), 0);
    }

    #[tokio::test]
    async fn past_the_cache_only_a_load_that_has_not_begun_is_joined() {
        let (flights, count) = (Arc::new(Flights::default()), Arc::default());
        let mut waiting = Vec::new();
        for _ in 0..1000 {
            let load = Box::new(Slow(Arc::clone(&count), MOMENT));
            waiting.push(flights.join_or_start(id(Under::Nothing), load, || None));
            tokio::task::yield_now().await;
        }
        let joined = waiting
            .iter()
            .filter(|(_, joined)| joined.is_some())
            .count();
        assert_eq!(joined, 998);
        let mut values = Vec::new();
        for (flight, _) in waiting {
            values.push(number(flight).await);
        }
        assert!(values[0] == 1 && values[1..].iter().all(|value| *value == 2));
        sleep(MOMENT).await;
        assert_eq!(flights.count(), 0);
    }

    #[tokio::test]
    async fn a_load_that_hangs_past_the_cache_does_not_stop_the_next_one() {
        let (flights, count) = (Arc::new(Flights::default()), Arc::default());
        let start = |time| {
            let load = Box::new(Slow(Arc::clone(&count), time));
            flights.join_or_start(id(Under::Nothing), load, || None).0
        };
        let _hangs = start(Duration::from_secs(3600));
        tokio::task::yield_now().await;
        let next = timeout(3 * NEXT_AFTER, number(start(MOMENT))).await;
        assert_eq!(next.unwrap(), 2);
    }

    #[tokio::test]
    async fn a_load_that_panics_is_told_to_all_and_the_next_one_begins() {
        let flights = Arc::new(Flights::default());
        for under in [Under::Nothing, Under::Generations(vec![1])] {
            for _ in 0..2 {
                let (flight, _) =
                    flights.join_or_start(id(under.clone()), Box::new(Panics), || None);
                let outcome = flight.landed().await.outcome;
                assert!(matches!(outcome, Err(LoadError::Aborted)));
            }
        }
    }
}

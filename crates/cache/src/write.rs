//! Writes: what depends on them is invalid for everybody when they return.

use std::{
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::{sleep, timeout};
use tracing::{Instrument as _, Span};

use crate::{
    Cache, Mode, NotTold, WriteError,
    cache::Inner,
    event,
    generation::{ALL, of_group, of_tag, tag_of},
    key::Pattern,
    learning::Dependencies,
    mutant::Mutant,
    redis::Line,
};

/// An invalidation that did not reach Redis is tried again after so long; doubles up to the
/// longest.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// A write under way. Cheap to clone.
#[derive(Clone)]
pub struct Write {
    inner: Arc<Inner>,
    /// How it is called in Redis.
    number: u64,
    names: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Cache {
    /// Runs a transaction and invalidates what depends on its tags.
    ///
    /// The transaction runs in a task of its own: once begun it is finished, and followed by its
    /// invalidation, even if the caller goes away. It keeps the `tracing` span of the caller, so that
    /// its statements are seen as those of the request. It must commit before it returns, and its
    /// error must mean that it did not commit or that this is not known.
    ///
    /// In [`Mode::Strict`], everybody is told before it begins: from then on, readers of these
    /// tags go past the cache. In [`Mode::Bounded`], they are told when it has committed.
    ///
    /// Nothing that the transaction reads may come from the cache.
    ///
    /// # Errors
    /// The transaction failed, or took too long; or, in strict mode, Redis could not be told, and
    /// it was not begun.
    pub async fn write<T, E, F, Fut>(
        &self,
        tags: impl IntoIterator<Item: AsRef<[u8]>>,
        transaction: F,
    ) -> Result<T, WriteError<E>>
    where
        T: Send + 'static,
        E: Send + 'static,
        F: FnOnce(Write) -> Fut + Send + 'static,
        Fut: Future<Output = Result<T, E>> + Send + 'static,
    {
        let names: Vec<_> = tags.into_iter().map(|tag| of_tag(tag.as_ref())).collect();
        let inner = Arc::clone(&self.0);
        let run = async move { inner.run_write(names, transaction).await };
        // Its statements, and what it tells, belong to the request that writes.
        let running = tokio::spawn(run.instrument(Span::current()));
        running.await.unwrap_or(Err(WriteError::Aborted))
    }

    /// Invalidates what depends on tags, for everybody, after a transaction of your own has
    /// committed. [`Cache::write`] does it at the right moments and whatever happens.
    ///
    /// # Errors
    /// Redis could not be told. It is tried again until it has been.
    pub async fn invalidate(
        &self,
        tags: impl IntoIterator<Item: AsRef<[u8]>>,
    ) -> Result<(), NotTold> {
        let names = tags.into_iter().map(|tag| of_tag(tag.as_ref())).collect();
        self.0.renew(names, "invalidate").await
    }

    /// Invalidates everything.
    ///
    /// # Errors
    /// As [`Cache::invalidate`].
    pub async fn clear(&self) -> Result<(), NotTold> {
        self.0.renew(vec![ALL.to_vec()], "clear").await
    }

    /// Deletes what matches a glob of Redis (`*`, `?`, `[…]`); says how many entries were found,
    /// as far as they were counted.
    ///
    /// `*` and `group:*`, the group being what stands before the first colon of a key, take the
    /// same short time for any number of keys, are not counted, and are as safe as
    /// [`Cache::invalidate`]. Other globs look through all keys of Redis and delete what they
    /// find; what is being loaded meanwhile may be stored again. Prefer tags.
    pub async fn delete_pattern(&self, pattern: impl AsRef<[u8]>) -> u64 {
        let pattern = pattern.as_ref();
        let group = match Pattern::of(pattern) {
            Pattern::All => ALL.to_vec(),
            Pattern::Group(group) => of_group(group),
            Pattern::Glob => return self.0.delete_glob(pattern).await,
        };
        let entries = self.0.memory.entries();
        let _delayed = self.0.renew(vec![group], "delete_pattern").await;
        self.0.sweep();
        entries - self.0.memory.entries().min(entries)
    }
}

impl Write {
    /// Adds tags that are known only now: of a row that was read in the transaction, say.
    ///
    /// # Errors
    /// Strict mode: Redis could not be told; do not commit.
    pub async fn also(&self, tags: impl IntoIterator<Item: AsRef<[u8]>>) -> Result<(), NotTold> {
        let names: Vec<_> = tags.into_iter().map(|tag| of_tag(tag.as_ref())).collect();
        self.inner.begin(self.number, &names).await?;
        let mut all = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        all.extend(names);
        Ok(())
    }

    fn take_names(&self) -> Vec<Vec<u8>> {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *names)
    }
}

impl Inner {
    async fn run_write<T, E, F, Fut>(
        self: Arc<Self>,
        names: Vec<Vec<u8>>,
        transaction: F,
    ) -> Result<T, WriteError<E>>
    where
        T: Send + 'static,
        E: Send + 'static,
        F: FnOnce(Write) -> Fut + Send + 'static,
        Fut: Future<Output = Result<T, E>> + Send + 'static,
    {
        let number = self.line.as_ref().map_or(0, |line| line.new_write());
        if self.begin(number, &names).await.is_err() {
            self.counters.refused_writes.one();
            // A mark that timed out may still be set: nobody should have to outwait it.
            if let Some(line) = &self.line {
                tokio::spawn(tell_later(Arc::downgrade(line), number, names));
            }
            return Err(WriteError::Refused);
        }
        let write = Write {
            inner: Arc::clone(&self),
            number,
            names: Arc::new(Mutex::new(names)),
        };
        if self.mutation.is(Mutant::RenewBeforeCommit) {
            let _told = self.end(number, write.take_names()).await;
        }
        let after = self.write_timeout;
        let watch = self.learning.watch(&Span::current());
        let transaction = transaction(write.clone()).instrument(watch.span());
        let mut running = tokio::spawn(transaction);
        let result = match timeout(after, &mut running).await {
            Ok(Ok(result)) => result.map_err(WriteError::Failed),
            Ok(Err(_)) => Err(WriteError::Aborted),
            Err(_) => {
                running.abort();
                Err(WriteError::TimedOut { after })
            }
        };
        let mut names = write.take_names();
        let unmarked = unmarked(watch.end(self.mutation).await, &names);
        if matches!(
            result,
            Err(WriteError::TimedOut { .. } | WriteError::Aborted)
        ) && self.mode == Mode::Strict
        {
            // It may still commit: the mark stays until it is given up.
            if !unmarked.is_empty() {
                let _marked_when_it_can_be = self.begin(number, &unmarked).await;
                names.extend(unmarked);
            }
            self.renew_here(&names);
            if let Some(line) = &self.line {
                line.gives_up(number);
            }
            return result;
        }
        let result = match self.line.is_some() && self.mode == Mode::Strict {
            true => result.and_then(|value| all_marked(&unmarked).map(|()| value)),
            false => result,
        };
        names.extend(unmarked);
        // After a failure as well: a commit may have arrived whose answer was lost.
        match self.end(number, names).await {
            Err(NotTold) if self.mode == Mode::Strict => match result {
                Ok(_) | Err(WriteError::Unmarked { .. }) => Err(WriteError::Untold),
                failed @ Err(_) => failed,
            },
            _ => result,
        }
    }

    /// Before the transaction.
    async fn begin(&self, number: u64, names: &[Vec<u8>]) -> Result<(), NotTold> {
        let (Some(line), Mode::Strict) = (&self.line, self.mode) else {
            return Ok(());
        };
        if self.mutation.is(Mutant::NoMark) {
            return Ok(());
        }
        self.renew_here(names);
        let marked = line.mark(number, names).await;
        // What was read here before the mark and kept after it.
        self.renew_here(names);
        marked.map_err(|_| NotTold)
    }

    /// After the transaction.
    async fn end(self: &Arc<Self>, number: u64, names: Vec<Vec<u8>>) -> Result<(), NotTold> {
        if names.is_empty() {
            return Ok(());
        }
        self.counters.invalidations.add(names.len() as u64);
        self.renew_here(&names);
        let Some(line) = &self.line else {
            event::change(&self.name, "write", names.len(), true);
            return Ok(());
        };
        let mut told = line.renew(number, &names).await;
        if told.is_err() && self.mode == Mode::Strict {
            // The mark may be lost, with the server that had it.
            told = line.renew_until_given_up(number, &names).await;
        }
        // What was filled between here and there.
        self.renew_here(&names);
        event::change(&self.name, "write", names.len(), told.is_ok());
        if told.is_err() {
            self.counters.invalidations_delayed.one();
            tokio::spawn(tell_later(Arc::downgrade(line), number, names));
            line.outwait_outage().await;
        }
        told
    }

    pub(crate) async fn renew(
        self: &Arc<Self>,
        names: Vec<Vec<u8>>,
        operation: &'static str,
    ) -> Result<(), NotTold> {
        let number = self.line.as_ref().map_or(0, |line| line.new_write());
        let inner = Arc::clone(self);
        // Once begun, it goes on even if the caller goes away.
        let tell = async move {
            let count = names.len();
            inner.counters.invalidations.add(count as u64);
            inner.renew_here(&names);
            let told = match &inner.line {
                None => Ok(()),
                Some(line) => line.renew(number, &names).await,
            };
            inner.renew_here(&names);
            event::change(&inner.name, operation, count, told.is_ok());
            if let (Err(NotTold), Some(line)) = (told, &inner.line) {
                inner.counters.invalidations_delayed.one();
                tokio::spawn(tell_later(Arc::downgrade(line), number, names));
                line.outwait_outage().await;
            }
            told
        };
        let telling = tokio::spawn(tell.instrument(Span::current()));
        telling.await.unwrap_or(Err(NotTold))
    }

    fn renew_here(&self, names: &[Vec<u8>]) {
        for name in names {
            self.generations.renew(name);
        }
    }

    async fn delete_glob(&self, pattern: &[u8]) -> u64 {
        let here = self
            .memory
            .remove_keys(|key| crate::key::matches(pattern, key));
        self.counters.invalidations.one();
        let Some(line) = &self.line else { return here };
        let deleted = line.delete_glob(pattern).await;
        event::change(&self.name, "delete_pattern", 1, deleted.is_ok());
        deleted.unwrap_or(here)
    }
}

/// What a write changed beside its tags; everything, if that is not known.
fn unmarked(found: Dependencies, names: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let changes = match found {
        Dependencies::AsGiven => return Vec::new(),
        Dependencies::Unknown => return vec![ALL.to_vec()],
        Dependencies::Known { changes, .. } => changes,
    };
    let changed = changes.iter().map(|tag| of_tag(tag));
    changed.filter(|name| !names.contains(name)).collect()
}

/// Whether a strict write has told of all its tags before it began.
fn all_marked<E>(unmarked: &[Vec<u8>]) -> Result<(), WriteError<E>> {
    if unmarked.is_empty() {
        return Ok(());
    }
    let tags = unmarked.iter().filter_map(|name| tag_of(name));
    Err(WriteError::Unmarked {
        tags: tags
            .map(|tag| String::from_utf8_lossy(tag).into_owned())
            .collect(),
    })
}

/// Tries until Redis has been told, or nobody needs the cache any more.
async fn tell_later(line: std::sync::Weak<Line>, number: u64, names: Vec<Vec<u8>>) {
    let mut pause = FIRST_PAUSE;
    loop {
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
        let Some(line) = line.upgrade() else { return };
        if line.renew(number, &names).await.is_ok() {
            return;
        }
    }
}

//! Making a cache.

use std::{
    collections::HashSet,
    fmt,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use tokio::sync::Semaphore;

use crate::{
    BuildError, Cache, Mode,
    cache::Inner,
    flight::Flights,
    generation::Generations,
    learning::Learning,
    memory::Memory,
    metrics::Counters,
    mode::MAX_STALE,
    mutant::Mutation,
    redis::{Line, Timeouts},
};

/// Entries that nobody asks for any more are looked through this often.
const SWEEP_EVERY: Duration = Duration::from_secs(30);

/// What a cache is to be like. Made with [`Cache::builder`].
#[derive(Clone)]
#[must_use]
pub struct Builder {
    name: String,
    version: u64,
    mode: Mode,
    redis: Option<String>,
    memory_bytes: u64,
    max_value_bytes: usize,
    max_stale: Duration,
    max_loads: usize,
    write_timeout: Duration,
    timeouts: Timeouts,
    mutation: Mutation,
    #[cfg(feature = "statements")]
    dialect: Option<crate::statements::Dialect>,
}

impl fmt::Debug for Builder {
    // The address of Redis may have a password in it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("name", &self.name)
            .field("version", &self.version)
            .field("mode", &self.mode)
            .finish_non_exhaustive()
    }
}

impl Builder {
    pub(crate) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            version: 0,
            mode: Mode::default(),
            redis: None,
            memory_bytes: 64 << 20,
            max_value_bytes: 1 << 20,
            max_stale: MAX_STALE,
            max_loads: 256,
            write_timeout: Duration::from_secs(10),
            timeouts: Timeouts {
                connect: Duration::from_millis(50),
                response: Duration::from_millis(50),
                mark: Duration::from_secs(30),
            },
            mutation: Mutation::default(),
            #[cfg(feature = "statements")]
            dialect: None,
        }
    }

    /// A number that you raise when what is cached changes its meaning: entries of another
    /// version are never read. Default 0.
    ///
    /// A type that is renamed or whose entries cannot be read any more needs none: those are
    /// misses. A field that means something else now does.
    pub fn version(mut self, version: u64) -> Self {
        self.version = version;
        self
    }

    /// What is guaranteed. Default [`Mode::Bounded`].
    pub fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// Where Redis is: `redis://host:port/database`. Default: none.
    ///
    /// Without it, entries live in this process only, and no other process may write to what is
    /// cached. Redis 7 or newer.
    pub fn redis(mut self, address: &str) -> Self {
        self.redis = Some(address.to_owned());
        self
    }

    /// What the entries in memory may take in all. Default 64 MiB.
    ///
    /// Sizes are those of the encoded values, so the heap may hold twice that. When it is full,
    /// what was used least goes.
    pub fn memory_bytes(mut self, bytes: u64) -> Self {
        self.memory_bytes = bytes;
        self
    }

    /// Values that are larger, encoded, are answered but not kept. Default 1 MiB.
    ///
    /// Without it, one value pushes thousands out, and blocks Redis while it is sent.
    pub fn max_value_bytes(mut self, bytes: usize) -> Self {
        self.max_value_bytes = bytes;
        self
    }

    /// In [`Mode::Bounded`] with Redis, no value lives longer than this, whatever its policy says.
    /// Default 5 minutes.
    ///
    /// It is how old an answer can be when a writer could not reach Redis.
    pub fn max_stale(mut self, time: Duration) -> Self {
        self.max_stale = time;
        self
    }

    /// So many loads run at the same time; more of them wait, within their deadline. Default 256.
    ///
    /// Without it, a cold start sends everything that it misses to the database at once.
    pub fn max_loads(mut self, loads: usize) -> Self {
        self.max_loads = loads.max(1);
        self
    }

    /// A write whose transaction takes longer is given up. Default 10 s, at most half of the
    /// time after which its mark is given up (30 s).
    pub fn write_timeout(mut self, time: Duration) -> Self {
        self.write_timeout = time.min(self.timeouts.mark / 2);
        self
    }

    /// How long connecting to Redis may take. Default 50 ms.
    pub fn connect_timeout(mut self, time: Duration) -> Self {
        self.timeouts.connect = time;
        self
    }

    /// How long Redis may take to answer. Default 50 ms.
    ///
    /// It is what the first miss costs when Redis hangs; those after it cost nothing.
    pub fn response_timeout(mut self, time: Duration) -> Self {
        self.timeouts.response = time;
        self
    }

    /// Takes tags from the statements that sqlx reports of loads and writes, beside those named by
    /// hand. Default: off, and each tag is named by hand.
    ///
    /// It needs [`statements::layer`](crate::statements::layer); [`statements`](crate::statements)
    /// says what it can see, and what it costs: the first load of a group of keys is not kept, and a
    /// value is thrown out with any write to one of its tables.
    #[cfg(feature = "statements")]
    pub fn observe_statements(mut self, dialect: crate::statements::Dialect) -> Self {
        self.dialect = Some(dialect);
        self
    }

    fn learning(&self) -> Learning {
        #[cfg(feature = "statements")]
        return Learning::new(self.dialect);
        #[cfg(not(feature = "statements"))]
        Learning
    }

    /// Takes a safeguard out, so that the checker has something to find.
    #[cfg(feature = "mutants")]
    pub fn mutant(mut self, mutant: crate::Mutant) -> Self {
        self.mutation = Mutation(Some(mutant));
        self
    }

    /// Makes the cache. With Redis, waits a moment until it is connected; if it is not then, the
    /// cache works without it and goes on trying.
    ///
    /// # Errors
    /// The name or the address of Redis is none. That Redis cannot be reached is no error.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub async fn build(self) -> Result<Cache, BuildError> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if self.name.is_empty() || !self.name.bytes().all(plain) {
            return Err(BuildError::Name(self.name));
        }
        let counters = Arc::new(Counters::default());
        let line = self.line(&counters)?;
        let learning = self.learning();
        let inner = Arc::new(Inner {
            name: self.name,
            version: self.version,
            mode: self.mode,
            generations: Generations::new(),
            learning,
            memory: Memory::new(self.memory_bytes, &counters),
            flights: Arc::new(Flights::default()),
            refreshing: Mutex::new(HashSet::new()),
            line,
            counters,
            loads: Arc::new(Semaphore::new(self.max_loads)),
            max_value_bytes: self.max_value_bytes,
            max_stale: self.max_stale,
            write_timeout: self.write_timeout,
            mutation: self.mutation,
        });
        if let Some(line) = &inner.line {
            tokio::spawn(Line::keep(Arc::downgrade(line), Arc::downgrade(&inner)));
            let patience = self.timeouts.connect + 3 * self.timeouts.response;
            first_lease(line, patience).await;
        }
        let swept = Arc::downgrade(&inner);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(SWEEP_EVERY).await;
                let Some(inner) = swept.upgrade() else { return };
                inner.sweep();
            }
        });
        Ok(Cache(inner))
    }

    fn line(&self, counters: &Arc<Counters>) -> Result<Option<Arc<Line>>, BuildError> {
        let Some(address) = &self.redis else {
            return Ok(None);
        };
        let client = redis::Client::open(&**address).map_err(|error| BuildError::Address {
            // What stands before the @ may be a password.
            shown: address
                .rsplit_once('@')
                .map_or_else(|| address.clone(), |(_, host)| format!("redis://…@{host}")),
            reason: error.to_string(),
        })?;
        let base = format!("{}:v{}:{:?}", self.name, self.version, self.mode).to_lowercase();
        Ok(Some(Arc::new(Line::new(
            client,
            base,
            self.timeouts,
            self.mode.needs_lease(),
            Arc::clone(counters),
            self.mutation,
        ))))
    }
}

async fn first_lease(line: &Line, patience: Duration) {
    let until = Instant::now() + patience;
    while !line.has_lease(Instant::now()) && Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

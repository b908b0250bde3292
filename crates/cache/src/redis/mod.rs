//! The second tier: entries and stamps in Redis, and the line to the other processes.
//!
//! There are two connections: one for commands, one for messages. A task of its own makes and
//! watches them; those who ask never wait for a connection. A command that takes too long opens
//! the breaker: nothing is asked until the next heartbeat has come through.

mod acknowledge;
mod entries;
mod lease;
mod message;
mod outage;
mod scripts;
mod tell;

use std::{
    collections::HashMap,
    future::Future,
    sync::{
        Arc, Mutex, PoisonError, RwLock, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::StreamExt as _;
use redis::{
    AsyncConnectionConfig, Client, ErrorKind, FromRedisValue, RedisError, ScriptInvocation,
    ServerErrorKind,
    aio::{MultiplexedConnection, PubSub, PubSubStream},
};
use tokio::{sync::Notify, time::timeout};

pub(crate) use self::entries::{Found, Ground, long_key};
use self::{
    acknowledge::Acknowledgements,
    lease::{BEAT_EVERY, Lease},
    message::{Message, Told},
    outage::Outage,
    scripts::Scripts,
};
use crate::{event, generation::random, metrics::Counters, mutant::Mutation};

/// Until the next try to connect: doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);
/// Stamps must outlive the entries that depend on them.
const STAMP_LIFE: Duration = Duration::from_secs(2 * 30 * 24 * 3600);
/// In so long, all who write have found a new server and have marked their writes again, and
/// leases that it does not know of are over.
const YOUTH: Duration = Duration::from_millis(1500);

/// How a cache reaches Redis.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timeouts {
    pub(crate) connect: Duration,
    pub(crate) response: Duration,
    /// Until the mark of a write is given up.
    pub(crate) mark: Duration,
}

/// What happens in this process when another one tells something.
pub(crate) trait Listener: Send + Sync + 'static {
    /// What depends on these stamps is invalid.
    fn stamps(&self, names: &[Vec<u8>]);
    /// These keys are invalid.
    fn keys(&self, keys: &[Vec<u8>]);
    /// Keys that match are invalid.
    fn glob(&self, pattern: &[u8]);
    /// Messages may have been missed.
    fn lost(&self);
}

/// The line to Redis of one cache in one process.
pub(crate) struct Line {
    client: Client,
    /// What all names begin with, but for the run of the server.
    base: String,
    timeouts: Timeouts,
    keep_runs: bool,
    needs_lease: bool,
    process: u64,
    scripts: Scripts,
    lease: Lease,
    acknowledgements: Acknowledgements,
    /// Writes that have been marked and not ended: to be marked again on a new server.
    marked: Mutex<HashMap<u64, Vec<Vec<u8>>>>,
    live: RwLock<Option<Live>>,
    open: AtomicBool,
    outage: Outage,
    next_write: AtomicU64,
    broken: Notify,
    counters: Arc<Counters>,
    mutation: Mutation,
}

/// A connection and what belongs to the server behind it.
#[derive(Clone)]
struct Live {
    connection: MultiplexedConnection,
    prefix: Arc<str>,
    serial: u64,
}

/// Redis cannot be asked, or did not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unavailable;
impl Line {
    pub(crate) fn new(
        client: Client,
        base: String,
        timeouts: Timeouts,
        needs_lease: bool,
        counters: Arc<Counters>,
        mutation: Mutation,
    ) -> Self {
        Self {
            client,
            base,
            timeouts,
            // Entries that outlive a restart of Redis are welcome where nothing is promised.
            keep_runs: !needs_lease,
            needs_lease,
            process: random(),
            scripts: Scripts::new(mutation),
            lease: Lease::new(),
            acknowledgements: Acknowledgements::default(),
            marked: Mutex::default(),
            live: RwLock::new(None),
            open: AtomicBool::new(true),
            outage: Outage::new(),
            next_write: AtomicU64::new(random()),
            broken: Notify::new(),
            counters,
            mutation,
        }
    }

    /// Whether what is in memory may be used.
    pub(crate) fn has_lease(&self, now: Instant) -> bool {
        self.lease.is_valid(now)
    }

    pub(crate) fn is_open(&self) -> bool {
        self.open.load(Ordering::Relaxed)
    }

    /// Connects, listens and connects again, as long as somebody holds the line.
    pub(crate) async fn keep(line: Weak<Self>, listener: Weak<impl Listener>) {
        let mut pause = FIRST_PAUSE;
        let mut serial = 0;
        loop {
            serial += 1;
            let Some(own) = line.upgrade() else { return };
            let connected = own.connect(serial).await;
            drop(own);
            if let Ok(messages) = connected {
                pause = FIRST_PAUSE;
                serve(&line, &listener, messages).await;
            }
            let Some(own) = line.upgrade() else { return };
            own.disconnect();
            if let Some(listener) = listener.upgrade() {
                listener.lost();
            }
            drop(own);
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn connect(&self, serial: u64) -> Result<PubSubStream, Unavailable> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.timeouts.connect))
            .set_response_timeout(Some(self.timeouts.response));
        let connecting = self
            .client
            .get_multiplexed_async_connection_with_config(&config);
        let mut connection = connecting.await.map_err(|_| Unavailable)?;
        let info = redis::cmd("INFO");
        let info: String = info
            .query_async(&mut connection)
            .await
            .map_err(|_| Unavailable)?;
        // A replica may lag behind, and takes no writes.
        if field(&info, "role") != Some("master") {
            return Err(Unavailable);
        }
        let run = field(&info, "run_id").ok_or(Unavailable)?;
        let prefix: Arc<str> = if self.keep_runs {
            format!("{}:", self.base).into()
        } else {
            // What a server kept over a restart may be older than stamps that it lost.
            format!("{}:{:.8}:", self.base, run).into()
        };
        let subscribing = async {
            let mut messages: PubSub = self.client.get_async_pubsub().await?;
            messages.subscribe(channel(&prefix)).await?;
            messages.subscribe(self.own_channel(&prefix)).await?;
            Ok::<_, RedisError>(messages.into_on_message())
        };
        let messages = timeout(self.timeouts.connect + self.timeouts.response, subscribing);
        let messages = messages.await.map_err(|_| Unavailable)?;
        let messages = messages.map_err(|_| Unavailable)?;
        let live = Live {
            connection,
            prefix,
            serial,
        };
        *self.live.write().unwrap_or_else(PoisonError::into_inner) = Some(live);
        self.mark_again().await?;
        self.beat().await?;
        Ok(messages)
    }

    fn disconnect(&self) {
        *self.live.write().unwrap_or_else(PoisonError::into_inner) = None;
        self.opens();
        self.lease.lose();
    }

    fn live(&self) -> Result<Live, Unavailable> {
        let live = self.live.read().unwrap_or_else(PoisonError::into_inner);
        live.clone().ok_or(Unavailable)
    }

    /// How long a registry is not trusted.
    fn youth(&self) -> Duration {
        if self.needs_lease {
            YOUTH
        } else {
            Duration::ZERO
        }
    }

    fn own_channel(&self, prefix: &str) -> String {
        format!("{prefix}i:{:016x}", self.process)
    }

    /// A sign of life; closes the breaker if it comes through.
    async fn beat(&self) -> Result<(), Unavailable> {
        if self.lease.has_ended() {
            return Err(Unavailable);
        }
        let live = self.live()?;
        let number = random();
        let mut beat = self.scripts.beat.prepare_invoke();
        beat.key(name(&live, b"n", b""))
            .arg(self.process)
            .arg(number)
            .arg(self.own_channel(&live.prefix))
            .arg(message::beat(number))
            .arg(self.youth().as_millis() as u64);
        self.lease.sends(number);
        let _one: i64 = self.run(live, &beat).await?;
        self.outage.ends();
        if self.open.swap(false, Ordering::Relaxed) {
            event::breaker(&self.base, false);
        }
        Ok(())
    }

    /// Answers nobody from memory any more, and says so: who writes need not wait for this process.
    pub(crate) async fn leave(&self) {
        self.lease.end();
        // If it does not arrive, they wait until the lease is over.
        let _left: Result<i64, _> = self
            .ask(async |mut live: Live| {
                let mut strike_off = redis::cmd("HDEL");
                strike_off.arg(name(&live, b"n", b""));
                strike_off.arg(format!("p:{}", self.process));
                strike_off.query_async(&mut live.connection).await
            })
            .await;
    }

    /// Waits until nobody answers from memory, if Redis is gone for all.
    pub(crate) async fn outwait_outage(&self) {
        if self.needs_lease {
            self.outage.outwait().await;
        }
    }

    /// Nothing is asked until the next heartbeat has come through.
    fn opens(&self) {
        self.outage.goes_on();
        if !self.open.swap(true, Ordering::Relaxed) {
            event::breaker(&self.base, true);
        }
    }

    /// Runs one command unless the breaker is open.
    async fn ask<T, F: Future<Output = Result<T, RedisError>>>(
        &self,
        ask: impl FnOnce(Live) -> F,
    ) -> Result<T, Unavailable> {
        if self.is_open() {
            return Err(Unavailable);
        }
        let live = self.live()?;
        self.watch(live.serial, ask(live)).await
    }

    async fn run<T: FromRedisValue>(
        &self,
        live: Live,
        script: &ScriptInvocation<'_>,
    ) -> Result<T, Unavailable> {
        let serial = live.serial;
        let mut connection = live.connection;
        self.watch(serial, script.invoke_async(&mut connection))
            .await
    }

    async fn watch<T>(
        &self,
        serial: u64,
        asking: impl Future<Output = Result<T, RedisError>>,
    ) -> Result<T, Unavailable> {
        let started = Instant::now();
        let result = asking.await;
        self.counters.redis_latency.note(started.elapsed());
        result.map_err(|error| {
            self.failed(serial, &error);
            Unavailable
        })
    }

    fn failed(&self, serial: u64, error: &RedisError) {
        self.counters.redis_errors.one();
        tracing::debug!(target: "speedwell::cache", error = error.code().unwrap_or("io"), "redis failed");
        if self.live().is_ok_and(|live| live.serial != serial) {
            return;
        }
        if is_unusable(error) {
            self.opens();
            self.broken.notify_one();
        } else if error.is_timeout() {
            self.opens();
        }
        // Anything else is an answer: that it is full, say.
    }

    fn hear(self: &Arc<Self>, listener: &impl Listener, payload: &[u8]) {
        let (told, names): (_, fn(&_, &[Vec<u8>])) = match Message::decode(payload) {
            Some(Message::Beat { number, young }) => {
                if !young {
                    return self.lease.returned(number);
                }
                // It may not know of the writes of this process: flushed, evicted, new.
                let line = Arc::clone(self);
                tokio::spawn(async move { line.mark_again().await });
                return;
            }
            Some(Message::Done { write, process }) => {
                return self.acknowledgements.note(write, process);
            }
            Some(Message::Stamps(told)) => {
                (told, |listener, names| Listener::stamps(listener, names))
            }
            Some(Message::Keys(told)) => (told, |listener, names| Listener::keys(listener, names)),
            Some(Message::Glob(told)) => (told, |listener, names| {
                names.iter().for_each(|name| Listener::glob(listener, name));
            }),
            None => return,
        };
        if told.process == self.process {
            return;
        }
        names(listener, &told.names);
        let line = Arc::clone(self);
        tokio::spawn(async move { line.acknowledge(told).await });
    }

    async fn acknowledge(&self, told: Told) {
        let message = Message::Done {
            write: told.write,
            process: self.process,
        };
        // If it does not arrive, the other one waits until the lease is over.
        let _acknowledged: Result<i64, _> = self
            .ask(async |mut live: Live| {
                let channel = format!("{}i:{:016x}", live.prefix, told.process);
                let mut publish = redis::cmd("PUBLISH");
                publish.arg(channel).arg(message.encode());
                publish.query_async(&mut live.connection).await
            })
            .await;
    }
}

/// Hears messages and gives signs of life until the line breaks.
async fn serve(line: &Weak<Line>, listener: &Weak<impl Listener>, mut messages: PubSubStream) {
    let beating = tokio::spawn(beat_on(Weak::clone(line)));
    let broken = async {
        // The line lives as long as its caches; looked at again with each heartbeat.
        while let Some(own) = line.upgrade() {
            let noticed = timeout(BEAT_EVERY, own.broken.notified()).await;
            if noticed.is_ok() {
                return;
            }
        }
    };
    tokio::pin!(broken);
    loop {
        tokio::select! {
            message = messages.next() => {
                let (Some(message), Some(own), Some(listener)) =
                    (message, line.upgrade(), listener.upgrade())
                else {
                    break;
                };
                own.hear(&*listener, message.get_payload_bytes());
            }
            () = &mut broken => break,
        }
    }
    beating.abort();
}

async fn beat_on(line: Weak<Line>) {
    let mut ticks = tokio::time::interval(BEAT_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(line) = line.upgrade() else { return };
        let _lost = line.beat().await;
    }
}

/// Whether this connection or server is of no use any more.
fn is_unusable(error: &RedisError) -> bool {
    let of_server = matches!(
        error.kind(),
        ErrorKind::Server(
            ServerErrorKind::ReadOnly | ServerErrorKind::BusyLoading | ServerErrorKind::MasterDown
        )
    );
    let of_line = (error.is_io_error() && !error.is_timeout()) || error.is_connection_dropped();
    of_server || of_line
}

fn name(live: &Live, kind: &[u8], rest: &[u8]) -> Vec<u8> {
    [live.prefix.as_bytes(), kind, rest].concat()
}

fn channel(prefix: &str) -> String {
    format!("{prefix}c")
}

fn field<'i>(info: &'i str, name: &str) -> Option<&'i str> {
    info.lines()
        .find_map(|line| line.trim_end().strip_prefix(name)?.strip_prefix(':'))
}

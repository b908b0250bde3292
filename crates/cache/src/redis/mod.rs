//! The second tier: entries and stamps in Redis, and the line to the other processes.
//!
//! There are two connections: one for commands, one for messages. A task of its own makes and
//! watches them; those who ask never wait for a connection. A command that takes too long opens
//! the breaker: nothing is asked until the next heartbeat has come through.

mod acknowledge;
mod lease;
mod message;
mod scripts;

use std::{
    collections::HashMap,
    future::Future,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak,
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

use self::{
    acknowledge::Acknowledgements,
    lease::{BEAT_EVERY, Lease, OUTLIVED},
    message::{Message, Told},
    scripts::Scripts,
};
use crate::{
    NotTold,
    envelope::{Body, Envelope},
    generation::random,
    key,
    metrics::Counters,
    mutant::{Mutant, Mutation},
    policy::{LONGEST_TTL, Lifetime},
};

/// Until the next try to connect: doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);
/// Stamps must outlive the entries that depend on them.
const STAMP_LIFE: Duration = Duration::from_secs(2 * 30 * 24 * 3600);
/// Longer than any load that a deleted key must outlive.
const TOMBSTONE_LIFE: Duration = Duration::from_secs(600);
/// In so long, all who write have found a new server and have marked their writes again, and
/// leases that it does not know of are over.
const YOUTH: Duration = Duration::from_millis(1500);
/// An invalidation is tried so often before its caller is told that it has to wait.
const TRIES: u32 = 3;
const SCAN_COUNT: usize = 1000;

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

/// Whether the registry is young, and its fields.
type Holders = (i64, Vec<(Vec<u8>, Vec<u8>)>);

/// What Redis has for a key.
#[derive(Debug)]
pub(crate) enum Found {
    /// An entry, with the time for which it will still be there.
    /// Its ground is for who finds it too old.
    Valid(Box<Envelope>, Duration, Ground),
    /// No entry that is valid.
    Nothing(Ground),
    /// A write is under way.
    Marked,
}

/// What was there when a load began; a fill is refused if it is not there any more.
#[derive(Debug, Clone)]
pub(crate) struct Ground {
    pub(crate) stamps: Vec<u64>,
    nonce: Vec<u8>,
    serial: u64,
}

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
        self.open.store(true, Ordering::Relaxed);
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
        self.open.store(false, Ordering::Relaxed);
        Ok(())
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
            self.open.store(true, Ordering::Relaxed);
            self.broken.notify_one();
        } else if error.is_timeout() {
            self.open.store(true, Ordering::Relaxed);
        }
        // Anything else is an answer: that it is full, say.
    }

    /// The entry of a key under the stamps of these names.
    pub(crate) async fn find(
        &self,
        key: &[u8],
        names: &[&[u8]],
        schema: u64,
        longest: usize,
    ) -> Result<Found, Unavailable> {
        let live = self.live()?;
        let serial = live.serial;
        let entry = name(&live, b"e:", &key::stored(key));
        let mut asked = redis::pipe();
        let get = asked.cmd("MGET").arg(&entry);
        for stamp in names {
            get.arg(name(&live, b"s:", stamp));
        }
        asked.cmd("PTTL").arg(&entry);
        let answer: (Vec<Option<Vec<u8>>>, i64) = self
            .ask(async |mut live: Live| asked.query_async(&mut live.connection).await)
            .await?;
        // Only now: a server that has been replaced may have answered.
        if self.needs_lease && !self.has_lease(Instant::now()) && !self.mutation.is(Mutant::NoLease)
        {
            return Err(Unavailable);
        }
        let (mut values, left_ms) = answer;
        if values.len() != names.len() + 1 {
            return Err(Unavailable);
        }
        let entry = values.remove(0);
        let stamps = match read_stamps(&values) {
            Stamps::All(stamps) => stamps,
            Stamps::Marked => {
                self.heal(names).await;
                return Ok(Found::Marked);
            }
            Stamps::Missing => match self.make_stamps(names).await? {
                Some(stamps) => stamps,
                None => return Ok(Found::Marked),
            },
        };
        let nonce = entry.as_ref().and_then(|bytes| {
            let at = crate::envelope::NONCE_AT;
            bytes.get(at..at + 8).map(<[u8]>::to_vec)
        });
        let ground = Ground {
            stamps,
            nonce: nonce.unwrap_or_default(),
            serial,
        };
        let envelope = entry
            .and_then(|bytes| self.open_envelope(&bytes, key, schema, longest))
            .filter(|envelope| envelope.stamps == ground.stamps && left_ms > 0);
        Ok(match envelope {
            Some(envelope) => {
                let left = Duration::from_millis(left_ms.unsigned_abs());
                Found::Valid(Box::new(envelope), left, ground)
            }
            None => Found::Nothing(ground),
        })
    }

    fn open_envelope(
        &self,
        bytes: &[u8],
        key: &[u8],
        schema: u64,
        longest: usize,
    ) -> Option<Envelope> {
        let envelope = Envelope::decode(bytes, longest);
        if let Some(Body::Tombstone) = envelope.as_ref().map(|envelope| &envelope.body) {
            return None;
        }
        let wanted = envelope
            .filter(|envelope| envelope.schema == schema && envelope.long_key == long_key(key));
        if wanted.is_none() {
            self.counters.unreadable.one();
        }
        wanted
    }

    /// Nothing: a write is under way.
    async fn make_stamps(&self, names: &[&[u8]]) -> Result<Option<Vec<u64>>, Unavailable> {
        let values: Vec<Option<Vec<u8>>> = self
            .ask(async |live: Live| {
                let mut make = self.scripts.stamps.prepare_invoke();
                make.key(name(&live, b"n", b""))
                    .arg(STAMP_LIFE.as_millis() as u64)
                    .arg(self.youth().as_millis() as u64);
                for stamp in names {
                    make.key(name(&live, b"s:", stamp)).arg(self.fresh_stamp());
                }
                let mut connection = live.connection;
                make.invoke_async(&mut connection).await
            })
            .await?;
        match read_stamps(&values) {
            Stamps::All(stamps) => Ok(Some(stamps)),
            Stamps::Marked => Ok(None),
            Stamps::Missing => Err(Unavailable),
        }
    }

    /// A writer that died between mark and end would keep readers from the cache.
    async fn heal(&self, names: &[&[u8]]) {
        let healing = self.ask(async |live: Live| {
            let mut heal = self.scripts.heal.prepare_invoke();
            heal.key(name(&live, b"n", b""))
                .arg(STAMP_LIFE.as_millis() as u64);
            for stamp in names {
                heal.key(name(&live, b"s:", stamp)).arg(self.fresh_stamp());
            }
            let mut connection = live.connection;
            heal.invoke_async::<i64>(&mut connection).await
        });
        // The next reader tries again.
        let _healed = healing.await;
    }

    /// Stores an entry, if nothing that it depends on has changed since its ground was seen.
    /// `over`: whatever entry there is now.
    pub(crate) async fn fill(
        &self,
        key: &[u8],
        names: &[&[u8]],
        ground: &Ground,
        envelope: &[u8],
        life: Duration,
        over: bool,
    ) -> Result<bool, Unavailable> {
        let live = self.live()?;
        // The stamps of another server say nothing of this one.
        if live.serial != ground.serial {
            return Ok(false);
        }
        let done: i64 = self
            .ask(async |live: Live| {
                let mut fill = self.scripts.fill.prepare_invoke();
                fill.key(name(&live, b"e:", &key::stored(key)))
                    .arg(if over { &b"*"[..] } else { &ground.nonce })
                    .arg(envelope)
                    .arg(life.as_millis() as u64)
                    .arg(STAMP_LIFE.as_millis() as u64);
                if !self.mutation.is(Mutant::FillWithoutComparing) {
                    for (stamp, value) in names.iter().zip(&ground.stamps) {
                        fill.key(name(&live, b"s:", stamp))
                            .arg(&value.to_le_bytes()[..]);
                    }
                }
                let mut connection = live.connection;
                fill.invoke_async(&mut connection).await
            })
            .await?;
        Ok(done == 1)
    }

    /// The stamps as they are, for a value that is there already.
    pub(crate) async fn ground(&self, names: &[&[u8]]) -> Result<Option<Ground>, Unavailable> {
        let serial = self.live()?.serial;
        let stamps = self.make_stamps(names).await?;
        Ok(stamps.map(|stamps| Ground {
            stamps,
            nonce: Vec::new(),
            serial,
        }))
    }

    /// A name for a write.
    pub(crate) fn new_write(&self) -> u64 {
        self.next_write.fetch_add(1, Ordering::Relaxed)
    }

    /// Tells everybody that a write of these stamps begins, and waits until they have heard.
    pub(crate) async fn mark(&self, write: u64, names: &[Vec<u8>]) -> Result<(), Unavailable> {
        self.marked()
            .entry(write)
            .or_default()
            .extend_from_slice(names);
        let told = self
            .tell_stamps(write, names, |scripts| &scripts.mark)
            .await;
        if told.is_err() {
            self.marked().remove(&write);
        }
        told
    }

    /// On a server that may not know of them.
    async fn mark_again(&self) -> Result<(), Unavailable> {
        let marked: Vec<_> = self.marked().clone().into_iter().collect();
        let live = self.live()?;
        for (write, names) in marked {
            let message = Message::Stamps(self.told(write, names.clone())).encode();
            let mark = self.telling(&self.scripts.mark, &live, write, &names, &message);
            let _holders: redis::Value = self.run(live.clone(), &mark).await?;
        }
        Ok(())
    }

    fn marked(&self) -> MutexGuard<'_, HashMap<u64, Vec<Vec<u8>>>> {
        self.marked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The write is over for this process; its mark is left to time.
    pub(crate) fn gives_up(&self, write: u64) {
        self.marked().remove(&write);
    }

    /// Tells everybody that what depends on these stamps is invalid, and waits until they have
    /// heard.
    pub(crate) async fn renew(&self, write: u64, names: &[Vec<u8>]) -> Result<(), NotTold> {
        for _ in 0..TRIES {
            let told = self.tell_stamps(write, names, |scripts| &scripts.renew);
            if told.await.is_ok() {
                self.marked().remove(&write);
                return Ok(());
            }
            if self.is_open() {
                break;
            }
        }
        Err(NotTold)
    }

    /// The same, for as long as a mark lasts.
    pub(crate) async fn renew_until_given_up(
        &self,
        write: u64,
        names: &[Vec<u8>],
    ) -> Result<(), NotTold> {
        let until = Instant::now() + self.timeouts.mark;
        while Instant::now() < until {
            tokio::time::sleep(FIRST_PAUSE).await;
            if self.renew(write, names).await.is_ok() {
                return Ok(());
            }
        }
        self.gives_up(write);
        Err(NotTold)
    }

    async fn tell_stamps(
        &self,
        write: u64,
        names: &[Vec<u8>],
        script: impl Fn(&Scripts) -> &redis::Script,
    ) -> Result<(), Unavailable> {
        let message = Message::Stamps(self.told(write, names.to_vec())).encode();
        let script = script(&self.scripts);
        self.tell(write, |live| {
            self.telling(script, live, write, names, &message)
        })
        .await
    }

    fn telling<'s>(
        &self,
        script: &'s redis::Script,
        live: &Live,
        write: u64,
        names: &[Vec<u8>],
        message: &[u8],
    ) -> ScriptInvocation<'s> {
        let mut tell = script.prepare_invoke();
        tell.key(name(live, b"n", b""))
            .arg(write)
            .arg(self.timeouts.mark.as_millis() as u64)
            .arg(STAMP_LIFE.as_millis() as u64)
            .arg(channel(&live.prefix))
            .arg(message)
            .arg(self.youth().as_millis() as u64);
        for stamp in names {
            tell.key(name(live, b"s:", stamp)).arg(self.fresh_stamp());
        }
        tell
    }

    /// Puts tombstones in the place of keys: loads that began before are not stored.
    pub(crate) async fn delete(&self, keys: &[Vec<u8>]) -> Result<(), NotTold> {
        let write = self.new_write();
        let message = Message::Keys(self.told(write, keys.to_vec())).encode();
        let tombstone = tombstone().encode(None);
        let told = self.tell(write, |live| {
            let mut delete = self.scripts.delete.prepare_invoke();
            delete.key(name(live, b"n", b""));
            for key in keys {
                delete.key(name(live, b"e:", &key::stored(key)));
            }
            delete
                .arg(&tombstone[..])
                .arg(TOMBSTONE_LIFE.as_millis() as u64)
                .arg(channel(&live.prefix))
                .arg(&message[..])
                .arg(self.youth().as_millis() as u64);
            delete
        });
        told.await.map_err(|Unavailable| NotTold)
    }

    /// Tells everybody that another value of this key was set.
    pub(crate) async fn tell_set(&self, key: &[u8]) -> Result<(), Unavailable> {
        let message = Message::Keys(self.told(self.new_write(), vec![key.to_vec()])).encode();
        self.publish(message).await
    }

    async fn publish(&self, message: Vec<u8>) -> Result<(), Unavailable> {
        let _heard: i64 = self
            .ask(async |mut live: Live| {
                let channel = channel(&live.prefix);
                let publish = redis::cmd("PUBLISH").arg(channel).arg(message).to_owned();
                publish.query_async(&mut live.connection).await
            })
            .await?;
        Ok(())
    }

    /// Deletes every entry whose key matches a glob, batch by batch; says how many.
    pub(crate) async fn delete_glob(&self, pattern: &[u8]) -> Result<u64, Unavailable> {
        let message = Message::Glob(self.told(self.new_write(), vec![pattern.to_vec()])).encode();
        let prefix = Arc::clone(&self.live()?.prefix);
        let wanted = [&escaped(prefix.as_bytes())[..], b"e:", pattern].concat();
        let (mut cursor, mut deleted) = (0_u64, 0_u64);
        loop {
            let (next, found): (u64, Vec<Vec<u8>>) = self
                .ask(async |mut live: Live| {
                    let mut scan = redis::cmd("SCAN");
                    scan.arg(cursor).arg("MATCH").arg(&wanted[..]);
                    scan.arg("COUNT").arg(SCAN_COUNT);
                    scan.query_async(&mut live.connection).await
                })
                .await?;
            if !found.is_empty() {
                let gone: u64 = self
                    .ask(async |live: Live| {
                        let mut unlink = self.scripts.unlink.prepare_invoke();
                        for name in &found {
                            unlink.key(&name[..]);
                        }
                        let mut connection = live.connection;
                        unlink.invoke_async(&mut connection).await
                    })
                    .await?;
                deleted += gone;
            }
            cursor = next;
            if cursor == 0 {
                break;
            }
        }
        self.publish(message).await?;
        Ok(deleted)
    }

    fn fresh_stamp(&self) -> Vec<u8> {
        if self.mutation.is(Mutant::CountersAsStamps) {
            // The scripts of the mutant count on from there.
            return 1_u64.to_le_bytes().to_vec();
        }
        random().to_le_bytes().to_vec()
    }

    fn told(&self, write: u64, names: Vec<Vec<u8>>) -> Told {
        Told {
            process: self.process,
            write,
            names,
        }
    }

    /// Runs a script that tells something, and waits for everybody who may answer from memory:
    /// until they have acknowledged, or until their lease is over.
    async fn tell<'s>(
        &'s self,
        write: u64,
        script: impl Fn(&Live) -> ScriptInvocation<'s>,
    ) -> Result<(), Unavailable> {
        let waiting = self.acknowledgements.expect(write);
        let live = self.live()?;
        if self.is_open() {
            return Err(Unavailable);
        }
        let (young, registry): Holders = self.run(live.clone(), &script(&live)).await?;
        if !self.needs_lease || self.mutation.is(Mutant::NoLease) {
            return Ok(());
        }
        let others: Vec<(u64, Vec<u8>)> = registry
            .into_iter()
            .filter_map(|(field, number)| Some((process_of(&field)?, number)))
            .filter(|(process, _)| *process != self.process)
            .collect();
        if young == 1 {
            // Somebody may hold a lease whom this server does not know.
            tokio::time::sleep(OUTLIVED).await;
            return Ok(());
        }
        let processes: Vec<u64> = others.iter().map(|(process, _)| *process).collect();
        let heard = waiting.until_heard_by(&processes);
        if timeout(OUTLIVED, heard).await.is_err() {
            let missing = waiting.missing(&processes);
            self.forget(live, others.iter().filter(|(one, _)| missing.contains(one)))
                .await;
        }
        Ok(())
    }

    /// Who was silent for a whole lease has none; who comes back registers again.
    async fn forget(&self, live: Live, silent: impl Iterator<Item = &(u64, Vec<u8>)>) {
        let mut forget = self.scripts.forget.prepare_invoke();
        forget.key(name(&live, b"n", b""));
        for (process, number) in silent {
            forget.arg(*process).arg(number);
        }
        let _forgotten: Result<i64, _> = self.run(live, &forget).await;
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

enum Stamps {
    All(Vec<u64>),
    Missing,
    Marked,
}

fn read_stamps(values: &[Option<Vec<u8>>]) -> Stamps {
    let mut stamps = Vec::with_capacity(values.len());
    let mut missing = false;
    for value in values {
        match value.as_deref() {
            Some([b'!', rest @ ..]) if rest.len() == 8 => return Stamps::Marked,
            Some(value) => match value.try_into() {
                Ok(stamp) => stamps.push(u64::from_le_bytes(stamp)),
                // Somebody else wrote there: never equal to anything.
                Err(_) => return Stamps::Marked,
            },
            None => missing = true,
        }
    }
    if missing {
        Stamps::Missing
    } else {
        Stamps::All(stamps)
    }
}

fn tombstone() -> Envelope {
    Envelope {
        nonce: random(),
        schema: 0,
        stamps: Vec::new(),
        long_key: Vec::new(),
        load_time: Duration::ZERO,
        lifetime: Lifetime {
            ttl: LONGEST_TTL,
            revalidate: Duration::ZERO,
            fail_safe: Duration::ZERO,
        },
        body: Body::Tombstone,
    }
}

/// The process that a field of the registry is of.
fn process_of(field: &[u8]) -> Option<u64> {
    std::str::from_utf8(field.strip_prefix(b"p:")?)
        .ok()?
        .parse()
        .ok()
}

/// What an envelope has of a key whose name in Redis does not tell it.
pub(crate) fn long_key(key: &[u8]) -> &[u8] {
    if key::is_long(key) { key } else { b"" }
}

fn name(live: &Live, kind: &[u8], rest: &[u8]) -> Vec<u8> {
    [live.prefix.as_bytes(), kind, rest].concat()
}

fn channel(prefix: &str) -> String {
    format!("{prefix}c")
}

fn escaped(literal: &[u8]) -> Vec<u8> {
    literal
        .iter()
        .flat_map(|byte| {
            let special = matches!(byte, b'*' | b'?' | b'[' | b']' | b'\\');
            [special.then_some(b'\\'), Some(*byte)]
        })
        .flatten()
        .collect()
}

fn field<'i>(info: &'i str, name: &str) -> Option<&'i str> {
    info.lines()
        .find_map(|line| line.trim_end().strip_prefix(name)?.strip_prefix(':'))
}

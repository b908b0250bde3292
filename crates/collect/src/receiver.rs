//! The receiver: listens, keeps what comes, hands out requests.

use std::{
    collections::HashMap,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use speedwell_trace::{Request, TraceId};
use tokio::{
    net::{TcpListener, TcpSocket},
    sync::{Notify, Semaphore, watch},
    task::{JoinHandle, JoinSet},
    time::{Instant, sleep_until, timeout},
};

use crate::{
    CollectError, Counters, Limits, http,
    span::{Reader, Role},
    store::Store,
};

/// Bodies in memory at a time.
const BODIES: usize = 16;
/// Bodies unpacked and decoded at a time: each may take several times the size that it was sent in.
const DECODED: usize = 2;
/// How long open connections may finish their answer when the receiver shuts down.
const FAREWELL: Duration = Duration::from_secs(1);

/// An OTLP/HTTP receiver of spans. Dropping it stops it.
pub struct Receiver {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
    listening: JoinHandle<()>,
}

/// Requests asked for by trace.
#[derive(Debug, Default)]
pub struct Taken {
    /// The requests of each trace that had any, in order of their start.
    pub requests: HashMap<TraceId, Vec<Request>>,
    /// Traces for which no request came in time.
    pub missing: Vec<TraceId>,
}

/// What connections and takers share.
pub(crate) struct Shared {
    store: Mutex<Store>,
    reader: Reader,
    /// Told of each request that arrives.
    arrived: Notify,
    pub(crate) max_body: usize,
    pub(crate) bodies: Semaphore,
    pub(crate) decoding: Semaphore,
}

impl Shared {
    fn store(&self) -> MutexGuard<'_, Store> {
        // A panic while it was held leaves counters that may be off by one, nothing worse.
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn count(&self, change: impl FnOnce(&mut Counters)) {
        change(&mut self.store().counters);
    }

    /// Takes in an export; gives the number of spans that have no valid ids.
    pub(crate) fn add(&self, export: ExportTraceServiceRequest) -> u64 {
        let (mut received, mut rejected) = (0_u64, 0);
        let mut spans = Vec::new();
        for scope in export
            .resource_spans
            .into_iter()
            .flat_map(|resource| resource.scope_spans)
        {
            let name: Arc<str> = scope
                .scope
                .map(|scope| scope.name)
                .unwrap_or_default()
                .into();
            for span in scope.spans {
                received += 1;
                rejected += u64::from(span.trace_id.len() != 16 || span.span_id.len() != 8);
                spans.extend(self.reader.read(span, &name));
            }
        }
        let now = Instant::now();
        let mut store = self.store();
        store.counters.spans += received;
        let told = spans.iter().filter(|span| !matches!(span.role, Role::Link));
        store.counters.ignored += received - told.count() as u64;
        let mut requests = false;
        for span in spans {
            requests |= store.add(span, now);
        }
        drop(store);
        if requests {
            self.arrived.notify_waiters();
        }
        rejected
    }
}

impl Receiver {
    /// Listens on `address`; port 0 takes any free one.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub async fn bind(address: SocketAddr, limits: Limits) -> Result<Self, CollectError> {
        let failed = |source| CollectError::Bind { address, source };
        let listener = bind(address).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let shared = Arc::new(Shared {
            max_body: limits.max_body,
            store: Mutex::new(Store::new(limits)),
            reader: Reader::new(),
            arrived: Notify::new(),
            bodies: Semaphore::new(BODIES),
            decoding: Semaphore::new(DECODED),
        });
        let (stop, stopped) = watch::channel(false);
        let listening = tokio::spawn(listen(listener, Arc::clone(&shared), stopped));
        Ok(Self {
            address,
            shared,
            stop,
            listening,
        })
    }

    /// Where exporters send to: the value of `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The next request whose statements have had time to arrive, in order of arrival. Waits for
    /// it; `None` when the receiver no longer listens.
    pub async fn next(&self) -> Option<Request> {
        loop {
            let arrived = self.shared.arrived.notified();
            let next = self.shared.store().next(Instant::now());
            match next {
                Ok(request) => return Some(request),
                Err(None) if self.listening.is_finished() => return None,
                Err(Some(at)) => sleep_until(at).await,
                Err(None) => arrived.await,
            }
        }
    }

    /// The requests of these traces. Waits until each has one whose statements have had time to
    /// arrive, for `timeout` at most. A request that came too shortly before the end is handed
    /// out all the same. What [`Receiver::next`] has handed out is missing here.
    pub async fn take(&self, traces: &[TraceId], timeout: Duration) -> Taken {
        let end = Instant::now() + timeout;
        self.wait_for(traces, end).await;
        let mut taken = Taken::default();
        let mut store = self.shared.store();
        for &id in traces {
            if taken.requests.contains_key(&id) {
                continue;
            }
            let requests = store.take(id);
            if requests.is_empty() {
                taken.missing.push(id);
            } else {
                taken.requests.insert(id, requests);
            }
        }
        taken
    }

    async fn wait_for(&self, traces: &[TraceId], end: Instant) {
        loop {
            let arrived = self.shared.arrived.notified();
            let complete: Vec<Option<Instant>> = {
                let store = self.shared.store();
                traces.iter().map(|&id| store.complete_at(id)).collect()
            };
            let now = Instant::now();
            let all_here = complete.iter().all(Option::is_some);
            let last = complete.into_iter().flatten().max().unwrap_or(now);
            if now >= end || all_here && last <= now {
                return;
            }
            if all_here {
                sleep_until(last.min(end)).await;
            } else {
                tokio::select! {
                    () = arrived => {}
                    () = sleep_until(end) => {}
                }
            }
        }
    }

    /// What was counted so far.
    pub fn counters(&self) -> Counters {
        self.shared.store().counters(Instant::now())
    }

    /// Stops listening and waits until open connections have ended.
    pub async fn shutdown(mut self) {
        let _ = self.stop.send(true);
        let _ = (&mut self.listening).await;
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

/// Connections that may wait to be accepted. With the usual 128, a burst of exporters on a busy
/// machine overflows the queue, and the system then resets some of the connections.
const BACKLOG: u32 = 4096;

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()
    } else {
        TcpSocket::new_v6()
    }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

async fn listen(listener: TcpListener, shared: Arc<Shared>, mut stopped: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(http::serve(stream, Arc::clone(&shared)));
                }
                Err(error) => {
                    // Out of file descriptors, most likely: wait for some to be closed.
                    tracing::warn!(%error, "cannot accept a connection for OTLP");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
            Some(_) = connections.join_next() => {}
            _ = stopped.changed() => break,
        }
    }
    drop(listener);
    // Connections are kept open between exports, so that waiting for their end may be in vain.
    let _ = timeout(FAREWELL, async {
        while connections.join_next().await.is_some() {}
    })
    .await;
    connections.abort_all();
}

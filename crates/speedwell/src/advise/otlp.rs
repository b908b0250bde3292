//! The statements of the spans that a service sends while it works.

use std::{
    io::Write as _,
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use speedwell_collect::{Counters, Limits, Receiver};
use speedwell_trace::{Detectors, FindingKind, Request, Thresholds};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::{MissedTickBehavior, interval, sleep},
};

use super::{
    seen::{Seen, Sight},
    source::Workload,
};
use crate::{audit::ProcessError, progress::Progress, signals::Signals};

/// How long statements may come after their request.
const LATE: Duration = Duration::from_secs(1);
/// How often the progress is shown.
const SHOWN_EVERY: Duration = Duration::from_millis(250);

/// Listens for so long, or until it is interrupted, which here means "enough".
///
/// # Errors
/// When the address cannot be listened on, no statement was seen, or it is interrupted again.
pub(super) async fn listen(address: SocketAddr, length: Duration) -> anyhow::Result<Workload> {
    let bound = Receiver::bind(address, Limits::default()).await;
    let receiver = bound.context("--otlp")?;
    let mut stop = Stop::listen().context("cannot listen to signals")?;
    announce(&receiver, length);
    let progress = Progress::new();
    let bar = progress.clock("listening", length);
    let begun = Instant::now();
    let mut heard = Heard::default();
    let show = |heard: &Heard| bar.at(begun.elapsed(), &heard.words());
    heard.hear(&receiver, length, stop.enough(), show).await?;
    heard.hear(&receiver, LATE, interrupted(), show).await?;
    drop(bar);
    let counters = receiver.counters();
    let endpoint = receiver.endpoint();
    receiver.shutdown().await;
    heard.workload(&counters, &endpoint)
}

/// Says where to send spans; somebody has to start the service.
fn announce(receiver: &Receiver, length: Duration) {
    let endpoint = receiver.endpoint();
    // Nothing is left to do when standard error cannot be written to.
    let _ = writeln!(
        std::io::stderr(),
        "listening on {endpoint} for {} s; start the service with\n  \
         OTEL_EXPORTER_OTLP_ENDPOINT={endpoint} OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf\n\
         and use it. Ctrl-C ends the listening, and advice is for what was seen.",
        length.as_secs_f64()
    );
}

/// What has been heard so far.
struct Heard {
    requests: u64,
    seen: Seen,
    /// Tell which statements run in a loop.
    detectors: Detectors,
}

impl Default for Heard {
    fn default() -> Self {
        Self {
            requests: 0,
            seen: Seen::default(),
            detectors: Detectors::standard(Thresholds::default()),
        }
    }
}

impl Heard {
    /// Takes requests in until the time is over, or enough is said.
    async fn hear(
        &mut self,
        receiver: &Receiver,
        length: Duration,
        enough: impl Future<Output = anyhow::Result<()>>,
        show: impl Fn(&Self),
    ) -> anyhow::Result<()> {
        let over = sleep(length);
        tokio::pin!(over, enough);
        let mut ticks = interval(SHOWN_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                // The end comes first, or a busy service would never let it.
                biased;
                ended = &mut enough => return ended,
                () = &mut over => return Ok(()),
                _ = ticks.tick() => show(self),
                request = receiver.next() => match request {
                    Some(request) => self.take(&request),
                    None => return Ok(()),
                },
            }
        }
    }

    fn take(&mut self, request: &Request) {
        self.requests += 1;
        for statement in &request.statements {
            self.seen.add(&Sight {
                name: &request.route.0,
                sql: &statement.text,
                dialect: statement.dialect,
                executions: 1,
                time: statement.duration,
            });
        }
        let findings = self.detectors.inspect(request, None).findings.into_iter();
        for finding in findings.filter(|finding| finding.kind == FindingKind::NPlusOne) {
            self.seen.looped(finding.fingerprint, finding.count);
        }
    }

    fn words(&self) -> String {
        format!("{} requests, {} statements", self.requests, self.seen.len())
    }

    fn workload(self, counters: &Counters, endpoint: &str) -> anyhow::Result<Workload> {
        let (requests, statements) = (self.requests, self.seen.len());
        if statements > 0 {
            let orphaned = counters.orphaned;
            let note = (orphaned > 0)
                .then(|| format!("{orphaned} executions belong to no request and were left out."));
            return Ok(Workload::ranked(self.seen.ranking(), note));
        }
        let malformed = counters.malformed;
        match (counters.spans, requests) {
            (0, _) if malformed > 0 => bail!(
                "--otlp observed nothing: {malformed} exports could not be read; start the service with OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf"
            ),
            (0, _) => bail!(
                "--otlp observed nothing: no span came to {endpoint}; start the service with OTEL_EXPORTER_OTLP_ENDPOINT={endpoint}, and use it meanwhile"
            ),
            (spans, 0) => bail!(
                "--otlp observed no request: {spans} spans came, none of them of an HTTP server; instrument the server as well"
            ),
            (_, requests) => bail!(
                "--otlp observed no statement in {requests} requests; instrument the database driver as well"
            ),
        }
    }
}

/// The signals that end the listening, from the moment of its making on.
struct Stop {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Stop {
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for an interrupt, which says "enough"; others end the command.
    async fn enough(&mut self) -> anyhow::Result<()> {
        tokio::select! {
            _ = self.interrupt.recv() => return Ok(()),
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
        }
        Err(ProcessError::Interrupted.into())
    }
}

/// Waits for a signal that ends the command: enough was said before.
async fn interrupted() -> anyhow::Result<()> {
    Signals::listen().next().await;
    Err(ProcessError::Interrupted.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(heard: Heard, counters: Counters) -> String {
        let workload = heard.workload(&counters, "http://127.0.0.1:4318");
        workload.err().unwrap().to_string()
    }

    #[test]
    fn what_was_not_observed_is_named_with_what_to_do() {
        let counters = |spans, malformed| Counters {
            spans,
            malformed,
            ..Counters::default()
        };
        let nothing = refusal(Heard::default(), counters(0, 0));
        assert!(
            nothing.contains("OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318"),
            "{nothing}"
        );
        let unread = refusal(Heard::default(), counters(0, 3));
        assert!(
            unread.contains("3 exports") && unread.contains("http/protobuf"),
            "{unread}"
        );
        let client = refusal(Heard::default(), counters(9, 0));
        assert!(
            client.contains("no request") && client.contains("server"),
            "{client}"
        );
        let requests = Heard {
            requests: 4,
            ..Heard::default()
        };
        let silent = refusal(requests, counters(9, 0));
        assert!(
            silent.contains("4 requests") && silent.contains("driver"),
            "{silent}"
        );
    }
}

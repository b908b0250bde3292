//! The commands of the service under audit: run to their end, or started, awaited and stopped.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use tokio::process::{Child, Command};

use crate::config::Service;

/// Lines of a log that are shown when the command behind it failed.
const LOG_TAIL: usize = 20;
/// A service is given this long to finish its requests before it is killed.
const STOP_GRACE: Duration = Duration::from_secs(5);
/// Between two looks whether it has.
const STOP_LOOK: Duration = Duration::from_millis(10);
/// Variables of the caller's own telemetry that must not reach the service.
const INHERITED: [&str; 11] = [
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_HEADERS",
    "OTEL_EXPORTER_OTLP_PROTOCOL",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
    "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
    "OTEL_SDK_DISABLED",
    "OTEL_TRACES_EXPORTER",
    "OTEL_TRACES_SAMPLER",
    "OTEL_TRACES_SAMPLER_ARG",
    "SPEEDWELL_LITERALS",
];
/// The shell's exit status for a command that it cannot find (POSIX, 2.8.2).
const NOT_FOUND: i32 = 127;

/// A command of the service that did not do what it should.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProcessError {
    #[error(
        "{what} `{command}`: command not found in `{directory}`; check the path, and `build` if it makes the program\n{log}"
    )]
    NotFound {
        what: &'static str,
        command: String,
        directory: String,
        log: String,
    },
    #[error("{what} `{command}` failed ({status}); the end of what it printed:\n{log}")]
    Failed {
        what: &'static str,
        command: String,
        status: String,
        log: String,
    },
    #[error(
        "the service ended before it was ready ({status}): `{command}`; the end of its log:\n{log}"
    )]
    Died {
        command: String,
        status: String,
        log: String,
    },
    #[error(
        "the service ended {during} ({status}), after it had been ready: `{command}`; the end of its log:\n{log}"
    )]
    Ended {
        during: &'static str,
        command: String,
        status: String,
        log: String,
    },
    #[error(
        "the service did not answer `{ready}` with 2xx within {seconds} s: {last}; the end of its log:\n{log}"
    )]
    NotReady {
        ready: String,
        seconds: u64,
        last: String,
        log: String,
    },
    #[error(
        "the address {address} of `[service] listen` is in use ({reason}); stop what listens there, or leave `listen` out to take a free port"
    )]
    InUse { address: String, reason: String },
    #[error(
        "cannot listen on {address} (`[service] listen`): {reason}; give an address of this machine and a port"
    )]
    Listen { address: String, reason: String },
    #[error("cannot start {what} `{command}`: {reason}")]
    Start {
        what: &'static str,
        command: String,
        reason: String,
    },
    #[error("interrupted")]
    Interrupted,
}

/// The words in braces that a command, a path or a variable may hold, and the environment that
/// tells a service where to listen, where its data is and where to report.
#[derive(Debug, Clone)]
pub(crate) struct Surroundings {
    pub(crate) directory: PathBuf,
    pub(crate) workdir: PathBuf,
    pub(crate) scale: u64,
    pub(crate) listen: SocketAddr,
    pub(crate) database: String,
    /// Where to send spans; `None` leaves the service uninstrumented.
    pub(crate) otlp: Option<String>,
    pub(crate) env: BTreeMap<String, String>,
}

impl Surroundings {
    /// `database`: the address that the service is given; empty to give it none.
    pub(crate) fn new(
        service: &Service,
        workdir: &Path,
        scale: u64,
        listen: SocketAddr,
        database: &str,
    ) -> Self {
        let mut surroundings = Self {
            directory: service.directory.clone(),
            workdir: workdir.to_owned(),
            scale,
            listen,
            database: String::new(),
            otlp: None,
            env: BTreeMap::new(),
        };
        surroundings.database = surroundings.fill(database);
        surroundings.env = service
            .env
            .iter()
            .map(|(name, value)| (name.clone(), surroundings.fill(value)))
            .collect();
        surroundings
    }

    /// `text` with `{workdir}`, `{scale}`, `{listen}`, `{port}` and `{database}` filled in.
    pub(crate) fn fill(&self, text: &str) -> String {
        text.replace("{workdir}", &self.workdir.display().to_string())
            .replace("{scale}", &self.scale.to_string())
            .replace("{listen}", &self.listen.to_string())
            .replace("{port}", &self.listen.port().to_string())
            .replace("{database}", &self.database)
    }

    /// `line` as [`Self::fill`] makes it, for messages: without a password.
    fn shown(&self, line: &str) -> String {
        let shown = Self {
            database: without_password(&self.database),
            ..self.clone()
        };
        shown.fill(line)
    }

    fn command(&self, line: &str, log: &Path) -> io::Result<Command> {
        let out = File::options().create(true).append(true).open(log)?;
        let mut command = Command::new("sh");
        command
            .arg("-c")
            .arg(self.fill(line))
            .current_dir(&self.directory)
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out)
            .process_group(0)
            .kill_on_drop(true)
            .env("LISTEN", self.listen.to_string())
            .env("PORT", self.listen.port().to_string());
        match self.database.as_str() {
            "" => command.env_remove("DATABASE_URL"),
            database => command.env("DATABASE_URL", database),
        };
        // What the caller exports for its own telemetry would win over, or leak into, the audit's.
        for inherited in INHERITED {
            command.env_remove(inherited);
        }
        match &self.otlp {
            Some(endpoint) => command
                .env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
                .env("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
                .env("OTEL_TRACES_EXPORTER", "otlp")
                .env("OTEL_SEMCONV_STABILITY_OPT_IN", "http,database")
                .env("OTEL_BSP_SCHEDULE_DELAY", "100")
                // The data is the audit's own scratch data, and a statement whose literals are
                // blanked cannot be explained.
                .env("SPEEDWELL_LITERALS", "1"),
            None => command.env("OTEL_SDK_DISABLED", "true"),
        };
        command.envs(&self.env);
        Ok(command)
    }

    /// Runs `line` to its end.
    ///
    /// # Errors
    /// [`ProcessError`] with the end of its output if it cannot be started or fails.
    pub(crate) async fn run(&self, what: &'static str, line: &str) -> Result<(), ProcessError> {
        let log = self.workdir.join(format!("{what}.log"));
        let mut group = Group::start(what, self.command(line, &log), line)?;
        let status = group.child.wait().await;
        group.finished();
        let status = status.map_err(|error| start_error(what, line, &error))?;
        if status.success() {
            return Ok(());
        }
        let (command, log) = (self.shown(line), tail(&log));
        Err(match status.code() {
            Some(NOT_FOUND) => ProcessError::NotFound {
                what,
                command,
                directory: self.directory.display().to_string(),
                log,
            },
            _ => ProcessError::Failed {
                what,
                command,
                status: status.to_string(),
                log,
            },
        })
    }
}

fn start_error(what: &'static str, command: &str, error: &io::Error) -> ProcessError {
    ProcessError::Start {
        what,
        command: command.to_owned(),
        reason: error.to_string(),
    }
}

/// A process and all that it started. Killed when dropped, so that nothing outlives the audit.
struct Group {
    child: Child,
    pid: Option<Pid>,
}

impl Group {
    fn start(
        what: &'static str,
        command: io::Result<Command>,
        line: &str,
    ) -> Result<Self, ProcessError> {
        let child = command
            .and_then(|mut command| command.spawn())
            .map_err(|error| start_error(what, line, &error))?;
        let pid = child
            .id()
            .and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        Ok(Self { child, pid })
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = self.pid {
            // The group may have ended by itself in the meantime; that is as good.
            let _ = kill_process_group(pid, signal);
        }
    }

    /// Waits until all of the group have ended: a shell that leads it does so at once, while the
    /// service that it started tidies up.
    async fn ended(&mut self) {
        let _ = self.child.wait().await;
        let Some(pid) = self.pid else { return };
        while test_kill_process_group(pid).is_ok() {
            tokio::time::sleep(STOP_LOOK).await;
        }
    }

    /// The leader was waited for: its id may be given to another process from now on.
    fn finished(&mut self) {
        self.signal(Signal::KILL);
        self.pid = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

/// The service under audit, running and ready.
pub(crate) struct Running {
    group: Group,
    pub(crate) address: SocketAddr,
    log: PathBuf,
    command: String,
}

impl Running {
    /// Starts the service and waits until its `ready` path answers 2xx.
    ///
    /// # Errors
    /// [`ProcessError`] with the end of its log if it ends or does not become ready in time.
    pub(crate) async fn start(
        service: &Service,
        surroundings: &Surroundings,
    ) -> Result<Self, ProcessError> {
        let log = surroundings.workdir.join("service.log");
        let command = surroundings.command(&service.command, &log);
        let group = Group::start("service", command, &service.command)?;
        let mut running = Self {
            group,
            address: surroundings.listen,
            log,
            command: surroundings.shown(&service.command),
        };
        running.await_ready(service, surroundings).await?;
        Ok(running)
    }

    async fn await_ready(
        &mut self,
        service: &Service,
        surroundings: &Surroundings,
    ) -> Result<(), ProcessError> {
        let deadline = Instant::now() + service.ready_timeout;
        let mut pause = Duration::from_millis(5);
        loop {
            if let Some(status) = self.ended() {
                return Err(self.died(status, surroundings));
            }
            let last = match super::ready(self.address, &service.ready).await {
                Ok(()) => return Ok(()),
                Err(reason) => reason,
            };
            if Instant::now() >= deadline {
                return Err(ProcessError::NotReady {
                    ready: service.ready.clone(),
                    seconds: service.ready_timeout.as_secs(),
                    last,
                    log: tail(&self.log),
                });
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(200));
        }
    }

    fn ended(&mut self) -> Option<std::process::ExitStatus> {
        self.group.child.try_wait().ok().flatten()
    }

    fn died(&self, status: std::process::ExitStatus, surroundings: &Surroundings) -> ProcessError {
        let (command, log) = (self.command.clone(), tail(&self.log));
        match status.code() {
            Some(NOT_FOUND) => ProcessError::NotFound {
                what: "service",
                command,
                directory: surroundings.directory.display().to_string(),
                log,
            },
            _ => ProcessError::Died {
                command,
                status: status.to_string(),
                log,
            },
        }
    }

    /// What to say if the service has ended although nobody asked it to.
    pub(crate) fn unexpected_end(&mut self, during: &'static str) -> Option<ProcessError> {
        let status = self.ended()?;
        Some(ProcessError::Ended {
            during,
            command: self.command.clone(),
            status: status.to_string(),
            log: tail(&self.log),
        })
    }

    /// Files that the service's processes have open, where the system tells (Linux).
    pub(crate) fn open_files(&self) -> Vec<PathBuf> {
        let Some(group) = self.group.pid else {
            return Vec::new();
        };
        let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
        processes
            .map(|entry| entry.path())
            .filter(|process| group_of(process) == Some(group.as_raw_nonzero().get()))
            .flat_map(|process| {
                fs::read_dir(process.join("fd"))
                    .into_iter()
                    .flatten()
                    .flatten()
            })
            .filter_map(|file| fs::read_link(file.path()).ok())
            .collect()
    }

    /// The end of the service's log so far.
    pub(crate) fn log_tail(&self) -> String {
        tail(&self.log)
    }

    /// Asks the service to end, and kills it when it does not.
    pub(crate) async fn stop(mut self) {
        self.group.signal(Signal::TERM);
        match tokio::time::timeout(STOP_GRACE, self.group.ended()).await {
            // Nobody is left to kill, and the id may be somebody else's by now.
            Ok(()) => self.group.pid = None,
            Err(_) => self.group.finished(),
        }
    }
}

/// The address that the service is told to listen on: the configured one, or a free port.
pub(crate) fn address_for(service: &Service) -> Result<SocketAddr, ProcessError> {
    let wanted = service.listen.as_deref().unwrap_or("127.0.0.1:0");
    TcpListener::bind(wanted)
        .and_then(|listener| listener.local_addr())
        .map_err(|error| {
            let (address, reason) = (wanted.to_owned(), error.to_string());
            match error.kind() {
                io::ErrorKind::AddrInUse => ProcessError::InUse { address, reason },
                _ => ProcessError::Listen { address, reason },
            }
        })
}

/// The process group of a folder of `/proc`: the third field behind the command's name, which
/// stands in brackets and may hold anything (proc_pid_stat(5)).
fn group_of(process: &Path) -> Option<i32> {
    let stat = fs::read_to_string(process.join("stat")).ok()?;
    let (_, behind) = stat.rsplit_once(')')?;
    behind.split_whitespace().nth(2)?.parse().ok()
}

/// An address without the password in it.
fn without_password(address: &str) -> String {
    let Some((scheme, rest)) = address.split_once("://") else {
        return address.to_owned();
    };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    match authority.rsplit_once('@') {
        Some((user, host)) => {
            let user = user.split(':').next().unwrap_or_default();
            format!("{scheme}://{user}@{host}{path}")
        }
        None => address.to_owned(),
    }
}

fn tail(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    if lines.is_empty() {
        return "    (it printed nothing)".to_owned();
    }
    lines[lines.len().saturating_sub(LOG_TAIL)..]
        .iter()
        .map(|line| format!("    {line}"))
        .collect::<Vec<_>>()
        .join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_its_password() {
        for (address, shown) in [
            (
                "postgres://ann:pw@host:5432/db?x=1",
                "postgres://ann@host:5432/db?x=1",
            ),
            ("postgres://ann:p@ss@host/db", "postgres://ann@host/db"),
            ("postgres://host/db", "postgres://host/db"),
            ("sqlite:a/b.db", "sqlite:a/b.db"),
        ] {
            assert_eq!(without_password(address), shown);
        }
    }

    #[test]
    fn the_group_of_a_process_is_read() {
        assert!(group_of(Path::new("/proc/self")).is_some_and(|group| group > 0));
        assert_eq!(group_of(Path::new("/nowhere")), None);
    }
}

//! A Redis server.

use std::{
    fs::File,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, TcpStream},
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use crate::{ThrowawayError, clock::Clock, postgres::free_port, while_doing};

const START_TIME: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(5);
const PORT_TRIES: u32 = 3;

/// A running Redis server for the caller alone, without persistence; it ends with this value.
#[derive(Debug)]
pub struct Redis {
    port: u16,
    home: tempfile::TempDir,
    options: Vec<String>,
    clock: Option<Clock>,
    child: Option<Child>,
}

impl Redis {
    /// An empty server.
    ///
    /// # Errors
    /// Redis is not installed or does not start.
    pub fn start() -> Result<Self, ThrowawayError> {
        Self::start_with(&[])
    }

    /// An empty server with further options, as on its command line: `--maxmemory`, `2mb`.
    ///
    /// # Errors
    /// Redis is not installed or does not start.
    pub fn start_with(options: &[&str]) -> Result<Self, ThrowawayError> {
        let mut server = Self::not_started()?;
        server.options = options.iter().map(|option| (*option).to_owned()).collect();
        server.start_somewhere()
    }

    /// An empty server whose clock of the day can be set while it runs.
    ///
    /// # Errors
    /// Redis or a C compiler is not installed, or Redis does not start.
    pub fn start_with_clock() -> Result<Self, ThrowawayError> {
        let mut server = Self::not_started()?;
        server.clock = Some(Clock::in_folder(server.home.path())?);
        server.start_somewhere()
    }

    fn not_started() -> Result<Self, ThrowawayError> {
        let home = tempfile::Builder::new()
            .prefix("throwaway-redis-")
            .tempdir()
            .map_err(while_doing("make a folder for Redis"))?;
        Ok(Self {
            port: 0,
            home,
            options: Vec::new(),
            clock: None,
            child: None,
        })
    }

    fn start_somewhere(mut self) -> Result<Self, ThrowawayError> {
        let server = &mut self;
        let mut tries = 0;
        loop {
            server.port = free_port()?;
            match server.launch() {
                Ok(()) => return Ok(self),
                Err(ThrowawayError::Silent { .. }) if tries < PORT_TRIES => tries += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// Where it listens on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    /// Sets its clock of the day so many seconds after (or before) the system's; nothing else
    /// about it changes.
    ///
    /// # Errors
    /// It was not started with a clock that can be set.
    pub fn set_clock(&self, seconds: i64) -> Result<(), ThrowawayError> {
        match &self.clock {
            Some(clock) => clock.set(seconds),
            None => Err(ThrowawayError::System {
                doing: "set the clock of a server that was started without one",
                source: std::io::ErrorKind::Unsupported.into(),
            }),
        }
    }

    /// Kills it as a crash would.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Starts a killed server again on its port: empty, unless its options say otherwise.
    ///
    /// # Errors
    /// It does not start.
    pub fn start_again(&mut self) -> Result<(), ThrowawayError> {
        self.launch()
    }

    /// Freezes it: it keeps its connections and says nothing.
    ///
    /// # Errors
    /// The signal cannot be sent.
    pub fn freeze(&self) -> Result<(), ThrowawayError> {
        self.signal("-STOP")
    }

    /// Lets it go on.
    ///
    /// # Errors
    /// The signal cannot be sent.
    pub fn thaw(&self) -> Result<(), ThrowawayError> {
        self.signal("-CONT")
    }

    /// Sends one command; gives what comes back, as it comes.
    ///
    /// # Errors
    /// The server does not answer.
    pub fn ask(&self, command: &[&str]) -> Result<String, ThrowawayError> {
        let asking = while_doing("ask Redis");
        let mut request = format!("*{}\r\n", command.len());
        for part in command {
            request.push_str(&format!("${}\r\n{part}\r\n", part.len()));
        }
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).map_err(&asking)?;
        stream
            .set_read_timeout(Some(Duration::from_secs(5)))
            .map_err(&asking)?;
        stream.write_all(request.as_bytes()).map_err(&asking)?;
        stream.write_all(b"*1\r\n$4\r\nQUIT\r\n").map_err(&asking)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).map_err(&asking)?;
        // The last line is the answer to QUIT.
        let answer = answer.strip_suffix("+OK\r\n").unwrap_or(&answer);
        Ok(answer.trim_end().to_owned())
    }

    fn launch(&mut self) -> Result<(), ThrowawayError> {
        self.kill();
        let log = self.home.path().join("log");
        let out = File::create(&log).map_err(while_doing("write the log of Redis"))?;
        let port = self.port.to_string();
        let mut command = Command::new("redis-server");
        if let Some(clock) = &self.clock {
            clock.rule(&mut command);
        }
        let child = command
            .args(["--port", &port, "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no", "--dir"])
            .arg(self.home.path())
            .args(&self.options)
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(Stdio::null())
            .spawn()
            .map_err(|source| match source.kind() {
                std::io::ErrorKind::NotFound => ThrowawayError::Missing {
                    program: "redis-server",
                    package: "redis-server",
                },
                _ => while_doing("start Redis")(source),
            })?;
        self.child = Some(child);
        self.wait_until_ready(&log)
    }

    fn wait_until_ready(&mut self, log: &std::path::Path) -> Result<(), ThrowawayError> {
        let until = Instant::now() + START_TIME;
        while Instant::now() < until {
            let alive = self
                .child
                .as_mut()
                .is_some_and(|child| matches!(child.try_wait(), Ok(None)));
            if !alive {
                break;
            }
            // Another server on the port would answer as well: ours says which process it is.
            let own = self
                .child
                .as_ref()
                .map(|child| format!("process_id:{}\r", child.id()));
            let info = self.ask(&["INFO", "server"]);
            if info.is_ok_and(|info| own.is_some_and(|own| info.contains(&own))) {
                return Ok(());
            }
            sleep(LOOK_EVERY);
        }
        Err(ThrowawayError::Silent {
            seconds: START_TIME.as_secs(),
            log: std::fs::read_to_string(log).unwrap_or_default(),
        })
    }

    fn signal(&self, signal: &str) -> Result<(), ThrowawayError> {
        let Some(child) = &self.child else {
            return Ok(());
        };
        let id = child.id().to_string();
        let mut kill = Command::new("kill");
        crate::program::run("kill", kill.args([signal, &id]))
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_empty_answers_and_can_be_frozen_and_killed() {
        let mut server = Redis::start().unwrap();
        assert_eq!(server.ask(&["DBSIZE"]).unwrap(), ":0");
        assert_eq!(server.ask(&["SET", "a", "b"]).unwrap(), "+OK");
        server.freeze().unwrap();
        server.thaw().unwrap();
        assert_eq!(server.ask(&["DBSIZE"]).unwrap(), ":1");
        server.kill();
        assert!(server.ask(&["PING"]).is_err());
        server.start_again().unwrap();
        assert_eq!(server.ask(&["DBSIZE"]).unwrap(), ":0");
    }

    #[test]
    fn two_servers_are_apart() {
        let (one, other) = (Redis::start().unwrap(), Redis::start().unwrap());
        assert_ne!(one.port(), other.port());
    }

    #[test]
    fn its_clock_can_be_set_forwards_and_back() {
        let mut server = Redis::start_with_clock().unwrap();
        let time = |server: &Redis| -> i64 {
            let answer = server.ask(&["TIME"]).unwrap();
            answer.lines().nth(2).unwrap().trim().parse().unwrap()
        };
        let before = time(&server);
        for step in [3600, -7200, 0] {
            server.set_clock(step).unwrap();
            let moved = time(&server) - before - step;
            assert!((0..60).contains(&moved), "{moved}");
        }
        server.set_clock(3600).unwrap();
        server.kill();
        server.start_again().unwrap();
        assert!(time(&server) - before >= 3600);
        assert!(Redis::start().unwrap().set_clock(1).is_err());
    }
}

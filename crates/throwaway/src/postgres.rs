//! A PostgreSQL server and the databases in it.

use std::{
    fs::File,
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    thread::sleep,
    time::{Duration, Instant},
};

use crate::{
    ThrowawayError,
    program::{self, Account},
    shared, while_doing,
};

/// A server starts in well under a second; a machine that builds beside it takes longer.
const START_TIME: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Between finding a free port and listening on it, somebody else may take it.
const PORT_TRIES: u32 = 3;

/// A running PostgreSQL server. The superuser is `postgres`, without a password.
#[derive(Debug)]
pub struct Postgres {
    port: u16,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// Its lease ends with the process.
    Shared {
        _lease: File,
    },
    Own(Box<Own>),
}

#[derive(Debug)]
struct Own {
    home: tempfile::TempDir,
    account: Option<Account>,
    /// Beyond those that every server is started with: `name=value`.
    settings: Vec<String>,
    child: Option<Child>,
}

/// An empty database; dropped with this value.
#[derive(Debug)]
pub struct Database {
    port: u16,
    name: String,
}

impl Postgres {
    /// The server that all tests of this machine share.
    ///
    /// # Errors
    /// PostgreSQL is not installed or does not start.
    pub fn shared() -> Result<Self, ThrowawayError> {
        let (port, lease) = shared::join()?;
        let kind = Kind::Shared { _lease: lease };
        Ok(Self { port, kind })
    }

    /// A server for the caller alone; it ends with this value.
    ///
    /// # Errors
    /// PostgreSQL is not installed or does not start.
    pub fn start() -> Result<Self, ThrowawayError> {
        Self::start_with(&[])
    }

    /// The same with settings of the server, written `name=value`.
    ///
    /// # Errors
    /// PostgreSQL is not installed or does not start, with these settings at least.
    pub fn start_with(settings: &[&str]) -> Result<Self, ThrowawayError> {
        let home = tempfile::Builder::new()
            .prefix("throwaway-postgres-")
            .tempdir()
            .map_err(while_doing("make a folder for PostgreSQL"))?;
        let account = initialize(home.path())?;
        let mut own = Own {
            home,
            account,
            settings: settings.iter().map(|&setting| setting.into()).collect(),
            child: None,
        };
        let mut tries = 0;
        loop {
            let port = free_port()?;
            match own.launch(port) {
                Ok(()) => {
                    let kind = Kind::Own(Box::new(own));
                    return Ok(Self { port, kind });
                }
                Err(_) if tries < PORT_TRIES => tries += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// Kills the server as a crash would: no checkpoint, connections cut.
    pub fn kill(&mut self) {
        if let Kind::Own(own) = &mut self.kind {
            own.kill();
        }
    }

    /// Starts a killed server again, with its data and on its port.
    ///
    /// # Errors
    /// It does not start.
    pub fn start_again(&mut self) -> Result<(), ThrowawayError> {
        let Kind::Own(own) = &mut self.kind else {
            return Ok(());
        };
        // The backends of a killed server go when they notice; until then a new one
        // refuses to start beside them.
        let until = Instant::now() + START_TIME;
        loop {
            match own.launch(self.port) {
                Err(ThrowawayError::Silent { .. }) if Instant::now() < until => sleep(LOOK_EVERY),
                other => return other,
            }
        }
    }

    /// Where the server listens on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The URL of the database that is always there, to make others from.
    pub fn url(&self) -> String {
        url(self.port, "postgres")
    }

    /// Makes an empty database.
    ///
    /// # Errors
    /// The server does not make it.
    pub fn database(&self) -> Result<Database, ThrowawayError> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "test_{}_{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        // template0 is never connected to, so it can always be copied.
        let create = ["--template", "template0", "--", &name];
        administer("createdb", self.port, &create)?;
        Ok(Database {
            port: self.port,
            name,
        })
    }
}

impl Database {
    /// Its URL, with user and without password.
    pub fn url(&self) -> String {
        url(self.port, &self.name)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // A server that was killed has no databases to drop.
        let _ = administer(
            "dropdb",
            self.port,
            &["--force", "--if-exists", "--", &self.name],
        );
    }
}

impl Own {
    fn launch(&mut self, port: u16) -> Result<(), ThrowawayError> {
        self.kill();
        self.child = Some(spawn(self.home.path(), self.account, port, &self.settings)?);
        let alive = || {
            let child = self.child.as_mut();
            child.is_some_and(|child| matches!(child.try_wait(), Ok(None)))
        };
        wait_until_ready(self.home.path(), port, alive)
    }

    fn kill(&mut self) {
        let Some(mut child) = self.child.take() else {
            return;
        };
        let _ = child.kill();
        let _ = child.wait();
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        self.kill();
    }
}

fn url(port: u16, database: &str) -> String {
    format!("postgres://postgres@127.0.0.1:{port}/{database}")
}

pub(crate) fn free_port() -> Result<u16, ThrowawayError> {
    let finding = while_doing("find a free port");
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(&finding)?;
    Ok(listener.local_addr().map_err(finding)?.port())
}

fn administer(program: &'static str, port: u16, arguments: &[&str]) -> Result<(), ThrowawayError> {
    let file = program::find(program)?;
    let port = port.to_string();
    let connection = [
        "--host",
        "127.0.0.1",
        "--port",
        &port,
        "--username",
        "postgres",
    ];
    let mut command = program::command(&file, None);
    program::run(program, command.args(connection).args(arguments))
}

/// Makes the files of a server below `home`; says whom it must run as.
pub(crate) fn initialize(home: &Path) -> Result<Option<Account>, ThrowawayError> {
    let account = Account::of_servers(home)?;
    if let Some(account) = account {
        account.own(home)?;
    }
    let initdb = program::find("initdb")?;
    let mut command = program::command(&initdb, account);
    command
        .args(["--username=postgres", "--auth=trust", "--no-sync"])
        .args(["--encoding=UTF8", "--locale=C.UTF-8", "--pgdata"])
        .arg(data(home));
    program::run("initdb", &mut command)?;
    Ok(account)
}

fn data(home: &Path) -> PathBuf {
    home.join("data")
}

fn log(home: &Path) -> PathBuf {
    home.join("log")
}

/// Starts the server of `home` without waiting for it.
pub(crate) fn spawn(
    home: &Path,
    account: Option<Account>,
    port: u16,
    settings: &[String],
) -> Result<Child, ThrowawayError> {
    let postgres = program::find("postgres")?;
    let log = File::create(log(home)).map_err(while_doing("write the log of PostgreSQL"))?;
    let port = port.to_string();
    program::command(&postgres, account)
        .arg("-D")
        .arg(data(home))
        .arg("-k")
        .arg(home)
        .args(["-h", "127.0.0.1", "-p", &port])
        .args(["-c", "fsync=off", "-c", "full_page_writes=off"])
        .args(["-c", "max_connections=300"])
        .args(settings.iter().flat_map(|setting| ["-c", setting.as_str()]))
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .map_err(while_doing("start PostgreSQL"))
}

/// Waits until the server accepts connections, as long as `alive`.
pub(crate) fn wait_until_ready(
    home: &Path,
    port: u16,
    mut alive: impl FnMut() -> bool,
) -> Result<(), ThrowawayError> {
    let until = Instant::now() + START_TIME;
    while alive() && Instant::now() < until {
        if is_ready(port) {
            return Ok(());
        }
        sleep(LOOK_EVERY);
    }
    let log = std::fs::read_to_string(log(home)).unwrap_or_default();
    Err(ThrowawayError::Silent {
        seconds: START_TIME.as_secs(),
        log,
    })
}

/// Whether a server accepts connections on the port.
pub(crate) fn is_ready(port: u16) -> bool {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
        && administer("pg_isready", port, &["--quiet"]).is_ok()
}

/// Starts a server that outlives this process; gives its port and its process.
pub(crate) fn launch_detached(
    home: &Path,
    account: Option<Account>,
) -> Result<(u16, Child), ThrowawayError> {
    let mut tries = 0;
    loop {
        let port = free_port()?;
        let mut child = spawn(home, account, port, &[])?;
        let ready = wait_until_ready(home, port, || matches!(child.try_wait(), Ok(None)));
        match ready {
            Ok(()) => return Ok((port, child)),
            Err(_) if tries < PORT_TRIES => tries += 1,
            Err(error) => return Err(error),
        }
        let _ = child.kill();
        let _ = child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(database: &Database, sql: &str) -> String {
        let psql = program::find("psql").unwrap();
        let output = program::command(&psql, None)
            .args(["--no-psqlrc", "-At", "-c", sql, &database.url()])
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    #[test]
    fn databases_of_the_shared_server_are_empty_and_apart() {
        let server = Postgres::shared().unwrap();
        let (one, other) = (server.database().unwrap(), server.database().unwrap());
        ask(
            &one,
            "CREATE TABLE t (id bigint); INSERT INTO t VALUES (1), (2)",
        );
        assert_eq!(ask(&one, "SELECT count(*) FROM t"), "2");
        assert_eq!(ask(&other, "SELECT to_regclass('t') IS NULL"), "t");
    }

    #[test]
    fn a_second_use_of_the_shared_server_is_the_same_server() {
        let (first, second) = (Postgres::shared().unwrap(), Postgres::shared().unwrap());
        assert_eq!(first.port(), second.port());
    }

    #[test]
    fn a_server_of_ones_own_has_the_settings_it_is_given() {
        let server = Postgres::start_with(&["work_mem=7MB"]).unwrap();
        let database = server.database().unwrap();
        assert_eq!(ask(&database, "SHOW work_mem"), "7MB");
    }

    #[test]
    fn a_killed_server_comes_back_with_its_data_on_its_port() {
        let mut server = Postgres::start().unwrap();
        let database = server.database().unwrap();
        ask(
            &database,
            "CREATE TABLE t (id bigint); INSERT INTO t VALUES (1)",
        );
        server.kill();
        assert!(!is_ready(server.port()));
        server.start_again().unwrap();
        assert_eq!(ask(&database, "SELECT count(*) FROM t"), "1");
    }
}

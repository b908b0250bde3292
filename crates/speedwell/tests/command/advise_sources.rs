//! `speedwell advise` on statements that nobody wrote down.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use sqlx::{Connection as _, Executor as _, PgConnection};
use throwaway::{Database, Postgres};

use crate::support::{Project, Run, faulty};

/// Long enough for a slow machine.
const PATIENCE: Duration = Duration::from_secs(60);

const TABLES: &str = "
    CREATE TABLE flyers (id BIGINT PRIMARY KEY, creator_id BIGINT NOT NULL, title TEXT NOT NULL,
        created_at TIMESTAMPTZ NOT NULL);
    INSERT INTO flyers
    SELECT g, 1 + g % 500, 'flyer ' || g, now() - g * 7 % 20000 * INTERVAL '1 hour'
    FROM generate_series(1, 20000) AS s (g);
    ANALYZE flyers";

/// As a service would run them: by the extended protocol, and some by the simple one.
const WORK: [&str; 5] = [
    "SELECT * FROM flyers WHERE creator_id = 17 ORDER BY created_at DESC LIMIT 20",
    "SELECT * FROM flyers WHERE creator_id = 18 ORDER BY created_at DESC LIMIT 20",
    "SELECT title FROM flyers WHERE id = 3",
    "SELECT id FROM flyers WHERE creator_id = 5 AND created_at > now() - INTERVAL '30 days'",
    "SELECT COUNT(*) FROM pg_class",
];

fn recording() -> Postgres {
    Postgres::start_with(&["shared_preload_libraries=pg_stat_statements"]).unwrap()
}

async fn shop(server: &Postgres) -> (Database, PgConnection) {
    let database = server.database().unwrap();
    let mut writer = PgConnection::connect(&database.url()).await.unwrap();
    writer.execute(TABLES).await.unwrap();
    (database, writer)
}

fn advise(database: &str, further: &[&str]) -> Run {
    let arguments = ["advise", "--database", database];
    Project::new("").speedwell(&[&arguments[..], further].concat())
}

/// The lines of the table of verdicts: names and what follows.
fn verdicts(run: &Run) -> Vec<(&str, &str)> {
    let table = run.out.split("\n\n").next().unwrap_or_default();
    let lines = table.lines().skip(1);
    lines
        .filter_map(|line| line.split_once("  "))
        .map(|(name, rest)| (name.trim(), rest.trim()))
        .collect()
}

fn names(run: &Run) -> Vec<&str> {
    let mut names: Vec<&str> = verdicts(run).into_iter().map(|(name, _)| name).collect();
    names.sort_unstable();
    names
}

#[tokio::test]
async fn what_the_server_has_recorded_is_advised_on_and_nothing_else() {
    let server = recording();
    let (database, mut writer) = shop(&server).await;
    writer
        .execute("CREATE EXTENSION pg_stat_statements; SELECT pg_stat_statements_reset()")
        .await
        .unwrap();
    for sql in WORK {
        writer.execute(sql).await.unwrap();
    }
    let run = advise(&database.url(), &["--pg-stat-statements"]);
    assert_eq!(run.code, Some(1), "{run:?}");
    let expected = [
        "SELECT flyers WHERE creator_id",
        "SELECT flyers WHERE creator_id, created_at",
        "SELECT flyers WHERE id",
    ];
    assert_eq!(names(&run), expected, "{}", run.out);
    for words in [
        "CREATE INDEX flyers_creator_id",
        // The table is followed by the texts behind the names.
        "SELECT flyers WHERE creator_id (2 executions, ",
        "SELECT * FROM flyers WHERE creator_id = $1 ORDER BY created_at DESC LIMIT $2",
    ] {
        assert!(run.out.contains(words), "`{words}` is not in: {}", run.out);
    }
    assert!(!run.out.contains("cannot"), "{}", run.out);

    // What the first run has executed on the database itself is no work of the service.
    let again = advise(
        &database.url(),
        &["--pg-stat-statements", "--format", "json"],
    );
    let json: serde_json::Value = serde_json::from_str(&again.out).unwrap();
    let mut names: Vec<&str> = json["seen"]
        .as_array()
        .unwrap()
        .iter()
        .map(|seen| seen["name"].as_str().unwrap())
        .collect();
    names.sort_unstable();
    assert_eq!(names, expected, "{json:#}");
}

#[tokio::test]
async fn a_database_without_a_recording_is_told_how_to_get_one() {
    let (shared, own) = (Postgres::shared().unwrap(), recording());
    let (database, mut writer) = shop(&shared).await;
    let flag = ["--pg-stat-statements"];
    advise(&database.url(), &flag).refuses(&[
        "--pg-stat-statements",
        "CREATE EXTENSION pg_stat_statements",
        "shared_preload_libraries",
    ]);
    writer
        .execute("CREATE EXTENSION pg_stat_statements")
        .await
        .unwrap();
    advise(&database.url(), &flag).refuses(&["does not load", "shared_preload_libraries"]);

    let (database, mut writer) = shop(&own).await;
    writer
        .execute("CREATE EXTENSION pg_stat_statements; SELECT pg_stat_statements_reset()")
        .await
        .unwrap();
    advise(&database.url(), &flag).refuses(&["no statement", "let the service work"]);
    advise("sqlite:shop.db", &flag).refuses(&["--pg-stat-statements", "only PostgreSQL"]);
}

#[tokio::test]
async fn texts_that_the_user_may_not_read_are_said_to_be_hidden() {
    let server = recording();
    let (database, mut writer) = shop(&server).await;
    writer
        .execute(
            "CREATE EXTENSION pg_stat_statements;
             CREATE ROLE reader LOGIN;
             GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader;
             SELECT pg_stat_statements_reset()",
        )
        .await
        .unwrap();
    for sql in WORK {
        writer.execute(sql).await.unwrap();
    }
    let reader = database.url().replace("postgres@", "reader@");
    let flags = ["--pg-stat-statements", "--on-scratch", &server.url()];
    advise(&reader, &flags).refuses(&["hidden", "GRANT pg_read_all_stats"]);

    let mut own = PgConnection::connect(&reader).await.unwrap();
    own.execute("SELECT title FROM flyers WHERE id = 9")
        .await
        .unwrap();
    let run = advise(&reader, &flags);
    assert_eq!(names(&run), ["SELECT flyers WHERE id"], "{run:?}");
    assert!(run.out.contains("GRANT pg_read_all_stats"), "{}", run.out);
}

#[test]
fn statements_come_from_exactly_one_source() {
    let run = advise("sqlite:shop.db", &[]);
    run.refuses(&["--workload", "--pg-stat-statements", "--otlp"]);
    for further in [
        &["--workload", "w.txt", "--pg-stat-statements"][..],
        &["--workload", "w.txt", "--otlp"],
        &["--workload", "w.txt", "--seconds", "5"],
        &["--workload", "w.txt", "--migrations", "sqlx"],
        &["--otlp", "nowhere"],
        &["--otlp", "--seconds", "0"],
    ] {
        advise("sqlite:shop.db", further).refuses(&["--"]);
    }
}

/// The command, listening.
struct Listening {
    child: Child,
    errors: BufReader<std::process::ChildStderr>,
    endpoint: String,
}

impl Listening {
    fn start(project: &Project, seconds: &str) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_speedwell"))
            .args(["advise", "--database", "sqlite:faulty.db"])
            .args(["--otlp", "127.0.0.1:0", "--seconds", seconds])
            .current_dir(project.0.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut errors = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        while !line.contains("OTEL_EXPORTER_OTLP_ENDPOINT=") {
            line.clear();
            assert!(errors.read_line(&mut line).unwrap() > 0, "it says nothing");
        }
        let (_, rest) = line.split_once("ENDPOINT=").unwrap();
        let endpoint = rest.split_whitespace().next().unwrap().to_owned();
        Self {
            child,
            errors,
            endpoint,
        }
    }

    fn end(mut self) -> Run {
        let mut err = String::new();
        self.errors.read_to_string(&mut err).unwrap();
        Run {
            err,
            ..Run::of(self.child.wait_with_output().unwrap())
        }
    }
}

fn send(child: &Child, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

/// Runs the example service for as long as these paths are asked for; then its spans are sent.
fn work(project: &Project, endpoint: &str, paths: &[&str]) {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let mut service = Command::new(faulty())
        .arg("serve")
        .current_dir(project.0.path())
        .env("DATABASE_URL", "sqlite:faulty.db")
        .env("LISTEN", address.to_string())
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let start = Instant::now();
    while TcpStream::connect(address).is_err() {
        assert!(start.elapsed() < PATIENCE, "the service does not start");
        sleep(Duration::from_millis(20));
    }
    for path in paths {
        let mut stream = TcpStream::connect(address).unwrap();
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
    }
    send(&service, Signal::TERM);
    assert!(service.wait().unwrap().success());
}

#[test]
fn a_service_is_advised_on_while_it_works_until_an_interrupt_says_enough() {
    let project = Project::new("");
    let seeded = Command::new(faulty())
        .args(["seed", "--scale", "3000"])
        .current_dir(project.0.path())
        .env("DATABASE_URL", "sqlite:faulty.db")
        .status()
        .unwrap();
    assert!(seeded.success());
    let listening = Listening::start(&project, "600");
    let scan = "/faults/full-scan?page_size=10&shop_ref=x";
    let walk = "/healthy/full-scan/ordered-walk?page_size=5";
    work(&project, &listening.endpoint, &[scan, scan, walk]);
    send(&listening.child, Signal::INT);
    let run = listening.end();
    assert_eq!(run.code, Some(1), "{run:?}");
    let verdicts = verdicts(&run);
    let is = |name: &str, word: &str| {
        let found = verdicts.iter().find(|(own, _)| *own == name);
        assert!(
            found.is_some_and(|(_, rest)| rest.starts_with(word)),
            "{name}: {run:?}"
        );
    };
    is("GET /faults/full-scan", "improved");
    is("GET /healthy/full-scan/ordered-walk", "already good");
    for words in [
        "CREATE INDEX items_shop_ref",
        "GET /faults/full-scan (2 executions, ",
    ] {
        assert!(run.out.contains(words), "`{words}` is not in: {}", run.out);
    }
}

#[test]
fn listening_that_hears_nothing_is_no_advice() {
    let project = Project::new("");
    Listening::start(&project, "0.1")
        .end()
        .refuses(&["observed nothing"]);
    let interrupted = Listening::start(&project, "600");
    send(&interrupted.child, Signal::INT);
    interrupted
        .end()
        .refuses(&["observed nothing", "no span came"]);
    let killed = Listening::start(&project, "600");
    send(&killed.child, Signal::TERM);
    killed.end().refuses(&["interrupted"]);
}

#[test]
fn an_interrupt_after_enough_was_said_ends_the_command() {
    let project = Project::new("");
    let mut listening = Listening::start(&project, "600");
    while listening.child.try_wait().unwrap().is_none() {
        send(&listening.child, Signal::INT);
        sleep(Duration::from_millis(50));
    }
    listening.end().refuses(&["interrupted"]);
}

#[test]
fn an_address_in_use_is_named_with_its_flag() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    advise("sqlite:shop.db", &["--otlp", &address]).refuses(&["--otlp", &address, "another port"]);
}

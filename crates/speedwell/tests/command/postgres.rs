//! Audits and plans on PostgreSQL.

use std::{
    fs,
    path::PathBuf,
    process::{Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use throwaway::Postgres;

use crate::support::{Project, Run, root};

/// Long enough for a slow machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// The program of the service that runs on both databases, built beside the command.
fn flyers() -> PathBuf {
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_speedwell")).with_file_name("flyers");
    assert!(
        program.is_file(),
        "{} is missing; run the whole workspace (`cargo nextest run --workspace`) or `cargo build --workspace --bins` first",
        program.display()
    );
    program
}

/// The service's own configuration, with the program that this build made.
fn project() -> Project {
    let text = fs::read_to_string(root().join("services/flyers/speedwell.toml")).unwrap();
    let text: String = text
        .lines()
        .filter(|line| !line.starts_with("build") && !line.starts_with("directory"))
        .map(|line| line.replace("target/release/flyers", &flyers().display().to_string()) + "\n")
        .collect();
    Project::new(&text)
}

/// The server's address with `{scratch}` for the name of the database.
fn scratch(server: &Postgres) -> String {
    format!(
        "postgres://postgres@127.0.0.1:{}/{{scratch}}",
        server.port()
    )
}

/// Databases that audits have made.
fn left_behind(server: &Postgres) -> Vec<String> {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        use sqlx::Connection as _;
        let mut admin = sqlx::PgConnection::connect(&server.url()).await.unwrap();
        sqlx::query_scalar("SELECT datname::TEXT FROM pg_database WHERE datname LIKE 'speedwell%'")
            .fetch_all(&mut admin)
            .await
            .unwrap()
    })
}

fn run_sql(url: &str, sql: &'static str) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        use sqlx::Connection as _;
        let mut writer = sqlx::PgConnection::connect(url).await.unwrap();
        sqlx::raw_sql(sql).execute(&mut writer).await.unwrap();
    });
}

#[test]
fn one_configuration_is_audited_on_postgresql_too_and_leaves_no_database_behind() {
    let server = Postgres::start().unwrap();
    let project = project();
    let run = project.speedwell(&[
        "audit",
        "--database",
        &scratch(&server),
        "--scales",
        "200,400",
        "--users",
        "3",
        "--duration",
        "2",
        "--only",
        "feed",
        "--advise",
        "--format",
        "json",
    ]);
    assert!(matches!(run.code, Some(0 | 1)), "{}", run.err);
    let report: Value = serde_json::from_str(&run.out).unwrap();
    let database = report["database"].as_str().unwrap();
    assert!(database.starts_with("PostgreSQL "), "{database}");
    let statements = report["statements"].as_array().unwrap();
    assert!(!statements.is_empty());
    // The driver reports the end of a transaction too, which has no plan.
    let planned = |statement: &&Value| statement["text"] != "COMMIT";
    for statement in statements.iter().filter(planned) {
        let plan = statement["plan"].as_str().unwrap();
        assert!(!plan.starts_with("no plan"), "{statement:#}");
    }
    let sampled = |statement: &&Value| !statement["sampled"].as_array().unwrap().is_empty();
    assert!(
        statements.iter().any(|each| sampled(&each)),
        "{statements:#?}"
    );
    let warnings = report["warnings"].to_string();
    assert!(!warnings.contains("may not use"), "{warnings}");
    let judged = report["advice"]["statements"].as_array().unwrap();
    assert!(
        judged.len() >= statements.iter().filter(planned).count(),
        "{judged:#?}"
    );
    assert_eq!(report["advice"]["unit"], "pages");
    assert_eq!(left_behind(&server), [""; 0]);
}

#[test]
fn a_service_that_reads_another_database_than_it_is_given_is_noticed() {
    let server = Postgres::start().unwrap();
    let program = flyers().display().to_string();
    let seed = format!(
        "{program} seed --scale 50 --seed 7 --users-csv {{workdir}}/users.csv --photos {{workdir}}/photos"
    );
    let other = "DATABASE_URL=sqlite:{workdir}/other.db";
    let text = fs::read_to_string(root().join("services/flyers/speedwell.toml")).unwrap();
    let text: String = text
        .lines()
        .filter(|line| !line.starts_with("build") && !line.starts_with("directory"))
        .map(|line| {
            if line.starts_with("command") {
                format!("command = \"{other} exec {program} serve\"\n")
            } else if line.starts_with("prepare") {
                format!("prepare = \"{seed} && {other} {seed}\"\n")
            } else {
                format!("{line}\n")
            }
        })
        .collect();
    let project = Project::new(&text);
    for database in [scratch(&server).as_str(), "sqlite:{workdir}/given.db"] {
        let run = project.speedwell(&[
            "audit",
            "--no-advice",
            "--database",
            database,
            "--scales",
            "50",
            "--no-load",
            "--only",
            "flyer",
            "--format",
            "json",
        ]);
        let report: Value =
            serde_json::from_str(&run.out).unwrap_or_else(|error| panic!("{error}: {}", run.err));
        let warnings = report["warnings"].to_string();
        assert!(
            warnings.contains("may not use the database") && warnings.contains("DATABASE_URL"),
            "{database}: {warnings}"
        );
    }
}

#[test]
fn an_audit_that_fails_or_is_interrupted_drops_its_database() {
    let server = Postgres::start().unwrap();
    let config = |command: &str| {
        format!(
            r#"
[service]
name = "Shop & Co"
command = "{command}"
ready = "/ready"
ready_timeout_s = 600
database = "{}"

[[route]]
name = "items"
get = "/items"
"#,
            scratch(&server)
        )
    };
    let failing = Project::new(&config("exit 3")).speedwell(&["audit"]);
    failing.refuses(&["ended before it was ready"]);
    assert_eq!(left_behind(&server), [""; 0]);
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let project = Project::new(&config("echo $DATABASE_URL > told; exec sleep 600"));
        let audit = Command::new(env!("CARGO_BIN_EXE_speedwell"))
            .arg("audit")
            .current_dir(project.0.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let start = Instant::now();
        while !project.0.path().join("told").exists() {
            assert!(start.elapsed() < PATIENCE, "the service is not started");
            sleep(Duration::from_millis(20));
        }
        sleep(Duration::from_millis(50));
        let told = fs::read_to_string(project.0.path().join("told")).unwrap();
        let made = left_behind(&server);
        assert_eq!(made.len(), 1, "{made:?}");
        assert!(made[0].starts_with("speedwell_shop___co_1_"), "{made:?}");
        assert!(told.trim().ends_with(&made[0]), "{told}");
        let pid = Pid::from_raw(i32::try_from(audit.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
        Run::of(audit.wait_with_output().unwrap()).refuses(&["interrupted"]);
        assert_eq!(left_behind(&server), [""; 0]);
    }
}

#[test]
fn a_server_that_cannot_be_used_is_refused_without_its_password() {
    let config = |database: &str, scales: &str| {
        format!(
            "[service]\nname = \"s\"\ncommand = \"c\"\nready = \"/\"\ndatabase = \"{database}\"\n\
             [data]\nscales = [{scales}]\n[[route]]\nname = \"r\"\nget = \"/\"\n"
        )
    };
    let audit = |database: &str, scales: &str| {
        let run = Project::new(&config(database, scales)).speedwell(&["audit"]);
        assert!(!run.err.contains("hunter2"), "{}", run.err);
        run
    };
    audit("postgres://ann:hunter2@127.0.0.1:1/{scratch}", "1")
        .refuses(&["127.0.0.1:1", "start it"]);
    audit("postgres://ann:hunter2@127.0.0.1:1/shop", "1, 2").refuses(&["{scratch}", "2 scales"]);
}

#[test]
fn a_command_is_shown_without_the_password_of_its_database() {
    let server = Postgres::shared().unwrap();
    let address = scratch(&server).replace("postgres@", "postgres:hunter2@");
    let config = format!(
        "[service]\nname = \"s\"\ncommand = \"exit 3 # {{database}}\"\nready = \"/\"\ndatabase = \"{address}\"\n\
         [[route]]\nname = \"r\"\nget = \"/\"\n"
    );
    let run = Project::new(&config).speedwell(&["audit"]);
    run.refuses(&["exit 3 # postgres://postgres@127.0.0.1"]);
    assert!(!run.err.contains("hunter2"), "{}", run.err);
}

#[test]
fn explain_shows_generic_and_sampled_plans_and_values_only_when_asked() {
    let server = Postgres::shared().unwrap();
    let database = server.database().unwrap();
    run_sql(
        &database.url(),
        "CREATE TABLE people (id BIGSERIAL PRIMARY KEY, town TEXT, name TEXT);
         INSERT INTO people (town, name)
         SELECT CASE WHEN i % 2000 = 0 THEN 'Secretham' ELSE 'Bigtown' END, 'n' || i
         FROM generate_series(1, 20000) AS i;
         CREATE INDEX people_town ON people (town);
         ANALYZE people",
    );
    let project = Project::new("");
    let url = database.url();
    let explain = |args: &[&str]| {
        let mut all = vec!["explain", "--database", &url];
        all.extend(args);
        project.speedwell(&all)
    };
    let skewed = "SELECT name FROM people WHERE town = $1";
    let run = explain(&[skewed]);
    for words in [
        "Plan (PostgreSQL, for any values)",
        "With hot values",
        "people_town",
        "Seq Scan",
    ] {
        assert!(
            run.out.contains(words),
            "`{words}` is not in: {}{}",
            run.out,
            run.err
        );
    }
    assert!(
        !run.out.contains("Secretham") && !run.out.contains("Bigtown"),
        "{}",
        run.out
    );
    let shown = explain(&["--show-values", skewed]);
    assert!(
        shown.out.contains("$1 = 'Secretham'::text"),
        "{}",
        shown.out
    );

    let fault = explain(&["--format", "json", "SELECT id FROM people WHERE name = %s"]);
    assert_eq!(fault.code, Some(1), "{}", fault.err);
    let json: Value = serde_json::from_str(&fault.out).unwrap();
    assert_eq!(json["database"], "PostgreSQL");
    assert_eq!(json["sampled"][0]["values"], Value::Null);
    assert_eq!(json["lints"][0]["kind"], "full_scan");
    assert_eq!(json["lints"][0]["certainty"], "likely");
    assert!(
        fault
            .out
            .contains("CREATE INDEX people_name_idx ON people (name)"),
        "{}",
        fault.out
    );
    assert_eq!(
        explain(&["SELECT name FROM people WHERE id = $1"]).code,
        Some(0)
    );

    explain(&["SELECT $1 + $2"]).refuses(&["type of a parameter", "$1::text"]);
    explain(&["DROP TABLE people"]).refuses(&["DROP"]);
    let nowhere = url.replace("/test_", "/no_such_");
    let run = project.speedwell(&["explain", "--database", &nowhere, "SELECT 1"]);
    run.refuses(&["no database `no_such_"]);
}

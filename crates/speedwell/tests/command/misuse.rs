//! Misuse gets a clear message and exit code 2.

use std::{fs, net::TcpListener};

use crate::support::{Project, Run, faulty};
use sqlx::Connection;

/// A configuration around the example service, with lines replaced.
fn config(replace: &[(&str, &str)]) -> String {
    let program = faulty().display().to_string();
    let mut text = format!(
        r#"
[service]
name = "faulty"
command = "{program} serve"
ready = "/ready"
database = "sqlite:{{workdir}}/faulty.db"

[data]
prepare = "{program} seed --scale {{scale}}"
scales = [50]

[[route]]
name = "n+1"
get = "/healthy/n-plus-one/json-batch?page_size=${{page_size}}"
page_sizes = [5]
budget = {{ p95_ms = 500 }}
"#
    );
    for (from, to) in replace {
        assert!(text.contains(from), "nothing to replace: {from}");
        text = text.replace(from, to);
    }
    text
}

fn audit(config: &str) -> Run {
    Project::new(config).speedwell(&["audit", "--no-load"])
}

#[test]
fn a_missing_configuration_is_named_with_the_flag_that_mends_it() {
    let project = Project::new("");
    let run = project.speedwell(&["audit", "--config", "elsewhere.toml"]);
    run.refuses(&["elsewhere.toml", "No such file", "--config"]);
}

#[test]
fn an_unknown_key_is_named_with_its_line_and_the_nearest_known_one() {
    audit(&config(&[("page_sizes", "page_sices")])).refuses(&[
        "speedwell.toml",
        "line 15",
        "`page_sices`",
        "`page_sizes`",
    ]);
}

#[test]
fn a_budget_without_a_route_to_measure_is_refused() {
    let request = "get = \"/healthy/n-plus-one/json-batch?page_size=${page_size}\"\n";
    audit(&config(&[(request, "")])).refuses(&["n+1", "budget but no request", "get"]);
}

#[test]
fn a_port_in_use_is_named_with_the_key_that_asks_for_it() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let listen = format!("ready = \"/ready\"\nlisten = \"{address}\"");
    audit(&config(&[("ready = \"/ready\"", &listen)])).refuses(&[&address, "listen", "in use"]);
}

#[test]
fn a_command_that_does_not_exist_is_named() {
    let command = format!("command = \"{} serve\"", faulty().display());
    audit(&config(&[(
        &command,
        "command = \"no-such-program serve\"",
    )]))
    .refuses(&["no-such-program", "command not found"]);
}

#[test]
fn a_service_that_dies_at_start_shows_the_end_of_its_log() {
    let command = format!("command = \"{} serve\"", faulty().display());
    let dying = "command = \"echo the cellar is flooded; exit 3\"";
    audit(&config(&[(&command, dying)])).refuses(&[
        "ended before it was ready",
        "exit status: 3",
        "the cellar is flooded",
    ]);
}

#[test]
fn a_service_that_is_never_ready_is_not_waited_for_without_end() {
    let with_limit = "ready = \"/nowhere\"\nready_timeout_s = 0.5";
    audit(&config(&[("ready = \"/ready\"", with_limit)])).refuses(&[
        "/nowhere",
        "404",
        "end of its log",
    ]);
}

#[test]
fn data_that_cannot_be_prepared_shows_what_was_printed() {
    let prepare = format!(
        "prepare = \"{} seed --scale {{scale}}\"",
        faulty().display()
    );
    audit(&config(&[(
        &prepare,
        "prepare = \"echo no disk >&2; exit 1\"",
    )]))
    .refuses(&["prepare", "no disk", "exit status: 1"]);
}

#[tokio::test]
async fn a_locked_database_is_said_to_be_locked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("locked.db");
    let url = format!("sqlite:{}?mode=rwc", path.display());
    let mut holder = sqlx::SqliteConnection::connect(&url).await.unwrap();
    sqlx::raw_sql("CREATE TABLE t (a); BEGIN EXCLUSIVE")
        .execute(&mut holder)
        .await
        .unwrap();
    let database = format!(
        "database = \"sqlite:{}\"\nenv = {{ DATABASE_URL = \"sqlite:{{workdir}}/faulty.db\" }}",
        path.display()
    );
    let text = config(&[("database = \"sqlite:{workdir}/faulty.db\"", &database)]);
    let run = tokio::task::spawn_blocking(move || audit(&text))
        .await
        .unwrap();
    run.refuses(&["locked.db", "locked"]);
}

#[test]
fn a_service_that_reports_nothing_does_not_pass() {
    let silent = "ready = \"/ready\"\nenv = { OTEL_EXPORTER_OTLP_ENDPOINT = \"\" }";
    audit(&config(&[("ready = \"/ready\"", silent)]))
        .refuses(&["observed nothing", "OTEL_EXPORTER_OTLP_ENDPOINT"]);
}

#[test]
fn an_unknown_route_is_answered_with_the_known_ones() {
    let run = Project::new(&config(&[])).speedwell(&["audit", "--only", "feed"]);
    run.refuses(&["`feed`", "n+1"]);
}

#[test]
fn a_value_that_no_route_captures_is_named_before_anything_runs() {
    let get = "get = \"/healthy/n-plus-one/json-batch?page_size=${page_size}\"";
    let captured = "capture = { item = \"$.items[*].id\" }\nget = \"/healthy/${pick itme}?page_size=${page_size}\"";
    audit(&config(&[(get, captured)])).refuses(&["n+1", "`itme`", "did you mean `item`?"]);
    let broken = format!("{get}\ncapture = {{ item = \"$.items[\" }}");
    audit(&config(&[(get, &broken)])).refuses(&["n+1", "item"]);
    audit(&config(&[("page_sizes = [5]\n", "")])).refuses(&["${page_size}", "`page_sizes`"]);
}

#[test]
fn a_database_that_cannot_be_explained_is_refused_before_anything_runs() {
    let sqlite = "sqlite:{workdir}/faulty.db";
    audit(&config(&[(sqlite, "mysql://localhost/shop")])).refuses(&[
        "mysql",
        "sqlite:path",
        "postgres://",
    ]);
    audit(&config(&[(sqlite, "sqlite:{scratch}")])).refuses(&["{scratch}", "{workdir}"]);
}

#[test]
fn a_baseline_that_is_no_report_is_refused_before_anything_runs() {
    let project = Project::new(&config(&[]));
    fs::write(project.0.path().join("old.json"), "{}").unwrap();
    project
        .speedwell(&["audit", "--baseline", "old.json"])
        .refuses(&["old.json", "not a report"]);
}

#[test]
fn files_that_list_each_other_are_refused() {
    let project = Project::new("services = [\"speedwell.toml\"]\n");
    project
        .speedwell(&["audit"])
        .refuses(&["lists services itself"]);
}

#[test]
fn bad_flags_are_refused() {
    let project = Project::new(&config(&[]));
    for args in [
        ["audit", "--users", "0"],
        ["audit", "--duration", "-1"],
        ["audit", "--scales", "x"],
    ] {
        assert_eq!(project.speedwell(&args).code, Some(2), "{args:?}");
    }
}

#[test]
fn explain_refuses_what_it_cannot_explain() {
    let project = Project::new("");
    project
        .speedwell(&["explain", "--database", "sqlite:none.db", "SELECT 1"])
        .refuses(&["none.db", "no such file"]);
    fs::write(
        project.0.path().join("text.db"),
        "this is not a database, it is a text file",
    )
    .unwrap();
    project
        .speedwell(&["explain", "--database", "sqlite:text.db", "SELECT 1"])
        .refuses(&["text.db", "not a SQLite database"]);
}

#[tokio::test]
async fn a_copy_that_finds_no_room_is_told_and_removed() {
    let project = Project::new("");
    let folder = project.0.path();
    let path = format!("sqlite:{}?mode=rwc", folder.join("shop.db").display());
    let mut database = sqlx::SqliteConnection::connect(&path).await.unwrap();
    let filled = "CREATE TABLE t (id INTEGER PRIMARY KEY, body TEXT);
        WITH RECURSIVE n (g) AS (SELECT 1 UNION ALL SELECT g + 1 FROM n WHERE g < 20000)
        INSERT INTO t SELECT g, printf('%0200d', g) FROM n";
    sqlx::raw_sql(filled).execute(&mut database).await.unwrap();
    database.close().await.unwrap();
    fs::write(
        folder.join("workload.sql"),
        "SELECT body FROM t WHERE id = ?",
    )
    .unwrap();
    let scratch = folder.join("scratch");
    fs::create_dir(&scratch).unwrap();
    // No file may grow beyond a megabyte, and whoever tries is told rather than killed.
    let command = format!(
        "trap '' XFSZ; ulimit -f 1024; exec '{}' advise --database sqlite:shop.db --workload workload.sql",
        env!("CARGO_BIN_EXE_speedwell")
    );
    let output = std::process::Command::new("bash")
        .args(["-c", &command])
        .env("TMPDIR", &scratch)
        .current_dir(folder)
        .output()
        .unwrap();
    Run::of(output).refuses(&["cannot make the scratch copy", "TMPDIR"]);
    assert_eq!(fs::read_dir(&scratch).unwrap().count(), 0);
}

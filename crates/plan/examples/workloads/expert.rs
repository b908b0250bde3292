//! What SQLite's own adviser says: `.expert` of the command-line program.

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use speedwell_sql::Dialect;

use crate::{bench::Bench, sqlite, store::Store as _};

/// The indexes that `.expert` wants for the statements one by one, each once; nothing if
/// `sqlite3` is not installed.
pub(crate) async fn advice(bench: &Bench) -> Option<Vec<String>> {
    Command::new("sqlite3").arg("--version").output().ok()?;
    let filled = sqlite::fill(bench).await;
    let mut child = Command::new("sqlite3")
        .arg(filled.url())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("sqlite3 starts");
    let mut input = child.stdin.take().expect("its input");
    for asked in bench.workload(Dialect::Sqlite) {
        writeln!(input, ".expert\n{};", asked.sql).expect("sqlite3 reads");
    }
    drop(input);
    let output = child.wait_with_output().expect("sqlite3 answers");
    for line in String::from_utf8_lossy(&output.stderr).lines() {
        println!(".expert says: {line}");
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let mut indexes: Vec<String> = Vec::new();
    for line in text.lines().filter(|line| line.starts_with("CREATE INDEX")) {
        let (_, index) = line.split_once(" ON ").expect("the table");
        let index = index.trim_end_matches(';').to_owned();
        if !indexes.contains(&index) {
            indexes.push(index);
        }
    }
    Some(indexes)
}

//! The files of one workload.

use std::path::PathBuf;

use serde_json::Value;
use speedwell_plan::Asked;
use speedwell_sql::Dialect;

/// A workload: its folder below `bench/`, and the share of its rows that is wanted.
pub(crate) struct Bench {
    pub(crate) name: String,
    pub(crate) scale: f64,
}

impl Bench {
    pub(crate) fn open(name: &str, scale: f64) -> Self {
        let bench = Self {
            name: name.to_owned(),
            scale,
        };
        assert!(bench.path("queries.txt").exists(), "no bench/{name}");
        bench
    }

    /// The statements; on SQLite some have another text.
    pub(crate) fn workload(&self, dialect: Dialect) -> Vec<Asked> {
        let other = match dialect {
            Dialect::Postgres => Vec::new(),
            _ => named(&self.read("sqlite.txt").unwrap_or_default()),
        };
        let statements = named(&self.read("queries.txt").unwrap_or_default());
        let asked = |(name, sql): (String, String)| {
            let other = other.iter().find(|(own, _)| *own == name);
            let sql = other.map_or(sql, |(_, text)| text.clone());
            Asked::new(name, sql)
        };
        statements.into_iter().map(asked).collect()
    }

    /// What makes the tables and their rows, statement by statement.
    pub(crate) fn schema(&self, dialect: Dialect) -> Vec<String> {
        let file = match dialect {
            Dialect::Postgres => "schema.sql",
            _ => "sqlite.sql",
        };
        split(&self.read(file).expect("a schema"))
    }

    /// What is written to measure the price of indexes.
    pub(crate) fn writes(&self) -> Vec<String> {
        split(&self.read("writes.sql").expect("writes.sql"))
    }

    /// The query that chooses a statement's values, if the workload has one.
    pub(crate) fn values(&self, statement: &str, dialect: Dialect) -> Option<String> {
        let all = named(&self.read("values.txt").unwrap_or_default());
        let of = |name: &str| all.iter().find(|(own, _)| own == name);
        let own = match dialect {
            Dialect::Postgres => None,
            _ => of(&format!("{statement}/sqlite")),
        };
        own.or_else(|| of(statement)).map(|(_, sql)| sql.clone())
    }

    /// The indexes that others advised, as they were recorded.
    pub(crate) fn rivals(&self) -> Vec<(String, Vec<String>)> {
        let Some(text) = self.read("rivals.json") else {
            return Vec::new();
        };
        let known: Value = serde_json::from_str(&text).expect("rivals.json is JSON");
        let sets = known.as_object().expect("an object").iter();
        let texts = |indexes: &Value| -> Vec<String> {
            let indexes = indexes.as_array().expect("a list").iter();
            let indexes = indexes.map(|index| index.as_str().expect("a text").to_owned());
            indexes.collect()
        };
        sets.filter(|(name, _)| *name != "none")
            .map(|(name, indexes)| (name.clone(), texts(indexes)))
            .collect()
    }

    /// A file with its numbers of rows scaled.
    fn read(&self, file: &str) -> Option<String> {
        let text = std::fs::read_to_string(self.path(file)).ok()?;
        Some(scaled(&text, self.scale))
    }

    fn path(&self, file: &str) -> PathBuf {
        let home = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        home.join("../../bench").join(&self.name).join(file)
    }
}

/// Every number behind `/*n*/` grows with the scale.
fn scaled(text: &str, scale: f64) -> String {
    let mut parts = text.split("/*n*/ ");
    let mut whole = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|c: char| !c.is_ascii_digit());
        let (number, rest) = part.split_at(end.unwrap_or(part.len()));
        let number: f64 = number.parse().expect("a number behind /*n*/");
        whole += &format!("{}{rest}", (number * scale).max(1.0) as u64);
    }
    whole
}

/// Lines of `name|text`.
fn named(text: &str) -> Vec<(String, String)> {
    let lines = text.lines().filter_map(|line| line.split_once('|'));
    lines
        .map(|(name, sql)| (name.to_owned(), sql.to_owned()))
        .collect()
}

/// Statements that end where a line ends with a semicolon; commands of `psql` are left out.
fn split(text: &str) -> Vec<String> {
    let mut statements = Vec::new();
    let mut statement = String::new();
    for line in text.lines().filter(|line| !line.starts_with(['\\', '-'])) {
        statement += line;
        statement += "\n";
        if line.ends_with(';') {
            statements.push(std::mem::take(&mut statement));
        }
    }
    statements
}

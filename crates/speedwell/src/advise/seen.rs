//! Statements that were seen at work: each shape once, the most total time first.

use std::{cmp::Reverse, collections::BTreeMap, time::Duration};

use serde::Serialize;
use speedwell_plan::Asked;
use speedwell_sql::{Dialect, Fingerprint, Kind, TokenKind, fingerprint, normalize, shape, tokens};

/// Statements that advice is asked for. Each is executed some hundred times at worst, and behind
/// so many there is hardly any time left.
pub(super) const MOST: usize = 200;

/// Statements by their shape.
#[derive(Debug, Default)]
pub(super) struct Seen {
    shapes: BTreeMap<Fingerprint, Shape>,
}

/// One execution of a statement, or several of one text.
pub(super) struct Sight<'s> {
    /// What to call it, unless another call of its took more time: the name of a route.
    pub(super) name: &'s str,
    pub(super) sql: &'s str,
    pub(super) dialect: Dialect,
    pub(super) executions: u64,
    pub(super) time: Duration,
}

#[derive(Debug)]
struct Shape {
    sql: String,
    dialect: Dialect,
    /// Whether another text of this shape holds other constants: then they are values.
    varies: bool,
    executions: u64,
    /// How often one request ran it in a loop.
    repeated: u64,
    time: Duration,
    names: BTreeMap<String, Duration>,
}

/// A statement as it was seen.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct SeenStatement {
    /// What it is called in the advice.
    pub(super) name: String,
    /// Its text; without placeholders its constants are blanked, because they may be a user's.
    pub(super) sql: String,
    /// How often it ran.
    pub(super) executions: u64,
    /// How long that took in all.
    pub(super) seconds: f64,
}

/// What was seen, in order.
#[derive(Debug, Default)]
pub(super) struct Ranking {
    /// What advice is asked for.
    pub(super) asked: Vec<Asked>,
    /// The same statements with what was seen of them.
    pub(super) seen: Vec<SeenStatement>,
    /// Says what was left out.
    pub(super) left_out: Option<String>,
}

impl Seen {
    /// Takes in what an index may serve: reads and writes of tables that are not the system's own.
    pub(super) fn add(&mut self, sight: &Sight<'_>) {
        let key = fingerprint(sight.sql, sight.dialect);
        if !self.shapes.contains_key(&key) && !is_work(sight.sql, sight.dialect) {
            return;
        }
        let shape = self.shapes.entry(key).or_insert_with(|| Shape {
            sql: sight.sql.to_owned(),
            dialect: sight.dialect,
            varies: false,
            executions: 0,
            repeated: 1,
            time: Duration::ZERO,
            names: BTreeMap::new(),
        });
        shape.varies |= shape.sql != sight.sql
            && constants(&shape.sql, sight.dialect) != constants(sight.sql, sight.dialect);
        shape.executions += sight.executions;
        shape.time += sight.time;
        *shape.names.entry(sight.name.to_owned()).or_default() += sight.time;
    }

    /// One request ran the statement so often in a loop.
    pub(super) fn looped(&mut self, shape: Fingerprint, times: u64) {
        if let Some(shape) = self.shapes.get_mut(&shape) {
            shape.repeated = shape.repeated.max(times);
        }
    }

    /// How many shapes there are.
    pub(super) fn len(&self) -> usize {
        self.shapes.len()
    }

    /// The statements that took the most time. Of those with one name, each gets a number.
    pub(super) fn ranking(self) -> Ranking {
        let mut shapes: Vec<(Fingerprint, Shape)> = self.shapes.into_iter().collect();
        shapes.sort_by_key(|(key, shape)| (Reverse(shape.time), *key));
        let time = |shapes: &[(Fingerprint, Shape)]| -> Duration {
            shapes.iter().map(|(_, shape)| shape.time).sum()
        };
        let all = time(&shapes);
        let rest = shapes.split_off(shapes.len().min(MOST));
        let left_out = (!rest.is_empty()).then(|| left_out(rest.len(), time(&rest), all));
        let names: Vec<String> = shapes.iter().map(|(_, shape)| shape.name()).collect();
        let mut ranking = Ranking {
            left_out,
            ..Ranking::default()
        };
        for ((_, shape), name) in shapes.into_iter().zip(numbered(&names)) {
            ranking.asked.push(Asked {
                repeated: shape.repeated,
                ..Asked::new(name.clone(), shape.asked())
            });
            ranking.seen.push(shape.seen(name));
        }
        ranking
    }
}

impl Shape {
    /// The name under which it took the most time.
    fn name(&self) -> String {
        let names = self.names.iter();
        let most = names.max_by_key(|(name, time)| (**time, Reverse(*name)));
        most.map(|(name, _)| name.clone()).unwrap_or_default()
    }

    /// Its text; constants that vary are unknown values.
    fn asked(&self) -> String {
        match self.varies {
            true => normalize(&self.sql, self.dialect),
            false => self.sql.clone(),
        }
    }

    fn seen(&self, name: String) -> SeenStatement {
        let placeholders =
            tokens(&self.sql, self.dialect).any(|token| token.kind == TokenKind::Placeholder);
        SeenStatement {
            name,
            sql: match placeholders && !self.varies {
                true => self.sql.clone(),
                false => normalize(&self.sql, self.dialect),
            },
            executions: self.executions,
            seconds: self.time.as_secs_f64(),
        }
    }
}

fn left_out(count: usize, time: Duration, all: Duration) -> String {
    let share = 100.0 * time.as_secs_f64() / all.as_secs_f64().max(f64::MIN_POSITIVE);
    format!(
        "{count} statements were left out: advice is for the {MOST} that took the most time, and these took {share:.1} % of it."
    )
}

/// `a`, `b #1`, `b #2`: a name that stands once stays as it is.
fn numbered(names: &[String]) -> Vec<String> {
    let count = |among: &[String], name: &String| among.iter().filter(|own| *own == name).count();
    let number = |(place, name): (usize, &String)| match count(names, name) {
        1 => name.clone(),
        _ => format!("{name} #{}", count(&names[..=place], name)),
    };
    names.iter().enumerate().map(number).collect()
}

/// Whether it reads or writes tables, none of which is the database's own.
fn is_work(sql: &str, dialect: Dialect) -> bool {
    let shape = shape(sql, dialect);
    let works = matches!(
        shape.kind,
        Kind::Select | Kind::Insert | Kind::Update | Kind::Delete
    );
    let mut tables = shape.tables.iter();
    let system = tables.any(|table| {
        let own = ["pg_", "sqlite_"];
        own.iter().any(|prefix| table.name.starts_with(prefix))
    });
    let schemas = ["information_schema", "pg_catalog"];
    let catalogue =
        tokens(sql, dialect).any(|token| schemas.iter().any(|schema| token.is_word(schema)));
    works && !shape.tables.is_empty() && !system && !catalogue
}

/// The constants of a text, in their order.
fn constants(sql: &str, dialect: Dialect) -> Vec<&str> {
    let constants = tokens(sql, dialect)
        .filter(|token| matches!(token.kind, TokenKind::Number | TokenKind::String));
    constants.map(|token| token.text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(seen: &mut Seen, name: &str, sql: &str, millis: u64) {
        seen.add(&Sight {
            name,
            sql,
            dialect: Dialect::Postgres,
            executions: 1,
            time: Duration::from_millis(millis),
        });
    }

    fn names(ranking: &Ranking) -> Vec<&str> {
        ranking.asked.iter().map(|asked| &*asked.name).collect()
    }

    #[test]
    fn the_most_time_comes_first_and_a_shape_comes_once() {
        let mut seen = Seen::default();
        add(&mut seen, "GET /a", "SELECT a FROM t WHERE b = $1", 2);
        add(&mut seen, "GET /b", "select a from t where b = $1", 9);
        add(&mut seen, "GET /b", "SELECT c FROM t", 3);
        add(&mut seen, "GET /c", "SELECT d FROM t", 30);
        let ranking = seen.ranking();
        assert_eq!(names(&ranking), ["GET /c", "GET /b #1", "GET /b #2"]);
        assert_eq!(ranking.seen[1].executions, 2);
        assert_eq!(ranking.seen[1].seconds, 0.011);
        assert_eq!(ranking.left_out, None);
    }

    #[test]
    fn constants_that_vary_are_values_and_others_belong_to_the_statement() {
        let mut seen = Seen::default();
        let fixed = "SELECT a FROM t WHERE s = 'live' AND b = $1";
        add(&mut seen, "fixed", fixed, 3);
        add(
            &mut seen,
            "fixed",
            "SELECT a FROM t WHERE s='live' AND b=$1",
            3,
        );
        add(&mut seen, "varies", "SELECT a FROM t WHERE c = 7", 2);
        add(&mut seen, "varies", "SELECT a FROM t WHERE c = 8", 2);
        add(&mut seen, "once", "SELECT a FROM t WHERE d = 9", 1);
        let ranking = seen.ranking();
        let asked: Vec<&str> = ranking.asked.iter().map(|asked| &*asked.sql).collect();
        let once = "SELECT a FROM t WHERE d = 9";
        assert_eq!(asked, [fixed, "SELECT a FROM t WHERE c = …", once]);
        // They may be a user's.
        assert_eq!(ranking.seen[2].sql, "SELECT a FROM t WHERE d = …");
    }

    #[test]
    fn what_no_index_serves_is_passed_over() {
        let mut seen = Seen::default();
        for sql in [
            "BEGIN",
            "SET x = 1",
            "SELECT 1",
            "SELECT pg_sleep($1)",
            "SELECT relname FROM pg_class",
            "SELECT * FROM information_schema.tables",
            "SELECT * FROM pg_catalog.x",
            "SELECT name FROM sqlite_master",
            "COPY t TO STDOUT",
            "PREPARE p AS SELECT a FROM t",
            "CREATE TABLE t (a int)",
            "<insufficient privilege>",
        ] {
            add(&mut seen, "x", sql, 1);
        }
        assert_eq!(seen.len(), 0, "{seen:?}");
    }

    #[test]
    fn what_is_left_out_is_said() {
        let mut seen = Seen::default();
        for number in 0..MOST + 2 {
            add(&mut seen, "x", &format!("SELECT a{number} FROM t"), 10);
        }
        let ranking = seen.ranking();
        assert_eq!((ranking.asked.len(), ranking.seen.len()), (MOST, MOST));
        let words = ranking.left_out.unwrap();
        assert!(
            words.starts_with("2 statements") && words.contains("1.0 %"),
            "{words}"
        );
    }
}

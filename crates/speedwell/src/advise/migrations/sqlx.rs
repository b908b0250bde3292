//! Migrations of sqlx: pairs of files that are numbered behind those of the folder.
//!
//! sqlx sends a file as one text. PostgreSQL carries out a text of several statements in a
//! transaction of its own making, even where the file asks for none, and builds no index
//! concurrently in it: so each statement gets a pair of its own.

use super::{AGAIN, File, Form, OUTSIDE, Standing, Step, Steps};

/// The mark by which sqlx begins no transaction; it must be the first of the file.
const NO_TRANSACTION: &str = "-- no-transaction";
/// A process that waits for the migrator's lock counts as a transaction that the index waits for:
/// PostgreSQL ends one of the two (<https://github.com/element-hq/matrix-authentication-service/issues/5298>).
const ONE: &str = "Let one process migrate; a second one at the same time would be a deadlock.";
/// The width of numbers in a folder that has none yet.
const WIDTH: usize = 4;

pub(super) struct Sqlx {
    /// The number of the first new migration.
    next: i64,
    /// Digits of a number.
    width: usize,
}

impl Sqlx {
    pub(super) fn behind(standing: &[Standing]) -> Self {
        let numbers = standing.iter().filter_map(|file| number(&file.name));
        let (last, width) = numbers.max().unwrap_or((0, WIDTH));
        Self {
            next: last.saturating_add(1),
            width,
        }
    }

    fn pair(&self, place: usize, name: &str, up: String, down: String) -> [File; 2] {
        let place = i64::try_from(place).unwrap_or(i64::MAX);
        let number = self.next.saturating_add(place);
        let stem = format!("{number:0width$}_speedwell_{name}", width = self.width);
        [
            File::new(format!("{stem}.up.sql"), up),
            File::new(format!("{stem}.down.sql"), down),
        ]
    }
}

impl Form for Sqlx {
    fn written(&self, statement: &str) -> String {
        format!("{statement};")
    }

    fn files(&self, steps: &Steps) -> Vec<File> {
        if !steps.concurrently {
            let (up, down) = (lines(steps.up()), lines(steps.down()));
            return self.pair(0, "indexes", up, down).into();
        }
        let steps = steps.all.iter().enumerate();
        steps
            .flat_map(|(place, step)| {
                let (up, down) = texts(step);
                self.pair(place, &word(&step.name), up, down)
            })
            .collect()
    }
}

/// The number of a migration and its digits; `None` for what sqlx does not take for one.
fn number(name: &str) -> Option<(i64, usize)> {
    let (number, rest) = name.split_once('_')?;
    let digits = number.bytes().all(|byte| byte.is_ascii_digit());
    let known = digits && rest.ends_with(".sql");
    let parsed = number.parse().ok().filter(|_| known)?;
    Some((parsed, number.len()))
}

fn lines<'s>(statements: impl Iterator<Item = &'s str>) -> String {
    statements
        .map(|statement| format!("{statement};\n"))
        .collect()
}

/// The texts of one statement's pair.
fn texts(step: &Step) -> (String, String) {
    match &step.down {
        Some(down) => (alone(&step.up), alone(down)),
        None => (
            format!("{};\n", step.up),
            format!("-- {} stays: others may use it.\n", step.name),
        ),
    }
}

fn alone(statement: &str) -> String {
    format!(
        "{NO_TRANSACTION}\n-- {OUTSIDE}, so it is alone in its file.\n-- {ONE}\n-- {AGAIN}\n{statement};\n"
    )
}

/// A name as part of a file's name.
fn word(name: &str) -> String {
    let plain = |c: char| if c.is_alphanumeric() { c } else { '_' };
    name.chars().map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::super::{
        Tool,
        tests::{stepped, written},
    };
    use super::*;

    #[test]
    fn each_index_of_postgresql_has_a_pair_of_its_own_outside_of_transactions() {
        let standing = [
            ("0007_people.up.sql", ""),
            ("0007_people.down.sql", ""),
            ("0002_flyers.sql", ""),
            ("seed.sql", ""),
        ];
        insta::assert_snapshot!(written(Tool::Sqlx, "m", &standing));
    }

    #[test]
    fn the_indexes_of_sqlite_are_one_pair() {
        insta::assert_snapshot!(stepped(&Sqlx::behind(&[])));
    }

    #[test]
    fn numbers_go_on_as_the_last_one_is_written() {
        let next = |names: &[&str]| {
            let standing = names.iter().map(|name| Standing {
                name: (*name).to_owned(),
                text: String::new(),
            });
            let form = Sqlx::behind(&standing.collect::<Vec<_>>());
            form.pair(0, "x", String::new(), String::new())[0]
                .name
                .clone()
        };
        for (standing, expected) in [
            (&[][..], "0001_speedwell_x.up.sql"),
            (&["9_a.sql"], "10_speedwell_x.up.sql"),
            (&["0099_a.sql", "0100_b.up.sql"], "0101_speedwell_x.up.sql"),
            (
                &["20260101120000_a.sql", "1_b.sql"],
                "20260101120001_speedwell_x.up.sql",
            ),
            (
                &["V8__a.sql", "8-b.sql", "8_readme.py"],
                "0001_speedwell_x.up.sql",
            ),
        ] {
            assert_eq!(next(standing), expected);
        }
    }
}

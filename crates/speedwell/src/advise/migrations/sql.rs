//! `up.sql` and `down.sql`, for those who migrate by hand or with something else.

use std::fmt::Write as _;

use super::{AGAIN, File, Form, OUTSIDE, Steps};

pub(super) struct Sql;

impl Form for Sql {
    fn written(&self, statement: &str) -> String {
        format!("{statement};")
    }

    fn files(&self, steps: &Steps) -> Vec<File> {
        vec![
            File::new("up.sql", text(steps, steps.up())),
            File::new("down.sql", text(steps, steps.down())),
        ]
    }
}

fn text<'s>(steps: &Steps, statements: impl Iterator<Item = &'s str>) -> String {
    let mut text = String::new();
    if steps.concurrently {
        let _ = writeln!(
            text,
            "-- {OUTSIDE}: run these statements outside of one.\n-- {AGAIN}"
        );
    }
    for statement in statements {
        let _ = writeln!(text, "{statement};");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::{Tool, tests::written};

    #[test]
    fn migrations_build_and_take_back() {
        insta::assert_snapshot!(written(Tool::Sql, "m", &[]));
    }
}

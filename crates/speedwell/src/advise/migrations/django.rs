//! A migration of Django, behind the last one of an app.

use std::{collections::BTreeSet, fmt::Write as _, path::Path};

use anyhow::bail;

use super::{AGAIN, File, Form, OUTSIDE, Standing, Steps, python};

pub(super) struct Django {
    /// The app, by the name of its folder.
    app: String,
    number: u32,
    /// The migration that this one depends on.
    last: String,
}

impl Django {
    /// # Errors
    /// When the folder is no app's, or has no last migration, or several.
    pub(super) fn behind(folder: &Path, standing: &[Standing]) -> anyhow::Result<Self> {
        let Some(app) = app(folder) else {
            bail!(
                "--migrations django writes into an app's folder of migrations, and `{}` is none; give --save one such as `shop/migrations`",
                folder.display()
            );
        };
        let own: Vec<&Standing> = standing
            .iter()
            .filter(|file| is_migration(&file.name))
            .collect();
        let leaves = leaves(&app, &own);
        let last = match leaves.as_slice() {
            [last] => (*last).to_owned(),
            [] => bail!(
                "`{}` holds no migration to stand behind; run `python manage.py makemigrations {app}` first",
                folder.display()
            ),
            several => bail!(
                "`{}` has several last migrations of app `{app}` ({}); merge them first with `python manage.py makemigrations --merge`",
                folder.display(),
                several.join(", ")
            ),
        };
        let numbers = own.iter().filter_map(|file| number(&file.name));
        Ok(Self {
            number: numbers.max().unwrap_or(0).saturating_add(1),
            app,
            last,
        })
    }
}

impl Form for Django {
    fn written(&self, statement: &str) -> String {
        format!("sql={},", python::literal(statement))
    }

    fn files(&self, steps: &Steps) -> Vec<File> {
        let mut operations = String::new();
        for step in &steps.all {
            let back = match &step.down {
                Some(down) => python::literal(down),
                None => "migrations.RunSQL.noop".to_owned(),
            };
            let _ = write!(
                operations,
                "        migrations.RunSQL(\n            {}\n            reverse_sql={back},\n        ),\n",
                self.written(&step.up)
            );
        }
        let atomic = match steps.concurrently {
            true => format!("    # {OUTSIDE}.\n    # {AGAIN}\n    atomic = False\n\n"),
            false => String::new(),
        };
        let (app, last) = (python::literal(&self.app), python::literal(&self.last));
        let text = format!(
            r#""""Indexes that were proved by `speedwell advise`."""

from django.db import migrations


class Migration(migrations.Migration):
{atomic}    dependencies = [
        ({app}, {last}),
    ]

    operations = [
{operations}    ]
"#
        );
        let name = format!("{:04}_speedwell_indexes.py", self.number);
        vec![File::new(name, text)]
    }
}

/// The name of the folder around `migrations`.
fn app(folder: &Path) -> Option<String> {
    let folder = std::path::absolute(folder).ok()?;
    let migrations = folder.file_name()? == "migrations";
    let app = folder.parent()?.file_name()?;
    migrations.then(|| app.to_string_lossy().into_owned())
}

/// Django takes every module of the folder for one, but for those that begin like these.
fn is_migration(name: &str) -> bool {
    name.ends_with(".py") && !name.starts_with(['_', '~'])
}

fn stem(file: &Standing) -> &str {
    file.name.trim_end_matches(".py")
}

fn number(name: &str) -> Option<u32> {
    name.split_once('_')?.0.parse().ok()
}

/// The migrations that no other one of the app depends on.
fn leaves<'s>(app: &str, own: &[&'s Standing]) -> Vec<&'s str> {
    let mut followed = BTreeSet::new();
    for file in own {
        let strings = python::strings(&file.text);
        let of_app = strings.windows(2).filter(|pair| pair[0] == app);
        followed.extend(of_app.map(|pair| pair[1]));
    }
    let mut leaves: Vec<&Standing> = own.to_vec();
    leaves.retain(|file| !followed.contains(stem(file)));
    if leaves.len() > 1 {
        // A squashed migration stands beside those that it replaces until they are removed.
        leaves.retain(|file| !replaces(&file.text));
    }
    leaves.into_iter().map(stem).collect()
}

fn replaces(text: &str) -> bool {
    text.lines()
        .any(|line| line.trim_start().starts_with("replaces"))
}

#[cfg(test)]
mod tests {
    use super::super::{
        Tool,
        tests::{refused, stepped, written},
    };
    use super::*;

    const INITIAL: &str = r#"
class Migration(migrations.Migration):
    initial = True
    dependencies = [("accounts", "0001_initial")]
"#;

    const SECOND: &str = r#"
class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0002_second"),
        ("shop", "0001_initial"),
    ]
"#;

    #[test]
    fn it_stands_behind_the_last_migration_of_the_app_and_python_reads_it() {
        let standing = [
            ("__init__.py", ""),
            ("0001_initial.py", INITIAL),
            ("0002_second.py", SECOND),
        ];
        let text = written(Tool::Django, "shop/migrations", &standing);
        insta::assert_snapshot!(text);
        let (_, program) = text.split_once('\n').unwrap();
        python::tests::run(&format!(
            "import ast\nast.parse({})",
            python::literal(program)
        ));
    }

    #[test]
    fn on_sqlite_a_transaction_is_as_good_as_none() {
        let form = Django {
            app: "shop".to_owned(),
            number: 12,
            last: "0011_x".to_owned(),
        };
        insta::assert_snapshot!(stepped(&form));
    }

    #[test]
    fn a_folder_without_one_last_migration_is_refused() {
        let branch = [
            ("0001_initial.py", INITIAL),
            ("0002_a.py", SECOND),
            ("0002_b.py", SECOND),
        ];
        let error = refused(Tool::Django, "shop/migrations", &branch);
        assert!(
            error.contains("0002_a, 0002_b") && error.contains("--merge"),
            "{error}"
        );
        let error = refused(Tool::Django, "shop/migrations", &[("__init__.py", "")]);
        assert!(error.contains("makemigrations shop"), "{error}");
        let error = refused(Tool::Django, "shop/sql", &[("0001_initial.py", INITIAL)]);
        assert!(error.contains("shop/migrations"), "{error}");
    }

    #[test]
    fn a_squashed_migration_counts_once_it_is_alone() {
        let squashed = "class Migration:\n    replaces = [('shop', '0001_initial'), ('shop', '0002_second')]\n";
        let third = "dependencies = [('shop', '0002_second')]";
        let file = |name: &str, text: &str| Standing {
            name: name.to_owned(),
            text: text.to_owned(),
        };
        let mut all = vec![
            file("0001_initial.py", INITIAL),
            file("0002_second.py", SECOND),
            file("0001_squashed_0002_second.py", squashed),
        ];
        let last = |all: &[Standing]| {
            let own: Vec<&Standing> = all.iter().collect();
            leaves("shop", &own).join(" ")
        };
        assert_eq!(last(&all), "0001_squashed_0002_second");
        all.push(file("0003_third.py", third));
        assert_eq!(last(&all), "0003_third");
    }
}

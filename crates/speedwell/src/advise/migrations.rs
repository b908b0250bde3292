//! Advice as migrations: files of the tool that a project migrates with, written beside those that
//! are there.

mod alembic;
mod django;
mod python;
mod sql;
mod sqlx;

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use clap::ValueEnum;
use speedwell_plan::{Advice, AdvisedIndex, Rewrite, RewriteOutcome};
use speedwell_sql::Dialect;

use self::{alembic::Alembic, django::Django, sql::Sql, sqlx::Sqlx};

/// What an index that is built while others write asks of those who migrate.
const OUTSIDE: &str = "CONCURRENTLY cannot run in a transaction";
const AGAIN: &str = "If one fails, drop the invalid index that it left behind and run it again.";

/// Whose migrations are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Tool {
    /// up.sql and down.sql
    #[default]
    Sql,
    /// Reversible migrations of sqlx, numbered behind those of the folder
    Sqlx,
    /// A migration of Django, behind the last one of an app's migrations folder
    Django,
    /// A revision of Alembic, behind the head of its versions folder
    Alembic,
}

/// A folder of migrations, looked at before there is any advice: what is wrong with it should be
/// said before minutes of work.
pub(super) struct Migrations {
    folder: PathBuf,
    standing: Vec<Standing>,
    form: Box<dyn Form>,
}

/// What was written.
pub(super) struct Written {
    /// The new files.
    pub(super) files: Vec<PathBuf>,
    /// Indexes and tables that a migration of the folder makes already, each with the name of its
    /// file.
    pub(super) standing: Vec<(String, String)>,
}

/// How a tool wants its migrations.
trait Form {
    /// A statement as it stands in a file.
    fn written(&self, statement: &str) -> String;
    /// The files for these steps.
    fn files(&self, steps: &Steps) -> Vec<File>;
}

/// A file that is there.
struct Standing {
    name: String,
    text: String,
}

/// A file to be written.
#[derive(Debug, PartialEq, Eq)]
struct File {
    name: String,
    text: String,
}

/// What is to be done, in order.
struct Steps {
    /// Whether each statement must run outside of a transaction.
    concurrently: bool,
    all: Vec<Step>,
    /// What takes those steps back that do not say it themselves, in this order.
    undo: Vec<String>,
}

/// One statement.
struct Step {
    /// Of what it makes.
    name: String,
    up: String,
    /// Takes it back; nothing if what it makes may serve others.
    down: Option<String>,
}

impl Migrations {
    /// Looks at the folder; it need not be there.
    ///
    /// # Errors
    /// When it cannot be read, or new migrations have no certain place in it.
    pub(super) fn open(folder: &Path, tool: Tool) -> anyhow::Result<Self> {
        let standing = standing(folder)
            .with_context(|| format!("cannot read the folder of --save, `{}`", folder.display()))?;
        let form: Box<dyn Form> = match tool {
            Tool::Sql => Box::new(Sql),
            Tool::Sqlx => Box::new(Sqlx::behind(&standing)),
            Tool::Django => Box::new(Django::behind(folder, &standing)?),
            Tool::Alembic => Box::new(Alembic::behind(folder, &standing)?),
        };
        Ok(Self {
            folder: folder.to_owned(),
            standing,
            form,
        })
    }

    /// Writes what the folder does not build yet; nothing if that is nothing.
    ///
    /// # Errors
    /// When a file is there already or cannot be written.
    pub(super) fn write(&self, advice: &Advice) -> anyhow::Result<Written> {
        let (mut new, mut standing) = (Vec::new(), Vec::new());
        for index in &advice.indexes {
            match self.holds(&index.up) {
                Some(file) => standing.push((index.name.clone(), file.to_owned())),
                None => new.push(index),
            }
        }
        let (mut prepared, mut tables): (Vec<&Rewrite>, Vec<&str>) = (Vec::new(), Vec::new());
        for rewrite in advice.rewrites.iter().filter(|each| is_prepared(each)) {
            // Several statements may search one table.
            let Some(first) = rewrite
                .prepare
                .first()
                .filter(|sql| !tables.contains(&sql.as_str()))
            else {
                continue;
            };
            tables.push(first);
            match self.holds(first) {
                Some(file) => standing.push((rewrite.statement.clone(), file.to_owned())),
                None => prepared.push(rewrite),
            }
        }
        let files = match new.is_empty() && prepared.is_empty() {
            true => Vec::new(),
            false => self.form.files(&Steps::of(advice.dialect, &new, &prepared)),
        };
        let paths: Vec<PathBuf> = files
            .iter()
            .map(|file| self.folder.join(&file.name))
            .collect();
        if let Some(path) = paths.iter().find(|path| path.exists()) {
            bail!("{}", already_there(path));
        }
        for (file, path) in files.iter().zip(&paths) {
            self.put(path, &file.text)?;
        }
        Ok(Written {
            files: paths,
            standing,
        })
    }

    /// The file that holds this very statement.
    fn holds(&self, statement: &str) -> Option<&str> {
        let statement = self.form.written(statement);
        let mut standing = self.standing.iter();
        let found = standing.find(|file| file.text.contains(&statement))?;
        Some(&found.name)
    }

    fn put(&self, path: &Path, text: &str) -> anyhow::Result<()> {
        fs::create_dir_all(&self.folder)
            .with_context(|| format!("cannot make folder `{}`", self.folder.display()))?;
        // Between the look and now somebody else may have written it.
        let file = fs::File::create_new(path);
        let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
        written.with_context(|| format!("cannot write `{}`", path.display()))
    }
}

/// Whether something must be made before a statement can be written so.
fn is_prepared(rewrite: &Rewrite) -> bool {
    rewrite.outcome == RewriteOutcome::Proved && !rewrite.prepare.is_empty()
}

fn already_there(path: &Path) -> String {
    format!(
        "`{}` is there already and is not overwritten; move it away, or give --save another folder",
        path.display()
    )
}

/// The migrations of a folder, sorted by name; none if there is no folder.
fn standing(folder: &Path) -> std::io::Result<Vec<Standing>> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_file() && (name.ends_with(".sql") || name.ends_with(".py")) {
            found.push(Standing {
                text: String::from_utf8_lossy(&fs::read(&path)?).into_owned(),
                name: name.into_owned(),
            });
        }
    }
    found.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(found)
}

impl Steps {
    fn of(dialect: Dialect, indexes: &[&AdvisedIndex], prepared: &[&Rewrite]) -> Self {
        let concurrently = dialect == Dialect::Postgres;
        let trigrams = indexes
            .iter()
            .any(|index| index.ddl.contains("gin_trgm_ops"));
        let extension = (concurrently && trigrams).then(|| Step {
            name: "pg_trgm".to_owned(),
            up: "CREATE EXTENSION IF NOT EXISTS pg_trgm".to_owned(),
            down: None,
        });
        let indexes = indexes.iter().map(|index| Step {
            name: index.name.clone(),
            up: index.up.clone(),
            down: Some(index.down.clone()),
        });
        let prepare = prepared.iter().flat_map(|rewrite| &rewrite.prepare);
        let prepare = prepare.map(|statement| Step {
            name: "full_text".to_owned(),
            up: statement.clone(),
            down: None,
        });
        let undo = prepared.iter().flat_map(|rewrite| &rewrite.undo);
        Self {
            concurrently,
            undo: undo.cloned().collect(),
            all: extension
                .into_iter()
                .chain(indexes)
                .chain(prepare)
                .collect(),
        }
    }

    /// The statements that do it.
    fn up(&self) -> impl Iterator<Item = &str> {
        self.all.iter().map(|step| step.up.as_str())
    }

    /// The statements that take it back, the last one first.
    fn down(&self) -> impl Iterator<Item = &str> {
        let steps = self.all.iter().rev();
        let steps = steps.filter_map(|step| step.down.as_deref());
        self.undo.iter().map(String::as_str).chain(steps)
    }
}

impl File {
    fn new(name: impl Into<String>, text: String) -> Self {
        Self {
            name: name.into(),
            text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advise::sample;

    /// The files that `tool` writes behind those of `folder` (name and text).
    pub(super) fn written(tool: Tool, folder: &str, standing: &[(&str, &str)]) -> String {
        let home = home(folder, standing);
        let migrations = Migrations::open(&home.path().join(folder), tool).unwrap();
        let written = migrations.write(&sample::advice()).unwrap();
        let mut text = String::new();
        for path in written.files {
            let name = path.file_name().unwrap().to_string_lossy();
            text += &format!("=== {name}\n{}", fs::read_to_string(&path).unwrap());
        }
        text
    }

    /// Why nothing is written.
    pub(super) fn refused(tool: Tool, folder: &str, standing: &[(&str, &str)]) -> String {
        let home = home(folder, standing);
        let opened = Migrations::open(&home.path().join(folder), tool);
        format!("{:#}", opened.err().unwrap())
    }

    /// The files of two indexes of SQLite.
    pub(super) fn stepped(form: &dyn Form) -> String {
        let step = |name: &str| Step {
            name: name.to_owned(),
            up: format!("CREATE INDEX IF NOT EXISTS {name} ON flyers ({name}) WHERE note = '\"'"),
            down: Some(format!("DROP INDEX IF EXISTS {name}")),
        };
        let steps = Steps {
            concurrently: false,
            all: vec![step("one"), step("two")],
            undo: Vec::new(),
        };
        let files = form.files(&steps);
        files
            .iter()
            .map(|file| format!("=== {}\n{}", file.name, file.text))
            .collect()
    }

    fn home(folder: &str, standing: &[(&str, &str)]) -> tempfile::TempDir {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir_all(home.path().join(folder)).unwrap();
        for (name, text) in standing {
            fs::write(home.path().join(folder).join(name), text).unwrap();
        }
        home
    }

    #[test]
    fn a_folder_that_is_not_there_is_made() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("new/migrations");
        let migrations = Migrations::open(&folder, Tool::Sql).unwrap();
        migrations.write(&sample::advice()).unwrap();
        assert!(folder.join("up.sql").exists() && folder.join("down.sql").exists());
    }

    #[test]
    fn what_is_there_is_never_overwritten_and_nothing_is_half_written() {
        let home = home("m", &[("down.sql", "mine")]);
        let folder = home.path().join("m");
        let migrations = Migrations::open(&folder, Tool::Sql).unwrap();
        let error = migrations.write(&sample::advice()).err().unwrap();
        assert!(error.to_string().contains("not overwritten"), "{error}");
        assert_eq!(fs::read_to_string(folder.join("down.sql")).unwrap(), "mine");
        assert!(!folder.join("up.sql").exists());
    }

    #[test]
    fn an_index_that_the_folder_builds_is_not_written_twice() {
        for (tool, folder, first) in [
            (Tool::Sql, "m", None),
            (Tool::Sqlx, "m", None),
            (Tool::Django, "shop/migrations", Some("0001_initial.py")),
            (Tool::Alembic, "versions", None),
        ] {
            let standing: Vec<(&str, &str)> = first.into_iter().map(|name| (name, "")).collect();
            let home = home(folder, &standing);
            let write = || {
                let migrations = Migrations::open(&home.path().join(folder), tool).unwrap();
                migrations.write(&sample::advice()).unwrap()
            };
            assert!(!write().files.is_empty(), "{tool:?}");
            let again = write();
            assert!(again.files.is_empty(), "{tool:?}: {:?}", again.files);
            let names: Vec<&str> = again.standing.iter().map(|(name, _)| &**name).collect();
            let all = sample::advice().indexes;
            let all: Vec<&str> = all.iter().map(|index| index.name.as_str()).collect();
            assert_eq!(names, all, "{tool:?}");
        }
    }

    #[test]
    fn what_a_rewrite_needs_is_made_once_and_taken_back() {
        let home = home("m", &[]);
        let folder = home.path().join("m");
        let write = |advice: &Advice| {
            let migrations = Migrations::open(&folder, Tool::Sqlx).unwrap();
            migrations.write(advice).unwrap()
        };
        let mut advice = sample::advice();
        advice.dialect = Dialect::Sqlite;
        advice.indexes.clear();
        advice.rewrites = vec![sample::full_text("search"), sample::full_text("find")];
        let written = write(&advice);
        let texts = written
            .files
            .iter()
            .map(|path| fs::read_to_string(path).unwrap());
        insta::assert_snapshot!(texts.collect::<Vec<_>>().join("===\n"));
        let again = write(&advice);
        assert!(again.files.is_empty(), "{:?}", again.files);
        assert_eq!(again.standing.len(), 1);
    }

    #[test]
    fn nothing_to_do_writes_nothing() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("m");
        let mut advice = sample::advice();
        advice.indexes.clear();
        let migrations = Migrations::open(&folder, Tool::Sqlx).unwrap();
        assert!(migrations.write(&advice).unwrap().files.is_empty());
        assert!(!folder.exists());
    }
}

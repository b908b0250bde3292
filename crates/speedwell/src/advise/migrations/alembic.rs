//! A revision of Alembic, behind the head of its versions folder.

use std::{collections::BTreeSet, fmt::Write as _, path::Path};

use anyhow::bail;

use super::{AGAIN, File, Form, OUTSIDE, Standing, Steps, python};

pub(super) struct Alembic {
    /// The revision that this one stands behind.
    head: Option<String>,
}

/// A revision that is there.
struct Revision<'s> {
    id: &'s str,
    behind: Vec<&'s str>,
}

impl Alembic {
    /// # Errors
    /// When the folder is not that of the versions, or has several heads.
    pub(super) fn behind(folder: &Path, standing: &[Standing]) -> anyhow::Result<Self> {
        let versions = folder.join("versions");
        if versions.is_dir() || folder.join("env.py").is_file() {
            bail!(
                "`{}` is Alembic's own folder; give --save that of its versions: `{}`",
                folder.display(),
                versions.display()
            );
        }
        let revisions: Vec<Revision<'_>> = standing
            .iter()
            .filter_map(|file| Revision::read(&file.text))
            .collect();
        let followed: BTreeSet<&str> = revisions
            .iter()
            .flat_map(|revision| revision.behind.iter().copied())
            .collect();
        let heads = revisions.iter().map(|revision| revision.id);
        let heads: Vec<&str> = heads.filter(|id| !followed.contains(id)).collect();
        match heads.as_slice() {
            [] => Ok(Self { head: None }),
            [head] => Ok(Self {
                head: Some((*head).to_owned()),
            }),
            several => bail!(
                "`{}` has several heads ({}); merge them first with `alembic merge heads`",
                folder.display(),
                several.join(", ")
            ),
        }
    }

    /// The same advice behind the same revision has the same name.
    fn revision(&self, steps: &Steps) -> String {
        let head = self.head.as_deref().unwrap_or_default();
        let parts: Vec<&str> = std::iter::once(head).chain(steps.up()).collect();
        format!("{:012x}", hash(&parts.join("\n")) >> 16)
    }
}

impl<'s> Revision<'s> {
    fn read(module: &'s str) -> Option<Self> {
        let id = python::strings(python::assigned(module, "revision")?);
        let behind = python::assigned(module, "down_revision").unwrap_or_default();
        Some(Self {
            id: id.first().copied()?,
            behind: python::strings(behind),
        })
    }
}

impl Form for Alembic {
    fn written(&self, statement: &str) -> String {
        format!("op.execute({})", python::literal(&unbound(statement)))
    }

    fn files(&self, steps: &Steps) -> Vec<File> {
        let revision = self.revision(steps);
        let (head, title) = match &self.head {
            Some(head) => (python::literal(head), format!(" {head}")),
            None => ("None".to_owned(), String::new()),
        };
        let up = self.body(steps, steps.up());
        let down = self.body(steps, steps.down());
        let text = format!(
            r#""""Indexes that were proved by `speedwell advise`

Revision ID: {revision}
Revises:{title}

"""

from alembic import op

revision = "{revision}"
down_revision = {head}
branch_labels = None
depends_on = None


def upgrade():
{up}

def downgrade():
{down}"#
        );
        let name = format!("{revision}_speedwell_indexes.py");
        vec![File::new(name, text)]
    }
}

impl Alembic {
    fn body<'s>(&self, steps: &Steps, statements: impl Iterator<Item = &'s str>) -> String {
        let mut text = String::new();
        let indent = match steps.concurrently {
            true => "        ",
            false => "    ",
        };
        if steps.concurrently {
            let _ = writeln!(text, "    # {OUTSIDE}.\n    # {AGAIN}");
            let _ = writeln!(text, "    with op.get_context().autocommit_block():");
        }
        for statement in statements {
            let _ = writeln!(text, "{indent}{}", self.written(statement));
        }
        text
    }
}

/// The statement as SQLAlchemy's `text()` wants it: a colon before a word would be a parameter
/// (`sqlalchemy.sql.compiler.BIND_PARAMS`).
fn unbound(statement: &str) -> String {
    let part = |c: char| c.is_alphanumeric() || "_$".contains(c);
    let mut text = String::with_capacity(statement.len());
    let mut before = ' ';
    for (at, c) in statement.char_indices() {
        if c == ':' && !part(before) && !":\\".contains(before) {
            let behind = &statement[at + 1..];
            let rest = behind.trim_start_matches(part);
            if rest.len() < behind.len() && !rest.starts_with(':') {
                text.push('\\');
            }
        }
        text.push(c);
        before = c;
    }
    text
}

/// 64 bits of a text (FNV-1a), the same on every machine and version.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::super::{
        Tool,
        tests::{refused, stepped, written},
    };
    use super::*;

    const FIRST: &str = "revision = 'aaa'\ndown_revision = None\n";
    const SECOND: &str =
        "revision: str = \"bbb\"\ndown_revision: Union[str, None] = \"aaa\"  # no comment\n";
    const THIRD: &str = "revision = 'ccc'\ndown_revision = 'aaa'\n";
    const MERGED: &str = "revision = 'ddd'\ndown_revision = (\n    'bbb',\n    'ccc',\n)\n";

    #[test]
    fn it_stands_behind_the_head_and_python_reads_it() {
        let standing = [
            ("aaa_x.py", FIRST),
            ("bbb_y.py", SECOND),
            ("helpers.py", ""),
        ];
        let text = written(Tool::Alembic, "versions", &standing);
        insta::assert_snapshot!(text);
        let (_, program) = text.split_once('\n').unwrap();
        python::tests::run(&format!(
            "import ast\nast.parse({})",
            python::literal(program)
        ));
    }

    #[test]
    fn the_first_revision_of_sqlite_stands_behind_none_and_needs_no_block() {
        insta::assert_snapshot!(stepped(&Alembic { head: None }));
    }

    #[test]
    fn several_heads_are_refused_until_they_are_merged() {
        let mut standing = vec![("a.py", FIRST), ("b.py", SECOND), ("c.py", THIRD)];
        let error = refused(Tool::Alembic, "versions", &standing);
        assert!(
            error.contains("several heads (bbb, ccc)") && error.contains("alembic merge"),
            "{error}"
        );
        standing.push(("d.py", MERGED));
        let text = written(Tool::Alembic, "versions", &standing);
        assert!(text.contains("down_revision = \"ddd\""), "{text}");
    }

    #[test]
    fn alembics_own_folder_is_not_taken_for_its_versions() {
        let error = refused(Tool::Alembic, "alembic", &[("env.py", "")]);
        assert!(error.contains("alembic/versions"), "{error}");
    }

    #[test]
    fn colons_are_no_parameters() {
        for (from, to) in [
            ("a::text", "a::text"),
            ("a = 'x:y'", "a = 'x:y'"),
            ("a = ':y'", "a = '\\:y'"),
            ("a = ' :é1 :'", "a = ' \\:é1 :'"),
            ("a = ':y:'", "a = ':y:'"),
        ] {
            assert_eq!(unbound(from), to);
        }
    }
}

//! The database that the service is given: whether it can be one, made where it is asked for,
//! and whether the service used it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
};

use speedwell_plan::{Activity, Schema, ScratchDatabase};
use speedwell_sql::Fingerprint;

use super::{AuditError, Explained};
use crate::config::{Audited, ConfigError, Service};

/// Of the service's name this much stands in the name of a database, which is at most 63 bytes.
const NAME: usize = 24;
/// How every SQLite file begins (https://sqlite.org/fileformat.html, 1.3.1).
const SQLITE_FILE: &[u8; 16] = b"SQLite format 3\0";

/// Whether the database of the configuration can be audited.
pub(crate) fn check(audited: &Audited) -> Result<(), ConfigError> {
    let address = &audited.service.database;
    let scheme = address.split(':').next().unwrap_or_default();
    let postgres = matches!(scheme, "postgres" | "postgresql");
    let scratch = ScratchDatabase::is_asked_for(address);
    let scales = audited.data.scales.len();
    let message = if scheme != "sqlite" && !postgres {
        format!(
            "`[service] database` is a `{scheme}` database, which cannot be explained yet; give `sqlite:path` or `postgres://user@host/{{scratch}}`"
        )
    } else if scratch && !postgres {
        "`{scratch}` in `[service] database` is the name of a PostgreSQL database; for a SQLite file write `{workdir}`".to_owned()
    } else if postgres && !scratch && scales > 1 {
        format!(
            "`[service] database` names one PostgreSQL database and there are {scales} scales, which would be put into it one over the other; write `{{scratch}}` for its name, and the audit makes and drops a database for each scale, or ask for one scale with `--scales`"
        )
    } else {
        return Ok(());
    };
    Err(ConfigError::Wrong {
        path: audited.file.clone(),
        message,
    })
}

/// The database of one scale.
pub(super) enum Given {
    /// As it is; the audit neither makes nor drops it.
    AsItIs(String),
    /// Made by the audit, and dropped with this value.
    Scratch(Box<ScratchDatabase>),
}

impl Given {
    /// The database of the configuration, made if its name is `{scratch}`.
    pub(super) async fn make(service: &Service, scale: u64) -> Result<Self, AuditError> {
        if !ScratchDatabase::is_asked_for(&service.database) {
            return Ok(Self::AsItIs(service.database.clone()));
        }
        let plain = |c: char| match c.is_ascii_alphanumeric() {
            true => c.to_ascii_lowercase(),
            false => '_',
        };
        let service_name: String = service.name.chars().take(NAME).map(plain).collect();
        let name = format!(
            "speedwell_{service_name}_{scale}_{:08x}",
            rand::random::<u32>()
        );
        ScratchDatabase::create(&service.database, &name)
            .await
            .map(|scratch| Self::Scratch(Box::new(scratch)))
            .map_err(|error| AuditError::Scratch(error.to_string()))
    }

    pub(super) fn url(&self) -> &str {
        match self {
            Self::AsItIs(url) => url,
            Self::Scratch(scratch) => scratch.url(),
        }
    }

    /// Drops what the audit made.
    pub(super) async fn remove(self) -> Result<(), AuditError> {
        match self {
            Self::AsItIs(_) => Ok(()),
            Self::Scratch(scratch) => scratch
                .remove()
                .await
                .map_err(|error| AuditError::Scratch(error.to_string())),
        }
    }
}

/// What tells whether the service used the database that it was given.
pub(super) struct Using {
    /// The database, if it is a file.
    pub(super) file: Option<PathBuf>,
    /// Files that the service has open.
    pub(super) open_files: Vec<PathBuf>,
    /// Who used the database before the service was started, and after the probes.
    pub(super) activity: Option<(Activity, Activity)>,
    /// Requests that were probed between.
    pub(super) requests: usize,
}

impl Using {
    /// Why the service may have used another database; a sentence.
    pub(super) fn doubt(
        &self,
        explained: &BTreeMap<Fingerprint, Explained>,
        schema: &Schema,
    ) -> Option<String> {
        self.other_file()
            .or_else(|| self.nobody_came())
            .or_else(|| nothing_there(explained, schema))
            .map(|why| {
                format!(
                    "The service may not use the database of `[service] database`, whose plans stand here: {why}. It is told by the variable DATABASE_URL."
                )
            })
    }

    /// Another SQLite file is open and the given one is not. A service that opens its file for
    /// each request has none open here.
    fn other_file(&self) -> Option<String> {
        let given = self.file.as_ref()?.canonicalize().ok()?;
        if self.open_files.contains(&given) {
            return None;
        }
        let other = self.open_files.iter().find(|file| is_sqlite(file))?;
        Some(format!("it has {} open", other.display()))
    }

    fn nobody_came(&self) -> Option<String> {
        let (before, after) = self.activity?;
        let transactions = after.transactions.saturating_sub(before.transactions);
        let nobody = after.connections == 0 && transactions < self.requests as u64;
        nobody.then(|| {
            "nobody is connected to it, and it ran fewer transactions than requests were sent"
                .to_owned()
        })
    }
}

fn is_sqlite(file: &Path) -> bool {
    let mut beginning = [0; SQLITE_FILE.len()];
    file.is_file()
        && File::open(file)
            .and_then(|mut file| file.read_exact(&mut beginning))
            .is_ok_and(|()| beginning == *SQLITE_FILE)
}

/// Not one table that the statements name holds a row.
fn nothing_there(explained: &BTreeMap<Fingerprint, Explained>, schema: &Schema) -> Option<String> {
    let names: BTreeSet<&str> = explained
        .values()
        .flat_map(|each| &each.shape.tables)
        .map(|table| table.name.as_str())
        .collect();
    let holds_rows = |name: &&str| {
        schema
            .table(name)
            .is_some_and(|table| table.rows != Some(0))
    };
    let empty = !names.is_empty() && !names.iter().any(holds_rows);
    empty.then(|| {
        format!(
            "none of the {} tables that its statements name holds a row in it",
            names.len()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn using() -> Using {
        Using {
            file: None,
            open_files: Vec::new(),
            activity: None,
            requests: 10,
        }
    }

    fn doubt(using: &Using) -> Option<String> {
        using.doubt(&BTreeMap::new(), &Schema::default())
    }

    #[test]
    fn another_open_file_raises_a_doubt_and_the_given_one_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &[u8]| {
            let path = folder.path().canonicalize().unwrap().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let (given, other) = (file("a.db", SQLITE_FILE), file("b.db", SQLITE_FILE));
        let log = file("service.log", b"a text longer than sixteen bytes");
        let with = |open_files: &[&PathBuf]| {
            doubt(&Using {
                file: Some(given.clone()),
                open_files: open_files.iter().map(|path| (*path).clone()).collect(),
                ..using()
            })
        };
        assert!(with(&[&log, &other]).is_some_and(|text| text.contains("b.db")));
        assert_eq!(with(&[&given, &other]), None);
        assert_eq!(with(&[&log]), None);
    }

    #[test]
    fn a_server_that_nobody_came_to_raises_a_doubt() {
        let with = |connections, transactions| {
            let activity = |connections, transactions| Activity {
                connections,
                transactions,
            };
            doubt(&Using {
                activity: Some((activity(0, 100), activity(connections, transactions))),
                ..using()
            })
        };
        assert!(with(0, 103).is_some());
        assert_eq!(with(1, 103), None);
        assert_eq!(with(0, 130), None);
    }
}

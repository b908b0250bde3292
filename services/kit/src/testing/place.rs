//! Where the data of one test are.

use std::{path::Path, sync::OnceLock};

use crate::database::Dialect;

/// A folder of its own, and an empty database of the kind that this run of the tests is
/// about. Both are gone when it is dropped.
#[derive(Debug)]
pub struct Place {
    url: String,
    _on_server: Option<throwaway::Database>,
    folder: tempfile::TempDir,
}

impl Place {
    /// A file, or a database on the server that all tests of the machine share.
    pub fn new(dialect: Dialect) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (url, on_server) = match dialect {
            Dialect::Sqlite => {
                let file = folder.path().join("service.db");
                (format!("sqlite:{}", file.display()), None)
            }
            Dialect::Postgres => {
                let database = server().database().unwrap();
                (database.url(), Some(database))
            }
        };
        Self {
            url,
            _on_server: on_server,
            folder,
        }
    }

    /// With a database on a server of the test's own.
    pub fn on(server: &throwaway::Postgres) -> Self {
        let database = server.database().unwrap();
        Self {
            url: database.url(),
            _on_server: Some(database),
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// What `DATABASE_URL` must be.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// For files of the test.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

/// The lease on the shared server is the process's.
fn server() -> &'static throwaway::Postgres {
    static SERVER: OnceLock<throwaway::Postgres> = OnceLock::new();
    SERVER.get_or_init(|| throwaway::Postgres::shared().unwrap())
}

//! Where the data of one test are.

use std::sync::OnceLock;

use service_kit::database::Dialect;

/// A folder of its own, and an empty database of the kind that this run of the tests is
/// about. Both are gone when it is dropped.
pub(crate) struct Place {
    url: String,
    _on_server: Option<throwaway::Database>,
    folder: tempfile::TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (url, on_server) = match crate::DIALECT {
            Dialect::Sqlite => {
                let file = folder.path().join("flyers.db");
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
    pub(crate) fn on(server: &throwaway::Postgres) -> Self {
        let database = server.database().unwrap();
        Self {
            url: database.url(),
            _on_server: Some(database),
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// What `DATABASE_URL` must be.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// For files of the test.
    pub(crate) fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }
}

/// The lease on the shared server is the process's.
fn server() -> &'static throwaway::Postgres {
    static SERVER: OnceLock<throwaway::Postgres> = OnceLock::new();
    SERVER.get_or_init(|| throwaway::Postgres::shared().unwrap())
}

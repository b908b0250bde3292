//! The command under test, and the service that it is tried on.

use std::{
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

/// The root of the workspace.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

/// The program of the example service, built beside the command.
pub(crate) fn faulty() -> PathBuf {
    let program = Path::new(env!("CARGO_BIN_EXE_speedwell")).with_file_name("faulty");
    assert!(
        program.is_file(),
        "{} is missing; run the whole workspace (`cargo nextest run --workspace`) or `cargo build --workspace --bins` first",
        program.display()
    );
    program
}

/// A folder with a `speedwell.toml` in it.
pub(crate) struct Project(pub(crate) tempfile::TempDir);

impl Project {
    pub(crate) fn new(config: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("speedwell.toml"), config).unwrap();
        Self(folder)
    }

    pub(crate) fn speedwell(&self, args: &[&str]) -> Run {
        Run::of(
            Command::new(env!("CARGO_BIN_EXE_speedwell"))
                .args(args)
                .current_dir(self.0.path())
                .output()
                .unwrap(),
        )
    }
}

/// What a run of the command printed and how it ended.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Run {
    pub(crate) fn of(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// The run must have ended without a verdict and have said all of `words`.
    #[track_caller]
    pub(crate) fn refuses(&self, words: &[&str]) {
        assert_eq!(self.code, Some(2), "{self:?}");
        for word in words {
            assert!(self.err.contains(word), "`{word}` is not in: {}", self.err);
        }
        assert!(
            self.out.is_empty(),
            "a run without a verdict prints no report: {}",
            self.out
        );
    }
}

/// The example service, running; it ends with the value.
pub(crate) struct Service {
    pub(crate) url: String,
    child: Child,
    _data: tempfile::TempDir,
}

impl Service {
    pub(crate) fn faulty() -> Self {
        let data = tempfile::tempdir().unwrap();
        let database = format!("sqlite:{}/faulty.db", data.path().display());
        let seeded = Command::new(faulty())
            .args(["seed", "--scale", "50"])
            .env("DATABASE_URL", &database)
            .status()
            .unwrap();
        assert!(seeded.success());
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let child = Command::new(faulty())
            .arg("serve")
            .env("DATABASE_URL", &database)
            .env("LISTEN", address.to_string())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let start = Instant::now();
        while TcpStream::connect(address).is_err() {
            assert!(
                start.elapsed() < Duration::from_secs(30),
                "the service does not start"
            );
            sleep(Duration::from_millis(20));
        }
        Self {
            url: format!("http://{address}"),
            child,
            _data: data,
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

//! A clock of the day for a child process that can be set to another time while it runs.

use std::{
    fs::File,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{ThrowawayError, program, while_doing};

/// The library that stands before the system's clock, and the file that moves it.
#[derive(Debug)]
pub(crate) struct Clock {
    library: PathBuf,
    step: PathBuf,
    file: File,
}

impl Clock {
    /// Compiles the library into this folder with `cc`, which linking Rust needs as well.
    pub(crate) fn in_folder(home: &Path) -> Result<Self, ThrowawayError> {
        let (source, library) = (home.join("clock.c"), home.join("clock.so"));
        let making = while_doing("make a clock that can be set");
        std::fs::write(&source, include_str!("clock.c")).map_err(&making)?;
        let mut cc = Command::new("cc");
        cc.args(["-shared", "-fPIC", "-O1", "-o"])
            .args([&library, &source]);
        program::run("cc", &mut cc)?;
        let step = home.join("clock.step");
        let file = File::create(&step).map_err(&making)?;
        let clock = Self {
            library,
            step,
            file,
        };
        clock.set(0)?;
        Ok(clock)
    }

    /// So many seconds from the system's time.
    pub(crate) fn set(&self, seconds: i64) -> Result<(), ThrowawayError> {
        self.file
            .write_all_at(&seconds.to_ne_bytes(), 0)
            .map_err(while_doing("set the clock"))
    }

    /// Has this command live by it.
    pub(crate) fn rule(&self, command: &mut Command) {
        command
            .env("LD_PRELOAD", &self.library)
            .env("THROWAWAY_CLOCK", &self.step);
    }
}

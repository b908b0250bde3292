//! What a local folder needs beside a store: a lock, and no empty folders.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use super::{error::StorageError, place::TRASH};

/// Begins with a dot, so that no file can have its path.
const LOCK: &str = ".lock";

/// How long to wait while another process recovers the folder.
const WAIT: Duration = Duration::from_secs(30);

/// A folder that this process has opened.
///
/// Every process that uses the folder holds a shared lock on it for as long as it lives. Whoever
/// gets the exclusive lock therefore knows that no other process is at work there, and that what
/// lies in the trash was left by one that has ended.
#[derive(Debug)]
pub(super) struct Folder {
    root: PathBuf,
    lock: File,
}

impl Folder {
    /// Makes the folder when it is missing.
    pub(super) fn open(root: &Path) -> Result<Self, StorageError> {
        let failed = |source| StorageError::Folder {
            folder: root.to_owned(),
            source,
        };
        fs::create_dir_all(root).map_err(failed)?;
        let root = root.canonicalize().map_err(failed)?;
        let mut options = File::options();
        let lock = options.create(true).truncate(false).write(true);
        let lock = lock.open(root.join(LOCK)).map_err(failed)?;
        let folder = Self { root, lock };
        folder.share().map_err(failed)?;
        Ok(folder)
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Whether this process is alone now. If so it stays alone until [`Folder::share`].
    pub(super) fn lock_alone(&self) -> io::Result<bool> {
        match self.lock.try_lock() {
            Ok(()) => Ok(true),
            Err(TryLockError::Error(error)) => Err(error),
            Err(TryLockError::WouldBlock) => {
                // A failed change from shared to exclusive may have lost the shared lock.
                self.share()?;
                Ok(false)
            }
        }
    }

    /// Takes the shared lock again.
    pub(super) fn share(&self) -> io::Result<()> {
        let started = Instant::now();
        loop {
            match self.lock.try_lock_shared() {
                Ok(()) => return Ok(()),
                Err(TryLockError::Error(error)) => return Err(error),
                Err(TryLockError::WouldBlock) if started.elapsed() > WAIT => {
                    return Err(io::Error::new(
                        io::ErrorKind::TimedOut,
                        "another process has been recovering it for 30 s",
                    ));
                }
                Err(TryLockError::WouldBlock) => thread::sleep(Duration::from_millis(20)),
            }
        }
    }

    /// Whether a file can be made here.
    pub(super) fn check(&self) -> io::Result<()> {
        let probe = self.root.join(format!(".check-{}", std::process::id()));
        File::create(&probe)?;
        fs::remove_file(&probe)
    }

    /// Removes the folders of a path that have become empty.
    pub(super) fn prune(&self, path: &object_store::path::Path) {
        let file = self.root.join(path.as_ref());
        let parents = file.ancestors().skip(1);
        for folder in parents.take_while(|folder| *folder != self.root) {
            // Fails at the first one that is not empty.
            if fs::remove_dir(folder).is_err() {
                return;
            }
        }
    }

    /// Removes what a process that was killed while it wrote this file left beside it.
    pub(super) fn remove_staged(&self, path: &object_store::path::Path) {
        let file = self.root.join(path.as_ref());
        if let (Some(folder), Some(name)) = (file.parent(), file.file_name()) {
            remove_staged(folder, |staged| Some(staged) == name.to_str());
        }
    }

    /// Removes staged files and empty folders from the trash. Only for a process that is alone.
    pub(super) fn sweep(&self) {
        sweep(&self.root.join(TRASH));
    }
}

fn sweep(folder: &Path) {
    remove_staged(folder, |_| true);
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            sweep(&entry.path());
        }
    }
    // Fails when it is not empty.
    let _ = fs::remove_dir(folder);
}

/// The store writes a file as `name#1` and renames it when it is whole; a number after `#` is
/// never part of a path, see [`super::place::checked`].
fn remove_staged(folder: &Path, wanted: impl Fn(&str) -> bool) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let staged = name.to_str().and_then(|name| name.rsplit_once('#'));
        if staged.is_some_and(|(name, _)| wanted(name)) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

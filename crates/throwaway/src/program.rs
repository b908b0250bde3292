//! Programs of a server: where they are and as whom they run.

use std::{
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::{ThrowawayError, while_doing};

/// Where Debian keeps the programs of PostgreSQL, one folder for each version.
const DEBIAN_POSTGRES: &str = "/usr/lib/postgresql";

/// The account that servers run as when the caller is root, which PostgreSQL refuses.
const ACCOUNTS: [&str; 2] = ["postgres", "nobody"];

/// Finds a program of PostgreSQL: the newest of Debian's, else the one on the path.
pub(crate) fn find(program: &'static str) -> Result<PathBuf, ThrowawayError> {
    let mut folders: Vec<(u32, PathBuf)> = std::fs::read_dir(DEBIAN_POSTGRES)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let version = entry.file_name().to_str()?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .collect();
    folders.sort_unstable();
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    folders
        .into_iter()
        .rev()
        .map(|(_, folder)| folder)
        .chain(std::env::split_paths(&on_path))
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
        .ok_or(ThrowawayError::Missing {
            program,
            package: "postgresql",
        })
}

/// A user and group number of the system.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Account {
    uid: u32,
    gid: u32,
}

impl Account {
    /// Whom servers run as: the caller, unless that is root.
    pub(crate) fn of_servers(folder: &Path) -> Result<Option<Self>, ThrowawayError> {
        use std::os::unix::fs::MetadataExt as _;
        // The caller owns what it has just made.
        let owner = folder.metadata().map_err(while_doing("look at a folder"))?;
        if owner.uid() != 0 {
            return Ok(None);
        }
        let accounts =
            std::fs::read_to_string("/etc/passwd").map_err(while_doing("read /etc/passwd"))?;
        Ok(ACCOUNTS
            .iter()
            .find_map(|name| find_account(&accounts, name)))
    }

    /// Gives the folder to the account.
    pub(crate) fn own(self, folder: &Path) -> Result<(), ThrowawayError> {
        std::os::unix::fs::chown(folder, Some(self.uid), Some(self.gid))
            .map_err(while_doing("give a folder to the account of the server"))
    }
}

fn find_account(accounts: &str, name: &str) -> Option<Account> {
    let line = accounts
        .lines()
        .find(|line| line.split(':').next() == Some(name))?;
    let mut numbers = line.split(':').skip(2);
    Some(Account {
        uid: numbers.next()?.parse().ok()?,
        gid: numbers.next()?.parse().ok()?,
    })
}

/// A command that runs as the account, in a process group of its own, without a terminal.
pub(crate) fn command(program: &Path, account: Option<Account>) -> Command {
    let mut command = Command::new(program);
    command
        .stdin(Stdio::null())
        .process_group(0)
        .current_dir("/")
        .env("LC_ALL", "C.UTF-8");
    if let Some(Account { uid, gid }) = account {
        command.uid(uid).gid(gid);
    }
    command
}

/// Runs a program to its end.
pub(crate) fn run(name: &'static str, command: &mut Command) -> Result<(), ThrowawayError> {
    let done = command.output().map_err(while_doing("start a program"))?;
    if done.status.success() {
        return Ok(());
    }
    let mut output = String::from_utf8_lossy(&done.stderr).into_owned();
    output += &String::from_utf8_lossy(&done.stdout);
    Err(ThrowawayError::Failed {
        program: name,
        output,
    })
}

//! One server for many processes: the first starts it, the last one's end stops it.
//!
//! Every user holds a shared lock on the file `lease` for as long as it lives; locks of a
//! killed process end with it. A watcher, a shell that belongs to nobody, tries every few
//! seconds to take that lock for itself: once it can, nobody uses the server.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::Stdio,
};

use crate::{ThrowawayError, postgres, program, while_doing};

/// Stops the server and removes its folder once nobody holds a lease. The file `lock` is
/// held while a server is started or stopped, so that nobody joins one that is going.
const WATCHER: &str = r#"
while sleep 5; do
    flock --nonblock "$2" flock --nonblock "$3" sh -c '
        kill -INT "$1"
        for _ in 1 2 3 4 5 6 7 8 9; do kill -0 "$1" 2>/dev/null && sleep 0.3; done
        kill -KILL "$1" 2>/dev/null
        rm -rf "$2" "$3"
    ' sh "$1" "$4" "$5" && exit
done
"#;

/// Joins the server, or starts it. The file is the lease.
pub(crate) fn join() -> Result<(u16, File), ThrowawayError> {
    let folder = folder()?;
    let lock = open(&folder.join("lock"))?;
    lock.lock().map_err(while_doing("wait for a lock"))?;
    let lease = open(&folder.join("lease"))?;
    lease.lock_shared().map_err(while_doing("take a lease"))?;
    let known = std::fs::read_to_string(folder.join("port")).ok();
    let known = known.and_then(|text| text.trim().parse().ok());
    let port = match known.filter(|port| postgres::is_ready(*port)) {
        Some(port) => port,
        None => start(&folder)?,
    };
    Ok((port, lease))
}

/// A folder for each user of the machine: files of another one could not be locked.
fn folder() -> Result<PathBuf, ThrowawayError> {
    use std::os::unix::fs::MetadataExt as _;
    let probe = tempfile::tempfile().map_err(while_doing("make a temporary file"))?;
    let uid = probe
        .metadata()
        .map_err(while_doing("look at a file"))?
        .uid();
    let folder = std::env::temp_dir().join(format!("throwaway-postgres-of-{uid}"));
    std::fs::create_dir_all(&folder).map_err(while_doing("make a folder for PostgreSQL"))?;
    Ok(folder)
}

fn open(path: &Path) -> Result<File, ThrowawayError> {
    File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .map_err(while_doing("open a lock file"))
}

fn start(folder: &Path) -> Result<u16, ThrowawayError> {
    let home = tempfile::Builder::new()
        .prefix("server-")
        .tempdir_in(folder)
        .map_err(while_doing("make a folder for PostgreSQL"))?;
    let account = postgres::initialize(home.path())?;
    let (port, server) = postgres::launch_detached(home.path(), account)?;
    let home = home.keep();
    let port_file = folder.join("port");
    std::fs::write(&port_file, port.to_string()).map_err(while_doing("note the port"))?;
    let mut watcher = program::command(Path::new("/bin/sh"), None);
    watcher
        .args(["-c", WATCHER, "watcher", &server.id().to_string()])
        .args([folder.join("lock"), folder.join("lease"), home, port_file])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    // Nobody waits for it: it outlives this process.
    watcher
        .spawn()
        .map_err(while_doing("start the watcher of PostgreSQL"))?;
    Ok(port)
}

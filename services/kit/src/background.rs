//! Threads for long work that step back behind those that answer requests.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, Sender, channel},
    },
    thread,
};

/// How far they step back (`nice`).
#[cfg(target_os = "linux")]
const NICE: i32 = 10;

/// Lets the calling thread step back.
pub(crate) fn step_back() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(NICE) {
        tracing::debug!(%error, "a thread for long work keeps its priority");
    }
}

type Job = Box<dyn FnOnce() + Send>;

/// Some threads that do one job after the other. They end with the last handle.
#[derive(Debug, Clone)]
pub(crate) struct Background(Sender<Job>);

impl Background {
    /// Starts so many.
    ///
    /// # Errors
    /// The system gives no more threads.
    pub(crate) fn start(name: &str, threads: usize) -> io::Result<Self> {
        let (queue, jobs) = channel();
        let jobs = Arc::new(Mutex::new(jobs));
        for number in 0..threads.max(1) {
            let jobs = Arc::clone(&jobs);
            thread::Builder::new()
                .name(format!("{name}-{number}"))
                .spawn(move || work(&jobs))?;
        }
        Ok(Self(queue))
    }

    /// Puts a job behind the others. A job that panics is dropped.
    pub(crate) fn put(&self, job: impl FnOnce() + Send + 'static) {
        // The threads live as long as this handle.
        let _taken = self.0.send(Box::new(job));
    }
}

fn work(jobs: &Mutex<Receiver<Job>>) {
    step_back();
    loop {
        // The lock is held while this thread waits; the others wait for the lock instead.
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        if catch_unwind(AssertUnwindSafe(job)).is_err() {
            tracing::error!("long work panicked");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_that_panics_ends_no_thread() {
        let background = Background::start("test", 1).unwrap();
        let (done, told) = channel();
        background.put(|| panic!("on purpose"));
        background.put(move || done.send(7).unwrap());
        assert_eq!(told.recv().unwrap(), 7);
    }
}

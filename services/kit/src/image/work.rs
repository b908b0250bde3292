//! A fixed number of threads that work on pictures, behind a queue that can be full.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread,
};

use bytes::Bytes;
use tokio::sync::oneshot;

use super::{Form, ImageError, Picture, decode::Bounds, process};
use crate::background::step_back;

/// The default of [`ImageOptions::max_bytes`]: the 5 MB that the flyers papers name. A phone's
/// 12-megapixel photograph has 2 to 4 MB.
pub const MAX_BYTES: usize = 5 << 20;

/// The default of [`ImageOptions::max_pixels`]: what the sharpest phone mode in wide use (50 MP)
/// gives. A worker holds 3 to 8 bytes for each pixel of the picture it works on, a progressive JPEG
/// and a picture with transparency the most: 400 MB at worst.
pub const MAX_PIXELS: u64 = 50_000_000;

/// The default of [`ImageOptions::waiting`]: at 0.1 s for a photograph the last in the queue
/// waits about two seconds, and 16 uploads of 5 MB hold 80 MB.
const WAITING: usize = 16;

/// How much one process spends on pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageOptions {
    /// Bytes of one upload.
    pub max_bytes: usize,
    /// Pixels of one upload, width times height.
    pub max_pixels: u64,
    /// Threads; at least one is started.
    pub workers: usize,
    /// Pictures that wait for a thread; at least one may.
    pub waiting: usize,
}

impl Default for ImageOptions {
    /// One core is left to the requests.
    fn default() -> Self {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        Self {
            max_bytes: MAX_BYTES,
            max_pixels: MAX_PIXELS,
            workers: cores.saturating_sub(1).max(1),
            waiting: WAITING,
        }
    }
}

/// Makes pictures on threads of its own, which end with the last clone of the handle.
#[derive(Debug, Clone)]
pub struct Images {
    queue: SyncSender<Job>,
}

type Answer = Result<Vec<Picture>, ImageError>;

#[derive(Debug)]
struct Job {
    bytes: Bytes,
    forms: &'static [Form],
    answer: oneshot::Sender<Answer>,
}

impl Images {
    /// Starts the threads.
    ///
    /// # Errors
    ///
    /// The system gives no more threads.
    pub fn start(options: ImageOptions) -> io::Result<Self> {
        let (queue, jobs) = sync_channel(options.waiting.max(1));
        let jobs = Arc::new(Mutex::new(jobs));
        let bounds = Bounds {
            max_bytes: options.max_bytes,
            max_pixels: options.max_pixels,
        };
        for number in 0..options.workers.max(1) {
            let jobs = Arc::clone(&jobs);
            thread::Builder::new()
                .name(format!("image-{number}"))
                .spawn(move || work(&jobs, bounds))?;
        }
        Ok(Self { queue })
    }

    /// The picture in each of the forms, in their order. When the caller goes away while its
    /// picture waits, no work is done for it.
    ///
    /// # Errors
    ///
    /// [`ImageError::Busy`] when the queue is full: answer 503. [`ImageError::Internal`] is our
    /// fault. All others are the picture's, and their text is for the person who uploads it.
    pub async fn process(&self, bytes: Bytes, forms: &'static [Form]) -> Answer {
        let (answer, result) = oneshot::channel();
        let job = Job {
            bytes,
            forms,
            answer,
        };
        self.queue.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => ImageError::Busy,
            TrySendError::Disconnected(_) => ImageError::Internal,
        })?;
        result.await.unwrap_or(Err(ImageError::Internal))
    }
}

fn work(jobs: &Mutex<Receiver<Job>>, bounds: Bounds) {
    step_back();
    loop {
        // The lock is held while this thread waits; the others wait for the lock instead.
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        if job.answer.is_closed() {
            continue;
        }
        let made = catch_unwind(AssertUnwindSafe(|| process(&job.bytes, job.forms, bounds)));
        let made = made.unwrap_or_else(|_| {
            tracing::error!(bytes = job.bytes.len(), "a picture made a decoder panic");
            Err(ImageError::Damaged)
        });
        // Nobody waits any more when the request has timed out.
        let _ = job.answer.send(made);
    }
}

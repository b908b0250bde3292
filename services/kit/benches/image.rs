//! A 12-megapixel photograph made into a picture of 500 pixels, beside the programs that people
//! use for it: `cargo bench -p service-kit --bench image [--features turbo]`.
//!
//! The programs need `vipsthumbnail` (Debian: libvips-tools) and Pillow (Debian: python3-pil);
//! the one that is absent is said to be. Every program has one thread and takes its turn in
//! each round; compared is the processor time of the best round, because our thread gives way to
//! others and a busy machine would count against it. The times by criterion are those of a clock.

#![expect(
    clippy::print_stdout,
    reason = "the ratios are what the benchmark is for"
)]
#![expect(clippy::unwrap_used, reason = "a benchmark ends where it cannot go on")]

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
use service_kit::image::{Form, ImageOptions, Images};
use tokio::runtime::Runtime;

#[path = "../tests/image/photo.rs"]
#[allow(
    dead_code,
    reason = "the tests compare pictures, this file only makes them"
)]
mod photo;

const ROUNDS: usize = 12;

const PICTURE: &[Form] = &[Form {
    suffix: "",
    max_width: 500,
    max_height: u32::MAX,
}];

const PROFILE: &[Form] = &[
    PICTURE[0],
    Form {
        suffix: "_128",
        max_width: 128,
        max_height: 128,
    },
];

const FLYER: &[Form] = &[
    Form {
        suffix: "",
        max_width: 1200,
        max_height: 1200,
    },
    Form {
        suffix: "_300",
        max_width: 300,
        max_height: 300,
    },
];

fn photograph() -> Bytes {
    let photo = photo::photo(4000, 3000);
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, 93);
    encoder.set_sampling_factor(SamplingFactor::F_2_2);
    encoder
        .encode(photo.as_raw(), 4000, 3000, ColorType::Rgb)
        .unwrap();
    Bytes::from(bytes)
}

struct Ours {
    images: Images,
    runtime: Runtime,
    file: Bytes,
}

impl Ours {
    fn make(&self, forms: &'static [Form]) {
        let made = self.images.process(self.file.clone(), forms);
        self.runtime.block_on(made).unwrap();
    }

    fn processor_time(&self) -> Duration {
        let before = of_all_threads();
        self.make(PICTURE);
        of_all_threads().saturating_sub(before)
    }
}

/// Time on a processor so far, of this process.
fn of_all_threads() -> Duration {
    let threads = std::fs::read_dir("/proc/self/task").unwrap();
    let nanoseconds = threads.map(|thread| {
        let statistics = std::fs::read_to_string(thread.unwrap().path().join("schedstat"));
        let statistics = statistics.unwrap();
        statistics
            .split(' ')
            .next()
            .unwrap()
            .parse::<u64>()
            .unwrap()
    });
    Duration::from_nanos(nanoseconds.sum())
}

fn image(criterion: &mut Criterion) {
    let ours = Ours {
        images: Images::start(ImageOptions::default()).unwrap(),
        runtime: tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap(),
        file: photograph(),
    };
    let mut group = criterion.benchmark_group("image");
    group
        .sample_size(10)
        .measurement_time(Duration::from_secs(5));
    group.bench_function("12 MP to a profile picture", |bencher| {
        bencher.iter(|| ours.make(PROFILE));
    });
    group.bench_function("12 MP to a flyer image", |bencher| {
        bencher.iter(|| ours.make(FLYER));
    });
    group.finish();
    compare(&ours);
}

/// Ours and the others, one after the other in each round.
fn compare(ours: &Ours) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("photograph.jpg");
    std::fs::write(&file, &ours.file).unwrap();
    let vips = present("vipsthumbnail");
    let mut pillow = Pillow::start(&file);
    let (mut own, mut vips_best, mut pillow_best) = (Duration::MAX, Duration::MAX, Duration::MAX);
    for _ in 0..ROUNDS {
        own = own.min(ours.processor_time());
        if vips {
            vips_best = vips_best.min(run_vips(&file));
        }
        if let Some(pillow) = &mut pillow {
            pillow_best = pillow_best.min(pillow.make());
        }
    }
    let build = if cfg!(feature = "turbo") {
        "turbo"
    } else {
        "default"
    };
    let megabytes = ours.file.len() as f64 / 1e6;
    println!("12 MP, {megabytes:.1} MB, to 500 pixels, processor time, best of {ROUNDS}:");
    println!("  service-kit ({build})  {:>7.1} ms", millis(own));
    print(
        "vipsthumbnail, whole process",
        vips.then_some(vips_best),
        own,
    );
    print("Pillow, draft mode", pillow.map(|_| pillow_best), own);
}

fn print(name: &str, time: Option<Duration>, own: Duration) {
    match time {
        None => println!("  {name}: absent"),
        Some(time) => {
            let ratio = time.as_secs_f64() / own.as_secs_f64();
            println!("  {name}  {:>7.1} ms, {ratio:.2} times ours", millis(time));
        }
    }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn present(program: &str) -> bool {
    let mut command = Command::new(program);
    command
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn run_vips(file: &Path) -> Duration {
    let mut command = Command::new("bash");
    let script = r#"TIMEFORMAT='%U %S'; time vipsthumbnail "$0" -s 500x -o 'made.jpg[Q=85,strip]'"#;
    command
        .env("VIPS_CONCURRENCY", "1")
        .args(["-c", script])
        .arg(file);
    let output = command.output().unwrap();
    assert!(output.status.success(), "vipsthumbnail failed");
    let times = String::from_utf8(output.stderr).unwrap();
    let seconds = times
        .split_whitespace()
        .map(|time| time.parse::<f64>().unwrap());
    Duration::from_secs_f64(seconds.sum())
}

/// A Python process that makes a picture for every line, and says how many seconds it took:
/// its start and its imports do not count.
struct Pillow(Child, BufReader<std::process::ChildStdout>);

const SCRIPT: &str = r#"
import io, sys, time
from PIL import Image, ImageOps
data = open(sys.argv[1], 'rb').read()
print('ready', flush=True)
for line in sys.stdin:
    start = time.process_time()
    image = Image.open(io.BytesIO(data))
    image.draft('RGB', (1000, 1000 * image.height // image.width))
    image = ImageOps.exif_transpose(image)
    image.thumbnail((500, 65000), Image.Resampling.LANCZOS)
    image.save(io.BytesIO(), 'JPEG', quality=85)
    print(time.process_time() - start, flush=True)
"#;

impl Pillow {
    fn start(file: &Path) -> Option<Self> {
        let mut command = Command::new("python3");
        command.args(["-c", SCRIPT]).arg(file);
        let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = pipes.stderr(Stdio::null()).spawn().ok()?;
        let mut lines = BufReader::new(child.stdout.take()?);
        let mut ready = String::new();
        lines.read_line(&mut ready).ok()?;
        (ready == "ready\n").then_some(Self(child, lines))
    }

    fn make(&mut self) -> Duration {
        let mut line = String::new();
        writeln!(self.0.stdin.as_mut().unwrap(), "go").unwrap();
        self.1.read_line(&mut line).unwrap();
        Duration::from_secs_f64(line.trim().parse().unwrap())
    }
}

impl Drop for Pillow {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        // It ends with its input.
        let _ = self.0.wait();
    }
}

criterion_group!(benches, image);
criterion_main!(benches);

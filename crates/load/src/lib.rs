#![doc = include_str!("../README.md")]

mod answer;
mod cancel;
mod capture;
mod connection;
mod engine;
mod failure;
mod histogram;
mod inbox;
mod multipart;
mod options;
mod outcome;
mod quantile;
mod request;
mod rows;
mod scenario;
mod session;
pub mod template;

pub use answer::{Answer, ServerTiming};
pub use cancel::CancelHandle;
pub use capture::{Capture, CaptureError, LARGEST_POOL, Source};
pub use connection::{Connection, Limits};
pub use engine::{LoadError, run};
pub use failure::ErrorKind;
pub use histogram::{Bucket, Histogram};
pub use multipart::{FileContent, Multipart, Part};
pub use options::{LoadOptions, Model, Think, ThinkError};
pub use outcome::{
    ClientHealth, Outcome, Phase, Progress, Recent, Second, StepOutcome, TaskOutcome, TimingSum,
};
pub use quantile::{Estimate, Judgement, judge, quantile};
pub use request::Prepared;
pub use rows::{Row, Rows, RowsError};
pub use scenario::{Body, Expect, Scenario, Step, Task};
pub use session::Session;
pub use template::{JsonTemplate, Reference, RenderError, Template, TemplateError};

//! Progress of long work, shown on a terminal and nowhere else.

use std::{io::IsTerminal, time::Duration};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Shows what is going on.
pub(crate) struct Progress {
    bars: MultiProgress,
}

/// One thing that goes on; its line vanishes when dropped.
pub(crate) struct Shown(ProgressBar);

impl Progress {
    /// Draws on standard error if that is a terminal.
    pub(crate) fn new() -> Self {
        let target = if std::io::stderr().is_terminal() {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        Self {
            bars: MultiProgress::with_draw_target(target),
        }
    }

    /// Work of unknown length.
    pub(crate) fn spinner(&self, what: String) -> Shown {
        let bar = self
            .bars
            .add(ProgressBar::new_spinner())
            .with_style(style("{spinner} {prefix} {elapsed}"));
        bar.set_prefix(what);
        bar.enable_steady_tick(Duration::from_millis(120));
        Shown(bar)
    }

    /// Work in `steps` steps.
    pub(crate) fn bar(&self, what: String, steps: u64) -> Shown {
        let bar = self
            .bars
            .add(ProgressBar::new(steps))
            .with_style(style("{spinner} {prefix} {bar:30} {pos}/{len} {msg}"));
        bar.set_prefix(what);
        bar.enable_steady_tick(Duration::from_millis(120));
        Shown(bar)
    }

    /// Work that takes a known time.
    pub(crate) fn clock(&self, what: &str, length: Duration) -> Shown {
        let bar = self
            .bars
            .add(ProgressBar::new(
                length.as_millis().try_into().unwrap_or(u64::MAX),
            ))
            .with_style(style("{spinner} {prefix} {bar:14} {elapsed} {msg}"));
        bar.set_prefix(what.to_owned());
        Shown(bar)
    }
}

impl Shown {
    /// One step is being done.
    pub(crate) fn advance(&self, what: &str) {
        self.0.inc(1);
        self.0.set_message(what.to_owned());
    }

    /// So much of the time has passed.
    pub(crate) fn at(&self, elapsed: Duration, message: &str) {
        self.0
            .set_position(elapsed.as_millis().try_into().unwrap_or(u64::MAX));
        self.0.set_message(message.to_owned());
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    // A template that does not parse is a typing error here; the plain style shows as much.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

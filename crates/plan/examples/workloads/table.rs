//! The tables that are printed.

use speedwell_plan::{Advice, Verdict};

use crate::store::{Measured, Store};

/// A statement is worse than without from this share on, and by so much.
const MARGIN: f64 = 1.1;
/// See [`MARGIN`].
const MARGIN_COST: f64 = 16.0;

/// The heading of the sets of indexes.
pub(crate) fn heading<S: Store>() {
    println!(
        "\n{:<24} {:>7} {:>10} {:>9} {:>9} {:>9}",
        "advice",
        "indexes",
        S::UNIT,
        "ms",
        "fk ms",
        "write ms"
    );
}

/// A set of indexes.
pub(crate) fn line(name: &str, indexes: usize, measured: &[Measured], write: Option<f64>) {
    let sum = |of: fn(&Measured) -> f64| measured.iter().map(of).sum::<f64>();
    let write = write.map_or("-".to_owned(), |millis| format!("{millis:.0}"));
    println!(
        "{name:<24} {indexes:>7} {:>10.0} {:>9.1} {:>9.2} {write:>9}",
        sum(|m| m.cost),
        sum(|m| m.millis),
        sum(|m| m.trigger_millis),
    );
}

/// The statements that cost more than without any index.
pub(crate) fn worse(none: &[Measured], measured: &[Measured]) {
    for (before, after) in none.iter().zip(measured) {
        if after.cost > before.cost * MARGIN + MARGIN_COST {
            println!(
                "    worse than without: {} {:.0} -> {:.0}, {:.2} -> {:.2} ms",
                after.name,
                before.cost,
                after.cost,
                whole(before),
                whole(after)
            );
        }
    }
}

/// Each statement: the verdict, what the advisor saw with its values, and what was measured with
/// ours.
pub(crate) fn statements<S: Store>(advice: &Advice, none: &[Measured], ours: &[Measured]) {
    println!(
        "\n{:<18} {:<13} {:>10} {:>10} {:>10} {:>10} {:>9} {:>9}",
        "statement",
        "verdict",
        "tried was",
        "is",
        format!("{} was", S::UNIT),
        "is",
        "ms was",
        "is"
    );
    for ((judged, before), after) in advice.statements.iter().zip(none).zip(ours) {
        let (verdict, reason) = match &judged.verdict {
            Verdict::Improved => ("improved", None),
            Verdict::AlreadyGood => ("already good", None),
            Verdict::Cannot(reason) => ("cannot", Some(reason)),
        };
        let tried = |figures: Option<speedwell_plan::Figures>| {
            figures.map_or("-".to_owned(), |figures| {
                format!("{:.1}", figures.pages + figures.trigger_pages)
            })
        };
        println!(
            "{:<18} {verdict:<13} {:>10} {:>10} {:>10.1} {:>10.1} {:>9.2} {:>9.2}",
            judged.name,
            tried(judged.before),
            tried(judged.after),
            before.cost,
            after.cost,
            whole(before),
            whole(after)
        );
        if let Some(reason) = reason {
            println!("    {reason}");
        }
    }
}

fn whole(measured: &Measured) -> f64 {
    measured.millis + measured.trigger_millis
}

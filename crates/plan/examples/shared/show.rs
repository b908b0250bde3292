//! What an advice says of itself.

use speedwell_plan::Advice;

/// Where its time went, and what it tried.
pub(crate) fn times(advice: &Advice) {
    let times = advice.times;
    let known = times.copy + times.build + times.draft + times.choose;
    println!(
        "copy {:.1} s, build {:.1} s, {} estimates {:.2} s, choose and prove {:.1} s, the price of writes and the rest {:.1} s; {} indexes tried, {} executions",
        times.copy.as_secs_f64(),
        times.build.as_secs_f64(),
        advice.estimated.map_or(0, |all| all.requests),
        times.draft.as_secs_f64(),
        times.choose.as_secs_f64(),
        times.all.saturating_sub(known).as_secs_f64(),
        advice.tried,
        advice.executed,
    );
    if let Some(all) = advice.estimated {
        let share = all.with / all.without;
        println!("chosen by estimates: {share:.3} of the cost without");
    }
}

/// The indexes with their sizes, and those that were refused.
pub(crate) fn indexes(advice: &Advice) {
    for index in &advice.indexes {
        let megabytes = index.bytes as f64 / 1e6;
        let buys: Vec<&str> = index.buys.iter().map(|b| b.statement.as_str()).collect();
        println!(
            "    {}  [{megabytes:.1} MB; {}]",
            index.definition,
            buys.join(", ")
        );
    }
    for refused in &advice.refused {
        println!("    refused: {} for {}", refused.index, refused.statement);
    }
    for needless in &advice.needless {
        println!("    needless: {}", needless.index);
    }
}

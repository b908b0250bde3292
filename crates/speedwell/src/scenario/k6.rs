//! The scenario as a k6 script.

use std::{fmt::Write as _, time::Duration};

use serde_json::Value;
use speedwell_load::{LARGEST_POOL, Think};

use super::{
    expression::{self, Words, string},
    script::{ExportError, FilePath, Script, Step},
};

const WORDS: Words = Words {
    yes: "true",
    no: "false",
    nothing: "null",
};

/// What a step is made of.
const STEPS: &str = include_str!("k6_steps.js");
/// Who takes them.
const USERS: &str = include_str!("k6_users.js");

const IMPORTS: &str = "\
import http from 'k6/http';
import exec from 'k6/execution';
import { sleep } from 'k6';
import { Counter } from 'k6/metrics';

";

/// Whole numbers above this are not all there in JavaScript.
const SAFE: u64 = 1 << 53;

/// The whole script.
///
/// # Errors
/// [`ExportError`] that names what JavaScript cannot say.
pub(super) fn write(script: &Script) -> Result<String, ExportError> {
    for step in &script.steps {
        numbers(step)?;
    }
    let mut out = heading(script);
    out.push_str(IMPORTS);
    out.push_str(&settings(script));
    out.push_str(&options(script));
    out.push_str(STEPS);
    out.push_str("\n// The scenario.\n");
    for step in &script.steps {
        out.push_str(&written(step));
    }
    out.push_str(&lists(script));
    out.push_str(&pause(script));
    out.push_str(USERS);
    Ok(out)
}

fn numbers(step: &Step) -> Result<(), ExportError> {
    match step.json.as_ref().and_then(unsafe_number) {
        Some(number) => Err(ExportError::Route {
            route: step.name.clone(),
            what: format!("the number {number} of its body has no exact value in JavaScript"),
        }),
        None => Ok(()),
    }
}

fn unsafe_number(value: &Value) -> Option<String> {
    match value {
        Value::Number(number) => {
            let whole = number.as_i64().map(i64::unsigned_abs).or(number.as_u64());
            whole
                .filter(|whole| *whole > SAFE)
                .map(|_| number.to_string())
        }
        Value::Array(items) => items.iter().find_map(unsafe_number),
        Value::Object(fields) => fields.values().find_map(unsafe_number),
        _ => None,
    }
}

fn heading(script: &Script) -> String {
    let target = match &script.target {
        Some(_) => "",
        None => "-e TARGET=http://127.0.0.1:8080 ",
    };
    let mut out = format!(
        "\
// The scenario of {service}, for k6 (https://k6.io), written by
//
//     speedwell scenario export --to k6 --config {config}
//
// Run it with
//
//     k6 run {target}script.js
//
// It brings its own number of users, ramp and duration. Variables (-e) replace them: USERS,
// RAMP_S, STEADY_S, TARGET; USERS_CSV names the file of users, WORKDIR the folder that holds what
// `{{workdir}}` stands for. A threshold that does not hold makes the exit code 99.
//
// Where this differs from `speedwell load`: no `traceparent` is sent; draws are seeded, but not the
// same; a threshold is held against the percentile itself, without its interval; whole numbers
// above 2^53 in answers lose digits, as in all JavaScript.
",
        service = one_line(&script.service),
        config = one_line(&script.config),
    );
    if script.rate.is_some() {
        out.push_str(
            "\
// Latency counts from the moment of sending: an arrival that finds no free user is dropped, and a
// threshold fails when one was. A user's setup is part of its first arrival.
",
        );
    }
    out.push('\n');
    out
}

/// A text that cannot end the comment that it stands in.
fn one_line(text: &str) -> String {
    text.replace(['\n', '\r', '\u{2028}', '\u{2029}'], " ")
}

fn settings(script: &Script) -> String {
    let seconds = |duration: Duration| duration.as_secs_f64();
    let known = |text: Option<&String>| text.map_or("''".to_owned(), |text| string(text));
    let mut out = String::new();
    let target = known(script.target.as_ref());
    let _ = writeln!(out, "const TARGET = __ENV.TARGET || {target};");
    out.push_str(
        "if (!TARGET) throw new Error('say where the service runs: k6 run -e TARGET=http://host:port');\n",
    );
    let _ = writeln!(
        out,
        "const USERS = Number(__ENV.USERS || {});",
        script.users
    );
    for (name, value) in [("RAMP_S", script.ramp), ("STEADY_S", script.steady)] {
        let value = seconds(value);
        let _ = writeln!(out, "const {name} = Number(__ENV.{name} || {value});");
    }
    let _ = writeln!(out, "const TIMEOUT_S = {};", seconds(script.timeout));
    let _ = writeln!(out, "const SEED = {};", script.seed % SAFE);
    let _ = writeln!(out, "const LARGEST_POOL = {LARGEST_POOL};");
    let version = env!("CARGO_PKG_VERSION");
    let _ = writeln!(out, "const USER_AGENT = 'speedwell-export/{version}';");
    let mut files = script.files.iter().chain(&script.rows);
    if files.any(|path| matches!(path, FilePath::InWorkdir(_))) {
        let workdir = known(script.workdir.as_ref());
        let _ = write!(
            out,
            "const WORKDIR = __ENV.WORKDIR || {workdir};\n{IN_WORKDIR}"
        );
    }
    out.push_str(&rows(script));
    out.push_str("const FILES = {\n");
    for file in &script.files {
        let _ = writeln!(
            out,
            "  {}: open({}, 'b'),",
            string(&file.key()),
            opened(file)
        );
    }
    out.push_str("};\n");
    out
}

const IN_WORKDIR: &str = "
function in_workdir(path) {
  if (!WORKDIR) throw new Error('set WORKDIR to the folder that {workdir} stands for in speedwell.toml');
  return WORKDIR + '/' + path;
}

";

fn opened(path: &FilePath) -> String {
    match path {
        FilePath::Absolute(path) => string(path),
        FilePath::InWorkdir(path) => format!("in_workdir({})", string(path)),
    }
}

const READ_ROWS: &str = r#"
/** The rows of a CSV file (RFC 4180), by the names of its first line. */
function rows_of(csv) {
  const records = [[]];
  const cell = /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r?\n|$)/gy;
  for (let found = cell.exec(csv); found !== null && cell.lastIndex <= csv.length; found = cell.exec(csv)) {
    const value = found[1] === undefined ? found[2] : found[1].replace(/""/g, '"');
    records[records.length - 1].push(value);
    if (found[3] === '' || cell.lastIndex === csv.length) break;
    if (found[3] !== ',') records.push([]);
  }
  const [names, ...lines] = records;
  const row = (line) => Object.fromEntries(names.map((name, at) => [name.trim(), line[at]]));
  return lines.filter((line) => line.length === names.length).map(row);
}

"#;

fn rows(script: &Script) -> String {
    match &script.rows {
        None => "const ROWS = [];\n".to_owned(),
        Some(path) => format!(
            "{READ_ROWS}// One row for each simulated user.\nconst ROWS = rows_of(open(__ENV.USERS_CSV || {}));\n",
            opened(path)
        ),
    }
}

fn options(script: &Script) -> String {
    let executor = match script.rate {
        None => CLOSED.to_owned(),
        Some(rate) => open(rate),
    };
    let mut out = format!(
        "\nexport const options = {{\n  scenarios: {{ load: {{{executor}    }} }},\n  summaryTrendStats: ['med', 'p(95)', 'p(99)', 'max'],\n  thresholds: {{\n"
    );
    if script.rate.is_some() {
        out.push_str("    dropped_iterations: ['count<1'],\n");
    }
    for (index, step) in script.steps.iter().enumerate() {
        let phase = match index < script.setup {
            true => "setup",
            false => "steady",
        };
        out.push_str(&thresholds(step, phase));
    }
    out.push_str("  },\n};\n");
    out
}

const CLOSED: &str = "
      executor: 'ramping-vus',
      startVUs: RAMP_S > 0 ? 0 : USERS,
      stages: [
        { duration: RAMP_S * 1000 + 'ms', target: USERS },
        { duration: STEADY_S * 1000 + 'ms', target: USERS },
      ],
      gracefulStop: '10s',
";

/// k6 takes whole rates only, so a broken one is one of a longer unit.
fn open(rate: f64) -> String {
    let (target, unit) = match rate.fract() == 0.0 {
        true => (rate, 1),
        false => ((rate * 1000.0).round(), 1000),
    };
    format!(
        "
      executor: 'ramping-arrival-rate',
      timeUnit: '{unit}s',
      startRate: RAMP_S > 0 ? 0 : {target},
      stages: [
        {{ duration: RAMP_S * 1000 + 'ms', target: {target} }},
        {{ duration: STEADY_S * 1000 + 'ms', target: {target} }},
      ],
      preAllocatedVUs: USERS,
      maxVUs: USERS,
      gracefulStop: '10s',
"
    )
}

fn thresholds(step: &Step, phase: &str) -> String {
    let (limits, mut out) = (&step.limits, String::new());
    if !limits.left_out.is_empty() {
        let _ = writeln!(
            out,
            "    // Of {}, not judged here, for k6 sees requests only: {}.",
            one_line(&step.name),
            limits.left_out.join(", ")
        );
    }
    let tags = format!("route:{},phase:{phase}", step.id);
    let percentiles: Vec<String> = [(95, limits.p95_ms), (99, limits.p99_ms)]
        .into_iter()
        .filter_map(|(part, limit)| limit.map(|limit| format!("'p({part})<={limit}'")))
        .collect();
    if !percentiles.is_empty() {
        let percentiles = percentiles.join(", ");
        let _ = writeln!(out, "    'http_req_duration{{{tags}}}': [{percentiles}],");
        let _ = writeln!(out, "    'asked{{{tags}}}': ['count>0'],");
    }
    let _ = writeln!(
        out,
        "    'failures{{{tags}}}': ['count<={}'],",
        limits.errors
    );
    out
}

fn written(step: &Step) -> String {
    let mut out = format!("\nconst {} = {{\n", step.id);
    let mut entry = |name: &str, value: &str| {
        let _ = writeln!(out, "  {name}: {value},");
    };
    entry("id", &string(&step.id));
    entry("name", &string(&step.name));
    entry("method", &string(&step.method));
    entry(
        "path",
        &format!("(user) => {}", expression::path(&step.path)),
    );
    if !step.headers.is_empty() {
        let headers = expression::headers(&step.headers);
        entry("headers", &format!("(user) => ({headers})"));
    }
    if let Some(json) = &step.json {
        let json = expression::json(json, WORDS);
        entry("body", &format!("(user) => json_body({json})"));
    }
    if let Some(form) = &step.form {
        let form = expression::form(form);
        entry("body", &format!("(user) => form_body({form})"));
    }
    if !step.expect.is_empty() {
        let statuses: Vec<String> = step.expect.iter().map(u16::to_string).collect();
        entry("expect", &format!("[{}]", statuses.join(", ")));
    }
    if !step.captures.is_empty() {
        entry("capture", &expression::captures(&step.captures));
    }
    out.push_str("};\n");
    out
}

/// Setup, and tasks with their weights.
fn lists(script: &Script) -> String {
    let setup: Vec<usize> = (0..script.setup).collect();
    let mut out = format!(
        "\n// Once for each user.\nconst SETUP = [{}];\n",
        script.ids(&setup)
    );
    out.push_str("// What a user does in one turn.\nconst TASKS = [\n");
    for task in &script.tasks {
        let _ = writeln!(out, "  [{}],", script.ids(&task.steps));
    }
    out.push_str("];\n// Values that each needs from earlier turns.\nconst NEEDS = [\n");
    for task in &script.tasks {
        let _ = writeln!(out, "  [{}],", task.needed());
    }
    let _ = writeln!(out, "];\nconst WEIGHTS = [{}];", script.weights());
    out
}

/// What a user does between two turns; the schedule of an open model leaves nothing to pause for.
fn pause(script: &Script) -> String {
    let seconds = |pause: Duration| pause.as_secs_f64();
    let body = match script.think {
        _ if script.rate.is_some() => String::new(),
        Think::None => String::new(),
        Think::Constant(pause) => format!("sleep({});", seconds(pause)),
        Think::Uniform(low, high) => {
            let (low, width) = (seconds(low), seconds(high - low));
            format!("sleep({low} + user.random() * {width});")
        }
        Think::Exponential(mean) => {
            let mean = seconds(mean);
            format!("sleep(Math.min(-Math.log(1 - user.random()) * {mean}, 10 * {mean}));")
        }
    };
    format!("\nfunction pause() {{\n  {body}\n}}\n")
}

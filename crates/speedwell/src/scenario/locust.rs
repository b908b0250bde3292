//! The scenario as a `locustfile.py`.

use std::{fmt::Write as _, time::Duration};

use speedwell_load::{LARGEST_POOL, Think};

use super::{
    expression::{self, Words, string},
    script::{FilePath, Script, Step},
};

const WORDS: Words = Words {
    yes: "True",
    no: "False",
    nothing: "None",
};

/// What a step is made of.
const STEPS: &str = include_str!("locust_steps.py");
/// Who takes them.
const USERS: &str = include_str!("locust_users.py");
const CLOSED: &str = include_str!("locust_closed.py");
const OPEN: &str = include_str!("locust_open.py");

const IMPORTS: &str = "\
import collections
import csv
import http.cookiejar
import itertools
import json
import logging
import math
import os
import random
import sys
import time
import urllib.parse
import uuid

import gevent
import gevent.event
import gevent.lock
from locust import LoadTestShape, between, constant, events, task
from locust.contrib.fasthttp import FastHttpUser
from locust.exception import StopUser
from locust.runners import MasterRunner, WorkerRunner

";

/// The whole file.
pub(super) fn write(script: &Script) -> String {
    let mut out = heading(script);
    out.push_str(IMPORTS);
    out.push_str(&settings(script));
    out.push_str(STEPS);
    out.push_str("\n\n# The scenario.\n");
    for step in &script.steps {
        out.push_str(&written(step));
    }
    out.push_str(&lists(script));
    out.push_str(USERS);
    match script.rate {
        Some(_) => out.push_str(OPEN),
        None => {
            out.push_str(&visitors(script));
            out.push_str(CLOSED);
        }
    }
    out
}

fn heading(script: &Script) -> String {
    let host = match &script.target {
        Some(_) => "",
        None => " --host http://127.0.0.1:8080",
    };
    format!(
        r#""""The scenario of {service}, for Locust (https://locust.io), written by

    speedwell scenario export --to locust --config {config}

Run it with

    locust -f locustfile.py --headless{host}

It brings its own number of users, ramp and duration. Environment variables replace them: USERS,
RAMP_S, STEADY_S, TARGET; USERS_CSV names the file of users, WORKDIR the folder that holds what
`{{workdir}}` stands for. The exit code is 1 when a budget does not hold.

Where this differs from `speedwell load`: no `traceparent` is sent; draws are seeded, but not the
same; a budget is held against the percentile itself, without its interval. Locust needs some ten
times the processor time for a request, and shows percentiles with two digits: the last lines
that this script prints are not rounded.
"""

"#,
        service = one_line(&script.service),
        config = one_line(&script.config),
    )
}

/// A text that cannot end the comment that it stands in.
fn one_line(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
        .replace('\\', "/")
        .replace("\"\"\"", "'''")
}

fn settings(script: &Script) -> String {
    let seconds = |duration: Duration| duration.as_secs_f64();
    let known = |text: Option<&String>| text.map_or("None".to_owned(), |text| string(text));
    let mut out = String::new();
    let _ = writeln!(out, "TARGET = {}", known(script.target.as_ref()));
    let _ = writeln!(
        out,
        "USERS = int(os.environ.get(\"USERS\", \"{}\"))",
        script.users
    );
    if let Some(rate) = script.rate {
        let _ = writeln!(out, "RATE = {rate}  # tasks begun in a second");
    }
    for (name, value) in [("RAMP_S", script.ramp), ("STEADY_S", script.steady)] {
        let value = seconds(value);
        let _ = writeln!(
            out,
            "{name} = float(os.environ.get(\"{name}\", \"{value}\"))"
        );
    }
    let _ = writeln!(out, "TIMEOUT_S = {}", seconds(script.timeout));
    let _ = writeln!(out, "SEED = {}", script.seed);
    let _ = writeln!(out, "LARGEST_POOL = {LARGEST_POOL}");
    let _ = writeln!(
        out,
        "USER_AGENT = \"speedwell-export/{}\"",
        env!("CARGO_PKG_VERSION")
    );
    let apart = match script.tells_users_apart() {
        true => "True",
        false => "False",
    };
    let _ = writeln!(out, "TELLS_USERS_APART = {apart}");
    let in_workdir = |path: &&FilePath| matches!(path, FilePath::InWorkdir(_));
    if script
        .files
        .iter()
        .chain(&script.rows)
        .any(|path| in_workdir(&path))
    {
        let workdir = known(script.workdir.as_ref());
        let _ = write!(
            out,
            "WORKDIR = os.environ.get(\"WORKDIR\", {workdir})\n\n\n{IN_WORKDIR}"
        );
    }
    out.push_str(&rows(script));
    out.push_str(&files(script));
    out
}

const IN_WORKDIR: &str = r#"def in_workdir(path):
    if WORKDIR is None:
        sys.exit("set WORKDIR to the folder that {workdir} stands for in speedwell.toml")
    return os.path.join(WORKDIR, path)
"#;

fn opened(path: &FilePath) -> String {
    match path {
        FilePath::Absolute(path) => string(path),
        FilePath::InWorkdir(path) => format!("in_workdir({})", string(path)),
    }
}

fn rows(script: &Script) -> String {
    let Some(path) = &script.rows else {
        return "ROWS = []\n".to_owned();
    };
    format!(
        r#"

def read_rows(path):
    """One row for each simulated user."""
    with open(path, newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file)
        rows.fieldnames = [name.strip() for name in rows.fieldnames or []]
        return list(rows) or sys.exit(f"{{path}} has no rows")


ROWS = read_rows(os.environ.get("USERS_CSV") or {})
"#,
        opened(path)
    )
}

fn files(script: &Script) -> String {
    if !script.has_forms() {
        return "FILES = {}\n".to_owned();
    }
    let mut out = String::from(
        "\n\ndef read(path):\n    with open(path, \"rb\") as file:\n        return file.read()\n\n\nFILES = {\n",
    );
    for file in &script.files {
        let _ = writeln!(out, "    {}: read({}),", string(&file.key()), opened(file));
    }
    out.push_str("}\n");
    out
}

fn written(step: &Step) -> String {
    let mut out = format!("\n{} = Step(\n", step.id);
    let mut argument = |name: &str, value: &str| {
        let _ = writeln!(out, "    {name}={value},");
    };
    argument("name", &string(&step.name));
    argument("method", &string(&step.method));
    argument(
        "path",
        &format!("lambda user: {}", expression::path(&step.path)),
    );
    if !step.headers.is_empty() {
        let headers = expression::headers(&step.headers);
        argument("headers", &format!("lambda user: {headers}"));
    }
    if let Some(json) = &step.json {
        let json = expression::json(json, WORDS);
        argument("body", &format!("lambda user: json_body({json})"));
    }
    if let Some(form) = &step.form {
        let form = expression::form(form);
        argument("body", &format!("lambda user: form_body({form})"));
    }
    if !step.expect.is_empty() {
        let statuses: Vec<String> = step.expect.iter().map(u16::to_string).collect();
        argument("expect", &format!("({},)", statuses.join(", ")));
    }
    if !step.captures.is_empty() {
        argument("capture", &expression::captures(&step.captures));
    }
    out.push_str(")\n");
    out
}

/// Setup, tasks with their weights, and budgets.
fn lists(script: &Script) -> String {
    let setup: Vec<usize> = (0..script.setup).collect();
    let mut out = format!(
        "\n# Once for each user.\nSETUP = [{}]\n",
        script.ids(&setup)
    );
    out.push_str("# What a user does in one turn.\nTASKS = [\n");
    for task in &script.tasks {
        let _ = writeln!(out, "    [{}],", script.ids(&task.steps));
    }
    out.push_str("]\n# Values that each needs from earlier turns.\nNEEDS = [\n");
    for task in &script.tasks {
        let _ = writeln!(out, "    [{}],", task.needed());
    }
    let _ = writeln!(out, "]\nWEIGHTS = [{}]", script.weights());
    out.push_str("BUDGETS = {\n");
    for step in &script.steps {
        out.push_str(&limits(step));
    }
    out.push_str("}\n");
    out
}

fn limits(step: &Step) -> String {
    let limits = &step.limits;
    let mut out = String::new();
    if !limits.left_out.is_empty() {
        let _ = writeln!(
            out,
            "    # Not judged here, for Locust sees requests only: {}.",
            limits.left_out.join(", ")
        );
    }
    let percentiles = [("p95_ms", limits.p95_ms), ("p99_ms", limits.p99_ms)];
    let percentiles: String = percentiles
        .into_iter()
        .filter_map(|(name, limit)| limit.map(|limit| format!("\"{name}\": {limit}, ")))
        .collect();
    let _ = writeln!(
        out,
        "    {}: {{{percentiles}\"errors\": {}}},",
        string(&step.name),
        limits.errors
    );
    out
}

/// The users of a closed model: one task of Locust's for each of the scenario's.
fn visitors(script: &Script) -> String {
    let mut out = format!(
        "\n\nclass Person(Visitor):\n    \"\"\"Takes its turns with a pause between them.\"\"\"\n\n{}\n",
        pause(script.think)
    );
    for (index, task) in script.tasks.iter().enumerate() {
        let _ = write!(
            out,
            "\n    @task({})\n    def turn_{index}(self):  # {}\n        self.run_task({index})\n",
            task.weight,
            one_line(&task.name)
        );
    }
    out
}

fn pause(think: Think) -> String {
    let seconds = |pause: Duration| pause.as_secs_f64();
    match think {
        Think::None => "    wait_time = constant(0)".to_owned(),
        Think::Constant(pause) => format!("    wait_time = constant({})", seconds(pause)),
        Think::Uniform(low, high) => {
            format!(
                "    wait_time = between({}, {})",
                seconds(low),
                seconds(high)
            )
        }
        Think::Exponential(mean) => {
            let mean = seconds(mean);
            format!(
                "    def wait_time(self):\n        return min(random.expovariate(1 / {mean}), 10 * {mean})"
            )
        }
    }
}

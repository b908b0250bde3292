//! The skeleton as text: one route for each operation, and what only a person can know marked.

use std::{collections::BTreeSet, fmt::Write as _};

use serde_json::Value;

use super::{
    captures::{self, pool_name},
    document::{Document, Operation, is_json},
    inline,
    login::{self, Login},
    sample::{Unknowns, required, sample},
};

/// Names by which operations take the size of a page.
const PAGE_SIZES: [&str; 4] = ["limit", "page_size", "per_page", "pageSize"];

/// The whole file. `source` is where the document comes from.
pub(super) fn write(document: &Document, source: &str) -> String {
    let operations = document.operations();
    let mut writer = Writer {
        document,
        login: login::find(document, &operations),
        pools: captures::pools(document, &operations),
        all_names: operations
            .iter()
            .map(|operation| operation.name.trim().to_owned())
            .collect(),
        names: BTreeSet::new(),
        columns: BTreeSet::new(),
        unknown: Vec::new(),
        open: Vec::new(),
    };
    let routes: Vec<Route> = ordered(&operations, &writer)
        .into_iter()
        .map(|index| writer.route(index, &operations[index]))
        .collect();
    writer.file(source, &operations, &routes)
}

/// Places of the operations: those that answer pools first, for they feed the others.
fn ordered(operations: &[Operation<'_>], writer: &Writer<'_>) -> Vec<usize> {
    let mut order: Vec<usize> = (0..operations.len()).collect();
    let feeds = |index: &usize| writer.pools.values().any(|pool| pool.operation == *index);
    order.sort_by_key(|index| !feeds(index));
    order
}

struct Writer<'a> {
    document: &'a Document,
    login: Option<Login>,
    pools: std::collections::BTreeMap<String, captures::Pool>,
    /// What the operations are called, with repetitions.
    all_names: Vec<String>,
    /// Names that are taken.
    names: BTreeSet<String>,
    /// Columns that the users' file must have.
    columns: BTreeSet<String>,
    /// All that is not known, a line each, in the order of the file.
    unknown: Vec<String>,
    /// What is not known of the route being written.
    open: Vec<String>,
}

/// A route as text.
struct Route {
    is_setup: bool,
    text: String,
}

impl Unknowns for Writer<'_> {
    fn id(&mut self, name: &str) -> String {
        let pool = pool_name("", name);
        self.id_of(&pool, &format!("`{name}`"))
    }

    fn note(&mut self, what: String) {
        self.open.push(what);
    }
}

impl Writer<'_> {
    /// The expression for an id: one of a captured pool, or a column that somebody must fill.
    fn id_of(&mut self, pool: &str, place: &str) -> String {
        if self.pools.contains_key(pool) {
            return format!("${{pick {pool}}}");
        }
        let column = match pool.ends_with("id") {
            true => pool.to_owned(),
            false => format!("{pool}_id"),
        };
        self.open.push(format!("id of a {pool} ({place})"));
        self.columns.insert(column.clone());
        format!("${{row.{column}}}")
    }

    fn route(&mut self, index: usize, operation: &Operation<'_>) -> Route {
        self.open.clear();
        let is_setup = self
            .login
            .as_ref()
            .is_some_and(|login| login.operation == index);
        let name = self.name(operation);
        let (path, page_size) = self.path(operation);
        let mut lines = vec![
            format!("name = {}", inline::string(&name)),
            format!("{} = {}", operation.method, inline::string(&path)),
        ];
        let refused = self.body(operation, is_setup, &mut lines);
        self.headers(operation, &mut lines);
        if page_size {
            lines.push("page_sizes = [10, 50]".to_owned());
        }
        if let Some(captures) = self.captures(index, is_setup) {
            lines.push(captures);
        }
        if let Some(expect) = expect(&operation.success) {
            lines.push(expect);
        }
        let reason = match operation.method {
            "delete" => Some("it deletes, so it is left out until you say what may go".to_owned()),
            _ => refused,
        };
        Route {
            is_setup,
            text: self.written(&name, is_setup, &lines, reason.as_deref()),
        }
    }

    /// The lines of a route; one that cannot be used as it is stands there as a comment.
    fn written(
        &mut self,
        name: &str,
        is_setup: bool,
        lines: &[String],
        left_out: Option<&str>,
    ) -> String {
        let mut out = String::new();
        for what in &self.open {
            let _ = writeln!(out, "# unknown: {what}");
        }
        let kind = if is_setup { "setup" } else { "route" };
        let comment = match left_out {
            Some(reason) => {
                let _ = writeln!(out, "# left out: {reason}");
                self.unknown.push(format!("{name}: left out; {reason}"));
                "# "
            }
            None => {
                let open = self.open.drain(..);
                self.unknown
                    .extend(open.map(|what| format!("{name}: {what}")));
                ""
            }
        };
        let _ = writeln!(out, "{comment}[[{kind}]]");
        for line in lines {
            let _ = writeln!(out, "{comment}{line}");
        }
        out
    }

    /// The operation's own name, or what it does where others have the same.
    fn name(&mut self, operation: &Operation<'_>) -> String {
        let name = operation.name.trim();
        let others = self.all_names.iter().filter(|other| *other == name);
        let name = match others.count() > 1 {
            true => format!("{} {}", operation.method.to_uppercase(), operation.path),
            false => name.to_owned(),
        };
        let mut unique = name.clone();
        let mut number = 2;
        while !self.names.insert(unique.clone()) {
            unique = format!("{name} {number}");
            number += 1;
        }
        unique
    }

    /// Path and query, and whether it has pages.
    fn path(&mut self, operation: &Operation<'_>) -> (String, bool) {
        let mut path = operation.path.replace('$', "$$");
        for (before, parameter) in captures::parameters(&operation.path) {
            let value = self.in_path(operation, &before, &parameter);
            path = path.replacen(&format!("{{{parameter}}}"), &value, 1);
        }
        let mut query = Vec::new();
        let mut pages = false;
        for parameter in operation
            .parameters
            .iter()
            .filter(|each| each["in"] == "query")
        {
            let name = parameter["name"].as_str().unwrap_or_default();
            if PAGE_SIZES.contains(&name) {
                query.push(format!("{name}=${{page_size}}"));
                pages = true;
            } else if parameter["required"] == true {
                let value = self.parameter(parameter);
                query.push(format!("{name}={}", in_query(&value)));
            }
        }
        if !query.is_empty() {
            path.push('?');
            path.push_str(&query.join("&"));
        }
        (path, pages)
    }

    fn in_path(&mut self, operation: &Operation<'_>, before: &str, name: &str) -> String {
        let described = operation
            .parameters
            .iter()
            .find(|each| each["in"] == "path" && each["name"] == name);
        // A choice is known; an example of an id is one of somebody else's data.
        let choice = described.map(|each| self.document.followed(&each["schema"]));
        if let Some(first) = choice.and_then(|schema| schema["enum"][0].as_str()) {
            return first.to_owned();
        }
        self.id_of(
            &pool_name(before, name),
            &format!("`{{{name}}}` in the path"),
        )
    }

    fn parameter(&mut self, parameter: &Value) -> String {
        let name = parameter["name"].as_str().unwrap_or_default();
        let value = match parameter.get("example") {
            Some(example) => example.clone(),
            None => sample(self.document, name, &parameter["schema"], self),
        };
        match value {
            Value::String(text) => text,
            Value::Array(items) => items
                .iter()
                .map(|item| {
                    item.as_str()
                        .map_or_else(|| item.to_string(), str::to_owned)
                })
                .collect::<Vec<_>>()
                .join(","),
            other => other.to_string(),
        }
    }

    /// Adds the body; says why the route cannot be used when there is one that cannot be made.
    fn body(
        &mut self,
        operation: &Operation<'_>,
        is_setup: bool,
        lines: &mut Vec<String>,
    ) -> Option<String> {
        let (kind, media) = operation.body?;
        if kind.starts_with("multipart/form-data") {
            return self.form(media, lines);
        }
        if !is_json(kind) {
            return Some(format!("a body of type `{kind}` cannot be sent"));
        }
        let example = media.get("example").filter(|example| !example.is_null());
        let mut body = match example {
            Some(example) if !is_setup => example.clone(),
            _ => sample(self.document, "body", &media["schema"], self),
        };
        if is_setup {
            self.credentials(&mut body);
        }
        lines.push(format!("json = {}", inline::value(&body)?));
        None
    }

    /// Users log in with what the users' file says of them.
    fn credentials(&mut self, body: &mut Value) {
        for (name, value) in body.as_object_mut().into_iter().flatten() {
            let lower = name.to_lowercase();
            if ["email", "user", "name", "login", "password", "secret"]
                .iter()
                .any(|word| lower.contains(word))
            {
                *value = Value::from(format!("${{row.{lower}}}"));
                self.columns.insert(lower);
            }
        }
    }

    fn form(&mut self, media: &Value, lines: &mut Vec<String>) -> Option<String> {
        let schema = self.document.followed(&media["schema"]);
        let required = required(self.document, schema);
        let mut fields = Vec::new();
        let mut files = Vec::new();
        for (name, property) in self.document.properties(schema) {
            let of_list = self.document.followed(&property["items"]);
            let is_file = [property, of_list]
                .iter()
                .any(|each| each["format"] == "binary" || each["contentMediaType"].is_string());
            if is_file {
                files.push(name.to_owned());
                fields.push(format!(
                    "{} = {{ file = \"path/to/{name}\" }}",
                    inline::key(name)
                ));
            } else if required.contains(&name) {
                let value = sample(self.document, name, property, self);
                fields
                    .extend(inline::value(&value).map(|v| format!("{} = {v}", inline::key(name))));
            }
        }
        lines.push(format!("multipart = {{ {} }}", fields.join(", ")));
        (!files.is_empty()).then(|| format!("it uploads files; name them: {}", files.join(", ")))
    }

    fn headers(&mut self, operation: &Operation<'_>, lines: &mut Vec<String>) {
        let mut headers = Vec::new();
        for parameter in operation
            .parameters
            .iter()
            .filter(|each| each["in"] == "header")
        {
            let name = parameter["name"].as_str().unwrap_or_default();
            if parameter["required"] == true && !name.eq_ignore_ascii_case("authorization") {
                let value = self.parameter(parameter);
                headers.push(format!(
                    "{} = {}",
                    inline::key(name),
                    inline::string(&value)
                ));
            }
        }
        if let Some(scheme) = operation.scheme {
            match (scheme["type"].as_str(), scheme["in"].as_str()) {
                (Some("apiKey"), Some("header")) => {
                    let name = scheme["name"].as_str().unwrap_or("x-api-key");
                    self.open.push(format!("the key for the header `{name}`"));
                    self.columns.insert("api_key".to_owned());
                    headers.push(format!("{} = \"${{row.api_key}}\"", inline::key(name)));
                }
                (Some("apiKey"), place) => {
                    let place = place.unwrap_or("nowhere");
                    self.open
                        .push(format!("a key in the {place}, which must be added"));
                }
                (Some("http"), _) if scheme["scheme"] == "basic" => {
                    self.open.push("user and password, as base64".to_owned());
                    self.columns.insert("basic".to_owned());
                    headers.push("authorization = \"Basic ${row.basic}\"".to_owned());
                }
                _ => lines.push(self.bearer()),
            }
        }
        if !headers.is_empty() {
            lines.push(format!("headers = {{ {} }}", headers.join(", ")));
        }
    }

    fn bearer(&mut self) -> String {
        if self.login.is_some() {
            return "bearer = \"${token}\"".to_owned();
        }
        if self.columns.insert("token".to_owned()) {
            let what = "how a user gets a token; here each has one in the users' file";
            self.open.push(what.to_owned());
        }
        "bearer = \"${row.token}\"".to_owned()
    }

    fn captures(&self, index: usize, is_setup: bool) -> Option<String> {
        let of_pools = self.pools.values().filter(|pool| pool.operation == index);
        let mut captures: Vec<String> = of_pools
            .map(|pool| {
                format!(
                    "{} = {}",
                    inline::key(&pool.name),
                    inline::string(&pool.path)
                )
            })
            .collect();
        if let Some(login) = self.login.as_ref().filter(|_| is_setup) {
            captures.push(format!("token = {}", inline::string(&login.token)));
        }
        (!captures.is_empty()).then(|| format!("capture = {{ {} }}", captures.join(", ")))
    }

    fn file(&self, source: &str, operations: &[Operation<'_>], routes: &[Route]) -> String {
        let title = self.document.title();
        let mut out = format!(
            "# A skeleton, written by `speedwell load init` from {}.\n# Load a running service with it: speedwell load --target http://host:port\n",
            one_line(source)
        );
        out.push_str("# Routes that write are in it: load scratch data.\n");
        if self.unknown.is_empty() {
            out.push_str("# Nothing in it was unknown; read it all the same.\n");
        } else {
            out.push_str("#\n# What an OpenAPI document does not say, and you must:\n");
            for what in &self.unknown {
                let _ = writeln!(out, "# - {}", one_line(what));
            }
        }
        let _ = write!(out, "\n[service]\nname = {}\n", inline::string(title));
        let ready = operations.iter().find(|operation| {
            let path = operation.path.as_str();
            operation.method == "get" && ["/ready", "/health", "/healthz"].contains(&path)
        });
        match ready {
            Some(ready) => {
                let _ = writeln!(out, "ready = {}", inline::string(&ready.path));
            }
            None => out.push_str("# ready = \"/ready\"                    # unknown: a path that answers 2xx once the service is up\n"),
        }
        out.push_str("# command = \"…\"                      # unknown: what starts the service; not needed with --target\n");
        out.push_str("# database = \"sqlite:{workdir}/a.db\"   # unknown: its database; not needed with --target\n");
        if !self.columns.is_empty() {
            let columns: Vec<&str> = self.columns.iter().map(String::as_str).collect();
            let _ = write!(
                out,
                "\n[data]\n# One line for each simulated user, below this one: {}\nusers = \"users.csv\"\n",
                columns.join(",")
            );
        }
        out.push_str("\n[budget]\np95_ms = 200                          # unknown: what was promised\nerrors = 0\n");
        out.push_str("\n[load]\nusers = 10\nthink = \"1s..3s\"\nramp_s = 10\nsteady_s = 60\n");
        // The login stands before those that need its token.
        for setup in [true, false] {
            for route in routes.iter().filter(|route| route.is_setup == setup) {
                let _ = write!(out, "\n{}", route.text);
            }
        }
        out
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A value in a query; places to fill stay as they are.
fn in_query(value: &str) -> String {
    let mut out = String::new();
    let mut rest = value;
    while let Some(at) = rest.find("${") {
        let end = rest[at..].find('}').map_or(rest.len(), |end| at + end + 1);
        encode(&rest[..at], &mut out);
        out.push_str(&rest[at..end]);
        rest = &rest[end..];
    }
    encode(rest, &mut out);
    out
}

fn encode(text: &str, out: &mut String) {
    for byte in text.bytes() {
        match byte {
            byte if byte.is_ascii_alphanumeric() || b"-._~,$".contains(&byte) => {
                out.push(char::from(byte));
            }
            byte => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
}

/// Nothing when every 2xx is right anyway.
fn expect(success: &[u16]) -> Option<String> {
    match success {
        [] | [200] => None,
        [one] => Some(format!("expect = {one}")),
        several => {
            let several: Vec<String> = several.iter().map(u16::to_string).collect();
            Some(format!("expect = [{}]", several.join(", ")))
        }
    }
}

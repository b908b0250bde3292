//! From the file to what an audit needs: defaults filled in, names resolved, everything checked.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    Audited, ConfigError, Data, Load, RouteSpec, Service, TaskSpec, Use,
    file::{self, DataSection, File, LoadSection, ServiceSection},
};

/// Requests wait this long for an answer unless `[load] timeout_s` says otherwise; k6's and
/// Locust's users are used to 60 s, but a request that takes 30 s has failed any budget.
const TIMEOUT_S: f64 = 30.0;
/// A hundred logins with a slow password hash, eight at a time, take some 10 s; a setup that needs
/// longer than this is not going to end.
const SETUP_S: f64 = 120.0;
/// Any number would do.
const SEED: u64 = 7;
/// A service may need this long from its start to its first answer.
const READY_TIMEOUT_S: f64 = 60.0;

/// Reads `path` and the files of the services that it lists.
pub(crate) fn load(path: &Path, wanted: Use) -> Result<Vec<Audited>, ConfigError> {
    let name = path.display().to_string();
    let (text, file) = read(path)?;
    if file.services.is_empty() {
        return Ok(vec![
            Resolver {
                name,
                text: &text,
                path,
                wanted,
            }
            .audited(file)?,
        ]);
    }
    if file.service.is_some() {
        return Err(ConfigError::Wrong {
            path: name,
            message: "has both `services` and `[service]`; keep one of them".to_owned(),
        });
    }
    let folder = folder_of(path);
    let mut all = Vec::new();
    for listed in &file.services {
        let path = folder.join(listed);
        let (text, file) = read(&path)?;
        let name = path.display().to_string();
        if !file.services.is_empty() {
            let message =
                "is listed by another file and lists services itself; list them all in one"
                    .to_owned();
            return Err(ConfigError::Wrong {
                path: name,
                message,
            });
        }
        all.push(
            Resolver {
                name,
                text: &text,
                path: &path,
                wanted,
            }
            .audited(file)?,
        );
    }
    Ok(all)
}

/// Reads the text of one service's file, as if it stood at `path`.
pub(crate) fn read_text(path: &Path, text: &str, wanted: Use) -> Result<Audited, ConfigError> {
    let name = path.display().to_string();
    let file = file::parse(&name, text)?;
    Resolver {
        name,
        text,
        path,
        wanted,
    }
    .audited(file)
}

fn read(path: &Path) -> Result<(String, File), ConfigError> {
    let name = path.display().to_string();
    let text = fs::read_to_string(path).map_err(|error| ConfigError::Unreadable {
        path: name.clone(),
        reason: error.to_string(),
        hint: "name the file with --config".to_owned(),
    })?;
    let file = file::parse(&name, &text)?;
    Ok((text, file))
}

/// Where the paths in a file are counted from.
pub(super) fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// One file being resolved.
pub(super) struct Resolver<'a> {
    name: String,
    text: &'a str,
    pub(super) path: &'a Path,
    wanted: Use,
}

impl Resolver<'_> {
    fn audited(&self, file: File) -> Result<Audited, ConfigError> {
        self.check_weights(&file)?;
        let service = file.service.ok_or_else(|| {
            self.wrong("has neither `[service]` nor `services`; one of them says what to audit")
        })?;
        // A setup runs once per user: the general limits on latency would need more samples than
        // most loads have users. One of its own is judged.
        let of_setup = super::BudgetSpec {
            p95_ms: None,
            p99_ms: None,
            ..file.budget.clone()
        };
        let load = self.load(file.load)?;
        let setup = self.routes(file.setup, &of_setup, load.seed)?;
        let routes = self.routes(file.route, &file.budget, load.seed)?;
        if routes.is_empty() {
            return Err(self.wrong("has no `[[route]]`; there is nothing to audit"));
        }
        self.check_names(&setup, &routes)?;
        let tasks = self.tasks(file.task, &routes)?;
        Ok(Audited {
            file: self.name.clone(),
            service: self.service(service)?,
            data: self.data(file.data)?,
            load,
            setup,
            routes,
            tasks,
        })
    }

    fn service(&self, section: ServiceSection) -> Result<Service, ConfigError> {
        let folder = folder_of(self.path);
        let directory = match &section.directory {
            Some(directory) => folder.join(directory),
            None => folder,
        };
        if !directory.is_dir() {
            return Err(self.wrong(&format!(
                "`[service] directory` is `{}`, which is not a folder",
                directory.display()
            )));
        }
        let command = self.to_start("command", "it starts the service", section.command)?;
        let ready = self.to_start(
            "ready",
            "it is the path that answers 2xx once the service takes requests",
            section.ready,
        )?;
        if !(ready.starts_with('/') || ready.is_empty()) {
            return Err(self.wrong("`[service] ready` must be a path that begins with `/`"));
        }
        Ok(Service {
            name: section.name,
            directory,
            build: section.build,
            command,
            ready,
            ready_timeout: self.seconds(
                "ready_timeout_s",
                section.ready_timeout_s,
                READY_TIMEOUT_S,
            )?,
            listen: section.listen,
            database: self.to_start(
                "database",
                "it is `sqlite:path` or `postgres://user@host/name`",
                section.database,
            )?,
            env: section.env,
        })
    }

    /// A value without which the service cannot be started.
    fn to_start(
        &self,
        key: &str,
        what: &str,
        value: Option<String>,
    ) -> Result<String, ConfigError> {
        let value = value.unwrap_or_default();
        match (value.trim().is_empty(), self.wanted) {
            (true, Use::Start) => Err(self.wrong(&format!(
                "`[service]` has no `{key}`; {what}. Only `speedwell load --target` and `speedwell scenario` do without"
            ))),
            _ => Ok(value),
        }
    }

    fn data(&self, section: DataSection) -> Result<Data, ConfigError> {
        let mut scales = section.scales;
        scales.sort_unstable();
        scales.dedup();
        if scales.first() == Some(&0) {
            return Err(
                self.wrong("`[data] scales` holds 0; a scale is a number of rows, at least 1")
            );
        }
        if scales.is_empty() {
            scales.push(1);
        }
        Ok(Data {
            prepare: section.prepare,
            scales,
            users: section.users,
        })
    }

    fn load(&self, section: LoadSection) -> Result<Load, ConfigError> {
        let think = section.think.as_deref().unwrap_or("1s..3s");
        let think = think
            .parse()
            .map_err(|error| self.wrong(&format!("`[load] think = \"{think}\"`: {error}")))?;
        let users = section.users.unwrap_or(10);
        if users == 0 {
            return Err(self.wrong("`[load] users` is 0; at least one user is needed"));
        }
        if section
            .rate
            .is_some_and(|rate| !(rate.is_finite() && rate > 0.0))
        {
            return Err(self.wrong("`[load] rate` must be a number of iterations a second above 0"));
        }
        Ok(Load {
            users,
            rate: section.rate,
            think,
            ramp: self.seconds("ramp_s", section.ramp_s, 10.0)?,
            steady: self.above_zero("steady_s", section.steady_s, 60.0)?,
            timeout: self.above_zero("timeout_s", section.timeout_s, TIMEOUT_S)?,
            setup: self.above_zero("setup_s", section.setup_s, SETUP_S)?,
            seed: section.seed.unwrap_or(SEED),
        })
    }

    fn above_zero(
        &self,
        key: &str,
        value: Option<f64>,
        default: f64,
    ) -> Result<Duration, ConfigError> {
        let duration = self.seconds(key, value, default)?;
        if duration.is_zero() {
            return Err(self.wrong(&format!("`{key}` is 0; it must be above")));
        }
        Ok(duration)
    }

    fn seconds(
        &self,
        key: &str,
        value: Option<f64>,
        default: f64,
    ) -> Result<Duration, ConfigError> {
        let value = value.unwrap_or(default);
        Duration::try_from_secs_f64(value)
            .map_err(|_| self.wrong(&format!("`{key} = {value}` is not a number of seconds")))
    }

    fn check_names(&self, setup: &[RouteSpec], routes: &[RouteSpec]) -> Result<(), ConfigError> {
        let mut seen = BTreeSet::new();
        for route in setup.iter().chain(routes) {
            if !seen.insert(route.name.as_str()) {
                return Err(self.wrong(&format!("two routes are named `{}`", route.name)));
            }
        }
        Ok(())
    }

    /// Who draws a route is said in one place: by its weight, or by tasks.
    fn check_weights(&self, file: &File) -> Result<(), ConfigError> {
        let weighted = |routes: &[file::RouteSection]| {
            let first = routes.iter().find(|route| route.weight.is_some());
            first.map(|route| (route.name.span().start, route.name.get_ref().clone()))
        };
        if let Some((at, name)) = weighted(&file.setup) {
            return Err(self.invalid(
                at,
                &format!("setup `{name}` has a `weight`; a setup runs once for each user"),
            ));
        }
        match weighted(&file.route) {
            Some((at, name)) if !file.task.is_empty() => Err(self.invalid(
                at,
                &format!(
                    "route `{name}` has a `weight` and the file has tasks; give the weight to the `[[task]]` that asks for it"
                ),
            )),
            _ => Ok(()),
        }
    }

    fn tasks(
        &self,
        sections: Vec<file::TaskSection>,
        routes: &[RouteSpec],
    ) -> Result<Vec<TaskSpec>, ConfigError> {
        let mut tasks = Vec::new();
        for section in sections {
            let at = section.routes.span().start;
            let names = section.routes.into_inner();
            for name in &names {
                if !routes.iter().any(|route| route.name == *name) {
                    let known = routes.iter().map(|route| route.name.as_str());
                    let hint = file::nearest(name, known)
                        .map(|near| format!("; did you mean `{near}`?"))
                        .unwrap_or_default();
                    return Err(self.invalid(at, &format!("no route is named `{name}`{hint}")));
                }
            }
            if names.is_empty() || section.weight == Some(0) {
                return Err(
                    self.invalid(at, "a task needs at least one route and a weight above 0")
                );
            }
            tasks.push(TaskSpec {
                weight: section.weight.unwrap_or(1),
                routes: names,
            });
        }
        if tasks.is_empty() {
            // Without tasks every route is one, so that each budget is exercised.
            tasks = routes
                .iter()
                .map(|route| TaskSpec {
                    weight: route.weight,
                    routes: vec![route.name.clone()],
                })
                .collect();
        }
        Ok(tasks)
    }

    fn wrong(&self, message: &str) -> ConfigError {
        ConfigError::Wrong {
            path: self.name.clone(),
            message: message.to_owned(),
        }
    }

    pub(super) fn invalid(&self, offset: usize, message: &str) -> ConfigError {
        ConfigError::Invalid {
            path: self.name.clone(),
            line: file::line_of(self.text, offset),
            message: message.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = r#"
[service]
name = "shop"
command = "shop serve"
ready = "/ready"
database = "sqlite:{workdir}/shop.db"

[budget]
p95_ms = 200
errors = 0

[[route]]
name = "items"
get = "/items?limit=${page_size}"
page_sizes = [50, 10]
budget = { p95_ms = 100, source = "paper 1" }
"#;

    fn resolve(text: &str) -> Result<Audited, ConfigError> {
        let file = file::parse("speedwell.toml", text)?;
        let path = Path::new("speedwell.toml");
        Resolver {
            name: "speedwell.toml".to_owned(),
            text,
            path,
            wanted: Use::Start,
        }
        .audited(file)
    }

    fn message(text: &str) -> String {
        resolve(text).unwrap_err().to_string()
    }

    #[test]
    fn a_route_takes_from_the_default_budget_what_it_leaves_open() {
        let audited = resolve(SMALL).unwrap();
        let budget = &audited.routes[0].budget;
        assert_eq!((budget.p95_ms, budget.errors), (Some(100.0), Some(0)));
        assert_eq!(audited.routes[0].page_sizes, [10, 50]);
        assert_eq!(audited.tasks[0].routes, ["items"]);
    }

    #[test]
    fn an_unknown_key_names_its_line_and_the_nearest_known_key() {
        let text = SMALL.replace("page_sizes", "page_size");
        assert_eq!(
            message(&text),
            "`speedwell.toml`, line 15: unknown key `page_size`; did you mean `page_sizes`?"
        );
    }

    #[test]
    fn a_budget_without_a_request_is_refused() {
        let text = SMALL.replace("get = \"/items?limit=${page_size}\"\n", "");
        assert_eq!(
            message(&text),
            "`speedwell.toml`, line 13: route `items` has a budget but no request; add get, post, put, patch or delete = \"/path\""
        );
    }

    #[test]
    fn a_task_of_an_unknown_route_is_refused() {
        let text = format!("{SMALL}\n[[task]]\nroutes = [\"item\"]\n");
        assert_eq!(
            message(&text),
            "`speedwell.toml`, line 19: no route is named `item`; did you mean `items`?"
        );
    }

    #[test]
    fn a_form_that_cannot_be_sent_is_refused_with_its_line() {
        let form = |more: &str| {
            message(&SMALL.replace(
                "get = \"/items?limit=${page_size}\"",
                &format!("post = \"/items\"\n{more}"),
            ))
        };
        let missing = form("multipart = { title = \"a\", photo = { file = \"no/such.jpg\" } }");
        assert!(
            missing.starts_with("`speedwell.toml`, line 15: route `items`: multipart `photo`: cannot read `no/such.jpg`"),
            "{missing}"
        );
        assert!(form("json = {}\nmultipart = {}").contains("keep one of them"));
        let own_type = "multipart = {}\nheaders = { Content-Type = \"a/b\" }";
        assert!(form(own_type).contains("`content-type`"));
    }

    #[test]
    fn every_verb_takes_a_body_and_one_status_or_several() {
        for verb in ["get", "post", "put", "patch", "delete"] {
            for body in ["", "json = { a = 1 }", "multipart = { a = \"1\" }"] {
                let text = format!("{verb} = \"/items\"\n{body}\nexpect = [204, 404]");
                let text = SMALL.replace("get = \"/items?limit=${page_size}\"", &text);
                let route = resolve(&text).unwrap().routes.remove(0);
                assert_eq!(route.method.as_str().to_lowercase(), verb);
                assert_eq!(route.expect, [204, 404]);
                assert_eq!(route.json.is_some(), body.starts_with("json"));
                assert_eq!(route.multipart.is_some(), body.starts_with("multipart"));
            }
        }
        let one = SMALL.replace("budget = {", "expect = 201\nbudget = {");
        assert_eq!(resolve(&one).unwrap().routes[0].expect, [201]);
    }

    #[test]
    fn a_wrong_type_names_its_line() {
        let text = SMALL.replace("errors = 0", "errors = \"none\"");
        assert!(
            message(&text).starts_with("`speedwell.toml`, line 10: "),
            "{}",
            message(&text)
        );
    }

    #[test]
    fn nonsense_in_numbers_is_refused() {
        for (from, to) in [
            ("p95_ms = 100", "p95_ms = -1"),
            ("p95_ms = 100", "p95_ms = nan"),
        ] {
            assert!(message(&SMALL.replace(from, to)).contains("`p95_ms`"));
        }
        assert!(message(&format!("{SMALL}\n[load]\nusers = 0\n")).contains("users"));
        assert!(message(&format!("{SMALL}\n[load]\nthink = \"soon\"\n")).contains("think"));
        assert!(message(&format!("{SMALL}\n[load]\nramp_s = -3\n")).contains("ramp_s"));
        assert!(message(&format!("{SMALL}\n[data]\nscales = [0]\n")).contains("scales"));
    }

    #[test]
    fn what_starts_the_service_may_be_missing_where_only_the_scenario_is_used() {
        let text = SMALL.replace("command = \"shop serve\"\n", "");
        assert!(
            message(&text).contains("`[service]` has no `command`; it starts the service"),
            "{}",
            message(&text)
        );
        let resolver = Resolver {
            name: "speedwell.toml".to_owned(),
            text: &text,
            path: Path::new("speedwell.toml"),
            wanted: Use::Scenario,
        };
        let file = file::parse("speedwell.toml", &text).unwrap();
        assert_eq!(resolver.audited(file).unwrap().service.command, "");
    }

    #[test]
    fn a_route_is_drawn_by_its_weight_when_there_are_no_tasks() {
        let weighted = SMALL.replace("budget = {", "weight = 3\nbudget = {");
        assert_eq!(resolve(&weighted).unwrap().tasks[0].weight, 3);
        let both = format!("{weighted}\n[[task]]\nroutes = [\"items\"]\n");
        assert!(message(&both).contains("`weight` and the file has tasks"));
        assert!(message(&weighted.replace("weight = 3", "weight = 0")).contains("`weight` is 0"));
        assert!(
            message(&weighted.replace("[[route]]", "[[setup]]")).contains("once for each user")
        );
    }

    #[test]
    fn a_missing_file_says_how_to_name_one() {
        let error = load(Path::new("/nowhere/speedwell.toml"), Use::Start)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("/nowhere/speedwell.toml") && error.contains("--config"),
            "{error}"
        );
    }
}

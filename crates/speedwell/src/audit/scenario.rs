//! The scenario that the load engine runs: routes and tasks of the configuration, sized for one
//! scale.

use std::{net::SocketAddr, time::Duration};

use speedwell_load::{LoadOptions, Model, Rows, Scenario, Task};

use super::steps::{Sizes, step};
use crate::config::{Audited, Load, RouteSpec};

/// Requests still open when the load ends are waited for this long.
const DRAIN: Duration = Duration::from_secs(10);

/// The setup and the tasks of `audited`, of which only `routes` are asked for. The page size of
/// each route is its first.
///
/// # Errors
/// A sentence that names the route whose request cannot be made.
pub(crate) fn scenario(
    audited: &Audited,
    routes: &[&RouteSpec],
    target: SocketAddr,
    sizes: Sizes<'_>,
    rows: Option<Rows>,
) -> Result<Scenario, String> {
    let specs: Vec<&RouteSpec> = audited.setup.iter().chain(routes.iter().copied()).collect();
    let steps = specs
        .iter()
        .map(|route| step(route, sizes.of(route)))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Scenario {
        target,
        steps,
        setup: (0..audited.setup.len()).collect(),
        tasks: tasks(audited, routes, &specs),
        rows,
        constants: Vec::new(),
    })
}

/// The tasks, with the places of their routes in `specs`.
pub(crate) fn tasks(audited: &Audited, routes: &[&RouteSpec], specs: &[&RouteSpec]) -> Vec<Task> {
    let index = |name: &str| specs.iter().position(|route| route.name == name);
    let tasks: Vec<Task> = audited
        .tasks
        .iter()
        .map(|task| Task {
            name: task.routes.join(", "),
            weight: task.weight,
            steps: task.routes.iter().filter_map(|name| index(name)).collect(),
        })
        .filter(|task| !task.steps.is_empty())
        .collect();
    if !tasks.is_empty() {
        return tasks;
    }
    // Only routes that no task asks for were wanted: each is a task of its own.
    routes
        .iter()
        .map(|route| Task {
            name: route.name.clone(),
            weight: 1,
            steps: index(&route.name).into_iter().collect(),
        })
        .collect()
}

/// How `[load]` is run.
pub(crate) fn load_options(load: &Load) -> LoadOptions {
    LoadOptions {
        model: match load.rate {
            Some(rate) => Model::Open {
                rate,
                connections: load.users,
            },
            None => Model::Closed {
                users: load.users,
                think: load.think,
            },
        },
        ramp: load.ramp,
        steady: load.steady,
        seed: load.seed,
        timeout: load.timeout,
        drain: DRAIN,
        setup: load.setup,
        // The service needs the rest of the machine, and one thread sends far more requests than
        // users with think time ask for.
        workers: 1,
    }
}

//! `[[route]]` and `[[setup]]`: one request, its body and its budget, checked.

use super::{
    BudgetSpec, ConfigError, Form, RouteSpec,
    file::{Expect, RouteSection},
    resolve::{Resolver, folder_of},
};

impl Resolver<'_> {
    pub(super) fn routes(
        &self,
        sections: Vec<RouteSection>,
        default: &BudgetSpec,
        seed: u64,
    ) -> Result<Vec<RouteSpec>, ConfigError> {
        sections
            .into_iter()
            .map(|section| self.route(section, default, seed))
            .collect()
    }

    fn route(
        &self,
        mut section: RouteSection,
        default: &BudgetSpec,
        seed: u64,
    ) -> Result<RouteSpec, ConfigError> {
        let at = section.name.span().start;
        let name = section.name.get_ref().clone();
        let multipart = self.form(at, &name, &mut section, seed)?;
        let (method, path) = self.request(
            at,
            &name,
            [
                (http::Method::GET, section.get),
                (http::Method::POST, section.post),
                (http::Method::PUT, section.put),
                (http::Method::PATCH, section.patch),
                (http::Method::DELETE, section.delete),
            ],
        )?;
        if !path.starts_with('/') {
            return Err(self.invalid(at, &format!("route `{name}`: `{path}` must begin with `/`")));
        }
        let mut page_sizes = section.page_sizes;
        page_sizes.sort_unstable();
        page_sizes.dedup();
        let budget = section.budget.or(default);
        self.check_budget(at, &name, &budget)?;
        if section.weight == Some(0) {
            return Err(self.invalid(
                at,
                &format!(
                    "route `{name}`: `weight` is 0; write 1 or more, or tasks that leave it out"
                ),
            ));
        }
        Ok(RouteSpec {
            name,
            method,
            path,
            json: section.json,
            multipart,
            bearer: section.bearer,
            headers: section.headers,
            page_sizes,
            capture: section.capture,
            expect: match section.expect {
                None => Vec::new(),
                Some(Expect::One(status)) => vec![status],
                Some(Expect::Several(statuses)) => statuses,
            },
            weight: section.weight.unwrap_or(1),
            budget,
        })
    }

    /// The form of a route that has one; its files are read.
    fn form(
        &self,
        at: usize,
        name: &str,
        section: &mut RouteSection,
        seed: u64,
    ) -> Result<Option<Form>, ConfigError> {
        let Some(fields) = section.multipart.take() else {
            return Ok(None);
        };
        let wrong = |what: &str| Err(self.invalid(at, &format!("route `{name}` has {what}")));
        if section.json.is_some() {
            return wrong("`json` and `multipart`; keep one of them");
        }
        let mut headers = section.headers.keys();
        if headers.any(|name| name.eq_ignore_ascii_case("content-type")) {
            return wrong(
                "`multipart` and a header `content-type`, which must name the boundary; leave the header out",
            );
        }
        fields
            .resolve(&folder_of(self.path), seed)
            .map(Some)
            .map_err(|(at, message)| self.invalid(at, &format!("route `{name}`: {message}")))
    }

    fn request(
        &self,
        at: usize,
        name: &str,
        given: [(http::Method, Option<String>); 5],
    ) -> Result<(http::Method, String), ConfigError> {
        let mut requests = given
            .into_iter()
            .filter_map(|(method, path)| path.map(|path| (method, path)));
        match (requests.next(), requests.next()) {
            (Some(request), None) => Ok(request),
            (None, _) => Err(self.invalid(
                at,
                &format!(
                    "route `{name}` has a budget but no request; add get, post, put, patch or delete = \"/path\""
                ),
            )),
            (Some(_), Some(_)) => {
                Err(self.invalid(at, &format!("route `{name}` has two requests; keep one")))
            }
        }
    }

    fn check_budget(&self, at: usize, name: &str, budget: &BudgetSpec) -> Result<(), ConfigError> {
        let limits = [
            ("p95_ms", budget.p95_ms),
            ("p99_ms", budget.p99_ms),
            ("rows_per_row", budget.rows_per_row),
            ("bytes_per_row", budget.bytes_per_row),
            ("database_ms", budget.database_ms),
            ("growth", budget.growth),
        ];
        for (key, limit) in limits {
            if limit.is_some_and(|limit| !limit.is_finite() || limit < 0.0) {
                return Err(self.invalid(
                    at,
                    &format!("route `{name}`: budget `{key}` must be a number, 0 or more"),
                ));
            }
        }
        Ok(())
    }
}

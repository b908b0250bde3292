//! What simulated users do: steps, the tasks made of them, and what an answer must be like.

use std::net::SocketAddr;

use serde_json_path::JsonPath;

use crate::{
    answer::Received,
    capture::{Capture, CaptureError, ParsedBody},
    failure::ErrorKind,
    multipart::Multipart,
    request::Payload,
    rows::Rows,
    session::Session,
    template::{JsonTemplate, Reference, RenderError, Template},
};

/// One request, with places to fill.
#[derive(Debug, Clone)]
pub struct Step {
    /// Name in reports.
    pub name: String,
    /// Route for reports, never filled: `GET /flyers/{id}`.
    pub route: String,
    /// Method of the request.
    pub method: http::Method,
    /// Path and query.
    pub path: Template,
    /// Headers beside `host`, `user-agent`, `accept`, `traceparent` and, with a body,
    /// `content-type`; they replace these. `content-length` and `transfer-encoding` are always
    /// the client's own.
    pub headers: Vec<(http::HeaderName, Template)>,
    /// Body. With a [`Body::Multipart`] the `content-type` is always the client's own as well.
    pub body: Option<Body>,
    /// What the answer must be like.
    pub expect: Expect,
    /// Values to carry to later steps.
    pub captures: Vec<Capture>,
}

impl Step {
    /// A step without headers, body and captures that expects a 2xx answer.
    #[must_use]
    pub fn new(name: &str, method: http::Method, path: Template) -> Self {
        Self {
            name: name.to_owned(),
            route: format!("{method} {name}"),
            method,
            path,
            headers: Vec::new(),
            body: None,
            expect: Expect::default(),
            captures: Vec::new(),
        }
    }

    /// What the templates of the step need from outside, with repetitions.
    pub fn names(&self) -> impl Iterator<Item = Reference> {
        self.path
            .names()
            .chain(self.headers.iter().flat_map(|(_, value)| value.names()))
            .chain(self.body.iter().flat_map(Body::names))
    }

    /// True when an answer with the right status holds nothing that is looked for.
    pub(crate) fn ignores_body(&self) -> bool {
        self.captures.is_empty() && self.expect.is_status_only()
    }

    /// True when every request of the step is the same.
    pub(crate) fn is_constant(&self) -> bool {
        self.path.constant().is_some()
            && self
                .headers
                .iter()
                .all(|(_, value)| value.constant().is_some())
            && self.body.as_ref().is_none_or(Body::is_constant)
    }
}

/// What is sent after the headers.
#[derive(Debug, Clone)]
pub enum Body {
    /// JSON.
    Json(JsonTemplate),
    /// A form of texts and files.
    Multipart(Multipart),
}

impl Body {
    /// What the body needs from outside, in order, with repetitions.
    pub fn names(&self) -> impl Iterator<Item = Reference> {
        let (json, form) = match self {
            Self::Json(json) => (Some(json.names()), None),
            Self::Multipart(form) => (None, Some(form.names())),
        };
        json.into_iter().flatten().chain(form.into_iter().flatten())
    }

    fn is_constant(&self) -> bool {
        match self {
            Self::Json(json) => json.constant().is_some(),
            Self::Multipart(form) => form.is_constant(),
        }
    }

    pub(crate) fn render(&self, session: &mut Session) -> Result<Payload, RenderError> {
        match self {
            Self::Json(json) => Ok(Payload::json(json.render(session)?.to_string())),
            Self::Multipart(form) => form.render(session),
        }
    }
}

/// What an answer must be like: by default, a status from 200 to 299.
#[derive(Debug, Clone, Default)]
pub struct Expect {
    statuses: Vec<u16>,
    required: Vec<(String, JsonPath)>,
}

impl Expect {
    /// Only these statuses are right; none given means 200 to 299.
    #[must_use]
    pub fn statuses(statuses: impl IntoIterator<Item = u16>) -> Self {
        Self {
            statuses: statuses.into_iter().collect(),
            required: Vec::new(),
        }
    }

    /// The JSON body must also have at least one value at this JSONPath: an empty list is then
    /// an error of kind [`ErrorKind::Check`].
    ///
    /// # Errors
    /// When the text is not a JSONPath.
    pub fn require(mut self, path: &str) -> Result<Self, CaptureError> {
        let parsed = JsonPath::parse(path).map_err(|error| CaptureError::Path {
            name: "expect".to_owned(),
            text: path.to_owned(),
            reason: error.to_string(),
        })?;
        self.required.push((path.to_owned(), parsed));
        Ok(self)
    }

    /// Whether the status is right.
    #[must_use]
    pub fn accepts(&self, status: http::StatusCode) -> bool {
        if self.statuses.is_empty() {
            status.is_success()
        } else {
            self.statuses.contains(&status.as_u16())
        }
    }

    /// The kind of error that a status is, if it is one.
    #[must_use]
    pub fn error(&self, status: http::StatusCode) -> Option<ErrorKind> {
        if self.accepts(status) {
            None
        } else if status.is_client_error() {
            Some(ErrorKind::Status4xx)
        } else if status.is_server_error() {
            Some(ErrorKind::Status5xx)
        } else {
            Some(ErrorKind::UnexpectedStatus)
        }
    }

    /// Whether only the status decides.
    pub(crate) fn is_status_only(&self) -> bool {
        self.required.is_empty()
    }

    pub(crate) fn check(
        &self,
        answer: &impl Received,
        body: &mut ParsedBody,
    ) -> Result<(), CaptureError> {
        for (text, path) in &self.required {
            let found = body
                .of(answer)
                .is_ok_and(|body| !path.query(body).is_empty());
            if !found {
                return Err(CaptureError::Required(text.clone()));
            }
        }
        Ok(())
    }
}

/// Something a user does in one turn: steps in order, the rest dropped when one fails.
#[derive(Debug, Clone)]
pub struct Task {
    /// Name in reports.
    pub name: String,
    /// How often it is drawn, relative to the other tasks; 0 is never.
    pub weight: u32,
    /// Indices into [`Scenario::steps`].
    pub steps: Vec<usize>,
}

/// Everything that is sent, and where to.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// Address of the service.
    pub target: SocketAddr,
    /// All steps.
    pub steps: Vec<Step>,
    /// Steps that each user takes once, before its tasks; indices into `steps`.
    pub setup: Vec<usize>,
    /// What users do after that.
    pub tasks: Vec<Task>,
    /// One row for each user.
    pub rows: Option<Rows>,
    /// Values that all users know.
    pub constants: Vec<(String, serde_json::Value)>,
}

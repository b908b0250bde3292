//! One user's state: what it knows, what it draws, and the requests that come of it.

use std::{
    collections::{HashMap, HashSet},
    fmt, mem,
};

use http::{HeaderValue, Uri};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;

use crate::{
    answer::{Answer, Received},
    capture::{CaptureError, ParsedBody},
    options::Think,
    request::Prepared,
    rows::Row,
    scenario::Step,
    template::{Place, Reference, RenderError},
};

/// One user: its row, the values it captured, and its own seeded draws.
///
/// Draws of tasks, pauses and values come from three separate streams, each fixed by seed and
/// user, so that what a service answers does not change which tasks follow.
pub struct Session {
    user: u64,
    row: Option<Row>,
    values: HashMap<String, Value>,
    /// Pools that `${take ..}` has emptied since they were captured.
    drained: HashSet<String>,
    seq: u64,
    tasks: ChaCha8Rng,
    pauses: ChaCha8Rng,
    draws: ChaCha8Rng,
}

impl Session {
    /// A user that knows only its row. `user` counts from 0.
    #[must_use]
    pub fn new(seed: u64, user: u64, row: Option<Row>) -> Self {
        let stream = |number: u64| {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            rng.set_stream(user.wrapping_mul(3).wrapping_add(number));
            rng
        };
        Self {
            user,
            row,
            values: HashMap::new(),
            drained: HashSet::new(),
            seq: 0,
            tasks: stream(0),
            pauses: stream(1),
            draws: stream(2),
        }
    }

    /// Sets a value by name: a constant, or what a capture would have set. A list is a pool.
    pub fn set(&mut self, name: &str, value: Value) {
        self.drained.remove(name);
        match self.values.get_mut(name) {
            Some(known) => *known = value,
            None => {
                self.values.insert(name.to_owned(), value);
            }
        }
    }

    /// Whether a name has a value; an empty pool is one.
    #[must_use]
    pub fn knows(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    /// Whether a step that needs this name should wait until it is captured: it has no value, or
    /// all of them were taken.
    pub(crate) fn lacks(&self, name: &str) -> bool {
        !self.knows(name) || self.drained.contains(name)
    }

    /// Fills the templates of a step.
    ///
    /// # Errors
    /// When a value is missing or does not fit where it stands.
    pub fn prepare(&mut self, step: &Step) -> Result<Prepared, RenderError> {
        let path = step.path.render_path(self)?;
        let uri = origin_form(&path).ok_or(RenderError::Path)?;
        let body = match &step.body {
            Some(body) => Some(body.render(self)?),
            None => None,
        };
        let mut headers = Vec::with_capacity(step.headers.len());
        for (name, value) in &step.headers {
            let value = HeaderValue::try_from(value.render(self)?)
                .map_err(|_| RenderError::Header(name.to_string()))?;
            headers.push((name.clone(), value));
        }
        Ok(Prepared::new(&step.method, uri, &headers, body))
    }

    /// Checks the body of an answer whose status was right, and takes the step's captures.
    ///
    /// # Errors
    /// When the body lacks what the step requires or captures.
    pub fn absorb(&mut self, step: &Step, answer: &Answer) -> Result<(), CaptureError> {
        self.take(step, answer)
    }

    pub(crate) fn take(&mut self, step: &Step, answer: &impl Received) -> Result<(), CaptureError> {
        let mut body = ParsedBody::default();
        step.expect.check(answer, &mut body)?;
        for capture in &step.captures {
            let value = capture.take(answer, &mut body)?;
            self.set(&capture.name, value);
        }
        Ok(())
    }

    /// The value for one place of a template.
    pub(crate) fn value(&mut self, place: &Place) -> Result<Value, RenderError> {
        Ok(match place {
            Place::Named(Reference::Value(name)) => self
                .values
                .get(name)
                .cloned()
                .ok_or_else(|| RenderError::Missing(name.clone()))?,
            Place::Named(Reference::Row(column)) => {
                let value = self.row.as_ref().and_then(|row| row.get(column));
                Value::from(value.ok_or_else(|| RenderError::MissingColumn(column.clone()))?)
            }
            Place::Named(Reference::Pick(pool)) => self.pick(pool)?,
            Place::Named(Reference::Take(pool)) => self.take_out(pool)?,
            Place::Int(low, high) => {
                // One draw whatever the range, so that later draws do not depend on it.
                let width = i128::from(*high) - i128::from(*low) + 1;
                let offset = (i128::from(self.draws.next_u64()) * width) >> 64;
                Value::from(i64::try_from(i128::from(*low) + offset).unwrap_or(*high))
            }
            Place::Uuid => Value::from(self.uuid()),
            Place::Seq => {
                self.seq += 1;
                Value::from(self.seq)
            }
            Place::User => Value::from(self.user),
        })
    }

    fn pick(&mut self, pool: &str) -> Result<Value, RenderError> {
        let draw = self.draws.next_u64();
        match self.values.get(pool) {
            None => Err(RenderError::MissingPool(Reference::Pick(pool.to_owned()))),
            Some(Value::Array(values)) => values
                .get(below(draw, values.len() as u64) as usize)
                .cloned()
                .ok_or_else(|| RenderError::EmptyPool(pool.to_owned())),
            Some(one) => Ok(one.clone()),
        }
    }

    /// Like [`Session::pick`], but the value is gone from the pool.
    fn take_out(&mut self, pool: &str) -> Result<Value, RenderError> {
        let draw = self.draws.next_u64();
        let known = self
            .values
            .get_mut(pool)
            .ok_or_else(|| RenderError::MissingPool(Reference::Take(pool.to_owned())))?;
        let (value, left) = match known {
            Value::Array(values) if values.is_empty() => {
                return Err(RenderError::NothingToTake(pool.to_owned()));
            }
            Value::Array(values) => {
                let value = values.swap_remove(below(draw, values.len() as u64) as usize);
                (value, values.len())
            }
            one => (mem::replace(one, Value::Array(Vec::new())), 0),
        };
        if left == 0 {
            self.drained.insert(pool.to_owned());
        }
        Ok(value)
    }

    fn uuid(&mut self) -> String {
        let (high, low) = (self.draws.next_u64(), self.draws.next_u64());
        // Version 4, variant 1 (RFC 9562, 5.4).
        let bits = ((u128::from(high) << 64) | u128::from(low)) & !(0xf000 << 64) & !(0b11 << 62)
            | (0x4000 << 64)
            | (0b10 << 62);
        let hex = format!("{bits:032x}");
        format!(
            "{}-{}-{}-{}-{}",
            &hex[..8],
            &hex[8..12],
            &hex[12..16],
            &hex[16..20],
            &hex[20..]
        )
    }

    /// The next number for drawing a task.
    pub(crate) fn draw_task(&mut self) -> u64 {
        self.tasks.next_u64()
    }

    pub(crate) fn draw_pause(&mut self, think: Think) -> std::time::Duration {
        think.draw(&mut self.pauses)
    }
}

/// An even draw from 0 to `n` - 1 (0 for an empty range) out of one random number.
pub(crate) fn below(draw: u64, n: u64) -> u64 {
    ((u128::from(draw) * u128::from(n)) >> 64) as u64
}

/// Path and query; an absolute address (from a `Location` header) loses its scheme and host.
fn origin_form(path: &str) -> Option<Uri> {
    let uri = Uri::try_from(path).ok()?;
    if uri.scheme().is_some() {
        return uri.path_and_query().cloned().map(Uri::from);
    }
    path.starts_with('/').then_some(uri)
}

// Captured values are tokens and personal data: only names are shown.
impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("user", &self.user)
            .field("row", &self.row)
            .field("values", &self.values.keys())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use http::{Method, header};
    use serde_json::json;

    use super::*;
    use crate::{
        scenario::Body,
        template::{JsonTemplate, Template},
    };

    fn step(path: &str) -> Step {
        Step::new("step", Method::GET, Template::parse(path).unwrap())
    }

    #[test]
    fn a_step_becomes_a_request() {
        let mut session = Session::new(1, 0, None);
        session.set("token", json!("t0"));
        session.set("id", json!(5));
        let mut step = step("/flyers/${id}?q=a");
        step.headers = vec![(
            header::AUTHORIZATION,
            Template::parse("Bearer ${token}").unwrap(),
        )];
        step.body = Some(Body::Json(
            JsonTemplate::parse(&json!({"id": "${id}"})).unwrap(),
        ));
        let prepared = session.prepare(&step).unwrap();
        assert_eq!(prepared.path(), "/flyers/5?q=a");
        let mut written = Vec::new();
        prepared.write(&mut written, "localhost", b"");
        let written = String::from_utf8(written).unwrap();
        assert!(written.contains("\r\nauthorization: Bearer t0\r\n"));
        assert!(written.contains("\r\ncontent-type: application/json\r\n"));
        assert_eq!(prepared.body().concat(), br#"{"id":5}"#);
        let shown = format!("{prepared:?} {session:?}");
        assert!(!shown.contains("t0"), "{shown}");
    }

    #[test]
    fn an_absolute_location_is_asked_for_by_its_path() {
        let mut session = Session::new(1, 0, None);
        session.set("location", json!("http://localhost:1/a/b?c=d"));
        assert_eq!(
            session.prepare(&step("${location}")).unwrap().path(),
            "/a/b?c=d"
        );
        session.set("location", json!("relative"));
        let error = session.prepare(&step("${location}")).unwrap_err();
        assert_eq!(error, RenderError::Path);
    }

    #[test]
    fn the_same_seed_and_user_draw_the_same() {
        let draw = |seed, user| {
            let mut session = Session::new(seed, user, None);
            session.set("pool", json!([1, 2, 3, 4, 5, 6, 7, 8, 9]));
            let template = Template::parse("${pick pool} ${int 1 1000000} ${uuid}").unwrap();
            (template.render(&mut session).unwrap(), session.draw_task())
        };
        assert_eq!(draw(7, 1), draw(7, 1));
        assert_ne!(draw(7, 1), draw(7, 2));
        assert_ne!(draw(7, 1), draw(8, 1));
    }

    #[test]
    fn a_value_is_taken_once_and_the_last_leaves_the_pool_wanting() {
        let mut session = Session::new(1, 0, None);
        let take = Place::Named(Reference::Take("pool".to_owned()));
        let error = session.value(&take).unwrap_err().to_string();
        assert!(error.contains("no step has captured `pool`"), "{error}");
        session.set("pool", json!([1, 2, 3]));
        let mut taken: Vec<u64> = (0..3)
            .map(|_| {
                assert!(!session.lacks("pool"));
                session.value(&take).unwrap().as_u64().unwrap()
            })
            .collect();
        taken.sort_unstable();
        assert_eq!(taken, [1, 2, 3]);
        assert!(session.lacks("pool") && session.knows("pool"));
        assert_eq!(
            session.value(&take),
            Err(RenderError::NothingToTake("pool".to_owned()))
        );
        session.set("pool", json!([4]));
        assert!(!session.lacks("pool"));
        session.set("pool", json!([]));
        assert!(
            !session.lacks("pool"),
            "to list again would find nothing again"
        );
    }

    #[test]
    fn a_single_value_can_be_taken_too() {
        let mut session = Session::new(1, 0, None);
        session.set("id", json!("a"));
        let template = Template::parse("${take id}").unwrap();
        assert_eq!(template.render(&mut session).unwrap(), "a");
        assert!(session.lacks("id") && template.render(&mut session).is_err());
    }

    #[test]
    fn a_uuid_has_its_version_and_variant() {
        let mut session = Session::new(1, 0, None);
        for _ in 0..50 {
            let uuid = session.uuid();
            assert_eq!((uuid.len(), uuid.as_bytes()[14]), (36, b'4'), "{uuid}");
            assert!(b"89ab".contains(&uuid.as_bytes()[19]), "{uuid}");
        }
    }

    #[test]
    fn whole_numbers_reach_both_ends_of_any_range() {
        let mut session = Session::new(1, 0, None);
        let mut seen = [false; 3];
        for _ in 0..100 {
            let value = session.value(&Place::Int(-1, 1)).unwrap().as_i64().unwrap();
            seen[usize::try_from(value + 1).unwrap()] = true;
        }
        assert_eq!(seen, [true; 3]);
        session.value(&Place::Int(i64::MIN, i64::MAX)).unwrap();
    }
}

//! What is known of a text, remembered between requests: reading it costs more than all else a
//! detector does.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use speedwell_sql::{Dialect, Shape, Structure, shape, structure};
use twox_hash::XxHash3_64;

use super::batched::{Batched, batched_statement, rows_of_values};
use crate::{Statement, Values, showable_text};

/// What is known of one text: its shape, and what was asked of it since.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) shape: Arc<Shape>,
    /// The text with its literals blanked; only asked for where values stand in the text.
    blanked: OnceLock<Arc<str>>,
    structure: OnceLock<Option<Structure>>,
    batched: OnceLock<Option<Batched>>,
    rows_of_values: OnceLock<Option<String>>,
}

impl Known {
    fn of(statement: &Statement) -> Self {
        Self {
            shape: Arc::new(shape(&statement.text, statement.dialect)),
            blanked: OnceLock::new(),
            structure: OnceLock::new(),
            batched: OnceLock::new(),
            rows_of_values: OnceLock::new(),
        }
    }

    /// The text as a finding shows it, see [`showable_text`].
    pub(super) fn showable(&self, statement: &Statement) -> Arc<str> {
        match statement.values {
            Values::Hidden | Values::Hashed(_) => Arc::clone(&statement.text),
            Values::InText => {
                let blanked = || showable_text(statement).into();
                Arc::clone(self.blanked.get_or_init(blanked))
            }
        }
    }

    /// Predicates and order; `None` if the parser refuses the text.
    pub(super) fn structure(&self, statement: &Statement) -> Option<&Structure> {
        let read = || structure(&statement.text, statement.dialect, &|_| Vec::new()).ok();
        self.structure.get_or_init(read).as_ref()
    }

    /// The statement that replaces a loop of this one. `varying`: the placeholder that changes.
    pub(super) fn batched(&self, statement: &Statement, varying: Option<usize>) -> Option<Batched> {
        let write =
            |varying| batched_statement(&self.showable(statement), statement.dialect, varying);
        match varying {
            // Sources that see the values are tests and proxies; the others ask this each time.
            Some(_) => write(varying),
            None => self.batched.get_or_init(|| write(None)).clone(),
        }
    }

    /// The `INSERT` of many rows that replaces a loop of this one.
    pub(super) fn rows_of_values(&self, statement: &Statement) -> Option<String> {
        let write = || rows_of_values(&self.showable(statement), statement.dialect);
        self.rows_of_values.get_or_init(write).clone()
    }
}

/// A bounded memory of texts.
#[derive(Debug, Default)]
pub(super) struct KnownTexts(Mutex<HashMap<(u64, Dialect), Arc<Known>>>);

/// Texts remembered; forgotten all at once when full, which a healthy service never is.
const TEXTS_REMEMBERED: usize = 4_096;

/// Texts longer than this are read each time: what is known of one takes about as much memory as
/// the text itself, and 4,096 of them must not fill it.
const LONGEST_REMEMBERED: usize = 8 * 1024;

impl KnownTexts {
    pub(super) fn of(&self, statement: &Statement) -> Arc<Known> {
        if statement.text.len() > LONGEST_REMEMBERED {
            return Arc::new(Known::of(statement));
        }
        let key = (
            XxHash3_64::oneshot(statement.text.as_bytes()),
            statement.dialect,
        );
        if let Some(known) = self.lock().get(&key) {
            return Arc::clone(known);
        }
        // Read outside of the lock; two threads may do it at once, with equal results.
        let known = Arc::new(Known::of(statement));
        let mut texts = self.lock();
        if texts.len() >= TEXTS_REMEMBERED {
            texts.clear();
        }
        texts.insert(key, Arc::clone(&known));
        known
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<(u64, Dialect), Arc<Known>>> {
        // A panic while it was held leaves whole entries behind.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! Tags from the statements that a load or a write runs, instead of tags named by hand (feature
//! `statements`, [`Builder::observe_statements`](crate::Builder::observe_statements)).
//!
//! sqlx sends an event for each statement, and [`layer`] hears it. The tables that a load reads are
//! the tags of its value; the tables that a write changes are invalidated when it has ended.
//!
//! # What makes it safe
//!
//! A value may be kept only if nothing that it depends on can have changed unnoticed since before it
//! was read. What a load reads is known when it has ended, which is too late to begin to watch it. So:
//!
//! - What a load was found to read is remembered, for all keys of its group, and is watched from the
//!   next load on. **A value is kept only if all that its load read was watched before the load
//!   began.** The first load of a group is therefore answered and not kept.
//! - A reader who joined a load that turns out to have read more loads again by itself: what was
//!   written before it came may be missing in what it joined.
//! - A value is not kept, and a write invalidates everything, if one of the statements is none that
//!   this module understands, if no statement was seen at all, if the load used a cache, wrote
//!   something, or left statements running.
//!
//! # What you must see to
//!
//! - The layer is installed, and no filter in front of it hides the target `sqlx::query` at level DEBUG;
//!   connections log their statements, as they do unless told otherwise. What the cache can see of this
//!   it checks, and keeps nothing if it is not so.
//! - Statements of a load or a write run in its own task, or in tasks that carry its span
//!   (`.instrument(Span::current())`). What runs elsewhere is not seen.
//! - Tables that no text names are named by hand, beside the others: those behind a view or a function,
//!   and those that a trigger, a rule or `ON DELETE CASCADE` writes.
//!
//! # Strict mode
//!
//! A strict write marks its tags before it begins, so its tags are named by hand. If a statement changes
//! a table that was not marked, everybody is told of it and the write is not Ok but
//! [`WriteError::Unmarked`](crate::WriteError::Unmarked). So a strict write that returns Ok has kept the
//! whole promise; of one that is `Unmarked`, readers may have seen the new and then, in another process,
//! the old until they were told. Without Redis there is nobody to mark for, and nothing to name.

mod found;
mod layer;
mod learned;

pub use speedwell_sql::Dialect;

pub use self::layer::layer;
pub(crate) use self::learned::Learning;

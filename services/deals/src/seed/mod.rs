//! Invented data.

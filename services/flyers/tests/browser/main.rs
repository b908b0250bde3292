//! The page as a visitor meets it: headless Chromium and the real service.

// Clippy knows test functions, not the functions that they share.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
// Measured figures are what a reader of the tests wants to see.
#![allow(clippy::print_stdout)]

mod accounts;
mod browse;
mod caching;
mod chromium;
mod engagement;
mod keyboard;
mod offline;
mod publishing;
mod site;
mod visitor;

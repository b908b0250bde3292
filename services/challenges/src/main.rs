//! The `challenges` command.

fn main() {}

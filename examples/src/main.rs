//! The `patchkit` command-line tool.
fn main() {}

//! Suites of tests, run before and after.

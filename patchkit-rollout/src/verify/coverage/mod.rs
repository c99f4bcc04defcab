//! Coverage reports: which lines of which files were run.

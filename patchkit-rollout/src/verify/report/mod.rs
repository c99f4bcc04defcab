//! Test reports: which tests ran, and how each ended.

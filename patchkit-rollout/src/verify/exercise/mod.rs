//! What the tests exercised.

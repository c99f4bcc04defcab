//! What weakens an image: before and after, against a profile.

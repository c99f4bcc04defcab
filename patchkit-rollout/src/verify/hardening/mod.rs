//! What weakens an image.

//! Running commands in images.

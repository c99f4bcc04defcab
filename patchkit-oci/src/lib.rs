//! Images wherever they live, and what is attached to them.

//! Implementations that break their contract in one way each, and what they need to be tested with.

mod image;
mod others;
mod registry;

pub use image::*;
pub use others::*;
pub use registry::*;

/// An enumeration with all its variants.
macro_rules! faults {
    ($name:ident { $($fault:ident)* }) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($fault),* }

        impl $name {
            pub const ALL: &[Self] = &[$(Self::$fault),*];
        }
    };
}
pub(crate) use faults;

//! Whether every program still finds its libraries and their symbols, with nothing executed.
//!
//! The ELF files of all layers are read; for each program and library it is worked out what the image's own dynamic
//! linker (glibc's or musl's, for any machine) would load with it, and whether every library, version and symbol that is
//! needed is there. [`Loading`] compares a patched image with the original, [`check`] looks at one image, [`interfaces`]
//! says what changed in libraries and which programs that touches, and [`Linkage`] has all of it.

mod cache;
mod closure;
mod collect;
mod compare;
mod conf;
mod elf;
mod fault;
mod interface;
mod link;
mod linkage;
mod report;
mod search;
mod system;
mod verifier;

pub use cache::{CacheEntry, Hardware, LinkerCache};
pub use collect::Layers;
pub use compare::{LoadChange, compare};
pub use elf::{Abi, Binding, Class, Elf, ElfKind, Order, Symbol, Version};
pub use fault::{Fault, Problem};
pub use interface::{InterfaceChange, Interfaces, interfaces};
pub use linkage::{Linkage, LoadOptions, Loaded};
pub use report::LoadReport;
pub use verifier::{Loading, check};

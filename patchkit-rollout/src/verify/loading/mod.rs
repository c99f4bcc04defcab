//! Whether every program still finds its libraries and their symbols, with nothing executed.
mod cache;
mod closure;
mod collect;
mod conf;
mod elf;
mod fault;
mod link;
mod linkage;
mod report;
mod search;
mod system;

pub use cache::{CacheEntry, Hardware, LinkerCache};
pub use collect::Layers;
pub use elf::{Abi, Binding, Class, Elf, ElfKind, Order, Symbol, Version};
pub use fault::{Fault, Problem};
pub use linkage::{Linkage, LoadOptions, Loaded};
pub use report::LoadReport;

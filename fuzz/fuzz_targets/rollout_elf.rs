//! What a dynamic linker reads: ELF files and the linker's cache.

use patchkit_rollout::verify::loading::{Elf, LinkerCache};

fuzz_target!(|data: &[u8]| {
    if let Ok(elf) = Elf::parse(data) {
        let exports: Vec<_> = elf.exports().map(|symbol| symbol.full_name()).collect();
        assert!(exports.iter().all(|name| !name.contains('\n')));
        assert!(elf.imports().all(|symbol| !symbol.defined));
        assert!(elf.needed_versions().count() + elf.defined_versions().count() <= 0x8000);
    }
    if let Ok(cache) = LinkerCache::parse(data) {
        let count = cache.iter().count();
        assert!(count * 24 <= data.len());
        assert_eq!(count, cache.iter().filter(|(name, entry)| cache.named(name).any(|other| other == *entry)).count());
    }
});

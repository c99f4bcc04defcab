//! Where a dynamic linker looks for a library: glibc's and musl's ways.
//!
//! Source: `ld.so(8)` and `_dl_map_object` in `elf/dl-load.c` of glibc 2.41; `load_library` in `ldso/dynlink.c` of musl
//! 1.2. The processor is taken to have what every one of its machine has, and what the options name.

use std::{cell::RefCell, collections::HashMap, sync::Arc};

use patchkit_core::image::FilePath;

use super::{
    cache::Hardware,
    elf::{Abi, Class},
    system::{Id, System, path},
};

/// Whose dynamic linker it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Dialect {
    Glibc,
    Musl,
}

/// A library and the path it was found under.
pub(super) type Place = (Id, Arc<str>);

/// Who asks for a library.
pub(super) struct Asker<'a> {
    pub(super) dialect: Dialect,
    pub(super) abi: Abi,
    pub(super) linker: Option<Id>,
    pub(super) is_privileged: bool,
    /// The object that needs it, the one that loaded that, and so on, each with the folder it is in.
    pub(super) chain: Vec<(Id, &'a str)>,
}

/// What is asked of cache and default folders, which is the same for many.
type Plain = (Abi, Option<Id>, bool, String);

pub(super) struct Search<'a> {
    pub(super) system: &'a System,
    levels: &'a [String],
    linkers: HashMap<(Dialect, Abi), Id>,
    folders: RefCell<HashMap<String, Option<FilePath>>>,
    files: RefCell<HashMap<String, Option<Place>>>,
    plain: RefCell<HashMap<Plain, Option<Place>>>,
}

impl<'a> Search<'a> {
    /// A search for a processor that has these levels (`x86-64-v3`), the best first.
    pub(super) fn new(system: &'a System, levels: &'a [String]) -> Self {
        let mut linkers = HashMap::new();
        for id in system.ids() {
            let object = system.object(id);
            let is_musl = object.path.file_name().is_some_and(|name| name.starts_with(b"ld-musl-"));
            let dialect = match (is_musl, object.elf.default_folders.is_empty()) {
                (true, _) => Dialect::Musl,
                (false, false) => Dialect::Glibc,
                (false, true) => continue,
            };
            linkers.entry((dialect, object.elf.abi)).or_insert(id);
        }
        let (folders, files, plain) = Default::default();
        Self { system, levels, linkers, folders, files, plain }
    }

    /// Whose linker loads an object, and where that is.
    pub(super) fn linker(&self, root: Id) -> (Dialect, Option<Id>) {
        let elf = &self.system.object(root).elf;
        if let Some(interpreter) = &elf.interpreter {
            let is_musl = interpreter.rsplit('/').next().is_some_and(|name| name.starts_with("ld-musl-"));
            let linker = self.system.locate(interpreter).and_then(|path| self.system.at(&path));
            let linker = linker.filter(|linker| self.system.object(*linker).elf.abi == elf.abi);
            return (if is_musl { Dialect::Musl } else { Dialect::Glibc }, linker);
        }
        let dialect = self.dialect_of(root);
        (dialect, self.linkers.get(&(dialect, elf.abi)).copied())
    }

    /// Whose linker loads a library: as the C library it needs tells, or the linker that is there.
    fn dialect_of(&self, root: Id) -> Dialect {
        let elf = &self.system.object(root).elf;
        let needs = |known: fn(&str) -> bool| elf.needed.iter().any(|name| known(name));
        if needs(|name| name == "libc.so" || name.starts_with("libc.musl-")) {
            return Dialect::Musl;
        }
        let has = |dialect| self.linkers.contains_key(&(dialect, elf.abi));
        let is_glibc = needs(|name| name.starts_with("libc.so.") || name.starts_with("ld-linux"));
        if !is_glibc && has(Dialect::Musl) && !has(Dialect::Glibc) { Dialect::Musl } else { Dialect::Glibc }
    }

    /// The library that a linker takes for a name.
    pub(super) fn find(&self, name: &str, asker: &Asker<'_>) -> Option<Place> {
        if name.contains('/') {
            let path = self.expand(name, asker.chain.first().map_or("", |(_, origin)| origin), asker);
            return self.file(&path, asker.abi);
        }
        match asker.dialect {
            Dialect::Glibc => self.find_as_glibc(name, asker),
            Dialect::Musl => self.find_as_musl(name, asker),
        }
    }

    fn find_as_glibc(&self, name: &str, asker: &Asker<'_>) -> Option<Place> {
        let needing = self.system.object(asker.chain.first()?.0);
        let runpath = needing.elf.runpath.as_deref();
        let inherited = || {
            asker.chain.iter().find_map(|(id, origin)| {
                let rpath = self.system.object(*id).elf.rpath.as_deref()?;
                self.in_listed(rpath, origin, name, asker)
            })
        };
        let own = || self.in_listed(runpath?, asker.chain.first()?.1, name, asker);
        let found = if runpath.is_none() { inherited() } else { None };
        found
            .or_else(|| self.in_library_path(name, asker))
            .or_else(own)
            .or_else(|| self.in_cache_or_defaults(name, asker, needing.elf.without_defaults))
    }

    fn find_as_musl(&self, name: &str, asker: &Asker<'_>) -> Option<Place> {
        // Its C library is the linker itself, by all names it ever had.
        let stem = name.strip_prefix("lib").and_then(|rest| rest.split('.').next());
        if stem.is_some_and(|stem| ["c", "pthread", "rt", "m", "dl", "util", "xnet"].contains(&stem))
            && name.split_once('.').is_some_and(|(_, rest)| rest.starts_with("so"))
        {
            let linker = asker.linker?;
            return Some((linker, format!("/{}", self.system.object(linker).path).into()));
        }
        let inherited = || {
            asker.chain.iter().find_map(|(id, origin)| {
                let elf = &self.system.object(*id).elf;
                let listed = elf.runpath.as_deref().or(elf.rpath.as_deref())?;
                self.in_listed(listed, origin, name, asker)
            })
        };
        self.in_library_path(name, asker)
            .or_else(inherited)
            .or_else(|| self.musl_path(asker).iter().find_map(|folder| self.in_folder(folder, name, asker)))
    }

    /// The folders of `/etc/ld-musl-ARCH.path`, or what stands for them where it is absent.
    fn musl_path(&self, asker: &Asker<'_>) -> Vec<String> {
        let file = asker.linker.and_then(|linker| {
            let name = String::from_utf8_lossy(self.system.object(linker).path.file_name()?).into_owned();
            FilePath::new(format!("etc/{}.path", name.split(".so").next()?)).ok()
        });
        match file.and_then(|file| self.system.configuration.get(&file)) {
            Some(text) => {
                let text = String::from_utf8_lossy(text);
                text.split(['\n', ':']).filter(|it| !it.is_empty()).map(Into::into).collect()
            }
            None => ["/lib", "/usr/local/lib", "/usr/lib"].map(Into::into).into(),
        }
    }

    fn in_library_path(&self, name: &str, asker: &Asker<'_>) -> Option<Place> {
        let folders = if asker.is_privileged { &[][..] } else { &self.system.library_path };
        let origin = asker.chain.last().map_or("", |(_, origin)| origin);
        folders.iter().find_map(|folder| self.in_folder(&self.expand(folder, origin, asker), name, asker))
    }

    fn in_listed(&self, folders: &str, origin: &str, name: &str, asker: &Asker<'_>) -> Option<Place> {
        let mut folders = folders.split(':').filter(|folder| !folder.is_empty());
        folders.find_map(|folder| self.in_folder(&self.expand(folder, origin, asker), name, asker))
    }

    fn in_cache_or_defaults(&self, name: &str, asker: &Asker<'_>, without_defaults: bool) -> Option<Place> {
        let key = (asker.abi, asker.linker, without_defaults, name.to_owned());
        if let Some(known) = self.plain.borrow().get(&key) {
            return known.clone();
        }
        let defaults = self.default_folders(asker);
        let in_defaults = |path: &str| {
            path.rsplit_once('/').is_some_and(|(folder, _)| defaults.iter().any(|default| default == folder))
        };
        let found = match without_defaults {
            true => self.in_cache(name, asker).filter(|(_, path)| !in_defaults(path)),
            false => self
                .in_cache(name, asker)
                .or_else(|| defaults.iter().find_map(|folder| self.in_folder(folder, name, asker))),
        };
        self.plain.borrow_mut().insert(key, found.clone());
        found
    }

    fn in_cache(&self, name: &str, asker: &Asker<'_>) -> Option<Place> {
        let cache = self.system.cache.as_ref()?;
        let with = |hardware: &Hardware| {
            let mut entries = cache.named(name).filter(|entry| entry.hardware == *hardware);
            entries.find_map(|entry| self.file(&entry.path, asker.abi))
        };
        let mut levels = self.levels.iter();
        levels.find_map(|level| with(&Hardware::Level(level.clone()))).or_else(|| with(&Hardware::Any))
    }

    /// The folders that the linker has built in, or what is usual where it does not tell.
    pub(super) fn default_folders(&self, asker: &Asker<'_>) -> Vec<String> {
        let told = asker.linker.map(|linker| &self.system.object(linker).elf.default_folders);
        match told.filter(|folders| !folders.is_empty()) {
            Some(folders) => folders.clone(),
            None => usual_folders(asker.abi),
        }
    }

    fn in_folder(&self, folder: &str, name: &str, asker: &Asker<'_>) -> Option<Place> {
        let better = || {
            let mut levels = self.levels.iter();
            levels.find_map(|level| self.file(&format!("{folder}/glibc-hwcaps/{level}/{name}"), asker.abi))
        };
        let found = if asker.dialect == Dialect::Glibc { better() } else { None };
        found.or_else(|| self.file(&format!("{}/{name}", folder.trim_end_matches('/')), asker.abi))
    }

    /// The library at an absolute path, where it is of the right kind: another one is passed over.
    fn file(&self, path: &str, abi: Abi) -> Option<Place> {
        let known = self.files.borrow().get(path).cloned();
        let found = known.unwrap_or_else(|| {
            let found = self.look_up(path).map(|id| (id, path.into()));
            self.files.borrow_mut().insert(path.to_owned(), found.clone());
            found
        });
        found.filter(|(id, _)| self.system.object(*id).elf.abi == abi)
    }

    fn look_up(&self, path: &str) -> Option<Id> {
        let (folder, name) = path.rsplit_once('/')?;
        let known = self.folders.borrow().get(folder).cloned();
        let place = known.unwrap_or_else(|| {
            let place = self.system.locate(folder);
            self.folders.borrow_mut().insert(folder.to_owned(), place.clone());
            place
        });
        self.system.at(&place?.join(name).ok()?)
    }

    /// Replaces what stands for the object's folder, the library folder and the machine.
    fn expand(&self, text: &str, origin: &str, asker: &Asker<'_>) -> String {
        if !text.contains('$') {
            return text.to_owned();
        }
        let text = text.replace("${ORIGIN}", origin).replace("$ORIGIN", origin);
        if asker.dialect == Dialect::Musl || !text.contains('$') {
            return text;
        }
        let folders = self.default_folders(asker);
        let library = folders.first().map_or("lib", |folder| folder.trim_start_matches("/usr").trim_start_matches('/'));
        let machine = usual_names(asker.abi).0;
        let text = text.replace("${LIB}", library).replace("$LIB", library);
        text.replace("${PLATFORM}", machine).replace("$PLATFORM", machine)
    }
}

/// A machine's name, and that of its folder in Debian.
fn usual_names(abi: Abi) -> (&'static str, &'static str) {
    match (abi.machine, abi.class) {
        (3, _) => ("i686", "i386-linux-gnu"),
        (21, _) => ("powerpc64le", "powerpc64le-linux-gnu"),
        (22, _) => ("s390x", "s390x-linux-gnu"),
        (40, _) => ("armv7l", "arm-linux-gnueabihf"),
        (62, Class::Bits32) => ("x86_64", "x86_64-linux-gnux32"),
        (62, Class::Bits64) => ("x86_64", "x86_64-linux-gnu"),
        (183, _) => ("aarch64", "aarch64-linux-gnu"),
        (243, _) => ("riscv64", "riscv64-linux-gnu"),
        (258, _) => ("loongarch64", "loongarch64-linux-gnu"),
        _ => ("", ""),
    }
}

fn usual_folders(abi: Abi) -> Vec<String> {
    let tuple = usual_names(abi).1;
    let multiarch = ["/lib/", "/usr/lib/"].map(|folder| format!("{folder}{tuple}"));
    let wide = if abi.class == Class::Bits64 { &["/lib64", "/usr/lib64"][..] } else { &[] };
    let multiarch = multiarch.into_iter().filter(|_| !tuple.is_empty());
    multiarch.chain(wide.iter().chain(&["/lib", "/usr/lib"]).map(|folder| (*folder).to_owned())).collect()
}

/// What `ldconfig` would enter in the cache and has not: libraries in a folder that only `/etc/ld.so.conf` names, and
/// entries that lead nowhere. Each is a sentence.
pub(super) fn stale_cache(system: &System, defaults: &[String]) -> Vec<String> {
    let Some(cache) = &system.cache else { return Vec::new() };
    let mut notes = Vec::new();
    let mut gone: Vec<_> = cache.iter().filter(|(_, entry)| system.locate(&entry.path).is_none()).collect();
    gone.sort_by_key(|(name, entry)| (*name, &entry.path));
    notes.extend(gone.iter().map(|(_, entry)| format!("the linker's cache names {}, which is not there", entry.path)));
    for folder in super::conf::folders(system).into_iter().filter(|folder| !defaults.contains(folder)) {
        let Some(place) = system.locate(&folder) else { continue };
        for (file, _) in system.tree.children(&place) {
            let Some(id) = system.at(file) else { continue };
            let Some(name) = &system.object(id).elf.soname else { continue };
            if file.file_name() == Some(name.as_bytes()) && cache.named(name).next().is_none() {
                notes.push(format!(
                    "the linker's cache does not name {file}, which is in a folder of ld.so.conf: ldconfig has to run"
                ));
            }
        }
    }
    notes
}

/// The only name of the configuration of glibc's linker.
pub(super) fn main_configuration() -> FilePath {
    path("etc/ld.so.conf")
}

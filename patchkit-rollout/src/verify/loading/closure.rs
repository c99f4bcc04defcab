//! Everything that is loaded with a program or library, in the order in which symbols are looked for.

use std::collections::HashMap;

use super::{
    elf::ElfKind,
    search::{Asker, Dialect, Place, Search},
    system::Id,
};

/// What is loaded with an object, breadth first.
#[derive(Clone, Debug)]
pub(super) struct Closure {
    pub(super) root: Id,
    pub(super) dialect: Dialect,
    /// The linker that the object names and that is not there.
    pub(super) missing_linker: Option<String>,
    pub(super) linker: Option<Id>,
    /// Each once, the object itself first.
    pub(super) members: Vec<Id>,
    pub(super) loads: Vec<Load>,
}

/// That something was needed by some name.
#[derive(Clone, Debug)]
pub(super) struct Load {
    pub(super) by: Id,
    pub(super) name: String,
    /// What was found, and the path it was found under.
    pub(super) to: Option<Place>,
}

impl Closure {
    pub(super) fn of(root: Id, search: &Search<'_>) -> Self {
        let mut loader = Loader::new(root, search);
        loader.preload();
        let mut next = 0;
        while next < loader.members.len() {
            loader.load_needed(next);
            next += 1;
        }
        loader.finish()
    }

    /// What was found for a name.
    pub(super) fn named(&self, name: &str) -> Option<Id> {
        let load = self.loads.iter().find(|load| load.name == name)?;
        load.to.as_ref().map(|(id, _)| *id)
    }
}

struct Member {
    id: Id,
    /// The folder it was found in.
    origin: String,
    loader: Option<usize>,
}

struct Loader<'a> {
    search: &'a Search<'a>,
    dialect: Dialect,
    linker: Option<Id>,
    root: Id,
    members: Vec<Member>,
    /// By whatever name it would be taken to be there already.
    names: HashMap<String, Place>,
    loads: Vec<Load>,
}

impl<'a> Loader<'a> {
    fn new(root: Id, search: &'a Search<'a>) -> Self {
        let (dialect, linker) = search.linker(root);
        let (members, names, loads) = Default::default();
        let mut loader = Self { search, dialect, linker, root, members, names, loads };
        let own = format!("/{}", search.system.object(root).path);
        if let (Dialect::Glibc, Some(linker)) = (dialect, linker) {
            let object = search.system.object(linker);
            let path = object.elf.soname.clone().into_iter().chain(search.system.object(root).elf.interpreter.clone());
            let place: Place = (linker, format!("/{}", object.path).into());
            loader.names.extend(path.map(|name| (name, place.clone())));
        }
        loader.enter((root, own.into()), None, None);
        loader
    }

    /// Programs get what the environment says first.
    fn preload(&mut self) {
        let object = self.search.system.object(self.root);
        if object.elf.kind == ElfKind::Program && !object.is_privileged {
            for name in &self.search.system.preload {
                self.load(name, 0);
            }
        }
    }

    fn load_needed(&mut self, index: usize) {
        let system = self.search.system;
        for name in &system.object(self.members[index].id).elf.needed {
            self.load(name, index);
        }
    }

    fn load(&mut self, name: &str, by: usize) {
        let known = self.names.get(name).cloned();
        let to = known.or_else(|| self.search.find(name, &self.asker(by)));
        if let Some(place) = &to {
            self.enter(place.clone(), Some(name), Some(by));
        }
        self.loads.push(Load { by: self.members[by].id, name: name.to_owned(), to });
    }

    fn enter(&mut self, place: Place, name: Option<&str>, loader: Option<usize>) {
        let soname = self.search.system.object(place.0).elf.soname.as_deref();
        let soname = soname.filter(|_| self.dialect == Dialect::Glibc);
        for name in name.into_iter().chain(soname) {
            if !self.names.contains_key(name) {
                self.names.insert(name.to_owned(), place.clone());
            }
        }
        if !self.members.iter().any(|member| member.id == place.0) {
            let origin = place.1.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned();
            self.members.push(Member { id: place.0, origin, loader });
        }
    }

    fn asker(&self, by: usize) -> Asker<'_> {
        let root = self.search.system.object(self.root);
        let members = std::iter::successors(Some(by), |index| self.members[*index].loader);
        let chain = members.map(|index| (self.members[index].id, &*self.members[index].origin)).collect();
        Asker {
            dialect: self.dialect,
            abi: root.elf.abi,
            linker: self.linker,
            is_privileged: root.is_privileged,
            chain,
        }
    }

    fn finish(self) -> Closure {
        let mut members: Vec<Id> = self.members.into_iter().map(|member| member.id).collect();
        // musl's linker is the C library too, and always there.
        members.extend(self.linker.filter(|linker| self.dialect == Dialect::Musl && !members.contains(linker)));
        let interpreter = self.search.system.object(self.root).elf.interpreter.clone();
        let missing_linker = interpreter.filter(|_| self.linker.is_none());
        Closure {
            root: self.root,
            dialect: self.dialect,
            missing_linker,
            linker: self.linker,
            members,
            loads: self.loads,
        }
    }
}

//! An image's programs and libraries, and what is loaded with each.

use std::collections::BTreeSet;

use patchkit_core::{Context, Image, Platform, Result, image::FilePath};

use super::{
    closure::Closure,
    collect::Layers,
    elf::{Elf, ElfKind},
    fault::{Fault, Faults, Problem, Root},
    link::Index,
    report::LoadReport,
    search::{self, Asker, Search},
    system::{Id, System},
};

/// What the processor is taken to have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadOptions {
    /// Levels, the best first, by their names below `glibc-hwcaps`: `x86-64-v3`. Without any, what is found is what
    /// every processor of the machine finds.
    pub levels: Vec<String>,
}

impl LoadOptions {
    /// The same, for a processor that has this level too, which is less than those named before.
    #[must_use]
    pub fn with_level(mut self, level: impl Into<String>) -> Self {
        self.levels.push(level.into());
        self
    }
}

/// An image's programs and libraries, and what is loaded with each. Nothing was executed to find out.
#[derive(Debug)]
pub struct Linkage {
    pub(super) system: System,
    /// One for each object, in their order, which is that of the paths.
    pub(super) closures: Vec<Closure>,
    platform: Platform,
    faults: Vec<Fault>,
    notes: Vec<String>,
}

/// That a file needed something by some name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded<'a> {
    /// The file.
    pub by: &'a FilePath,
    /// The name.
    pub name: &'a str,
    /// The path under which it was found, absolute; `None` where it was not.
    pub path: Option<&'a str>,
}

impl Linkage {
    /// Reads an image: each layer once for its names and, unless it was read before, once for its ELF files.
    ///
    /// # Errors
    /// As [`Image::files`].
    pub async fn read(image: &Image, layers: &mut Layers, options: &LoadOptions, cx: &Context) -> Result<Self> {
        let system = System::read(image, layers, cx).await?;
        let (platform, options) = (image.platform().clone(), options.clone());
        let link = move || Self::link(system, platform, &options);
        let done = tokio::task::spawn_blocking(link).await;
        Ok(done.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic())))
    }

    fn link(system: System, platform: Platform, options: &LoadOptions) -> Self {
        let search = Search::new(&system, &options.levels);
        let closures: Vec<_> = system.ids().map(|root| Closure::of(root, &search)).collect();
        let faults = faults(&system, &closures);
        let mut notes = system.notes.clone();
        notes.extend(search::stale_cache(&system, &defaults(&search)));
        Self { system, closures, platform, faults, notes }
    }

    /// The paths of all programs, sorted.
    pub fn programs(&self) -> impl Iterator<Item = &FilePath> {
        self.of_kind(ElfKind::Program)
    }

    /// The paths of all libraries, sorted.
    pub fn libraries(&self) -> impl Iterator<Item = &FilePath> {
        self.of_kind(ElfKind::Library)
    }

    fn of_kind(&self, kind: ElfKind) -> impl Iterator<Item = &FilePath> {
        self.system.objects.iter().filter(move |object| object.elf.kind == kind).map(|object| &object.path)
    }

    /// What the file at a path, or where it leads to, is to a linker.
    #[must_use]
    pub fn elf(&self, path: &FilePath) -> Option<&Elf> {
        self.system.at(path).map(|id| &*self.system.object(id).elf)
    }

    /// What is loaded with a program or library, in order; nothing for what is none.
    pub fn loaded(&self, path: &FilePath) -> impl Iterator<Item = Loaded<'_>> {
        let closure = self.system.at(path).map(|id| &self.closures[id as usize]);
        closure.into_iter().flat_map(|closure| &closure.loads).map(|load| Loaded {
            by: &self.system.object(load.by).path,
            name: &load.name,
            path: load.to.as_ref().map(|(_, path)| &**path),
        })
    }

    /// Everything that is missing, sorted by file.
    #[must_use]
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }

    /// What is odd and breaks nothing, such as a cache that is not up to date.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The programs that load one of the given files, or are one; their linker counts too. Sorted.
    #[must_use]
    pub fn touched_by<'a>(&self, paths: impl IntoIterator<Item = &'a FilePath>) -> BTreeSet<FilePath> {
        let changed: BTreeSet<Id> = paths.into_iter().filter_map(|path| self.system.at(path)).collect();
        self.touched(&changed, ElfKind::Program).cloned().collect()
    }

    /// Those of a kind that load one of the objects, or are one.
    pub(super) fn touched<'a>(
        &'a self,
        changed: &'a BTreeSet<Id>,
        kind: ElfKind,
    ) -> impl Iterator<Item = &'a FilePath> {
        let of_kind = self.closures.iter().filter(move |it| self.system.object(it.root).elf.kind == kind);
        let touched = of_kind.filter(move |it| {
            it.members.iter().any(|id| changed.contains(id)) || it.linker.is_some_and(|id| changed.contains(&id))
        });
        touched.map(|closure| &self.system.object(closure.root).path)
    }

    /// What was found, to print and to keep.
    #[must_use]
    pub fn report(&self) -> LoadReport {
        let (left, faults) = self.faults.iter().cloned().partition(Fault::is_left_to_hosts);
        LoadReport {
            platform: self.platform.to_string(),
            programs: self.programs().count(),
            libraries: self.libraries().count(),
            faults,
            left_to_hosts: left,
            notes: self.notes.clone(),
        }
    }
}

fn faults(system: &System, closures: &[Closure]) -> Vec<Fault> {
    let index = Index::of(system);
    let mut faults = Faults::default();
    for (path, reason) in &system.damaged {
        let problem = Problem::Damaged { reason: reason.clone() };
        faults.add(path.to_string(), problem, (Root::Library, path.to_string()));
    }
    for closure in closures {
        let root = system.object(closure.root);
        let kind = if root.elf.kind == ElfKind::Program { Root::Program } else { Root::Library };
        let mut add = |file: Id, problem| {
            faults.add(system.object(file).path.to_string(), problem, (kind, root.path.to_string()));
        };
        if let Some(interpreter) = closure.missing_linker.clone() {
            add(closure.root, Problem::Interpreter { interpreter });
        }
        for load in closure.loads.iter().filter(|load| load.to.is_none()) {
            add(load.by, Problem::Library { library: load.name.clone() });
        }
        index.missing(closure).into_iter().for_each(|(file, problem)| add(file, problem));
    }
    faults.finish()
}

/// The default folders of all linkers.
fn defaults(search: &Search<'_>) -> Vec<String> {
    let mut folders = BTreeSet::new();
    for id in search.system.ids() {
        let (dialect, linker) = search.linker(id);
        let abi = search.system.object(id).elf.abi;
        let asker = Asker { dialect, abi, linker, is_privileged: false, chain: Vec::new() };
        folders.extend(search.default_folders(&asker));
    }
    folders.into_iter().collect()
}

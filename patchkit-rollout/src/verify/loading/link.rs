//! Whether the versions and symbols that are needed are in what is loaded, as if everything were bound at once.
//!
//! Source: `match_symbol` in `elf/dl-version.c`, `check_match` and `do_lookup_x` in `elf/dl-lookup.c` of glibc 2.41;
//! `find_sym` in `ldso/dynlink.c` of musl 1.2.

use std::{
    cell::RefCell,
    collections::{HashMap, HashSet},
    rc::Rc,
};

use super::{
    closure::Closure,
    elf::{Binding, Elf, Symbol},
    fault::Problem,
    search::Dialect,
    system::{Id, System},
};

/// Which object defines what anyone needs.
pub(super) struct Index<'a> {
    system: &'a System,
    definers: HashMap<&'a str, Vec<(Id, Symbol<'a>)>>,
    /// The needs of an object, once they were asked for.
    needs: RefCell<HashMap<(Id, Dialect), Needs<'a>>>,
}

/// All that an object needs.
type Needs<'a> = Rc<Vec<Need<'a>>>;

/// A symbol that has to be found, and the objects that could provide it.
struct Need<'a> {
    symbol: Symbol<'a>,
    providers: Vec<Id>,
}

impl<'a> Index<'a> {
    pub(super) fn of(system: &'a System) -> Self {
        let mut wanted: HashSet<&str> = HashSet::new();
        for object in &system.objects {
            wanted.extend(object.elf.imports().filter(must_be_found).map(|symbol| symbol.name));
        }
        let mut definers: HashMap<&str, Vec<(Id, Symbol<'_>)>> = HashMap::with_capacity(wanted.len());
        for id in system.ids() {
            for symbol in system.object(id).elf.exports().filter(|symbol| wanted.contains(symbol.name)) {
                definers.entry(symbol.name).or_default().push((id, symbol));
            }
        }
        Self { system, definers, needs: RefCell::default() }
    }

    /// What is missing in a closure: which object misses what.
    pub(super) fn missing(&self, closure: &Closure) -> Vec<(Id, Problem)> {
        let mut missing = self.missing_versions(closure);
        let mut in_scope = vec![false; self.system.objects.len()];
        closure.members.iter().for_each(|id| in_scope[*id as usize] = true);
        for id in &closure.members {
            let needs = self.needs(*id, closure.dialect);
            let unmet = needs.iter().filter(|need| !need.providers.iter().any(|id| in_scope[*id as usize]));
            missing.extend(unmet.map(|need| (*id, undefined(&need.symbol))));
        }
        missing
    }

    fn missing_versions(&self, closure: &Closure) -> Vec<(Id, Problem)> {
        let mut missing = Vec::new();
        if closure.dialect == Dialect::Musl {
            return missing;
        }
        for id in &closure.members {
            for (library, version) in self.system.object(*id).elf.needed_versions().filter(|(_, version)| !version.weak)
            {
                let Some(provider) = self.provider(closure, library) else { continue };
                let elf = &self.system.object(provider).elf;
                // A library without versions is taken for one from before it had any.
                if elf.is_versioned() && !elf.defines_version(&version.name) {
                    let (library, version) = (library.to_owned(), version.name.clone());
                    missing.push((*id, Problem::Version { library, version }));
                }
            }
        }
        missing
    }

    fn provider(&self, closure: &Closure, library: &str) -> Option<Id> {
        let is_called_so = |id: &&Id| self.system.object(**id).elf.soname.as_deref() == Some(library);
        closure.named(library).or_else(|| closure.members.iter().find(is_called_so).copied())
    }

    fn needs(&self, id: Id, dialect: Dialect) -> Needs<'a> {
        if let Some(needs) = self.needs.borrow().get(&(id, dialect)) {
            return needs.clone();
        }
        let imports = self.system.object(id).elf.imports().filter(must_be_found);
        let needs = Rc::new(imports.map(|symbol| self.need(symbol, dialect)).collect::<Vec<_>>());
        self.needs.borrow_mut().insert((id, dialect), needs.clone());
        needs
    }

    fn need(&self, symbol: Symbol<'a>, dialect: Dialect) -> Need<'a> {
        let definers = self.definers.get(symbol.name).into_iter().flatten();
        let fits =
            |(id, definition): &&(Id, Symbol<'_>)| accepts(dialect, &self.system.object(*id).elf, definition, &symbol);
        let mut providers: Vec<Id> = definers.filter(fits).map(|(id, _)| *id).collect();
        providers.dedup();
        Need { symbol, providers }
    }
}

fn must_be_found(symbol: &Symbol<'_>) -> bool {
    symbol.binding != Binding::Weak
}

fn undefined(symbol: &Symbol<'_>) -> Problem {
    Problem::Symbol {
        symbol: symbol.name.to_owned(),
        version: symbol.version.map(|version| version.name.clone()),
        library: symbol.version.and_then(|version| version.library.clone()),
    }
}

/// Whether a linker takes a definition for a need of the same name.
fn accepts(dialect: Dialect, definer: &Elf, definition: &Symbol<'_>, need: &Symbol<'_>) -> bool {
    if dialect == Dialect::Musl {
        return !definition.hidden;
    }
    if !definer.is_versioned() {
        return true;
    }
    let own = definition.version.filter(|version| version.library.is_none() && !version.base);
    match (need.version, own) {
        (Some(wanted), Some(own)) => own.name == wanted.name,
        (Some(wanted), None) => !wanted.exact && !definition.hidden,
        // Who was linked before there were versions gets the first.
        (None, _) => definition.index < 3 || !definition.hidden,
    }
}

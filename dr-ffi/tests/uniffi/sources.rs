//! The core's public types as its sources have them, and the rows of the table.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use syn::{Expr, Item, UseTree};

/// A public struct or enum.
pub(crate) struct Defined {
    /// The module of the core that is its door: `toolkit`.
    pub(crate) door: String,
    pub(crate) file: PathBuf,
    pub(crate) item: Item,
}

/// A row of the table.
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) summary: String,
    pub(crate) request: String,
    pub(crate) answer: String,
}

pub(crate) struct Sources {
    core: PathBuf,
    table: PathBuf,
    files: BTreeMap<PathBuf, syn::File>,
    types: BTreeMap<String, Vec<Defined>>,
}

impl Sources {
    pub(crate) fn read(core: &Path) -> Self {
        let table = core.join("toolkit/call/table.rs");
        let mut sources =
            Self { core: core.to_owned(), table, files: BTreeMap::new(), types: BTreeMap::new() };
        sources.walk(core, core);
        sources
    }

    fn walk(&mut self, core: &Path, directory: &Path) {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                self.walk(core, &path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let door = path.strip_prefix(core).unwrap().iter().next().unwrap().to_string_lossy();
                let door = door.trim_end_matches(".rs").to_owned();
                let file = syn::parse_file(&std::fs::read_to_string(&path).unwrap()).unwrap();
                self.take_up(&door, &path, &file);
                self.files.insert(path, file);
            }
        }
    }

    fn take_up(&mut self, door: &str, path: &Path, file: &syn::File) {
        for item in &file.items {
            let made = match item {
                Item::Macro(of) if of.mac.path.is_ident("name") => Some(name_made_by(of)),
                _ => None,
            };
            let item = made.as_ref().unwrap_or(item);
            let (name, visible) = match item {
                Item::Struct(of) => (&of.ident, &of.vis),
                Item::Enum(of) => (&of.ident, &of.vis),
                _ => continue,
            };
            if matches!(visible, syn::Visibility::Public(_)) {
                let defined = Defined { door: door.to_owned(), file: path.to_owned(), item: item.clone() };
                self.types.entry(name.to_string()).or_default().push(defined);
            }
        }
    }

    /// What a name stands for in a file.
    pub(crate) fn find(&self, name: &str, within: &Path) -> Option<&Defined> {
        let all = self.types.get(name)?;
        if let [only] = all.as_slice() {
            return Some(only);
        }
        if let Some(here) = all.iter().find(|defined| defined.file == within) {
            return Some(here);
        }
        let uses = self.files[within].items.iter().filter_map(|item| match item {
            Item::Use(of) => Some(&of.tree),
            _ => None,
        });
        let door = uses.filter_map(|tree| door_of(name, tree, None)).next();
        let own = all.iter().find(|defined| defined.file.parent() == within.parent());
        let found = door.and_then(|door| all.iter().find(|defined| defined.door == door)).or(own);
        Some(found.unwrap_or_else(|| panic!("which {name} is meant in {}?", within.display())))
    }

    /// By which path others than the core name a type: by the first door, from the root on, that has it.
    pub(crate) fn path(&self, name: &str, defined: &Defined) -> String {
        let below = defined.file.strip_prefix(&self.core).unwrap().with_extension("");
        let modules: Vec<String> = below
            .iter()
            .map(|part| part.to_string_lossy().into_owned())
            .filter(|part| part != "mod")
            .collect();
        for depth in 0..=modules.len() {
            let door = &modules[..depth];
            let file = self.core.join(door.join("/"));
            let file = match depth {
                0 => self.core.join("lib.rs"),
                _ if self.files.contains_key(&file.join("mod.rs")) => file.join("mod.rs"),
                _ => file.with_extension("rs"),
            };
            let shows = |item: &Item| match item {
                Item::Use(of) => matches!(of.vis, syn::Visibility::Public(_)) && shown(name, &of.tree),
                _ => false,
            };
            if file == defined.file || self.files[&file].items.iter().any(shows) {
                return [&["dr_core".to_owned()], door].concat().join("::");
            }
        }
        panic!("{name} is behind no door");
    }

    pub(crate) fn table(&self) -> &Path {
        &self.table
    }

    /// The rows of the table, as its source has them.
    pub(crate) fn rows(&self) -> Vec<Row> {
        let table = self.files[&self.table].items.iter().find_map(|item| match item {
            Item::Const(of) if of.ident == "OPERATIONS" => Some(&*of.expr),
            _ => None,
        });
        let Some(Expr::Reference(list)) = table else { panic!("the table is no reference") };
        let Expr::Array(list) = &*list.expr else { panic!("the table is no list") };
        list.elems.iter().map(row).collect()
    }
}

/// `name!(HostId, check)` makes a text with a check of its own.
fn name_made_by(of: &syn::ItemMacro) -> Item {
    let mut tokens = of.mac.tokens.clone().into_iter();
    let name = tokens.find(|token| matches!(token, proc_macro2::TokenTree::Ident(_))).unwrap();
    syn::parse_str(&format!("#[serde(try_from = \"String\")] pub struct {name}(String);")).unwrap()
}

fn row(of: &Expr) -> Row {
    let Expr::Call(call) = of else { panic!("a row is no call") };
    let Expr::Path(function) = &*call.func else { panic!("a row calls no function") };
    let syn::PathArguments::AngleBracketed(types) = &function.path.segments.last().unwrap().arguments else {
        panic!("a row has no types")
    };
    let types: Vec<String> = types
        .args
        .iter()
        .map(|argument| match argument {
            syn::GenericArgument::Type(syn::Type::Path(path)) => {
                path.path.segments.last().unwrap().ident.to_string()
            }
            _ => panic!("a row has something else than types"),
        })
        .collect();
    let texts: Vec<String> = call
        .args
        .iter()
        .map(|argument| match argument {
            Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }) => text.value(),
            _ => panic!("a row has something else than texts"),
        })
        .collect();
    let ([request, answer], [name, _, summary]) = (types.as_slice(), texts.as_slice()) else {
        panic!("a row has other columns than these")
    };
    Row { name: name.clone(), summary: summary.clone(), request: request.clone(), answer: answer.clone() }
}

fn shown(name: &str, tree: &UseTree) -> bool {
    match tree {
        UseTree::Path(path) => shown(name, &path.tree),
        UseTree::Group(group) => group.items.iter().any(|tree| shown(name, tree)),
        UseTree::Name(of) => of.ident == name,
        _ => false,
    }
}

/// Behind which door of the core a `use` finds a name: `mirror` for `use crate::mirror::{Summary, Verdict}`.
fn door_of(name: &str, tree: &UseTree, door: Option<&str>) -> Option<String> {
    match tree {
        UseTree::Path(path) if path.ident == "crate" => door_of(name, &path.tree, None),
        UseTree::Path(path) => {
            let own = path.ident.to_string();
            door_of(name, &path.tree, Some(door.unwrap_or(&own)))
        }
        UseTree::Group(group) => group.items.iter().find_map(|tree| door_of(name, tree, door)),
        UseTree::Name(of) if of.ident == name => door.map(str::to_owned),
        _ => None,
    }
}

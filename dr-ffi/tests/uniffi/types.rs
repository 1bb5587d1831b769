//! What each type of the core is beyond the boundary, found by following the table's types to their ends.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use quote::ToTokens as _;
use syn::{Attribute, Fields, Item, Type};

use crate::sources::{Defined, Sources};

/// Documents with a schema of their own, which are kept, shown and handed back whole: they travel as their JSON.
const DOCUMENTS: &[&str] = &["Estate", "Inventory", "Plan"];

/// What the standard library has: texts to everybody else.
const TEXTS: &[(&str, &str)] = &[
    ("PathBuf", "std::path::PathBuf"),
    ("IpAddr", "std::net::IpAddr"),
    ("SocketAddr", "std::net::SocketAddr"),
    ("Value", "serde_json::Value"),
];

/// What stands for itself.
const PLAIN: &[&str] = &["String", "bool", "u8", "u16", "u32", "u64", "i32", "i64", "f64"];

/// How a type crosses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Crosses {
    /// As the core's own type.
    Remote,
    /// As a copy that is read from JSON, for the core's own cannot be made outside of it: a proof.
    Copy,
    /// As its text, or its JSON where it is none.
    Text,
}

/// Everything that the interface speaks of.
#[derive(Default)]
pub(crate) struct Found<'a> {
    /// Types of the core by the name they have beyond the boundary.
    pub(crate) types: BTreeMap<String, (&'a Defined, Crosses)>,
    /// Collections that uniffi does not know: the name, the core's type, and what it crosses as.
    pub(crate) collections: BTreeMap<String, (String, String)>,
    /// What of the standard library crosses as a text.
    pub(crate) texts: BTreeSet<&'static str>,
    names: BTreeMap<(PathBuf, String), String>,
}

/// Follows names as `within` has them, and everything below them.
pub(crate) fn follow<'a>(sources: &'a Sources, names: &[String], within: &Path) -> Found<'a> {
    let mut found = Found::default();
    for name in names {
        found.name(sources, name, within);
    }
    found
}

impl<'a> Found<'a> {
    /// What a type is called beyond the boundary; it is followed when it is first met.
    fn name(&mut self, sources: &'a Sources, name: &str, within: &Path) -> String {
        let defined = sources.find(name, within).unwrap_or_else(|| panic!("nothing is called {name}"));
        let key = (defined.file.clone(), name.to_owned());
        if let Some(known) = self.names.get(&key) {
            return known.clone();
        }
        let taken = self.types.contains_key(name);
        let called = if taken { format!("{}{name}", capital(&defined.door)) } else { name.to_owned() };
        self.names.insert(key, called.clone());
        let crosses = crosses(name, &defined.item);
        self.types.insert(called.clone(), (defined, crosses));
        if matches!(crosses, Crosses::Remote | Crosses::Copy) {
            for field in fields(&defined.item) {
                self.spelled(sources, &field.ty, &defined.file);
            }
        }
        called
    }

    /// A type of a field as the interface spells it.
    pub(crate) fn spelled(&mut self, sources: &'a Sources, of: &Type, within: &Path) -> String {
        let Type::Path(path) = of else { panic!("{}: a type that cannot cross", of.to_token_stream()) };
        let last = path.path.segments.last().unwrap();
        let name = last.ident.to_string();
        let mut inner = vec![];
        if let syn::PathArguments::AngleBracketed(arguments) = &last.arguments {
            for argument in &arguments.args {
                if let syn::GenericArgument::Type(of) = argument {
                    inner.push(self.spelled(sources, of, within));
                }
            }
        }
        match (name.as_str(), inner.as_slice()) {
            ("Vec" | "Option" | "Box", [of]) => format!("{name}<{of}>"),
            ("BTreeSet", [of]) => {
                self.collection(format!("{}Set", flat(of)), format!("BTreeSet<{of}>"), format!("Vec<{of}>"))
            }
            ("BTreeMap", [by, of]) => {
                let called = format!("{}By{}", flat(of), flat(by));
                self.collection(called, format!("BTreeMap<{by}, {of}>"), format!("HashMap<{by}, {of}>"))
            }
            (plain, []) if PLAIN.contains(&plain) => name,
            ("usize", []) => self.collection("Count".to_owned(), "usize".to_owned(), "u64".to_owned()),
            (text, []) if TEXTS.iter().any(|known| known.0 == text) => {
                let known = TEXTS.iter().find(|known| known.0 == text).unwrap();
                self.texts.insert(known.1);
                name
            }
            (_, []) => self.name(sources, &name, within),
            _ => panic!("{}: a type that cannot cross", of.to_token_stream()),
        }
    }

    fn collection(&mut self, called: String, of: String, crosses: String) -> String {
        self.collections.insert(called.clone(), (of, crosses));
        called
    }

    /// Whether a field of this spelling may be left out where the core has a default for it: what it is then is nothing, everywhere.
    pub(crate) fn may_be_left_out(&self, spelled: &str) -> bool {
        if spelled.starts_with("Vec<") || spelled.starts_with("Option<") || PLAIN.contains(&spelled) {
            return true;
        }
        if self.collections.contains_key(spelled) {
            return true;
        }
        match self.types.get(spelled) {
            Some((defined, Crosses::Remote)) => {
                matches!(&defined.item, Item::Struct(of) if said(&of.attrs, "serde", "default") && derives(&of.attrs, "Default"))
                    && fields(&defined.item).iter().all(|field| field_is_nothing(&field.ty))
            }
            _ => false,
        }
    }
}

/// Whether the default of a field of such a type is nothing at all.
fn field_is_nothing(of: &Type) -> bool {
    let text = of.to_token_stream().to_string();
    ["Vec", "Option", "BTreeMap", "BTreeSet", "bool", "String"].iter().any(|plain| text.starts_with(plain))
}

fn crosses(name: &str, item: &Item) -> Crosses {
    let (attributes, whole) = match item {
        Item::Struct(of) => (&of.attrs, matches!(of.fields, Fields::Named(_))),
        Item::Enum(of) => (&of.attrs, true),
        _ => panic!("{name} is neither a struct nor an enum"),
    };
    let by_hand = ["try_from", "into", "from", "transparent", "untagged"]
        .iter()
        .any(|how| said(attributes, "serde", how));
    if DOCUMENTS.contains(&name) || !whole || by_hand || !derives(attributes, "Serialize") {
        return Crosses::Text;
    }
    let open = match item {
        Item::Struct(of) => {
            of.fields.iter().all(|field| matches!(field.vis, syn::Visibility::Public(_)))
                && !is(attributes, "non_exhaustive")
        }
        _ => true,
    };
    if open && derives(attributes, "Deserialize") { Crosses::Remote } else { Crosses::Copy }
}

/// The fields of a struct, or of all cases of an enum.
pub(crate) fn fields(item: &Item) -> Vec<&syn::Field> {
    match item {
        Item::Struct(of) => of.fields.iter().collect(),
        Item::Enum(of) => of.variants.iter().flat_map(|case| &case.fields).collect(),
        _ => vec![],
    }
}

pub(crate) fn is(attributes: &[Attribute], name: &str) -> bool {
    attributes.iter().any(|attribute| attribute.path().is_ident(name))
}

pub(crate) fn derives(attributes: &[Attribute], what: &str) -> bool {
    said(attributes, "derive", what)
}

/// Whether an attribute has this word in it.
pub(crate) fn said(attributes: &[Attribute], name: &str, word: &str) -> bool {
    attributes.iter().filter(|attribute| attribute.path().is_ident(name)).any(|attribute| {
        let text = attribute.meta.to_token_stream().to_string();
        text.split(|c: char| !c.is_alphanumeric() && c != '_').any(|said| said == word)
    })
}

pub(crate) fn capital(word: &str) -> String {
    word.split('_').map(|part| part[..1].to_uppercase() + &part[1..]).collect()
}

/// `Vec<RecordKey>` as a part of a name.
fn flat(spelled: &str) -> String {
    match spelled.strip_prefix("Vec<") {
        Some(rest) => format!("{}List", rest.trim_end_matches('>')),
        None => capital(spelled),
    }
}

//! The two files, as rustfmt would have them.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use quote::ToTokens as _;
use syn::{Attribute, Fields, Item};

use crate::sources::{Defined, Row, Sources};
use crate::types::{Crosses, Found, derives, follow, is, said};

const MADE: &str = "// Made from the table of operations and the types it names: DR_BLESS=1 cargo test -p dr-ffi --test uniffi\n";

/// A method for each row of the table.
pub(crate) fn operations(rows: &[Row]) -> String {
    let mut text = format!("{MADE}//! The operations, each with its own types.\n\nuse std::sync::Arc;\n\n");
    text.push_str("use super::call::{CancelToken, Listener};\nuse super::error::DrError;\n");
    text.push_str(
        "use super::records::*;\nuse super::toolkit::Toolkit;\n\n#[uniffi::export]\nimpl Toolkit {\n",
    );
    for (number, row) in rows.iter().enumerate() {
        if number > 0 {
            text.push('\n');
        }
        let Row { name, summary, request, answer } = row;
        let mut summary = summary.clone();
        summary[..1].make_ascii_uppercase();
        write!(
            text,
            "    /// {summary}.\n    #[uniffi::method(default(progress = None, cancel = None))]\n    \
             pub async fn {name}(\n        &self,\n        request: {request},\n        progress: Option<Arc<dyn Listener>>,\n        \
             cancel: Option<Arc<CancelToken>>,\n    ) -> Result<{answer}, DrError> {{\n        \
             self.typed(\"{name}\", request, progress, cancel).await\n    }}\n"
        )
        .unwrap();
    }
    text.push_str("}\n");
    text
}

/// Every type that those methods speak of, and those of settings, events and errors.
pub(crate) fn records(sources: &Sources, rows: &[Row]) -> String {
    let named: Vec<String> = rows.iter().flat_map(|row| [row.request.clone(), row.answer.clone()]).collect();
    let beside = ["ToolkitSettings", "Event", "ErrorKind"].map(str::to_owned);
    let mut found = follow(sources, &[&named[..], &beside[..]].concat(), sources.table());
    let mut body = String::new();
    let types: Vec<_> = found.types.iter().map(|(name, of)| (name.clone(), *of)).collect();
    for (name, (defined, crosses)) in &types {
        match crosses {
            Crosses::Text => writeln!(body, "\ntext!({name});").unwrap(),
            Crosses::Remote | Crosses::Copy => {
                body.push_str(&declared(sources, &mut found, name, defined, *crosses));
            }
        }
    }
    for path in &found.texts {
        writeln!(body, "\ntext!({});", path.rsplit("::").next().unwrap()).unwrap();
    }
    let mut text = format!("{MADE}//! The types of requests and answers.\n\n");
    let mut uses = BTreeSet::from(["use std::collections::{BTreeMap, BTreeSet, HashMap};".to_owned()]);
    uses.extend(found.texts.iter().map(|path| format!("use {path};")));
    for (name, (defined, crosses)) in &types {
        if *crosses != Crosses::Copy {
            let of = bare(defined);
            let called = if of == *name { of } else { format!("{of} as {name}") };
            uses.insert(format!("pub(super) use {}::{called};", sources.path(&bare(defined), defined)));
        }
    }
    // As rustfmt sorts them: by the path, whoever may see it.
    let mut uses: Vec<String> = uses.into_iter().collect();
    uses.sort_by_key(|line| line.trim_start_matches("pub(super) ").replace("::{", "::"));
    text.push_str(&uses.join("\n"));
    text.push_str("\n\nuse super::types::text;\n");
    for (name, (of, crosses)) in &found.collections {
        write!(
            text,
            "\ntype {name} = {of};\nuniffi::custom_type!({name}, {crosses}, {{\n    remote,\n    lower: |all| {},\n    try_lift: |all| {},\n}});\n",
            if of == "usize" { "all as u64" } else { "all.into_iter().collect()" },
            if of == "usize" { "Ok(usize::try_from(all)?)" } else { "Ok(all.into_iter().collect())" },
        )
        .unwrap();
    }
    text + &body
}

fn bare(defined: &Defined) -> String {
    match &defined.item {
        Item::Struct(of) => of.ident.to_string(),
        Item::Enum(of) => of.ident.to_string(),
        _ => unreachable!("only these are found"),
    }
}

fn declared<'a>(
    sources: &'a Sources,
    found: &mut Found<'a>,
    name: &str,
    defined: &'a Defined,
    crosses: Crosses,
) -> String {
    let attributes = match &defined.item {
        Item::Struct(of) => &of.attrs,
        Item::Enum(of) => &of.attrs,
        _ => unreachable!("only these are found"),
    };
    let (kind, word) = match defined.item {
        Item::Struct(_) => ("Record", "struct"),
        _ => ("Enum", "enum"),
    };
    let mut text = format!("\n{}", docs(attributes, "", true));
    match crosses {
        Crosses::Copy => {
            writeln!(text, "#[derive(Clone, Debug, serde::Deserialize, uniffi::{kind})]").unwrap();
        }
        _ => writeln!(text, "#[uniffi::remote({kind})]").unwrap(),
    }
    if is(attributes, "non_exhaustive") && crosses == Crosses::Remote {
        text.push_str("#[non_exhaustive]\n");
    }
    if crosses == Crosses::Copy {
        text.push_str(&serde(attributes, ""));
    }
    writeln!(text, "pub {word} {name} {{").unwrap();
    match &defined.item {
        Item::Struct(of) => {
            let all = said(&of.attrs, "serde", "default") && derives(&of.attrs, "Default");
            for field in &of.fields {
                let spelled = found.spelled(sources, &field.ty, &defined.file);
                text.push_str(&docs(&field.attrs, "    ", false));
                if crosses == Crosses::Copy {
                    text.push_str(&serde(&field.attrs, "    "));
                } else if let Some(default) = default(found, field, &spelled, all) {
                    writeln!(text, "    #[uniffi({default})]").unwrap();
                }
                writeln!(text, "    pub {}: {spelled},", field.ident.as_ref().unwrap()).unwrap();
            }
        }
        Item::Enum(of) => {
            for case in &of.variants {
                text.push_str(&docs(&case.attrs, "    ", false));
                text.push_str(&variant(sources, found, case, defined));
            }
        }
        _ => {}
    }
    text.push_str("}\n");
    text
}

fn variant<'a>(
    sources: &'a Sources,
    found: &mut Found<'a>,
    case: &syn::Variant,
    defined: &'a Defined,
) -> String {
    let name = &case.ident;
    match &case.fields {
        Fields::Unit => format!("    {name},\n"),
        Fields::Unnamed(of) => {
            let all: Vec<String> =
                of.unnamed.iter().map(|field| found.spelled(sources, &field.ty, &defined.file)).collect();
            format!("    {name}({}),\n", all.join(", "))
        }
        Fields::Named(of) => {
            let mut text = format!("    {name} {{\n");
            for field in &of.named {
                let spelled = found.spelled(sources, &field.ty, &defined.file);
                text.push_str(&docs(&field.attrs, "        ", false));
                writeln!(text, "        {}: {spelled},", field.ident.as_ref().unwrap()).unwrap();
            }
            text + "    },\n"
        }
    }
}

fn default(found: &Found<'_>, field: &syn::Field, spelled: &str, all: bool) -> Option<&'static str> {
    if said(&field.attrs, "serde", "yes") {
        return Some("default = true");
    }
    let optional = all || said(&field.attrs, "serde", "default");
    (optional && found.may_be_left_out(spelled)).then_some("default")
}

/// What serde needs to read a copy.
fn serde(attributes: &[Attribute], indent: &str) -> String {
    let mut text = String::new();
    if said(attributes, "serde", "skip_serializing_if") || said(attributes, "serde", "default") {
        writeln!(text, "{indent}#[serde(default)]").unwrap();
    }
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("serde")) {
        let whole = attribute.meta.to_token_stream().to_string();
        for word in ["rename", "rename_all", "tag"] {
            if let Some((_, rest)) = whole.split_once(&format!("{word} = \"")) {
                writeln!(text, "{indent}#[serde({word} = \"{}\")]", rest.split('"').next().unwrap()).unwrap();
            }
        }
    }
    text
}

/// What stands above it, without the example; of a type the first paragraph.
fn docs(attributes: &[Attribute], indent: &str, short: bool) -> String {
    let mut text = String::new();
    for attribute in attributes {
        let syn::Meta::NameValue(pair) = &attribute.meta else { continue };
        let syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(line), .. }) = &pair.value else { continue };
        let line = line.value().trim().replace("[`", "`").replace("`]", "`");
        if line.starts_with("```") || (short && line.is_empty()) {
            break;
        }
        if !pair.path.is_ident("doc") || line.is_empty() {
            continue;
        }
        writeln!(text, "{indent}/// {line}").unwrap();
    }
    text
}

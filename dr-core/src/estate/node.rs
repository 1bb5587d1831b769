//! TOML and JSON as one tree that remembers where everything stood.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::value::RawValue;
use toml::de::{DeTable, DeValue};

use super::mistake::{Path, Segment};

/// No estate is larger than this: 4 MiB.
const MAX_TEXT_BYTES: usize = 4 << 20;
/// An estate nests five deep.
const MAX_DEPTH: usize = 32;

/// A value, and where it stood.
pub(super) struct Node {
    /// Where its key begins, in bytes; its own beginning where it has none.
    key_at: usize,
    /// Where it begins, in bytes.
    pub(super) at: usize,
    pub(super) value: Value,
}

/// What both languages can say.
pub(super) enum Value {
    Null,
    Bool(bool),
    Integer(i128),
    Float,
    Date,
    Text(String),
    List(Vec<Node>),
    Table(Vec<(String, Node)>),
}

/// A text that cannot be read at all: where, and why.
pub(super) struct Unreadable {
    pub(super) at: Option<usize>,
    pub(super) message: String,
}

impl Node {
    /// A text that stood nowhere.
    pub(super) fn text(text: &str) -> Self {
        Self { key_at: 0, at: 0, value: Value::Text(text.to_owned()) }
    }

    /// Reads TOML.
    pub(super) fn from_toml(text: &str) -> Result<Self, Unreadable> {
        refuse_huge(text)?;
        let document = DeTable::parse(text).map_err(|error| Unreadable {
            at: error.span().map(|span| span.start),
            message: format!("no TOML: {}", error.message()),
        })?;
        table_of_toml(document.into_inner(), 0, 0, 0)
    }

    /// Reads JSON.
    pub(super) fn from_json(text: &str) -> Result<Self, Unreadable> {
        refuse_huge(text)?;
        let raw: &RawValue = serde_json::from_str(text).map_err(|error| json_error(&error, text, 0))?;
        of_json(raw, text, 0)
    }

    /// The value's sort, in words.
    pub(super) fn sort(&self) -> &'static str {
        match self.value {
            Value::Null => "null",
            Value::Bool(_) => "true or false",
            Value::Integer(_) => "a whole number",
            Value::Float => "a fraction",
            Value::Date => "a date (put it in quotes to make it a text)",
            Value::Text(_) => "a text",
            Value::List(_) => "a list",
            Value::Table(_) => "a table",
        }
    }

    /// Where to point for this path: at the value; for what is a table or is missing, at the key that leads nearest to it.
    pub(super) fn locate(&self, path: &Path, of_key: bool) -> usize {
        let mut here = self;
        for segment in &path.0 {
            let next = match (segment, &here.value) {
                (Segment::Key(key), Value::Table(entries)) => {
                    entries.iter().find(|entry| entry.0 == *key).map(|entry| &entry.1)
                }
                (Segment::Index(index), Value::List(items)) => items.get(*index),
                _ => None,
            };
            match next {
                Some(next) => here = next,
                None => return here.key_at,
            }
        }
        if of_key || matches!(here.value, Value::Table(_)) { here.key_at } else { here.at }
    }

    /// The keys of the table under `key`, whatever stands below them.
    pub(super) fn keys_below(&self, key: &str) -> BTreeSet<&str> {
        let Value::Table(entries) = &self.value else { return BTreeSet::new() };
        match entries.iter().find(|entry| entry.0 == key).map(|entry| &entry.1.value) {
            Some(Value::Table(below)) => below.iter().map(|entry| entry.0.as_str()).collect(),
            _ => BTreeSet::new(),
        }
    }
}

fn refuse_huge(text: &str) -> Result<(), Unreadable> {
    if text.len() <= MAX_TEXT_BYTES {
        return Ok(());
    }
    let message = format!("an estate has at most {MAX_TEXT_BYTES} bytes; this text has {}", text.len());
    Err(Unreadable { at: None, message })
}

fn refuse_deep(depth: usize, at: usize) -> Result<(), Unreadable> {
    if depth <= MAX_DEPTH {
        return Ok(());
    }
    Err(Unreadable { at: Some(at), message: format!("values nest more than {MAX_DEPTH} deep") })
}

fn table_of_toml(table: DeTable<'_>, key_at: usize, at: usize, depth: usize) -> Result<Node, Unreadable> {
    let entry = |(key, value): (toml::Spanned<toml::de::DeString<'_>>, toml::Spanned<DeValue<'_>>)| {
        let (key_at, at) = (key.span().start, value.span().start);
        let node = of_toml(value.into_inner(), key_at, at, depth + 1)?;
        Ok((key.into_inner().into_owned(), node))
    };
    let entries = table.into_iter().map(entry).collect::<Result<Vec<_>, _>>()?;
    Ok(Node { key_at, at, value: Value::Table(entries) })
}

fn of_toml(value: DeValue<'_>, key_at: usize, at: usize, depth: usize) -> Result<Node, Unreadable> {
    refuse_deep(depth, at)?;
    let value = match value {
        DeValue::String(text) => Value::Text(text.into_owned()),
        DeValue::Integer(number) => {
            let parsed = i128::from_str_radix(number.as_str(), number.radix());
            let too_large = |_| Unreadable { at: Some(at), message: "the number is too large".to_owned() };
            Value::Integer(parsed.map_err(too_large)?)
        }
        DeValue::Float(_) => Value::Float,
        DeValue::Boolean(truth) => Value::Bool(truth),
        DeValue::Datetime(_) => Value::Date,
        DeValue::Array(items) => {
            let item = |item: toml::Spanned<DeValue<'_>>| {
                let at = item.span().start;
                of_toml(item.into_inner(), at, at, depth + 1)
            };
            Value::List(items.into_iter().map(item).collect::<Result<_, _>>()?)
        }
        DeValue::Table(table) => return table_of_toml(table, key_at, at, depth),
    };
    Ok(Node { key_at, at, value })
}

/// The entries of a JSON object with their places; serde's maps would drop a key that stands twice.
struct Members<'a>(Vec<(&'a RawValue, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Visitor<'a>(std::marker::PhantomData<&'a ()>);
        impl<'de: 'a, 'a> serde::de::Visitor<'de> for Visitor<'a> {
            type Value = Members<'a>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Members<'a>, A::Error> {
                let mut members = vec![];
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        from.deserialize_map(Visitor(std::marker::PhantomData))
    }
}

fn of_json(raw: &RawValue, text: &str, depth: usize) -> Result<Node, Unreadable> {
    let at = offset(raw, text);
    refuse_deep(depth, at)?;
    let wrong = |error: serde_json::Error| json_error(&error, raw.get(), at);
    let value = match raw.get().as_bytes().first() {
        Some(b'{') => return object_of_json(raw, text, depth),
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(raw.get()).map_err(wrong)?;
            Value::List(
                items.into_iter().map(|item| of_json(item, text, depth + 1)).collect::<Result<_, _>>()?,
            )
        }
        Some(b'"') => Value::Text(serde_json::from_str(raw.get()).map_err(wrong)?),
        Some(b't' | b'f') => Value::Bool(raw.get() == "true"),
        Some(b'n') => Value::Null,
        _ => raw.get().parse().map_or(Value::Float, Value::Integer),
    };
    Ok(Node { key_at: at, at, value })
}

fn object_of_json(raw: &RawValue, text: &str, depth: usize) -> Result<Node, Unreadable> {
    let at = offset(raw, text);
    let members: Members<'_> =
        serde_json::from_str(raw.get()).map_err(|error| json_error(&error, raw.get(), at))?;
    let mut entries: Vec<(String, Node)> = vec![];
    let mut seen = BTreeSet::new();
    for (key, value) in members.0 {
        let key_at = offset(key, text);
        let name: String =
            serde_json::from_str(key.get()).map_err(|error| json_error(&error, key.get(), key_at))?;
        if !seen.insert(name.clone()) {
            let message = format!("the key '{}' stands twice", name.escape_debug());
            return Err(Unreadable { at: Some(key_at), message });
        }
        entries.push((name, Node { key_at, ..of_json(value, text, depth + 1)? }));
    }
    Ok(Node { key_at: at, at, value: Value::Table(entries) })
}

/// Where a raw value stands in the text it borrows from.
fn offset(raw: &RawValue, text: &str) -> usize {
    (raw.get().as_ptr() as usize).saturating_sub(text.as_ptr() as usize)
}

/// serde_json counts lines from 1 and columns in bytes.
fn json_error(error: &serde_json::Error, part: &str, part_at: usize) -> Unreadable {
    let line_at: usize = part.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
    let message = error.to_string();
    let without_place = message.rsplit_once(" at line ").map_or(message.as_str(), |(what, _)| what);
    Unreadable {
        at: Some(part_at + line_at + error.column().saturating_sub(1)),
        message: format!("no JSON: {without_place}"),
    }
}

//! What is wrong with an estate, where, and what was probably meant.

use std::fmt;

use serde::Serialize;

use crate::error::{Error, ErrorKind};

/// Where a mistake is: a path such as `sites.shop.home` and, in a text, line and column (both counted from 1).
///
/// ```
/// let mistakes = dr_core::Estate::from_toml("[hosts.uk]\nssh = \"root@uk\"\nadress = []\n").unwrap_err();
/// let place = &mistakes.list[0].place;
/// assert_eq!((place.path.as_str(), place.line, place.column), ("hosts.uk.adress", Some(3), Some(1)));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The keys that lead there, as TOML writes them.
    pub path: String,
    /// The line, where the estate was a text.
    pub line: Option<u32>,
    /// The column in characters, where the estate was a text.
    pub column: Option<u32>,
}

/// One thing that is wrong with an estate.
///
/// ```
/// let mistakes = dr_core::Estate::from_toml("polici = {}").unwrap_err();
/// assert_eq!(mistakes.list[0].to_string(), "1:1: polici: unknown key; did you mean 'policy'?");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Mistake {
    /// Where.
    pub place: Place,
    /// What, in lower case without a full stop.
    pub message: String,
    /// What was probably meant.
    pub suggestion: Option<String>,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let (Some(line), Some(column)) = (self.place.line, self.place.column) {
            write!(f, "{line}:{column}: ")?;
        }
        if !self.place.path.is_empty() {
            write!(f, "{}: ", self.place.path)?;
        }
        f.write_str(&self.message)?;
        match &self.suggestion {
            Some(meant) => write!(f, "; did you mean '{meant}'?"),
            None => Ok(()),
        }
    }
}

/// Everything that is wrong with an estate, in the order of the text. Displayed one a line, as a compiler does.
///
/// ```
/// let mistakes = dr_core::Estate::from_toml("a = 1\nb = 2\n").unwrap_err().named("dr.toml");
/// assert_eq!(mistakes.to_string(), "dr.toml:1:1: a: unknown key\ndr.toml:2:1: b: unknown key");
/// let error: dr_core::Error = mistakes.into();
/// assert_eq!(error.kind(), dr_core::ErrorKind::Usage);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[must_use]
pub struct Mistakes {
    /// What was read, if it has a name: a file.
    pub file: Option<String>,
    /// The mistakes; never empty.
    pub list: Vec<Mistake>,
}

impl Mistakes {
    /// Says which file they are in.
    pub fn named(mut self, file: impl Into<String>) -> Self {
        self.file = Some(file.into());
        self
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, mistake) in self.list.iter().enumerate() {
            if number > 0 {
                f.write_str("\n")?;
            }
            if let Some(file) = &self.file {
                write!(f, "{}:{}", file, if mistake.place.line.is_some() { "" } else { " " })?;
            }
            write!(f, "{mistake}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Mistakes {}

impl From<Mistakes> for Error {
    fn from(mistakes: Mistakes) -> Self {
        let what = match &mistakes.file {
            Some(file) => format!("use the estate in {file}"),
            None => "use the estate".to_owned(),
        };
        let many = match mistakes.list.len() {
            1 => "there is a mistake in it".to_owned(),
            count => format!("there are {count} mistakes in it"),
        };
        Self::new(ErrorKind::Usage, what, format!("{many}\n{mistakes}"))
            .hint("correct what is listed; docs/schema/estate.json names every key")
    }
}

/// The keys that lead to a value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Path(pub(super) Vec<Segment>);

/// One step down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Segment {
    Key(String),
    Index(usize),
}

impl Path {
    /// The path of a key below this one.
    pub(super) fn key(&self, key: &str) -> Self {
        self.with(Segment::Key(key.to_owned()))
    }

    /// The path of an element of this list.
    pub(super) fn index(&self, index: usize) -> Self {
        self.with(Segment::Index(index))
    }

    fn with(&self, segment: Segment) -> Self {
        let mut longer = self.clone();
        longer.0.push(segment);
        longer
    }

    /// Whether one of the two leads to the other.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).all(|(a, b)| a == b)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (depth, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Index(index) => write!(f, "[{index}]")?,
                Segment::Key(key) => {
                    let bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
                    let dot = if depth > 0 { "." } else { "" };
                    if !key.is_empty() && key.chars().all(bare) {
                        write!(f, "{dot}{key}")?;
                    } else {
                        write!(f, "{dot}\"{}\"", key.escape_debug())?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// Of these names the one that was probably meant.
pub(super) fn nearest<'a>(word: &str, names: impl IntoIterator<Item = &'a str>) -> Option<String> {
    // Long words are no typing mistakes, and comparing is quadratic in the length.
    if word.len() > 256 {
        return None;
    }
    let word = word.to_lowercase();
    let likeness = |name: &str| {
        let name = name.to_lowercase();
        let slip = word.len() > 2 && strsim::damerau_levenshtein(&word, &name) == 1;
        let begun = word.len() > 1 && (name.starts_with(&word) || word.starts_with(&name));
        let sound = strsim::jaro_winkler(&word, &name);
        if slip || begun { sound.max(0.9) } else { sound }
    };
    let scored = names.into_iter().filter(|name| name.len() <= 256).map(|name| (likeness(name), name));
    let best = scored.filter(|(score, _)| *score >= 0.8).max_by(|a, b| a.0.total_cmp(&b.0));
    best.map(|(_, name)| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_near_are_suggested_and_others_are_not() {
        let keys = ["address", "addresses", "ssh", "host_keys", "secret_file"];
        for (word, meant) in [
            ("adress", "address"),
            ("hostkeys", "host_keys"),
            ("SSH", "ssh"),
            ("secret", "secret_file"),
            ("shs", "ssh"),
        ] {
            assert_eq!(nearest(word, keys).as_deref(), Some(meant), "{word}");
        }
        for word in ["", "colour", "x", &"a".repeat(1000)] {
            assert_eq!(nearest(word, keys), None, "{word}");
        }
    }

    #[test]
    fn paths_read_as_toml_writes_them() {
        let path = Path::default().key("zones").key("example.org").key("servers").index(1);
        assert_eq!(path.to_string(), "zones.\"example.org\".servers[1]");
    }
}

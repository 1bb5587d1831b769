//! Just enough of XML (1.0, fifth edition) for the answers of Route 53: elements and text. Attributes are passed over; what has a document
//! type is refused, as nothing that is declared there is wanted.

/// So deep, and so many elements, at most: far more than any answer has.
const DEEPEST: usize = 32;
const MOST: usize = 50_000;

/// An element with what is in it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Element {
    /// Its name, without a prefix.
    pub(super) name: String,
    /// The text directly in it.
    pub(super) text: String,
    pub(super) children: Vec<Self>,
}

impl Element {
    /// The first child of this name.
    pub(super) fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The text at the end of a way down; none if it ends before.
    pub(super) fn at(&self, way: &[&str]) -> Option<&str> {
        let end = way.iter().try_fold(self, |element, name| element.child(name))?;
        Some(end.text.trim())
    }

    /// All children of a child, which lists them.
    pub(super) fn list(&self, name: &str) -> &[Self] {
        self.child(name).map_or(&[], |list| &list.children)
    }
}

/// The outermost element of a document.
pub(super) fn parse(text: &str) -> Result<Element, String> {
    let mut rest = text.trim_start_matches('\u{feff}');
    let mut open: Vec<Element> = vec![];
    let mut whole = None;
    let mut count = 0;
    while let Some((before, after)) = rest.split_once('<') {
        match open.last_mut() {
            Some(element) => element.text.push_str(&plain(before)?),
            None if before.trim().is_empty() => {}
            None => return Err("it has text outside of all elements".to_owned()),
        }
        if let Some(comment) = after.strip_prefix("!--") {
            rest = comment.split_once("-->").ok_or("a comment has no end")?.1;
            continue;
        }
        let (tag, after) = after.split_once('>').ok_or("a tag has no end")?;
        rest = after;
        if tag.starts_with('?') {
            continue;
        }
        if tag.starts_with('!') {
            return Err("it has a document type, or data that are not to be read".to_owned());
        }
        if ends_in_a_value(tag) {
            return Err("a value has no end before its tag has".to_owned());
        }
        if let Some(name) = tag.strip_prefix('/') {
            let closed = open.pop().filter(|element| element.name == local(name.trim()));
            close(&mut open, &mut whole, closed.ok_or("its elements are not nested")?)?;
            continue;
        }
        count += 1;
        if open.len() >= DEEPEST || count > MOST {
            return Err("it has more elements than an answer can have".to_owned());
        }
        let empty = tag.strip_suffix('/');
        let name = empty.unwrap_or(tag).split_whitespace().next().map(local).filter(|name| is_name(name));
        let name = name.ok_or("a tag has no name")?.to_owned();
        let element = Element { name, ..Element::default() };
        if empty.is_some() {
            close(&mut open, &mut whole, element)?;
        } else {
            open.push(element);
        }
    }
    if !open.is_empty() || !rest.trim().is_empty() {
        return Err("it ends in the middle".to_owned());
    }
    whole.ok_or_else(|| "it has no element".to_owned())
}

fn close(open: &mut [Element], whole: &mut Option<Element>, element: Element) -> Result<(), String> {
    match open.last_mut() {
        Some(parent) => parent.children.push(element),
        None if whole.is_none() => *whole = Some(element),
        None => return Err("it has two outermost elements".to_owned()),
    }
    Ok(())
}

fn local(name: &str) -> &str {
    name.rsplit_once(':').map_or(name, |(_, local)| local)
}

/// Whether the mark that ends a tag stood within quotation marks.
fn ends_in_a_value(tag: &str) -> bool {
    let open = tag.chars().fold(None, |open, c| match (open, c) {
        (None, '"' | '\'') => Some(c),
        (Some(mark), c) if mark == c => None,
        _ => open,
    });
    open.is_some()
}

/// A name, so far as the answers have such: nothing in it that would mean something else when it is written.
fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'))
}

/// Text as it is meant.
fn plain(text: &str) -> Result<String, String> {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        plain.push_str(before);
        let (name, after) = after.split_once(';').ok_or("a reference has no end")?;
        rest = after;
        let number = |digits: &str, radix| u32::from_str_radix(digits, radix).ok().and_then(char::from_u32);
        let meant = match name {
            "amp" => Some('&'),
            "lt" => Some('<'),
            "gt" => Some('>'),
            "quot" => Some('"'),
            "apos" => Some('\''),
            _ => match (name.strip_prefix("#x"), name.strip_prefix('#')) {
                (Some(digits), _) => number(digits, 16),
                (None, Some(digits)) => number(digits, 10),
                (None, None) => None,
            },
        };
        plain.push(meant.ok_or("a reference means nothing")?);
    }
    plain.push_str(rest);
    Ok(plain)
}

/// Text as it has to be written.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn elements_and_text() {
        let text = "<?xml version=\"1.0\"?>\n<a xmlns=\"x\"><!-- <b> --><list><ns:b k='v' l=\"it's\">1 &amp; &#x32;</ns:b><b/></list></a>\n";
        let whole = parse(text).unwrap();
        assert_eq!((whole.name.as_str(), whole.list("list").len()), ("a", 2));
        assert_eq!(whole.at(&["list", "b"]), Some("1 & 2"));
        assert_eq!((whole.at(&["list", "c"]), whole.list("none").len()), (None, 0));
        assert_eq!(parse(&format!("<a>{}</a>", escaped("<&>\""))).unwrap().text, "<&>\"");
        let deep = "<a>".repeat(100_000);
        for bad in [
            "",
            "text",
            "<a>",
            "<a></b>",
            "</a>",
            "<a/><b/>",
            "<a>&none;</a>",
            "<a>&amp</a>",
            "<>",
            "<a/>x",
            "<!DOCTYPE a><a/>",
            "<a><![CDATA[x]]></a>",
            "<!-- ",
            "<a:/>",
            "<a:!b/>",
            "<a/ b></a/>",
            "<a k='>'/>",
            &deep,
        ] {
            assert!(parse(bad).is_err(), "{bad:.20}");
        }
    }

    /// An element as an answer may have it: with a prefix, attributes, comments, and text in pieces.
    fn write(element: &Element, noise: &mut impl Iterator<Item = bool>) -> String {
        let mut maybe = |text: &'static str| if noise.next().unwrap_or_default() { text } else { "" };
        let (prefix, attribute) = (maybe("ns:"), maybe(" xmlns=\"a/b\" k='x'"));
        let Element { name, text, children } = element;
        let split = text.char_indices().nth(text.chars().count() / 2).map_or(0, |(at, _)| at);
        let (first, last) = text.split_at(split);
        let mut whole = format!("<{prefix}{name}{attribute}>{}{}", escaped(first), maybe("<!-- <a> & -->"));
        children.iter().for_each(|child| whole += &write(child, noise));
        whole + &format!("{}</{prefix}{name}>", escaped(last))
    }

    fn element() -> impl Strategy<Value = Element> {
        let leaf = ("[a-zA-Z_][a-z0-9._-]{0,6}", "\\PC{0,12}").prop_map(|(name, text)| Element {
            name,
            text,
            children: vec![],
        });
        leaf.prop_recursive(6, 40, 5, |below| {
            let list = prop::collection::vec(below, 0..5);
            ("[A-Z][a-z]{0,6}", "[ \n]{0,3}", list).prop_map(|(name, text, children)| Element {
                name,
                text,
                children,
            })
        })
    }

    proptest! {
        #[test]
        fn no_text_panics_and_what_is_read_is_read_again(
            pieces in prop::collection::vec("<a>|</a>|<b:c/>|<b>|</b>|&amp;|&#x?[0-9]{1,3};|[<>/a-c&;#x'\"! \\-]{0,6}", 0..24),
            outside in any::<bool>(),
        ) {
            let text = if outside { format!("<a>{}</a>", pieces.concat()) } else { pieces.concat() };
            if let Ok(read) = parse(&text) {
                prop_assert_eq!(parse(&write(&read, &mut std::iter::empty())), Ok(read));
            }
        }

        #[test]
        fn an_element_is_read_as_it_was_written(
            element in element(),
            noise in prop::collection::vec(any::<bool>(), 0..200),
        ) {
            let text = format!("\u{feff}<?xml version=\"1.0\"?>\n{}\n", write(&element, &mut noise.into_iter()));
            prop_assert_eq!(parse(&text), Ok(element));
        }

        #[test]
        fn what_is_escaped_is_read_back(text in "\\PC{0,40}") {
            let read = parse(&format!("<a>{}</a>", escaped(&text))).unwrap();
            prop_assert_eq!(read.text, text);
        }
    }
}

//! Route 53's answers: elements and text are taken or refused, never a panic, and never more than the limits. What was read is read again when
//! it is written.
#![no_main]

use libfuzzer_sys::fuzz_target;

// The file itself: it stands on nothing else, and nobody outside of the provider has a use for it.
#[path = "../../dr-core/src/world/providers/api/xml.rs"]
mod xml;

use xml::{Element, escaped, parse};

fuzz_target!(|text: &str| {
    let Ok(read) = parse(text) else { return };
    let (deep, many) = size(&read);
    assert!(deep <= 32 && many <= 50_000, "{deep} deep, {many} elements");
    for child in &read.children {
        assert!(read.child(&child.name).is_some());
        assert!(read.at(&[&child.name]).is_some());
    }
    assert!(read.list("").len() <= many);
    let mut written = String::new();
    write(&read, &mut written);
    assert_eq!(parse(&written), Ok(read));
});

fn size(element: &Element) -> (usize, usize) {
    let below = element.children.iter().map(size);
    let (deep, many) = below.fold((0, 0), |(deep, many), (d, m)| (deep.max(d), many + m));
    (deep + 1, many + 1)
}

fn write(element: &Element, into: &mut String) {
    let Element { name, text, children } = element;
    *into += &format!("<{name}>{}", escaped(text));
    for child in children {
        write(child, into);
    }
    *into += &format!("</{name}>");
}

//! The rules of a zone check, one topic a file. Each is a function in this one list.

mod agreement;
mod answering;
mod authority;
mod expected;
mod lifetimes;
mod serials;

use super::judge::Rule;

pub(super) const RULES: &[Rule] = &[
    answering::silent,
    answering::malformed,
    answering::tcp_unavailable,
    authority::lame,
    authority::nobody,
    serials::differ,
    agreement::record_sets,
    agreement::ttls,
    expected::differs,
    lifetimes::over_rto,
    lifetimes::negative_over_rto,
    lifetimes::expire_short,
];

/// Names, as a person lists them: "ns1, ns2 and ns3".
fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.into_iter().collect();
    match names.as_slice() {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests;

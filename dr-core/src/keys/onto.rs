//! A change of an authorized_keys file, done to a file that others have changed meanwhile.
//!
//! A change is of the lines of certain keys. Where those stand as they were, it can be done, whatever else the file has become; where they
//! do not, somebody else was faster.

use std::collections::HashMap;

use super::authorized_keys::AuthorizedKeys;
use super::public::PublicKey;

/// A file's content before and after a change.
#[derive(Clone, Copy)]
pub(crate) struct Change<'a> {
    pub(crate) from: Option<&'a [u8]>,
    pub(crate) to: Option<&'a [u8]>,
}

/// A line without its end, and the key that it lets in.
type Line<'a> = (&'a [u8], Option<&'a PublicKey>);

impl Change<'_> {
    /// Whether the file says of the keys that the change is about what it must say afterwards.
    pub(crate) fn is_done_in(self, now: Option<&[u8]>) -> bool {
        if now == self.to {
            return true;
        }
        let [from, to, now] = [self.from, self.to, now].map(parse);
        About::of(&from, &to).is_some_and(|about| about.ours(&now).eq(about.ours(&to)))
    }

    /// What the file becomes by the change; none if the lines that it is about are not as they were.
    #[allow(clippy::option_option, reason = "no file is one of the things that it may become")]
    pub(crate) fn onto(self, now: Option<&[u8]>) -> Option<Option<Vec<u8>>> {
        if now == self.from {
            return Some(self.to.map(<[u8]>::to_vec));
        }
        // A file that is gone does not come back by us.
        now?;
        let [from, to, now] = [self.from, self.to, now].map(parse);
        let about = About::of(&from, &to)?;
        if !about.ours(&now).eq(about.ours(&from)) {
            return None;
        }
        let merged = about.merged(&from, &to, &now);
        Some((self.to.is_some() || !merged.is_empty()).then_some(merged))
    }
}

/// The keys whose lines a change is about.
struct About<'a>(Vec<&'a PublicKey>);

impl<'a> About<'a> {
    /// None if other lines change too.
    fn of(from: &'a AuthorizedKeys, to: &'a AuthorizedKeys) -> Option<Self> {
        let mut surplus: HashMap<&[u8], (i64, Option<&PublicKey>)> = HashMap::new();
        for (file, count) in [(from, -1), (to, 1)] {
            for (raw, key) in file.lines() {
                surplus.entry(raw).or_insert((0, key)).0 += count;
            }
        }
        let mut keys = vec![];
        for (_, key) in surplus.into_values().filter(|(count, _)| *count != 0) {
            let key = key?;
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        let about = Self(keys);
        let same = from.lines().filter(|line| !about.is_ours(line));
        (!about.0.is_empty() && same.eq(to.lines().filter(|line| !about.is_ours(line)))).then_some(about)
    }

    fn is_ours(&self, line: &Line<'_>) -> bool {
        line.1.is_some_and(|key| self.0.contains(&key))
    }

    fn ours<'f>(&self, file: &'f AuthorizedKeys) -> impl Iterator<Item = &'f [u8]> {
        file.lines().filter(|line| self.is_ours(line)).map(|(raw, _)| raw)
    }

    /// Our lines between every two lines of others, the ends of the file included.
    fn gaps<'f>(&self, file: &'f AuthorizedKeys) -> Vec<Vec<&'f [u8]>> {
        let mut gaps = vec![vec![]];
        for line in file.lines() {
            match gaps.last_mut() {
                Some(gap) if self.is_ours(&line) => gap.push(line.0),
                _ => gaps.push(vec![]),
            }
        }
        gaps
    }

    /// Where lines of ours stood stand those that come instead; where none stood they come after the line that they came after,
    /// or at the end.
    fn merged(&self, from: &AuthorizedKeys, to: &AuthorizedKeys, now: &AuthorizedKeys) -> Vec<u8> {
        let before: Vec<&[u8]> =
            from.lines().filter(|line| !self.is_ours(line)).map(|(raw, _)| raw).collect();
        let ends_its_last = now.ends_its_last_line();
        let now: Vec<Line<'_>> = now.lines().collect();
        let mut instead: HashMap<usize, Vec<&[u8]>> = HashMap::new();
        let mut after: HashMap<usize, Vec<&[u8]>> = HashMap::new();
        let mut end = vec![];
        let mut places = now.iter().enumerate().filter(|(_, line)| self.is_ours(line)).map(|(at, _)| at);
        for (gap, (old, new)) in self.gaps(from).into_iter().zip(self.gaps(to)).enumerate() {
            let mut new = Some(new);
            for at in places.by_ref().take(old.len()) {
                instead.insert(at, new.take().unwrap_or_default());
            }
            let Some(new) = new.filter(|new| !new.is_empty()) else { continue };
            let anchor = gap.checked_sub(1).and_then(|gap| before.get(gap)).filter(|_| gap < before.len());
            match anchor.and_then(|anchor| now.iter().rposition(|(raw, _)| raw == anchor)) {
                Some(at) => after.entry(at).or_default().extend(new),
                None => end.extend(new),
            }
        }
        let mut lines: Vec<&[u8]> = vec![];
        for (at, (raw, _)) in now.iter().enumerate() {
            match instead.remove(&at) {
                Some(new) => lines.extend(new),
                None => lines.push(raw),
            }
            lines.extend(after.remove(&at).unwrap_or_default());
        }
        let last_stays = end.is_empty() && lines.last() == now.last().map(|(raw, _)| raw);
        lines.extend(end);
        let mut merged: Vec<u8> = lines.iter().flat_map(|line| [line, &b"\n"[..]].concat()).collect();
        if last_stays && !ends_its_last {
            merged.pop();
        }
        merged
    }
}

fn parse(content: Option<&[u8]>) -> AuthorizedKeys {
    AuthorizedKeys::parse(content.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::keys::{Existing, KeyOptions};

    const A: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ a";
    const B: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHeLC1lWiCYrXsf/85O/pkbUFZ6OGIt49PX3nw8iRoXE b";
    const C: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIO9jGJsnLlJ8dSQuN0kHGS6xZ2u1QbkGPpAAkm3nhxPe c";

    /// `-` is no file.
    fn file(text: &str) -> Option<&[u8]> {
        (text != "-").then_some(text.as_bytes())
    }

    /// What becomes of the file `now`: its text, "done", or "conflict".
    fn onto(from: &str, to: &str, now: &str) -> String {
        let change = Change { from: file(from), to: file(to) };
        if change.is_done_in(file(now)) {
            return "done".to_owned();
        }
        match change.onto(file(now)) {
            None => "conflict".to_owned(),
            Some(None) => "-".to_owned(),
            Some(Some(bytes)) => String::from_utf8(bytes).unwrap(),
        }
    }

    #[test]
    fn what_others_did_meanwhile_stays_and_what_is_ours_is_done() {
        let check = |change: (&str, &str), now: &str, expected: &str| {
            assert_eq!(onto(change.0, change.1, now), expected, "{change:?} onto {now:?}");
        };
        let (a, b, c) = (format!("{A}\n"), format!("{B}\n"), format!("{C}\n"));
        // A first key, and eight at once for a file that nobody had.
        let first = ("-", a.as_str());
        check(first, "-", &a);
        check(first, &b, &format!("{b}{a}"));
        check(first, &format!("# c\n{B}"), &format!("# c\n{b}{a}"));
        check(first, &format!("{b}{a}{c}"), "done");
        check(first, &format!("no-pty {a}"), "conflict");
        // Taken back: the file goes only if nothing else is in it.
        let back = (a.as_str(), "-");
        check(back, &a, "-");
        check(back, &format!("{a}{b}"), &b);
        check(back, &format!("{a}{B}"), B);
        check(back, &b, "done");
        check(back, &format!("no-pty {a}"), "conflict");
        // Somebody removed the whole file: it does not come back by us.
        check((&b, &format!("{b}{a}")), "-", "conflict");
        // A successor stands after the line that it succeeds, wherever that is by now.
        let beside = format!("{a}{c}{b}");
        check((&format!("{a}{b}"), &beside), &format!("# x\n{a}# y\n{b}"), &format!("# x\n{a}{c}# y\n{b}"));
        check((&format!("{a}{b}"), &beside), "# a is gone\n", &format!("# a is gone\n{c}"));
        // Options set, a twin removed.
        let set = (format!("{a}{b}no-pty {a}"), format!("restrict {a}{b}"));
        let now = format!("{a}# new\n{b}no-pty {a}{c}");
        check((&set.0, &set.1), &now, &format!("restrict {a}# new\n{b}{c}"));
        check((&set.1, &set.0), &format!("restrict {a}{b}{c}"), &format!("{a}{b}{c}no-pty {a}"));
        // What is not of keys is done to the very file that was planned for, or not at all.
        check(("# x\n", "# y\n"), "# x\n# z\n", "conflict");
        check(("# x\n", "# y\n"), "# x\n", "# y\n");
        check((&a, &format!("# x\n{a}{b}")), &format!("{a}{c}"), "conflict");
    }

    fn lines() -> impl Strategy<Value = String> {
        let line = prop_oneof![
            Just(format!("{A}\n")),
            Just(format!("{B}\n")),
            Just(format!("restrict {B}\r\n")),
            Just("# words\n".to_owned()),
            Just("\n".to_owned()),
            Just("broken \" line\n".to_owned()),
        ];
        (proptest::collection::vec(line, 0..8), any::<bool>()).prop_map(|(lines, cut)| {
            let text = lines.concat();
            if cut { text.trim_end_matches('\n').to_owned() } else { text }
        })
    }

    proptest! {
        /// Whatever others did to lines that are not of our key: it stays to the byte, our lines become what they must, and back.
        #[test]
        fn foreign_lines_stay_to_the_byte(before in lines(), now in lines(), restrict: bool) {
            let key = C.parse().unwrap();
            let options = KeyOptions { restrict, ..KeyOptions::default() };
            let to = AuthorizedKeys::parse(before.as_bytes()).with_key(&key, &options, Existing::Keep).to_bytes();
            let change = Change { from: Some(before.as_bytes()), to: Some(&to) };
            prop_assert!(!change.is_done_in(Some(now.as_bytes())));
            let merged = change.onto(Some(now.as_bytes())).unwrap().unwrap();
            prop_assert!(change.is_done_in(Some(&merged)));
            let newline = if now.is_empty() || now.ends_with('\n') { "" } else { "\n" };
            let without = AuthorizedKeys::parse(&merged).without_key(&key).to_bytes();
            prop_assert_eq!(String::from_utf8(without).unwrap(), format!("{now}{newline}"));
            let back = Change { from: Some(&to), to: Some(before.as_bytes()) };
            let old = back.onto(Some(&merged)).unwrap().unwrap();
            prop_assert!(back.is_done_in(Some(&old)));
            if merged != to {
                prop_assert_eq!(String::from_utf8(old).unwrap(), format!("{now}{newline}"));
            }
        }
    }
}

//! Changes that move no content, many at once.

use std::io;

use super::looks::is_nothing;
use super::reach::Reach;
use super::root::entry_at;
use super::{Stop, Tree};
use crate::error::{ErrorKind, Result};
use crate::mirror::{Change, Entry, Landed, Progress, RelPath};

/// Makes changes one after the other, each compared with what is there first.
pub(super) fn make_all(tree: &Tree, changes: &[Change], stop: &Stop) -> Result<Vec<Landed>> {
    tree.landings.tell(changes);
    // What is done already belongs to this run, too.
    tree.touch(changes.iter().map(|change| &change.path));
    let mut reach = None;
    let mut all = Vec::with_capacity(changes.len());
    for change in changes {
        stop.check()?;
        tree.fence.hold()?;
        let there = match there(tree, &mut reach, &change.path) {
            Err(error) if is_nothing(&error) => None,
            there => there.map_err(|error| tree.trouble("look at", &change.path, error))?,
        };
        all.push(match change.progress_alone(there.as_ref()) {
            Progress::Done => Landed::Done { bytes: 0, entry: there },
            Progress::Strange => Landed::Strange,
            Progress::Ahead | Progress::Between => make(tree, change)?,
        });
    }
    Ok(all)
}

fn there(tree: &Tree, reach: &mut Option<Reach>, path: &RelPath) -> io::Result<Option<Entry>> {
    let reach = match reach {
        Some(reach) => reach,
        None => reach.insert(Reach::new(tree.root()?)),
    };
    let (directory, name) = reach.place(path)?;
    entry_at(directory, name)
}

fn make(tree: &Tree, change: &Change) -> Result<Landed> {
    match tree.change(change) {
        Ok(()) => Ok(Landed::Done { bytes: 0, entry: change.to.clone() }),
        Err(error) => match error.kind() {
            ErrorKind::PermissionDenied
            | ErrorKind::Unsupported
            | ErrorKind::Refused
            | ErrorKind::Conflict
            | ErrorKind::NotFound => Ok(Landed::Failed(error.to_string())),
            _ => Err(error),
        },
    }
}

//! What files can be made from, so that not all of them has to travel.

use std::collections::{HashMap, HashSet};

use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};

use super::ends::Ends;
use crate::digest::Digest;
use crate::error::Result;
use crate::mirror::{
    Basis, Change, Entries, Entry, Kind, RelPath, Reuse, WORTH_COMPARING_BYTES, possible_twins, reusable,
};
use crate::world::Endpoint;

/// So many files are read for their digests in one call, and so many questions are under way at once.
const PATHS: usize = 512;
const QUESTIONS: usize = 4;
/// What a cut run left of a new file is asked for from this size on.
const WORTH_RESUMING_BYTES: u64 = 64 << 20;

/// What the target can make files from, by their paths: the file itself under another name, or another version of it.
pub(super) async fn bases(
    ends: &Ends,
    changes: &[&Change],
    all: &[Change],
) -> Result<HashMap<RelPath, Basis>> {
    if ends.use_sftp() {
        // There, to read is to send.
        return Ok(HashMap::new());
    }
    let mut bases = same_files(ends, all).await?;
    bases.extend(twins(ends, changes, all, &bases).await?);
    bases.extend(versions(ends, changes, &bases).await?);
    Ok(bases)
}

/// Files that the target has under another name.
async fn same_files(ends: &Ends, all: &[Change]) -> Result<HashMap<RelPath, Basis>> {
    let nothing = Entries::default();
    let found = reusable(all, ends.surveyed.as_ref().map_or(&nothing, |surveyed| &surveyed.originals));
    let new_paths: Vec<RelPath> = found.iter().map(|reuse| all[reuse.change].path.clone()).collect();
    let doubtful = found.iter().filter(|reuse| !reuse.is_likely);
    let old_paths: Vec<RelPath> = doubtful.map(|reuse| reuse.path.clone()).collect();
    let (new, old) =
        tokio::try_join!(digests(&*ends.source, &new_paths), digests(&*ends.target, &old_paths))?;
    let old: HashMap<&RelPath, Option<Digest>> = old_paths.iter().zip(old).collect();
    let same = found.iter().zip(new).filter_map(|(reuse, digest)| {
        let Reuse { change, path, is_likely, leaves } = reuse;
        let digest = digest.filter(|digest| *is_likely || old.get(path) == Some(&Some(*digest)))?;
        Some((all[*change].path.clone(), Basis::Same { path: path.clone(), digest, leaves: *leaves }))
    });
    Ok(same.collect())
}

/// New files that are copies of others that come in the same run: each waits for the first of them. Between trees of one machine
/// nothing would be saved.
async fn twins(
    ends: &Ends,
    changes: &[&Change],
    all: &[Change],
    known: &HashMap<RelPath, Basis>,
) -> Result<Vec<(RelPath, Basis)>> {
    if ends.crossed().is_none() {
        return Ok(vec![]);
    }
    let open: HashSet<&RelPath> = changes.iter().map(|change| &change.path).collect();
    let is_open = |change: &Change| open.contains(&change.path) && !known.contains_key(&change.path);
    let paths: Vec<RelPath> =
        possible_twins(all, is_open).into_iter().map(|number| all[number].path.clone()).collect();
    let found = digests(&*ends.source, &paths).await?;
    let mut originals: HashMap<Digest, RelPath> = HashMap::new();
    let mut twins = vec![];
    for (path, digest) in paths.into_iter().zip(found) {
        let Some(digest) = digest else { continue };
        match originals.get(&digest) {
            Some(original) if !known.contains_key(&path) => {
                twins.push((path, Basis::Twin { path: original.clone(), digest }));
            }
            Some(_) => {}
            None => drop(originals.insert(digest, path)),
        }
    }
    Ok(twins)
}

async fn digests(endpoint: &dyn Endpoint, paths: &[RelPath]) -> Result<Vec<Option<Digest>>> {
    let batches: Vec<&[RelPath]> = paths.chunks(PATHS).collect();
    let asked = stream::iter(batches).map(|batch| endpoint.digests(batch).boxed());
    let found: Vec<Vec<Option<Digest>>> = asked.buffered(QUESTIONS).try_collect().await?;
    Ok(found.into_iter().flatten().collect())
}

/// Large files of which the target has another version, or the beginning of this one.
async fn versions(
    ends: &Ends,
    changes: &[&Change],
    known: &HashMap<RelPath, Basis>,
) -> Result<Vec<(RelPath, Basis)>> {
    let is_file = |entry: &Option<Entry>| matches!(entry, Some(Entry { kind: Kind::File { size_bytes, .. }, .. }) if *size_bytes > WORTH_COMPARING_BYTES);
    let is_worth_it = |change: &&&Change| {
        let size = change.to.as_ref().map_or(0, Entry::size_bytes);
        !known.contains_key(&change.path)
            && is_file(&change.to)
            && (is_file(&change.from) || size >= WORTH_RESUMING_BYTES)
    };
    let large: Vec<&Change> = changes.iter().filter(is_worth_it).copied().collect();
    let (updated, new): (Vec<&Change>, Vec<&Change>) =
        large.into_iter().partition(|change| is_file(&change.from));
    let before = updated.iter().filter_map(|change| Some((change.path.clone(), change.from.clone()?)));
    let before: Vec<(RelPath, Entry)> = before.collect();
    let remembered = if before.is_empty() { vec![] } else { ends.source.remembers(&before).await? };
    let mut found = vec![];
    let mut asked = new;
    for (number, change) in updated.into_iter().enumerate() {
        match remembered.get(number) {
            Some(true) => found.push((change.path.clone(), Basis::Chunks { staged: false })),
            _ => asked.push(change),
        }
    }
    let learned = stream::iter(asked).map(|change| learn(ends, change).boxed());
    let learned: Vec<Option<(RelPath, Basis)>> = learned.buffer_unordered(QUESTIONS).try_collect().await?;
    found.extend(learned.into_iter().flatten());
    Ok(found)
}

/// Lets the source know the chunks of what the target has.
async fn learn(ends: &Ends, change: &Change) -> Result<Option<(RelPath, Basis)>> {
    let (path, Some(to)) = (&change.path, &change.to) else { return Ok(None) };
    let Some(signature) = ends.target.signature(path, to).await? else { return Ok(None) };
    let Some(version) = (if signature.staged { Some(to) } else { change.from.as_ref() }) else {
        return Ok(None);
    };
    let is_known = ends.source.remember(path, version, &signature).await?;
    Ok(is_known.then(|| (path.clone(), Basis::Chunks { staged: signature.staged })))
}

//! `dr mirror`: one tree, or one site of the estate.

use dr_core::estate::MaxDelete;
use dr_core::mirror::{Compress, Fsync, Options, Owners, Side};
use dr_core::toolkit::{MirrorPlan, Toolkit};
use dr_core::world::Control;
use dr_core::{Error, ErrorKind, Location, Result};

use super::show_and_apply;
use crate::args::{Common, How, Mirror, Prefer, When};
use crate::console::Console;
use crate::context;

pub(super) async fn run(common: &Common, console: &Console, words: Mirror) -> Result<u8> {
    if words.many.all || words.many.schedule.is_some() {
        return super::sites::run(common, console, &words.many).await;
    }
    if let Some(target) = &words.many.rollback {
        return super::rollback::run(common, console, target, words.many.to).await;
    }
    if words.many.watch {
        return super::watch::run(common, console, &words).await;
    }
    let control = console.control();
    let (toolkit, planned) = match (&words.site, &words.source, &words.target) {
        (Some(site), ..) => {
            let toolkit = context::toolkit(common, context::needed_estate(common)?)?;
            let planned = match common.dry_run {
                true => toolkit.rehearse_mirror_site(site, &control).await?,
                false => toolkit.plan_mirror_site(site, &control).await?,
            };
            (toolkit, planned)
        }
        (None, Some(source), Some(target)) => {
            let toolkit = context::toolkit(common, context::estate(common)?.unwrap_or_default())?;
            if words.verify {
                let report = toolkit.verify_mirror(source, target, &options(&words), &control).await?;
                return Ok(console.report(&report));
            }
            let planned = plan(&toolkit, common, (source, target), &words, &control).await?;
            (toolkit, planned)
        }
        _ => return Err(Error::new(ErrorKind::Usage, "mirror", "give SOURCE and TARGET, or --site")),
    };
    finish(&toolkit, &planned, common, console, &control).await
}

async fn plan(
    toolkit: &Toolkit,
    common: &Common,
    (source, target): (&Location, &Location),
    words: &Mirror,
    control: &Control,
) -> Result<MirrorPlan> {
    match common.dry_run {
        true => toolkit.rehearse_mirror(source, target, &options(words), None, control).await,
        false => toolkit.plan_mirror(source, target, &options(words), None, control).await,
    }
}

/// Shows what was planned, does it unless it is a rehearsal, and shows what was found.
async fn finish(
    toolkit: &Toolkit,
    planned: &MirrorPlan,
    common: &Common,
    console: &Console,
    control: &Control,
) -> Result<u8> {
    let mut code = show_and_apply(toolkit, &planned.plan, common, console, control).await?;
    if common.dry_run {
        console.guards(&planned.guards);
        if planned.guards.iter().any(|verdict| verdict.refused) {
            code = ErrorKind::Refused.code();
        }
    } else {
        toolkit.agree_mirror(planned, control).await;
    }
    if planned.report.findings.is_empty() {
        return Ok(code);
    }
    Ok(code.max(console.report(&planned.report)))
}

pub(super) fn options(words: &Mirror) -> Options {
    let default = MaxDelete::default();
    Options {
        exclude: words.exclude.clone(),
        delete: !words.no_delete,
        max_delete: MaxDelete { files: words.max_delete.unwrap_or(default.files), ..default },
        checksum: words.checksum,
        delete_excluded: words.delete_excluded,
        min_size_bytes: words.min_size,
        max_size_bytes: words.max_size,
        min_age_s: words.min_age.map(|age| age.as_secs()),
        max_age_s: words.max_age.map(|age| age.as_secs()),
        owners: Owners {
            by_name: words.owners_by_name,
            users: words.user_map.iter().cloned().collect(),
            groups: words.group_map.iter().cloned().collect(),
        },
        generations: words.generations,
        winner: words.prefer.map(|side| match side {
            Prefer::Source => Side::Source,
            Prefer::Target => Side::Target,
        }),
        other_tree: words.other_tree,
        fsync: match words.fsync {
            When::Once => Fsync::Once,
            When::Each => Fsync::Each,
            When::Never => Fsync::Never,
        },
        bytes_per_second: words.bwlimit,
        compress: match words.compress {
            How::Auto => Compress::Auto,
            How::Never => Compress::Never,
            How::Always => Compress::Always,
        },
        low_priority: words.low_priority,
    }
}

//! What people were told: kept in a file, a line each.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::Told;
use super::bell::Bell;
use crate::estate::SiteId;
use crate::run::Event;
use crate::toolkit::seats::News;
use crate::world::Control;

/// The file is begun anew when it is longer; the one before is kept.
const BYTES_MAX: u64 = 4 << 20;

/// The file. What cannot be written is not kept: people are told all the same.
pub(super) struct History {
    path: PathBuf,
    file: Mutex<Option<File>>,
    /// Whoever listens to the agent hears it too.
    control: Control,
    bell: Bell,
}

impl History {
    pub(super) fn open(directory: &Path, control: Control, bell: Bell) -> Self {
        let path = directory.join("history.jsonl");
        let file = File::options().create(true).append(true).open(&path).ok();
        Self { path, file: Mutex::new(file), control, bell }
    }

    pub(super) fn tell(&self, site: &SiteId, news: News) {
        let said = match &news {
            News::Phase { said, .. } => said.clone(),
            News::Refused { why } => format!("refused: {why}"),
            News::Trouble { doing, why } => format!("could not {doing}: {why}"),
        };
        self.control.emit(&Event::Note { message: format!("{site}: {said}") });
        let told = Told { at: crate::toolkit::now(), site: site.clone(), news };
        let Ok(mut line) = serde_json::to_vec(&told) else { return };
        line.push(b'\n');
        self.bell.tell(told);
        let mut slot = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(file) = slot.as_mut() else { return };
        let _ = file.write_all(&line);
        if file.metadata().is_ok_and(|metadata| metadata.len() > BYTES_MAX) {
            let _ = fs::rename(&self.path, self.path.with_extension("jsonl.1"));
            *slot = File::options().create(true).append(true).open(&self.path).ok();
        }
    }

    /// Something that is no trouble and no phase.
    pub(super) fn note(&self, site: &SiteId, said: String) {
        self.tell(site, News::Phase { phase: crate::failover::Phase::Drill, said });
    }

    /// The last lines, oldest first. Lines that cannot be read are left out.
    pub(super) fn last(&self, count: usize) -> Vec<Told> {
        let text = fs::read_to_string(&self.path).unwrap_or_default();
        let mut told: Vec<Told> =
            text.lines().rev().filter_map(|line| serde_json::from_str(line).ok()).take(count).collect();
        told.reverse();
        told
    }
}

//! The file that Prometheus' node exporter reads: written whole and renamed into place, so that it never reads half of one.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use dr_core::report::Report;
use dr_core::toolkit::now;
use dr_core::{Error, ErrorKind, Result, render};

/// Where reports go besides.
#[derive(Clone, Debug)]
pub(crate) struct Textfile {
    path: PathBuf,
}

impl Textfile {
    pub(crate) fn at(path: PathBuf) -> Self {
        Self { path }
    }

    /// The file's name without its ending: always the same for the same job.
    fn name(&self) -> String {
        self.path.file_stem().map_or_else(|| "dr".to_owned(), |stem| stem.to_string_lossy().into_owned())
    }

    pub(crate) fn write(&self, report: &Report) -> Result<()> {
        self.replace(&render::prometheus(&self.name(), report))
    }

    pub(crate) fn write_error(&self, error: &Error) -> Result<()> {
        self.replace(&render::prometheus_error(&self.name(), &error.to_record(), now()))
    }

    fn replace(&self, text: &str) -> Result<()> {
        let operation = || format!("write {}", self.path.display());
        let Some(name) = self.path.file_name() else {
            return Err(Error::new(ErrorKind::Usage, operation(), "it is no file's name"));
        };
        // The collector takes what ends in .prom: this does not.
        let new = self.path.with_file_name(format!(".{}.{}", name.to_string_lossy(), std::process::id()));
        let written = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            // The exporter runs as somebody else.
            .mode(0o644)
            .open(&new)
            .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
            .and_then(|()| fs::rename(&new, &self.path));
        written.map_err(|why| {
            let _ = fs::remove_file(&new);
            Error::io(operation(), why)
        })
    }
}

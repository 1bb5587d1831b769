//! The native half of the Python package `dr`: verbs by name with JSON in and out, pages for people, and the command.
//!
//! No thread of ours ever attaches to the interpreter, and no Python thread ever waits in here: a call runs on a thread of its
//! own, which queues what happens and writes a byte to a socket. Python waits for that byte in a way of its own (`poll`, an event
//! loop), so Ctrl-C, time limits, other threads, forks and the end of the interpreter are Python's business alone.

use pyo3::prelude::*;

/// The module `dr._dr`.
#[pymodule(gil_used = false)]
mod _dr {
    use std::ffi::OsString;
    use std::io::{Read, Write};
    use std::os::fd::{AsRawFd, RawFd};
    use std::os::unix::net::UnixStream;

    use dr_core::render::Style;
    use dr_core::report::Verdict;
    use dr_core::toolkit::{Background, OPERATIONS, guarded};
    use dr_core::world::Cancel;
    use dr_core::{Error, ErrorKind, Estate, Plan, Report, Retry};
    use pyo3::exceptions::{PyImportError, PyRuntimeError, PyValueError};
    use pyo3::prelude::*;

    /// An answer, or an error if it is false; both in JSON.
    type Said = (String, bool);

    /// Classes of native modules are those of one interpreter; from Python 3.12 on, it refuses by itself.
    #[pymodule_init]
    fn refuse_subinterpreters(_module: &Bound<'_, PyModule>) -> PyResult<()> {
        // SAFETY: both may be called by whoever is attached, which we are, and the state lives as long as that.
        let number = unsafe { pyo3::ffi::PyInterpreterState_GetID(pyo3::ffi::PyInterpreterState_Get()) };
        if number == 0 {
            return Ok(());
        }
        Err(PyImportError::new_err("dr works in the main interpreter only, not in a subinterpreter"))
    }

    /// The version of the library.
    ///
    /// >>> import dr
    /// >>> dr.version() == dr.__version__
    /// True
    #[pyfunction]
    fn version() -> &'static str {
        env!("CARGO_PKG_VERSION")
    }

    /// The names of all operations.
    ///
    /// >>> import dr
    /// >>> dr.operations()[0]
    /// 'check_zone'
    #[pyfunction]
    fn operations() -> Vec<&'static str> {
        OPERATIONS.iter().map(|operation| operation.name).collect()
    }

    /// Every kind of error: its name, its number, and whether trying again can help.
    #[pyfunction]
    fn kinds() -> Vec<(&'static str, u8, bool)> {
        ErrorKind::all().map(|kind| (kind.name(), kind.code(), kind.retry() == Retry::Later)).collect()
    }

    /// Stops calls that were given it, from any thread; once cancelled, always cancelled.
    ///
    /// >>> import dr
    /// >>> token = dr.CancelToken()
    /// >>> dr.check_zone("example.org", ["192.0.2.1"], cancel=token).title
    /// 'check zone example.org'
    #[pyclass(frozen, module = "dr")]
    struct CancelToken(Cancel);

    #[pymethods]
    impl CancelToken {
        #[new]
        fn new() -> Self {
            Self(Cancel::new())
        }

        /// Stops them: they raise CancelledError soon.
        ///
        /// >>> import dr
        /// >>> token = dr.CancelToken()
        /// >>> token.cancel()
        /// >>> token.is_cancelled
        /// True
        fn cancel(&self) {
            self.0.cancel();
        }

        /// Whether it was cancelled.
        #[getter]
        fn is_cancelled(&self) -> bool {
            self.0.is_cancelled()
        }

        fn __repr__(&self) -> String {
            format!("<dr.CancelToken: {}>", if self.0.is_cancelled() { "cancelled" } else { "not cancelled" })
        }
    }

    /// A call that goes on: readable (`fileno`) when there is something to take.
    #[pyclass(frozen)]
    struct Call {
        work: Background,
        bell: UnixStream,
        process: u32,
    }

    #[pymethods]
    impl Call {
        #[new]
        #[pyo3(signature = (operation, settings, request, token=None))]
        fn new(
            operation: &str,
            settings: &str,
            request: &str,
            token: Option<&CancelToken>,
        ) -> PyResult<Self> {
            let (bell, button) = UnixStream::pair()?;
            bell.set_nonblocking(true)?;
            button.set_nonblocking(true)?;
            // A full socket has bytes to read already, and a closed one nobody who waits.
            let ring = move || {
                let _ = (&button).write(b"!");
            };
            let token = token.map(|token| token.0.clone());
            let work = Background::call(settings, operation, request, token, ring)
                .map_err(|why| PyRuntimeError::new_err(why.to_string()))?;
            Ok(Self { work, bell, process: std::process::id() })
        }

        /// What is to be waited for.
        fn fileno(&self) -> RawFd {
            self.bell.as_raw_fd()
        }

        /// The events since the last time, in JSON; and once, when it is over, what came of it.
        fn take(&self) -> PyResult<(Vec<String>, Option<Said>)> {
            if self.process != std::process::id() {
                return Err(PyRuntimeError::new_err("this call was begun by the process that forked"));
            }
            // Emptied before looking: what comes later rings again.
            let mut bytes = [0; 64];
            while (&self.bell).read(&mut bytes).is_ok_and(|count| count == bytes.len()) {}
            let (events, done) = self.work.take();
            let events =
                events.iter().map(serde_json::to_string).collect::<Result<_, _>>().map_err(unwritten)?;
            Ok((events, done.map(said).transpose()?))
        }

        /// Stops it.
        fn cancel(&self) {
            self.work.cancel();
        }
    }

    /// An estate from a text, `"toml"` or `"json"`: as JSON, or the error with every mistake in it.
    #[pyfunction]
    fn estate(text: &str, form: &str) -> PyResult<Said> {
        said(guarded(|| {
            let read = if form == "json" { Estate::from_json(text) } else { Estate::from_toml(text) };
            written(&read?)
        }))
    }

    /// The same from a file.
    #[pyfunction]
    fn estate_file(path: std::path::PathBuf) -> PyResult<Said> {
        said(guarded(|| written(&Estate::load(&path)?)))
    }

    /// The shortest summary of a report in JSON: "ok", "degraded" or "failed".
    #[pyfunction]
    fn verdict(report: &str) -> PyResult<&'static str> {
        Ok(match read(report)?.verdict() {
            Verdict::Ok => "ok",
            Verdict::Degraded => "degraded",
            Verdict::Failed => "failed",
        })
    }

    /// A report in JSON as a page for people.
    #[pyfunction]
    fn text(report: &str, color: bool, width: usize) -> PyResult<String> {
        Ok(dr_core::render::report(&read(report)?, Style { color, width, ..Style::default() }))
    }

    /// A plan in JSON as a page for people.
    #[pyfunction]
    fn plan_text(plan: &str, color: bool, width: usize) -> PyResult<String> {
        let plan: Plan =
            serde_json::from_str(plan).map_err(|why| PyValueError::new_err(format!("not a plan: {why}")))?;
        Ok(dr_core::render::plan(&plan, Style { color, width, ..Style::default() }))
    }

    /// The `dr` command: its exit code. The first argument is how it was started.
    #[pyfunction]
    fn main(py: Python<'_>, arguments: Vec<OsString>) -> u8 {
        py.detach(|| dr_cli::main_within(arguments))
    }

    fn read(report: &str) -> PyResult<Report> {
        serde_json::from_str(report).map_err(|why| PyValueError::new_err(format!("not a report: {why}")))
    }

    fn said(done: dr_core::Result<String>) -> PyResult<Said> {
        match done {
            Ok(answer) => Ok((answer, true)),
            Err(error) => Ok((serde_json::to_string(&error.to_record()).map_err(unwritten)?, false)),
        }
    }

    fn written(estate: &Estate) -> dr_core::Result<String> {
        serde_json::to_string(estate)
            .map_err(|why| Error::new(ErrorKind::Internal, "write the estate", why.to_string()))
    }

    fn unwritten(why: serde_json::Error) -> PyErr {
        PyValueError::new_err(why.to_string())
    }
}

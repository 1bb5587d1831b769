//! The native half of the Python package `dr`: verbs by name with JSON in and out, and pages for people.
//!
//! Work runs on the thread that called, with the interpreter released. No thread of ours ever attaches to the interpreter, so
//! nothing can crash when it exits, and a call survives fork and Ctrl-C.

use pyo3::prelude::*;

/// The module `dr._dr`.
#[pymodule(gil_used = false)]
mod _dr {
    use std::panic::AssertUnwindSafe;

    use dr_core::render::Style;
    use dr_core::report::Verdict;
    use dr_core::toolkit::{OPERATIONS, Toolkit, blocking};
    use dr_core::world::Control;
    use dr_core::{Error, ErrorKind, Report, Retry};
    use pyo3::exceptions::PyValueError;
    use pyo3::prelude::*;

    /// The version of the library.
    #[pyfunction]
    fn version() -> &'static str {
        env!("CARGO_PKG_VERSION")
    }

    /// The names of all operations.
    #[pyfunction]
    fn operations() -> Vec<&'static str> {
        OPERATIONS.iter().map(|operation| operation.name).collect()
    }

    /// Every kind of error: its name, its number, and whether trying again can help.
    #[pyfunction]
    fn kinds() -> Vec<(&'static str, u8, bool)> {
        ErrorKind::all().map(|kind| (kind.name(), kind.code(), kind.retry() == Retry::Later)).collect()
    }

    /// Calls an operation: the answer and true, or the error and false, both in JSON. Ctrl-C raises KeyboardInterrupt.
    #[pyfunction]
    fn call(py: Python<'_>, operation: &str, settings: &str, request: &str) -> PyResult<(String, bool)> {
        let control = Control::silent();
        let mut raised = None;
        let main = is_main_thread(py)?;
        let done = py.detach(|| {
            // Python gives signals to the main thread only. There, the interpreter cannot end during this call, and this is
            // still the thread that called: no other one is attached.
            let pulse = || match main.then(|| Python::attach(|py| py.check_signals())) {
                None | Some(Ok(())) => true,
                Some(Err(signal)) => {
                    raised = Some(signal);
                    false
                }
            };
            guarded(|| {
                let toolkit = Toolkit::open_json(settings)?;
                blocking(toolkit.call_json(operation, request, &control), &control, pulse)
            })
        });
        match (raised, done) {
            (Some(signal), _) => Err(signal),
            (None, Ok(answer)) => Ok((answer, true)),
            (None, Err(error)) => {
                let record = serde_json::to_string(&error.to_record());
                Ok((record.map_err(|why| PyValueError::new_err(why.to_string()))?, false))
            }
        }
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

    fn read(report: &str) -> PyResult<Report> {
        serde_json::from_str(report).map_err(|why| PyValueError::new_err(format!("not a report: {why}")))
    }

    fn is_main_thread(py: Python<'_>) -> PyResult<bool> {
        let threading = py.import("threading")?;
        let main = threading.call_method0("main_thread")?.getattr("ident")?;
        threading.call_method0("get_ident")?.eq(main)
    }

    /// A panic is a defect of ours, and reaches Python as an error like any other: `except Exception` would miss a
    /// PanicException.
    fn guarded<T>(work: impl FnOnce() -> dr_core::Result<T>) -> dr_core::Result<T> {
        std::panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
            Err(Error::new(ErrorKind::Internal, "finish the call", "the library panicked")
                .hint("this is a defect in dr; please report it with what stands on standard error"))
        })
    }
}

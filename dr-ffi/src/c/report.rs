//! Reports as C sees them.

use std::ffi::{CString, c_char};
use std::ptr;

use dr_core::Report;
use dr_core::render::{self, Style};
use dr_core::report::Verdict;

use super::boundary::{c_text, shielded, take_back};
use super::status::dr_verdict;

/// The answer to "is it all right?".
pub struct dr_report {
    verdict: dr_verdict,
    findings: usize,
    json: CString,
    text: CString,
}

impl dr_report {
    pub(super) fn new(report: &Report, json: &str) -> Self {
        let verdict = match report.verdict() {
            Verdict::Ok => dr_verdict::DR_VERDICT_OK,
            Verdict::Degraded => dr_verdict::DR_VERDICT_DEGRADED,
            Verdict::Failed => dr_verdict::DR_VERDICT_FAILED,
        };
        let text = c_text(&render::report(report, Style::default()));
        Self { verdict, findings: report.findings.len(), json: c_text(json), text }
    }
}

/// The shortest summary; DR_VERDICT_FAILED for NULL.
///
/// # Safety
/// `report` is NULL or came from this library and was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dr_report_verdict(report: *const dr_report) -> dr_verdict {
    let failed = dr_verdict::DR_VERDICT_FAILED;
    // SAFETY: as the caller promises.
    shielded(failed, || unsafe { report.as_ref() }.map_or(failed, |report| report.verdict))
}

/// How many findings it has; 0 for NULL.
///
/// # Safety
/// `report` is NULL or came from this library and was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dr_report_finding_count(report: *const dr_report) -> usize {
    // SAFETY: as the caller promises.
    shielded(0, || unsafe { report.as_ref() }.map_or(0, |report| report.findings))
}

/// The whole report as JSON (docs/schema/report.json). Valid until the report is freed.
///
/// # Safety
/// `report` is NULL or came from this library and was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dr_report_json(report: *const dr_report) -> *const c_char {
    // SAFETY: as the caller promises.
    shielded(ptr::null(), || unsafe { report.as_ref() }.map_or(ptr::null(), |report| report.json.as_ptr()))
}

/// The whole report as a page for people, 80 columns wide. Valid until the report is freed.
///
/// # Safety
/// `report` is NULL or came from this library and was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dr_report_text(report: *const dr_report) -> *const c_char {
    // SAFETY: as the caller promises.
    shielded(ptr::null(), || unsafe { report.as_ref() }.map_or(ptr::null(), |report| report.text.as_ptr()))
}

/// Gives a report back. NULL is fine.
///
/// # Safety
/// `report` is NULL or came from this library and was not freed; it must not be used afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dr_report_free(report: *mut dr_report) {
    // SAFETY: as the caller promises, it is ours and nobody uses it any more.
    unsafe { take_back(report) }
}

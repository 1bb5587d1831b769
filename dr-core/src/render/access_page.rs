//! Who can log in where, as a page for a browser.

use std::fmt::Write as _;

use crate::keys::{Access, Inventory};
use crate::report::{Finding, Report};
use crate::severity::Severity;

/// One file that stands alone: no script, nothing fetched from anywhere, so it can be mailed, printed and kept. Every key that opens something is
/// on it, below its account, and every finding with its cure. What came from hosts is escaped.
///
/// ```
/// use dr_core::{keys::Inventory, render::access_page, report::Report};
/// let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ <b>ann";
/// let inventory = Inventory::of_file("keys", key.as_bytes(), Default::default());
/// let page = access_page(&inventory, &Report::new("audit", Default::default()));
/// assert!(page.starts_with("<!DOCTYPE html>") && page.contains("&lt;b&gt;ann") && !page.contains("<b>"));
/// ```
#[must_use]
pub fn access_page(inventory: &Inventory, report: &Report) -> String {
    let mut page = String::with_capacity(4096 + inventory.access.len() * 256);
    let title = text(&report.title);
    let at = inventory.at;
    let _ = write!(page, "{HEAD}<title>{title}</title>\n</head>\n<body>\n<h1>{title}</h1>\n<p>{at}");
    let keys = inventory.access.len();
    let _ = writeln!(
        page,
        ": {keys} keys in {} files, {} findings</p>",
        inventory.files.len(),
        report.findings.len()
    );
    findings(&mut page, report);
    page.push_str("<h2>Who can log in</h2>\n");
    if inventory.access.is_empty() {
        page.push_str("<p>No key is let in.</p>\n");
    }
    for lines in
        inventory.access.chunk_by(|a, b| (&a.host, &a.account, &a.file) == (&b.host, &b.account, &b.file))
    {
        account(&mut page, lines, inventory);
    }
    page.push_str("</body>\n</html>\n");
    page
}

const HEAD: &str = "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
<style>body{font:15px/1.4 sans-serif;margin:2em auto;max-width:75em;padding:0 1em;color:#222}\
table{border-collapse:collapse;width:100%;margin-bottom:1.5em}td,th{text-align:left;vertical-align:top;padding:.25em .6em;\
border-bottom:1px solid #ddd}code{font-size:90%;word-break:break-all}.critical,.error{color:#a00}.warning{color:#a50}\
.over{color:#777;text-decoration:line-through}@media print{body{margin:0}}</style>\n";

fn findings(page: &mut String, report: &Report) {
    if report.findings.is_empty() && report.unexamined.is_empty() {
        page.push_str("<p>Nothing is wrong with them.</p>\n");
        return;
    }
    page.push_str("<h2>What is wrong</h2>\n<table>\n<tr><th>how bad</th><th>where</th><th>what</th><th>what to do</th></tr>\n");
    let mut sorted: Vec<&Finding> = report.findings.iter().collect();
    sorted.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    for finding in sorted {
        let severity = finding.severity;
        let class = if severity >= Severity::Error {
            "error"
        } else if severity == Severity::Warning {
            "warning"
        } else {
            "notice"
        };
        let (subject, message) = (text(&finding.subject.to_string()), text(&finding.message));
        let cure = text(finding.code.remedy());
        let code = text(finding.code.name());
        let _ = writeln!(
            page,
            "<tr class=\"{class}\"><td>{}</td><td>{subject}</td><td>{message}<br><code>{code}</code></td><td>{cure}</td></tr>",
            severity.name()
        );
    }
    for unseen in &report.unexamined {
        let (subject, why) = (text(&unseen.subject.to_string()), text(&unseen.why.message));
        let _ = writeln!(
            page,
            "<tr class=\"warning\"><td>not seen</td><td>{subject}</td><td>{why}</td><td></td></tr>"
        );
    }
    page.push_str("</table>\n");
}

fn account(page: &mut String, lines: &[Access], inventory: &Inventory) {
    let Some(first) = lines.first() else { return };
    let place = match first.account.as_str() {
        "" => text(&first.file),
        account => format!("{} on {} <code>{}</code>", text(account), text(&first.host), text(&first.file)),
    };
    let _ = writeln!(
        page,
        "<h3>{place}</h3>\n<table>\n<tr><th>line</th><th>key</th><th>whose</th><th>what it may do</th></tr>"
    );
    for line in lines {
        let class = if line.is_expired(inventory.at) { " class=\"over\"" } else { "" };
        let kind = text(line.algorithm.trim_start_matches("ssh-"));
        let (comment, rights) = (text(&line.comment), text(&line.in_words()));
        let _ = writeln!(
            page,
            "<tr{class}><td>{}</td><td><code>{}</code> {kind} {}</td><td>{comment}</td><td>{rights}</td></tr>",
            line.line, line.key, line.bits
        );
    }
    page.push_str("</table>\n");
}

/// As it stands, whatever it holds.
fn text(raw: &str) -> String {
    let mut safe = String::with_capacity(raw.len());
    for c in raw.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c if c.is_control() => safe.push('\u{fffd}'),
            c => safe.push(c),
        }
    }
    safe
}

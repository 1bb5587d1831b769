//! What was found: findings with a code, a severity and a cure, and a report that also says what could not be examined.

mod codes;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

pub use codes::code;

use crate::error::ErrorRecord;
use crate::severity::Severity;
use crate::time::Timestamp;

/// A kind of finding: one row of the code table, `area.what_is_wrong`. Codes are never renamed or reused.
///
/// ```
/// use dr_core::report::{Code, code};
/// assert_eq!(code::DNS_RECORD_SET_DIFFERS.name(), "dns.record_set_differs");
/// assert_eq!(Code::find("dns.record_set_differs"), Some(code::DNS_RECORD_SET_DIFFERS));
/// ```
#[derive(Clone, Copy)]
pub struct Code(&'static Row);

#[derive(Debug)]
struct Row {
    name: &'static str,
    severity: Severity,
    meaning: &'static str,
    remedy: &'static str,
}

impl Code {
    /// Every code, in the order of the table.
    pub fn all() -> impl Iterator<Item = Self> {
        codes::TABLE.iter().copied()
    }

    /// The code with this name.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        Self::all().find(|code| code.name() == name)
    }

    /// `area.what_is_wrong`.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.0.name
    }

    /// How bad it is unless the policy says otherwise.
    #[must_use]
    pub fn severity(self) -> Severity {
        self.0.severity
    }

    /// What it means to the operator.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        self.0.meaning
    }

    /// What to do about it.
    #[must_use]
    pub fn remedy(self) -> &'static str {
        self.0.remedy
    }
}

impl PartialEq for Code {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}
impl Eq for Code {}
impl PartialOrd for Code {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Code {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.name().cmp(other.name())
    }
}
impl std::hash::Hash for Code {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.name().hash(state);
    }
}
impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
impl Serialize for Code {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.name())
    }
}
impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let name = Cow::<'de, str>::deserialize(from)?;
        Self::find(&name).ok_or_else(|| serde::de::Error::custom(format!("no finding has the code '{name}'")))
    }
}
impl JsonSchema for Code {
    fn schema_name() -> Cow<'static, str> {
        "Code".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let names: Vec<&str> = Self::all().map(Self::name).collect();
        json_schema!({ "type": "string", "enum": names })
    }
}

/// What a finding or an examination is about.
///
/// ```
/// use dr_core::report::Subject;
/// let subject = Subject::new("zone", "example.org");
/// assert_eq!(subject.to_string(), "zone example.org");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Subject {
    /// What sort of thing: `zone`, `server`, `site`, `host`, `file`, `account`.
    pub kind: String,
    /// Which one.
    pub name: String,
}

impl Subject {
    /// The thing of this sort and name.
    pub fn new(kind: impl Into<String>, name: impl fmt::Display) -> Self {
        Self { kind: kind.into(), name: name.to_string() }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.name)
    }
}

/// One thing that is not as it should be.
///
/// ```
/// use dr_core::report::{Finding, Subject, code};
/// let finding = Finding::new(code::DNS_SERVER_SILENT, Subject::new("server", "ns3"), "no answer in 2 s over UDP and TCP")
///     .with("address", "192.0.2.3:53");
/// assert_eq!(finding.severity, code::DNS_SERVER_SILENT.severity());
/// assert!(!finding.remedy.is_empty());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    /// The row of the table.
    pub code: Code,
    /// How bad it is, by the table and the policy.
    pub severity: Severity,
    /// What it is about.
    pub subject: Subject,
    /// What was seen, in one sentence without a full stop.
    pub message: String,
    /// The observed values behind it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub evidence: BTreeMap<String, String>,
    /// What to do about it.
    pub remedy: String,
}

impl Finding {
    /// A finding with the table's severity and remedy.
    pub fn new(code: Code, subject: Subject, message: impl Into<String>) -> Self {
        Self {
            code,
            severity: code.severity(),
            subject,
            message: message.into(),
            evidence: BTreeMap::new(),
            remedy: code.remedy().to_owned(),
        }
    }

    /// Adds an observed value.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl fmt::Display) -> Self {
        self.evidence.insert(name.to_owned(), value.to_string());
        self
    }
}

/// Something that could not be looked at, and why: never silently left out.
///
/// ```
/// use dr_core::report::{Report, Subject, Unexamined, Verdict};
/// use dr_core::{Error, ErrorKind};
/// let mut report = Report::new("check host us", Default::default());
/// let why = Error::new(ErrorKind::Unreachable, "connect to us:22", "no route to host").to_record();
/// report.unexamined.push(Unexamined { subject: Subject::new("host", "us"), why });
/// assert_eq!(report.verdict(), Verdict::Degraded, "what was not seen is not fine");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Unexamined {
    /// What it was.
    pub subject: Subject,
    /// Why not.
    pub why: ErrorRecord,
}

/// The answer to "is it all right?".
///
/// ```
/// use dr_core::report::{Finding, Report, Subject, Verdict, code};
/// let mut report = Report::new("check zone example.org", Default::default());
/// assert_eq!(report.verdict(), Verdict::Ok);
/// report.push(Finding::new(code::DNS_SERVER_SILENT, Subject::new("server", "ns3"), "no answer"));
/// assert_eq!(report.verdict(), Verdict::Failed);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[must_use]
pub struct Report {
    /// What was asked: "check zone example.org".
    pub title: String,
    /// When the facts were gathered.
    pub at: Timestamp,
    /// What was looked at.
    pub examined: Vec<Subject>,
    /// What could not be looked at.
    pub unexamined: Vec<Unexamined>,
    /// What is not as it should be, worst first once [`Report::judged`].
    pub findings: Vec<Finding>,
    /// Figures that belong to it: counts, bytes, milliseconds; the unit is the last word of the name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub figures: BTreeMap<String, u64>,
}

/// The shortest summary of a report.
///
/// ```
/// use dr_core::report::Verdict;
/// assert!(Verdict::Failed > Verdict::Degraded);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Nothing at or over warning, and everything was examined.
    Ok,
    /// Warnings, or something could not be examined.
    Degraded,
    /// Errors or worse.
    Failed,
}

impl Report {
    /// An empty report.
    pub fn new(title: impl Into<String>, at: Timestamp) -> Self {
        Self {
            title: title.into(),
            at,
            examined: vec![],
            unexamined: vec![],
            findings: vec![],
            figures: BTreeMap::new(),
        }
    }

    /// Adds a finding.
    pub fn push(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    /// Takes over everything of another report, its title aside.
    pub fn absorb(&mut self, other: Self) {
        self.examined.extend(other.examined);
        self.unexamined.extend(other.unexamined);
        self.findings.extend(other.findings);
        for (name, value) in other.figures {
            *self.figures.entry(name).or_default() += value;
        }
    }

    /// The worst severity found.
    #[must_use]
    pub fn worst(&self) -> Option<Severity> {
        self.findings.iter().map(|finding| finding.severity).max()
    }

    /// The shortest summary.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        match self.worst() {
            Some(Severity::Critical | Severity::Error) => Verdict::Failed,
            Some(Severity::Warning) => Verdict::Degraded,
            _ if !self.unexamined.is_empty() => Verdict::Degraded,
            _ => Verdict::Ok,
        }
    }

    /// Applies the policy's severities and puts the worst first.
    pub fn judged(mut self, severities: &BTreeMap<String, Severity>) -> Self {
        for finding in &mut self.findings {
            if let Some(severity) = severities.get(finding.code.name()) {
                finding.severity = *severity;
            }
        }
        self.findings.sort_by(|a, b| {
            (b.severity, a.code, &a.subject, &a.message).cmp(&(a.severity, b.code, &b.subject, &b.message))
        });
        self
    }
}

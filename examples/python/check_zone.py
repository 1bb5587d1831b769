"""Check that all name servers of a zone would send visitors to the right host."""

import dr

report = dr.check_zone("example.org", {"ns1": "192.0.2.1", "ns2": "192.0.2.2"})
print(report)
for finding in report.findings:
    print(finding.severity, finding.code, finding.subject, "->", finding.remedy)

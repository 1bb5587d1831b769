"""The check of every night, mailed when something is wrong: python3 nightly.py ESTATE ADDRESS [SENDMAIL]. From cron:

    41 5 * * * python3 /etc/dr/nightly.py /etc/dr/dr.toml ops@example.org
"""

import subprocess
import sys
from email.message import EmailMessage

import dr


def look(estate):
    """Would every site survive? One report for each zone, and one for all sites."""
    for zone in estate["zones"]:
        yield dr.check_zone(zone, depth="records", estate=estate)
    if estate["sites"]:
        yield dr.failover_status(estate=estate)


def main(path, address, sendmail="/usr/sbin/sendmail"):
    mail = EmailMessage()
    mail["To"] = address
    try:
        bad = [report for report in look(dr.Estate.from_file(path)) if report.verdict != dr.Verdict.OK]
        if not bad:
            return 0
        mail["Subject"] = f"dr: {sum(len(report.findings) for report in bad)} findings"
        mail.set_content("\n\n".join(str(report) for report in bad))
    except dr.DrError as why:
        # A check that could not be made is news, too.
        mail["Subject"] = "dr: the estate could not be checked"
        mail.set_content(f"{why}\n{why.hint or ''}")
    subprocess.run([sendmail, "-t", "-oi"], input=mail.as_bytes(), check=True)
    return 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:4]))

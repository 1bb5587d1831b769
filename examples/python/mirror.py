"""Mirror a website to another disk: look first, then do it."""

import dr

planned = dr.mirror("/var/www/shop", "/mnt/backup/shop", dry_run=True)
print(f"{planned.summary['created']} new, {planned.summary['updated']} changed, {planned.summary['deleted']} gone")
try:
    done = dr.mirror("/var/www/shop", "/mnt/backup/shop", journal="/var/lib/dr/journal.db")
    print(done.report)
except dr.RefusedError as refused:
    print(refused, "->", refused.hint)

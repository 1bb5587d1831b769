"""Mirror with a progress bar: python3 progress.py SOURCE TARGET JOURNAL. With rich installed it is a rich one."""

import sys

import dr

try:
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
except ImportError:
    Progress = None


class Plain:
    """A line on standard error that is written over."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        print(file=sys.stderr)

    def __call__(self, event):
        if event.kind == "progress" and event.unit == "bytes" and event.fraction is not None:
            filled = int(40 * event.fraction)
            print(f"\r{event.phase:<8}[{'#' * filled}{' ' * (40 - filled)}] {event.fraction:4.0%}", end="", file=sys.stderr)


class Rich:
    """One bar for each phase that counts bytes."""

    def __enter__(self):
        self.bars = Progress(TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
        self.tasks = {}
        self.bars.start()
        return self

    def __exit__(self, *_):
        self.bars.stop()

    def __call__(self, event):
        if event.kind == "progress" and event.unit == "bytes":
            if event.phase not in self.tasks:
                self.tasks[event.phase] = self.bars.add_task(event.phase, total=event.total)
            self.bars.update(self.tasks[event.phase], completed=event.done, total=event.total)


def main(source, target, journal):
    try:
        with (Rich if Progress and sys.stderr.isatty() else Plain)() as bar:
            done = dr.mirror(source, target, journal=journal, progress=bar)
    except dr.DrError as why:
        print(why, why.hint or "", sep="\n-> " if why.hint else "", file=sys.stderr)
        return why.code
    print(f"{done.summary['created']} created, {done.summary['updated']} updated, {done.summary['deleted']} deleted")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:4]))

"""Times runs while the rest of the machine is idle, as far as it is."""

import json
import os
import resource
import time
from pathlib import Path


class Undisturbed:
    """Repeats a run during which other processes took more than a share of a core.

    Processor time of others is that of the machine (Linux' `/proc/stat`) without that of this
    process and of its children that have ended.

    Args:
        folder: Where the figures of runs are kept, so that a benchmark goes on where it was
            stopped; None keeps none.
        most: The share of one core that others may take.
        tries: How often a run is made at most; then the least disturbed counts.

    Attributes:
        worst: The largest share during a run that counts.
    """

    def __init__(self, folder=None, most=0.15, tries=3):
        self.folder = None if folder is None else Path(folder)
        self.most, self.tries, self.worst = most, tries, 0.0

    def __call__(self, name, run, *arguments):
        """Returns what the least disturbed of the calls returned, or what is kept by this name."""
        kept = None if self.folder is None else self.folder / f"{name}.json"
        if kept is not None and kept.exists():
            share, value = json.loads(kept.read_text())
        else:
            share, value = self._least(run, arguments)
            if kept is not None:
                self.folder.mkdir(parents=True, exist_ok=True)
                kept.write_text(json.dumps([share, value]))
        self.worst = max(self.worst, share)
        return value

    def _least(self, run, arguments):
        found = []
        while len(found) < self.tries and (not found or found[-1][0] > self.most):
            start, others = time.perf_counter(), _others()
            value = run(*arguments)
            found.append(((_others() - others) / (time.perf_counter() - start), value))
        return min(found, key=lambda each: each[0])

    def line(self):
        """Returns what is to be said of it, as a line of Markdown."""
        return (
            f"- other processes took at most {self.worst:.2f} of a core in each run that counts; "
            f"runs with more than {self.most:g} were made again"
        )


def _others():
    """Returns the seconds of processor time that all others have taken."""
    user, nice, system, _, _, irq, soft = map(
        int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:8]
    )
    whole = (user + nice + system + irq + soft) / os.sysconf("SC_CLK_TCK")
    own = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return whole - sum(each.ru_utime + each.ru_stime for each in own)

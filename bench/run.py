"""Measure everything, or what is named, and print a table: `python bench/run.py [NAME...] [--quick]`."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import time
from pathlib import Path

from harness import Row, machine, table

THEMES = {
    "startup": "Start of a server",
    "calls": "Tool calls",
    "throughput": "From submission to end",
    "idle": "Idle, with 20 running tasks",
    "delegation": "A delegated Claude Code",
    "hibernation": "Hibernating and resuming a Claude Code",
    "stream": "Reading what a delegated run prints",
    "sampling": "Looking at running tasks once a second",
    "chatty": "Following 20 delegated runs that have a lot to say",
    "suspend": "Suspending a tree",
    "rules": "Judging runs",
    "admission": "Deciding who starts",
    "policy": "Protective mode, in virtual time",
    "detection": "Recognition, by scenarios with known truth",
    "arrival": "From a threshold to a client",
    "checkpoint": "Keeping a work tree",
    "events": "A registry with a million events",
}
BUSY_LOAD = 0.5


def main() -> int:
    """Run the measurements; 1 if a target was missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(THEMES)}; default: all")
    parser.add_argument("--quick", action="store_true", help="fewer rounds: to see that it works")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write a page, like docs/benchmarks.md")
    options = parser.parse_args()
    if unknown := set(options.names) - set(THEMES):
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(THEMES)}")
    today = time.strftime("%Y-%m-%d", time.gmtime())
    load = os.getloadavg()[0]
    command = f"python bench/run.py{' --quick' if options.quick else ''}"
    head = f"Measured on {today} with `{command}` on {machine()}, at a load of {load:.1f}."
    print(head)
    if load > BUSY_LOAD:
        print(
            f"The machine is busy (load {load:.1f}): only ratios and CPU times will mean anything.",
            file=sys.stderr,
        )
    rows: list[Row] = []
    parts: list[str] = []
    for name in options.names or THEMES:
        began = time.perf_counter()
        found = importlib.import_module(name).measure(quick=options.quick)
        rows += found
        parts.append(f"## {THEMES[name]}\n\n{table(found)}\n")
        print(f"\n{parts[-1]}", flush=True)
        print(f"{name}: {time.perf_counter() - began:.0f} s, load {os.getloadavg()[0]:.1f}", file=sys.stderr)
    if options.markdown is not None:
        options.markdown.write_text("\n".join([TITLE, head + "\n", *parts]), encoding="utf-8")
    return int(any(row.value > row.target for row in rows if row.target is not None))


TITLE = """\
# Benchmarks

What was promised, and what was measured. Both sides of a comparison run in turn, in one run; each measurement has
a state directory of its own and real processes over stdio.
"""


if __name__ == "__main__":
    sys.exit(main())

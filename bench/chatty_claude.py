"""Poses as a Claude Code that has a lot to say: a recording, again and again, five to ten lines a second.

Started as `chatty_claude.py RECORDING …`, with a delegation's arguments after it, of which only `--version` is
answered. It says no result, so it goes on until it is killed.
"""

from __future__ import annotations

import itertools
import os
import sys
import time

PAUSES_S = (0.1, 0.2, 0.15, 0.12, 0.18)
HEARTBEAT = b'{"type":"tool_progress","tool_name":"Bash","elapsed_time_seconds":30,"heartbeat":true}\n'
"""Comes after 30 s of a tool; here it makes one line more of each call."""


def main() -> None:
    if "--version" in sys.argv:
        print("2.1.328 (Claude Code)")
        return
    with open(sys.argv[1], "rb") as file:  # noqa: PTH123 - pathlib is most of what such a program would load
        *lines, _result = file.read().splitlines(keepends=True)
    pauses = itertools.islice(itertools.cycle(PAUSES_S), os.getpid() % len(PAUSES_S), None)
    for number in itertools.count():
        for line in lines:
            # Each round has calls and answers of its own.
            said = line.replace(b'"toolu_', b'"toolu_%d_' % number).replace(b'"msg_', b'"msg_%d_' % number)
            for each in (said, HEARTBEAT) if b'"type":"tool_use"' in said else (said,):
                os.write(1, each)
                time.sleep(next(pauses))


if __name__ == "__main__":
    main()

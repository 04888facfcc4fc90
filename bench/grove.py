"""Stands for tasks at work: `grove.py TASKS PROCESSES REST_S` starts trees and says where they begin.

They end with its input. Each tree is a keeper that sleeps, a main process below it, and the rest below that. Every
process but the keeper wakes after each rest, so that none of them is as it was a second ago.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time


def main() -> None:
    """Start the trees; one line of JSON: pairs of keeper and main process."""
    tasks, processes, rest_s = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    roots = [_tree(processes, rest_s) for _ in range(tasks)]
    sys.stdout.write(json.dumps(roots) + "\n")
    sys.stdout.flush()
    sys.stdin.read()
    for keeper, _ in roots:
        os.killpg(keeper, signal.SIGKILL)


def _tree(processes: int, rest_s: float) -> tuple[int, int]:
    told, tell = os.pipe()
    keeper = os.fork()
    if keeper == 0:
        os.setsid()
        main_pid = os.fork()
        if main_pid == 0:
            for _ in range(processes - 1):
                if os.fork() == 0:
                    break
            while True:
                time.sleep(rest_s)
        os.write(tell, str(main_pid).encode())
        while True:
            signal.pause()
    main_pid = int(os.read(told, 32))
    os.close(told)
    os.close(tell)
    return keeper, main_pid


if __name__ == "__main__":
    main()

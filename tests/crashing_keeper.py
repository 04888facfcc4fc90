"""Stands in for the keeper's source: the keeper, but it kills itself at a chosen point, once.

It is started as a keeper is, without an environment, so what it shall do is in the file ``keeper-crash`` of the
state directory: the path of the true keeper, and a point. A point is a name of ``os`` or ``fcntl`` that the keeper
calls, ``<`` or ``>`` for before or after the call, and the number of the call, as in ``rename>:2``. The file is
taken away before the crash, so that the next keeper lives.
"""

import fcntl
import json
import os
import runpy
import signal
import sys
import time
from pathlib import Path
from typing import Any, NoReturn


def crash_at(plan: dict[str, Any], marker: Path) -> None:
    """Have this process die at the call that the plan names."""
    owner = fcntl if plan["call"] == "flock" else os
    true_call = getattr(owner, plan["call"])
    me, count = os.getpid(), 0

    def die() -> NoReturn:
        marker.rename(f"{marker}.done")
        os.kill(me, signal.SIGKILL)
        while True:
            time.sleep(60)

    def call(*args: Any, **kwargs: Any) -> Any:
        nonlocal count
        if os.getpid() != me:  # the task's own process, forked off before
            return true_call(*args, **kwargs)
        count += 1
        if count == plan["number"] and plan["side"] == "<":
            die()
        result = true_call(*args, **kwargs)
        if count == plan["number"] and plan["side"] == ">" and os.getpid() == me:
            die()
        return result

    setattr(owner, plan["call"], call)


if __name__ == "__main__":
    file = Path(sys.argv[2]).parent / "keeper-crash"
    if file.exists():
        found = json.loads(file.read_text())
        crash_at(found, file)
    else:
        found = json.loads(Path(f"{file}.done").read_text())
    runpy.run_path(found["keeper"], run_name="__main__")

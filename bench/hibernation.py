"""What it costs that a Claude Code is put to rest and resumed: the real one, against a fake API on loopback."""

from __future__ import annotations

import time

from delegation import (
    CLAUDE,
    NotInstalledError,
    claude_home,
    delegated,
    fake_api,
    first_line,
    locate,
    more,
    ratio,
    same_arguments,
    started,
)
from harness import CLAUDINE, Client, Home, Row, connected, until

SCRIPT = "FAKE: bash touch began && until test -e open; do sleep 0.05; done | text done"
"""It is put to rest in a tool that does not end by itself."""


def measure(*, quick: bool) -> list[Row]:
    """Put a run to rest and resume it, and start one by hand with the same arguments, in turn."""
    try:
        (program,) = locate(CLAUDE, install=False)
    except NotInstalledError as error:
        raise SystemExit(str(error)) from None
    rested: list[float] = []
    resumed: list[float] = []
    both: list[float] = []
    plain: list[float] = []
    with (
        fake_api() as url,
        claude_home(program, url) as place,
        connected(CLAUDINE, place.env) as client,
    ):
        for number in range((4 if quick else 15) + 1):
            task_id, _ = delegated(place, client)
            by_hand, _ = started(place, *same_arguments(place, task_id))
            to_rest, to_line = rested_and_resumed(place, client)
            if number:  # the first round asks for the version, and starts the supervisor
                plain.append(by_hand)
                rested.append(to_rest)
                resumed.append(to_line)
                both.append(to_rest + to_line)
    return [
        more("HibernateTask, and ResumeTask → first line, more than `claude` itself", both, plain, 2000),
        ratio("HibernateTask, and ResumeTask → first line, to `claude` itself", both, plain),
        ratio("ResumeTask → first line, to `claude` itself", resumed, plain),
        ratio("HibernateTask → nothing of it is left, to a start of `claude`", rested, plain),
    ]


def rested_and_resumed(place: Home, client: Client) -> tuple[float, float]:
    """Put a run to rest in a tool, and resume it; give the seconds to its rest, and from there to its first line."""
    began = place.folder / "began"
    began.unlink(missing_ok=True)
    arguments = {"prompt": SCRIPT, "cwd": str(place.folder), "allowedTools": ["Bash"]}
    task_id = client.call("DelegateTask", **arguments)["taskId"]
    until(began.exists)
    at = time.perf_counter()
    client.call("HibernateTask", taskId=task_id)
    to_rest = time.perf_counter() - at
    at = time.perf_counter()
    client.call("ResumeTask", taskId=task_id, prompt="FAKE: text done")
    to_line = first_line(place.run(task_id).with_name("2") / "stdout.log") - at
    client.call("WaitForEvents", taskIds=[task_id], until="ended")
    if place.rows("SELECT outcome FROM tasks WHERE id = ?", task_id) != [("succeeded",)]:
        raise RuntimeError(f"task {task_id} did not succeed")
    return to_rest, to_line

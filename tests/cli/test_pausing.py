"""`pause`."""

from __future__ import annotations

from commandline import CommandLine


def test_the_queue_is_paused_and_goes_on(cli: CommandLine) -> None:
    assert cli.out("pause", "--reason", "lunch").startswith("the queue is paused; 0 tasks wait. ")
    done = cli.run("run", "--", "true")
    task_id = done.stdout.strip()
    assert "the queue is paused since " in done.stderr
    assert ": lunch; `claudine-mcp pause --off` lets it go on" in done.stderr
    again = cli.json("pause")
    assert (again["paused"], again["changed"], again["queued"]) == (True, False, 1)
    assert cli.out("pause", "--off") == "the queue goes on; 1 task waits"
    cli.until(task_id)
    assert cli.out("pause", "--off") == "the queue was not paused; 0 tasks wait"


def test_a_reason_that_says_nothing_is_refused(cli: CommandLine) -> None:
    assert "reason: it is empty" in cli.refused("pause", "--reason", " ")

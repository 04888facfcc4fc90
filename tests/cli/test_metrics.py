"""`metrics`, and what `status` tells of the use of a task and of the machine."""

from __future__ import annotations

from commandline import CommandLine
from support import wait_until

GATE = "until test -e open; do sleep 0.05; done"
LIMIT_S = 60.0


def test_what_a_task_uses_is_a_table_with_a_line_for_each_measure(cli: CommandLine) -> None:
    task_id = cli.submit(GATE)
    # What it uses of the processors is known from the second look on.
    wait_until(
        lambda: "cpuPercent" in cli.json("status", task_id).get("sample", {}), LIMIT_S, what="two samples"
    )
    (uses,) = (line for line in cli.out("status", task_id).splitlines() if line.startswith("uses "))
    assert "B in " in uses
    assert " process" in uses
    (cli.home.work / "open").touch()
    wait_until(lambda: "rssBytes" in cli.json("metrics", task_id), LIMIT_S, what="series")

    lines = cli.out("metrics", task_id).splitlines()

    assert lines[0].startswith("run 1: ")
    assert lines[1].split() == ["NOW", "MIN", "MEAN", "MAX", "P95", "A", "MINUTE"]
    assert lines[2].startswith("memory (RSS)")
    assert any(line.startswith("CPU %") for line in lines)


def test_json_has_the_names_of_the_tool(cli: CommandLine) -> None:
    task_id = cli.ended("sleep 1")
    wait_until(lambda: "rssBytes" in cli.json("metrics", task_id), LIMIT_S, what="series")

    view = cli.json("metrics", task_id, "--window", "1h", "--points", "1")

    assert view["taskId"] == task_id
    assert len(view["at"]) == len(view["rssBytes"]["series"]) == len(view["rssBytes"]["sparkline"]) == 1
    assert {"current", "min", "mean", "max", "p95"} <= set(view["rssBytes"])


def test_what_is_wrong_is_named_as_the_option_that_it_is(cli: CommandLine) -> None:
    task_id = cli.ended("true")
    assert '--window: 5 means 5 milliseconds. Did you mean "5s"' in cli.refused(
        "metrics", task_id, "--window", "5"
    )
    assert "--points: 0 is out of range. Give 1 to 1000." in cli.refused("metrics", task_id, "--points", "0")
    assert "there is no task 'nobody'" in cli.refused("metrics", "nobody", code=3)


def test_the_machine_has_memory_load_and_disk(cli: CommandLine) -> None:
    (line,) = (line for line in cli.out("status").splitlines() if line.startswith("machine"))
    assert " memory available" in line
    assert " CPUs, " in line
    assert line.endswith(" disk free")

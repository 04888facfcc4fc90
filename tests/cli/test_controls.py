"""`suspend` and `resume`."""

from __future__ import annotations

from commandline import CommandLine


def test_a_task_is_suspended_and_goes_on(cli: CommandLine) -> None:
    task_id = cli.submit("until [ -e done ]; do sleep 0.02; done")
    cli.until(task_id, "running")

    out = cli.out("suspend", task_id, "--reason", "lunch")

    assert out.startswith(f"{task_id} suspended: ")
    assert "its memory stays taken: suspending frees none" in out
    status = cli.out("status", task_id)
    assert "by the user, " in status
    assert "ago: lunch" in status
    assert "by the user, " in cli.out("list")
    (row,) = cli.json("list")["tasks"]
    assert (row["stopped"]["by"], row["stopped"]["why"]) == ("user", "lunch")
    assert cli.refused("suspend", task_id, code=1) == (
        f"claudine-mcp: task {task_id} is suspended; only a running task can be suspended: "
        "`claudine-mcp resume` lets it go on"
    )

    resumed = cli.json("resume", task_id)

    assert (resumed["state"], resumed["changed"]) == ("running", True)
    (cli.home.work / "done").touch()
    cli.until(task_id)

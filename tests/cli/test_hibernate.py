"""`hibernate`, and `resume` of what is hibernated."""

from __future__ import annotations

from commandline import CommandLine
from support import wait_until

GATED = "echo 1 >> begun; until test -e open; do sleep 0.02; done"


def test_a_restartable_command_is_hibernated_and_resumed(cli: CommandLine) -> None:
    task_id = cli.submit(GATED, "--restartable")
    wait_until(lambda: cli.home.lines("begun"))
    cli.until(task_id, "running")

    said = cli.out("hibernate", task_id, "--reason", "room is needed")

    assert said.startswith(f"{task_id} hibernated: ")
    assert said.rstrip().endswith(
        "of memory are free again; `claudine-mcp resume` starts it again from its beginning"
    )
    status = cli.json("status", task_id)
    assert (status["state"], status["stopped"]["why"]) == ("hibernated", "room is needed")
    assert "room is needed" in cli.out("status", task_id)
    (cli.home.work / "open").touch()
    assert "it was put into the queue, to go on" in cli.out("resume", task_id)
    cli.run("wait", task_id)
    assert cli.json("status", task_id)["run"] == 2


def test_a_command_that_may_not_begin_again_is_refused(cli: CommandLine) -> None:
    task_id = cli.submit("sleep 600")
    cli.until(task_id, "running")

    said = cli.refused("hibernate", task_id, code=1)

    assert "not declared restartable" in said
    assert cli.json("status", task_id)["state"] == "running"

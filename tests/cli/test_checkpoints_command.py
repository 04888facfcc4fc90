"""`checkpoints`."""

from __future__ import annotations

from commandline import CommandLine
from work_tree_kinds import new_repository


def test_a_command_line_makes_one_and_lists_it(cli: CommandLine) -> None:
    top = new_repository(cli.home.work)
    task_id = cli.submit("until [ -e done ]; do sleep 0.05; done")
    cli.until(task_id, "running")
    assert cli.run("checkpoints", task_id).stderr.endswith(f"task {task_id} has no checkpoints\n")
    assert cli.refused("checkpoints", task_id, "--label", "x").startswith(
        "claudine-mcp: --label: no checkpoint"
    )
    out = cli.out("checkpoints", task_id, "--make", "--label", "by hand")
    checkpoint_id = out.splitlines()[0].removeprefix("checkpoint ")
    (listed,) = cli.json("checkpoints", task_id)["checkpoints"]
    assert (listed["checkpointId"], listed["label"]) == (checkpoint_id, "by hand")
    assert "user: by hand" in cli.out("checkpoints", task_id)
    (top / "done").touch()
    cli.until(task_id, "ended")

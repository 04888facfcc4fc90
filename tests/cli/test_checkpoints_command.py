"""`checkpoints`."""

from __future__ import annotations

from commandline import CommandLine
from work_tree_kinds import commit_all, new_repository


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


def test_a_command_line_puts_files_back_when_it_is_told_what_is_lost_by_that(cli: CommandLine) -> None:
    top = new_repository(cli.home.work)
    (top / "a").write_text("a\n")
    commit_all(top)
    task_id = cli.submit("until [ -e done ]; do sleep 0.05; done")
    cli.until(task_id, "running")
    checkpoint_id = cli.out("checkpoints", task_id, "--make").splitlines()[0].removeprefix("checkpoint ")
    (top / "done").touch()
    cli.until(task_id, "ended")
    (top / "a").write_text("work\n")

    refused = cli.run("restore", checkpoint_id, "--into", "same-task", expect=1)
    assert "would be lost: a\n" in refused.stderr
    assert "With --confirm it is done" in refused.stderr
    assert (top / "a").read_text() == "work\n"
    done = cli.out("restore", checkpoint_id, "--into", "same-task", "--confirm")
    assert "what was there before is checkpoint" in done
    assert (top / "a").read_text() == "a\n"
    assert "there is no checkpoint 'nothing'" in cli.refused("restore", "nothing", code=3)
    assert "not declared restartable" in cli.refused("restore", checkpoint_id, code=1)

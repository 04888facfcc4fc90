"""`wait`, `cancel`, `retry` and `rm`."""

from __future__ import annotations

import os

import anyio
from commandline import CommandLine
from support import alive, wait_until


def test_waiting_for_all_fails_when_one_has_failed(cli: CommandLine) -> None:
    good, bad = cli.submit("sleep 0.2"), cli.submit("exit 3")

    out = cli.out("wait", good, bad, expect=1)

    assert sorted(line.split()[:2] for line in out.splitlines()) == sorted(
        [[good, "succeeded"], [bad, "failed"]]
    )
    assert cli.out("wait", good).startswith(f"{good} succeeded (exit code 0")


def test_waiting_for_any_ends_with_the_first(cli: CommandLine) -> None:
    slow, quick = cli.submit("sleep 600"), cli.submit("true")

    out = cli.json("wait", "--any", slow, quick)

    assert [row["taskId"] for row in out["tasks"] if row["state"] == "ended"] == [quick]
    assert out["why"] == f"task {quick} has ended (succeeded)"


def test_waiting_gives_up_at_its_timeout(cli: CommandLine) -> None:
    task_id = cli.submit("sleep 600")

    done = cli.run("wait", task_id, "--timeout", "100ms", expect=1)

    assert (done.stdout, done.stderr) == ("", "claudine-mcp: the timeout of 0.1 s has passed\n")
    assert cli.refused("wait", task_id, "--timeout", "5").startswith(
        "claudine-mcp: --timeout: 5 means 5 milli"
    )


def test_waiting_starts_a_supervisor_when_the_one_there_was_is_killed(cli: CommandLine) -> None:
    flag = cli.home.work / "go-on"
    task_id = cli.submit(f"while [ ! -e {flag} ]; do sleep 0.05; done")
    cli.until(task_id, "running")
    waiting = cli.start("wait", task_id)
    before = cli.home.epoch()
    anyio.run(cli.home.kill_supervisor)
    wait_until(lambda: cli.home.epoch() > before)

    os.close(os.open(flag, os.O_CREAT))

    waiting.communicate(timeout=30)
    assert waiting.returncode == 0


def test_a_cancel_ends_the_whole_tree_and_says_so(cli: CommandLine) -> None:
    task_id = cli.submit("sleep 600 & sh -c 'sleep 600 & echo $! > pid; wait' & wait")
    wait_until(lambda: cli.home.lines("pid"))

    out = cli.out("cancel", task_id, "--reason", "no longer needed")

    assert out.startswith(f"{task_id} cancelled: ")
    assert "SIGTERM" in out
    assert not alive(int(cli.home.lines("pid")[0]))
    assert cli.json("status", task_id)["reason"] == "cancelled by the command line: no longer needed"


def test_cancelling_what_has_ended_changes_nothing(cli: CommandLine) -> None:
    task_id = cli.ended("true")

    assert "it has ended already (succeeded: exit code 0)" in cli.out("cancel", task_id)
    assert cli.json("cancel", task_id)["changed"] is False


def test_a_queued_task_is_cancelled_without_having_run(cli: CommandLine) -> None:
    task_id = cli.submit("true", "--not-before", "2999-01-01T00:00:00Z")

    assert cli.out("cancel", task_id) == f"{task_id} cancelled"


def test_a_retry_is_a_new_run_of_the_same_task(cli: CommandLine) -> None:
    task_id = cli.ended("echo run >> runs; [ $(wc -l < runs) -gt 1 ]")
    assert cli.json("status", task_id)["outcome"] == "failed"

    done = cli.run("retry", task_id, "--wait")

    assert "succeeded" in done.stderr
    assert cli.json("status", task_id)["run"] == 2
    assert cli.out("retry", task_id) == task_id


def test_a_task_that_runs_cannot_be_retried(cli: CommandLine) -> None:
    task_id = cli.submit("sleep 600")
    cli.until(task_id, "running")

    assert "only a task that has ended can be retried" in cli.refused("retry", task_id, code=1)


def test_removing_takes_the_output_too(cli: CommandLine) -> None:
    task_id = cli.ended("echo something")

    assert cli.out("rm", task_id).startswith("1 task was removed (")

    assert cli.refused("status", task_id, code=3)
    wait_until(lambda: not (cli.home.state_dir / "tasks" / task_id).exists())


def test_a_dry_run_says_what_would_be_removed_and_removes_nothing(cli: CommandLine) -> None:
    ended, failed = cli.ended("true"), cli.ended("false")

    out = cli.out("rm", "--state", "ended", "--dry-run").splitlines()
    assert out[0].startswith("2 tasks would be removed (")
    assert sorted(line.strip() for line in out[1:]) == sorted([ended, failed])

    assert cli.json("rm", "--outcome", "failed")["removed"] == [failed]
    assert [row["taskId"] for row in cli.json("list")["tasks"]] == [ended]


def test_what_cannot_be_removed_stays_and_is_explained(cli: CommandLine) -> None:
    first = cli.ended("true")
    running = cli.submit("sleep 600", "--depends-on", first)
    cli.until(running, "running")
    waiting = cli.submit("true", "--not-before", "2999-01-01T00:00:00Z", "--depends-on", first)

    done = cli.run("rm", running, first, waiting, expect=1)
    planned = cli.json("rm", "--dry-run", running, first, waiting, expect=1)

    assert f"{running} stays: it is running" in done.stderr
    assert f"{first} stays: task {waiting} waits for it" in done.stderr
    assert (planned["removed"], planned["dryRun"]) == ([], True)
    assert set(planned["kept"]) == {running, first, waiting}
    assert cli.json("rm", "--label", "none")["removed"] == []


def test_removing_needs_ids_or_a_filter_and_not_both(cli: CommandLine) -> None:
    task_id = cli.ended("true")

    for arguments in ([], [task_id, "--state", "ended"]):
        assert "give either ids or options" in cli.refused("rm", *arguments)
    assert "only tasks that have ended" in cli.refused("rm", "--state", "running")
    assert cli.json("list")["tasks"]


def test_one_unknown_id_among_several_removes_nothing(cli: CommandLine) -> None:
    task_id = cli.ended("true")

    cli.refused("rm", task_id, "nonesuch", code=3)

    assert cli.json("status", task_id)["state"] == "ended"

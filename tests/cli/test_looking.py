"""`list`, `status` and `logs`: commands that only look."""

from __future__ import annotations

import signal

import anyio
import psutil
import pytest
from commandline import CommandLine
from support import wait_until


def test_a_list_can_be_narrowed_by_every_filter(cli: CommandLine) -> None:
    good = cli.ended("true", "--name", "good one", "--label", "a", "--priority", "P0")
    bad = cli.ended("exit 3", "--name", "bad one", "--label", "b")

    for options, ids in (
        ([], [bad, good]),
        (["--outcome", "succeeded"], [good]),
        (["--outcome", "succeeded", "--outcome", "failed"], [bad, good]),
        (["--state", "ended", "--priority", "P0"], [good]),
        (["--state", "queued"], []),
        (["--label", "b"], [bad]),
        (["--text", "BAD"], [bad]),
        (["--text", good], [good]),
        (["--kind", "command", "--cwd", "."], [bad, good]),
        (["--cwd", "/"], []),
        (["--since", "1h"], [bad, good]),
        (["--since", "2999-01-01T00:00:00Z"], []),
        (["--limit", "1"], [bad]),
    ):
        assert [row["taskId"] for row in cli.json("list", *options)["tasks"]] == ids, options


def test_pages_of_a_list_follow_each_other(cli: CommandLine) -> None:
    ids = [cli.submit("true") for _ in range(3)]

    first = cli.json("list", "--limit", "2")
    second = cli.json("list", "--limit", "2", "--cursor", first["nextCursor"])

    assert [row["taskId"] for row in first["tasks"] + second["tasks"]] == ids[::-1]
    assert "nextCursor" not in second
    assert f"--cursor {first['nextCursor']}" in cli.run("list", "--limit", "2").stderr


def test_a_table_tells_how_each_task_ended_and_spells_out_control_characters(cli: CommandLine) -> None:
    task_id = cli.ended("printf '\\033[31m'; exit 3 # \x1b[2J")

    header, line = cli.out("list").splitlines()

    assert header.split() == ["ID", "STATE", "PRIORITY", "SUBMITTED", "TOOK", "NAME", "NOTE"]
    assert line.startswith(f"{task_id}  failed")
    assert line.endswith("exit code 3")
    assert "\x1b" not in line


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--state", "bogus"),
        ("--outcome", "bogus"),
        ("--kind", "bogus"),
        ("--priority", "P9"),
        ("--since", "bogus"),
        ("--since", "300"),
        ("--limit", "0"),
        ("--cursor", "bogus"),
    ],
)
def test_a_wrong_filter_names_its_option(cli: CommandLine, option: str, value: str) -> None:
    assert cli.refused("list", option, value).startswith(f"claudine-mcp: {option}: ")


def test_an_empty_list_is_no_failure(cli: CommandLine) -> None:
    done = cli.run("list")

    assert (done.stdout, done.stderr) == ("", "claudine-mcp: there are no such tasks\n")
    assert cli.json("list") == {"tasks": []}


@pytest.mark.parametrize(
    "command", [("status",), ("logs",), ("logs", "-f"), ("wait",), ("cancel",), ("retry",), ("rm",)]
)
def test_an_unknown_task_is_not_found_and_the_closest_are_named(
    cli: CommandLine, command: tuple[str, ...]
) -> None:
    task_id = cli.submit("true")
    wrong = task_id[:-1] + ("0" if task_id[-1] != "0" else "1")

    line = cli.refused(*command, wrong, code=3)

    assert line == f"claudine-mcp: there is no task '{wrong}'. The closest: {task_id}."


def test_the_beginning_of_an_id_is_enough(cli: CommandLine) -> None:
    task_id = cli.submit("true")

    assert cli.json("status", task_id[:4])["taskId"] == task_id


def test_the_status_of_a_task_tells_everything(cli: CommandLine) -> None:
    task_id = cli.ended("echo out; sleep 600 & exit 3", "--name", "tests")
    wait_until(lambda: cli.json("status", task_id).get("leftovers"))

    shown = dict(line.split("  ", 1) for line in cli.out("status", task_id).splitlines())

    known = {name.strip(): value.strip() for name, value in shown.items()}
    assert known["task"] == task_id
    assert known["name"] == "tests"
    assert known["state"] == "ended: failed (exit code 3)"
    assert known["output"] == "stdout 4 B, stderr 0 B"
    assert known["left running"] == f"1 process; `claudine-mcp cancel {task_id}` ends them"


def test_the_overview_tells_what_runs_what_waits_and_why(cli: CommandLine) -> None:
    running = cli.submit("sleep 600")
    cli.until(running, "running")
    waiting = cli.submit("true", "--depends-on", running)

    whole = cli.json("status")

    assert whole["counts"] == {"queued": 1, "running": 1}
    assert [row["taskId"] for row in whole["active"]] == [running]
    (queued,) = whole["queued"]
    assert (queued["taskId"], queued["queue"]["position"]) == (waiting, 1)
    assert whole["supervisor"]["alive"]
    assert whole["machine"]["memoryAvailableBytes"] > 0
    text = cli.out("status")
    assert "1 queued, 1 running" in text
    assert f"waits for task {running} to end" in text or "the supervisor has not looked at it yet" in text


def test_looking_starts_a_supervisor_when_there_is_work_and_none(cli: CommandLine) -> None:
    flag = cli.home.work / "go-on"
    task_id = cli.submit(f"while [ ! -e {flag} ]; do sleep 0.05; done")
    cli.until(task_id, "running")
    before = cli.home.epoch()
    anyio.run(cli.home.kill_supervisor)

    cli.run("status", task_id)

    wait_until(lambda: cli.home.epoch() > before)


def test_logs_show_the_last_lines_with_headings_between_the_streams(cli: CommandLine) -> None:
    task_id = cli.ended("for i in 1 2 3; do echo out $i; echo error $i >&2; done")

    done = cli.run("logs", task_id, "--tail", "2")

    assert done.stdout == "out 2\nout 3\n==> stderr <==\nerror 2\nerror 3\n"
    assert "the last 2 lines are shown" in done.stderr
    assert cli.out("logs", task_id, "--stream", "stderr", "-n", "1").splitlines() == [
        "==> stderr <==",
        "error 3",
    ]
    assert cli.out("logs", task_id, "--stream", "stdout", "-n", "1") == "out 3"


def test_logs_are_read_on_from_a_cursor(cli: CommandLine) -> None:
    task_id = cli.ended("echo one; echo two")

    page = cli.json("logs", task_id, "--tail", "1")
    assert [line["text"] for line in page["lines"]] == ["two"]
    after = cli.json("logs", task_id, "--cursor", page["nextCursor"])
    whole = cli.json("logs", task_id, "--cursor", "1:stdout=0:stderr=0")

    assert after["lines"] == []
    assert [line["text"] for line in whole["lines"]] == ["one", "two"]


def test_logs_of_each_run_stay_apart(cli: CommandLine) -> None:
    task_id = cli.ended("echo run; date +%s%N > stamp; cat stamp")
    cli.run("retry", task_id, "--wait")

    first, second = (cli.out("logs", task_id, "--run", str(n)) for n in (1, 2))

    assert first != second
    assert cli.out("logs", task_id) == second
    assert cli.refused("logs", task_id, "--run", "3").endswith("There are runs 1 to 2.")


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--stream", "bogus"], "--stream: 'bogus' is none"),
        (["--tail", "-1"], "--tail: -1 is too few"),
        (["--cursor", "bogus"], "--cursor: 'bogus' is not a cursor of a log"),
        (["-f", "--json"], "--follow:"),
    ],
)
def test_wrong_options_of_logs_are_named(cli: CommandLine, options: list[str], complaint: str) -> None:
    task_id = cli.ended("true")

    assert complaint in cli.refused("logs", task_id, *options)


def test_logs_of_a_task_that_has_not_started_say_so(cli: CommandLine) -> None:
    task_id = cli.submit("true", "--not-before", "2999-01-01T00:00:00Z")

    assert cli.run("logs", task_id).stderr == "claudine-mcp: it has not started yet\n"


def test_control_characters_are_obeyed_or_spelt_out(cli: CommandLine) -> None:
    task_id = cli.ended("printf '10%%\\r99%%\\n'")

    assert cli.out("logs", task_id) == "99%"
    assert cli.out("logs", task_id, "--raw") == r"10%\r99%"


def test_following_shows_output_as_it_comes_until_the_end(cli: CommandLine) -> None:
    flag = cli.home.work / "go-on"
    task_id = cli.submit(f"echo begun; while [ ! -e {flag} ]; do sleep 0.05; done; printf end")
    cli.until(task_id, "running")
    following = cli.start("logs", "-f", task_id)
    assert cli.line(following) == "begun\n"

    flag.touch()

    rest, said = following.communicate(timeout=30)
    assert (rest, following.returncode, said) == ("end\n", 0, "")


def test_following_begins_while_the_task_still_waits(cli: CommandLine) -> None:
    first = cli.submit("sleep 600")
    task_id = cli.submit("echo hello", "--depends-on", f"{first}:end")
    following = cli.start("logs", "--follow", task_id)
    wait_until(lambda: psutil.Process(following.pid).num_threads() > 1)

    cli.run("cancel", first)

    assert following.communicate(timeout=30)[0] == "hello\n"


def test_following_does_not_wait_for_what_a_task_left_running(cli: CommandLine) -> None:
    task_id = cli.submit("echo hello; sleep 600 & exit 0")

    following = cli.start("logs", "-f", task_id)

    assert following.communicate(timeout=30)[0] == "hello\n"


def test_following_can_be_interrupted(cli: CommandLine) -> None:
    task_id = cli.submit("echo begun; sleep 600")
    cli.until(task_id, "running")
    following = cli.start("logs", "-f", task_id)
    assert cli.line(following) == "begun\n"

    following.send_signal(signal.SIGINT)

    assert following.communicate(timeout=30) == ("", "")
    assert following.returncode == 130


def test_the_progress_of_a_task_is_shown_in_lists_and_in_detail(cli: CommandLine) -> None:
    tells = "echo '42 building it' >> $CLAUDINE_PROGRESS; mkfifo gate; read -r go < gate"
    task_id = cli.submit(tells)
    wait_until(lambda: cli.json("list")["tasks"][0].get("progress"), what="progress")

    assert cli.json("status", task_id)["progress"]["source"] == "file"
    assert cli.out("list").splitlines()[1].endswith("42 % building it")
    overview = cli.out("status").splitlines()
    assert next(line for line in overview if line.startswith(task_id)).endswith("42 % building it")
    details = cli.out("status", task_id)
    assert "42 % building it (by file)" in details
    assert "unknown: it has not advanced since its progress was first seen; 0 earlier runs of" in details

    (cli.home.work / "gate").write_text("go\n")
    cli.run("wait", task_id)

"""What a task gets from its keeper: environment, files, signals."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest
from kept import Kept

from claudine_mcp.executors.local import KEEPER_PYTHON, KEEPER_SOURCE


def test_the_task_gets_the_environment_folder_session_and_files_that_it_should(kept: Kept) -> None:
    kept.run(
        'echo "$FROM_CLIENT $CLAUDINE_RUN"; pwd; umask; cat; readlink /proc/self/fd/0; nice;'
        " cat /proc/self/oom_score_adj; ps -o sid= -p $$ | tr -d ' '; echo $$; ls /proc/self/fd | wc -l"
    )
    lines = kept.output().splitlines()
    assert lines[:5] == ["ünï t.1", str(kept.work), "0027", "/dev/null", "3"]
    assert int(lines[5]) >= 300
    assert lines[6] == lines[7]
    assert int(lines[8]) <= 4, "descriptors of the keeper have leaked"


def test_signals_reach_the_task_as_they_would_in_a_shell(kept: Kept) -> None:
    kept.run("grep -E 'Sig(Blk|Ign)' /proc/self/status")
    for line in kept.output().splitlines():
        assert int(line.split()[1], 16) & 0xFFFFFFFF == 0, line


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTTOU])
def test_a_signal_that_whoever_started_us_ignores_still_reaches_the_task(
    kept: Kept, number: signal.Signals
) -> None:
    before = signal.signal(number, signal.SIG_IGN)
    try:
        kept.run("grep SigIgn /proc/self/status")
    finally:
        signal.signal(number, before)
    assert int(kept.output().split()[1], 16) & 0xFFFFFFFF == 0


def test_streams_can_be_merged_in_order(kept: Kept) -> None:
    kept.run("echo a; echo b >&2; echo c", merge_streams=True)
    assert kept.output() == "a\nb\nc\n"
    assert not (kept.path / "stderr.log").exists()


def test_a_prompt_file_is_the_stdin(kept: Kept) -> None:
    prompt = kept.path / "prompt"
    prompt.write_text("do this\n")
    kept.run("cat", stdin=str(prompt))
    assert kept.output() == "do this\n"


def test_every_line_of_much_output_is_there(kept: Kept) -> None:
    kept.run("i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i+1)); done")
    assert kept.output() == "".join(f"line {number}\n" for number in range(3000))


def test_files_of_a_run_are_for_their_owner_only(kept: Kept) -> None:
    kept.run("echo x; echo y >&2")
    for path in kept.path.iterdir():
        if path.name not in {"spec.json", "keeper.log"}:  # made by this test
            assert path.stat().st_mode & 0o077 == 0, path


def test_it_needs_nothing_but_the_standard_library(kept: Kept) -> None:
    (kept.work / "json.py").write_text("raise SystemExit('the wrong json')")
    keeper = subprocess.run(
        [*KEEPER_PYTHON, "-X", "importtime", str(KEEPER_SOURCE), str(kept.path), str(kept.bell)],
        cwd=kept.work,
        env={"PYTHONPATH": str(kept.work)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )
    names = {
        line.rpartition("|")[2].strip().partition(".")[0]
        for line in keeper.stderr.splitlines()
        if "|" in line
    }
    assert names - {"imported package"} <= set(sys.stdlib_module_names) | {
        "_sysconfigdata__linux_x86_64-linux-gnu"
    }
    assert "wrong json" not in keeper.stderr

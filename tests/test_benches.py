"""The measurements of `bench/`, as far as they can be made without measuring: what they are made of works."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from claude_recordings import FOLDER, read, recorded

BENCH = Path(__file__).parent.parent / "bench"


def test_every_theme_can_be_measured() -> None:
    script = "import importlib, run; [importlib.import_module(name).measure for name in run.THEMES]"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=BENCH, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr


def test_a_theme_that_does_not_exist_is_refused_with_those_that_do() -> None:
    done = subprocess.run(
        [sys.executable, str(BENCH / "run.py"), "speed"],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 2
    assert "there is no speed; there are startup, calls" in done.stderr


def test_a_stream_is_read_in_a_process_that_tells_what_it_took() -> None:
    done = subprocess.run(
        [sys.executable, str(BENCH / "stream.py"), str(FOLDER / "todo-list.jsonl")],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert set(json.loads(done.stdout)) == {"seconds", "cpu_s", "begun_bytes", "grown_bytes"}


def test_what_poses_as_a_chatty_claude_says_what_the_recording_says() -> None:
    program = [sys.executable, "-I", "-S", str(BENCH / "chatty_claude.py"), str(FOLDER / "todo-list.jsonl")]
    version = subprocess.run([*program, "--version"], capture_output=True, text=True, check=True, timeout=120)
    assert version.stdout.endswith("(Claude Code)\n")
    with subprocess.Popen(program, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        said = b"".join(process.stdout.readline() for _ in range(5))
        process.kill()
    state = read(said)
    assert (state.unreadable_lines, state.turns) == (0, 1)
    assert state.session_id == read(recorded("todo-list")).session_id

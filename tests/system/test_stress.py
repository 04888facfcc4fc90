from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from support import Home

PROGRAM = Path(__file__).parent.parent.parent / "bench" / "stress.py"
ROUNDS = 60


def test_random_work_with_random_kills_breaks_no_promise(home: Home) -> None:
    # `python bench/stress.py` does much more of it.
    done = subprocess.run(
        [sys.executable, str(PROGRAM), f"--rounds={ROUNDS}", "--seed=3", f"--folder={home.folder}"],
        env={**home.env, "PYTHONPATH": str(PROGRAM.parent)},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{ROUNDS} rounds" in done.stdout

"""`supervise`: here only to be listed; the program starts a supervisor by a way that loads nothing of this."""

from __future__ import annotations

import subprocess
import sys
from typing import Annotated

import typer


def supervise(
    once: Annotated[
        bool, typer.Option("--once", help="Make one pass, then leave: the way to see why it fails.")
    ] = False,
) -> int:
    """Serve the tasks of the state directory.

    In the foreground; every client starts one by itself where it is needed.
    """
    argv = [sys.executable, "-P", "-m", "claudine_mcp", "supervise", *(["--once"] if once else [])]
    return subprocess.run(argv, check=False).returncode

"""Who is there is known by a lock, which ends with its process, however that ends."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support import kill

from claudine_mcp.host.presence import attend, is_attended

HOLDER = """
import sys, time
from pathlib import Path
from claudine_mcp.host.presence import attend
attend(Path(sys.argv[1]), sys.argv[2])
print("there", flush=True)
time.sleep(1000)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "present"


def test_a_name_is_there_as_long_as_anybody_holds_it(folder: Path) -> None:
    assert not is_attended(folder, "one")
    first, second = attend(folder, "one"), attend(folder, "one")
    assert is_attended(folder, "one")
    assert not is_attended(folder, "other")
    os.close(first)
    assert is_attended(folder, "one")
    os.close(second)
    assert not is_attended(folder, "one")
    assert list(folder.iterdir()) == []


def test_a_process_that_is_killed_is_not_there_any_more(folder: Path) -> None:
    name = "any name: ../x \N{SNOWMAN}\udcff"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder), os.fsencode(name)], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "there\n"
    assert is_attended(folder, name)
    kill(holder.pid)
    holder.wait()
    holder.stdout.close()
    assert not is_attended(folder, name)


def test_what_the_dead_have_left_is_cleared_away_by_whoever_comes(folder: Path) -> None:
    os.close(attend(folder, "one"))
    here = attend(folder, "two")
    assert len(list(folder.iterdir())) == 1
    assert folder.stat().st_mode & 0o777 == 0o700
    os.close(here)

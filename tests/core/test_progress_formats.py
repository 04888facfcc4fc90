"""Lines as tools print them, and what they say; lines that look like progress and are none."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claudine_mcp.core.progress.formats import MAY_BE
from claudine_mcp.core.progress.model import PHASE_CHARS
from claudine_mcp.core.progress.reading import phase_in, readings
from claudine_mcp.core.terminal import render_line

# the line, and what each of its readings says: format, how much, of how much, phase
SAID = [
    # training
    ("Epoch 3/10", [("epoch", 3, 10, "Epoch 3/10")]),
    ("epoch: 3 of 10", [("epoch", 3, 10, "epoch 3/10")]),
    (
        "Epoch [3/10], Step [100/500], Loss: 0.123",
        [("epoch", 3, 10, "Epoch 3/10"), ("count", 100, 500, "Step")],
    ),
    ("120/500 [=======>......................] - ETA: 12s - loss: 0.12", [("bar", 120, 500, None)]),
    (" 120/500 ━━━━━━━━━━━━━━━━━━━━ 12s 5ms/step - accuracy: 0.1", [("bar", 120, 500, None)]),
    (
        "2026-01-31 12:00:00,123 INFO trainer: step 1200/5000 loss=2.34 lr=1e-4",
        [("count", 1200, 5000, "step")],
    ),
    (
        "Epoch 3:  42%|████▏     | 420/1000 [00:10<00:14, 41.2it/s, loss=0.12]",
        [("tqdm", 420, 1000, "Epoch")],
    ),
    (
        "Epoch 3/10:  42%|████▏     | 420/1000 [1:00:10<1:20:14, 41.2it/s]",
        [("epoch", 3, 10, "Epoch 3/10"), ("tqdm", 420, 1000, None)],
    ),
    (
        "fold 2/5: 42%|████      | 42/100 [00:01<00:02, 5it/s]",
        [("count", 2, 5, "fold 2/5"), ("tqdm", 42, 100, "fold")],
    ),
    (
        "model.bin:  42%|████▏ | 1.05G/2.50G [00:30<00:41, 35.0MB/s]",
        [("tqdm", 1.05e9, 2.5e9, None)],
    ),
    # builds
    ("[3/345] CC foo.o", [("[n/m]", 3, 345, "CC")]),
    ("[3/345] Building CXX object src/foo.cpp.o", [("[n/m]", 3, 345, "Building CXX object")]),
    ("[2/4] Fetching packages...", [("[n/m]", 2, 4, "Fetching packages")]),
    ("[1,234 / 5,678] Compiling src/foo.cc; 3s linux-sandbox", [("[n/m]", 1234, 5678, "Compiling")]),
    (
        "[INFO] Building foo-core 1.0-SNAPSHOT               [3/12]",
        [("[n/m]", 3, 12, "Building foo-core 1.0-SNAPSHOT")],
    ),
    ("<=============----> 76% EXECUTING [12s]", [("bar", 76, 100, None)]),
    ("[ 42%] Building C object foo.c.o", [("cmake", 42, 100, "Building C object")]),
    ("[ 77%] Built target lib", [("cmake", 77, 100, None)]),
    ("    Building [======>            ] 12/345: serde, syn(build)", [("cargo", 12, 345, "Building")]),
    (" 42% building 12/34 modules 3 active", [("percent", 42, 100, "building")]),
    ("#5 [2/7] RUN apt-get update", [("docker", 2, 7, "RUN apt-get update")]),
    ("#12 [linux/amd64 builder 3/5] COPY . .", [("docker", 3, 5, "COPY . .")]),
    ("#9 12.34 [ 42%] Building C object foo.c.o", [("cmake", 42, 100, "Building C object")]),
    ("Step 3/10 : RUN make", [("docker", 3, 10, "RUN make")]),
    # tests
    ("tests/test_a.py ....F..s [ 42%]", [("pytest", 42, 100, "tests")]),
    ("tests/test_a.py::test_x[a b] PASSED                    [ 42%]", [("pytest", 42, 100, "tests")]),
    ("tests/test_a.py::test_x SKIPPED (no reason)            [ 42%]", [("pytest", 42, 100, "tests")]),
    ("[gw1] [ 42%] PASSED tests/test_a.py::test_x", [("pytest", 42, 100, "tests")]),
    ("........ [ 12/345]", [("pytest", 12, 345, "tests")]),
    ("collecting ... collected 120 items / 20 deselected", [("pytest", 0, 100, "tests")]),
    ("4 workers [120 items]", [("pytest", 0, 100, "tests")]),
    (" 12/345 Test  #12: parser ............   Passed    0.01 sec", [("ctest", 12, 345, "tests")]),
    ("test 12 of 300 ok", [("count", 12, 300, "test")]),
    # transfers
    ("Receiving objects:  42% (420/1000), 1.2 MiB | 2 MiB/s", [("git", 42, 100, "Receiving objects")]),
    ("remote: Compressing objects: 100% (12/12), done.", [("git", 100, 100, "Compressing objects")]),
    (
        " 44 28.6M   44 12.8M    0     0  10.0M      0  0:00:02  0:00:01  0:00:01 10.0M",
        [("curl", 44, 100, "transfer")],
    ),
    ("######################                                    29.3%", [("curl", 29.3, 100, "transfer")]),
    ("   150K .......... .......... .......... 12% 8.27M 1s", [("wget", 12, 100, "transfer")]),
    ("  4050K ,,,,,,,,,, ,,,,,,.... ..           99% 8.27M 1s", [("wget", 99, 100, "transfer")]),
    (
        "big.bin          43%[=======>            ]  12.30M  14.9MB/s    eta 2s",
        [("wget", 43, 100, "transfer")],
    ),
    ("     1,234,567  42%    1.23MB/s    0:00:12 (xfr#5, to-chk=12/34)", [("rsync", 42, 100, "transfer")]),
    ("Progress: resolved 120, reused 20, downloaded 40, added 0", [("pnpm", 60, 120, "packages")]),
    ("     ━━━━━━━━━━╸━━━━━━━━━ 1.2/3.4 MB 5.6 MB/s eta 0:00:01", [("bar", 1.2, 3.4, None)]),
    ("Progress 262144 of 16918164", [("pip", 262144, 16918164, None)]),
    ("[###############------------] 120/300", [("bar", 120, 300, None)]),
    (
        "( 3/10) installing foo          [##############------] 70%",
        [("[n/m]", 3, 10, "installing foo"), ("bar", 70, 100, None)],
    ),
    # anything
    ("Progress: [ 42%] [########..............]", [("percent", 42, 100, None)]),
    ("[2024-01-01 10:00:00] Progress: 42.5%", [("percent", 42.5, 100, None)]),
    ("Scanning... 42% complete", [("percent", 42, 100, "Scanning")]),
    ("Downloaded 3 of 10 files", [("count", 3, 10, "files")]),
    ("processed 1,200/5,000 records", [("count", 1200, 5000, "records")]),
    ("Uploading 42% (4.2 MB / 10 MB)", [("percent", 42, 100, "Uploading")]),
]

NONE = [
    "100% tests passed, 0 tests failed out of 5",
    "src/x.py      12     3    75%   4-9, 12",
    "TOTAL                          1234    200    83%",
    "coverage: 83% complete",
    "Tests passed: 95%",
    "CPU 95%",
    "95% CPU",
    "[ 95%] CPU",
    "%Cpu(s):  5.0 us,  1.0 sy",
    "python 42.0% mem 1.0% cpu",
    "/dev/sda1  100G   42G   58G  42% /",
    "a1b2  web  0.50%  12.5MiB / 7.6GiB  0.16%  1.2kB / 0B",
    "Mem[|||||||||||       1.2G/3.4G]",
    "Heap 30%",
    "load average: 0.5/1.0",
    "Retrying (1/5)",
    "attempt 3/10 failed",
    "acc: 83.2%",
    "val_accuracy 83.2%",
    "loss 12%",
    "similarity index 95%",
    "  adding: foo.txt (deflated 60%)",
    "3 packets transmitted, 3 received, 0% packet loss",
    "GET /a/1/2 HTTP/1.1",
    "10.0.0.0/24",
    "01/12/2024",
    "on 31/12/2024 at 10:00",
    "created: 2/2 workers",
    "12% faster than 3/4 of all",
    "140% done",
    "[12/3] no",
    "0/0 files",
    "50% off on 20% of all",
    "it is 5% of the whole",
    "x = 10 % 3",
    "src/foo/1/2.py",
    "version 1.2/3",
    "Epoch 3",
    "item 9/99999999999999",
    "",
]


@pytest.mark.parametrize(("line", "said"), SAID, ids=[line.strip()[:30] for line, _ in SAID])
def test_a_line_says(line: str, said: list[tuple[str, float, float, str | None]]) -> None:
    assert [(item.format.source, item.value, item.total, item.phase) for item in readings(line)] == said


@pytest.mark.parametrize("line", [line for line, _ in SAID])
def test_a_quick_look_lets_pass_whatever_says_something(line: str) -> None:
    assert MAY_BE.search(line.encode())


@pytest.mark.parametrize("line", NONE)
def test_a_line_says_nothing(line: str) -> None:
    assert readings(line) == []


@pytest.mark.parametrize(
    ("line", "phase"),
    [
        ("   Compiling serde v1.0.200", "Compiling"),
        ("     Running unittests src/main.rs", "Running"),
        ("➤ YN0000: ┌ Fetch step", "Fetch step"),
        ("Compiling the list", None),
        ("  Running late", None),
    ],
)
def test_a_line_names_a_phase(line: str, phase: str | None) -> None:
    assert phase_in(line) == phase
    assert phase is None or MAY_BE.search(line.encode())


# What a line may begin with so that a row goes on reading, what may then come again and again, and how it may end.
BEGINNINGS = (
    "",
    "1K",
    "[",
    "[ 1%] ",
    "(",
    "#1 [a ",
    "a 1%|",
    "PASSED (",
    "epoch [",
    "Building [",
    "1 of ",
    "<",
    "|",
)
REPEATED = (
    *(
        " ",
        "1",
        ".",
        ",",
        "█",
        "█ ",
        "░ ",
        "[",
        "]",
        "(",
        "#",
        "=",
        ">",
        "> ",
        "a",
        "a ",
        "1 ",
        "1.",
        "1,",
        "1/",
    ),
    *(
        "1%",
        "% ",
        "|",
        "1%|",
        ": ",
        "-",
        ". ",
        " .",
        "1/1 ",
        "1 of ",
        "[##### ",
        "[#####] ",
        "|####|",
        "epoch ",
    ),
    *("file 1", "PASSED ", "PASSED (", ".. ", "0K ", "[=", "=]", "\\", "progress "),
)
ENDINGS = ("", "x", "5% x", "[ 1%]")
READ_ALL = """
import itertools, json, sys
from claudine_mcp.core.progress.formats import MAY_BE, FEW_STEPS, LIKELY, PHASES, STAMP, STEPS, UNMISTAKABLE
from claudine_mcp.core.progress.reading import readings
from claudine_mcp.core.progress.recognizer import Recognizer
from claudine_mcp.core.progress.report import read_report
from claudine_mcp.core.terminal import render_line

chars, *parts = json.loads(sys.argv[1])
patterns = [row.pattern for row in (*STEPS, *FEW_STEPS, *UNMISTAKABLE, *LIKELY)] + [*PHASES, STAMP]
for beginning, repeated, ending in itertools.product(*parts):
    line = f"{beginning}{(repeated * chars)[:chars]}{ending}"
    for pattern in patterns:
        pattern.search(line)
    readings(line)
    MAY_BE.search(line.encode())
    render_line(line.encode())
    read_report(line.encode())
    reader = Recognizer()
    reader.feed("stdout", line.encode(), 0.0)
    reader.rest(0.0)
"""


def read_all(chars: int, beginnings: Sequence[str], repeated: Sequence[str]) -> None:
    """Have another process, which can be ended, read lines of any beginning, repetition and ending."""
    asked = json.dumps([chars, beginnings, repeated, ENDINGS])
    subprocess.run([sys.executable, "-P", "-c", READ_ALL, asked], check=True, timeout=100)


def test_no_line_takes_long_to_read() -> None:
    # 2,000 lines of half a kilobyte by each row: some seconds, where a row that goes astray takes hours of one line.
    read_all(600, BEGINNINGS, REPEATED)


def test_no_row_needs_the_cut_to_come_to_an_end() -> None:
    read_all(10_000, ("", "1K", "[", "a 1%|"), (" ", "1", ".", "#", "█", "▏", "="))


def test_no_escape_sequence_takes_long_to_read() -> None:
    openers = ("\x1b[", "\x1b]", "\x1bP", "\x1b]9;4;1;", "\x1b]0;a", "\x1b(", "1%\x1b[")
    read_all(
        2000,
        ("", *openers),
        (*openers, "\x1b", ";", "1", "1;", " ", "\x1b[1m", "\x1b]9;4;1;5\x07", "\b", "\r\t"),
    )


def test_a_line_that_is_longer_than_any_progress_is_not_read() -> None:
    assert readings("file 3/100" + " " * 2000 + "x") == []
    assert readings("file 3/100" + " " * 2000) != []


def test_a_large_count_in_a_unit_is_one() -> None:
    assert [item.total for item in readings("a:  42%|████▏ | 1.05T/2.50T [00:30<00:41, 35.0MB/s]")] == [
        2.5e12
    ]


@given(st.text(st.sampled_from("0123456789%/[]().,|# =>█━abEpoch tesof:"), max_size=80))
def test_whatever_it_says_is_within_bounds(line: str) -> None:
    for item in readings(render_line(line.encode())):
        assert 0 <= item.value <= item.total
        assert item.total >= 1
        assert item.phase is None or (0 < len(item.phase) <= PHASE_CHARS + 20 and item.phase.isprintable())

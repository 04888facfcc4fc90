"""How fast a stream is read, and in how much memory; as a program, `stream.py FILE` reads one and says so."""

from __future__ import annotations

import itertools
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from harness import Row, spread

from claudine_mcp.supervisor.output import CHUNK_BYTES
from claudine_mcp.workloads.claude_follower import ClaudeFollower

RECORDINGS = Path(__file__).parent.parent / "tests" / "data" / "claude-stream"
LIMIT_S_PER_100MB = 2.0
FLAT_MB = 4.0
MEGABYTE = 1_000_000
BIG = (2_000, 30_000, 100_000, 1_000_000)
TEXT = 'def greet(name: str) -> str:\n\treturn f"Grüße, {name}"\n'


def measure(*, quick: bool) -> list[Row]:
    """Read much of each kind, each time in a process of its own."""
    size, rounds = (100 * MEGABYTE, 3 if quick else 10)
    whole = [recorded(path) for path in sorted(RECORDINGS.glob("*.jsonl"))]
    lines = [line for run in whole for line in run]
    (begin,) = (line for line in recorded(RECORDINGS / "tool-bash-success.jsonl") if b'"init"' in line)
    tiny = [line for line in lines if line.startswith((b'{"type":"assistant"', b'{"type":"user"'))]
    mean = round(statistics.mean(map(len, tiny)))
    kinds: dict[str, tuple[list[bytes], list[bytes]]] = {
        f"{len(whole)} recorded runs, again and again": ([], lines),
        f"lines of {mean} bytes: answers, tool calls and their results": ([begin], tiny),
        f"tool results of {BIG[0]:,} to {BIG[-1]:,} bytes": ([begin], big(lines)),
    }
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="claudine-bench-") as folder:
        for what, (head, body) in kinds.items():
            path = Path(folder) / "stdout.log"
            with path.open("wb") as file:
                file.writelines(endless(head, body, size))
            found = [in_a_process(path) for _ in range(rounds)]
            rows += rows_of(what, path.stat().st_size, found)
    return rows


def rows_of(what: str, size: int, found: list[dict[str, float]]) -> list[Row]:
    """Give the rows of one kind of stream."""
    megabytes = size / MEGABYTE
    took = [each["seconds"] * 100 / megabytes for each in found]
    used = statistics.median(each["cpu_s"] for each in found)
    middle = statistics.median(took)
    note = f"{100 / middle:.0f} MB/s, {megabytes / used:.0f} MB a second of CPU time; {spread(took)}"
    grown = max(each["grown_bytes"] for each in found) / MEGABYTE
    more = statistics.median(each["begun_bytes"] for each in found) / MEGABYTE
    return [
        Row(f"100 MB of {what}", middle, "s", LIMIT_S_PER_100MB, note),
        Row("… peak memory, more than after a tenth", grown, "MB", FLAT_MB, f"{more:.1f} MB by then"),
    ]


def recorded(path: Path) -> list[bytes]:
    """Give the lines of a recorded run as Claude Code prints them: some were kept with spaces."""
    return [compact(json.loads(line)) for line in path.read_bytes().splitlines()]


def compact(message: Any) -> bytes:
    """Give a line."""
    return json.dumps(message, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


def big(lines: Iterable[bytes]) -> list[bytes]:
    """Give calls of a tool, each with a large result."""
    ask = next(line for line in lines if b'"tool_use","id"' in line)
    answer = json.loads(next(line for line in lines if b'"tool_result"' in line))
    (block,) = json.loads(ask)["message"]["content"]
    (result,) = answer["message"]["content"]
    result["tool_use_id"] = block["id"]
    found: list[bytes] = []
    for size in BIG:
        result["content"] = (TEXT * (size // len(TEXT)))[:size]
        found += [ask, compact(answer)]
    return found


def endless(head: list[bytes], body: list[bytes], size: int) -> Iterator[bytes]:
    """Give the head, then the body again and again, each time with other ids, until there are `size` bytes."""
    yield from head
    for number in itertools.count():
        for line in body:
            said = line.replace(b'"toolu_', b'"toolu_%d_' % number).replace(b'"msg_', b'"msg_%d_' % number)
            yield said
            size -= len(said)
        if size <= 0:
            return


def in_a_process(path: Path) -> dict[str, float]:
    """Read a stream in a new process; give what it says of that."""
    done = subprocess.run([sys.executable, __file__, str(path)], capture_output=True, check=True)
    return json.loads(done.stdout)


def read(path: Path) -> dict[str, float]:
    """Read a stream as a supervisor does."""
    follower = ClaudeFollower(None, 0.0, path.parent)
    tenth = path.stat().st_size // 10
    before = peak_bytes()
    by_then = before
    began, cpu_began = time.perf_counter(), time.process_time()
    with path.open("rb", buffering=0) as file:
        while data := file.read(CHUNK_BYTES):
            follower.feed(data, time.time())
            follower.seen()
            if file.tell() <= tenth + CHUNK_BYTES:
                by_then = peak_bytes()
    follower.finish()
    seconds, cpu_s = time.perf_counter() - began, time.process_time() - cpu_began
    if follower.offset != path.stat().st_size:
        raise RuntimeError("it was not read to its end")
    return {
        "seconds": seconds,
        "cpu_s": cpu_s,
        "begun_bytes": by_then - before,
        "grown_bytes": peak_bytes() - by_then,
    }


def peak_bytes() -> int:
    """Give the most memory that this process has had."""
    if sys.platform == "linux":  # whose ru_maxrss begins with what the parent had
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        return 1024 * int(status.partition("VmHWM:")[2].split()[0])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    print(json.dumps(read(Path(sys.argv[1]))))

"""A task that holds as much memory as it is told to: `eating.py FOLDER NAME`.

`NAME.wants` is a number of bytes, or `+N`: N more each second. `NAME.bytes` is what it holds. It ends when `NAME.ends`
is there, or by SIGTERM. With `computes` it does not rest.
"""

import mmap
import signal
import sys
import time
from pathlib import Path

CHUNK = 1 << 20


def main() -> None:
    """Hold what is wanted."""
    folder, name = Path(sys.argv[1]), sys.argv[2]
    asked: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: asked.append(number))
    held: list[mmap.mmap] = []
    grown, last = 0.0, time.monotonic()
    says = folder / f"{name}.bytes"
    while not ((folder / f"{name}.ends").exists() or asked):
        wanted = (folder / f"{name}.wants").read_text() or "0"
        now = time.monotonic()
        # What stands still does not grow: a long pause is one in which it was stopped.
        grown += float(wanted[1:]) * min(now - last, 0.2) if wanted.startswith("+") else 0.0
        last = now
        chunks = round(grown if wanted.startswith("+") else float(wanted)) // CHUNK
        while len(held) < chunks:
            chunk = mmap.mmap(-1, CHUNK)
            chunk.write(b"x" * CHUNK)
            held.append(chunk)
        while len(held) > chunks:
            held.pop().close()
        fresh = says.with_suffix(".new")
        fresh.write_text(str(len(held) * CHUNK))
        fresh.replace(says)
        rests_until = time.monotonic() + 0.02
        while "computes" in sys.argv and time.monotonic() < rests_until:
            pass
        time.sleep(max(0.0, rests_until - time.monotonic()))
    says.unlink(missing_ok=True)


main()

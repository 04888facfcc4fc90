"""From the start of a server to its first answers."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence

from harness import BARE, CLAUDINE, Client, Row, cpu_s, home, spread


def measure(*, quick: bool) -> list[Row]:
    """Start both servers in turn, again and again."""
    rounds = 4 if quick else 25
    first: dict[Sequence[str], list[float]] = {BARE: [], CLAUDINE: []}
    listed: dict[Sequence[str], list[float]] = {BARE: [], CLAUDINE: []}
    used: dict[Sequence[str], list[float]] = {BARE: [], CLAUDINE: []}
    called: list[float] = []
    with home() as place:
        for number in range(rounds + 1):
            for command in (BARE, CLAUDINE) if number % 2 else (CLAUDINE, BARE):
                began = time.perf_counter()
                client = Client(command, place.env)
                try:
                    client.request("server/discover")
                    answered = time.perf_counter()
                    client.request("tools/list")
                    showed = time.perf_counter()
                    cpu = cpu_s(client.pid)
                    if command is CLAUDINE:
                        client.call("ListTasks")
                    ended = time.perf_counter()
                finally:
                    client.close()
                if number:  # the first round compiles, and fills the page cache
                    first[command].append(answered - began)
                    listed[command].append(showed - began)
                    used[command].append(cpu)
                    if command is CLAUDINE:
                        called.append(ended - showed)
    rows = [
        ratio("spawn → first answer, to a one-tool server of the bare SDK", first, 1.2),
        ratio("spawn → list of tools", listed),
        ratio("CPU until then", used),
    ]
    rows.append(
        Row(
            "first tool call (ListTasks) of a server",
            1000 * statistics.median(called),
            "ms",
            note=spread(called),
        )
    )
    return rows


def ratio(what: str, times: dict[Sequence[str], list[float]], target: float | None = None) -> Row:
    """Compare medians."""
    value = statistics.median(times[CLAUDINE]) / statistics.median(times[BARE])
    return Row(what, value, "times", target, f"{spread(times[CLAUDINE])}; bare {spread(times[BARE])}")

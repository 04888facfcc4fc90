"""Protective mode against less: `python bench/policy.py [NAME…] [--seeds N] [--markdown FILE]`.

Plays hours of virtual time on a machine whose memory is too small for its tasks (`bench/pressure/scenarios.toml`), with
the policy that runs in the supervisor, and with what one might do instead.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from harness import Row
from pressure.model import Pressure, Result, Strategy, load, play
from pressure.strategies import Hysteresis, HysteresisHibernating, Nothing, Policy, Threshold

SCENARIOS = Path(__file__).parent / "pressure" / "scenarios.toml"
SEEDS, QUICK_SEEDS = 30, 1
LONE = "a lone leak"
"""Where it is right that all are stopped: nothing else would save the machine."""
STRATEGIES: dict[str, tuple[Callable[[], Strategy], bool]] = {
    "no policy": (Nothing, False),
    "one threshold": (Threshold, False),
    "hysteresis only": (Hysteresis, False),
    "hysteresis, hibernating": (HysteresisHibernating, True),
    "**protective**": (Policy, False),
    "**protective, with consent**": (Policy, True),
}
"""By name: what is done, and whether the tasks that may be hibernated allow it."""


@dataclass(slots=True)
class Score:
    """What came of one scenario with one strategy, over the seeds."""

    results: list[Result] = field(default_factory=list[Result])

    def mean(self, what: str) -> float:
        """Give the mean of one of the numbers of a result."""
        return statistics.fmean(getattr(result, what) for result in self.results)


Scores = dict[tuple[str, str], Score]


def play_one(pressure: Pressure, strategy: str, seed: int) -> Result:
    """Play once."""
    make, consent = STRATEGIES[strategy]
    return play(pressure, make(), seed, consent=consent)


def play_all(
    pressures: Iterable[Pressure], seeds: int, strategies: Sequence[str] = tuple(STRATEGIES)
) -> Scores:
    """Play all scenarios with all strategies."""
    work = [(each, name, seed) for each in pressures for name in strategies for seed in range(seeds)]
    scores: Scores = {(each.name, name): Score() for each, name, _ in work}
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for (each, name, _), result in zip(work, pool.map(play_one, *zip(*work, strict=True)), strict=True):
            scores[each.name, name].results.append(result)
    return scores


def table(scores: Scores) -> str:
    """Give the scores as Markdown."""
    heads = (
        "over capacity, s",
        "below the reserve, s",
        "all stopped, s",
        "done",
        "killed",
        "stops",
        "questions",
    )
    lines = [f"| scenario | policy | {' | '.join(heads)} |", f"|---|---|{'---:|' * len(heads)}"]
    for (scenario, name), score in scores.items():
        done = f"{score.mean('done'):.1f} of {score.mean('wanted'):.0f}"
        numbers = " | ".join(f"{score.mean(what):.1f}" for what in ("over_s", "short_s", "stopped_s"))
        more = " | ".join(f"{score.mean(what):.1f}" for what in ("killed", "stops", "asked"))
        lines.append(f"| {scenario} | {name} | {numbers} | {done} | {more} |")
    return "\n".join(lines)


def measure(*, quick: bool) -> list[Row]:
    """Play all; the rows are of the policy, with what one gets without in the notes."""
    scores = play_all(load(SCENARIOS), QUICK_SEEDS if quick else SEEDS)
    ours = "**protective**"

    def total(name: str, what: str, *, lone: bool = True) -> float:
        return sum(
            score.mean(what)
            for (scenario, each), score in scores.items()
            if each == name and (lone or scenario != LONE)
        )

    def compared(what: str, *, lone: bool = True) -> str:
        return "; ".join(
            f"{name.strip('*')} {total(name, what, lone=lone):.0f}" for name in STRATEGIES if name != ours
        )

    wanted = total(ours, "wanted")
    return [
        Row("seconds over capacity, all scenarios", total(ours, "over_s"), "s", None, compared("over_s")),
        Row(
            "seconds with all stopped, the lone leak apart",
            total(ours, "stopped_s", lone=False),
            "s",
            None,
            compared("stopped_s", lone=False),
        ),
        Row(
            "tasks not done",
            wanted - total(ours, "done"),
            f"of {wanted:.0f}",
            None,
            f"done: {compared('done')}",
        ),
    ]


def main() -> int:
    """Play and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="only scenarios whose name contains one of these"
    )
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table there, too")
    options = parser.parse_args()
    chosen = [
        each
        for each in load(SCENARIOS)
        if not options.names or any(name in each.name for name in options.names)
    ]
    if not chosen:
        parser.error("no scenario has such a name")
    found = table(play_all(chosen, options.seeds))
    print(found)
    if options.markdown is not None:
        options.markdown.write_text(found + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

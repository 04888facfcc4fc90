"""How well the rules recognise what is wrong: `python bench/detection.py [NAME…] [--scenarios DIR…] [--markdown FILE]`.

Plays every scenario with several seeds through the real rules, and compares what is told with what is known to be true.
`bench/scenarios/README.md` tells how scenarios are written and what counts.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from harness import Row, p95
from scenario.model import Expected, Scenario, load
from scenario.play import Play, Told
from scenario.values import WrongScenario

from claudine_mcp.core.findings import Step
from claudine_mcp.core.models import Severity
from claudine_mcp.core.rules.silence import DEADLOCKED, STALLED
from claudine_mcp.core.units import human_duration

STRONGER = {"task:high-memory": "task:critical-memory", "task:stalled": "task:deadlocked"}
"""What says the same and more, so that the weaker word need not be given besides."""
STRONGEST = frozenset(STRONGER.values())
SCENARIOS = Path(__file__).with_name("scenarios")
PRECISION, RECALL = 0.98, 0.95
QUICK_SEEDS = 1


@dataclass(slots=True)
class Score:
    """What came of one kind of finding.

    Attributes:
        found: expectations that were met.
        missed: those that were not, each with where.
        false: what was told without being so, each with where.
        delays_s: from the onset to the word of it.
    """

    found: int = 0
    missed: list[str] = field(default_factory=list[str])
    false: list[str] = field(default_factory=list[str])
    delays_s: list[float] = field(default_factory=list[float])

    def add(self, other: Score) -> None:
        """Take another's counts."""
        self.found += other.found
        self.missed += other.missed
        self.false += other.false
        self.delays_s += other.delays_s

    @property
    def precision(self) -> float:
        """The share of what was told that is true; 1 where nothing was told."""
        told = self.found + len(self.false)
        return self.found / told if told else 1.0

    @property
    def recall(self) -> float:
        """The share of what is true that was told; 1 where nothing was."""
        true = self.found + len(self.missed)
        return self.found / true if true else 1.0


Scores = dict[str, Score]


def judge(scenario: Scenario, seed: int) -> Scores:
    """Play a scenario and compare."""
    told = list(Play(scenario, seed).told())
    scores: Scores = defaultdict(Score)
    where = f"{scenario.name} (seed {seed})"
    wanted = {finding for expected in scenario.expected for finding in expected.findings}
    allowed = scenario.allowed | {DEADLOCKED for expected in scenario.expected if may_hang(expected)}
    right: dict[int, str] = {}
    # First the stronger words, so that one is not used up by the weaker that it stands for.
    for expected in sorted(scenario.expected, key=lambda item: STRONGEST.isdisjoint(item.findings)):
        name = expected.findings[0]
        match = find(told, expected, wanted, right)
        if match is None:
            scores[name].missed.append(f"{where}: {describe(expected)}")
            continue
        right[match] = told[match].change.finding.type
        scores[name].found += 1
        scores[name].delays_s.append(told[match].at_s - expected.since_s)
        if expected.cleared_by_s is not None and not is_cleared(told[match:], expected):
            scores[name].missed.append(
                f"{where}: {name} is not cleared by {human_duration(expected.cleared_by_s)}"
            )
    named = set(right.values())
    for place, item in enumerate(told):
        kind = item.change.finding.type
        # What got worse, or is told besides a stronger word, is no alarm of its own.
        is_more_of_it = (item.change.step is Step.WORSENED and kind in named) or STRONGER.get(kind) in named
        if place not in right and kind not in allowed and is_alarm(item) and not is_more_of_it:
            subject = item.change.subject or "the machine"
            scores[kind].false.append(f"{where}: {kind} of {subject} at {human_duration(item.at_s)}")
    return scores


def find(told: Sequence[Told], expected: Expected, wanted: set[str], used: Collection[int]) -> int | None:
    """Give where among what was told the expected is, None if nowhere."""
    stronger = {STRONGER.get(name) for name in expected.findings}
    if not may_hang(expected):
        stronger &= wanted
    for findings in (expected.findings, stronger):
        for place, item in enumerate(told):
            is_free = place not in used or findings is not expected.findings
            if is_free and item.change.finding.type in findings and is_it(item, expected):
                return place
    return None


def may_hang(expected: Expected) -> bool:
    """Whether a run that is to be found silent, whyever, may as well be found to have hung."""
    return STALLED in expected.findings and not expected.why


def is_alarm(told: Told) -> bool:
    """Whether someone was disturbed: a note below a warning is kept, and sent to nobody."""
    return told.change.step is not Step.CLEARED and told.change.finding.severity.rank >= Severity.WARNING.rank


def is_it(told: Told, expected: Expected) -> bool:
    """Whether this, which is of the right type, is what was expected."""
    change = told.change
    return (
        change.step is not Step.CLEARED
        and change.finding.severity.rank >= expected.least.rank
        and expected.since_s <= told.at_s <= expected.by_s
        and expected.run in {"", change.subject}
        and expected.why in {"", change.finding.data.get("why"), change.finding.data.get("cause")}
    )


def is_cleared(told: Sequence[Told], expected: Expected) -> bool:
    """Whether what was told first is told to be over in time."""
    first = told[0].change
    return any(
        item.change.step is Step.CLEARED
        and (item.change.subject, item.change.finding.type) == (first.subject, first.finding.type)
        and item.at_s <= (expected.cleared_by_s or 0.0)
        for item in told
    )


def describe(expected: Expected) -> str:
    """Say what was expected."""
    why = f", why {expected.why}" if expected.why else ""
    run = f" of {expected.run}" if expected.run else ""
    span = f"{human_duration(expected.since_s)} to {human_duration(expected.by_s)}"
    return f"{' or '.join(expected.findings)}{run}{why}, {span}"


def play_all(scenarios: Iterable[Scenario], seeds: int | None) -> tuple[Scores, float]:
    """Play all; give the scores by finding, and how many days were played."""
    work = [(item, seed) for item in scenarios for seed in range(seeds or item.seeds)]
    scores: Scores = defaultdict(Score)
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for found in pool.map(judge, *zip(*work, strict=True), chunksize=2) if work else ():
            for kind, score in found.items():
                scores[kind].add(score)
    return scores, sum(item.lasts_s for item, _ in work) / 86_400


def total(scores: Scores) -> Score:
    """Give all findings together."""
    whole = Score()
    for score in scores.values():
        whole.add(score)
    return whole


def table(scores: Scores) -> str:
    """Give the scores as Markdown."""
    lines = [
        "| finding | expected | found | false | precision | recall | time to detect: median | 95 % | most |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for kind, score in [*sorted(scores.items()), ("**all**", total(scores))]:
        delays = sorted(score.delays_s)
        times = (statistics.median(delays), p95(delays), delays[-1]) if delays else ()
        shown = [human_duration(round(value)) for value in times] or ["", "", ""]
        if kind == "**all**":
            shown = ["", "", ""]
        lines.append(
            f"| {kind} | {score.found + len(score.missed)} | {score.found} | {len(score.false)} | "
            f"{score.precision:.3f} | {score.recall:.3f} | {' | '.join(shown)} |"
        )
    return "\n".join(lines)


def measure(*, quick: bool) -> list[Row]:
    """Play the scenarios of the repository; the rows are errors, so that less is better."""
    scores, days = play_all(load(SCENARIOS), QUICK_SEEDS if quick else None)
    whole = total(scores)
    told, true = whole.found + len(whole.false), whole.found + len(whole.missed)
    note = f"{days:.1f} simulated days; `python bench/detection.py` has the table"
    return [
        Row(
            "alarms that were false",
            100 * (1 - whole.precision),
            "%",
            2,
            f"{len(whole.false)} of {told}; {note}",
        ),
        Row("troubles that were missed", 100 * (1 - whole.recall), "%", 5, f"{len(whole.missed)} of {true}"),
    ]


def main() -> int:
    """Play, print, compare; 1 if a target was missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="only scenarios whose name contains one of these"
    )
    parser.add_argument(
        "--scenarios", type=Path, nargs="+", default=[SCENARIOS], metavar="DIR", help="files or folders"
    )
    parser.add_argument("--seeds", type=int, help="of each scenario, instead of its own number")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table there, too")
    parser.add_argument(
        "--timeline", action="store_true", help="print all that is told in each, with one seed"
    )
    options = parser.parse_args()
    try:
        scenarios = [item for path in options.scenarios for item in load(path)]
        for scenario in scenarios:
            Play(scenario, 0)
    except WrongScenario as error:
        parser.error(str(error))
    if options.names:
        scenarios = [item for item in scenarios if any(name in item.name for name in options.names)]
    if not scenarios:
        parser.error("there is no such scenario")
    if options.timeline:
        return show(scenarios)
    began = time.perf_counter()
    try:
        scores, days = play_all(scenarios, options.seeds)
    except WrongScenario as error:  # in what is drawn anew while it is played
        parser.error(str(error))
    whole = total(scores)
    text = table(scores)
    head = f"{len(scenarios)} scenario{'' if len(scenarios) == 1 else 's'}, {days:.1f} simulated days"
    print(f"{head}, played in {time.perf_counter() - began:.0f} s\n\n{text}")
    for kind, items in (("missed", whole.missed), ("false", whole.false)):
        if items:
            print(f"\n{kind}:\n" + "\n".join(f"  {item}" for item in items))
    if options.markdown is not None:
        options.markdown.write_text(f"# Detection\n\n{head}.\n\n{text}\n", encoding="utf-8")
    return int(whole.precision < PRECISION or whole.recall < RECALL)


def show(scenarios: Sequence[Scenario]) -> int:
    """Print what is told in each."""
    for scenario in scenarios:
        print(f"\n{scenario.name}: {scenario.about}")
        for item in Play(scenario, 0).told():
            change = item.change
            print(
                f"  {human_duration(item.at_s):>10}  {change.step:<8} {change.finding.severity:<8} "
                f"{change.finding.type} {change.subject} {change.finding.data}"
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The constants of learning, in one place: the simulator tries others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from claudine_mcp.core.models import Kind

MB: Final = 1_000_000
MIB: Final = 2**20
DAY_S: Final = 86_400.0


class Prior(NamedTuple):
    """What a task is taken to need before anything like it has run."""

    mean_bytes: float
    deviation_bytes: float


def _priors() -> Mapping[Kind, Prior]:
    return {Kind.CLAUDE: Prior(300 * MB, 200 * MB), Kind.COMMAND: Prior(100 * MB, 200 * MB)}


@dataclass(frozen=True, slots=True)
class Tuning:
    """How much is believed of what.

    Attributes:
        half_life_s: after which a sample weighs half of one that is made now [VPA recommender].
        stale_half_life_s: after which a class that has not run counts for half as many runs.
        parent_runs: so many runs its parent class is worth to a class.
        parent_durations: the same for how long runs take. Fewer: a tenth of others' durations is its p90.
        run_spread: deviation of a run's mean from its class', as a share of it, before runs have shown another; a
            class of n runs is this over the root of n less sure of itself.
        first_run_s: what is sampled of a class' first run counts for a whole one after so long.
        prior: by kind.
        short_more_bytes, short_factor: what a task that was short of memory is given the next time, whichever is
            more [VPA recommender].
        least_weight: a class that is worth fewer runs than this is forgotten.
        most_classes: so many are remembered, places and kinds among them.
    """

    half_life_s: float = DAY_S
    stale_half_life_s: float = 14 * DAY_S
    parent_runs: float = 1.0
    parent_durations: float = 0.3
    run_spread: float = 0.3
    first_run_s: float = 60.0
    prior: Mapping[Kind, Prior] = field(default_factory=_priors)
    short_more_bytes: int = 100 * MIB
    short_factor: float = 1.2
    least_weight: float = 0.05
    most_classes: int = 2000


USUAL: Final = Tuning()

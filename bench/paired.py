"""Paired comparison: two sides in turn, A B A B, and the ratio of each pair.

On a busy machine a rate means little, but what disturbs one side of a pair mostly disturbs the other too;
so the figure is the median of the pairs' ratios, and its spread (half of max - min, in percent of the
median) tells whether to believe it: above 25 the run was disturbed.
- Time is CPU time of this thread, so waiting for a CPU costs nobody anything.
- Each side repeats its work until a round takes long enough for the clock; the repeats are set once.
- The collector runs before each pair and is off inside it, for both sides alike.
- The process stays on one CPU, where the system can do that.
"""

from __future__ import annotations

import gc
import os
import sys
import time
from collections.abc import Callable
from statistics import median
from typing import NamedTuple

__all__ = ["DISTURBED", "Ratio", "Side", "Timed", "compare", "pin", "timed", "unrolled"]

Timed = Callable[[int], float]
"""The seconds that so many repetitions cost."""

DISTURBED = 25.0


class Side(NamedTuple):
    """One of two that are compared: the work that is timed, and what it gives, which must be the same."""

    time: Timed
    proof: Callable[[], object]


class Ratio(NamedTuple):
    """The ratios of all pairs, in their order."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return median(self.values)

    @property
    def spread(self) -> float:
        """Half of max - min, in percent of the median."""
        return 50 * (max(self.values) - min(self.values)) / self.median


def timed(run: Callable[[], object], clock: Callable[[], float] = time.thread_time) -> Timed:
    """A side of a comparison: `run` repeated in a bare loop."""

    def measure(repeats: int) -> float:
        rounds = range(repeats)
        start = clock()
        for _ in rounds:
            run()
        return clock() - start

    return measure


def unrolled(statement: str, times: int, **names: object) -> Callable[[], None]:
    """A function that runs `statement` so many times without a loop, for work that a loop would drown."""
    parameters = ", ".join(f"{name}={name}" for name in names)
    space = dict(names)
    exec(f"def run({parameters}):\n" + f"    {statement}\n" * times, space)
    return space["run"]  # type: ignore[return-value]


def repeats_for(side: Timed, seconds: float) -> int:
    """How often a side must repeat to take about `seconds`. This is its warm-up, too."""
    repeats = 1
    while (cost := side(repeats)) < seconds / 2:
        repeats *= 2 if cost <= seconds / 64 else max(2, round(seconds / cost))
    return max(1, round(repeats * min(1.0, seconds / cost)))


def compare(a: Timed, b: Timed, pairs: int = 9, seconds: float = 0.05) -> Ratio:
    """What b costs over what a costs, pair by pair: above 1 where `a` is the faster."""
    repeats_a, repeats_b = repeats_for(a, seconds), repeats_for(b, seconds)
    ratios = []
    was_on = gc.isenabled()
    try:
        for _ in range(pairs):
            gc.collect()
            gc.disable()
            cost_a = a(repeats_a) / repeats_a
            cost_b = b(repeats_b) / repeats_b
            gc.enable()
            ratios.append(cost_b / cost_a)
    finally:
        (gc.enable if was_on else gc.disable)()
    return Ratio(tuple(ratios))


def pin() -> str:
    """Keep this process on one CPU; says which, or that the system cannot."""
    if sys.platform != "linux":
        return "not pinned"
    cpu = max(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cpu})
    return f"pinned to CPU {cpu}"

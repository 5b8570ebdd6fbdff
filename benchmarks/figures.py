"""A row of a table: what is measured, its goal, and what was found; medians of times."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

PREFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "k"))


class NotRun(Exception):
    """What should be measured is not there; the text says what is missing."""


@dataclass(frozen=True)
class Found:
    """A number, and what should be read beside it."""

    number: float
    note: str


@dataclass(frozen=True)
class Figure:
    """One figure of a table: what it is, its goal, how it is measured (in the same unit).

    Attributes:
        goal: the number should be at most this; None has no goal.
        at_least: the number should be at least the goal.
    """

    name: str
    unit: str
    goal: float | None
    measure: Callable[[], float | Found]
    at_least: bool = False

    def row(self) -> str:
        """Measure and return the row of the table."""
        goal = "" if self.goal is None else ("≥ " if self.at_least else "") + amount(self.goal, self.unit)
        try:
            found = self.measure()
        except NotRun as missing:
            return f"| {self.name} | {goal} | not run | {missing} |"
        number, note = (found.number, found.note) if isinstance(found, Found) else (found, "")
        last = "; ".join(part for part in (self._verdict(number), note) if part)
        return f"| {self.name} | {goal} | {amount(number, self.unit)} | {last} |"

    def _verdict(self, number: float) -> str:
        if self.goal is None:
            return ""
        return "met" if (number >= self.goal if self.at_least else number <= self.goal) else "MISSED"


def amount(number: float, unit: str) -> str:
    """A number of three digits with its unit; rates (`…/s`) in thousands and millions."""
    if unit.endswith("/s"):
        for size, prefix in PREFIXES:
            if number >= size:
                return f"{number / size:.3g} {prefix} {unit}"
    return f"{number:.3g} {unit}".rstrip()


def median_seconds(action: Callable[[], object], repeat: int, calls: int = 1) -> float:
    """Return the median time of an action, after one run that is not counted.

    Args:
        calls: of a short action for each of the times.
    """
    action()
    times = []
    for _ in range(repeat):
        begun = time.perf_counter()
        for _ in range(calls):
            action()
        times.append((time.perf_counter() - begun) / calls)
    return statistics.median(times)


def median_quotient(action: Callable[[], object], beside: Callable[[], object], repeat: int) -> float:
    """Return the median of the quotients of two times, taken one after the other."""
    action(), beside()
    quotients = []
    for _ in range(repeat):
        begun = time.perf_counter()
        action()
        between = time.perf_counter()
        beside()
        quotients.append((between - begun) / (time.perf_counter() - between))
    return statistics.median(quotients)

"""Both statistics of many programs: how often a bound was exceeded, how far bounds are from true errors."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from bounds.comparison import SHARP, Compared, compare
from bounds.samples import Case
from reference.truth import TooLong

from qdiff.errors import EvaluationError
from qdiff.lang.tree import Program
from qdiff.sim.exact import ExactEngine


@dataclass
class Report:
    """What was found.

    Attributes:
        values, derivatives: bound / true error of each number.
        typical, worst: the median and the largest ratio of each program.
        exceeded: where a true error was larger than its bound.
        refused: what the engine did not answer; too_long: how many programs had no truth.
    """

    values: list[float] = field(default_factory=list)
    derivatives: list[float] = field(default_factory=list)
    typical: list[float] = field(default_factory=list)
    worst: list[float] = field(default_factory=list)
    exceeded: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    too_long: int = 0

    @property
    def checked(self) -> int:
        """Programs of which every number was compared."""
        return len(self.worst)

    @property
    def sharp(self) -> float:
        """Share of the programs whose bounds are within 10⁴ of the true errors, by their median."""
        return share_of_sharp(self.typical)

    def add(self, case: Case, numbers: Iterable[Compared]) -> None:
        """Take in the numbers of one program."""
        program, observable, params = case
        numbers = list(numbers)
        self.typical.append(statistics.median(x.ratio for x in numbers))
        self.worst.append(max(x.ratio for x in numbers))
        for x in numbers:
            (self.derivatives if x.what.startswith("∂") else self.values).append(x.ratio)
            if x.exceeded:
                self.exceeded.append(
                    f"{x.what} is off by {x.error:.3g}, its bound is {x.bound:.3g}\n"
                    f"{program}\n# {observable} at {params}"
                )

    def __str__(self) -> str:
        lines = [
            f"programs checked   {self.checked} ({self.too_long} more take too long for the truth, "
            f"{len(self.refused)} were refused by the engine)",
            f"bounds exceeded    {len(self.exceeded)}",
            f"within {SHARP:.0e}       {self.sharp:.1%} of the programs by their median ratio, "
            f"{share_of_sharp(self.worst):.1%} by their largest",
        ]
        for what, ratios in (("values", self.values), ("derivatives", self.derivatives)):
            if ratios:
                endless = sum(ratio == float("inf") for ratio in ratios)
                lines.append(
                    f"bound / true error {statistics.median(ratios):.3g} for {what} "
                    f"(median of {len(ratios)}, "
                    f"{share_of_sharp(ratios):.1%} within {SHARP:.0e}; no bound is proved for {endless})"
                )
        return "\n".join(lines)


def share_of_sharp(ratios: list[float]) -> float:
    """How many of them are within 10⁴."""
    return sum(ratio <= SHARP for ratio in ratios) / max(1, len(ratios))


def survey(cases: Iterable[Case], engine_of: Callable[[Program], ExactEngine]) -> Report:
    """Compare every program's bounds with its true errors."""
    report = Report()
    for case in cases:
        program, observable, params = case
        try:
            report.add(case, compare(program, observable, params, engine_of(program)))
        except TooLong:
            report.too_long += 1
        except EvaluationError as error:
            report.refused.append(f"{error}\n{program}\n# {observable} at {params}")
    return report

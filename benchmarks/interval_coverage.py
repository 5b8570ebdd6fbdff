"""`python -m benchmarks.interval_coverage`: how often 95 % intervals hold the derivative; prints a table.

    OMP_NUM_THREADS=1 python -m benchmarks.interval_coverage [--repetitions 1000] [--estimator TEXT]
                                                             [--case TEXT] [--processes 2]

All reference cases (tests/reference/cases.json), each with all its derivatives from the same shots: 10⁴ by
`stratified` and `trajectory`, 10⁵ by `insertion`. The goal is 93 % to 97 %. A thousand repetitions of an
interval that holds its level show it to ± 0.7 % (one standard error). Where intervals miss, the estimate
should have said that they are not to be trusted.
"""

from __future__ import annotations

import argparse
import json
import math
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from multiprocessing import get_context

import numpy as np

import qdiff as qd
from benchmarks.repetitions import LEVEL, Repetitions, Subject, repeated
from benchmarks.workloads import ROOT
from qdiff.lang.parameters import resolve

CASES = ROOT / "tests/reference/cases.json"
BUDGETS = {"stratified": 10**4, "trajectory": 10**4, "insertion": 10**5}
LEAST, MOST = 0.93, 0.97
UNDECIDED = 2
"""Standard errors outside of the goal that may be chance."""
NO_VARIANCE = 1e-12
"""A smaller standard error is rounding."""
HEAD = (
    "| case | by | estimator | intervals that hold | trusted | stderr² said ÷ true | "
    "standard errors of the mean away | skewness | degrees | |\n" + "|---" * 10 + "|"
)


def subjects(only: str = "") -> Iterator[Subject]:
    """Yield all reference cases whose name contains a text."""
    for case in json.loads(CASES.read_text(encoding="utf-8")):
        if only in case["name"]:
            program = qd.parse(case["program"])
            params = tuple(resolve(program, case["params"]).items())
            yield Subject(case["name"], str(program), params, case["observable"], program.trainable)


@dataclass(frozen=True)
class Covered:
    """What repetitions show of the intervals of one derivative.

    Attributes:
        inside: the share of intervals that hold the exact one. missed: of those that were trusted, among all,
            the share that do not.
        trusted: the share of estimates that say so.
        calibration: the mean of stderr² ÷ the variance of the estimates.
        away: standard errors from the mean of the estimates to the exact one.
        reason: the most frequent one not to trust.
    """

    case: str
    parameter: str
    estimator: str
    repetitions: int
    inside: float
    missed: float
    trusted: float
    calibration: float
    away: float
    skewness: float
    degrees: float
    reason: str

    @property
    def error(self) -> float:
        """One standard error of `inside`, were the level held."""
        return math.sqrt(LEVEL * (1 - LEVEL) / self.repetitions)

    @property
    def verdict(self) -> str:
        """Whether the goal is met, and why not."""
        if self.away > 4:
            return "MISSED: the mean is off"
        if LEAST <= self.inside <= MOST:
            return "met"
        if self.inside < LEAST and self.missed <= 1 - LEAST:
            return "met: those that miss say so"
        where = "below" if self.inside < LEAST else "above"
        edge = LEAST if self.inside < LEAST else MOST
        apart = abs(self.inside - edge) / self.error
        return f"{'MISSED' if apart > UNDECIDED else 'undecided'}, {where} by {apart:.1f} standard errors"

    def row(self) -> str:
        """Return the row of the table."""
        notes = [self.verdict] + ([f"“{self.reason}”"] if self.reason else [])
        return (
            f"| {self.case} | {self.parameter} | {self.estimator} | "
            f"{100 * self.inside:.1f} ± {100 * self.error:.1f} % | {100 * self.trusted:.0f} % | "
            f"{self.calibration:.3f} | {self.away:.1f} | {self.skewness:.2f} | {self.degrees:.3g} | "
            f"{'; '.join(notes)} |"
        )


def covered(subject: Subject, estimator: str, found: Repetitions) -> Iterator[Covered]:
    """Yield what repetitions show for every derivative that has a variance."""
    exact = subject.exact()
    inside = (found.low <= exact) & (exact <= found.high)
    trusted = np.array([not reason for reason in found.reasons])
    variances, away, skewness = found.value.var(axis=0, ddof=1), found.away(exact), found.skewness
    for i, parameter in enumerate(subject.wrt):
        if found.stderr[:, i].max() <= NO_VARIANCE and np.ptp(found.value[:, i]) <= NO_VARIANCE:
            continue
        yield Covered(
            case=subject.name,
            parameter=parameter,
            estimator=estimator,
            repetitions=found.number,
            inside=float(inside[:, i].mean()),
            missed=float((trusted & ~inside[:, i]).mean()),
            trusted=float(trusted.mean()),
            calibration=float((found.stderr[:, i] ** 2).mean() / variances[i])
            if variances[i] > 0
            else math.inf,
            away=float(away[i]),
            skewness=float(skewness[i]),
            degrees=float(np.median(found.degrees[:, i])),
            reason=_usual(found.reasons),
        )


def coverage(
    estimator: str,
    chosen: Sequence[Subject],
    repetitions: int,
    executor: Executor | None = None,
    shots: int | None = None,
) -> Iterator[Covered | str]:
    """Yield a row for every derivative of every subject; a text where an estimator refuses one.

    Args:
        shots: those of BUDGETS if None.
    """
    for subject in chosen:
        try:
            found = repeated(subject, estimator, shots or BUDGETS[estimator], repetitions, executor)
        except qd.QdiffError as error:
            yield f"| {subject.name} | | {estimator} | not run | | | | | | {error} |"
            continue
        yield from covered(subject, estimator, found)


def table(
    estimators: Sequence[str],
    only: str,
    repetitions: int,
    executor: Executor | None = None,
    shots: int | None = None,
) -> Iterator[str]:
    """Yield the lines of the table, and a last one of how many goals are met."""
    yield HEAD
    rows: list[Covered] = []
    refused = 0
    for estimator in estimators:
        for row in coverage(estimator, list(subjects(only)), repetitions, executor, shots):
            if isinstance(row, Covered):
                rows.append(row)
                yield row.row()
            else:
                refused += 1
                yield row
    met, missed = (sum(row.verdict.startswith(word) for row in rows) for word in ("met", "MISSED"))
    yield f"\nOf {len(rows)} derivatives: {met} met, {missed} missed; {refused} not run"


def processes(number: int) -> ProcessPoolExecutor | nullcontext[None]:
    """Return an executor, or a context of None for one process: this one."""
    if number <= 1:
        return nullcontext()
    return ProcessPoolExecutor(number, mp_context=get_context("spawn"))


def _usual(reasons: Sequence[str]) -> str:
    """The most frequent reason, without its numbers."""
    given = Counter(reason.split(" (")[0] for reason in reasons if reason)
    return given.most_common(1)[0][0] if given else ""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.interval_coverage", description=__doc__)
    parser.add_argument("--repetitions", type=int, default=1000, help="estimates of each case (1000)")
    parser.add_argument("--shots", type=int, help="of each estimate (10⁴; 10⁵ for insertion)")
    parser.add_argument("--estimator", default="", help="only estimators whose name contains this text")
    parser.add_argument("--case", default="", help="only cases whose name contains this text")
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="at a time (as many as cores)")
    options = parser.parse_args()
    chosen = [name for name in BUDGETS if options.estimator in name]
    with processes(options.processes) as executor:
        for line in table(chosen, options.case, options.repetitions, executor, options.shots):
            print(line, flush=True)


if __name__ == "__main__":
    main()

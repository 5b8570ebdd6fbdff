"""`python -m benchmarks.estimators`: what a shot is worth to each estimator; prints README's tables.

    OMP_NUM_THREADS=1 python -m benchmarks.estimators [--parts exact,measured,speed,coverage,picture]
        [--repetitions 200] [--shots 100000] [--case TEXT] [--only TEXT] [--processes 2]
        [--out docs/images/estimators.png]

Variances are per shot spent, pilots included: the spread of repeated estimates, times their shots. They are
compared with the exact variance of the published estimator (drawn occurrences, log-power law, the paper's
terms) and with the exact variance of the best plan of their kind.
"""

from __future__ import annotations

import argparse
import math
import os
import platform
import statistics
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path

import qdiff as qd
from benchmarks import error_curves, interval_coverage
from benchmarks.estimator_cases import BASELINE, ESTIMATORS, LEARNED, LIMITS, Case, cases
from benchmarks.figures import Figure, Found
from benchmarks.interval_coverage import processes
from benchmarks.overhead import overhead
from benchmarks.repetitions import Repetitions, Subject, repeated
from benchmarks.workloads import Workload, amplitude_amplification
from qdiff.sim.machine.backend import TrajectoryBackend

PARTS = ("exact", "measured", "speed", "coverage", "picture")
UNDRAWN = ("insertion, log-power", "stratified with a constant for each occurrence")
"""Estimators whose curves would lie on those of others."""
DEVIATIONS = 4
"""Standard errors that a mean, or a variance, may be away."""
MEASURED_HEAD = (
    "| estimator | variance × shots | said | the least of its kind, exact | ÷ baseline | goal | |\n"
    + "|---" * 7
    + "|"
)
SPEED_HEAD = "| estimator, 10⁵ shots | runs | own Python | goal | |\n" + "|---" * 5 + "|"


# --- Exact variances ---


def exact_lines(case: Case) -> Iterator[str]:
    """Yield the exact variance of every plan, with the published terms and with those of the least L1."""
    yield f"\n**{case.name}**: exact variance per shot\n"
    yield (
        "| plan | the paper's terms | ÷ baseline | terms of the least L1 | ÷ baseline |\n" + "|---" * 5 + "|"
    )
    for plan in case.exact["shift"]:
        numbers = [case.exact[rule][plan] for rule in ("shift-paper", "shift")]
        cells = [f"{number:.4g} | {fraction(number / case.baseline)}" for number in numbers]
        yield f"| {plan} | {' | '.join(cells)} |"


# --- Measured variances ---


@dataclass(frozen=True, eq=False)
class Measured:
    """Repeated estimates of a case by one estimator."""

    case: Case
    name: str
    found: Repetitions

    @property
    def ratio(self) -> float:
        """The variance over that of the baseline."""
        return float(self.found.variance[0]) / self.case.baseline

    @property
    def limit(self) -> float | None:
        """The exact variance that it has, or cannot go below."""
        rule, plan = LIMITS.get(self.name, (None, None))
        return None if rule is None or plan is None else self.case.exact[rule][plan]

    @property
    def complaints(self) -> list[str]:
        """What the repetitions contradict."""
        found, limit = self.found, self.limit
        variance, error = float(found.variance[0]), float(found.variance_error[0])
        away, said = found.away(self.case.subject.exact())[0], float(found.claimed[0])
        problems = []
        if away > DEVIATIONS and not found.bias_bound.max() > 0:
            problems.append(f"WRONG: the mean is {away:.1f} standard errors off")
        if abs(said - variance) > DEVIATIONS * math.hypot(error, float(found.claimed_error[0])):
            problems.append("WRONG: it says another variance than it has")
        if limit is not None:
            apart = limit - variance if self.name in LEARNED else abs(limit - variance)
            if apart > DEVIATIONS * error:
                problems.append("WRONG: the exact variance is another one")
        return problems

    def row(self) -> str:
        """Return the row of the table."""
        variance, error = float(self.found.variance[0]), float(self.found.variance_error[0])
        goal, aim = self.case.goals.get(self.name), self.case.aims.get(self.name)
        wanted = goal if goal is not None else aim
        verdict = [] if wanted is None else ["met" if self.ratio <= wanted else "MISSED"]
        shown = "" if wanted is None else f"{'aim ' if goal is None else '≤ '}{fraction(wanted)}"
        least = "" if self.limit is None else f"{self.limit:.4g}"
        return (
            f"| {self.name} | {variance:.3g} ± {error:.1g} | {float(self.found.claimed[0]):.3g} | {least} | "
            f"{fraction(self.ratio)} | {shown} | {'; '.join(verdict + self.complaints)} |"
        )


def measured_lines(
    case: Case, names: Sequence[str], shots: int, repetitions: int, executor: Executor | None
) -> Iterator[str]:
    """Yield the table of one case."""
    how = f"{repetitions} estimates from {shots} shots each, baseline {case.baseline:.4g}"
    yield f"\n**{case.name}**: {how}\n"
    yield MEASURED_HEAD
    for name in names:
        found = repeated(case.subject, ESTIMATORS[name], shots, repetitions, executor)
        yield Measured(case, name, found).row()


# --- Speed ---


def overhead_lines(case: Case, names: Sequence[str], shots: int, repeat: int) -> Iterator[str]:
    """Yield how long estimators take beside the runs that they make."""
    yield f"\n**{case.name}**: medians of {repeat} estimates from {shots} shots, one thread\n"
    yield SPEED_HEAD
    for name in names:
        found = overhead(case.subject, ESTIMATORS[name], shots, repeat)
        verdict = "met" if found.own <= found.goal else "MISSED"
        yield f"| {name} | {found.runs:.3g} ms | {found.own:.3g} ms | {found.goal:.3g} ms | {verdict} |"


def one_percent_figures(repeat: int) -> Iterator[Figure]:
    """The gradient of amplitude amplification at t = 1.2 to 1 %, by trajectories."""
    workload = amplitude_amplification(doubled_t=2.4)
    for wrt in (("t",), workload.program.trainable):
        name = f"{workload.name} at t = 1.2: the gradient by {', '.join(wrt)} to 1 %, trajectory, one thread"

        def seconds(wrt: tuple[str, ...] = wrt) -> Found:
            return one_percent(workload, wrt, repeat)

        yield Figure(name, "s", 1, seconds)


def one_percent(workload: Workload, wrt: tuple[str, ...], repeat: int) -> Found:
    """The median time until every standard error is 1 % of the length of the gradient."""
    subject = Subject.of(workload, *wrt)
    objective, params = subject.objective(), dict(subject.params)
    precision = 0.01 * math.hypot(*subject.exact())
    times, shots = [], []
    for seed in range(repeat + 1):
        backend = TrajectoryBackend(threads=1)
        begun = time.perf_counter()
        found = objective.estimate_grad(
            params, list(wrt), precision=precision, seed=seed, estimator="trajectory", backend=backend
        )
        times.append(time.perf_counter() - begun)
        shots.append(found.shots)
    return Found(statistics.median(times[1:]), f"{statistics.median(shots[1:]):.0f} shots")


def fraction(number: float) -> str:
    """Text for a small number: "1/55", "1/3.9"; from 1 on as it is."""
    if not 0 < number < 1:
        return f"{number:.3g}"
    inverse = 1 / number
    return f"1/{inverse:.0f}" if inverse >= 20 else f"1/{inverse:.3g}"


def lines(options: argparse.Namespace, executor: Executor | None) -> Iterator[str]:
    """Yield everything that is printed, while it is measured."""
    chosen = [case for case in cases() if options.case in case.name]
    names = [name for name in ESTIMATORS if options.only in name]
    if "exact" in options.parts:
        for case in chosen:
            yield from exact_lines(case)
    if "measured" in options.parts:
        for case in chosen:
            yield from measured_lines(case, names, options.shots, options.repetitions, executor)
    if "speed" in options.parts:
        for case in chosen:
            yield from overhead_lines(case, names, options.shots, options.repeat)
        yield "\n| what | goal | measured | |\n|---|---|---|---|"
        for figure in one_percent_figures(options.repeat):
            yield figure.row()
    if "coverage" in options.parts:
        yield f"\n**95 % intervals**, {options.coverage_repetitions} estimates each\n"
        budgets = list(interval_coverage.BUDGETS)
        yield from interval_coverage.table(budgets, "", options.coverage_repetitions, executor)
    if "picture" in options.parts:
        yield "\n**Error against shots**\n"
        panels = error_curves.panels(chosen, [name for name in names if name not in UNDRAWN])
        yield from error_curves.draw(panels, options.out, options.curve_repetitions, executor)


def parts(text: str) -> tuple[str, ...]:
    """Read a list of parts."""
    found = tuple(text.split(","))
    if unknown := [part for part in found if part not in PARTS]:
        raise argparse.ArgumentTypeError(
            f"no part is called {', '.join(unknown)}; there are {', '.join(PARTS)}"
        )
    return found


def main() -> None:
    """Measure, print and draw."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.estimators", description=__doc__)
    parser.add_argument("--parts", type=parts, default=PARTS, help=f"of {','.join(PARTS)} (all)")
    parser.add_argument("--repetitions", type=int, default=200, help="estimates behind a variance (200)")
    parser.add_argument("--shots", type=int, default=10**5, help="of each of them (100000)")
    parser.add_argument("--case", default="", help="only cases whose name contains this text")
    parser.add_argument("--only", default="", help="only estimators whose name contains this text")
    parser.add_argument("--repeat", type=int, default=7, help="timed estimates of each kind (7)")
    parser.add_argument("--coverage-repetitions", type=int, default=1000, help="estimates of a case (1000)")
    parser.add_argument("--curve-repetitions", type=int, default=40, help="estimates behind a point (40)")
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="at a time (as many as cores)")
    parser.add_argument("--out", type=Path, default=error_curves.OUT, help="the picture")
    options = parser.parse_args()
    print(f"qdiff {qd.__version__}, Python {platform.python_version()}, {platform.machine()}")
    print(f"baseline: {BASELINE}", flush=True)
    with processes(options.processes) as executor:
        for line in lines(options, executor):
            print(line, flush=True)


if __name__ == "__main__":
    main()

"""`python -m benchmarks.shot_curves`: how shots grow; draws docs/images/shots.png and prints the numbers.

    OMP_NUM_THREADS=1 python -m benchmarks.shot_curves [--out docs/images/shots.png]

One panel each for the number of shots (trajectories and merged shots), the passes of a loop and qubits.
Every point is the median of five runs, of at least half a second each where it is a rate.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import matplotlib

from benchmarks import workloads
from benchmarks.contests import Answer, contests, enough, sample
from benchmarks.figures import amount, median_seconds
from benchmarks.workloads import ROOT, Workload

OUT = ROOT / "docs/images/shots.png"
REPEAT = 5


@dataclass(frozen=True)
class Line:
    """Numbers over sizes."""

    name: str
    sizes: Sequence[float]
    measure: Callable[[float], float]
    dotted: bool = False


@dataclass(frozen=True)
class Panel:
    """Lines over the same quantity, in the same unit."""

    quantity: str
    unit: str
    lines: Sequence[Line]


def seconds(workload: Workload, backend: str, shots: float) -> float:
    """The time of so many shots."""
    return median_seconds(partial(sample, workload, int(shots), 1, backend), REPEAT)


def rate(workload: Workload, threads: int = 1) -> float:
    """Shots/s of trajectories."""

    def run(shots: int, seed: int) -> Answer:
        begun = time.perf_counter()
        sample(workload, shots, seed, "trajectory", threads)
        return Answer(shots, time.perf_counter() - begun, 0, 0)

    shots = enough(run)
    return statistics.median(shots / run(shots, 1 + i).seconds for i in range(REPEAT))


def over_passes(qubits: int, passes: float) -> float:
    """Shots/s of a loop with so many expected passes."""
    return rate(workloads.seeded_loop(qubits=qubits, radius=1 - 1 / (1 + passes)))


def over_qubits(threads: int, qubits: float) -> float:
    """Shots/s of a loop with nine expected passes on so many qubits."""
    return rate(workloads.seeded_loop(qubits=int(qubits), radius=0.9), threads)


def panels(largest: int) -> tuple[Panel, ...]:
    """All panels, the last one up to so many qubits."""
    shots = []
    for contest in contests():
        name = contest.workload.name
        one_by_one, merged = (partial(seconds, contest.workload, b) for b in ("trajectory", "merged"))
        shots.append(Line(f"{name}, trajectories", (1, 10, 100, 1e3, 1e4, 1e5), one_by_one))
        shots.append(
            Line(f"{name}, merged", (1, 10, 100, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9), merged, dotted=True)
        )
    sizes = tuple(range(2, largest + 1, 2))
    return (
        Panel("shots", "s", shots),
        Panel(
            "expected passes",
            "shots/s",
            [Line(f"loop, {n} qubits", (1, 10, 100, 1e3, 1e4), partial(over_passes, n)) for n in (2, 4, 8)],
        ),
        Panel(
            "qubits",
            "shots/s",
            [
                Line("loop, 9 expected passes, one thread", sizes, partial(over_qubits, 1)),
                Line("the same on two threads", sizes, partial(over_qubits, 2), dotted=True),
            ],
        ),
    )


def draw(found: Sequence[Panel], out: Path) -> None:
    """Measure, print and draw."""
    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, len(found), figsize=(5 * len(found), 5.2), layout="constrained")
    for panel, ax in zip(found, axes, strict=True):
        color = None
        for line in panel.lines:
            print(f"{panel.quantity}: {line.name}", flush=True)
            numbers = []
            for size in line.sizes:
                numbers.append(line.measure(size))
                print(f"  {size:>8g}  {amount(numbers[-1], panel.unit)}", flush=True)
            style = {"marker": ".", "linestyle": ":", "color": color} if line.dotted else {"marker": "o"}
            (drawn,) = ax.plot(line.sizes, numbers, label=line.name, **style)
            color = drawn.get_color()
        ax.set(xlabel=panel.quantity, ylabel=panel.unit, yscale="log")
        if panel.quantity == "qubits":
            ax.xaxis.get_major_locator().set_params(integer=True)
        else:
            ax.set_xscale("log")
        ax.grid(alpha=0.3)
        ax.legend(fontsize="small", loc="upper center", bbox_to_anchor=(0.5, -0.13))
    figure.suptitle("Time of shots, and shots a second, one thread where nothing else is said")
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=110)
    plt.close(figure)
    print(out)


def main() -> None:
    """Measure, print and draw all panels."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.shot_curves", description=__doc__)
    parser.add_argument("--out", type=Path, default=OUT, help="the picture")
    parser.add_argument("--qubits", type=int, default=20, help="the largest register (20)")
    options = parser.parse_args()
    draw(panels(options.qubits), options.out)


if __name__ == "__main__":
    main()

"""`python -m benchmarks.curves`: how the cost grows; draws docs/images/cost.png and prints the numbers.

    OMP_NUM_THREADS=1 python -m benchmarks.curves [--repeat 5] [--out docs/images/cost.png]

One panel each for qubits, passes of a loop, parameters and stores (values of counters); value, and
value with all derivatives, by the engine that qdiff chooses.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib

import qdiff as qd
from benchmarks import workloads
from benchmarks.__main__ import Timer
from benchmarks.workloads import ROOT, Workload

LEAST_SPAN = 100.0
OUT = ROOT / "docs/images/cost.png"


@dataclass(frozen=True)
class Curve:
    """One family of workloads, by size."""

    name: str
    sizes: Sequence[float]
    workload: Callable[[float], Workload]


@dataclass(frozen=True)
class Panel:
    """Curves over the same quantity."""

    quantity: str
    curves: Sequence[Curve]


def passes(count: float) -> Workload:
    """A loop on four qubits with so many expected passes."""
    return workloads.seeded_loop(qubits=4, radius=1 - 1 / (1 + count))


def stores(count: float) -> Workload:
    """A loop over a counter that an angle reads, up to a limit: so many combinations."""
    text = "qubit: q, r  para: t, n  count: c  while c < n do Ry(t*c)[q]; C_Ry(t)[q][r]; c++ od"
    return Workload(f"{count:.0f} stores", qd.parse(text), {"t": 0.1, "n": count}, "Z[q]*Z[r]")


def infinite(tail: float) -> Workload:
    """A loop that goes on with probability 1 - 1/tail; an angle reads the counter of its passes."""
    text = "qubit: q, r  para: t, p  count: c  while flip(p) do Ry(t*c)[q]; C_Ry(t)[q][r]; c++ od"
    return Workload(f"tail {tail:.0f}", qd.parse(text), {"t": 0.1, "p": 1 - 1 / tail}, "Z[q]*Z[r]")


PANELS = (
    Panel(
        "qubits",
        (
            Curve("loop, density operators", (2, 3, 4, 5, 6, 7, 8), lambda n: workloads.seeded_loop(int(n))),
            Curve(
                "6 measurements, branching",
                (8, 10, 12, 14, 16, 18),
                lambda n: workloads.branching_circuit(int(n)),
            ),
            Curve(
                "nothing measured, pure state",
                (6, 8, 10, 12, 14, 16, 18),
                lambda n: workloads.static_ansatz(int(n), 4),
            ),
        ),
    ),
    Panel("expected passes", (Curve("loop, 4 qubits", (3, 10, 30, 100, 1e3, 1e4, 1e5), passes),)),
    Panel(
        "parameters",
        (
            Curve(
                "loop, 6 qubits, 1000 gates",
                (1, 3, 10, 30, 100, 300, 1000),
                lambda n: workloads.seeded_loop(6, 1000, int(n)),
            ),
            Curve(
                "nothing measured, 10 qubits",
                (10, 100, 1000),
                lambda n: workloads.static_ansatz(10, int(n) // 10),
            ),
        ),
    ),
    Panel(
        "combinations of program point and counters",
        (
            Curve("counter up to a limit, read by an angle", (10, 100, 1e3, 1e4), stores),
            Curve("the same without limit, by expected passes", (3, 10, 30, 100, 300), infinite),
        ),
    ),
)


def main() -> None:
    """Measure, print and draw."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.curves", description=__doc__)
    parser.add_argument("--repeat", type=int, default=5, help="timed runs of each point (5)")
    parser.add_argument("--out", type=Path, default=OUT, help="the picture")
    options = parser.parse_args()
    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(2, 2, figsize=(11, 8), layout="constrained")
    for panel, ax in zip(PANELS, axes.ravel(), strict=True):
        for curve in panel.curves:
            timers = [Timer(curve.workload(size), options.repeat) for size in curve.sizes]
            values, gradients = ([getattr(t, what)() for t in timers] for what in ("value", "gradient"))
            print(f"{panel.quantity}: {curve.name}", flush=True)
            for size, value, gradient in zip(curve.sizes, values, gradients, strict=True):
                print(
                    f"  {size:>8g}  value {value:9.3g} ms   with derivatives {gradient:9.3g} ms", flush=True
                )
            (line,) = ax.plot(curve.sizes, gradients, marker="o", label=curve.name)
            ax.plot(curve.sizes, values, marker=".", linestyle=":", color=line.get_color())
        ax.set(xlabel=panel.quantity, ylabel="ms", yscale="log")
        low, high = ax.get_ylim()
        ax.set_ylim(min(low, high / LEAST_SPAN), high)  # what is constant should look so
        if panel.quantity != "qubits":
            ax.set_xscale("log")
        ax.grid(alpha=0.3)
        ax.legend(fontsize="small")
    figure.suptitle("Value with all derivatives (solid) and value alone (dotted), one thread")
    options.out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(options.out, dpi=110)
    print(options.out)


if __name__ == "__main__":
    main()

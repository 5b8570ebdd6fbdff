"""`python -m benchmarks.static_curves`: how circuits without measurement grow; draws docs/images/static.png.

    OMP_NUM_THREADS=1 python -m benchmarks.static_curves [--out docs/images/static.png] [--qubits 24]

One panel each for qubits, threads, parameters, terms of the observable and sets of parameters. Every curve is
fitted with the law that one expects of it, which is printed with its largest relative error, and drawn.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import matplotlib
import numpy as np
from qiskit.quantum_info import SparsePauliOp

import qdiff as qd
from benchmarks.laws import Law, constant, proportional
from benchmarks.workloads import ROOT, Workload, layered_ansatz, rotations

OUT = ROOT / "docs/images/static.png"
REPEAT = 5
RUN_SECONDS = 0.1  # a shorter call is made several times
LAYERS, TERM_QUBITS = 4, 14


@dataclass(frozen=True)
class Line:
    """Seconds over sizes, and the law that they should follow."""

    name: str
    sizes: Sequence[float]
    measure: Callable[[float], float]
    law: Law
    dotted: bool = False


@dataclass(frozen=True)
class Panel:
    """Lines over the same quantity."""

    quantity: str
    lines: Sequence[Line]


def seconds(call: Callable[[], object]) -> float:
    """The time of a warm call, the least of several: what disturbs it only adds."""
    begun = time.perf_counter()
    call()
    call()
    calls = max(1, int(RUN_SECONDS / (time.perf_counter() - begun)))
    times = []
    for _ in range(REPEAT):
        begun = time.perf_counter()
        for _ in range(calls):
            call()
        times.append((time.perf_counter() - begun) / calls)
    return min(times)


@cache
def ansatz(qubits: int, threads: int) -> tuple[qd.Objective, object]:
    """An objective and where to evaluate it."""
    workload = layered_ansatz(qubits, LAYERS)
    return workload.objective(threads=threads), workload.params["w"]


def over_qubits(threads: int, what: str, qubits: float) -> float:
    """Value, or value and gradient, of the ansatz."""
    f, w = ansatz(int(qubits), threads)
    return seconds(partial(getattr(f, what), w))


def over_sets(qubits: int, sets: float) -> float:
    """Value and gradient of so many sets of parameters."""
    f, _ = ansatz(qubits, 1)
    rows = np.random.default_rng(1).uniform(-np.pi, np.pi, (int(sets), 2 * LAYERS * qubits))
    return seconds(partial(f.batch_value_and_grad, rows))


def of(workload: Callable[[int], Workload], what: str, size: float) -> float:
    """Value, or value and gradient, of a workload of this size."""
    one = workload(int(size))
    return seconds(partial(getattr(one.objective(threads=1), what), one.params))


def strings(letters: str, count: int) -> SparsePauliOp:
    """So many different random Pauli strings of these letters and the identity, with normal coefficients."""
    rng = np.random.default_rng(1)
    words: dict[str, None] = {}
    while len(words) < count:
        words["".join(rng.choice(["I", *letters], size=TERM_QUBITS))] = None
    return SparsePauliOp(list(words), rng.normal(size=count))


def over_terms(letters: str, count: float) -> float:
    """Value and gradient of the ansatz with such an observable."""
    workload = layered_ansatz(TERM_QUBITS, LAYERS)
    f = qd.expectation(workload.program, strings(letters, int(count)), threads=1)
    return seconds(partial(f.value_and_grad, workload.params["w"]))


def work(qubits: float) -> float:
    """Amplitudes times gates."""
    n = int(qubits)
    return float(LAYERS * (3 * n - 1) << n)


def flips(size: float) -> float:
    """How many different sets of flipped qubits so many random Pauli strings have, on average."""
    masks = 2.0**TERM_QUBITS
    return float(masks * (1 - (1 - 1 / masks) ** size))


BY_WORK = Law((("", constant), ("gate", lambda n: LAYERS * (3.0 * n - 1)), ("gate · 2ⁿ", work)))
BY_PARAMETERS = Law((("", constant), ("P", proportional)))
BY_SETS = Law((("", constant), ("set", proportional)))
BY_SIGNS = Law((("", constant), ("T", proportional)))
BY_FLIPS = Law((("", constant), ("mask", flips), ("T", proportional)))

VALUE, GRADIENT = "__call__", "value_and_grad"


def panels(largest: int) -> tuple[Panel, ...]:
    """All panels, registers up to so many qubits."""
    sizes, wide = range(4, largest + 1, 2), range(10, largest + 1, 2)
    counts, many = (1, 3, 10, 30, 100, 300, 1000), (1, 10, 100, 1000, 10_000)
    whole = partial(rotations, gates=1000)
    return (
        Panel(
            "qubits, n",
            [
                Line("value + gradient", sizes, partial(over_qubits, 1, GRADIENT), BY_WORK),
                Line("value", sizes, partial(over_qubits, 1, VALUE), BY_WORK, dotted=True),
            ],
        ),
        Panel(
            "qubits, n, by threads",
            [
                Line("one thread", wide, partial(over_qubits, 1, GRADIENT), BY_WORK),
                Line("two threads", wide, partial(over_qubits, 2, GRADIENT), BY_WORK),
            ],
        ),
        Panel(
            "parameters, P",
            [
                Line("P rotations, gradient", counts, partial(of, rotations, GRADIENT), BY_PARAMETERS),
                Line("P rotations, value", counts, partial(of, rotations, VALUE), BY_PARAMETERS, dotted=True),
                Line("P of 1000 rotations, gradient", counts, partial(of, whole, GRADIENT), BY_PARAMETERS),
                Line("P of 1000 rotations, value", counts, partial(of, whole, VALUE), BY_PARAMETERS, True),
            ],
        ),
        Panel(
            "terms of the observable, T",
            [
                Line("strings of Z, gradient", many, partial(over_terms, "Z"), BY_SIGNS),
                Line("strings of X, Y, Z, gradient", many, partial(over_terms, "XYZ"), BY_FLIPS),
            ],
        ),
        Panel(
            "sets of parameters",
            [Line(f"{n} qubits, gradients", many, partial(over_sets, n), BY_SETS) for n in (4, 8)],
        ),
    )


def draw(found: Sequence[Panel], out: Path) -> None:
    """Measure, fit, print and draw."""
    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(2, 3, figsize=(14, 10.5), layout="constrained")
    for ax in axes.flat[len(found) :]:
        ax.set_axis_off()
    for panel, ax in zip(found, axes.flat, strict=False):
        for line in panel.lines:
            print(f"{panel.quantity}: {line.name}", flush=True)
            times = []
            for size in line.sizes:
                times.append(line.measure(size))
                print(f"  {size:>8g}  {1e3 * times[-1]:10.4g} ms", flush=True)
            law = line.law.fit(line.sizes, times)
            print(f"  {law.text}   (off by {100 * law.worst:.0f} % at most)", flush=True)
            (points,) = ax.plot(line.sizes, [1e3 * t for t in times], ".", markersize=9)
            ax.plot(
                line.sizes,
                [1e3 * law(size) for size in line.sizes],
                ":" if line.dotted else "-",
                color=points.get_color(),
                label=f"{line.name}:\n{law.text}",
            )
        ax.set(xlabel=panel.quantity, ylabel="ms", yscale="log")
        if panel.quantity.startswith("qubits"):
            ax.set_xticks(list(panel.lines[0].sizes))
        else:
            ax.set_xscale("log")
        ax.grid(alpha=0.3)
        ax.legend(fontsize="small", loc="upper center", bbox_to_anchor=(0.5, -0.14))
    figure.suptitle("Measured (points) and the fitted law (lines), one thread where nothing else is said")
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=80)
    plt.close(figure)
    print(out)


def main() -> None:
    """Measure and draw all panels."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.static_curves", description=__doc__)
    parser.add_argument("--out", type=Path, default=OUT, help="the picture")
    parser.add_argument("--qubits", type=int, default=24, help="the largest register (24)")
    options = parser.parse_args()
    draw(panels(options.qubits), options.out)


if __name__ == "__main__":
    main()

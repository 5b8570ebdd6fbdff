"""Train parameterised amplitude amplification for N = 10 and draw what happened.

Run by `make demo`. Prints a short table and saves two pictures in the folder `output` beside this
file: the landscape with the path of the training on it, and the value against the steps.
"""

from __future__ import annotations

import math
import os
import time
from pathlib import Path

import qdiff as qd

HERE = Path(__file__).resolve().parent
OUTPUT = HERE / "output"
N = 10
PUBLISHED_ANGLE = 2.8684  # 2t, Fang, Ying and Wu (2023), Table 1


def published_start(a: float) -> float:
    """Return t of the known rule from which the published training starts."""
    return 2 * math.acos((1 - math.sin(a)) / (1 + math.sin(a)))


def train(steps: int = 100, progress: bool = True) -> tuple[qd.Objective, qd.TrainingResult]:
    """Train t with the published optimiser settings."""
    a = 2 * math.asin(1 / N)
    program = qd.load(HERE / "program.qprog").bind(a=a, n=4 * N)
    f = qd.expectation(program, f"c * P1[r] / {N}")
    optimizer = qd.Adam(lr=0.1, betas=(0.9, 0.99))
    return f, qd.minimize(f, [published_start(a)], optimizer=optimizer, steps=steps, progress=progress)


def report(f: qd.Objective, result: qd.TrainingResult, seconds: float) -> str:
    """Return the table."""
    start, best = result.history.x[0, 0], result.best
    rows = [
        ("where training starts", start, result.history.value[0]),
        ("published optimum", PUBLISHED_ANGLE / 2, f([PUBLISHED_ANGLE / 2])),
        (f"after {result.steps} steps", result.params["t"], result.value),
        ("best point visited", best.params["t"], best.value),
    ]
    lines = [f"Amplitude amplification, N = {N}: {f.observable}, to be made small", ""]
    lines.append(f"{'':24}{'2t':>10}{'value':>14}{'derivative by t':>18}")
    for name, t, value in rows:
        lines.append(f"{name:24}{2 * t:10.5f}{value:14.9f}{f.grad([t])[0]:18.2e}")
    found = f.analyze([best.params["t"]])
    loop = found.expected_visits[0]
    lines += [
        "",
        f"At the best point the loop runs {loop.passes:.3f} passes on average and ends with probability "
        f"{found.termination_probability:.12f};",
        f"the value is exact to {found.error_bound:.0e}. {result.evaluations} exact values and derivatives "
        f"took {seconds:.2f} s.",
    ]
    return "\n".join(lines)


def main() -> None:
    """Train, print, draw."""
    begun = time.perf_counter()
    f, result = train()
    seconds = time.perf_counter() - begun
    print(report(f, result, seconds))
    OUTPUT.mkdir(exist_ok=True)
    landscape, steps = OUTPUT / "landscape.png", OUTPUT / "training.png"
    qd.landscape(f, "t", (0.2, 2 * math.pi - 0.2, 400), run=result).plot(landscape)
    result.plot(steps)
    print(f"\nPictures: {os.path.relpath(landscape)}\n          {os.path.relpath(steps)}")


if __name__ == "__main__":
    main()

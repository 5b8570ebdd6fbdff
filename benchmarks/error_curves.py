"""Error against shots, of every estimator: root mean squares over repetitions, on two logarithmic axes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path

import matplotlib

from benchmarks.estimator_cases import ESTIMATORS, Case
from benchmarks.repetitions import repeated
from benchmarks.workloads import ROOT

OUT = ROOT / "docs/images/estimators.png"
SHOTS = (1000, 3000, 10_000, 30_000, 100_000)


@dataclass(frozen=True)
class Panel:
    """One derivative, and what estimates it."""

    case: Case
    estimators: Sequence[str]
    shots: Sequence[int] = SHOTS


def panels(cases: Sequence[Case], estimators: Sequence[str]) -> list[Panel]:
    """One for each case."""
    return [Panel(case, estimators) for case in cases]


def draw(found: Sequence[Panel], out: Path, repetitions: int, executor: Executor | None) -> Iterator[str]:
    """Measure and draw; yield the numbers as lines of a table, at last the name of the picture."""
    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(
        1, len(found), figsize=(5 * len(found), 5), layout="constrained", squeeze=False
    )
    for panel, ax in zip(found, axes[0], strict=True):
        yield f"\n| {panel.case.name}: error after | {' | '.join(f'{n} shots' for n in panel.shots)} |"
        yield "|---" * (1 + len(panel.shots)) + "|"
        subject = panel.case.subject
        exact = subject.exact()
        for name in panel.estimators:
            errors = []
            for shots in panel.shots:
                estimates = repeated(subject, ESTIMATORS[name], shots, repetitions, executor)
                errors.append(float(estimates.error(exact)[0]))
            yield f"| {name} | {' | '.join(f'{error:.2g}' for error in errors)} |"
            ax.loglog(panel.shots, errors, marker="o", label=name)
        ax.axhline(abs(exact[0]), color="gray", linestyle=":", label="size of the derivative")
        ax.set(title=panel.case.name, xlabel="shots")
        ax.grid(alpha=0.3)
    axes[0][0].set_ylabel("root mean square error")
    figure.legend(
        *axes[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize="small"
    )
    figure.suptitle(f"Error of an estimated derivative, root mean square of {repetitions} estimates")
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=110)
    plt.close(figure)
    yield f"\n{out}"

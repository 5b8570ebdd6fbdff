"""The commands that read a program and say something about it.

Each takes the parsed command line and returns a `Report`, or raises a QdiffError; none prints.
"""

from __future__ import annotations

import math
from argparse import Namespace
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from qdiff.cli import estimates
from qdiff.cli.output import Report, columns
from qdiff.cli.values import parameter_values
from qdiff.errors import QdiffError, listed
from qdiff.lang.load import load

if TYPE_CHECKING:
    from qdiff.gradient_check import GradientCheck
    from qdiff.lang.noise.model import NoiseModel
    from qdiff.lang.tree import Program
    from qdiff.objective import Objective
    from qdiff.sampling import Samples
    from qdiff.sim.analysis import Analysis

MOST_COUNTS = 64
MOST_VALUES = 8


def check(arguments: Namespace) -> Report:
    """Say what a correct program declares, and what in it may be misread."""
    from qdiff.lang.check import warnings_of

    program = load(arguments.file)
    warnings = list(warnings_of(program))
    names = {
        "qubits": program.qubits,
        "parameters": program.parameters,
        "trainable": program.trainable,
        "counters": program.counters,
    }
    rows = [
        (f"  {kind}", f"{len(found)}: {listed(found)}" if found else "none") for kind, found in names.items()
    ]
    lines = [f"{arguments.file}: a correct program.", columns(rows), *(f"warning: {w}" for w in warnings)]
    return Report("\n".join(lines), {"file": arguments.file, "ok": True, **names, "warnings": warnings})


def show(arguments: Namespace) -> Report:
    """Print a program in one of the registered formats."""
    from qdiff.lang.formats import writers
    from qdiff.sim.machine.listing import PLAN, program_listing  # adds the format `plan`

    write = writers.find(arguments.format)
    program, noise = load(arguments.file), noise_of(arguments)
    shown = program if noise is None else noise.apply(program)
    if arguments.format == PLAN:
        plan = program_listing(shown)
        return Report(str(plan), {"format": PLAN, **plan.data})
    text = write(shown)
    return Report(text, {"format": arguments.format, "text": text})


def run(arguments: Namespace) -> Report:
    """Run a program shot by shot."""
    from qdiff.sampling import sample

    program, noise = load(arguments.file), noise_of(arguments)
    noisy = program if noise is None else noise.apply(program)
    values = parameter_values(noisy, arguments.parameters)
    samples = sample(
        program,
        values,
        shots=arguments.shots,
        seed=arguments.seed,
        backend=arguments.backend,
        noise=noise,
        threads=arguments.threads,
    )
    counters = {name: _summary(numbers) for name, numbers in samples.counter_counts.items()}
    data = {
        "shots": samples.shots,
        "seed": samples.seed,
        "qubits": samples.qubits,
        "counts": samples.counts,
        "counters": counters,
        "aborted": samples.aborted,
        "cut": samples.cut,
    }
    if samples.note:
        data["note"] = samples.note
    return Report(_samples_text(samples, counters), data)


def value(arguments: Namespace) -> Report:
    """The expectation value of an observable, exactly or from shots."""
    sampled = estimates.from_shots(arguments, "the value is")
    program = load(arguments.file)
    objective = expectation_of(program, arguments)
    values = parameter_values(objective.program, arguments.parameters)
    if sampled:
        return estimates.value(objective, values, arguments)
    return _exact(objective, values, arguments.analyze)


def grad(arguments: Namespace) -> Report:
    """The derivatives of an expectation value, exactly or from shots."""
    sampled = estimates.from_shots(arguments, "derivatives are")
    program = load(arguments.file)
    objective = expectation_of(program, arguments)
    values = parameter_values(objective.program, arguments.parameters)
    wanted = objective.differentiated(arguments.wrt)
    if sampled:
        return estimates.grad(objective, values, wanted, arguments)
    names = list(wanted) or None  # no names at all are those of a program without trainable ones
    found, derivatives = objective.value_and_grad(values, names)
    analysis = objective.analyze(values, names)
    gradient = dict(zip(wanted, map(float, derivatives), strict=True))
    bounds = {name: analysis.grad_error_bound.get(name, math.inf) for name in wanted}
    data: dict[str, Any] = {
        "value": found,
        "grad": gradient,
        "error_bound": analysis.error_bound,
        "grad_error_bound": bounds,
    }
    lines = _derivative_lines(gradient, bounds)
    if not all(map(math.isfinite, (analysis.error_bound, *bounds.values()))):
        data["reason"] = analysis.reason
        lines += [f"unknown: {analysis.reason}"] if not all(map(math.isfinite, bounds.values())) else []
    if arguments.check:
        report = _checked(objective, values, names)
        data["check"] = asdict(report) | {"ok": report.ok}
        lines += ["", str(report)]
    return Report("\n".join(lines), data)


def _derivative_lines(gradient: Mapping[str, float], bounds: Mapping[str, float]) -> list[str]:
    if not gradient:
        return ["No parameter is trainable."]
    width = max(map(len, gradient))
    lines = [f"{name:<{width}} = {derivative!r}" for name, derivative in gradient.items()]
    longest = max(map(len, lines))
    return [
        f"{line:<{longest}}   error bound {_bound_text(bound)}"
        for line, bound in zip(lines, bounds.values(), strict=True)
    ]


def _bound_text(bound: float) -> str:
    return f"{bound:.2g}" if math.isfinite(bound) else "unknown"


def _checked(objective: Objective, values: Mapping[str, object], names: list[str] | None) -> GradientCheck:
    """The report of a check that found nothing.

    Raises:
        QdiffError: the report of one that did.
    """
    from qdiff.gradient_check import check_grad

    report = check_grad(objective, values, names)
    if not report.ok:
        raise QdiffError(f"The derivatives disagree.\n{report}")
    return report


def train(arguments: Namespace) -> Report:
    """Train parameters; see `qdiff.cli.training`."""
    from qdiff.cli.training import train

    return train(arguments)


def diff(arguments: Namespace) -> Report:
    """Print the derivative of a program as programs; see `qdiff.cli.derivatives`."""
    from qdiff.cli.derivatives import diff

    return diff(arguments)


COMMANDS: Mapping[str, Callable[[Namespace], Report]] = {
    "check": check,
    "show": show,
    "run": run,
    "value": value,
    "grad": grad,
    "diff": diff,
    "train": train,
}


def expectation_of(program: Program, arguments: Namespace) -> Objective:
    """Return the expectation of the observable of a command line."""
    from qdiff.objective import expectation

    found: Objective = expectation(
        program,
        arguments.observable,
        engine=getattr(arguments, "engine", None),
        noise=noise_of(arguments),
    )
    return found


def noise_of(arguments: Namespace) -> NoiseModel | None:
    """Return the noise model of a command line, None where it has none."""
    from qdiff.lang.noise.model import NoiseModel

    return None if arguments.noise is None else NoiseModel.load(arguments.noise)


def _exact(objective: Objective, values: Mapping[str, object], analyze: bool) -> Report:
    found = objective(values)
    analysis = objective.analyze(values)
    bound, ends = analysis.error_bound, analysis.termination_probability
    rows = [
        ("value", repr(found)),
        ("error bound", f"{bound:.2g}"),
        ("termination probability", f"{ends:.12g}"),
    ]
    data: dict[str, Any] = {"value": found, "error_bound": bound, "termination_probability": ends}
    if analysis.trapped_probability:
        rows.append(("never ends", f"{analysis.trapped_probability:.12g} (counts 0)"))
        data["trapped_probability"] = analysis.trapped_probability
    if not math.isfinite(bound):
        rows[1] = ("error bound", f"unknown: {analysis.reason}")
        data["reason"] = analysis.reason
    if not analyze:
        return Report(columns(rows), data)
    return Report(f"value                    {found!r}\n{analysis}", data | {"analysis": _analysis(analysis)})


def _analysis(analysis: Analysis) -> dict[str, Any]:
    data = asdict(analysis)
    data["expected_visits"] = [
        {
            "line": loop.position.line if loop.position else None,
            "evaluations": loop.evaluations,
            "passes": loop.passes,
        }
        for loop in analysis.expected_visits
    ]
    return data


# --- run ----------------------------------------------------------------------------------------


def _summary(numbers: Mapping[int, int]) -> dict[str, Any]:
    """Mean of a counter over the runs that came to their end, and how many ended with each value."""
    total = sum(value * number for value, number in numbers.items())
    return {
        "mean": total / sum(numbers.values()) if numbers else None,
        "values": {str(value): number for value, number in numbers.items()},
    }


def _samples_text(samples: Samples, counters: Mapping[str, Mapping[str, Any]]) -> str:
    lines = [f"{samples.shots} shots, seed {samples.seed}"]
    if samples.aborted:
        lines.append(f"  {samples.aborted} aborted")
    if samples.cut:
        lines.append(f"  {samples.cut} cut at the step limit: what they would have given is unknown")
    if samples.note:
        lines.append(f"  {samples.note}")
    if samples.counts:
        lines.append(f"counts ({', '.join(reversed(samples.qubits))})")
        shown = sorted(samples.counts.items(), key=lambda pair: (-pair[1], pair[0]))
        width = len(str(shown[0][1]))
        for bits, count in shown[:MOST_COUNTS]:
            lines.append(f"  {bits}  {count:>{width}}  {count / samples.shots:.4f}")
        if len(shown) > MOST_COUNTS:
            lines.append(f"  and {len(shown) - MOST_COUNTS} more, all with --json")
        if counters:
            lines.append("counters where a run ended")
            lines.append(columns((f"  {name}", _counter_text(counter)) for name, counter in counters.items()))
    return "\n".join(lines)


def _counter_text(counter: Mapping[str, Any]) -> str:
    values = list(counter["values"].items())
    if len(values) > MOST_VALUES:
        return f"mean {counter['mean']:.6g}   from {values[0][0]} to {values[-1][0]}, {len(values)} values"
    return f"mean {counter['mean']:.6g}   " + ", ".join(f"{value}: {count}" for value, count in values)

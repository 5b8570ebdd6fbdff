"""What shots say: values and derivatives with their standard errors, and which options ask for them."""

from __future__ import annotations

import math
import re
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from qdiff.cli.output import Report
from qdiff.cli.values import UsageError
from qdiff.errors import QdiffError

if TYPE_CHECKING:
    from qdiff.estimators.estimate import Estimate
    from qdiff.objective import Objective

BUDGETS = ("shots", "precision", "seconds")
# What belongs to estimates; a command has some of them.
OF_SHOTS = ("seed", "backend", "max_shots", "estimator", "mu", "common_random_numbers", "assume_finite")
OF_EXACT = ("engine", "analyze", "check")


def from_shots(arguments: Namespace, exact: str) -> bool:
    """Whether a command line asks for estimates.

    Args:
        exact: what is exact otherwise, for messages: "the value is".

    Raises:
        UsageError: an option that belongs to the other way.
    """
    budgets = [name for name in BUDGETS if hasattr(arguments, name)]
    given = [name for name in budgets if getattr(arguments, name) is not None]
    for name in OF_EXACT if given else OF_SHOTS:
        if getattr(arguments, name, None) not in (None, False):
            if given:
                raise UsageError(f"{option(name)} belongs to exact values: leave out {option(given[0])}.")
            asked, them = " or ".join(map(option, budgets)), "it" if len(budgets) == 1 else "them"
            raise UsageError(f"{option(name)} belongs to {asked}: without {them} {exact} exact.")
    return bool(given)


def value(objective: Objective, values: Mapping[str, object], arguments: Namespace) -> Report:
    """Estimate a value."""
    with in_options():
        estimate = objective.estimate(values, **_asked(arguments))
    data: dict[str, Any] = {
        "value": float(estimate.value),
        "stderr": float(estimate.stderr),
        "shots": estimate.shots,
        "seed": estimate.seed,
        "bias_bound": float(np.max(estimate.bias_bound)),
    }
    if arguments.precision is not None:
        data["reached"] = estimate.reached
    data["interval_trusted"] = estimate.interval_trusted
    return Report(str(estimate), data | _said(estimate))


def grad(
    objective: Objective, values: Mapping[str, object], names: Sequence[str], arguments: Namespace
) -> Report:
    """Estimate derivatives by some parameters."""
    if not names:
        return Report("No parameter is trainable.", {"grad": {}, "stderr": {}, "shots": 0})
    options = {} if arguments.estimator is None else {"estimator": arguments.estimator}
    with in_options():
        estimate = objective.estimate_grad(
            values,
            list(names),
            mu=arguments.mu,
            assume_finite=arguments.assume_finite,
            **_asked(arguments),
            **options,
        )
    data: dict[str, Any] = {
        "grad": _by_name(names, estimate.value),
        "stderr": _by_name(names, estimate.stderr),
        "shots": estimate.shots,
        "seed": estimate.seed,
        "estimator": estimate.estimator,
    }
    if np.any(estimate.bias_bound):
        data["bias_bound"] = _by_name(names, estimate.bias_bound)
    if arguments.precision is not None:
        data["reached"] = estimate.reached
    data["interval_trusted"] = estimate.interval_trusted
    return Report("\n".join(_lines(estimate, data)), data | _said(estimate))


def _asked(arguments: Namespace) -> dict[str, Any]:
    """Budget, seed and backend."""
    return {name: getattr(arguments, name) for name in (*BUDGETS, "max_shots", "seed", "backend")}


def _lines(estimate: Estimate, data: Mapping[str, Any]) -> list[str]:
    from qdiff.estimators.estimate import with_error

    width = max(map(len, data["grad"]))
    pairs = zip(data["grad"].values(), data["stderr"].values(), strict=True)
    lines = [f"{name:<{width}} = {with_error(*pair)}" for name, pair in zip(data["grad"], pairs, strict=True)]
    if "bias_bound" in data:
        longest = max(map(len, lines))
        bounds = data["bias_bound"].values()
        lines = [f"{line:<{longest}}   {_bias(bound)}" for line, bound in zip(lines, bounds, strict=True)]
    lines.append(f'{estimate.shots} shots, seed {estimate.seed}, by "{estimate.estimator}"')
    if estimate.reason:
        lines.append(f"interval not trusted: {estimate.reason}")
    return lines + ([estimate.note] if estimate.note else [])


def _bias(bound: float) -> str:
    return f"bias at most {bound:.2g}" if math.isfinite(bound) else "bias unknown"


def _by_name(names: Sequence[str], numbers: object) -> dict[str, float]:
    spread = np.broadcast_to(np.asarray(numbers, dtype=float), (len(names),))
    return dict(zip(names, spread.tolist(), strict=True))


def _said(estimate: Estimate) -> dict[str, str]:
    said = {"reason": estimate.reason, "note": estimate.note}
    return {name: text for name, text in said.items() if text}


# --- what messages call the options -------------------------------------------------------------

_SWITCHES = re.compile(r"\b(resume|assume_finite|common_random_numbers)=(True\b)?")
_ARGUMENTS = re.compile(r"\b(shots|max_shots|precision|seconds|seed|estimator|backend|mu)=(?=(\d)?)")
_SUBJECTS = re.compile(r"^(shots|max_shots|precision|seconds)(?= (must|is|limits) )")


@contextmanager
def in_options() -> Iterator[None]:
    """Let messages speak of options of the command line, not of arguments in Python.

    Raises:
        UsageError: a QdiffError that spoke of arguments.
    """
    try:
        yield
    except QdiffError as error:
        text = _SWITCHES.sub(lambda found: option(found[1]), str(error))
        text = _ARGUMENTS.sub(lambda found: option(found[1]) + (" " if found[2] else ""), text)
        text = _SUBJECTS.sub(lambda found: option(found[1]), text)
        if text == str(error):
            raise
        raise UsageError(text) from None


def option(name: str) -> str:
    """Return "--max-shots" for "max_shots"."""
    return "--" + name.replace("_", "-")

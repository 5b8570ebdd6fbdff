"""Derivatives held against each other: every engine that can answer, rules, and differences of values.

Differences are central, D(h) = (f(x + h) - f(x - h)) / 2h, extrapolated to h = 0 by Neville's scheme
in h² over halved steps (Richardson; the choice of the entry and its uncertainty by its distance to
its neighbours are Ridders'). The rounding of the values adds |f|·1e-12/h. Sources: Richardson (1911);
Ridders, Advances in Engineering Software 4 (1982) 75.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from qdiff.errors import ParameterError, QdiffError, ResourceError, listed
from qdiff.lang.parameters import expand, resolve
from qdiff.objective.arguments import differentiated
from qdiff.objective.scalar import Objective
from qdiff.rule_slopes import RULES, rule_slopes
from qdiff.sim.exact import ExactEngine, Floats, Parameters

AGREEMENT = 1e-9  # of exact answers, relative to 1 or to their size
ROUNDING = 1e-12  # of a value, the same way
FIRST_STEPS = (0.05, 0.05 / 16, 0.05 / 256)  # the next where f has no value that far away
HALVINGS = 6
DIFFERENCES = "differences"
VALUE = "value"
RULE = "rule "  # in front of the names of rules, beside those of engines
MOST_OPERATIONS = 1e9  # a few seconds; an engine that would need more is asked if it is chosen or named


@dataclass(frozen=True)
class CheckLine:
    """One number found in several ways.

    Attributes:
        name: the parameter, or "value".
        by_engine: engine, or "rule" and a replacement rule → the derivative (the value) it gives.
        difference: by differences of values; NaN where there are none.
        uncertainty: |difference - true derivative| is at most about this.
        ok: whether all of them agree.
        remark: what is wrong, or why something is missing; "" if there is nothing to say.
    """

    name: str
    by_engine: Mapping[str, float]
    difference: float
    uncertainty: float
    ok: bool
    remark: str = ""


@dataclass(frozen=True)
class GradientCheck:
    """What was compared. Made by `qd.check_grad`.

    Attributes:
        lines: the value, then one line a parameter.
        notes: what was left out, and why.
        unanswered: rules that were asked for by name, where none of them has an answer.
    """

    lines: tuple[CheckLine, ...]
    notes: tuple[str, ...] = ()
    unanswered: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether everything that was compared agrees, some rule that was asked for by name included."""
        return all(line.ok for line in self.lines) and not self.unanswered

    def __str__(self) -> str:
        engines = list(dict.fromkeys(way for line in self.lines for way in line.by_engine))
        head = ["", *engines, DIFFERENCES, "±", ""]
        rows = [head] + [_row(line, engines) for line in self.lines]
        widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
        table = [
            "  ".join(
                text.ljust(width) if i in (0, len(head) - 1) else text.rjust(width)
                for i, (text, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in rows
        ]
        bad = [line.name for line in self.lines if not line.ok]
        verdict = "all agree"
        if self.unanswered:
            verdict = f"NO ANSWER by the rules that were asked for: {listed(self.unanswered)}"
        if bad:
            verdict = f"DISAGREEMENT in {listed(bad)}"
        return "\n".join([*table, *(f"note: {note}" for note in self.notes), verdict])


def check_grad(
    f: Objective,
    params: object = None,
    wrt: object = None,
    *,
    engines: Sequence[str | ExactEngine] | None = None,
    rules: str | Sequence[str] | None = None,
) -> GradientCheck:
    """Compute value and derivatives in every way there is and compare them.

    Exact answers agree when they differ by at most 1e-9, relative to 1 or to their size; differences
    agree with them within their own uncertainty.

    Args:
        f: an objective with one value.
        params, wrt: as for `f.grad`; parameters that occur in a comparison are left out with a note.
        engines: names or `ExactEngine` objects to compare; if None, the engine of `f` and all others
            that can answer with bearable work.

        rules: names of replacement rules, as `qd.differentiate` takes them; if None, `shift`, `shift-paper`,
            `commutator` and `hadamard`, those that apply to all sites, with bearable work; () for none.

    Returns:
        A report: `.ok`, `.lines`, and `str()` a table. A mismatch is no error.

    Raises:
        QdiffError: what `f.value_and_grad` raises; engines that were named and cannot answer.
    """
    if not isinstance(f, Objective):
        raise ParameterError(f"The check takes an objective with one value, such as f[0]; got {f!r}.")
    values = resolve(f.program, params)
    names, notes = _differentiable(f, wrt)
    answers: dict[str, tuple[float, Floats]] = {}
    for name, engine in _engines(f, engines, notes).items():
        try:
            found, slopes = f.chain.gradients([values], names, engine)
        except QdiffError as error:
            if engines is not None or name == f.engines.choice.name:
                raise
            notes.append(f"{name}: no answer. {error}")
            continue
        answers[name] = (float(found[0, 0]), slopes[0, 0])
    most = MOST_OPERATIONS if rules is None else math.inf
    asked = (rules,) if isinstance(rules, str) else RULES if rules is None else rules
    by_rule = rule_slopes(f, values, names, asked, most, notes)
    value_line = _compared(VALUE, {name: value for name, (value, _) in answers.items()}, None)
    lines = [value_line]
    for i, (name, found_by_values) in enumerate(differences(f, values, names).items()):
        by_engine = {engine: float(slopes[i]) for engine, (_, slopes) in answers.items()}
        by_engine |= {f"{RULE}{rule}": float(slopes[i]) for rule, slopes in by_rule.items()}
        lines.append(_compared(name, by_engine, found_by_values))
    unanswered = tuple(asked) if rules is not None and names and not by_rule else ()
    return GradientCheck(tuple(lines), tuple(notes), unanswered)


def differences(
    f: Objective, parameters: Parameters, names: Sequence[str]
) -> dict[str, tuple[float, float] | None]:
    """Return ∂f/∂name by extrapolated differences and its uncertainty; None where f ends nearby.

    All values are asked for at once; only where one of them does not exist, those of every parameter
    alone, with smaller steps where that is needed.
    """
    together = _differences(f, parameters, names, FIRST_STEPS[0])
    if together is not None:
        return together
    return {name: _alone(f, parameters, name) for name in names}


def _alone(f: Objective, parameters: Parameters, name: str) -> tuple[float, float] | None:
    for first in FIRST_STEPS:
        found = _differences(f, parameters, [name], first)
        if found is not None:
            return found[name]
    return None


def _differences(
    f: Objective, parameters: Parameters, names: Sequence[str], first: float
) -> dict[str, tuple[float, float] | None] | None:
    """The differences with steps from `first` on; None where f has no value at one of them."""
    steps: Floats = np.array([first / 2**level for level in range(HALVINGS)])
    rows = [
        {**parameters, name: parameters[name] + sign * step}
        for name in names
        for step in steps.tolist()
        for sign in (1, -1)
    ]
    try:
        values = f.chain.values(rows)[:, 0].reshape(len(names), HALVINGS, 2)
    except ResourceError:
        raise
    except QdiffError:
        return None
    return {
        name: extrapolated(found[:, 0], found[:, 1], steps) for name, found in zip(names, values, strict=True)
    }


def extrapolated(ahead: Floats, behind: Floats, steps: Floats) -> tuple[float, float]:
    """Return the limit of (ahead - behind) / 2h for halved steps h, and its uncertainty; each (m,)."""
    noise = ROUNDING * max(1.0, float(np.abs([ahead, behind]).max()))
    column = ((ahead - behind) / (2 * steps)).tolist()
    best, uncertainty = column[0], math.inf
    for order in range(1, len(column)):
        finer = [b + (b - a) / (4**order - 1) for a, b in pairwise(column)]
        for i, entry in enumerate(finer):
            near = max(abs(entry - column[i]), abs(entry - column[i + 1])) + noise / float(steps[i + order])
            if near < uncertainty:
                best, uncertainty = entry, near
        column = finer
    return best, uncertainty


def _differentiable(f: Objective, wrt: object) -> tuple[tuple[str, ...], list[str]]:
    """The names to check, and notes on those that are left out."""
    program = f.program
    asked = program.parameters if wrt is None else expand(wrt, program)
    jumping = [name for name in asked if name in program.compared]
    notes = [
        f"{name}: left out, it occurs in a comparison, where the objective may jump." for name in jumping
    ]
    if wrt is None:
        return program.trainable, notes
    names = [name for name in asked if name not in program.compared]
    return differentiated(program, names) if names else (), notes


def _engines(
    f: Objective, wanted: Sequence[str | ExactEngine] | None, notes: list[str]
) -> dict[str, ExactEngine]:
    if wanted is not None:
        made = [f.engines.named(engine) if isinstance(engine, str) else engine for engine in wanted]
        return {engine.name: engine for engine in made}
    choice = f.engines.choice
    found = {choice.name: f.engines.chosen}
    for candidate in choice.candidates:
        if candidate.name in found or candidate.refusal:
            continue
        if not candidate.fits(f.engines.max_memory) or not candidate.operations <= MOST_OPERATIONS:
            long = MOST_OPERATIONS < candidate.operations < math.inf
            why = "; that would take long, it answers if it is named: engines=[…]" if long else ""
            notes.append(f"engine left out, {candidate}{why}.")
            continue
        found[candidate.name] = f.engines.named(candidate.name)
    return found


def _compared(
    name: str, by_engine: Mapping[str, float], differences: tuple[float, float] | None
) -> CheckLine:
    found = np.array(list(by_engine.values()))  # its maxima are NaN where an entry is
    scale = max(1.0, float(np.abs(found).max()))
    spread = float(np.ptp(found))
    ok = bool(spread <= AGREEMENT * scale)  # False for NaN, too
    exact = [value for way, value in by_engine.items() if not way.startswith(RULE)]
    ways = "engines" if not float(np.ptp(exact)) <= AGREEMENT * scale else "rules and engines"
    remark = "" if ok else f"{ways} differ by {spread:.2g}"
    if differences is None:
        missing = "" if name == VALUE else "no differences: the objective has no value nearby"
        return CheckLine(name, by_engine, math.nan, math.inf, ok, remark or missing)
    slope, uncertainty = differences
    off = float(np.abs(found - slope).max())
    if not off <= uncertainty + AGREEMENT * scale:
        ok, remark = False, remark or f"differences disagree by {off:.2g}"
    elif ok and uncertainty > 1e-3 * scale:
        remark = "differences are too uncertain to tell"
    return CheckLine(name, by_engine, slope, uncertainty, ok, remark)


def _row(line: CheckLine, engines: Sequence[str]) -> list[str]:
    numbers = [f"{line.by_engine[engine]:.12g}" if engine in line.by_engine else "" for engine in engines]
    if math.isnan(line.difference):
        return [line.name, *numbers, "", "", line.remark]
    return [line.name, *numbers, f"{line.difference:.12g}", f"{line.uncertainty:.1g}", line.remark]

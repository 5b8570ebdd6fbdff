"""Angles, probabilities, their derivatives and the matrices of gates in extended precision, with errors.

Expressions are evaluated on `longdouble` (64-bit mantissa where the machine has it) at all rows of counters
at once. Errors come from the running error analysis of `rounding`: every error there is a unit roundoff
times slopes on intervals that shrink with it, so that in extended precision it is smaller by the ratio of
the units. A number written in a program and a parameter are the doubles that they are; π is the real number.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qdiff.errors import EvaluationError
from qdiff.lang import expr as ex
from qdiff.lang import tree as qt
from qdiff.lang.expr import Expr
from qdiff.lang.gates import is_gate
from qdiff.lang.logpower import hazard
from qdiff.lang.running import PROBABILITY_SLACK
from qdiff.lang.walk import statements
from qdiff.sim.exact import Floats
from qdiff.sim.flow import SmallGate
from qdiff.sim.hybrid.angles import Numbers
from qdiff.sim.rounding import exponential_error, expression_error, fixed_error, generator_norm

# Of longdouble and of clongdouble: what works on doubles takes them as well.
LongFloats = NDArray[Any]
LongMatrix = NDArray[Any]

DOUBLE_UNIT = 2.0**-53
RATIO = max(float(np.finfo(np.longdouble).eps / np.finfo(float).eps), 2.0**-11)
UNIT = DOUBLE_UNIT * RATIO
PI = np.longdouble("3.14159265358979323846264338327950288")
LEVELS = np.sqrt(np.array([0, 1, 2, 4], dtype=np.longdouble)) / 2  # 0, 1/2, √½, 1
CHANGE = 2.0  # ‖𝓔 - 𝓔'‖ of any two channels is at most this
INTEGERS = 1 << 53  # up to here doubles are exact

_CALLS = {name: getattr(np, name) for name in ("sin", "cos", "tan", "exp", "log", "sqrt", "abs")} | {
    "asin": np.arcsin,
    "acos": np.arccos,
    "atan": np.arctan,
}


@dataclass(frozen=True)
class Approximate:
    """A number, and how far it may be from what it stands for."""

    value: np.longdouble
    error: float


class ExtendedNumbers:
    """The numbers of one solution at one set of parameters.

    Attributes:
        probabilities: of every toss, (T,). probability_errors: (T,).
        gates: for every gate instance its matrix, and a bound of the channel that it is off by.
        slopes: values of the derivatives of `Angles.pairs`, (pairs, R). slope_errors: (pairs, R), inf
            where nothing is known.
    """

    def __init__(self, numbers: Numbers) -> None:
        self.numbers = numbers
        self.graph = numbers.graph
        source, parameters = numbers.source, numbers.rows[0]
        self.parameters = parameters
        self.counters = dict(zip(source.counters, self.graph.rows.astype(np.longdouble), strict=True))
        values = self._values(source.flow.expressions)
        errors = self._errors(source.flow.expressions, values)
        e, rows = numbers.gate_places
        self.angles, self.angle_errors = values[e, rows], errors[e, rows]
        e, rows = numbers.toss_places
        self.probabilities = np.clip(np.nan_to_num(values[e, rows]), 0, 1)
        clipped = np.abs(values[e, rows] - self.probabilities).astype(float)
        self.probability_errors = errors[e, rows] + np.minimum(np.nan_to_num(clipped), PROBABILITY_SLACK)
        self.slopes = self._values(source.derivatives)
        self.slope_errors = self._errors(source.derivatives, self.slopes)
        self._constants = _constant_angles(source.flow.program)
        self.gates = [self._gate(i) for i in range(len(self.graph.runs.gates))]

    def chain_rule(self, by_angle: LongFloats, by_toss: LongFloats) -> tuple[LongFloats, Floats]:
        """Return ∂f/∂wrt from derivatives by angles (G,) and probabilities (T,), and its error, (d,) each.

        The error is what the slopes of angles and their products and sums are off by.
        """
        numbers, source = self.numbers, self.numbers.source
        total = np.zeros((len(source.flow.expressions), self.graph.rows.shape[1]), dtype=np.longdouble)
        sizes = np.zeros(total.shape)
        for found, where in ((by_angle, numbers.gate_places), (by_toss, numbers.toss_places)):
            np.add.at(total, where, found)
            np.add.at(sizes, where, np.abs(found).astype(float))
        values, errors = np.zeros(len(source.wrt), dtype=np.longdouble), np.zeros(len(source.wrt))
        terms = total.size + len(by_angle) + len(by_toss)
        for pair, (e, p) in enumerate(source.pairs):
            values[p] += (self.slopes[pair] * total[e]).sum()
            off = self.slope_errors[pair] + terms * UNIT * np.abs(self.slopes[pair]).astype(float)
            met = sizes[e] > 0
            errors[p] += float(off[met] @ sizes[e][met])
        return values, errors

    def _gate(self, instance: int) -> tuple[LongMatrix, float]:
        """Return the matrix of a gate instance, and a bound of the norm of the channel that it is off by."""
        runs = self.graph.runs
        gate = runs.gates[instance]
        if gate.record.fixed is not None:
            matrix, off = _fixed(gate.record.fixed)
            # A declared one stands for the unitary next to its entries, whatever they look like.
            return matrix, off if is_gate(gate.record.name) else 2 * fixed_error(gate.record)
        if instance in runs.position:
            k = runs.position[instance]
            angle = Approximate(self.angles[k], float(self.angle_errors[k]))
        else:
            assert gate.angle is not None, "a gate without a fixed matrix has an angle"
            angle = self._constants.get(
                gate.angle, Approximate(np.longdouble(gate.angle), 8 * DOUBLE_UNIT * abs(gate.angle))
            )
        turned = generator_norm(gate) * angle.error
        if not is_gate(gate.record.name):
            found = float(angle.value)
            turned += generator_norm(gate) * float(abs(angle.value - found))
            turned += 2 * exponential_error(gate.record, found)
            return gate.record.matrix(found).astype(np.clongdouble), min(CHANGE, turned)
        return _rotation(gate, angle.value), min(CHANGE, turned if turned == turned else CHANGE)

    def _values(self, expressions: Sequence[Expr]) -> LongFloats:
        """All expressions at all rows, (expressions, R); 0 where there is no value."""
        result = np.zeros((len(expressions), self.graph.rows.shape[1]), dtype=np.longdouble)
        with np.errstate(all="ignore"):
            for i, expression in enumerate(expressions):
                found = expression.fold(lambda node, x: _operation(node, x, self.parameters, self.counters))
                result[i] = np.where(np.isfinite(found), found, 0)
        return result

    def _errors(self, expressions: Sequence[Expr], values: LongFloats) -> Floats:
        result = np.zeros(values.shape)
        for i, expression in enumerate(expressions):
            if isinstance(expression, ex.Number | ex.Parameter) and _is_double(expression):
                continue
            names = expression.counters()
            known: dict[tuple[int, ...], float] = {}
            for row in range(values.shape[1]):
                store = {name: int(self.counters[name][row]) for name in names}
                key = tuple(store.values())
                if key not in known:
                    known[key] = _ratio(expression) * expression_error(expression, self.parameters, store)
                result[i, row] = known[key]
        return result


def _ratio(expression: Expr) -> float:
    """How much smaller errors are here than in doubles, in which hazards are computed."""
    return 1.0 if any(isinstance(node, ex.LogPowerHazard) for node in expression.walk()) else RATIO


def _is_double(expression: Expr) -> bool:
    return not isinstance(expression, ex.Number) or float(expression.value) == expression.value


def _operation(
    node: Expr, x: list[Any], parameters: Mapping[str, float], counters: Mapping[str, LongFloats]
) -> Any:
    """One operation, at all rows of counters."""
    match node:
        case ex.Number(value=value):
            return _whole(value) if isinstance(value, int) else np.longdouble(value)
        case ex.Pi():
            return PI
        case ex.Parameter(name=name):
            return np.longdouble(parameters[name])
        case ex.Counter(name=name):
            return counters[name]
        case ex.ParameterElement(array=array, size=size):
            elements = np.array([parameters[f"{array}[{i}]"] for i in range(size)], dtype=np.longdouble)
            place = np.asarray(x[0])
            inside = (place >= 0) & (place < size)
            return np.where(inside, elements[np.where(inside, place, 0).astype(np.int64)], np.nan)
        case ex.Sum():
            return sum(x[1:], x[0])
        case ex.Product():
            return math.prod(x[1:], start=x[0])
        case ex.Negate():
            return -x[0]
        case ex.Reciprocal():
            return 1 / x[0]
        case ex.Power():
            return np.power(x[0], x[1])
        case ex.Call(function=function):
            return _CALLS[function](x[0])
        case ex.LogPowerHazard():
            return hazard(np.asarray(x[0], dtype=float), float(x[1])).astype(np.longdouble)
        case ex.IntegerQuotient():
            return np.floor_divide(x[0], x[1])
        case ex.Modulo():
            return np.mod(x[0], x[1])
        case ex.Indicator(value=value):
            return (x[0] == value).astype(np.longdouble)
        case _:
            raise AssertionError(f"unknown expression {type(node).__name__}")


def _whole(value: int) -> np.longdouble:
    """An integer, which need not be a double."""
    if abs(value) <= INTEGERS:
        return np.longdouble(value)
    return np.longdouble(str(value))


def _constant_angles(program: qt.Program) -> dict[float, Approximate]:
    """What the angles without parameters and counters stand for, by their values as doubles."""
    found: dict[float, Approximate] = {}
    for statement in statements(program.body):
        for angle in statement.angles if isinstance(statement, qt.Gate) else ():
            if angle.parameters() or angle.counters():
                continue
            try:
                key = float(angle.evaluate())
            except (EvaluationError, OverflowError):
                continue  # an error where it is reached
            with np.errstate(all="ignore"):
                value = np.longdouble(angle.fold(lambda node, x: _operation(node, x, {}, {})))
            error = _ratio(angle) * expression_error(angle, {}, {})
            if key in found:  # two of them are the same double: one stands for both
                other = found[key]
                value, error = other.value, max(other.error, error + float(abs(value - other.value)) * 1.01)
            found[key] = Approximate(value, error)
    return found


def _fixed(matrix: NDArray[np.complex128]) -> tuple[LongMatrix, float]:
    """A matrix without angles: parts of entries that are 0, ±1/2, ±√½ or ±1 up to rounding are just that."""
    result = matrix.astype(np.clongdouble)
    known = True
    for part, rounded in ((result.real, matrix.real), (result.imag, matrix.imag)):
        off = np.abs(np.abs(rounded)[..., None] - LEVELS.astype(float))
        nearest = off.argmin(axis=-1)
        known = known and bool(off.min(axis=-1).max() <= 4 * DOUBLE_UNIT)
        part[...] = np.copysign(LEVELS[nearest], part)
    if known:
        return result, 0.0
    return matrix.astype(np.clongdouble), 8 * len(matrix) * DOUBLE_UNIT


def _rotation(gate: SmallGate, angle: np.longdouble) -> LongMatrix:
    """exp(-i a G/2) where G² = 1 or G is diagonal: all generators but those that a program declares."""
    generator = gate.record.generator
    assert generator is not None
    half = angle / 2
    one = np.eye(len(generator), dtype=np.clongdouble)
    if gate.record.pauli:
        return np.asarray(np.cos(half) * one - 1j * np.sin(half) * generator)
    diagonal = generator.diagonal()
    if np.array_equal(np.diag(diagonal), generator):
        turns = half * diagonal.real
        return np.asarray(np.diag(np.cos(turns) - 1j * np.sin(turns)))
    raise AssertionError(f"what is exp(-i a G/2) of {gate.record.name}?")

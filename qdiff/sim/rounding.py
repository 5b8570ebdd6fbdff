"""What rounding can do: first-order bounds with the constants stated, u = 2⁻⁵³.

Expressions: running error analysis. Every operation is correct to u, functions of the library to 8u
(four units in the last place), all of them, sums excepted, to 2⁻¹⁰⁷⁴ where they underflow; errors of
operands pass with the largest slope on their interval.
Source: Higham, "Accuracy and Stability of Numerical Algorithms", 3.3.

Gates: a state moves by at most `gate_error` of its norm. The loops of `kernels` add 8u on one target
and 23u on two; entries of a matrix, cos and sin, are off by 8u each and move it by 16u; an angle that
is off by e moves it by ‖G‖e/2. Entries 0, ±1, ±i are exact, and so is what they do.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from qdiff.lang import expr as ex
from qdiff.lang.evaluate import ValueFailure, evaluate
from qdiff.lang.expr import Expr
from qdiff.lang.gates import GateRecord, is_gate
from qdiff.sim.flow import SmallGate

UNIT = 2.0**-53
LEAST = 2.0**-1074  # what an underflow may lose: the least positive number
FUNCTION = 8 * UNIT
HAZARD_ERROR = 1e-13  # relative, of `logpower.hazard`
PI_ERROR = 1.3e-16  # |π - float(π)| = 1.2246…e-16
ONE_TARGET, TWO_TARGETS = 24 * UNIT, 40 * UNIT
GENERIC = 256 * UNIT  # a rotation whose generator is no Pauli string: eigenvectors found numerically
PER_ENTRY = 16 * UNIT  # the same on more targets, for every entry of the matrix; the sum of Pauli words too


def gate_error(gate: SmallGate, angle: float, angle_error: float) -> float:
    """Bound how far applying a gate in floating point moves a state of norm 1 from the exact result.

    Args:
        angle: radians, 0 for a fixed gate; angle_error: how far it may be off.
    """
    record = gate.record
    if record.fixed is not None:
        if np.isin(record.fixed, (0, 1, -1, 1j, -1j)).all():
            return 0.0
        return applying_error(record.targets) + fixed_error(record)
    loops = applying_error(record.targets)
    if not record.pauli and not (_is_diagonal(gate) and is_gate(record.name)):
        loops += exponential_error(record, angle)
    return loops + 0.5 * generator_norm(gate) * angle_error


def applying_error(targets: int) -> float:
    """What multiplying by a matrix on so many targets, itself rounded, does to a state of norm 1."""
    if targets <= 2:
        return ONE_TARGET if targets == 1 else TWO_TARGETS
    # A row has s = 2ⁿ complex products, ‖|U|‖ ≤ √s; entries off by 8u each move the state by 8u s.
    size = 2.0**targets
    return (2 * (size + 2) * math.sqrt(size) + 8 * size) * UNIT


def fixed_error(record: GateRecord) -> float:
    """‖Ũ - U‖ of a constant matrix: a declared one stands for the unitary next to its entries."""
    return 0.0 if is_gate(record.name) else 16 * 2.0 ** (1.5 * record.targets) * UNIT


def exponential_error(record: GateRecord, angle: float) -> float:
    """‖Ũ - U‖ of an exponential whose eigenvectors are found numerically, at an angle that is exact."""
    strength = abs(angle) * float(np.max(np.abs(record.spectrum)))
    if record.drift is not None:
        strength += float(np.linalg.norm(record.drift, 2))
    return max(GENERIC, PER_ENTRY * 4.0**record.targets) * (1 + strength)


def generator_error(record: GateRecord, angle: float, angle_error: float) -> float:
    """‖K̃ - K‖ of the generator at an angle; it is exact where there is no drift."""
    if record.drift is None:
        return 0.0
    norm = float(np.max(np.abs(record.spectrum)))
    return 4 * norm * exponential_error(record, angle) + norm**2 * angle_error


def generator_norm(gate: SmallGate) -> float:
    """‖G‖ of a gate exp(-i a G/2), 0 for a fixed one."""
    return float(np.max(np.abs(gate.spectrum), initial=0.0))


def _is_diagonal(gate: SmallGate) -> bool:
    generator = gate.record.generator
    return generator is not None and not np.any(generator - np.diag(np.diag(generator)))


def expression_error(expr: Expr, parameters: Mapping[str, float], counters: Mapping[str, int]) -> float:
    """Bound |computed - exact| of an expression at parameters that are exact; inf where none is proved."""
    try:
        with np.errstate(all="ignore"):
            _, error = expr.fold(lambda node, operands: _node(node, operands, parameters, counters))
    except (ValueFailure, OverflowError, ZeroDivisionError, ValueError):
        return math.inf
    return error if error >= 0 else math.inf  # nan: no proof


_Known = tuple[float, float]  # value, error


def _node(
    node: Expr, x: list[_Known], parameters: Mapping[str, float], counters: Mapping[str, int]
) -> _Known:
    match node:
        case ex.Number(value=value):
            return float(value), 0.0 if float(value) == value else UNIT * abs(float(value))
        case ex.Pi():
            return math.pi, PI_ERROR
        case ex.Parameter() | ex.Counter() | ex.ParameterElement() | ex.Indicator():
            return float(evaluate(node, parameters, counters)), 0.0
        case ex.IntegerQuotient() | ex.Modulo():
            return float(evaluate(node, parameters, counters)), 0.0
        case ex.Sum():
            size = sum(abs(v) + e for v, e in x)
            return sum(v for v, _ in x), sum(e for _, e in x) + (len(x) - 1) * UNIT * size
        case ex.Product():
            exact = math.prod(abs(v) for v, _ in x)
            most = math.prod(abs(v) + e for v, e in x)
            # What underflows may be multiplied by the factors that follow.
            lost = LEAST * len(x) * math.prod(max(1.0, abs(v) + e) for v, e in x)
            rounded = 2 * (len(x) + 1) * UNIT * most + (lost if all(v or e for v, e in x) else 0.0)
            return math.prod(v for v, _ in x), (most - exact) + rounded
        case ex.Negate():
            return -x[0][0], x[0][1]
        case ex.Reciprocal():
            v, e = x[0]
            slope = 1 / max(abs(v) - e, 0.0) ** 2 if e < abs(v) else math.inf
            return 1 / v, _slope(e, slope) + UNIT / abs(v) + LEAST
        case ex.Power():
            return _power(*x[0], *x[1])
        case ex.Call(function=function):
            return _call(function, *x[0])
        case ex.LogPowerHazard():
            value = float(evaluate(node, parameters, counters))
            # The index is an integer or it was refused; δ is a double.
            return value, HAZARD_ERROR * value if x[0][1] < 0.5 else math.inf
        case _:
            raise AssertionError(f"unknown expression {type(node).__name__}")


def _slope(error: float, slope: float) -> float:
    return error * slope if error else 0.0


def _power(v: float, e: float, p: float, q: float) -> _Known:
    value = math.pow(v, p)
    if not e and not q:
        return value, FUNCTION * abs(value) + (LEAST if v else 0.0)
    if p >= 1 and p == int(p) and not q:
        most = math.pow(abs(v) + e, p)
        return value, _slope(e, p * math.pow(abs(v) + e, p - 1)) + FUNCTION * most + LEAST
    low, high = v - e, v + e
    if low <= 0:
        return value, math.inf
    ends = [math.pow(a, b) for a in (low, high) for b in (p - q, p + q)]
    by_base = max(abs(p) + q, 0.0) * max(ends) / low
    by_exponent = max(ends) * max(abs(math.log(low)), abs(math.log(high)))
    return value, _slope(e, by_base) + _slope(q, by_exponent) + FUNCTION * max(ends) + LEAST


def _call(function: str, v: float, e: float) -> _Known:
    value = abs(v) if function == "abs" else float(getattr(math, function)(v))
    match function:
        case "sin" | "cos" | "atan" | "abs":
            slope = 1.0
        case "tan":
            near = abs(math.cos(v)) - e
            slope = 1 / near**2 if near > 0 else math.inf
        case "exp":
            slope = math.exp(v + e)
        case "log":
            slope = 1 / (v - e) if v > e else math.inf
        case "sqrt":
            slope = 0.5 / math.sqrt(v - e) if v > e else math.inf
        case _:  # asin, acos
            inside = 1 - (abs(v) + e) ** 2
            slope = 1 / math.sqrt(inside) if inside > 0 else math.inf
    rounded = 0.0 if function == "abs" or not (v or e or value) else FUNCTION * abs(value) + LEAST
    return value, _slope(e, slope) + rounded

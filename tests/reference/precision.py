"""The numbers that the reference computes with: doubles, or extended precision where it serves as truth.

In extended precision (64-bit mantissa, 1.1e-19 relative) nothing may pass through a double on its way:
expressions, the matrices of gates and 1/√2 are computed here again. A number written in a program, a
parameter and a coefficient are the doubles that they are; π is the real number. Conditions compare,
and counters count, as the language does, in whatever precision the states are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from reference.exponentials import matrix_of

from qdiff.errors import EvaluationError
from qdiff.lang import expr as ex
from qdiff.lang.expr import Expr
from qdiff.lang.gates import GateRecord, is_gate, record

Number = Any  # int, float or np.longdouble

PI = np.longdouble("3.14159265358979323846264338327950288")
ROOT = 1 / np.sqrt(np.longdouble(2))
FUNCTIONS = {name: getattr(np, name) for name in ("sin", "cos", "tan", "exp", "log", "sqrt", "abs")} | {
    "asin": np.arcsin,
    "acos": np.arccos,
    "atan": np.arctan,
}


@dataclass(frozen=True)
class Arithmetic:
    """One kind of numbers.

    Attributes:
        real, complex: types of numbers and of matrices.
        negligible: a store that holds less is dropped, so that none is reached by rounding errors.
        left_inside: a loop is left when less than this is still inside.
    """

    real: type
    complex: type
    negligible: float
    left_inside: float

    def evaluate(
        self, expression: Expr, parameters: Mapping[str, float], counters: Mapping[str, int]
    ) -> Number:
        """The value of an angle, a probability, or a derivative of one."""
        if self.real is float:
            return expression.evaluate(parameters, counters)
        with np.errstate(all="ignore"):
            value = expression.fold(lambda node, x: _operation(node, x, parameters, counters))
        if not np.isfinite(np.longdouble(value)):
            expression.evaluate(parameters, counters)  # says what is wrong, and where
            raise EvaluationError(f"`{expression}` is not a finite number")
        return value

    def matrix(self, gate: str | GateRecord, angles: tuple[Number, ...]) -> NDArray[Any]:
        """The matrix of a gate that is fixed or has one angle, without controls."""
        if isinstance(gate, GateRecord) and not is_gate(gate.name):
            return matrix_of(gate, angles, self.complex)
        gate = gate.name if isinstance(gate, GateRecord) else gate
        if self.real is float:
            return record(gate).matrix(*angles)
        return _rotation(gate, *angles) if angles else fixed(gate)


DOUBLE = Arithmetic(float, np.complex128, negligible=1e-18, left_inside=1e-15)
EXTENDED = Arithmetic(np.longdouble, np.clongdouble, negligible=1e-26, left_inside=1e-23)


def is_extended() -> bool:
    """Whether this platform has a type of extended precision."""
    return bool(np.finfo(np.longdouble).eps < 2e-19)


def fixed(gate: str) -> NDArray[Any]:
    """A matrix without angles; those that are not given here are exact in doubles."""
    if gate == "H":
        return ROOT * np.array([[1, 1], [1, -1]], dtype=np.clongdouble)
    if gate in ("T", "Tdg"):
        phase = ROOT * np.clongdouble(1 + 1j if gate == "T" else 1 - 1j)
        return np.array([[1, 0], [0, phase]])
    matrix = record(gate).matrix()
    if not np.array_equal(2 * matrix, np.round(2 * matrix)):
        raise AssertionError(f"the matrix of {gate} has to be given in extended precision")
    return matrix.astype(np.clongdouble)


def _rotation(gate: str, angle: Number) -> NDArray[Any]:
    """exp(-i a G/2) where G² = 1 or G is diagonal: all generators of the language."""
    generator, half = record(gate).generator, np.longdouble(angle) / 2
    assert generator is not None
    one = np.eye(len(generator), dtype=np.clongdouble)
    if np.array_equal(generator @ generator, one):
        return np.asarray(np.cos(half) * one - 1j * np.sin(half) * generator)
    turns = half * generator.diagonal().real
    assert np.array_equal(np.diag(generator.diagonal()), generator), f"what is exp(-i a G/2) of {gate}?"
    return np.asarray(np.diag(np.cos(turns) - 1j * np.sin(turns)))


def _operation(
    node: Expr, x: list[Number], parameters: Mapping[str, float], counters: Mapping[str, int]
) -> Number:
    """One operation; integers stay Python's as long as they can, so that they are exact."""
    match node:
        case ex.Pi():
            return PI
        case ex.Sum():
            return sum(x[1:], x[0])
        case ex.Product():
            return math.prod(x[1:], start=x[0])
        case ex.Negate():
            return -x[0]
        case ex.Reciprocal():
            return 1 / np.longdouble(x[0])
        case ex.Power() if all(isinstance(operand, int) for operand in x) and x[1] >= 0:
            return x[0] ** x[1]
        case ex.Power():
            return np.power(np.longdouble(x[0]), np.longdouble(x[1]))
        case ex.Call(function=function):
            return FUNCTIONS[function](np.longdouble(x[0]))
        case _:  # a leaf, or an operation on integers: exact in the language
            value = node.evaluate(parameters, counters)
    return value if isinstance(value, int) else np.longdouble(value)

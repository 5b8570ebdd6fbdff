"""Expressions as tables that compiled code evaluates: angles, probabilities, comparisons, assignments.

An expression is a stretch of rows (operation, left, right, integer constant, float constant), operands
before what reads them; `left` and `right` count from the beginning of the stretch and its last row is the
value. Rows know whether they are integers: integer arithmetic is exact in 64 bits, and where it leaves them
the machine asks `Expr.evaluate`, as it does wherever a value does not exist; a row "ask" always makes it ask.
So its answers and errors are the language's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qdiff.lang import expr as ex
from qdiff.lang.expr import Expr
from qdiff.lang.logpower import hazard
from qdiff.sim.machine.code import BOUND, COMPUTED

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

INTEGERS = (
    "integer",
    "counter",
    "add integers",
    "multiply integers",
    "negate integer",
    "abs integer",
    "div",
    "mod",
    "power of integers",
    "ask",
    "indicator",
)
REALS = (
    "float",
    "parameter",
    "element",
    "to float",
    "add",
    "multiply",
    "divide",
    "divide integers",
    "negate",
    "power",
    "hazard",
    *ex.FUNCTIONS,
)
OPERATIONS = (*INTEGERS, *REALS)
CODE = {name: i for i, name in enumerate(OPERATIONS)}
LARGEST = 2**63 - 1
HAZARDS = 8192  # hazards that are kept of a law; of later occurrences the machine asks
LARGEST_POWER = 64  # c^65 leaves 64 bits unless c is -1, 0 or 1


@dataclass(frozen=True)
class Bytecode:
    """E compiled expressions.

    Attributes:
        starts: (E + 1,) where each begins.
        rows: (R, 4) operation, left, right, integer constant; floats: (R,) float constants.
        modes: (E,) the counter that it is, or whether it is `BOUND` or `COMPUTED`.
        whole: (E,) whether its value is an integer.
        hazards: hazards h(0), h(1), … of every log-power law that occurs, one table behind the other.
    """

    starts: Ints
    rows: Ints
    floats: Floats
    modes: Ints
    whole: NDArray[np.bool_]
    hazards: Floats

    @property
    def longest(self) -> int:
        """The most rows of one expression."""
        return int(np.diff(self.starts).max(initial=1))


def compile_expressions(
    expressions: Sequence[Expr], parameters: Sequence[str], counters: Sequence[str]
) -> Bytecode:
    """Compile expressions over parameters and counters, given by name in the order of the inputs."""
    rows: list[tuple[int, int, int, int]] = []
    floats: list[float] = []
    starts, modes, whole = [0], [], []
    laws: dict[float, int] = {}
    parameter = {name: i for i, name in enumerate(parameters)}
    counter = {name: i for i, name in enumerate(counters)}
    for expression in expressions:
        writer = _Writer(parameter, counter, laws)
        last, is_whole = writer.plain(expression.fold(writer.node))
        if last != len(writer.rows) - 1:  # a shared node is the value: repeat it as the last row
            writer.emit("add integers" if is_whole else "add", last, writer.constant(0, is_whole))
        rows += writer.rows
        floats += writer.floats
        starts.append(len(rows))
        if isinstance(expression, ex.Counter):
            modes.append(counter[expression.name])
        else:
            modes.append(COMPUTED if expression.counters() else BOUND)
        whole.append(is_whole)
    return Bytecode(
        np.array(starts, dtype=np.int64),
        np.array(rows, dtype=np.int64).reshape(len(rows), 4),
        np.array(floats),
        np.array(modes, dtype=np.int64),
        np.array(whole, dtype=np.bool_),
        np.concatenate([np.zeros(0), *(hazard(np.arange(HAZARDS, dtype=float), law) for law in laws)]),
    )


_Slot = tuple[int, bool]  # row, whether it is an integer
_Factor = tuple[int, bool, bool]  # …, whether it divides


class _Writer:
    """Writes the rows of one expression."""

    def __init__(self, parameters: dict[str, int], counters: dict[str, int], laws: dict[float, int]) -> None:
        self.parameters = parameters
        self.counters = counters
        self.laws = laws
        self.rows: list[tuple[int, int, int, int]] = []
        self.floats: list[float] = []

    def emit(self, name: str, left: int = 0, right: int = 0, integer: int = 0, real: float = 0.0) -> int:
        self.rows.append((CODE[name], left, right, integer))
        self.floats.append(real)
        return len(self.rows) - 1

    def constant(self, value: int | float, whole: bool) -> int:
        return self.emit("integer", integer=int(value)) if whole else self.emit("float", real=float(value))

    def real(self, slot: _Slot) -> int:
        return self.emit("to float", slot[0]) if slot[1] else slot[0]

    def integer(self, slot: _Slot) -> int:
        """The row of an operand that must be an integer; what is a float may still be one, or be an error."""
        return slot[0] if slot[1] else self.emit("ask")

    def plain(self, factor: _Factor) -> _Slot:
        """A reciprocal on its own is 1 over its operand."""
        row, whole, divides = factor
        return (
            (self.quotient((self.constant(1, True), True), (row, whole)), False) if divides else (row, whole)
        )

    def quotient(self, left: _Slot, right: _Slot) -> int:
        """A quotient of integers is rounded once, also where they are no floats."""
        if left[1] and right[1]:
            return self.emit("divide integers", left[0], right[0])
        return self.emit("divide", self.real(left), self.real(right))

    def sum(self, terms: list[_Slot]) -> _Slot:
        """Add from the left, as `Expr.evaluate` does; integers stay exact until a float comes."""
        (result, whole), *others = terms
        for row, other in others:
            if whole and other:
                result = self.emit("add integers", result, row)
            else:
                result = self.emit("add", self.real((result, whole)), self.real((row, other)))
                whole = False
        return result, whole

    def product(self, factors: list[_Factor]) -> _Slot:
        """Factors from the left; a reciprocal divides."""
        if factors and not factors[0][2]:
            (result, whole, _), *factors = factors
        else:
            result, whole = self.constant(1, True), True
        for row, other, divides in factors:
            if divides:
                result, whole = self.quotient((result, whole), (row, other)), False
            elif whole and other:
                result = self.emit("multiply integers", result, row)
            else:
                result = self.emit("multiply", self.real((result, whole)), self.real((row, other)))
                whole = False
        return result, whole

    def node(self, node: Expr, operands: list[_Factor]) -> _Factor:
        """Write a node whose operands are written."""
        if isinstance(node, ex.Product):
            return (*self.product(operands), False)
        x = [self.plain(operand) for operand in operands]
        if isinstance(node, ex.Reciprocal):
            return (*x[0], True)
        return (*self.operation(node, x), False)

    def operation(self, node: Expr, x: list[_Slot]) -> _Slot:
        match node:
            case ex.Number(value=int() as value):
                return (self.constant(value, True) if value <= LARGEST else self.emit("ask")), True
            case ex.Number(value=value):
                return self.constant(value, False), False
            case ex.Pi():
                return self.constant(np.pi, False), False
            case ex.Parameter(name=name):
                return self.emit("parameter", self.parameters[name]), False
            case ex.Counter(name=name):
                return self.emit("counter", self.counters[name]), True
            case ex.ParameterElement(array=array, size=size):
                # Elements of an array are neighbours in the order of declaration.
                return self.emit(
                    "element", self.integer(x[0]), self.parameters[f"{array}[0]"], integer=size
                ), False
            case ex.Sum():
                return self.sum(x)
            case ex.Negate():
                return self.emit("negate integer" if x[0][1] else "negate", x[0][0]), x[0][1]
            case ex.Power(exponent=ex.Number(value=int() as times)) if x[0][1] and times <= LARGEST_POWER:
                return self.product([(*x[0], False)] * times)
            case ex.Power(exponent=exponent) if x[0][1] and x[1][1] and not isinstance(exponent, ex.Negate):
                return self.emit("power of integers", x[0][0], x[1][0]), True
            case ex.Power():
                return self.emit("power", self.real(x[0]), self.real(x[1])), False
            case ex.Call(function="abs") if x[0][1]:
                return self.emit("abs integer", x[0][0]), True
            case ex.Call(function=function):
                return self.emit(function, self.real(x[0])), False
            case ex.IntegerQuotient():
                return self.emit("div", self.integer(x[0]), self.integer(x[1])), True
            case ex.Modulo():
                return self.emit("mod", self.integer(x[0]), self.integer(x[1])), True
            case ex.LogPowerHazard(delta=delta):
                law = self.laws.setdefault(float(delta.evaluate()), len(self.laws))
                return self.emit("hazard", self.integer(x[0]), law * HAZARDS, HAZARDS), False
            case ex.Indicator(value=value):
                return self.emit("indicator", self.integer(x[0]), integer=value), True
            case _:
                raise AssertionError(f"unknown expression {type(node).__name__}")

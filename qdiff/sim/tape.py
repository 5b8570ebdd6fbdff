"""All angles and probabilities of a program at once, and their derivatives.

Expressions are compiled to a *tape*: every distinct node has a slot, and nodes of one kind whose
operands are ready form a group that is computed by one vectorised NumPy operation. The work in
Python is per group, not per gate or parameter. Derivatives come from `Expr.diff` and share the tape.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qdiff.lang import expr as ex
from qdiff.lang.expr import Expr
from qdiff.lang.logpower import hazard
from qdiff.sim.exact import Floats

Ints = NDArray[np.int64]

_UNARY: dict[str, Callable[[Floats], Floats]] = {
    "negate": np.negative,
    "reciprocal": np.reciprocal,
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "asin": np.arcsin,
    "acos": np.arccos,
    "atan": np.arctan,
    "exp": np.exp,
    "log": np.log,
    "sqrt": np.sqrt,
    "abs": np.abs,
}
_BINARY: dict[str, Callable[[Floats, Floats], Floats]] = {
    "add": np.add,
    "multiply": np.multiply,
    "power": np.power,
    "div": np.floor_divide,
    "mod": np.mod,
}


@dataclass(frozen=True)
class _Group:
    """Nodes of one kind: `slots` receive `kind` of the slots `left` and `right`."""

    kind: str
    slots: Ints
    left: Ints
    right: Ints
    constants: Floats


@dataclass(frozen=True)
class Tape:
    """Compiled expressions; `outputs[i]` is the slot of the i-th of them."""

    size: int
    groups: tuple[_Group, ...]
    outputs: Ints

    def run(self, parameters: Floats, counters: Floats) -> Floats:
        """Return the values for parameters (N,) and counters (C, R): (expressions, R).

        Parameters (N, P) give P sets of values at once: (expressions, P, R). A value that does not
        exist is nan or inf; `Expr.evaluate` says why.
        """
        if parameters.ndim == 1:
            return np.asarray(self.run(parameters[:, None], counters)[:, 0])
        values = np.empty((self.size, parameters.shape[1], counters.shape[1]))
        with np.errstate(all="ignore"):
            for group in self.groups:
                values[group.slots] = _compute(group, values, parameters, counters)
        return values[self.outputs]


def _compute(group: _Group, values: Floats, parameters: Floats, counters: Floats) -> Any:
    match group.kind:
        case "constant":
            return group.constants[:, None, None]
        case "parameter":
            return parameters[group.left][:, :, None]
        case "counter":
            return counters[group.left][:, None, :]
        case "element":  # left: the index, right: where the array starts, constants: its size
            index = values[group.left]
            inside = (index >= 0) & (index < group.constants[:, None, None])
            place = group.right[:, None, None] + np.where(inside, index, 0).astype(np.int64)
            return np.where(inside, parameters[place, np.arange(parameters.shape[1])[:, None]], np.nan)
        case "indicator":
            return values[group.left] == group.constants[:, None, None]
        case "hazard":
            values_of = zip(values[group.left], group.constants, strict=True)
            return np.stack([hazard(index, delta) for index, delta in values_of])
        case kind if kind in _UNARY:
            return _UNARY[kind](values[group.left])
        case kind:
            return _BINARY[kind](values[group.left], values[group.right])


_Node = tuple[str, int, int, float]


def compile_tape(expressions: Sequence[Expr], parameters: Sequence[str], counters: Sequence[str]) -> Tape:
    """Compile expressions over parameters and counters, given by name in the order of the inputs."""
    builder = _Builder({n: i for i, n in enumerate(parameters)}, {n: i for i, n in enumerate(counters)})
    outputs = [expression.fold(builder.node) for expression in expressions]
    groups: dict[tuple[int, str], list[int]] = {}
    for slot, (node, level) in enumerate(zip(builder.nodes, builder.levels, strict=True)):
        groups.setdefault((level, node[0]), []).append(slot)
    nodes = builder.nodes
    return Tape(
        len(nodes),
        tuple(
            _Group(
                kind,
                np.array(slots, dtype=np.int64),
                np.array([nodes[s][1] for s in slots], dtype=np.int64),
                np.array([nodes[s][2] for s in slots], dtype=np.int64),
                np.array([nodes[s][3] for s in slots]),
            )
            for (_, kind), slots in sorted(groups.items())
        ),
        np.array(outputs, dtype=np.int64),
    )


class _Builder:
    """Gives every distinct node a slot, and a level above those of its operands."""

    def __init__(self, parameters: dict[str, int], counters: dict[str, int]) -> None:
        self.parameters = parameters
        self.counters = counters
        self.nodes: list[_Node] = []
        self.levels: list[int] = []
        self.slots: dict[_Node, int] = {}

    def emit(
        self, kind: str, operands: tuple[int, ...] = (), left: int = 0, right: int = 0, constant: float = 0.0
    ) -> int:
        if operands:
            left = operands[0]
        if len(operands) == 2:
            right = operands[1]
        node = (kind, left, right, constant)
        if node not in self.slots:
            self.slots[node] = len(self.nodes)
            self.nodes.append(node)
            self.levels.append(1 + max((self.levels[i] for i in operands), default=-1))
        return self.slots[node]

    def balanced(self, kind: str, operands: list[int]) -> int:
        """Combine many operands pairwise, so that a long sum has few levels."""
        while len(operands) > 1:
            pairs = [self.emit(kind, (operands[i], operands[i + 1])) for i in range(0, len(operands) - 1, 2)]
            operands = pairs + operands[len(operands) & ~1 :]
        return operands[0]

    def node(self, node: Expr, x: list[int]) -> int:
        match node:
            case ex.Number(value=value):
                return self.emit("constant", constant=_as_float(value))
            case ex.Pi():
                return self.emit("constant", constant=np.pi)
            case ex.Parameter(name=name):
                return self.emit("parameter", left=self.parameters[name])
            case ex.Counter(name=name):
                return self.emit("counter", left=self.counters[name])
            case ex.ParameterElement(array=array, size=size):
                # Elements of an array are neighbours in the order of declaration.
                return self.emit("element", (x[0],), right=self.parameters[f"{array}[0]"], constant=size)
            case ex.Sum():
                return self.balanced("add", x)
            case ex.Product():
                return self.balanced("multiply", x)
            case ex.Negate():
                return self.emit("negate", (x[0],))
            case ex.Reciprocal():
                return self.emit("reciprocal", (x[0],))
            case ex.Power():
                return self.emit("power", (x[0], x[1]))
            case ex.Call(function=function):
                return self.emit(function, (x[0],))
            case ex.IntegerQuotient():
                return self.emit("div", (x[0], x[1]))
            case ex.Modulo():
                return self.emit("mod", (x[0], x[1]))
            case ex.LogPowerHazard(delta=delta):
                return self.emit("hazard", (x[0],), constant=float(delta.evaluate()))
            case ex.Indicator(value=value):
                return self.emit("indicator", (x[0],), constant=value)
            case _:
                raise AssertionError(f"unknown expression {type(node).__name__}")


def _as_float(value: int | float) -> float:
    try:
        return float(value)
    except OverflowError:  # an integer beyond 1e308: no finite value, reported when it is used
        return float("inf")

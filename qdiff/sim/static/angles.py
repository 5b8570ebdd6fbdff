"""All angles of a line for many sets of parameters at once, and the chain rule back to parameters.

An angle is *plain* if at its row of counters it is

    a = b + A_i θ_i   or   A_i θ_i + A_j θ_j,

as w[3], 2*t + pi/2 and t*c are: rows of a sparse table, for compiled code. (A longer sum is rounded in
another order by the tape, which the bounds of errors follow.) Every other angle is found by a tape of its own
and is one more input of that table: inputs are the program's parameters, then these angles.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from qdiff.lang import expr as ex
from qdiff.lang.evaluate import ValueFailure
from qdiff.lang.expr import Expr
from qdiff.lang.parameter_table import ParameterTable
from qdiff.sim.exact import Floats
from qdiff.sim.expressions import Derivatives
from qdiff.sim.pure.numbers import Expressions, Numbers
from qdiff.sim.static.line import Line
from qdiff.sim.tape import compile_tape

Ints: TypeAlias = NDArray[np.int64]
Plain: TypeAlias = tuple[tuple[int, float], ...]
"""Addends of an angle in order: (index of a parameter, factor); the index CONSTANT for a number."""

CONSTANT = -1
MOST_ADDENDS = 2  # their order does not matter, so the sum is that of the tape


class Angles:
    """The angles of the N distinct instances of a line, in radians; 0 where there is none.

    Attributes:
        inputs: how many inputs the table has: the program's parameters, and M angles that are not plain.
        plain: addends of the angle of every instance, over the inputs.
        columns: (inputs,) the place in `wrt` of every parameter; M further places for the other angles; -1
            where no derivative is asked for.
        wanted: (N,) whether a derivative by the angle of an instance is asked for.
    """

    def __init__(self, line: Line, expressions: Expressions) -> None:
        self.line = line
        self.expressions = expressions
        flow = expressions.flow
        self.names = flow.program.parameters
        place = {name: i for i, name in enumerate(self.names)}
        instances = line.instances
        known: dict[tuple[int, int], Plain] = {}
        self.others: dict[tuple[int, int], int] = {}  # (expression, row) of an angle that is not plain
        plain: list[Plain] = []
        for (_, row), e in zip(instances.instances, instances.expressions.tolist(), strict=True):
            if e < 0:
                plain.append(())
                continue
            if (e, row) not in known:
                counters = dict(zip(expressions.names, line.rows.keys[row], strict=True))
                found = plain_form(flow.expressions[e], place, counters)
                if found is None:
                    found = ((len(self.names) + len(self.others), 1.0),)
                    self.others[e, row] = found[0][0]
                known[e, row] = found
            plain.append(known[e, row])
        self.plain = plain
        self.inputs = len(self.names) + len(self.others)
        self.columns = np.full(self.inputs, -1, dtype=np.int64)
        for column, name in enumerate(expressions.wrt):
            self.columns[place[name]] = column
        self._prepare_others()
        self.wanted = np.array([any(self.columns[j] >= 0 for j, _ in a if j >= 0) for a in plain], dtype=bool)

    def _prepare_others(self) -> None:
        """Compile the expressions of the other angles, and where each of their derivatives belongs."""
        expressions, wrt = self.expressions, self.expressions.wrt
        flow = expressions.flow
        used = list(dict.fromkeys(e for e, _ in self.others))
        rows = list(dict.fromkeys(row for _, row in self.others))
        derivatives = Derivatives.of([flow.expressions[e] for e in used], wrt)
        outputs = [*(flow.expressions[e] for e in used), *derivatives.first]
        self._tape = compile_tape(outputs, self.names, expressions.names)
        keys = [self.line.rows.keys[row] for row in rows]
        self._counters = np.array(keys, dtype=float).reshape(len(rows), len(expressions.names)).T
        output = {e: i for i, e in enumerate(used)}
        at = {row: i for i, row in enumerate(rows)}
        self._values = (
            np.array([output[e] for e, _ in self.others], dtype=np.int64),
            np.array([at[row] for _, row in self.others], dtype=np.int64),
        )
        slopes: list[tuple[int, int, int, int]] = []  # output, row, which of the others, column
        by_expression: dict[int, list[tuple[int, int]]] = {}
        for i, (found, column) in enumerate(derivatives.pairs, start=len(used)):
            by_expression.setdefault(found, []).append((i, column))
        for m, (e, row) in enumerate(self.others):
            slopes += [(i, at[row], m, column) for i, column in by_expression.get(output[e], ())]
        table = np.array(slopes, dtype=np.int64).reshape(len(slopes), 4).T
        self._slopes, self._of, self._to = (table[0], table[1]), table[2], table[3]
        for m in set(self._of.tolist()):
            self.columns[len(self.names) + m] = len(wrt) + m

    # --- For compiled code ----------------------------------------------------------------------------

    def inputs_at(self, parameters: Floats) -> tuple[Floats, Floats]:
        """Return the inputs, (P, inputs), and the S derivatives of other angles, (P, S), for `finish`.

        S counts the parameters of `wrt` that each of the other angles depends on.

        Raises:
            EvaluationError: one of the other angles has no value, or a derivative that is asked for.
        """
        if not self.others:
            return parameters, np.empty((len(parameters), 0))
        found = self._tape.run(np.ascontiguousarray(parameters.T), self._counters)
        values = found[self._values[0], :, self._values[1]].T
        slopes = found[self._slopes[0], :, self._slopes[1]].T
        if not (np.isfinite(values).all() and np.isfinite(slopes).all()):
            self.refuse(parameters)
        return np.ascontiguousarray(np.concatenate([parameters, values], axis=1)), slopes

    @property
    def width(self) -> int:
        """How many columns derivatives by inputs have: d for `wrt`, then M; d where all angles are plain."""
        return len(self.expressions.wrt) + len(self.others)

    def finish(self, by_input: Floats, slopes: Floats) -> Floats:
        """Return derivatives by `wrt`, (P, k, d), from those by inputs, (P, k, width)."""
        if not self.others:
            return by_input
        d = len(self.expressions.wrt)
        result = by_input[:, :, :d].copy()
        others = by_input[:, :, d:]
        np.add.at(result.T, self._to, (others[:, :, self._of] * slopes[:, None, :]).T)
        return result

    def refuse(self, parameters: Floats) -> None:
        """Raise for the first angle, or derivative, that does not exist.

        Raises:
            EvaluationError: as said.
        """
        self.line.refuse(Numbers(self.expressions, ParameterTable(self.names, parameters)))

    # --- For NumPy ------------------------------------------------------------------------------------

    def at(self, parameters: Floats) -> Floats:
        """Return the angles of all instances, (P, N), at parameters of the program, (P, number of them).

        Raises:
            EvaluationError: an angle has no value, or a derivative that is asked for.
        """
        from qdiff.sim.static.angle_kernels import combine

        inputs, _ = self.inputs_at(np.ascontiguousarray(parameters, dtype=np.float64))
        angles = np.empty((len(inputs), len(self.plain)))
        starts, columns, factors, constants = self.table
        if not combine(starts, columns, factors, constants, inputs, angles):
            self.refuse(parameters)
        return angles

    def pull_back(self, parameters: Floats, by_instance: Floats) -> Floats:
        """Return derivatives by `wrt`, (P, k, d), from those by the angles of the instances, (P, k, N)."""
        from qdiff.sim.static.angle_kernels import spread

        _, slopes = self.inputs_at(np.ascontiguousarray(parameters, dtype=np.float64))
        starts, columns, factors, _ = self.table
        by_input = np.zeros((*by_instance.shape[:2], self.width))
        spread(starts, self.columns[columns], factors, np.ascontiguousarray(by_instance), by_input)
        return self.finish(by_input, slopes)

    @cached_property
    def table(self) -> tuple[Ints, Ints, Floats, Floats]:
        """Row by row: where the entries of each begin, (N + 1,), their columns and factors; b (N,)."""
        return sparse(self.plain)


def sparse(plain: Sequence[Plain]) -> tuple[Ints, Ints, Floats, Floats]:
    """Return angles as rows of a sparse table: starts, columns, factors, constants."""
    entries = [[(j, factor) for j, factor in addends if j != CONSTANT] for addends in plain]
    flat = [entry for row in entries for entry in row]
    return (
        np.cumsum([0, *map(len, entries)], dtype=np.int64),
        np.array([j for j, _ in flat], dtype=np.int64),
        np.array([factor for _, factor in flat], dtype=np.float64),
        np.array([sum(f for j, f in addends if j == CONSTANT) for addends in plain], dtype=np.float64),
    )


def plain_form(expression: Expr, place: Mapping[str, int], counters: Mapping[str, int]) -> Plain | None:
    """Return an angle as at most `MOST_ADDENDS` addends at given counters; None where it is no such sum.

    Args:
        place: the index of every parameter by name.
    """
    try:
        found = expression.fold(lambda node, operands: _form(node, operands, place, counters))
        plain = ((CONSTANT, _number(found, counters)),) if isinstance(found, Expr) else found
    except ValueFailure:
        return None
    return plain if plain is not None and all(math.isfinite(f) for _, f in plain) else None


_Form: TypeAlias = Expr | Plain | None  # an expression without parameters, addends, or anything else


def _form(node: Expr, operands: list[_Form], place: Mapping[str, int], counters: Mapping[str, int]) -> _Form:
    match node:
        case ex.Parameter(name=name):
            return ((place[name], 1.0),)
        case ex.ParameterElement(array=array, size=size):
            (index,) = operands
            at = index.evaluate(counters=counters) if isinstance(index, Expr) else -1
            return ((place[f"{array}[{int(at)}]"], 1.0),) if 0 <= at < size else None
        case _ if all(isinstance(operand, Expr) for operand in operands):
            return node
        case ex.Negate():
            (inner,) = operands
            return tuple((j, -f) for j, f in inner) if isinstance(inner, tuple) else None
        case ex.Sum():
            addends = [_addend(operand, counters) for operand in operands]
            known = tuple(addend for addend in addends if addend is not None)
            return known if len(known) == len(operands) <= MOST_ADDENDS else None
        case ex.Product():
            varying = [operand for operand in operands if not isinstance(operand, Expr)]
            addend = _addend(varying[0], counters)
            if len(varying) > 1 or addend is None:
                return None
            numbers = [_number(operand, counters) for operand in operands if isinstance(operand, Expr)]
            return ((addend[0], math.prod(numbers) * addend[1]),)
        case _:
            return None


def _addend(form: _Form, counters: Mapping[str, int]) -> tuple[int, float] | None:
    """The only addend of a form that has one."""
    if isinstance(form, Expr):
        return CONSTANT, _number(form, counters)
    return form[0] if form is not None and len(form) == 1 else None


def _number(expression: Expr, counters: Mapping[str, int]) -> float:
    return float(expression.evaluate(counters=counters))

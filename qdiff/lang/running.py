"""What every engine must agree on when a program runs: comparisons, counters, probabilities, errors."""

from __future__ import annotations

import operator
from collections.abc import Callable

from qdiff.errors import EvaluationError
from qdiff.lang.expr import Expr
from qdiff.lang.source import Position
from qdiff.lang.tree import Program

COMPARE: dict[str, Callable[[float, float], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
PROBABILITY_SLACK = 1e-12  # a probability may leave [0, 1] by this much, from rounding
LEAST_COUNTER, LARGEST_COUNTER = -(2**63), 2**63 - 1


def located(program: Program, message: str, position: Position | None) -> EvaluationError:
    """Return the error for something that has no value when it runs, with its place if it has one."""
    source = program.source
    return EvaluationError(message) if source is None else source.evaluation_error(message, position)


def checked_counter(program: Program, name: str, value: float | int, position: Position | None) -> int:
    """Return the new value of a counter.

    Raises:
        EvaluationError: it is no integer, or does not fit in 64 bits.
    """
    if not isinstance(value, int):
        raise located(program, f"counter `{name}` would become {value}, which is not an integer.", position)
    if not LEAST_COUNTER <= value <= LARGEST_COUNTER:
        raise located(program, f"counter `{name}` overflows: {value} does not fit in 64 bits.", position)
    return value


def improbable(
    program: Program, probability: Expr, value: float, position: Position | None, channel: str = ""
) -> EvaluationError:
    """Return the error for a probability outside [0, 1]; `channel` is the name of the channel it is of."""
    of_channel = f" of `{channel}`" if channel else ""
    message = f"the probability `{probability}`{of_channel} is {value!r}, outside [0, 1]."
    return located(program, message, probability.place() or position)

"""Counters that a few bits can hold: only measurements and small constants are written into them."""

from __future__ import annotations

from qdiff.errors import EvaluationError
from qdiff.lang import expr as ex
from qdiff.lang.expr import Expr
from qdiff.lang.tree import Assign, Measure, Program
from qdiff.lang.walk import statements

LARGEST_CONSTANT = 2**16 - 1
"""Larger constants are no business of bits."""


def constant(value: Expr) -> int | None:
    """The value of an integer expression without counters; None where it has none."""
    if value.counters():
        return None
    try:
        found = value.evaluate()
    except EvaluationError:  # who writes it says where
        return None
    return found if isinstance(found, int) else None


def bits_needed(program: Program) -> tuple[dict[str, int], dict[str, Assign]]:
    """Return how many bits each counter needs, and for those that are more an assignment that says so."""
    needed = dict.fromkeys(program.counters, 1)
    problems: dict[str, Assign] = {}
    for statement in statements(program.body):
        match statement:
            case Measure(counter=counter, qubits=qubits):
                needed[counter] = max(needed[counter], len(qubits))
            case Assign(counter=counter, value=value):
                number = value.value if isinstance(value, ex.Number) else constant(value)
                if number is None or not 0 <= number <= LARGEST_CONSTANT:
                    problems.setdefault(counter, statement)
                else:
                    needed[counter] = max(needed[counter], int(number).bit_length())
    return needed, problems

"""What must be true of the expressions of a lowered program; see `verify`."""

from __future__ import annotations

from itertools import pairwise

from qdiff.lang.expr import FUNCTIONS, Counter
from qdiff.sim.machine import code as c
from qdiff.sim.machine.bytecode import INTEGERS, OPERATIONS

OPERANDS = {
    **dict.fromkeys(("integer", "counter", "ask", "float", "parameter"), ""),
    **dict.fromkeys(("negate integer", "abs integer", "indicator", "to float", "element", "hazard"), "i"),
    **dict.fromkeys(("add integers", "multiply integers", "div", "mod", "power of integers"), "ii"),
    **dict.fromkeys(("divide integers",), "ii"),
    **dict.fromkeys(("add", "multiply", "divide", "power"), "rr"),
    **dict.fromkeys(("negate", *FUNCTIONS), "r"),
}
"""The operands of every operation: i an integer, r a float."""


class InvalidPlan(Exception):
    """A lowered program that the machine must not run."""


def check(holds: bool, message: str) -> None:
    """Raise `InvalidPlan` unless something holds."""
    if not holds:
        raise InvalidPlan(message)


def verify_expressions(plan: c.Lowered) -> None:
    """Check the tables of all expressions.

    Raises:
        InvalidPlan: an invariant does not hold.
    """
    code, number = plan.code, len(plan.expressions)
    check(len(code.starts) == number + 1, "every expression begins somewhere")
    check(code.starts[0] == 0, "the first expression begins at row 0")
    check(code.starts[-1] == len(code.rows) == len(code.floats), "every row belongs to an expression")
    check(len(code.modes) == len(code.whole) == number, "every expression has a mode and a kind")
    for e, (start, end) in enumerate(pairwise(code.starts.tolist())):
        where = f"expression {e} (`{plan.expressions[e]}`)"
        check(start < end, f"{where}: it has no rows")
        check(end - start <= plan.longest, f"{where}: {end - start} rows in room for {plan.longest}")
        for i in range(end - start):
            _row(plan, start, i, f"{where}, row {i}")
        last = OPERATIONS[code.rows[end - 1, 0]]
        check(bool(code.whole[e]) == (last in INTEGERS), f"{where}: its kind is not that of its last row")
        _mode(plan, e, where)


def _row(plan: c.Lowered, start: int, i: int, where: str) -> None:
    code = plan.code
    operation, *sides, constant = code.rows[start + i].tolist()
    check(0 <= operation < len(OPERATIONS), f"{where}: there is no operation {operation}")
    name = OPERATIONS[operation]
    for side, kind in zip(sides, OPERANDS[name], strict=False):
        check(0 <= side < i, f"{where}: `{name}` reads row {side}, which is not before it")
        read = OPERATIONS[code.rows[start + side, 0]]
        check((read in INTEGERS) == (kind == "i"), f"{where}: `{name}` reads `{read}`, of the other kind")
    first, second = sides
    limits = {
        "counter": (first, 1, len(plan.counters)),
        "parameter": (first, 1, len(plan.program.parameters)),
        "element": (second, constant, len(plan.program.parameters)),
        "hazard": (second, constant, len(code.hazards)),
    }
    if name in limits:
        begin, many, size = limits[name]
        check(
            0 <= begin < begin + many <= size,
            f"{where}: `{name}` reads {begin} .. {begin + many - 1} of {size}",
        )


def _mode(plan: c.Lowered, e: int, where: str) -> None:
    expression, mode = plan.expressions[e], int(plan.code.modes[e])
    if isinstance(expression, Counter):
        expected = plan.counters.index(expression.name)
    else:
        expected = c.COMPUTED if expression.counters() else c.BOUND
    check(mode == expected, f"{where}: its mode is {mode}, not {expected}")

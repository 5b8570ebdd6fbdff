"""Functions of counters in the text of an observable: `log(k + 1)^1.25`, `1/k`, `[site = 1]`.

They are read as expressions in which every name is a counter, and stay as they are written.
"""

from __future__ import annotations

from qdiff.lang import expr as ex
from qdiff.lang.expr import FUNCTIONS, HAZARD, Expr
from qdiff.lang.gates import is_gate
from qdiff.lang.text.resolve import combined
from qdiff.lang.text.syntax import SELECTION, Expression, Fault, Name, Operation, place, walk

OPERATORS = ("X", "Y", "Z", "P0", "P1")
REAL = frozenset({"+", "-", "*", "/", "^", HAZARD, SELECTION, *FUNCTIONS})
INTEGER = frozenset({"+", "-", "*", "div", "mod"})


class FunctionReader:
    """Reads expressions over counters; each node of a text once."""

    def __init__(self) -> None:
        self._done: dict[int, Expr] = {}

    def read(self, expression: Expression) -> Expr:
        """Return the expression of a part of a text.

        Raises:
            Fault: an operator on a qubit, a condition, or a selection that is none.
        """
        pending: list[tuple[Expression, bool]] = [(expression, False)]
        while pending:
            node, ready = pending.pop()
            if id(node) in self._done:
                continue
            if not isinstance(node, Operation):
                self._done[id(node)] = _leaf(node)
                continue
            operands = _operands(node)
            if ready:
                values = [self._done[id(operand)] for operand in operands]
                self._done[id(node)] = (
                    ex.Indicator(values[0], _selected(node), pos=node.pos)
                    if node.operator == SELECTION
                    else combined(node, values)
                )
            else:
                pending.append((node, True))
                pending.extend((operand, False) for operand in operands)
        return self._done[id(expression)]


def _operands(node: Operation) -> tuple[Expression, ...]:
    """The operands that are expressions: of a selection [e = n] that is e."""
    if node.operator != SELECTION:
        return node.operands
    (condition,) = node.operands
    if not isinstance(condition, Operation) or condition.operator != "=":
        raise Fault("a selection is a counter and its value, as in `[site = 1]`.", node.pos)
    _selected(node)
    inside = [x for x in walk(condition.operands[0]) if isinstance(x, Operation)]
    known = INTEGER if any(x.operator in ("div", "mod") for x in inside) else REAL
    for operation in inside:
        if operation.operator not in known:
            raise Fault(f"`{operation.operator}` cannot stand in this selection.", operation.pos)
    return condition.operands[:1]


def _selected(node: Operation) -> int:
    """n of the selection [e = n]."""
    (condition,) = node.operands
    assert isinstance(condition, Operation)
    match condition.operands[1]:
        case ex.Number(value=int(value)):
            return value
        case Operation(operator="-", operands=(ex.Number(value=int(value)),)):
            return -value
        case other:
            raise Fault("a selection compares with an integer, as in `[site = 1]`.", place(other))


def _leaf(node: Expression) -> Expr:
    if isinstance(node, ex.Number | ex.Pi):
        return node
    if isinstance(node, Name):
        if node.text in ("X", "Y", "Z"):
            raise Fault(f"`{node.text}` acts on a qubit.", node.pos, f"Write `{node.text}[q]`.")
        return ex.Counter(node.text, pos=node.pos)
    return ex.Counter(element_name(node, "a counter"), pos=place(node))


def element_name(node: Expression, what: str) -> str:
    """The name of a qubit or counter: "q" or "data[2]"."""
    match node:
        case Name(text=text):
            return text
        case ex.Number() | ex.Pi() | Operation():
            raise Fault(f"expected {what}, found an expression.", place(node))
    name = node.name.text
    if what == "a counter" and name in OPERATORS:
        raise Fault(f"the operator `{name}` cannot stand in a function of counters.", node.pos)
    match node.indices:
        case (ex.Number(value=int(index)),):
            return f"{name}[{index}]"
        case _ if is_gate(name):
            raise Fault(
                f"there is no operator `{name}`: operators are X, Y, Z, P0, P1; the identity is left out.",
                node.pos,
            )
        case _:
            raise Fault(f"the index of {what} is one integer, as in `{name}[2]`.", node.pos)

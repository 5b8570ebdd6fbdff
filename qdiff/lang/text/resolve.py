"""Expressions of a text with their names resolved: numbers, integer expressions, conditions.

What an expression may be depends on where it stands, so each place has its own method. Nothing
here recurses over the operands of an expression.
"""

from __future__ import annotations

from typing import Any

from qdiff.lang import expr as ex
from qdiff.lang import tree
from qdiff.lang.expr import Expr
from qdiff.lang.limits import MOST_NODES
from qdiff.lang.source import Position
from qdiff.lang.text import syntax as sx
from qdiff.lang.text.names import AngleArgument, Declared, LoopIndex, QubitArgument, Scope, described
from qdiff.lang.text.places import Place, admit, require_integer
from qdiff.lang.text.references import References, bare_array, division, the_index
from qdiff.lang.text.syntax import Fault, Name, Operation, place, shown


class Resolver:
    """Resolves expressions and counts how many nodes they have become."""

    def __init__(self, references: References) -> None:
        self.references = references
        self.nodes = 0

    # --- Numbers and conditions -----------------------------------------------------------------

    def number(self, expression: sx.Expression, scope: Scope) -> Expr:
        """A real number: an angle, a probability."""
        result: Expr = self._resolved(expression, Place.REAL, scope)
        return result

    def integer_expression(self, expression: sx.Expression, scope: Scope) -> Expr:
        """An integer expression, which may read counters."""
        result: Expr = self._resolved(expression, Place.INTEGER, scope)
        return result

    def condition(self, expression: sx.Expression, scope: Scope) -> tree.Condition:
        """A condition."""
        result: tree.Condition = self._resolved(expression, Place.CONDITION, scope)
        return result

    def _resolved(self, expression: sx.Expression, where: Place, scope: Scope) -> Any:
        if not isinstance(expression, Operation):
            return self._leaf(expression, where, scope)
        done: list[Any] = []
        pending: list[tuple[sx.Expression, Place, bool]] = [(expression, where, False)]
        while pending:
            node, where, ready = pending.pop()
            if not isinstance(node, Operation):
                done.append(self._leaf(node, where, scope))
            elif ready:
                count = len(node.operands)
                operands = done[-count:]
                del done[-count:]
                done.append(combined(node, operands))
            elif node.operator in tree.OPERATORS and any(_is_measurement(side) for side in node.operands):
                admit(node, where)
                self._count(1, node.pos)
                done.append(self._measured(node, scope))
            else:
                admit(node, where)
                self._count(1, node.pos)
                inner = Place.REAL if node.operator in tree.OPERATORS or node.operator == "flip" else where
                pending.append((node, where, True))
                pending.extend((operand, inner, False) for operand in reversed(node.operands))
        return done[0]

    def _count(self, nodes: int, pos: Position) -> None:
        self.nodes += nodes
        if self.nodes > MOST_NODES:
            raise Fault(
                f"the expressions of the program have more than {MOST_NODES} nodes once it is unrolled.", pos
            )

    def _measured(self, node: Operation, scope: Scope) -> tree.Measured:
        left, right = node.operands
        if not isinstance(left, Operation) or left.operator != "M":
            raise Fault("the measurement stands to the left of `=`.", node.pos, "Write `M[q] = 1`.")
        if node.operator != "=":
            raise Fault(
                f"a measurement is compared with `=`, not with `{node.operator}`.",
                node.pos,
                "Use `not`, or store it first: `c := M[q]`.",
            )
        if not isinstance(right, ex.Number) or not isinstance(right.value, int):
            raise Fault(
                "a measurement is compared with an integer literal.", place(right), "As in `M[q] = 1`."
            )
        return tree.Measured(
            self.references.qubits(left.operands, scope, "one measurement"), right.value, pos=node.pos
        )

    def _leaf(self, node: sx.Expression, where: Place, scope: Scope) -> Expr:
        self._count(1, place(node))
        if where is Place.CONDITION:
            what = f"`{shown(node)}`" if isinstance(node, Name | sx.Element) else "a number"
            raise Fault(f"expected a condition, found {what}.", place(node), "Compare it, as in `c > 0`.")
        match node:
            case Name():
                return self._name(node, where, scope)
            case sx.Element():
                return self._element(node, where, scope)
            case ex.Number(value=value):
                if where is Place.INTEGER:
                    require_integer(value, place(node))
                return node
            case ex.Pi():
                if where is Place.INTEGER:
                    raise Fault("expected an integer expression, found `pi`.", place(node))
                return node
            case Operation():
                raise AssertionError("an operation is no leaf")

    def _name(self, name: Name, where: Place, scope: Scope) -> Expr:
        binding = scope.find(name.text)
        match binding:
            case Declared(kind="qubit") | QubitArgument() | sx.Definition() | tree.GateDeclaration():
                raise Fault(f"expected {where.value}, found {described(binding)}.", name.pos)
            case Declared(register=tree.Register(size=int(size))):
                raise bare_array(name, size)
            case Declared(kind="counter"):
                return ex.Counter(name.text, pos=name.pos)
            case Declared() | AngleArgument() if where is Place.INTEGER:
                raise _parameter_in_integer(described(binding), name.pos)
            case Declared():
                return ex.Parameter(name.text, pos=name.pos)
            case AngleArgument(value=value, size=size):
                self._count(size, name.pos)
                return value
            case LoopIndex():
                binding.used = True
                return ex.number(binding.value or 0, name.pos)
            case None if where is Place.INTEGER:
                raise scope.undeclared(name, "counter or loop index", "counter", "index")
            case None:
                raise scope.undeclared(name, "parameter or counter", "parameter", "counter", "index")

    def _element(self, element: sx.Element, where: Place, scope: Scope) -> Expr:
        name = element.name
        binding = scope.find(name.text)
        match binding:
            case None:
                raise scope.undeclared(name, "array", "parameter", "counter")
            case Declared(kind="qubit") | QubitArgument() | sx.Definition() | tree.GateDeclaration():
                raise Fault(f"expected {where.value}, found {described(binding)}.", name.pos)
            case Declared(kind="parameter") if where is Place.INTEGER:
                raise _parameter_in_integer(described(binding), name.pos)
            case Declared(kind="parameter", register=tree.Register(size=int(size))):
                if not isinstance(the_index(element), ex.Number):
                    index = self._resolved(the_index(element), Place.INTEGER, scope)
                    if index.counters():
                        return ex.ParameterElement(name.text, size, index, pos=element.pos)
                return ex.Parameter(self.references.element_name(element, binding, scope), pos=element.pos)
            case Declared(kind="counter", register=tree.Register(size=int())):
                return ex.Counter(self.references.element_name(element, binding, scope), pos=element.pos)
            case _:
                raise Fault(f"{described(binding)} is not an array: it has no elements.", element.pos)


def combined(node: Operation, x: list[Any]) -> Any:
    """The value of an operation over resolved operands."""
    operator, pos = node.operator, node.pos
    match operator:
        case "+":
            return ex.add(*x, pos=pos)
        case "-":
            return ex.negate(x[0], pos)
        case "*":
            return _product(node, x)
        case "/" | "div" | "mod":
            return x[0]  # an operand of `_product`
        case "^":
            return ex.Power(x[0], x[1], pos=pos)
        case "or":
            return tree.Or(tuple(x), pos=pos)
        case "and":
            return tree.And(tuple(x), pos=pos)
        case "not":
            return tree.Not(x[0], pos=pos)
        case "flip":
            return tree.Flip(x[0], pos=pos)
        case ex.HAZARD:
            return ex.LogPowerHazard(x[0], x[1], pos=pos)
        case _ if operator in tree.OPERATORS:
            return tree.Compare(x[0], operator, x[1], pos=pos)
        case _:
            return ex.Call(operator, x[0], pos=pos)


def _product(node: Operation, x: list[Expr]) -> Expr:
    # From the left: what stands before a `div` or `mod` is its left operand as a whole.
    factors = [x[0]]
    for operand, value in zip(node.operands[1:], x[1:], strict=True):
        operator = division(operand)
        if operator == "/":
            factors.append(ex.divide(ex.ONE, value, operand.pos))
        elif operator:
            left = ex.multiply(*factors, pos=node.pos)
            kind = ex.IntegerQuotient if operator == "div" else ex.Modulo
            factors = [kind(left, value, pos=node.pos)]
        else:
            factors.append(value)
    return ex.multiply(*factors, pos=node.pos)


def _is_measurement(expression: sx.Expression) -> bool:
    return isinstance(expression, Operation) and expression.operator == "M"


def _parameter_in_integer(what: str, pos: Position) -> Fault:
    return Fault(
        f"expected an integer expression, found {what}.", pos, "Integer expressions contain no parameters."
    )

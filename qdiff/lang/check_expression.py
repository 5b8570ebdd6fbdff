"""What the expressions of a program tree must keep: names, kinds of numbers, the normal form."""

from __future__ import annotations

import math
from typing import NoReturn

from qdiff.errors import EvaluationError, QdiffError, did_you_mean, listed
from qdiff.lang import expr as ex
from qdiff.lang import tree
from qdiff.lang.expr import FUNCTIONS, Expr
from qdiff.lang.limits import MOST_NODES
from qdiff.lang.logpower import delta_problem
from qdiff.lang.rebuild import rebuild
from qdiff.lang.source import Position, refusal
from qdiff.lang.text.names import LARGEST_INTEGER

LARGEST_LITERAL = 10**300


class ExpressionChecker:
    """Checks expressions against the declarations of a program; each object once.

    Attributes:
        tallest: the height of the tallest expression since this was last set to 0.
    """

    def __init__(self, program: tree.Program) -> None:
        self.program = program
        self.parameters = frozenset(program.parameters)
        self.counters = frozenset(program.counters)
        self.arrays = {register.name: register.size for register in program.parameter_registers}
        self.tallest = 0

    def real(self, expression: Expr, pos: Position | None) -> None:
        """Check an angle, a probability or a side of a comparison."""
        self._check(expression, pos, integer=False)

    def integer(self, expression: Expr, pos: Position | None) -> None:
        """Check an integer expression that may read counters."""
        self._check(expression, pos, integer=True)

    def undeclared(self, what: str, name: object, known: tuple[str, ...], pos: Position | None) -> QdiffError:
        """The error for a name that is not declared."""
        hint = did_you_mean(name, known) if isinstance(name, str) else ""
        message = f"{what} `{name}` is not declared. Declared: {listed(known)}."
        return refusal(self.program.source, message, pos, hint)

    def _refuse(self, message: str, pos: Position | None, hint: str = "") -> NoReturn:
        raise refusal(self.program.source, message, pos, hint)

    def _check(self, expression: Expr, pos: Position | None, integer: bool) -> None:
        # Height and number of nodes of each operation, by object: a shared operand is checked once.
        sizes: dict[tuple[int, bool], tuple[int, int]] = {}
        pending = [(expression, integer, False)]
        while pending:
            node, integer, ready = pending.pop()
            if ready:
                children = node.children()
                self._normal(node, children, node.pos or pos)
                inner = integer or isinstance(node, ex.ParameterElement)
                height = nodes = 1
                for child in children:
                    below, inside = sizes.get((id(child), inner), (1, 1))
                    height = max(height, below + 1)
                    nodes += inside
                if nodes > MOST_NODES:
                    self._refuse(f"an expression has more than {MOST_NODES} nodes.", pos)
                self.tallest = max(self.tallest, height)
                sizes[id(node), integer] = height, nodes
            elif (id(node), integer) not in sizes:
                if not isinstance(node, Expr):
                    hint = "A number is written `expr.number(0.5)`."
                    self._refuse(f"expected an expression, got {node!r}.", pos, hint)
                self._kind(node, node.pos or pos, integer)
                children = node.children()
                if children:
                    pending.append((node, integer, True))
                    inner = integer or isinstance(node, ex.ParameterElement)
                    pending.extend([(child, inner, False) for child in children])

    def _kind(self, node: Expr, pos: Position | None, integer: bool) -> None:
        """Refuse a node that cannot stand here, whatever its operands."""
        match node:
            case ex.Number(value=value):
                self._number(value, pos, integer)
            case ex.Counter(name=name):
                if name not in self.counters:
                    raise self.undeclared("counter", name, self.program.counters, pos)
            case ex.Sum() | ex.Product() | ex.Negate():
                pass
            case ex.IntegerQuotient() | ex.Modulo():
                if not integer:
                    self._refuse("`div` and `mod` belong to integer expressions.", pos)
            case _ if integer:
                self._refuse(f"`{node}` cannot stand in an integer expression.", pos)
            case ex.Parameter(name=name):
                if name not in self.parameters:
                    raise self.undeclared("parameter", name, self.program.parameters, pos)
            case ex.ParameterElement(array=array, size=size, index=index):
                if self.arrays.get(array) != size:
                    self._refuse(f"`{array}` is not declared as an array of {size} parameters.", pos)
                if isinstance(index, Expr) and not index.counters():
                    self._refuse(f"the index of `{node}` reads no counter: it is a Parameter.", pos)
            case ex.Call(function=function):
                if function not in FUNCTIONS:
                    self._refuse(f"there is no function `{function}`. Functions: {listed(FUNCTIONS)}.", pos)
            case ex.LogPowerHazard(index=index, delta=delta):
                self._hazard(node, index, delta, pos)
            case ex.Indicator():
                self._refuse(f"`{node}` stands in derivatives only: a program has no text for it.", pos)
            case ex.Pi() | ex.Reciprocal() | ex.Power():
                pass
            case _:
                self._refuse(f"`{type(node).__name__}` is not a kind of expression.", pos)

    def _hazard(self, node: Expr, index: Expr, delta: Expr, pos: Position | None) -> None:
        if not isinstance(index, Expr) or not isinstance(delta, Expr):
            return  # said when the operands are looked at
        if delta.parameters() or delta.counters():
            self._refuse(
                f"the second argument of `{ex.HAZARD}` is a constant, got `{delta}`.", delta.pos or pos
            )
        if index.parameters():
            hint = "It is made of counters and numbers."
            self._refuse(
                f"the first argument of `{ex.HAZARD}` contains no parameter, got `{index}`.", pos, hint
            )
        try:
            problem = delta_problem(float(delta.evaluate()))
        except (EvaluationError, OverflowError):
            problem = f"`{delta}` has no value."
        if problem:
            self._refuse(f"`{node}`: {problem}", pos)

    def _number(self, value: int | float, pos: Position | None, integer: bool) -> None:
        if type(value) not in (int, float) or (isinstance(value, float) and not math.isfinite(value)):
            self._refuse(f"a number is a finite int or float, got {value!r}.", pos)
        if math.copysign(1, value) < 0:
            self._refuse(f"a Number is not negative, got {value!r}.", pos, "Use `expr.number(value)`.")
        if isinstance(value, int) and value > LARGEST_LITERAL:
            self._refuse("the integer is too large.", pos)
        if integer and not isinstance(value, int):
            self._refuse(f"expected an integer, got {value!r}.", pos)
        if integer and value > LARGEST_INTEGER + 1:
            self._refuse("the integer is beyond 64 bits.", pos)

    def _normal(self, node: Expr, children: tuple[Expr, ...], pos: Position | None) -> None:
        """Refuse a node that its constructor function would have written in another way."""
        other = rebuild(node, list(children))
        same = type(other) is type(node) and all(map(_is, other.children(), children))
        if not same or len(other.children()) != len(children):
            self._refuse(
                f"`{node}` is not in normal form.", pos, "Build it with add, multiply, negate, divide."
            )


def _is(a: object, b: object) -> bool:
    return a is b

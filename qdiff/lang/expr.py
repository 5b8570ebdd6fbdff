"""Expressions of angles, probabilities, comparisons and counters: n-ary immutable trees.

Sums and products hold any number of operands, so a flat text makes a flat tree. A subtraction is
a sum with a `Negate`, a division a product with a `Reciprocal`. The constructor functions
(`add`, `multiply`, `negate`, …) keep one normal form, in which printing and parsing are inverse:
numbers are not negative, signs stand in front of products, sums and products are not nested in
their own kind. Nothing here recurses, so depth is no limit.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from qdiff.errors import QdiffError
from qdiff.lang.source import Position
from qdiff.lang.structural import nested_repr

T = TypeVar("T")

HAZARD = "logpower_hazard"  # the function of two arguments
FUNCTIONS = ("sin", "cos", "tan", "asin", "acos", "atan", "exp", "log", "sqrt", "abs")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Expr:
    """Base of all expressions. Equality is structural; positions do not count."""

    pos: Position | None = field(default=None, kw_only=True, repr=False)
    _hash: int = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_hash", hash((type(self).__name__, *self.label(), *self.children())))

    def children(self) -> tuple[Expr, ...]:
        """The direct operands, in printed order."""
        return ()

    def label(self) -> tuple[object, ...]:
        """What distinguishes this node besides its operands."""
        return ()

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Expr):
            return NotImplemented
        pairs: list[tuple[Expr, Expr]] = [(self, other)]
        compared: set[tuple[int, int]] = set()  # derivatives share nodes: each pair once
        while pairs:
            a, b = pairs.pop()
            if a is b or (id(a), id(b)) in compared:
                continue
            if a._hash != b._hash or type(a) is not type(b) or a.label() != b.label():
                return False
            mine, theirs = a.children(), b.children()
            if len(mine) != len(theirs):
                return False
            if mine:
                compared.add((id(a), id(b)))
                pairs.extend(zip(mine, theirs, strict=True))
        return True

    def walk(self) -> Iterator[Expr]:
        """Yield every node, operands after the node that holds them; a shared node once."""
        pending: list[Expr] = [self]
        seen: set[int] = set()
        while pending:
            node = pending.pop()
            if id(node) in seen:
                continue
            seen.add(id(node))
            yield node
            pending.extend(reversed(node.children()))

    def fold(self, combine: Callable[[Expr, list[T]], T]) -> T:
        """Return `combine(node, results of its operands)` from the leaves up; a shared node once."""
        done: dict[int, T] = {}
        pending: list[tuple[Expr, bool]] = [(self, False)]
        while pending:
            node, ready = pending.pop()
            if id(node) in done:
                continue
            if ready:
                done[id(node)] = combine(node, [done[id(child)] for child in node.children()])
            else:
                pending.append((node, True))
                pending.extend((child, False) for child in node.children())
        return done[id(self)]

    def parameters(self) -> frozenset[str]:
        """Names of the parameters that occur, every element of an array indexed by a counter."""
        found: set[str] = set()
        for node in self.walk():
            if isinstance(node, Parameter):
                found.add(node.name)
            elif isinstance(node, ParameterElement):
                found.update(f"{node.array}[{i}]" for i in range(node.size))
        return frozenset(found)

    def counters(self) -> frozenset[str]:
        """Names of the counters that occur."""
        return frozenset(node.name for node in self.walk() if isinstance(node, Counter))

    def place(self) -> Position | None:
        """The position of the first node that has one."""
        return next((node.pos for node in self.walk() if node.pos is not None), None)

    def substitute(self, values: Mapping[str, Expr]) -> Expr:
        """Return this expression with the named parameters replaced."""
        from qdiff.lang.rebuild import substitute

        return substitute(self, values)

    def diff(self, parameter: str) -> Expr:
        """Return the derivative with respect to one parameter (an array element as "w[0]")."""
        from qdiff.lang.calculus import differentiate

        return differentiate(self, parameter)

    def evaluate(
        self, parameters: Mapping[str, float] | None = None, counters: Mapping[str, int] | None = None
    ) -> float | int:
        """Return the value; integers stay exact under `+ - *`, `div`, `mod` and small powers.

        Raises:
            EvaluationError: the value is not a finite real number, or an index is out of range.
        """
        from qdiff.lang.evaluate import evaluate

        return evaluate(self, parameters or {}, counters or {})

    def to_sympy(self) -> object:
        """Return the SymPy expression that means the same."""
        from qdiff.lang.sympy_bridge import to_sympy

        return to_sympy(self)

    def __str__(self) -> str:
        from qdiff.lang.expr_printer import expr_text

        return expr_text(self)

    def __repr__(self) -> str:
        return nested_repr(self, Expr)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Number(Expr):
    """A number, zero or positive; an `int` stays exact, so 2 and 2.0 are different expressions."""

    value: int | float

    def label(self) -> tuple[object, ...]:
        return (type(self.value).__name__, self.value)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Pi(Expr):
    """The number pi."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Parameter(Expr):
    """A real parameter: a declared name, or an array element as in "w[0]"."""

    name: str

    def label(self) -> tuple[object, ...]:
        return (self.name,)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ParameterElement(Expr):
    """The element of a parameter array whose index is read from counters at run time."""

    array: str
    size: int
    index: Expr

    def children(self) -> tuple[Expr, ...]:
        return (self.index,)

    def label(self) -> tuple[object, ...]:
        return (self.array, self.size)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Counter(Expr):
    """The value of a counter: a declared name, or an array element as in "m[0]"."""

    name: str

    def label(self) -> tuple[object, ...]:
        return (self.name,)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Sum(Expr):
    """terms[0] + terms[1] + …, two terms or more."""

    terms: tuple[Expr, ...]

    def children(self) -> tuple[Expr, ...]:
        return self.terms


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Product(Expr):
    """factors[0] * factors[1] * …, two factors or more."""

    factors: tuple[Expr, ...]

    def children(self) -> tuple[Expr, ...]:
        return self.factors


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Negate(Expr):
    """-operand."""

    operand: Expr

    def children(self) -> tuple[Expr, ...]:
        return (self.operand,)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Reciprocal(Expr):
    """1 / operand."""

    operand: Expr

    def children(self) -> tuple[Expr, ...]:
        return (self.operand,)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Power(Expr):
    """base ^ exponent."""

    base: Expr
    exponent: Expr

    def children(self) -> tuple[Expr, ...]:
        return (self.base, self.exponent)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Call(Expr):
    """A function of one argument, one of `FUNCTIONS`."""

    function: str
    argument: Expr

    def children(self) -> tuple[Expr, ...]:
        return (self.argument,)

    def label(self) -> tuple[object, ...]:
        return (self.function,)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class IntegerQuotient(Expr):
    """left div right, rounded towards minus infinity, so that (a div b)*b + a mod b = a."""

    left: Expr
    right: Expr

    def children(self) -> tuple[Expr, ...]:
        return (self.left, self.right)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Modulo(Expr):
    """left mod right, with the sign of `right`."""

    left: Expr
    right: Expr

    def children(self) -> tuple[Expr, ...]:
        return (self.left, self.right)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Indicator(Expr):
    """1 where `index` equals `value`, else 0: the derivative of w[index] by w[value]."""

    index: Expr
    value: int

    def children(self) -> tuple[Expr, ...]:
        return (self.index,)

    def label(self) -> tuple[object, ...]:
        return (self.value,)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class LogPowerHazard(Expr):
    """The hazard h(index) of the log-power law with this δ, a constant; see `qdiff.lang.logpower`."""

    index: Expr
    delta: Expr

    def children(self) -> tuple[Expr, ...]:
        return (self.index, self.delta)


ZERO = Number(0)
ONE = Number(1)


def number(value: int | float, pos: Position | None = None) -> Expr:
    """Return the expression for a finite number of either sign; numpy's numbers become Python's.

    Raises:
        QdiffError: the number is not finite.
    """
    plain = int(value) if isinstance(value, numbers.Integral) else float(value)
    if isinstance(plain, float) and not math.isfinite(plain):
        raise QdiffError(f"An expression holds finite numbers only, not {plain}.")
    if plain < 0:
        return Negate(Number(-plain, pos=pos), pos=pos)
    return Number(abs(plain), pos=pos)  # abs: -0.0 has no text of its own


def is_number(expr: Expr, value: int | float) -> bool:
    """Whether `expr` is the literal `value`."""
    return isinstance(expr, Number) and expr.value == value


def negate(operand: Expr, pos: Position | None = None) -> Expr:
    """Return -operand; two signs cancel."""
    return operand.operand if isinstance(operand, Negate) else Negate(operand, pos=pos)


def add(*operands: Expr, pos: Position | None = None) -> Expr:
    """Return the sum, nested sums flattened and literal zeros dropped."""
    terms: list[Expr] = []
    for operand in operands:
        terms.extend(operand.terms if isinstance(operand, Sum) else (operand,))
    terms = [term for term in terms if not is_number(term, 0)]
    if not terms:
        return ZERO
    return terms[0] if len(terms) == 1 else Sum(tuple(terms), pos=pos)


def multiply(*operands: Expr, pos: Position | None = None) -> Expr:
    """Return the product, nested products flattened, signs pulled to the front, literal ones dropped."""
    factors: list[Expr] = []
    negative = False
    for operand in operands:
        if isinstance(operand, Negate):
            negative = not negative
            operand = operand.operand
        factors.extend(operand.factors if isinstance(operand, Product) else (operand,))
    factors = [factor for factor in factors if not is_number(factor, 1)]
    if not factors:
        result: Expr = ONE
    else:
        result = factors[0] if len(factors) == 1 else Product(tuple(factors), pos=pos)
    return negate(result, pos) if negative else result


def divide(left: Expr, right: Expr, pos: Position | None = None) -> Expr:
    """Return left / right."""
    if isinstance(right, Negate):
        return negate(divide(left, right.operand, pos), pos)
    return multiply(left, Reciprocal(right, pos=pos), pos=pos)

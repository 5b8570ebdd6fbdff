"""What binds what: the operands and operators of an expression, in the order of the text, as a tree.

From tightest: `**` (to the right), then the unary `- ! ~`, then the ranks of `LEVELS`. A rank with many
operands is one node, so long flat expressions are not deep.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from qdiff.interop.qasm3_reader.syntax import Chain, Expression, Unary
from qdiff.lang.source import Position
from qdiff.lang.text.syntax import span

LEVELS = (("*", "/", "%"), ("+", "-"), ("<<", ">>"), ("<", "<=", ">", ">="), ("==", "!="), ("&",), ("^",),
          ("|",), ("&&",), ("||",))  # fmt: skip
_LEVEL = {operator: level for level, operators in enumerate(LEVELS) for operator in operators}


@dataclass(frozen=True, slots=True)
class Signed:
    """A term behind unary operators: (operator, its place), the first outermost."""

    signs: tuple[tuple[str, Position], ...]
    term: Expression


def grouped(terms: Sequence[Expression | Signed], operators: Sequence[str]) -> Expression:
    """Return the tree of terms with operators between them."""
    found, left = _powers(terms, operators)
    if not left:
        return found[0]
    for level in sorted({_LEVEL[operator] for operator in left}):
        found, left = _level(level, found, left)
    return found[0]


def _powers(
    terms: Sequence[Expression | Signed], operators: Sequence[str]
) -> tuple[list[Expression], list[str]]:
    """Powers and signs, from the right: in -a ** -b the power is that of a, and its sign comes after."""
    found: list[Expression] = []
    left: list[str] = []
    exponent: Expression | None = None
    for i in range(len(terms) - 1, -1, -1):
        term = terms[i]
        base, signs = (term.term, term.signs) if isinstance(term, Signed) else (term, ())
        if exponent is not None:
            base = _chain([base, exponent], ["**"])
        for operator, pos in reversed(signs):
            base = Unary(operator, base, span(pos, base.pos), base.depth + 1)
        if i and operators[i - 1] == "**":
            exponent = base
        else:
            exponent = None
            found.append(base)
            if i:
                left.append(operators[i - 1])
    return found[::-1], left[::-1]


def _level(
    level: int, terms: Sequence[Expression], operators: Sequence[str]
) -> tuple[list[Expression], list[str]]:
    found: list[Expression] = []
    left: list[str] = []
    run, between = [terms[0]], list[str]()
    for term, operator in zip(terms[1:], operators, strict=True):
        if _LEVEL[operator] == level:
            run.append(term)
            between.append(operator)
        else:
            found.append(_chain(run, between))
            left.append(operator)
            run, between = [term], []
    found.append(_chain(run, between))
    return found, left


def _chain(terms: list[Expression], operators: list[str]) -> Expression:
    if not operators:
        return terms[0]
    depth = 1 + max(term.depth for term in terms)
    return Chain(tuple(terms), tuple(operators), span(terms[0].pos, terms[-1].pos), depth)

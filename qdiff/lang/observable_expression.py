"""A real expression over counters as an observable: sums and products expanded, the rest functions."""

from __future__ import annotations

from qdiff.lang import expr as ex
from qdiff.lang.expr import Expr
from qdiff.lang.observable import Observable, Term, constant, count
from qdiff.lang.observable_functions import checked_function, whole_exponent


def from_expression(expression: Expr) -> Observable:
    """Return the observable that has the value of an expression at every store.

    Args:
        expression: over counters and numbers.

    Raises:
        QdiffError: it contains a parameter, or has too many terms once it is expanded.
        EvaluationError: a part without counters has no value.
    """
    varies: dict[int, bool] = {}

    def note(node: Expr, operands: list[bool]) -> bool:
        varies[id(node)] = any(operands) or isinstance(node, ex.Counter | ex.Parameter)
        return varies[id(node)]

    expression.fold(note)
    done: dict[int, Observable] = {}
    pending: list[tuple[Expr, bool]] = [(expression, False)]
    while pending:
        node, ready = pending.pop()
        if id(node) in done:
            continue
        parts = _parts(node) if varies[id(node)] else ()
        if parts and not ready:
            pending.append((node, True))
            pending.extend((part, False) for part in parts)
        elif varies[id(node)]:
            done[id(node)] = _combined(node, [done[id(part)] for part in parts])
        else:
            done[id(node)] = constant(float(node.evaluate()))
    return done[id(expression)]


def _parts(node: Expr) -> tuple[Expr, ...]:
    """The operands of what is expanded."""
    if isinstance(node, ex.Sum | ex.Product | ex.Negate):
        return node.children()
    return node.children()[:1] if whole_exponent(node) is not None else ()


def _combined(node: Expr, x: list[Observable]) -> Observable:
    match node:
        case ex.Counter(name=name):
            return count(name)
        case ex.Sum():
            return sum(x[1:], start=x[0])
        case ex.Product():
            result = x[0]
            for factor in x[1:]:
                result = result * factor
            return result
        case ex.Negate():
            return -x[0]
        case ex.Power() if x:
            return x[0] ** whole_exponent(node)
        case _:
            return Observable((Term(1, functions=((checked_function(node), 1),)),))

"""What engines share of angles and probabilities: derivatives, parameters inside, why there is no value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from qdiff.errors import EvaluationError
from qdiff.lang.evaluate import ValueFailure
from qdiff.lang.expr import Expr, Parameter, ParameterElement, is_number
from qdiff.lang.running import PROBABILITY_SLACK, improbable, located
from qdiff.lang.tree import Program


@dataclass(frozen=True)
class Derivatives:
    """Derivatives of some expressions by some parameters, those that are literally 0 left out.

    Attributes:
        pairs: (expression, position in wrt) of each first derivative.
        first: the first derivatives.
        triples: (pair, position in wrt) of each second derivative.
        second: the second derivatives; none where they were not asked for.
    """

    pairs: Sequence[tuple[int, int]]
    first: Sequence[Expr]
    triples: Sequence[tuple[int, int]]
    second: Sequence[Expr]

    @classmethod
    def of(cls, expressions: Sequence[Expr], wrt: Sequence[str], *, second: bool = False) -> Derivatives:
        """Differentiate all expressions."""
        pairs, first = _derivatives(expressions, wrt)
        triples, curved = _derivatives(first, wrt) if second else ([], [])
        return cls(pairs, first, triples, curved)


def _derivatives(expressions: Sequence[Expr], wrt: Sequence[str]) -> tuple[list[tuple[int, int]], list[Expr]]:
    pairs: list[tuple[int, int]] = []
    found: list[Expr] = []
    for e, expression in enumerate(expressions):
        occurring = expression.parameters()
        for p, name in enumerate(wrt):
            if name in occurring and not is_number(derivative := expression.diff(name), 0):
                pairs.append((e, p))
                found.append(derivative)
    return pairs, found


def contained(expression: Expr, counters: Mapping[str, int]) -> set[str]:
    """Return the parameters in an expression; of an array `w[c]` the element that is read."""
    names: set[str] = set()
    for node in expression.walk():
        if isinstance(node, Parameter):
            names.add(node.name)
        elif isinstance(node, ParameterElement):
            names.add(f"{node.array}[{node.index.evaluate(counters=counters)}]")
    return names


def value_error(
    program: Program,
    expression: Expr,
    parameters: Mapping[str, float],
    counters: Mapping[str, int],
    *,
    probability: bool,
    channel: str = "",
) -> EvaluationError:
    """Return the error for an angle without a value, or for what is no probability.

    Args:
        channel: the name of the channel that the probability is of, "" for a flip.
    """
    try:
        value = expression.evaluate(parameters, counters)
    except ValueFailure as failure:
        return located(program, failure.message, failure.node.place())
    if probability and not -PROBABILITY_SLACK <= value <= 1 + PROBABILITY_SLACK:
        return improbable(program, expression, value, None, channel)
    return located(program, f"`{expression}` is not a finite number.", expression.place())


def derivative_error(
    program: Program,
    expression: Expr,
    derivative: Expr,
    by: Sequence[str],
    parameters: Mapping[str, float],
    counters: Mapping[str, int],
) -> EvaluationError:
    """Return the error for a derivative, by one parameter or two, that does not exist."""
    try:
        derivative.evaluate(parameters, counters)
        reason = "it is not a finite number."
    except ValueFailure as failure:
        reason = failure.message
    kind = "derivative" if len(by) == 1 else "second derivative"
    names = " and ".join(f"`{name}`" for name in by)
    message = f"the {kind} of `{expression}` by {names} does not exist here: {reason}"
    return located(program, message, expression.place())

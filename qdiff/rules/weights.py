"""What a run of a derivative program counts: the observable times a weight, itself an observable of counters.

    weight = Π signs · Σ_ways Π_factors Σ_cases [recorded = what the case says] · coefficient

A run that never came to its replaced occurrence has recorded nothing and counts 0, as aborted runs do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from qdiff.errors import EvaluationError
from qdiff.lang.expr import Counter, Expr, Indicator, Parameter, ParameterElement, add, multiply, number
from qdiff.lang.observable import Observable, Term, constant, count
from qdiff.lang.observable_expression import from_expression
from qdiff.lang.parameters import resolve
from qdiff.lang.rebuild import rebuild
from qdiff.lang.tree import Program


@dataclass(frozen=True)
class Case:
    """One thing that a run may have recorded.

    Attributes:
        where: counters and their values.
        coefficient: over the parameters and counters of the derivative program.
        free: a counter that may be any integer, "" where there is none.
    """

    where: tuple[tuple[str, int], ...]
    coefficient: Expr
    free: str = ""

    def __str__(self) -> str:
        where = [f"{name} = {value}" for name, value in self.where]
        return ", ".join([*where, f"any integer {self.free}"] if self.free else where)

    def terms(self, params: Mapping[str, float]) -> tuple[Term, ...]:
        """Return [where] · coefficient at some parameters.

        Raises:
            EvaluationError: the coefficient has no value there, such as the slope of `sqrt` at 0.
        """
        chosen = tuple([(Indicator(Counter(name), value), 1) for name, value in self.where])
        try:
            found = from_expression(_at(self.coefficient, params))
        except EvaluationError as error:
            raise EvaluationError(f"The coefficient of `{self}` has no value: {error}") from None
        return (Observable((Term(1, functions=chosen),)) * found).terms


@dataclass(frozen=True)
class Weights:
    """The weight of a run, as a function of the parameters and of the counters at its end.

    Attributes:
        program: the derivative program.
        signs: counters that hold a sign ±1, or 0 where nothing was replaced.
        ways: sums over cases; those of one way are multiplied, ways are added.
    """

    program: Program
    signs: tuple[str, ...]
    ways: tuple[tuple[tuple[Case, ...], ...], ...]

    def __call__(self, params: object = None) -> Observable:
        """Return the weight, by which the observable is multiplied.

        Args:
            params: the value of every parameter, in any form that an expectation takes; None where no
                coefficient depends on one.

        Raises:
            ParameterError: a value is missing, or is none.
            EvaluationError: a coefficient without a value, such as the slope of `sqrt` at 0.
        """
        depends = any(case.coefficient.parameters() for case in self.cases)
        values = resolve(self.program, params) if depends or params is not None else {}
        total = Observable()
        for way in self.ways:
            product = constant(1)
            for cases in way:
                product = product * Observable([term for case in cases for term in case.terms(values)])
            total = total + product
        for sign in self.signs:
            total = total * count(sign)
        return total

    @property
    def cases(self) -> tuple[Case, ...]:
        """All cases of all ways."""
        return tuple([case for way in self.ways for cases in way for case in cases])

    def lines(self) -> list[str]:
        """What a run counts and a line for each case, as comments of a program's text."""
        counts = " * ".join([*self.signs, "observable", "coefficient"])
        head = f"# A run counts {counts} (0 where nothing was replaced):"
        return [head, *(f"# {case}: {case.coefficient}" for case in self.cases)]


def site_weights(
    program: Program, site: str, term: str, hit: str, coefficients: Sequence[tuple[Expr, ...] | Expr]
) -> Weights:
    """Return the weights of a first derivative.

    Args:
        site, term, hit: the counters that say what was replaced, by which term, and with which sign.
        coefficients: for every site, from 1, those of its terms, from 0; one expression of `term` for an
            infinite rule.
    """
    cases: list[Case] = []
    for i, some in enumerate(coefficients, 1):
        if isinstance(some, Expr):
            cases.append(Case(((site, i),), some, term))
        else:
            cases += [Case(((site, i), (term, j)), c) for j, c in enumerate(some)]
    return Weights(program, (hit,), ((tuple(cases),),))


def recorded(expression: Expr, names: Mapping[str, str]) -> Expr:
    """Return an expression with counters renamed to those that hold their value at the replaced site."""

    def rename(node: Expr, operands: list[Expr]) -> Expr:
        if isinstance(node, Counter):
            return Counter(names[node.name], pos=node.pos)
        return rebuild(node, operands) if operands else node

    return expression.fold(rename)


def _at(expression: Expr, params: Mapping[str, float]) -> Expr:
    """An expression with numbers for its parameters; w[e] becomes Σ_i w_i [e = i]."""

    def put(node: Expr, operands: list[Expr]) -> Expr:
        match node:
            case Parameter(name=name):
                return number(params[name])
            case ParameterElement(array=array, size=size):
                elements = [number(params[f"{array}[{i}]"]) for i in range(size)]
                return add(*(multiply(w, Indicator(operands[0], i)) for i, w in enumerate(elements)))
            case _:
                return rebuild(node, operands) if operands else node

    return expression.fold(put) if expression.parameters() else expression

"""What a run of a derivative program counts: the observable times a weight, itself an observable of counters.

    weight = readout · Σ_ways Π_factors Σ_cases [recorded = what the case says] · coefficient

A run that never came to its replaced occurrence has recorded nothing and counts 0, as aborted runs do.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import mul
from typing import Protocol

from qdiff.errors import EvaluationError
from qdiff.lang.expr import Counter, Expr, Indicator, Parameter, ParameterElement, add, multiply, number
from qdiff.lang.observable import Observable, Term, count
from qdiff.lang.observable_expression import from_expression
from qdiff.lang.parameters import resolve
from qdiff.lang.rebuild import rebuild
from qdiff.lang.tree import Program
from qdiff.rules.sites import Site


@dataclass(frozen=True)
class Case:
    """One thing that a run may have recorded.

    Attributes:
        where: counters and their values.
        coefficient: over the parameters and counters of the derivative program.
        free: a counter that may be any integer, "" where there is none.
        line: of the text, where the replaced primitive stands; 0 without a text.
    """

    where: tuple[tuple[str, int], ...]
    coefficient: Expr
    free: str = ""
    line: int = 0

    def __str__(self) -> str:
        where = [f"{name} = {value}" for name, value in self.where]
        return ", ".join([*where, f"any integer {self.free}"] if self.free else where)

    def times(self, value: Observable) -> Iterator[Term]:
        """Yield the terms of a function of counters where a run has recorded this; 0 elsewhere."""
        chosen = tuple([(Indicator(Counter(name), at), 1) for name, at in self.where])
        for term in value.terms:
            yield Term(term.coefficient, term.counters, functions=(*chosen, *term.functions))

    def value(self, params: Mapping[str, float]) -> Observable:
        """Return the coefficient at some parameters.

        Raises:
            EvaluationError: it has no value there, such as the slope of `sqrt` at 0.
        """
        try:
            return from_expression(_at(self.coefficient, params))
        except EvaluationError as error:
            where = f" of `{self}`" if str(self) else ""
            line = f" (line {self.line})" if self.line else ""
            raise EvaluationError(
                f"The coefficient `{self.coefficient}`{where}{line} has no value: {error}"
            ) from None


@dataclass(frozen=True)
class Weights:
    """The weight of a run, as a function of the parameters and of the counters at its end.

    Attributes:
        program: the derivative program.
        readout: the counter that holds a sign ±1, or 0 where nothing was replaced; a product of such.
        ways: sums over cases; those of one way are multiplied, ways are added.
    """

    program: Program
    readout: Observable
    ways: tuple[tuple[tuple[Case, ...], ...], ...]

    def at(self, params: object) -> Observable:
        """Return the weight at some parameters; see `Weighted.weight`."""
        depends = any(case.coefficient.parameters() for case in self.cases)
        values = resolve(self.program, params) if depends or params is not None else {}
        found: dict[int, Observable] = {}  # cases of one kind share their coefficients

        def summed(cases: Iterable[Case]) -> Observable:
            terms: list[Term] = []
            for case in cases:
                key = id(case.coefficient)
                if key not in found:
                    found[key] = case.value(values)
                terms.extend(case.times(found[key]))
            return Observable(terms)

        total = Observable()
        for way in self.ways:
            total = total + reduce(mul, [self.readout, *map(summed, way)])
        return total

    @property
    def cases(self) -> tuple[Case, ...]:
        """All cases of all ways."""
        return tuple([case for way in self.ways for cases in way for case in cases])

    def lines(self) -> list[str]:
        """What a run counts and a line for each case, as comments of a program's text."""
        several = any(len(way) > 1 for way in self.ways)
        coefficient = "the coefficient of each line that holds" if several else "coefficient"
        nothing = "one was not" if several else "nothing was"
        head = f"# A run counts {self.readout} * observable * {coefficient} (0 where {nothing} replaced):"
        return [head, *(f"# {case}: {case.coefficient}" for case in self.cases)]


class _HasWeights(Protocol):
    @property
    def _weights(self) -> Weights: ...


class Weighted:
    """A derivative program whose runs count their observable times a weight; it has `_weights`."""

    @property
    def weights(self: _HasWeights) -> Weights:
        """The weight as a table of cases, for those who evaluate it for many runs."""
        return self._weights

    def weight(self: _HasWeights, params: object = None) -> Observable:
        """Return the weight, so that E[weight · O] of `program` is the share of the derivative of E[O].

        It is an observable of the counters at the end of a run: the coefficient c_j · ∂a/∂θ of what was
        replaced (over its probability, where the program draws it) times the sign of the run; 0 on runs in
        which nothing was replaced.

        Args:
            params: the value of every parameter, in any form that an expectation takes; None where no
                coefficient depends on one.

        Raises:
            ParameterError: a value is missing, or is none.
            EvaluationError: a coefficient without a value, such as the slope of `sqrt` at 0.
        """
        return self._weights.at(params)


def site_weights(
    program: Program,
    sites: Sequence[Site],
    recorded: tuple[str, str, str],
    coefficients: Sequence[tuple[Expr, ...] | Expr],
) -> Weights:
    """Return the weights of a first derivative.

    Args:
        sites: all of them, from 1.
        recorded: the counters that say which was replaced, by which term, and with which sign.
        coefficients: for every site, from 1, those of its terms, from 0; one expression of `term` for an
            infinite rule.
    """
    which, term, hit = recorded
    cases: list[Case] = []
    for site, some in zip(sites, coefficients, strict=True):
        here = (which, site.number)
        if isinstance(some, Expr):
            cases.append(Case((here,), some, term, site.line))
        else:
            cases += [Case((here, (term, j)), c, line=site.line) for j, c in enumerate(some)]
    return Weights(program, count(hit), ((tuple(cases),),))


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
